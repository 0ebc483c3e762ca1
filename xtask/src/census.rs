//! `cargo xtask bench census [EYEBALL]`: a census beside other engines on the same lake.
//!
//! A year of world A is simulated, ingested and counted by `tidegauge demo`, with so many
//! consumers (0.2 unless told). Then `DuckDB`, chDB (`ClickHouse`) and Polars, from their
//! packages for Python, are asked the same, in turns: on the lake's own files with the dated
//! join, and on a file in which the join was made before. Of three runs the one
//! with least processor time counts.
//!
//! **Invariant:** an answer that differs from ours in one row is an error, not a row of the
//! table.

use std::path::Path;

use crate::run::{Outcome, output, run, say, target};

const EYEBALL: &str = "0.2";
const ROUNDS: usize = 3;
const THREADS: &str = "2";
const PEERS: [&str; 3] = ["duckdb", "chdb", "polars"];
const SCRIPT: &str = "crates/census/benches/peers/peers.py";
/// The days of the simulated year.
const DAYS: [&str; 4] = ["--from", "2024-01-01", "--to", "2024-12-31"];

/// A measured answer.
struct Answer {
    seconds: f64,
    /// Of processor, all threads together.
    processor: f64,
    peak_kib: u64,
    rows: u64,
    digest: String,
}

pub(crate) fn census(words: &[&str]) -> Outcome {
    let eyeball = words.first().copied().unwrap_or(EYEBALL);
    run("cargo", &["build", "--release", "--locked"])?;
    let folder = target().join(format!("bench-census-{eyeball}"));
    let lake = folder.join("demo/lake");
    if !folder.join("ready.parquet").exists() {
        make(&folder, &lake, eyeball)?;
    }
    let ask = |peer, mode, question| -> Result<Answer, String> {
        let mut best: Option<Answer> = None;
        for _ in 0..ROUNDS {
            let answer = one(&folder, &lake, peer, mode, question)?;
            if best.as_ref().is_none_or(|best| answer.processor < best.processor) {
                best = Some(answer);
            }
        }
        best.ok_or_else(|| "no round was run".to_owned())
    };
    say(
        "| question | asked of | mode | s | CPU s | ours against it, by CPU | peak MiB | cells |",
    );
    say("|---|---|---|--:|--:|--:|--:|--:|");
    for question in ["addresses", "organisations", "cohort"] {
        let ours = ask("tidegauge", "dated", question)?;
        say(&row(question, "tidegauge", "dated", &ours, &ours));
        for (peer, mode) in PEERS.iter().flat_map(|p| [(p, "dated"), (p, "ready")]) {
            match ask(peer, mode, question) {
                Ok(answer) if answer.digest != ours.digest => {
                    return Err(format!(
                        "{peer}, {mode}: another answer to {question}"
                    ));
                }
                Ok(answer) => say(&row(question, peer, mode, &answer, &ours)),
                Err(error) => say(&format!("| {question} | {peer} | {mode} | {error}")),
            }
        }
    }
    Ok(())
}

/// Makes the lake, and what the others join it with.
fn make(folder: &Path, lake: &Path, eyeball: &str) -> Outcome {
    let binary = target().join("release/tidegauge");
    let demo = folder.join("demo");
    let (binary, demo) = (text(&binary)?, text(&demo)?);
    if !lake.exists() {
        run(binary, &["demo", "--eyeball", eyeball, "--out", demo])?;
    }
    let lake = text(lake)?;
    let save = |name: &str, format: &str, verb: &[&str]| -> Outcome {
        let to = folder.join(name);
        let out =
            std::fs::File::create(&to).map_err(|e| format!("{}: {e}", to.display()))?;
        let status = crate::run::command(binary)
            .args(["--lake", lake, "--format", format])
            .args(verb)
            .stdout(out)
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{name} was not made: {other:?}")),
        }
    };
    let export: Vec<&str> = ["atlas", "export"].into_iter().chain(DAYS).collect();
    save("holders.parquet", "parquet", &export)?;
    let endpoints = "SELECT endpoint AS id, GREATEST(valid_from, DATE '2000-01-01') AS \
                     valid_from, LEAST(valid_to, DATE '2099-12-31') AS valid_to FROM catalog WHERE role = 'update' \
                     AND weight IN ('medium', 'strong')";
    save("endpoints.csv", "csv", &["sql", endpoints])?;
    let sites = "SELECT site, holder AS organisation, country, sector FROM vantages";
    save("sites.csv", "csv", &["sql", sites])?;
    let (folder, script) =
        (text(folder)?, text(&crate::run::root().join(SCRIPT))?.to_owned());
    run("python3", &[&script, folder, lake, "prepare", "-", "-", THREADS])
}

fn one(
    folder: &Path,
    lake: &Path,
    peer: &str,
    mode: &str,
    question: &str,
) -> Result<Answer, String> {
    let binary = target().join("release/tidegauge");
    let variables = [
        format!("TIDEGAUGE={}", text(&binary)?),
        format!("POLARS_MAX_THREADS={THREADS}"),
    ];
    let mut words: Vec<&str> = variables.iter().map(String::as_str).collect();
    words.extend(["python3", SCRIPT, text(folder)?, text(lake)?]);
    words.extend([peer, mode, question, THREADS]);
    let said = output("env", &words)?;
    let parts: Vec<&str> = said.split_whitespace().collect();
    let [seconds, processor, peak, rows, digest] = parts.as_slice() else {
        return Err(format!("{peer} said `{said}`"));
    };
    let wrong = |what: &str| format!("{peer} said `{what}`");
    Ok(Answer {
        seconds: seconds.parse().map_err(|_| wrong(seconds))?,
        processor: processor.parse().map_err(|_| wrong(processor))?,
        peak_kib: peak.parse().map_err(|_| wrong(peak))?,
        rows: rows.parse().map_err(|_| wrong(rows))?,
        digest: (*digest).to_owned(),
    })
}

fn row(
    question: &str,
    peer: &str,
    mode: &str,
    answer: &Answer,
    ours: &Answer,
) -> String {
    format!(
        "| {question} | {peer} | {mode} | {:.2} | {:.2} | {:.1} | {} | {} |",
        answer.seconds,
        answer.processor,
        answer.processor / ours.processor,
        answer.peak_kib / 1024,
        answer.rows
    )
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}
