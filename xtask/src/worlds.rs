//! Worlds with known truth, from telemetry to verdict, as rows for
//! `docs/explanation/validation.md`.
//!
//! Not in CI: it takes the release build and half a minute a world. Each world is
//! simulated, read back like any other telemetry, assessed, and its assessment laid beside
//! its truth, with the commands that a user would give.
//!
//! **Invariant:** seeds are the first of their range, and every run is in the sums; nothing
//! here is chosen by the answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, output, run, say, target};

const WORLDS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
const SEED_FIRST: u32 = 1_001;
/// Seeds of a world if nothing is asked.
const SEEDS: u32 = 10;
/// Scale of the worlds if nothing is asked: 1,100 organisations.
const SHARE: &str = "0.05";

/// Reads the words after `xtask worlds`: how many seeds, the scale, which worlds.
pub(crate) fn worlds(words: &[&str]) -> Outcome {
    let usage = || "usage: cargo xtask worlds [SEEDS [SHARE [WORLD…]]]".to_owned();
    let seeds = words.first().map_or(Ok(SEEDS), |s| s.parse().map_err(|_| usage()))?;
    let share = words.get(1).copied().unwrap_or(SHARE);
    let named = words.get(2..).filter(|named| !named.is_empty()).unwrap_or(&WORLDS);
    say(&format!("\n{}", table(named, share, seeds)?));
    Ok(())
}

/// Puts the table of all six worlds into the text in the place of the one that is there.
pub(crate) fn written(text: &str) -> Result<String, String> {
    let (head, rest) = text.split_once(BEGIN).ok_or("no place for the worlds")?;
    let (_, tail) = rest.split_once(END).ok_or("no end of the worlds")?;
    Ok(format!("{head}{BEGIN}{}{END}{tail}", table(&WORLDS, SHARE, SEEDS)?))
}

/// What came out, in Markdown.
fn table(named: &[&str], share: &str, seeds: u32) -> Result<String, String> {
    run("cargo", &["build", "--release", "--locked"])?;
    let mut rows = Vec::new();
    for world in named {
        let mut sums = Sums::default();
        for seed in SEED_FIRST..SEED_FIRST + seeds {
            let said = sums.add(&one(world, share, seed)?);
            say(&format!("{world} {seed}: {said}"));
        }
        rows.push(sums.row(world));
    }
    let rows = rows.join("\n");
    Ok(format!(
        "{seeds} seeds of each, from {SEED_FIRST}, at {share} of full size.\n\n{HEAD}\n{rows}\n"
    ))
}

const BEGIN: &str = "<!-- worlds -->\n";
const END: &str = "<!-- end of worlds -->";
const HEAD: &str = "\
| world | identified | covered | bias | width | bias as seen | alarm | strata covered | strata without an answer: few, hidden or rightly refused; needlessly |
|---|--:|--:|--:|--:|--:|--:|--:|--:|";

/// One world, from its flows to its score.
fn one(world: &str, share: &str, seed: u32) -> Result<Score, String> {
    let folder = target().join("worlds");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let (out, seed) = (folder.join("world"), seed.to_string());
    let simulate = ["simulate", "--organisations", share, "--seed", &seed, "--world"];
    tidegauge(&simulate, &[&world.to_lowercase(), "--out", text(&out)?])?;
    for file in files(&out.join("registry"), "csv")? {
        let date = stem(&file).trim_start_matches("holders-");
        let import = ["atlas", "import", "--source", "holders", "--snapshot", date];
        tidegauge(&import, &[text(&file)?])?;
    }
    let (vantages, mapping) = (out.join("vantages"), out.join("mapping.toml"));
    for file in files(&vantages, "toml")? {
        let mut ingest = vec!["ingest", "--vantage", stem(&file)];
        ingest.extend(["--vantages", text(&vantages)?, "--mapping", text(&mapping)?]);
        let inputs = ["flows", "zeek"].map(|kind| out.join(kind).join(stem(&file)));
        for input in inputs.iter().filter(|input| input.is_dir()) {
            ingest.push(text(input)?);
        }
        tidegauge(&ingest, &[])?;
    }
    let said = folder.join("said.json");
    let json = tidegauge(&["assess", "--internal", "--format", "json"], &[])?;
    std::fs::write(&said, json).map_err(|e| format!("{}: {e}", said.display()))?;
    let truth = out.join("truth");
    let score = ["simulate", "score", "--format", "csv", "--truth", text(&truth)?];
    let rows = tidegauge(&score, &["--assess", text(&said)?])?;
    let alarmed = !std::fs::read_to_string(&said)
        .map_err(|e| format!("{}: {e}", said.display()))?
        .contains("\"alarms\": []");
    let mut rows = rows.lines().map(fields);
    let names = rows.next().unwrap_or_default();
    let row = |values: Vec<String>| names.iter().cloned().zip(values).collect();
    Ok(Score { rows: rows.map(row).collect(), alarmed })
}

