//! The project's own data, as text in the binary: used unless the user names a folder.
//!
//! **Invariant:** these are the files of the source tree, byte for byte, in order of name;
//! `README.md` files are left out.

include!(concat!(env!("OUT_DIR"), "/built_in.rs"));
