//! The typeface of everything that is drawn here and not by a browser: Public Sans.
//!
//! **Invariant:** the same bytes on every machine; `assets/README.md` says where they are from.

/// Of text.
pub const REGULAR: &[u8] = include_bytes!("../assets/public-sans-regular.ttf");
/// Of headings.
pub const BOLD: &[u8] = include_bytes!("../assets/public-sans-bold.ttf");