/// What `simulate score` says.
struct Score {
    /// Values by name of column.
    rows: Vec<BTreeMap<String, String>>,
    /// Whether the assessment raised an alarm.
    alarmed: bool,
}

/// The fields of a line of CSV (RFC 4180) that holds no line end.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("one is there").push(c),
        }
    }
    fields
}

/// Runs the program on the lake of the world.
fn tidegauge(verb: &[&str], rest: &[&str]) -> Result<String, String> {
    let program = target().join("release/tidegauge");
    let lake = target().join("worlds/lake");
    output(text(&program)?, &[&["--lake", text(&lake)?], verb, rest].concat())
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|s| s.to_str()).unwrap_or_default()
}

/// The files of a folder with this extension, in order of name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", folder.display());
    let entries: Result<Vec<_>, _> = folder.read_dir().map_err(told)?.collect();
    let paths = entries.map_err(told)?.into_iter().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    Ok(paths)
}

/// What came out over the seeds of a world.
#[derive(Default)]
struct Sums {
    seeds: f64,
    identified: f64,
    covered: f64,
    bias: f64,
    width: f64,
    as_seen: f64,
    alarmed: f64,
    /// Strata that were answered, and of these covered.
    strata: [f64; 2],
    /// Strata refused rightly or for few, and needlessly.
    refused: [f64; 2],
}

impl Sums {
    /// Adds one score, and says it in a line.
    fn add(&mut self, score: &Score) -> String {
        let mut said = String::from("no answer");
        for row in &score.rows {
            let text = |key: &str| row.get(key).map_or("", String::as_str);
            let whole = text("country") == "all" && text("sector") == "all";
            match (text("estimand"), whole) {
                ("cohort_removal", true) => {
                    self.as_seen += text("error").parse().unwrap_or(f64::NAN);
                }
                ("removal_corrected", true) => {
                    let number = |key| text(key).parse::<f64>();
                    let truth = number("truth").unwrap_or(f64::NAN);
                    said = match (number("estimate"), number("low"), number("high")) {
                        (Ok(value), Ok(low), Ok(high)) => {
                            self.identified += 1.0;
                            self.covered +=
                                f64::from(u8::from(low <= truth && truth <= high));
                            self.bias += value - truth;
                            self.width += high - low;
                            format!(
                                "{value:.4} ({low:.4} to {high:.4}), truth {truth:.4}"
                            )
                        }
                        _ => format!("truth {truth:.4}, {}", text("reason")),
                    };
                }
                ("removal_corrected", false) => match text("verdict") {
                    "covered" => {
                        self.strata = [self.strata[0] + 1.0, self.strata[1] + 1.0];
                    }
                    "not covered" => self.strata[0] += 1.0,
                    "refused, needlessly" => self.refused[1] += 1.0,
                    _ => self.refused[0] += 1.0,
                },
                _ => {}
            }
        }
        self.alarmed += f64::from(u8::from(score.alarmed));
        self.seeds += 1.0;
        said
    }

    fn row(&self, world: &str) -> String {
        let points = |sum: f64, of: f64| 100.0 * sum / of.max(1.0);
        // Of what was never answered there is no mean.
        let told =
            |text: String| if self.identified > 0.0 { text } else { "–".to_owned() };
        let bias = told(format!("{:+.2}", points(self.bias, self.identified)));
        let width = told(format!("{:.1}", points(self.width, self.identified)));
        format!(
            "| {world} | {} of {} | {} | {bias} | {width} | {:+.1} | {} | {} of {} | {}, {} |",
            self.identified,
            self.seeds,
            self.covered,
            points(self.as_seen, self.seeds),
            self.alarmed,
            self.strata[1],
            self.strata[0],
            self.refused[0],
            self.refused[1],
        )
    }
}
