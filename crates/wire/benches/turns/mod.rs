//! Several readers of the same input, measured in turns: another load on the machine meets
//! all of them.
//!
//! A row for each: the best of [`RUNS`] runs by time that went by, the least processor time
//! of any, and how many times as much of either it took as the first reader, which is ours.
//! On a machine with other work processor time is the one to look at. A reader that is not installed is said to be missing; nothing
//! is put in its place.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant as Clock;

/// The best of so many counts.
const RUNS: usize = 5;

/// What came out of a run, and how long it took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) out: u64,
    pub(crate) seconds: f64,
    /// Of all processors together.
    pub(crate) cpu_seconds: f64,
}

impl Reading {
    /// Of a part of this bench.
    pub(crate) fn here(read: impl FnOnce() -> u64) -> Self {
        let (clock, cpu) = (Clock::now(), own_cpu_seconds());
        let out = read();
        let cpu_seconds = own_cpu_seconds() - cpu;
        Self { out, seconds: clock.elapsed().as_secs_f64(), cpu_seconds }
    }

    /// Of a program that is run meanwhile, its start included.
    pub(crate) fn of_program(
        run: impl FnOnce() -> Option<Vec<u8>>,
        out: impl FnOnce(&[u8]) -> u64,
    ) -> Option<Self> {
        let (clock, cpu) = (Clock::now(), children_cpu_seconds());
        let said = run()?;
        let seconds = clock.elapsed().as_secs_f64();
        let cpu_seconds = children_cpu_seconds() - cpu;
        Some(Self { out: out(&said), seconds, cpu_seconds })
    }
}

/// Processor time of the main thread (proc(5), `schedstat`, in nanoseconds).
fn own_cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos =
        text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanos.map_or(f64::NAN, |nanos| nanos / 1e9)
}

/// Processor time of the programs that were run and waited for (proc(5), `stat`, in
/// hundredths of a second).
fn children_cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let words = rest.split_whitespace().skip(13).take(2);
    words.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// One way to read an input; `None` from one that is not installed.
pub(crate) struct Reader<'r> {
    name: &'static str,
    read: Box<dyn Fn() -> Option<Reading> + 'r>,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(
        name: &'static str,
        read: impl Fn() -> Option<Reading> + 'r,
    ) -> Self {
        Self { name, read: Box::new(read) }
    }

    /// One that is a part of this bench.
    pub(crate) fn here(name: &'static str, read: impl Fn() -> u64 + 'r) -> Self {
        Self::new(name, move || Some(Reading::here(&read)))
    }
}

/// The heading of the rows.
pub(crate) fn heading() {
    println!(
        "| input | read by | s | ours against it | CPU s | by CPU | records/CPU s | out |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
}

/// Measures all readers and prints their rows. Words after `--` choose among them.
pub(crate) fn rows(input: &str, records: u32, readers: &[Reader<'_>]) {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |reader: &&Reader<'_>| {
        let of = |word: &String| reader.name.contains(word) || input.contains(word);
        words.iter().filter(|word| !word.starts_with("--")).all(of)
    };
    let readers: Vec<&Reader<'_>> = readers.iter().filter(chosen).collect();
    let mut best: Vec<Option<Reading>> = vec![None; readers.len()];
    for _ in 0..RUNS {
        for (reader, best) in readers.iter().zip(&mut best) {
            let Some(reading) = (reader.read)() else { continue };
            let before = best.get_or_insert(reading);
            before.seconds = before.seconds.min(reading.seconds);
            before.cpu_seconds = before.cpu_seconds.min(reading.cpu_seconds);
        }
    }
    let ours = best.first().copied().flatten().unwrap_or_default();
    for (reader, best) in readers.iter().zip(best) {
        let name = reader.name;
        let Some(Reading { out, seconds, cpu_seconds }) = best else {
            println!("| {input} | {name} | NOT MEASURED: not installed | | | | | |");
            continue;
        };
        println!(
            "| {input} | {name} | {seconds:.3} | {:.3} | {cpu_seconds:.3} | {:.3} | {:.0} | {out} |",
            seconds / ours.seconds,
            cpu_seconds / ours.cpu_seconds,
            f64::from(records) / cpu_seconds,
        );
    }
}

/// Runs a program; `None` if it is not installed. How much it wrote, unless it failed.
pub(crate) fn program(command: &mut Command) -> Option<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    assert!(output.status.success(), "{command:?} failed");
    Some(output.stdout)
}

/// Runs a query of `DuckDB` in Python, which tells how long the query alone took; `None` if
/// either is not installed.
#[allow(dead_code, reason = "not all benches ask it")]
pub(crate) fn duckdb(threads: u8, query: &str) -> Option<Reading> {
    const RUN: &str = "import sys, time\n\
        try:\n    import duckdb\n\
        except ImportError:\n    sys.exit(0)\n\
        base = duckdb.connect()\n\
        base.execute('SET threads=' + sys.argv[1])\n\
        base.execute('SET enable_progress_bar=false')\n\
        begun, used = time.perf_counter(), time.process_time()\n\
        rows = base.execute(sys.argv[2]).fetchall()\n\
        print(time.perf_counter() - begun, time.process_time() - used, rows[0][0])";
    let mut python = Command::new("python3");
    let said = program(python.args(["-c", RUN, &threads.to_string(), query]))?;
    let said = String::from_utf8_lossy(&said);
    let mut words = said.split_whitespace();
    let (seconds, cpu_seconds) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Reading { out: words.next()?.parse().ok()?, seconds, cpu_seconds })
}
