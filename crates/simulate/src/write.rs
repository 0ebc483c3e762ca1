//! Writes a world to a folder.
//!
//! ```text
//! flows/<vantage>/<YYYY-MM>.parquet   mapping.toml   vantages/<id>.toml
//! zeek/office/<YYYY-MM>/*.log         registry/holders-<date>.csv
//! truth/                              (no analysis reads it)
//! ```
//!
//! **Invariant:** equal parameters give equal bytes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::flows::{self, Tables};
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
    let (tables, flows) = flow_tables(&world, &mut books, dir, progress)?;
    file(&dir.join("mapping.toml"), flows::MAPPING)?;
    for (id, text) in vantages::FILES {
        file(&folder(dir.join("vantages"))?.join(format!("{id}.toml")), text)?;
    }
    let office = folder(dir.join("zeek").join(zeek::ID))?;
    let zeek_logs = zeek::write(&world, &office)?;
    registry::write(&world, &folder(dir.join("registry"))?)?;
    let tally = books.tally();
    truth::write(&world, &books, &tally, &folder(dir.join("truth"))?)?;
    Ok(Written { flows, tables, zeek_logs, tally })
}

fn flow_tables(
    world: &World,
    books: &mut Books<'_>,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<PathBuf>, u64), Error> {
    let tables = Tables::new(&world.servers);
    let (mut paths, mut flows) = (Vec::new(), 0);
    for seen in Seen::ALL {
        folder(dir.join("flows").join(seen.id()))?;
    }
    for month in 0..12u32 {
        let index = month as usize;
        let mut page = Page::with_rows(world);
        traffic::month(world, index, &mut page);
        for (seen, rows) in Seen::ALL.into_iter().zip(&mut page.rows) {
            let name = format!("2024-{:02}.parquet", month + 1);
            let path = dir.join("flows").join(seen.id()).join(name);
            tables.write(&path, rows)?;
            flows += rows.len() as u64;
            paths.push(path);
        }
        books.close(index, page);
        progress(Progress { months_done: month + 1, months: 12, flows });
    }
    paths.sort();
    Ok((paths, flows))
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
