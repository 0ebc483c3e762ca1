//! Tasks of the project: `cargo xtask <task>`.
//!
//! * `test`: everything CI runs: [`tidy`], formatting, lints, tests, the demo, the
//!   browser ([`browser`]);
//! * `look ADDRESS`: the browser over a server that runs already (also one with
//!   `--internal`), such as the example `made_up` of `publish`;
//! * `tidy`: the rules of the house that no compiler checks, in seconds;
//! * `docs [--check]`: writes (or compares) the generated pages of `docs/reference/`;
//! * `calibrate`: the synthetic world at full size against its targets (not in CI);
//! * `worlds`: worlds with known truth from telemetry to verdict (not in CI);
//! * `validation`: the tables of `docs/explanation/validation.md` from such worlds (not in CI);
//! * `fuzz [--smoke | INPUTS] [TARGET…]`: every decoder against hostile bytes
//!   ([`fuzz`]); ten million inputs each unless told;
//! * `bench`: measures, and prints rows for `docs/benchmarks.md` (not in CI);
//!   `bench live [BINARY]`: the collector beside others over loopback ([`live`]);
//!   `bench census [EYEBALL]`: a census beside other engines on the same lake ([`census`]).
//!
//! **Invariant:** std only, so that it builds in seconds on a fresh machine.

mod bench;
mod browser;
mod calibrate;
mod census;
mod docs;
mod fuzz;
mod live;
mod run;
mod test;
mod tidy;
mod tools;
mod validation;
mod worlds;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::test(),
        ["look", address] => browser::look_at(address),
        ["tidy"] => tidy::tidy(),
        ["docs"] => docs::docs(docs::Mode::Write),
        ["docs", "--check"] => docs::docs(docs::Mode::Check),
        ["calibrate"] => calibrate::calibrate(),
        ["worlds", rest @ ..] => worlds::worlds(rest),
        ["validation"] => validation::validation(),
        ["bench"] => bench::bench(),
        ["bench", "census", rest @ ..] => census::census(rest),
        ["bench", "live"] => live::live(&run::target().join("release/tidegauge")),
        ["bench", "live", binary] => live::live(std::path::Path::new(binary)),
        ["fuzz", words @ ..] => fuzz::fuzz(words),
        _ => Err("usage: cargo xtask test | look ADDRESS | tidy | docs [--check] | calibrate | worlds | validation | fuzz | bench [live | census]"
            .into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            run::say(&format!("xtask: {message}"));
            ExitCode::FAILURE
        }
    }
}
