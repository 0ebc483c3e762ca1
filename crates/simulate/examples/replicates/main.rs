//! Many replicates of each world, drawn by the code that writes worlds, estimated by the
//! code that `tidegauge assess` uses, and laid beside what is true:
//!
//! ```sh
//! cargo run -p tidegauge-simulate --example replicates -- 334 0.02 --write
//! ```
//!
//! Words: how many of each world, their share of the full size, worlds (all six if none is
//! named). `--params=FILE` draws one world of that file in their place, at the size that it
//! says. `--from=SEED` begins elsewhere than at the first of their range, to look into one.
//! `--rows=FILE` keeps a line for each replicate there; those that the file has from this
//! build of the program are not drawn again, so that a run can be stopped and go on. With
//! `--write` the table goes into `docs/explanation/validation.md`, where that has a place for
//! this share. `--refit=N` fits the model N times to families drawn anew from each replicate, and
//! lays the deviation of these fits beside the error that the model states.
//!
//! **Invariant:** seeds are the first of their range, and every replicate is in the sums.

mod judged;
mod refit;
mod rows;
mod sums;

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegauge_simulate::{Params, Replicates, Story};

use crate::judged::{Judged, judged};
use crate::rows::Kept;

const SEED_FIRST: u64 = 100_001;
/// A replicate that takes longer is told.
const LONG_MS: u64 = 20_000;
const END: &str = "<!-- end of replicates -->";

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let write = words.iter().any(|w| w == "--write");
    let plain: Vec<&String> = words.iter().filter(|w| !w.starts_with("--")).collect();
    let option = |name: &str| words.iter().find_map(|w| w.strip_prefix(name));
    let count: u64 = plain.first().map_or(Ok(100), |w| w.parse())?;
    let share: f64 = plain.get(1).map_or(Ok(0.03), |w| w.parse())?;
    let named: String = plain.iter().skip(2).map(|w| w.as_str()).collect();
    let first: u64 = option("--from=").map_or(Ok(SEED_FIRST), str::parse)?;
    let params = option("--params=");
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
        format!("{count} replicates of {of}, seeds from {first}.\n\n{}\n", sums::HEAD);
    if let Some(refits) = option("--refit=") {
        return refitted(
            refits.parse()?,
            worlds(params, &named, share)?,
            first..first + count,
        );
    }
    let kept = Kept::open(option("--rows=").map(Path::new))?;
    for (name, text) in worlds(params, &named, share)? {
        let row = sums::row(&name, &tried(&name, &text, first..first + count, &kept)?);
        tell(&row);
        writeln!(table, "{row}")?;
    }
    print(&table);
    if write {
        written(share, &table)?;
    }
    Ok(())
}

/// Prints the errors of the replicates of each world by refitting.
fn refitted(
    refits: u64,
    worlds: Vec<(String, String)>,
    seeds: Range<u64>,
) -> Result<(), Failure> {
    let mut table = format!("{}\n", refit::HEAD);
    for (name, text) in worlds {
        let replicates = Replicates::new(&Params::read(&text)?)?;
        let one = |seed| refit::refitted(&replicates, seed, refits).transpose();
        let all = seeds.clone().filter_map(one).collect::<Result<Vec<_>, _>>()?;
        writeln!(table, "{}", refit::row(&name, refits, &all))?;
        tell(&table);
    }
    print(&table);
    Ok(())
}

/// The parameters of each world asked for, with its name.
fn worlds(
    params: Option<&str>,
    named: &str,
    share: f64,
) -> Result<Vec<(String, String)>, Failure> {
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

/// Every replicate of a world in order of seed, by as many threads as there are cores.
fn tried(
    name: &str,
    params: &str,
    seeds: Range<u64>,
    kept: &Kept,
) -> Result<Vec<Judged>, Failure> {
    let replicates = Replicates::new(&Params::read(params)?)?;
    let next = AtomicU64::new(seeds.start);
    let work = || -> Result<Vec<Judged>, Failure> {
        let mut done = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return Ok(done);
            }
            if let Some(before) = kept.found(params, seed) {
                done.push(before);
                continue;
            }
            let one = judged(&replicates, seed)?;
            told(name, &one);
            kept.keep(params, &one)?;
            done.push(one);
        }
    };
    let threads = std::thread::available_parallelism()?.get();
    let mut all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let parts =
            workers.into_iter().map(|w| w.join().map_err(|_| "a thread died")?);
        parts.collect::<Result<Vec<_>, Failure>>().map(|parts| parts.concat())
    })?;
    all.sort_by_key(|one| one.seed);
    Ok(all)
}

/// Tells of a replicate that has no answer, or took long.
fn told(name: &str, one: &Judged) {
    if let Some(rule) = &one.refused {
        tell(&format!("{name} {}: {rule}", one.seed));
    }
    if one.took_ms > LONG_MS {
        tell(&format!("{name} {}: took {} s", one.seed, one.took_ms / 1000));
    }
}

/// Writes the table where the documents have a place for this share.
fn written(share: f64, table: &str) -> Result<(), Failure> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/explanation/validation.md");
    let text = std::fs::read_to_string(&docs)?;
    let begin = format!("<!-- replicates {share} -->\n");
    let (head, rest) = text.split_once(&begin).ok_or("no place for the table")?;
    let (_, tail) = rest.split_once(END).ok_or("no end of the table")?;
    std::fs::write(&docs, format!("{head}{begin}{table}{END}{tail}"))?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "worlds take minutes each")]
fn tell(row: &str) {
    eprintln!("{row}");
}

#[expect(clippy::print_stdout, reason = "a table is what it is run for")]
fn print(table: &str) {
    println!("{table}");
}
