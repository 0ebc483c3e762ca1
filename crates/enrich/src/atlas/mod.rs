//! Who held an address when.
