//! Many replicates of each world, drawn by the code that writes worlds, estimated by the
//! code that `tidegauge assess` uses, and laid beside what is true:
//!
//! ```sh
//! cargo run --profile dev -p tidegauge-simulate --example replicates -- 334 0.02 --write
//! ```
//!
//! Words: how many of each world, their share of the full size, worlds (all six if none is
//! named). `--params=FILE` draws one world of that file in their place, at the size that it
//! says. `--from=SEED` begins elsewhere than at the first of their range, to look into one; with
//! `--write` the table goes into `docs/explanation/validation.md`, where that has
//! a place for this share.
//!
//! **Invariant:** seeds are the first of their range, every replicate is in the sums, and
//! what is estimated never sees what is true.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use tidegauge_effect::attribution::doubt::{Doubt, doubted};
use tidegauge_effect::occupancy::weekly::{
    ActDates, Corrected, Settings, Share, StratumRemoval, removal_corrected,
};
use tidegauge_effect::{Active, Stratify, Windows};
use tidegauge_model::estimate::Identification;
use tidegauge_model::{Day, DayRange, Month};
use tidegauge_simulate::{Params, Replicate, Replicates, Story};

const SEED_FIRST: u64 = 100_001;
/// A replicate that takes longer is told.
const LONG: Duration = Duration::from_secs(20);
const ACTIVE: Active = Active { days_min: 2 };
const END: &str = "<!-- end of replicates -->";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let write = words.iter().any(|w| w == "--write");
    let plain: Vec<&String> = words.iter().filter(|w| !w.starts_with("--")).collect();
    let count: u64 = plain.first().map_or(Ok(100), |w| w.parse())?;
    let share: f64 = plain.get(1).map_or(Ok(0.03), |w| w.parse())?;
    let named: String = plain.iter().skip(2).map(|w| w.as_str()).collect();
    let from = words.iter().find_map(|w| w.strip_prefix("--from="));
    let first: u64 = from.map_or(Ok(SEED_FIRST), str::parse)?;
    let params = words.iter().find_map(|w| w.strip_prefix("--params="));
    if write && params.is_some() {
        return Err(
            "the table has the six worlds alone: --params is not written".into()
        );
    }
    let of = match params {
        Some(path) => format!("the world of {path}"),
        None => format!("each world at {share} of full size"),
    };
    let mut table =
        format!("{count} replicates of {of}, seeds from {first}.\n\n{HEAD}\n");
    for (name, text) in worlds(params, &named, share)? {
        let row = tried(&name, &text, first..first + count)?.row(&name);
        tell(&row);
        writeln!(table, "{row}")?;
    }
    print(&table);
    if write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/explanation/validation.md");
        let text = std::fs::read_to_string(&docs)?;
        let begin = format!("<!-- replicates {share} -->\n");
        let (head, rest) = text.split_once(&begin).ok_or("no place for the table")?;
        let (_, tail) = rest.split_once(END).ok_or("no end of the table")?;
        std::fs::write(&docs, format!("{head}{begin}{table}{END}{tail}"))?;
    }
    Ok(())
}

/// The parameters of each world asked for, with its name.
fn worlds(
    params: Option<&str>,
    named: &str,
    share: f64,
) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
    if let Some(path) = params {
        return Ok(vec![(path.to_owned(), std::fs::read_to_string(path)?)]);
    }
    let asked = |s: &Story| named.is_empty() || named.contains(s.letter());
    let text = |s: Story| {
        let letter = s.letter();
        (letter.to_string(), format!("world = \"{letter}\"\norganisations = {share}\n"))
    };
    Ok(Story::ALL.into_iter().filter(asked).map(text).collect())
}

#[expect(clippy::print_stderr, reason = "worlds take minutes each")]
fn tell(row: &str) {
    eprintln!("{row}");
}

#[expect(clippy::print_stdout, reason = "a table is what it is run for")]
fn print(table: &str) {
    println!("{table}");
}

const HEAD: &str = "\
| world | identified | bias, points | sampling and visibility cover | all errors cover | \
width, points: without and with attribution | as seen is off by | alarm | strata: without \
and with attribution | US and DE told apart |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

fn tried(
    name: &str,
    params: &str,
    seeds: Range<u64>,
) -> Result<Sums, Box<dyn std::error::Error>> {
    let replicates = Replicates::new(&Params::read(params)?)?;
    let mut sums = Sums::default();
    for seed in seeds {
        let began = Instant::now();
        let replicate = replicates.draw(seed)?;
        let found = estimated(&replicate, seed)?;
        let whole = found.corrected.strata.first().map(|whole| &whole.identified);
        if let Some(Identification::NotIdentified(rule)) = whole {
            tell(&format!("{name} {seed}: {rule}"));
        }
        sums.add(&replicate, &found);
        let took = began.elapsed();
        if took > LONG {
            tell(&format!("{name} {seed}: took {} s", took.as_secs()));
        }
    }
    Ok(sums)
}

/// What is estimated, with all errors by stratum.
struct Estimated {
    corrected: Corrected,
    all: Vec<Option<Share>>,
}

fn estimated(
    of: &Replicate,
    seed: u64,
) -> Result<Estimated, Box<dyn std::error::Error>> {
    let ways = [Stratify::All, Stratify::Country, Stratify::Sector];
    let day = |text: &str| -> Result<Day, _> { text.parse() };
    let dates = ActDates {
        announced: Some(day("2024-06-20")?),
        effective: Some(day("2024-09-29")?),
    };
    let settings = Settings { active: ACTIVE, ..Settings::default() };
    let corrected = removal_corrected(&of.panel, windows()?, dates, &ways, &settings)?;
    // A holder's own row of the registry says .9 (registry of `simulate`).
    let networks = of.networks(windows()?.before());
    let chance = |n: usize| 0.1f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let false_chance =
        networks.into_iter().map(|(name, n)| (name, chance(n))).collect();
    let doubt = Doubt { false_chance: &false_chance, draws: 99, seed };
    let found = doubted(&corrected, &of.panel, &ways, doubt);
    let all =
        corrected.strata.iter().map(|s| found.get(&s.stratum).map(|d| d.all)).collect();
    Ok(Estimated { corrected, all })
}

