//! `cargo xtask bench census [EYEBALL [PART]]`: a census beside other engines on the same lake.
//!
//! A year of world A is simulated, ingested and counted by `tidegauge demo`, with so many
//! consumers (0.2 unless told). Then `DuckDB`, chDB (`ClickHouse`) and Polars, from their
//! packages for Python, are asked the same, in turns: on the lake's own files with the dated
//! join, and on a file in which the join was made before; the latter of `DataFusion` too, which has
//! no nearest join, and pyasn and pandas answer the first question once. Of three runs the one with least
//! processor time counts. Then a day's flows come late, and each counts again from
//! what it keeps; and the same is asked of two years, of which the second is the first again.
//! Last, the flows of the carrier become sightings in an empty lake, beside the same by the others.
//! PART is one of these: `questions`, `late`, `years` or `ingest`.
//!
//! | of ours | |
//! |---|---|
//! | `dated` | from state, as a lake has it; nothing kept of an earlier run |
//! | `sightings` | the same lake without state |
//! | `added` | a day later than what is kept |
//!
//! The map of holders is made before, as the others' tables of it are. What merely decoding the
//! columns of state takes is told beside (`pyarrow`, `decode`).
//!
//! **Invariant:** an answer that differs from ours in one row is an error, not a row of the
//! table.

use std::path::{Path, PathBuf};

use crate::run::{Outcome, output, run, say, target};
use crate::tools;

const EYEBALL: &str = "0.2";
const ROUNDS: usize = 3;
const THREADS: &str = "2";
const PEERS: [&str; 3] = ["duckdb", "chdb", "polars"];
const SCRIPT: &str = "crates/census/benches/peers/peers.py";
/// The day that comes late.
const LATE: &str = "2024-11-30";
/// The last day of two years: 366 days after the last of a leap year.
const LAST: &str = "2026-01-01";

/// A measured answer.
struct Answer {
    seconds: f64,
    /// Of processor, all threads together.
    processor: f64,
    peak_kib: u64,
    /// By calls: what is mapped into memory is not in it.
    read: u64,
    rows: u64,
    digest: String,
    /// In the lake that it is of, where all of them are looked at.
    sightings: Option<u64>,
}

/// A lake, what others join it with, and what is asked of both.
struct Bench {
    folder: PathBuf,
    lake: PathBuf,
    /// Variables of the script.
    variables: Vec<String>,
}

