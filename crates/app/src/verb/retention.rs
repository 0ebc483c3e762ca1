//! `tidegauge lake retention` and `lake key`: addresses that are kept no longer than they must
//! be, and the keys of the pseudonyms in their place.
//!
//! **Invariant:** the keys must be those that the lake's pseudonyms were made with, and perhaps
//! more: with others equal addresses would have two pseudonyms, and be counted twice
//! ([`crate::pseudonyms`]).

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use tidegauge_enrich::atlas::HolderMap;
use tidegauge_enrich::pseudonym::{self, Keys};
use tidegauge_model::pseudonym::Pseudonym;
use tidegauge_model::{Address, Client, Day, Month, Observation};
use tidegauge_store::{DataFile, Lake, Pseudonymised, Pseudonyms, RunRecord, Table};

use crate::holders;
use crate::output::{Rows, Value};
use crate::pseudonyms::{VERB, claim, record, recorded};
use crate::settings::Settings;
use crate::verb::lake::unnamed_files;
use crate::{args, clock, secret};

/// The earliest day that can be asked for: no telemetry is older.
const EARLIEST: Day = Day(0);

/// Makes a file of one key, or adds one to those of a file.
pub(crate) fn key(path: &Path, lake: &str) -> anyhow::Result<Rows> {
    // A link stays one: what it leads to is written.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = path.try_exists().with_context(|| path.display().to_string())?;
    let keys = if there {
        read(path)?.and(secret::random()?)?
    } else {
        Keys::first(secret::random()?)
    };
    let inside = std::fs::canonicalize(secret::folder(path))
        .and_then(|folder| Ok(folder.starts_with(std::fs::canonicalize(lake)?)));
    ensure!(
        !inside.unwrap_or(false),
        "{} is inside the lake, whose copies would have the keys too",
        path.display()
    );
    secret::write(path, &keys.text())?;
    let mut rows = Rows::new("lake_key", ["key", "fingerprint"]);
    for (number, print) in (1..).zip(keys.fingerprints()) {
        rows.push(vec![Value::Int(number), Value::text(print)]);
    }
    rows.notes.push(format!(
        "{} is the only place that has the keys: keep a copy away from the lake and its \
         backups; without it an address that is seen again counts as another",
        path.display()
    ));
    Ok(rows)
}

/// Reads a file of keys.
pub(crate) fn read(path: &Path) -> anyhow::Result<Keys> {
    let text = std::fs::read_to_string(path).with_context(|| {
        let hint = match path.try_exists() {
            Ok(false) => " (hint: `tidegauge lake key FILE` makes one)",
            _ => "",
        };
        format!("{} cannot be read{hint}", path.display())
    })?;
    if !secret::is_private(path) {
        tracing::warn!("others than its owner may read {}", path.display());
    }
    Keys::read(&text).with_context(|| format!("{} is no file of keys", path.display()))
}

/// Puts pseudonyms in the place of addresses.
pub(crate) async fn run(
    lake: &Lake,
    asked: &args::Retention,
    settings: &Settings,
) -> anyhow::Result<Rows> {
    let started = clock::now();
    let before = boundary(asked)?;
    let keys = read(&asked.key)?;
    let earlier = recorded(lake).await?;
    earlier.accept(&keys).with_context(|| asked.key.display().to_string())?;
    let map = holders::map(lake, settings, args::MapRules::DEFAULT).await?.map;
    ensure!(
        asked.without_holders || !map.tables().is_empty(),
        "no table tells who holds an address, and pseudonyms would be nobody's for ever \
         (hint: `tidegauge atlas import`; --without-holders if that is meant)"
    );
    let until = earlier.before.map_or(before, |earlier| earlier.max(before));
    let mut maker = Maker::new(&keys, &map, before, until);
    let files = lake.snapshot(Table::Sightings).await?.files;
    let month = |file: &DataFile| file.partition_month.as_ref()?.parse().ok();
    let mut done = Pseudonymised::default();
    if files.iter().any(|file| maker.may_change(month(file))) {
        claim(lake, &keys, before, started).await?;
        let of_run = |what: &str| format!("retention:{}:{what}", started.0);
        let begun = record(&of_run("begun"), VERB, started, before, &done);
        lake.record_run(&RunRecord { outcome: "begun".to_owned(), ..begun }).await?;
        done = lake.pseudonymise(&mut maker).await?;
        lake.record_run(&record(&of_run("done"), VERB, started, before, &done)).await?;
    }
    let columns = [
        "before",
        "rows",
        "of_nobody",
        "files_rewritten",
        "files_unnamed",
        "classes_added",
    ];
    let mut rows = Rows::new("lake_retention", columns);
    let mut row = vec![Value::text(before)];
    let counts = [done.rows, maker.of_nobody, done.files, done.unnamed, maker.added];
    row.extend(counts.map(Value::Int));
    rows.push(row);
    rows.notes.extend(unnamed_files(Table::Sightings, done.unnamed));
    rows.notes.push(
        "pseudonyms keep the holders of each day as they are known now; coverage and look-ups \
         know networks (/24 and /48) at most, and stay; findings, reports, exports, backups \
         and what you ingested are files of their own"
            .to_owned(),
    );
    Ok(rows)
}

