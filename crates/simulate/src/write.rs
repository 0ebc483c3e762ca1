//! Writes a world to a folder.
//!
//! ```text
//! flows/<vantage>/<YYYY-MM>.parquet   mapping.toml   vantages/<id>.toml
//! ipfix/exchange/<YYYY-MM>.ipfix      dnstap/exchange/<YYYY-MM>.fstrm
//! zeek/office/<YYYY-MM>/*.log         registry/holders-<date>.csv
//! truth/                              (no analysis reads it)
//! ```
//!
//! IPFIX and dnstap hold a few days of what the tables hold for the whole year, in the coat
//! of a live exporter: one reads either, not both.
//!
//! **Invariant:** equal parameters give equal bytes, and memory does not grow with the
//! number of flows: a month is drawn member by member and written day by day.

use std::fs;
use std::path::{Path, PathBuf};

use crate::calendar::{self, STRETCHES};
use crate::dnstap::Taps;
use crate::flows::{self, Tables};
use crate::ipfix::Export;
use crate::spill::Spill;
use crate::tally::{Books, Page, Tally};
use crate::traffic::{self, Seen};
use crate::world::World;
use crate::{Error, Params, registry, truth, vantages, zeek};

/// How far the writing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Months written.
    pub months_done: u32,
    /// Months of the year.
    pub months: u32,
    /// Flow records written.
    pub flows: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Flow records in all tables.
    pub flows: u64,
    /// Flow tables, one a vantage and month.
    pub tables: Vec<PathBuf>,
    /// Files of IPFIX: some days of the exchange, the same flows as in its tables.
    pub exports: Vec<PathBuf>,
    /// Files of dnstap: the look-ups before these flows.
    pub taps: Vec<PathBuf>,
    /// Zeek logs of the office.
    pub zeek_logs: Vec<PathBuf>,
    /// What a perfect counter would find, beside what is true.
    pub tally: Tally,
}

/// Simulates a world and writes it under `dir`, which is made if it is not there; files of
/// a former world with the same names are replaced. `progress` is told of each month.
pub fn write(
    params: &Params,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, Error> {
    let world = World::new(params)?;
    let mut books = Books::new(&world);
    let files = flow_files(&world, &mut books, dir, progress)?;
    file(&dir.join("mapping.toml"), flows::MAPPING)?;
    for (id, text) in vantages::FILES {
        file(&folder(dir.join("vantages"))?.join(format!("{id}.toml")), text)?;
    }
    let office = folder(dir.join("zeek").join(zeek::ID))?;
    let zeek_logs = zeek::write(&world, &office)?;
    registry::write(&world, &folder(dir.join("registry"))?)?;
    let tally = books.tally();
    truth::write(&world, &books, &tally, &folder(dir.join("truth"))?)?;
    let Files { flows, tables, exports, taps } = files;
    Ok(Written { flows, tables, exports, taps, zeek_logs, tally })
}

/// Files of flows.
#[derive(Default)]
struct Files {
    flows: u64,
    tables: Vec<PathBuf>,
    exports: Vec<PathBuf>,
    taps: Vec<PathBuf>,
}

fn flow_files(
    world: &World,
    books: &mut Books<'_>,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Files, Error> {
    let tables = Tables::new(&world.servers);
    let mut files = Files::default();
    for month in 0..12 {
        let (start, days) = calendar::month(month);
        let micros = calendar::day(start).start().0;
        let spill = |seen: Seen| {
            Spill::new(dir.join(format!(".spill-{}", seen.id())), micros, days)
        };
        let mut page = Page::with_rows(world, Seen::ALL.map(spill));
        traffic::month(world, month, &mut page);
        let rows = page.rows.take();
        books.close(month, page);
        for (seen, mut spill) in Seen::ALL.into_iter().zip(rows.into_iter().flatten()) {
            let mut out = Out { world, tables: &tables, dir, seen, month };
            out.month(&mut spill, &mut files)?;
        }
        let months_done = u32::try_from(month + 1).expect("a month");
        progress(Progress { months_done, months: 12, flows: files.flows });
    }
    files.tables.sort();
    Ok(files)
}

/// A month of a vantage on its way out.
struct Out<'a> {
    world: &'a World,
    tables: &'a Tables<'a>,
    dir: &'a Path,
    seen: Seen,
    month: usize,
}

impl Out<'_> {
    fn month(&mut self, spill: &mut Spill, files: &mut Files) -> Result<(), Error> {
        let path = self.file("flows", "parquet")?;
        let mut table = self.tables.create(&path)?;
        files.tables.push(path);
        let (start, days) = calendar::month(self.month);
        let stretch = STRETCHES.into_iter().find(|s| s.start >= start);
        let stretch = stretch.filter(|s| s.end <= start + days && self.exports());
        let mut exported =
            stretch.as_ref().map(|_| self.exported(files)).transpose()?;
        for place in 0..days {
            let rows = spill.day(usize::from(place))?;
            files.flows += rows.len() as u64;
            table.append(&rows)?;
            let is_in = stretch.as_ref().is_some_and(|s| s.contains(&(start + place)));
            if let Some((export, taps)) = exported.as_mut().filter(|_| is_in) {
                export.append(&rows)?;
                taps.append(&rows)?;
            }
        }
        if let Some((export, taps)) = exported {
            export.finish()?;
            taps.finish()?;
        }
        table.finish()
    }

    /// Only a vantage that samples is an exporter of flows.
    fn exports(&self) -> bool {
        self.seen == Seen::Exchange
    }

    fn exported(&self, files: &mut Files) -> Result<(Export<'_>, Taps<'_>), Error> {
        let (export, tap) =
            (self.file("ipfix", "ipfix")?, self.file("dnstap", "fstrm")?);
        let servers = &self.world.servers;
        let opened = (Export::create(servers, &export)?, Taps::create(servers, &tap)?);
        files.exports.push(export);
        files.taps.push(tap);
        Ok(opened)
    }

    fn file(&self, kind: &str, ending: &str) -> Result<PathBuf, Error> {
        let folder = folder(self.dir.join(kind).join(self.seen.id()))?;
        Ok(folder.join(format!("2024-{:02}.{ending}", self.month + 1)))
    }
}

fn folder(path: PathBuf) -> Result<PathBuf, Error> {
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Write { path, source }),
    }
}

fn file(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text)
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}