pub(crate) fn census(words: &[&str]) -> Outcome {
    let eyeball = words.first().copied().unwrap_or(EYEBALL);
    tools::packages("crates/census/benches/peers/requirements.txt", "peers")?;
    run("cargo", &["build", "--release", "--locked"])?;
    let folder = target().join(format!("bench-census-{eyeball}"));
    let lake = folder.join("demo/lake");
    if !lake.exists() {
        let demo = folder.join("demo");
        run(&binary()?, &["demo", "--eyeball", eyeball, "--out", text(&demo)?])?;
    }
    let bench = Bench { folder: folder.clone(), lake, variables: Vec::new() };
    if !folder.join("ready.parquet").exists() {
        bench.prepare("2024-12-31", true)?;
    }
    let part = words.get(1).copied();
    let asked = |name: &str| part.is_none_or(|part| part == name);
    say(
        "| question | asked of | mode | s | M sightings/s | CPU s | ours against it, by CPU | peak MiB | MB read | cells |",
    );
    say("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    let questions = ["addresses", "organisations", "cohort"];
    for question in questions.into_iter().filter(|_| asked("questions")) {
        let modes = PEERS.iter().flat_map(|p| [(*p, "dated"), (*p, "ready")]);
        let modes = modes.chain([("datafusion", "ready")]);
        let ours = bench.compare(question, question, modes)?;
        if question == "addresses" {
            let decoded = bench.ask("pyarrow", "decode", question)?;
            say(&row(question, "pyarrow", "decode", &decoded, &ours));
            // Once: it takes minutes.
            let by_hand = bench.one("pandas", "dated", question);
            tell(question, "pandas", "dated", by_hand, &ours)?;
        }
    }
    if asked("late") {
        late(&bench)?;
    }
    if asked("years") {
        years(&bench)?;
    }
    if asked("ingest") {
        ingest(&bench)?;
    }
    Ok(())
}

/// A year's flows of the carrier become sightings.
fn ingest(of: &Bench) -> Outcome {
    let world = of.world();
    let variables = vec![format!("WORLD={}", text(&world)?)];
    let (folder, lake) = (of.folder.clone(), of.lake.clone());
    let bench = Bench { folder, lake, variables };
    bench.script("hosts", "-", "-")?;
    let ask = |peer: &str| best(|| bench.one(peer, "ingest", "flows"));
    let ours = ask("tidegauge")?;
    say(&row("flows to sightings", "tidegauge", "ingest", &ours, &ours));
    for peer in PEERS {
        tell("flows to sightings", peer, "ingest", ask(peer), &ours)?;
    }
    Ok(())
}

/// A day's flows of one vantage come late: how long each takes to count again.
fn late(of: &Bench) -> Outcome {
    let bench = of.copy("late")?;
    let kept = bench.lake.join("kept");
    bench.one("tidegauge", "dated", "addresses")?;
    let theirs = bench.lake.with_file_name("kept");
    std::fs::create_dir_all(&theirs)
        .map_err(|e| format!("{}: {e}", theirs.display()))?;
    let keep = Bench { variables: vec![format!("KEPT={}", text(&theirs)?)], ..bench };
    keep.script("keep", "-", "-")?;
    let before = sightings(&keep.lake)?;
    let flows = keep.lake.with_file_name("late.parquet");
    let month = of.world().join("flows/carrier/2024-11.parquet");
    let copy = format!(
        "COPY (SELECT * FROM '{}' WHERE \"start\" >= '{LATE} 00:00:00Z') TO '{}'",
        month.display(),
        flows.display()
    );
    duckdb(&copy)?;
    of.ingest(&keep.lake, &flows, "carrier")?;
    let after = sightings(&keep.lake)?;
    let new: Vec<&str> =
        after.iter().filter(|f| !before.contains(f)).map(String::as_str).collect();
    let [new] = new.as_slice() else {
        return Err(format!("a day in {} new files: {new:?}", new.len()));
    };
    let ours = kept.with_file_name("kept.before");
    run("cp", &["-r", text(&kept)?, text(&ours)?])?;
    let ask = |peer: &str| {
        best(|| {
            // Each round begins with what was kept before the day came.
            let own = keep.lake.with_file_name("round");
            run("rm", &["-rf", text(&own)?, text(&kept)?])?;
            run("cp", &["-r", text(&theirs)?, text(&own)?])?;
            run("cp", &["-r", text(&ours)?, text(&kept)?])?;
            let variables = vec![format!("KEPT={}", text(&own)?), format!("NEW={new}")];
            let (folder, lake) = (keep.folder.clone(), keep.lake.clone());
            Bench { folder, lake, variables }.one(peer, "added", "addresses")
        })
    };
    let answer = ask("tidegauge")?;
    say(&row("a day late", "tidegauge", "added", &answer, &answer));
    for peer in ["duckdb", "chdb"] {
        tell("a day late", peer, "added", ask(peer), &answer)?;
    }
    let again = keep.ask("tidegauge", "dated", "addresses");
    tell("a day late", "tidegauge", "dated", again, &answer)
}

/// The same of two years, whose flows are those of one, and again 366 days later.
fn years(of: &Bench) -> Outcome {
    let bench = of.copy("years")?;
    let flows = bench.lake.with_file_name("flows");
    std::fs::create_dir_all(&flows).map_err(|e| format!("{}: {e}", flows.display()))?;
    for vantage in ["carrier", "exchange"] {
        let to = flows.join(format!("{vantage}.parquet"));
        duckdb(&format!(
            "COPY (SELECT * REPLACE (\"start\" + INTERVAL 366 DAY AS \"start\", \"end\" + INTERVAL \
             366 DAY AS \"end\") FROM '{}/flows/{vantage}/*.parquet') TO '{}'",
            of.world().display(),
            to.display()
        ))?;
        of.ingest(&bench.lake, &to, vantage)?;
    }
    let variables = vec![format!("LAST={LAST}")];
    let folder = of.folder.join("years");
    let bench = Bench { folder, variables, ..bench };
    bench.prepare(LAST, false)?;
    let modes = PEERS.iter().map(|p| (*p, "dated"));
    bench.compare("two years", "addresses", modes).map(|_| ())
}

impl Bench {
    fn world(&self) -> PathBuf {
        self.folder.join("demo/world")
    }

    /// Asks ours and these others the same, and prints what came: ours is returned.
    fn compare<'a>(
        &self,
        title: &str,
        question: &str,
        modes: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Answer, String> {
        let mut ours = self.ask("tidegauge", "dated", question)?;
        if question != "cohort" {
            ours.sightings = Some(self.sightings()?);
        }
        say(&row(title, "tidegauge", "dated", &ours, &ours));
        let bare = self.copy("bare")?;
        run("rm", &["-rf", text(&bare.lake.join("state"))?])?;
        tell(
            title,
            "tidegauge",
            "sightings",
            bare.ask("tidegauge", "dated", question),
            &ours,
        )?;
        for (peer, mode) in modes {
            tell(title, peer, mode, self.ask(peer, mode, question), &ours)?;
        }
        Ok(ours)
    }

    fn sightings(&self) -> Result<u64, String> {
        let asked = ["--format", "csv", "sql", "SELECT count(*) FROM sightings"];
        let words = [&["--lake", text(&self.lake)?], &asked[..]].concat();
        let told = output(&binary()?, &words)?;
        let number = told.lines().nth(1).and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("the lake has `{told}` sightings"))
    }

    /// The best of some rounds, with nothing kept of those before but the map of holders.
    fn ask(&self, peer: &str, mode: &str, question: &str) -> Result<Answer, String> {
        best(|| {
            run("rm", &["-rf", text(&self.lake.join("kept"))?])?;
            if peer == "tidegauge" {
                let nothing = ["census", "--from", "2023-01-01", "--to", "2023-01-01"];
                let words = [&["--lake", text(&self.lake)?], &nothing[..]].concat();
                output(&binary()?, &words)?;
            }
            self.one(peer, mode, question)
        })
    }

    /// The same of a copy of the lake, in a folder of that name that is made anew. Files of a
    /// lake are never changed, so that the copy shares them.
    fn copy(&self, name: &str) -> Result<Self, String> {
        let folder = self.folder.join(name);
        run("rm", &["-rf", text(&folder)?])?;
        run("mkdir", &[text(&folder)?])?;
        let lake = folder.join("lake");
        run("cp", &["-rl", text(&self.lake)?, text(&lake)?])?;
        Ok(Self {
            folder: self.folder.clone(),
            lake,
            variables: self.variables.clone(),
        })
    }

    /// Makes what the others join the lake with; `ready` says whether the join itself too.
    fn prepare(&self, last: &str, ready: bool) -> Outcome {
        let lake = text(&self.lake)?;
        let save = |name: &str, format: &str, verb: &[&str]| -> Outcome {
            let to = self.folder.join(name);
            let out = std::fs::File::create(&to)
                .map_err(|e| format!("{}: {e}", to.display()))?;
            let status = crate::run::command(&binary()?)
                .args(["--lake", lake, "--format", format])
                .args(verb)
                .stdout(out)
                .status();
            match status {
                Ok(status) if status.success() => Ok(()),
                other => Err(format!("{name} was not made: {other:?}")),
            }
        };
        let export = ["atlas", "export", "--from", "2024-01-01", "--to", last];
        save("holders.parquet", "parquet", &export)?;
        let endpoints = "SELECT endpoint AS id, GREATEST(valid_from, DATE '2000-01-01') AS \
                         valid_from, LEAST(valid_to, DATE '2099-12-31') AS valid_to FROM catalog \
                         WHERE role = 'update' AND weight IN ('medium', 'strong')";
        save("endpoints.csv", "csv", &["sql", endpoints])?;
        let sites =
            "SELECT site, holder AS organisation, country, sector FROM vantages";
        save("sites.csv", "csv", &["sql", sites])?;
        self.script("prepare", if ready { "ready" } else { "-" }, "-").map(|_| ())
    }

    /// Reads flows of this bench's world into a lake.
    fn ingest(&self, lake: &Path, flows: &Path, vantage: &str) -> Outcome {
        let (vantages, mapping) =
            (self.world().join("vantages"), self.world().join("mapping.toml"));
        let mut words = vec!["--lake", text(lake)?, "ingest", text(flows)?];
        words.extend(["--vantage", vantage, "--vantages", text(&vantages)?]);
        words.extend(["--mapping", text(&mapping)?]);
        run(&binary()?, &words)
    }

    fn one(&self, peer: &str, mode: &str, question: &str) -> Result<Answer, String> {
        let said = self.script(peer, mode, question)?;
        let parts: Vec<&str> = said.split_whitespace().collect();
        let [seconds, processor, peak, read, rows, digest] = parts.as_slice() else {
            return Err(format!("{peer} said `{said}`"));
        };
        let wrong = |what: &str| format!("{peer} said `{what}`");
        Ok(Answer {
            seconds: seconds.parse().map_err(|_| wrong(seconds))?,
            processor: processor.parse().map_err(|_| wrong(processor))?,
            peak_kib: peak.parse().map_err(|_| wrong(peak))?,
            read: read.parse().map_err(|_| wrong(read))?,
            rows: rows.parse().map_err(|_| wrong(rows))?,
            digest: (*digest).to_owned(),
            sightings: None,
        })
    }

    fn script(&self, peer: &str, mode: &str, question: &str) -> Result<String, String> {
        let ours = [
            format!("PYTHONPATH={}", text(&target().join("peers"))?),
            format!("TIDEGAUGE={}", binary()?),
            format!("POLARS_MAX_THREADS={THREADS}"),
        ];
        let mut words: Vec<&str> =
            ours.iter().chain(&self.variables).map(String::as_str).collect();
        words.extend(["python3", SCRIPT, text(&self.folder)?, text(&self.lake)?]);
        words.extend([peer, mode, question, THREADS]);
        output("env", &words)
    }
}

