//! How often each test of an assessment rejects in world E, where no act does anything:
//!
//! ```sh
//! cargo run --release -p tidegauge-simulate --example sizes -- 334 0.1 --write
//! ```
//!
//! Words: how many worlds, and their share of the full size. Each is drawn by the code that
//! writes worlds and asked by the code that `tidegauge assess` uses, with the real dates of all
//! acts. With `--write` the table goes into `docs/explanation/validation.md`; with `--tell` each
//! rejection is told.
//!
//! **Invariant:** seeds are the first of their range, every p-value of every world is in the
//! sums, and what a test refuses is told beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use tidegauge_effect::assessment::{Asked, Assessment, Reading, Sight, assess};
use tidegauge_effect::{Active, Windows};
use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{DayRange, Month};
use tidegauge_simulate::{Params, Replicate, Replicates};

const SEED_FIRST: u64 = 200_001;
const POLICY: &str = "US-BIS-2024-updates";
const LEVEL: f64 = 0.05;
const BEGIN: &str = "<!-- sizes -->\n";
const END: &str = "<!-- end of sizes -->";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let write = words.iter().any(|w| w == "--write");
    let tell = words.iter().any(|w| w == "--tell");
    let plain: Vec<&String> = words.iter().filter(|w| !w.starts_with("--")).collect();
    let count: u64 = plain.first().map_or(Ok(100), |w| w.parse())?;
    let share: f64 = plain.get(1).map_or(Ok(0.1), |w| w.parse())?;
    let acts = acts()?;
    let policy = acts.iter().find(|act| act.id.as_str() == POLICY);
    let policy = policy.ok_or("the act is not among the policies")?;
    let params = Params::read(&format!("world = \"E\"\norganisations = {share}\n"))?;
    let replicates = Replicates::new(&params)?;
    let mut sums = Sums::default();
    for seed in SEED_FIRST..SEED_FIRST + count {
        let found = found(&replicates.draw(seed)?, policy, &acts)?;
        if tell {
            rejected(seed, &found);
        }
        sums.add(&found);
    }
    let table = format!(
        "{count} worlds E at {share} of full size, seeds from {SEED_FIRST}.\n\n{}",
        sums.table()
    );
    print(&table);
    if write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/explanation/validation.md");
        let text = std::fs::read_to_string(&docs)?;
        let (head, rest) = text.split_once(BEGIN).ok_or("no place for the table")?;
        let (_, tail) = rest.split_once(END).ok_or("no end of the table")?;
        std::fs::write(&docs, format!("{head}{BEGIN}{table}{END}{tail}"))?;
    }
    Ok(())
}

/// Tells what was rejected in a world.
#[expect(clippy::print_stderr, reason = "it is asked for")]
fn rejected(seed: u64, found: &Assessment) {
    for (section, readings) in sections(found) {
        for r in readings.iter().filter(|r| r.p.is_some_and(|p| p < LEVEL)) {
            let (value, low, high, p) = (r.value, r.low, r.high, r.p);
            eprintln!(
                "{seed} {section}: {} of {}: {value:?} ({low:?} to {high:?}), p {p:?}, {} {}",
                r.what, r.of, r.n, r.counted
            );
        }
    }
}

/// Where tests stand.
fn sections(found: &Assessment) -> [(&'static str, &[Reading]); 4] {
    [
        ("survival", &found.survival),
        ("hazard", &found.hazard),
        ("series", &found.series),
        ("comparison", &found.comparison),
    ]
}

#[expect(clippy::print_stdout, reason = "a table is what it is run for")]
fn print(table: &str) {
    println!("{table}");
}

/// The acts of the project's own files.
fn acts() -> Result<Vec<PolicyEvent>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut acts = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let file: toml::Table = toml::from_str(&std::fs::read_to_string(&path)?)?;
        let Some(policies) = file.get("policy").and_then(toml::Value::as_table) else {
            continue;
        };
        for (id, policy) in policies {
            let act: PolicyEvent = policy.clone().try_into()?;
            acts.push(PolicyEvent { id: id.as_str().into(), ..act });
        }
    }
    acts.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(acts)
}

fn found(
    of: &Replicate,
    policy: &PolicyEvent,
    acts: &[PolicyEvent],
) -> Result<Assessment, Failure> {
    let month = |text: &str| -> Result<DayRange, Failure> {
        Ok(DayRange::month(text.parse::<Month>()?))
    };
    let windows = Windows::new(month("2024-04")?, month("2024-11")?)?;
    let told: BTreeSet<_> =
        of.panel.histories.iter().filter_map(|h| h.country).collect();
    Ok(assess(&Asked {
        panel: &of.panel,
        windows,
        policy,
        acts,
        active: Active { days_min: 2 },
        sight: Sight::Steady,
        corrected: Vec::new(),
        told,
        rivals: &[],
        looked_at: None,
        cell_min: 1,
    }))
}

/// Of each test: how often it was carried out, how often it rejected, how often it could have
/// (a rank of few has a least p), and how often it was refused.
#[derive(Default)]
struct Sums(BTreeMap<(&'static str, String, String), [u64; 4]>);

impl Sums {
    fn add(&mut self, found: &Assessment) {
        for (section, readings) in sections(found) {
            for reading in readings {
                let key = (section, reading.what.clone(), reading.of.clone());
                let [tested, rejected, able, refused] = self.0.entry(key).or_default();
                match reading.p {
                    Some(p) => {
                        *tested += 1;
                        *rejected += u64::from(p < LEVEL);
                        *able += u64::from(reading.p_floor.is_none_or(|f| f < LEVEL));
                    }
                    None => *refused += 1,
                }
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "some hundreds of worlds")]
    fn table(&self) -> String {
        let mut table =
            "| of | test | of whom | carried out | could reject at .05 | rejected \
                         | refused |\n|---|---|---|--:|--:|--:|--:|\n"
                .to_owned();
        for ((section, what, of), [tested, rejected, able, refused]) in &self.0 {
            if *tested == 0 {
                continue;
            }
            let p = *rejected as f64 / *tested as f64;
            let error = (p * (1.0 - p) / *tested as f64).sqrt();
            writeln!(
                table,
                "| {section} | {what} | {of} | {tested} | {able} | {p:.3} ± {error:.3} | \
                 {refused} |"
            )
            .expect("a string takes all");
        }
        table
    }
}
