//! Running other programs, and telling what is being done.
//!
//! **Invariant:** a program that fails fails the task, with its command line.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What every task returns; the message is for people.
pub(crate) type Outcome = Result<(), String>;

/// Writes a line for people.
#[expect(clippy::print_stderr, reason = "the one place where xtask talks")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask lies in the workspace").to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo's own variable, read by cargo's helper"
    )]
    let set = std::env::var("CARGO_TARGET_DIR");
    set.map_or_else(|_| root().join("target"), PathBuf::from)
}

/// A program to be started in the root, as a person would start it: without what cargo told
/// xtask about itself. Build scripts look at some of these variables, and would be run again
/// each time when cargo is started by hand and by xtask in turns, and the engine with them.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    let variables = std::env::vars_os();
    let of_xtask = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|begin| name.starts_with(begin))
    };
    for (name, _) in variables.filter(|(name, _)| name.to_str().is_some_and(of_xtask)) {
        command.env_remove(name);
    }
    command
}

/// Runs `program` in the root, its output going where ours goes.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Outcome {
    let line = format!("{program} {}", arguments.join(" "));
    say(&format!("\n$ {line}"));
    let started = Instant::now();
    let status = command(program).args(arguments).status();
    let status = status.map_err(|e| format!("cannot start `{line}`: {e}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})"));
    }
    say(&format!("# {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Runs `program` and returns what it prints on standard output.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let line = format!("{program} {}", arguments.join(" "));
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("cannot start `{line}`: {e}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` failed ({}):\n{words}", output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|e| format!("`{line}` printed no text: {e}"))
}