fn windows() -> Result<Windows, Box<dyn std::error::Error>> {
    let month = |text: &str| -> Result<DayRange, Box<dyn std::error::Error>> {
        Ok(DayRange::month(text.parse::<Month>()?))
    };
    Ok(Windows::new(month("2024-04")?, month("2024-11")?)?)
}

/// What came out over the replicates of a world.
#[derive(Default)]
struct Sums {
    replicates: f64,
    identified: f64,
    bias: f64,
    /// Without and with the error of attribution.
    covered: [f64; 2],
    width: [f64; 2],
    as_seen: f64,
    alarmed: f64,
    strata: f64,
    strata_covered: [f64; 2],
    /// Replicates in which both countries have an answer, and in which they differ.
    compared: [f64; 2],
}

impl Sums {
    fn add(&mut self, of: &Replicate, found: &Estimated) {
        self.replicates += 1.0;
        let each = found.corrected.strata.iter().zip(&found.all);
        for (stratum, all) in each {
            let truth = Truth::of(of, stratum);
            let (Some(own), Some(all)) = (stratum.removal, *all) else { continue };
            let holds = |s: Share| {
                f64::from(u8::from((s.low..=s.high).contains(&truth.removal)))
            };
            if stratum.stratum.is_empty() {
                self.identified += 1.0;
                self.bias += own.value - truth.removal;
                self.covered[0] += holds(own);
                self.covered[1] += holds(all);
                self.width[0] += own.high - own.low;
                self.width[1] += all.high - all.low;
            } else {
                self.strata += 1.0;
                self.strata_covered[0] += holds(own);
                self.strata_covered[1] += holds(all);
            }
        }
        if let Some(whole) = found.corrected.strata.first() {
            let truth = Truth::of(of, whole);
            self.as_seen += truth.as_seen - truth.removal;
        }
        self.alarmed += f64::from(u8::from(!found.corrected.alarms.is_empty()));
        if let Some(differ) = differ(&found.corrected) {
            self.compared[0] += 1.0;
            self.compared[1] += f64::from(u8::from(differ));
        }
    }

    fn row(&self, name: &str) -> String {
        let n = self.identified;
        let mean = |sum: f64| 100.0 * sum / n.max(1.0);
        let share = |k: f64, n: f64| {
            let p = k / n.max(1.0);
            format!("{p:.3} ± {:.3}", (p * (1.0 - p) / n.max(1.0)).sqrt())
        };
        let covered = self.covered.map(|k| share(k, n));
        format!(
            "| {} | {} of {} | {:+.2} | {} | {} | {:.1}, {:.1} | {:+.1} | {} | {:.0}, {:.0} \
             of {} | {} of {} |",
            name,
            n,
            self.replicates,
            mean(self.bias),
            covered[0],
            covered[1],
            mean(self.width[0]),
            mean(self.width[1]),
            100.0 * self.as_seen / self.replicates.max(1.0),
            self.alarmed,
            self.strata_covered[0],
            self.strata_covered[1],
            self.strata,
            self.compared[1],
            self.compared[0],
        )
    }
}

/// Whether removal of the United States and of Germany differ at 5 %; `None` if one of
/// them has no answer.
fn differ(found: &Corrected) -> Option<bool> {
    let of = |code: &str| {
        let wanted = [("country".to_owned(), code.to_owned())];
        let stratum = found.strata.iter().find(|s| s.stratum == wanted)?;
        Some((stratum.removal?.value, stratum.errors?.of_population()))
    };
    let ((a, se_a), (b, se_b)) = (of("US")?, of("DE")?);
    Some((a - b).abs() > 1.959_964 * se_a.hypot(se_b))
}

/// What is true of a stratum's cohort, and what is seen of it.
struct Truth {
    removal: f64,
    as_seen: f64,
}

impl Truth {
    fn of(replicate: &Replicate, stratum: &StratumRemoval) -> Self {
        let windows = windows().expect("the months are of one length");
        let (mut members, mut gone, mut unseen) = (0.0, 0.0, 0.0);
        let histories = &replicate.panel.histories;
        for of in histories.chunk_by(|a, b| a.organisation == b.organisation) {
            let place = |dimension: &str| match dimension {
                "country" => of[0].country.map(|c| c.to_string()),
                _ => of[0].sector.as_ref().map(ToString::to_string),
            };
            if !stratum.stratum.iter().all(|(d, v)| place(d).as_ref() == Some(v)) {
                continue;
            }
            let days = |window: DayRange| {
                let mut united = of[0].clone();
                for other in &of[1..] {
                    let cells = united.weeks.iter_mut().zip(&other.weeks);
                    cells.for_each(|(into, from)| into.seen |= from.seen);
                }
                united.seen_days(replicate.panel.days, window)
            };
            if days(windows.before()) < ACTIVE.days_min {
                continue;
            }
            let used = replicate.used(&of[0].organisation, windows.after());
            members += 1.0;
            gone += f64::from(u8::from(!used));
            unseen += f64::from(u8::from(days(windows.after()) < ACTIVE.days_min));
        }
        let n = f64::max(members, 1.0);
        Self { removal: gone / n, as_seen: unseen / n }
    }
}
