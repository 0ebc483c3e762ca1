//! Progress bars on a terminal, with rate and time left.
//!
//! **Invariant:** they go to standard error, and only if it is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `length` bytes.
pub(crate) fn bytes(what: &'static str, length: u64) -> ProgressBar {
    bar(what, length, "{bytes}/{total_bytes} {bytes_per_sec} {eta} left")
}

/// A bar over `length` steps.
pub(crate) fn steps(what: &'static str, length: u64) -> ProgressBar {
    bar(what, length, "{pos}/{len} {eta} left")
}

fn bar(what: &'static str, length: u64, figures: &str) -> ProgressBar {
    let template = format!("{{msg:>12}} [{{bar:30}}] {figures}");
    let style = ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.with_style(style).with_message(what)
}