/// The day before which addresses are not kept.
fn boundary(asked: &args::Retention) -> anyhow::Result<Day> {
    let today = clock::today();
    let before = match (asked.before, asked.months) {
        (Some(day), _) => day,
        (None, Some(months)) => {
            let month = today.month().back(months);
            month.context("--months reaches too far back")?.first()
        }
        (None, None) => bail!("--before or --months must be given"),
    };
    ensure!(
        (EARLIEST..=today).contains(&before),
        "addresses can be kept from a day between {EARLIEST} and {today}, not from {before}"
    );
    Ok(before)
}

/// Makes pseudonyms of addresses of days before one, by their holders on each day.
struct Maker<'a> {
    keys: &'a Keys,
    map: &'a HolderMap,
    before: Day,
    /// No file of a month from here on has a pseudonym.
    until: Day,
    /// Classes and families whose holders are in the lake, or in `held`.
    known: HashSet<(u64, bool)>,
    held: Vec<Observation>,
    added: u64,
    /// Rows whose address nobody is known to have held.
    of_nobody: u64,
    /// The last answer: sightings come in the order of addresses.
    last: Option<(Client, u64, Address)>,
}

impl<'a> Maker<'a> {
    fn new(keys: &'a Keys, map: &'a HolderMap, before: Day, until: Day) -> Self {
        let (known, held) = (HashSet::new(), Vec::new());
        let (added, of_nobody, last) = (0, 0, None);
        Self { keys, map, before, until, known, held, added, of_nobody, last }
    }

    /// The class of whoever held an address. Private clients are held by their site, which
    /// stays.
    fn class(&mut self, client: &Client, day: Day) -> u64 {
        if client.site.is_some() {
            return 0;
        }
        // Confidence is taken as it was, not as it ages: else each day made another class.
        let held = self.map.held(client.address, day);
        let attribution = held.unaged();
        self.of_nobody += u64::from(attribution.organisation.is_none());
        let class = pseudonym::class(attribution);
        let v6 = !client.address.is_v4();
        if self.known.insert((class, v6)) {
            let (first, _) = Pseudonym::block(v6, class);
            let told = self.map.held(first, day).unaged();
            let is_there = told.organisation.is_some() || told.addr_country.is_some();
            let new = pseudonym::held(class, v6, attribution);
            if let Some(new) = new.filter(|_| !is_there) {
                self.held.push(new);
                self.added += 1;
            }
        }
        class
    }
}

impl Pseudonyms for Maker<'_> {
    fn may_change(&self, month: Option<Month>) -> bool {
        month.is_none_or(|month| month.first() < self.until)
    }

    fn pseudonym(&mut self, client: &Client, day: Day) -> Option<Address> {
        if let Some(there) = Pseudonym::of(client.address) {
            return self.keys.renewed(there).map(Pseudonym::address);
        }
        if day >= self.before {
            return None;
        }
        let class = self.class(client, day);
        if let Some((last, of, address)) = &self.last
            && (last, *of) == (client, class)
        {
            return Some(*address);
        }
        let address = self.keys.pseudonym(client, class);
        self.last = Some((client.clone(), class, address));
        Some(address)
    }

    fn held(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.held)
    }
}
