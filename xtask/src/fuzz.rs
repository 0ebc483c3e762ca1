//! Fuzzing every decoder, with the toolchain that is there.
//!
//! libFuzzer needs no nightly compiler: coverage is one pass of LLVM, asked for by plain
//! codegen options. The sanitizers would need one; without `unsafe` in our own crates they
//! have little to find.
//!
//! **Invariant:** each target of `fuzz/Cargo.toml` is run, from its own seeds and from the
//! captures of others where those are there; a finding fails the task and is named.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::run::{Outcome, command, root, say, target};

/// What makes a program tell libFuzzer which branches it took: the options of cargo-fuzz.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions=on -Coverflow-checks=on --cfg fuzzing";
/// The triple is named so that build scripts are built without [`COVERAGE`].
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The longest input, in bytes: several datagrams or lines of any format. Longer ones find
/// little more and cost in proportion.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Memory in MiB above which a run is a finding: the bounds of the decoders lie far below.
const MEMORY_MIB_MAX: u32 = 2_048;
/// Seconds above which one input is a finding.
const INPUT_SECONDS_MAX: u32 = 10;

/// How long each target is run.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// This many seconds: what CI runs.
    Seconds(u32),
    /// This many inputs.
    Inputs(u64),
}

/// Reads the words after `xtask fuzz`: `--smoke`, or a number of inputs, then targets.
pub(crate) fn fuzz(words: &[&str]) -> Outcome {
    let (length, named) = match words {
        ["--smoke", named @ ..] => (Length::Seconds(5), named),
        [inputs, named @ ..] => {
            let inputs = inputs.replace('_', "").parse().map_err(|_| {
                "usage: cargo xtask fuzz --smoke | INPUTS [TARGET…]".to_owned()
            })?;
            (Length::Inputs(inputs), named)
        }
        [] => (Length::Inputs(10_000_000), words),
    };
    run(length, named)
}

/// Builds the targets and runs those that are `named`; all of them if none is.
pub(crate) fn run(length: Length, named: &[&str]) -> Outcome {
    let targets = targets()?;
    if let Some(unknown) = named.iter().find(|name| !targets.iter().any(|t| t == *name))
    {
        return Err(format!(
            "no fuzz target is named {unknown}: {}",
            targets.join(", ")
        ));
    }
    build()?;
    for name in
        targets.iter().filter(|t| named.is_empty() || named.contains(&t.as_str()))
    {
        run_one(name, length)?;
    }
    Ok(())
}

/// The names of the targets, as the manifest has them.
fn targets() -> Result<Vec<String>, String> {
    let manifest = root().join("fuzz/Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .map_err(|e| format!("{}: {e}", manifest.display()))?;
    let bins = text.split("[[bin]]").skip(1);
    let names = bins.filter_map(|bin| {
        let line = bin.lines().find_map(|line| line.strip_prefix("name = "))?;
        Some(line.trim().trim_matches('"').to_owned())
    });
    Ok(names.collect())
}

fn folder() -> PathBuf {
    target().join("fuzz")
}

fn build() -> Outcome {
    say("\n$ building the fuzz targets");
    let started = Instant::now();
    let status = command("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--target", TRIPLE])
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_TARGET_DIR", folder())
        .env("RUSTFLAGS", COVERAGE)
        .status();
    match status {
        Ok(status) if status.success() => {
            say(&format!("# {:.1} s", started.elapsed().as_secs_f64()));
            Ok(())
        }
        Ok(status) => Err(format!("the fuzz targets do not build ({status})")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}

fn run_one(name: &str, length: Length) -> Outcome {
    let corpus = folder().join("corpus").join(name);
    let findings = folder().join("findings").join(name).join("");
    for folder in [&corpus, &findings] {
        std::fs::create_dir_all(folder)
            .map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let program = folder().join(TRIPLE).join("release").join(name);
    let mut command = Command::new(&program);
    command
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-artifact_prefix={}", findings.display()))
        .arg("-print_final_stats=1")
        .arg("-verbosity=0")
        .arg(match length {
            Length::Seconds(seconds) => format!("-max_total_time={seconds}"),
            Length::Inputs(inputs) => format!("-runs={inputs}"),
        })
        .arg(&corpus)
        .args(seeds(name));
    say(&format!("\n$ fuzz {name}"));
    let output = command.output();
    let output =
        output.map_err(|e| format!("cannot start {}: {e}", program.display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "fuzz target {name} found something, kept in {}:\n{words}",
            findings.display()
        ));
    }
    for line in words.lines().filter(|line| {
        ["number_of_executed_units", "average_exec_per_sec", "peak_rss_mb"]
            .iter()
            .any(|stat| line.contains(stat))
    }) {
        say(line);
    }
    Ok(())
}

/// Folders of first inputs: the target's own, and captures of others.
fn seeds(name: &str) -> Vec<PathBuf> {
    let data = root().join("../shared/data");
    let others: &[&str] = match name {
        "zeek" => &["zeek/slips", "zeek/zat"],
        "pcap" => &[
            "pcap/ipfixprobe",
            "pcap/zeek/ipv4",
            "pcap/zeek/quic",
            "pcap/zeek/trunc",
            "pcap/zeek/tunnels",
            "flows/akvorado",
            "dns/dns-collector",
        ],
        "export" => &["flows/logstash-netflow", "flows/telegraf"],
        "sflow" => &["flows/cistern-sflow", "flows/telegraf"],
        "dnstap" | "querylog" => &["dns/dns-collector"],
        "cof" => &["pdns"],
        "eve" => &["eve"],
        "argus" => &["flows/argus"],
        "cloud" => &["vpcflow"],
        _ => &[],
    };
    let own = root().join("fuzz/seeds").join(name);
    // What tests read, where it is also a good beginning.
    let tested = match name {
        "dnstap" | "querylog" => Some("crates/wire/tests/data/dns"),
        "nfcapd" => Some("crates/wire/tests/data/nfcapd"),
        _ => None,
    };
    let tested = tested.map(|folder| root().join(folder));
    let folders = others.iter().map(|folder| data.join(folder)).chain(tested);
    std::iter::once(own).chain(folders).filter(|folder| Path::is_dir(folder)).collect()
}