/// The answer of some rounds that took least of the processor.
fn best(mut round: impl FnMut() -> Result<Answer, String>) -> Result<Answer, String> {
    let mut best = round()?;
    for _ in 1..ROUNDS {
        let answer = round()?;
        if answer.processor < best.processor {
            best = answer;
        }
    }
    Ok(best)
}

/// Prints an answer that is the same as ours; a peer that could not be asked is told.
fn tell(
    question: &str,
    peer: &str,
    mode: &str,
    answer: Result<Answer, String>,
    ours: &Answer,
) -> Outcome {
    match answer {
        Ok(answer) if answer.digest != ours.digest => {
            return Err(format!("{peer}, {mode}: another answer to {question}"));
        }
        Ok(answer) => say(&row(question, peer, mode, &answer, ours)),
        Err(error) => say(&format!("| {question} | {peer} | {mode} | {error}")),
    }
    Ok(())
}

fn row(
    question: &str,
    peer: &str,
    mode: &str,
    answer: &Answer,
    ours: &Answer,
) -> String {
    let rate = match ours.sightings {
        Some(sightings) => format!("{:.1}", millions(sightings) / answer.seconds),
        None => "–".to_owned(),
    };
    format!(
        "| {question} | {peer} | {mode} | {:.2} | {rate} | {:.2} | {:.1} | {} | {} | {} |",
        answer.seconds,
        answer.processor,
        answer.processor / ours.processor,
        answer.peak_kib / 1024,
        answer.read / 1_000_000,
        answer.rows
    )
}

#[expect(clippy::cast_precision_loss, reason = "a rate is told with one decimal")]
fn millions(count: u64) -> f64 {
    count as f64 / 1e6
}

/// The files of sightings of a lake.
fn sightings(lake: &Path) -> Result<Vec<String>, String> {
    let found =
        output("find", &[text(&lake.join("sightings"))?, "-name", "part-*.parquet"])?;
    Ok(found.lines().map(str::to_owned).collect())
}

fn duckdb(statement: &str) -> Outcome {
    let program = "import duckdb, sys; duckdb.sql(\"set TimeZone = 'UTC'\"); \
                   duckdb.sql(sys.argv[1])";
    let path = format!("PYTHONPATH={}", text(&target().join("peers"))?);
    run("env", &[&path, "python3", "-c", program, statement])
}

fn binary() -> Result<String, String> {
    text(&target().join("release/tidegauge")).map(str::to_owned)
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}
