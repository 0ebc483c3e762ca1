//! `tidegauge lake retention` and `lake key`: addresses that are kept no longer than they must
//! be, and the keys of the pseudonyms in their place.
//!
//! **Invariant:** the keys must be those that the lake's pseudonyms were made with, and perhaps
//! more: with others equal addresses would have two pseudonyms, and be counted twice. A run says
//! in the lake which keys it takes before it changes anything.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use tidegauge_enrich::atlas::Atlas;
use tidegauge_enrich::pseudonym::{self, Keys};
use tidegauge_model::pseudonym::Pseudonym;
use tidegauge_model::{Address, Client, Day, Month, Observation};
use tidegauge_store::{Lake, Pseudonyms, RunRecord};

use crate::opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{args, clock, secret};

/// The verb under which runs are recorded.
const VERB: &str = "lake retention";

/// Makes a file of one key, or adds one to those of a file.
pub(crate) fn key(path: &Path) -> anyhow::Result<Rows> {
    let keys = if path.exists() {
        read(path)?.and(secret::random()?)?
    } else {
        Keys::first(secret::random()?)
    };
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

fn read(path: &Path) -> anyhow::Result<Keys> {
    let hint = "hint: `tidegauge lake key FILE` makes one";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read ({hint})", path.display()))?;
    Keys::read(&text).with_context(|| format!("{} ({hint})", path.display()))
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
    let atlas = opened::atlas(lake, settings, asked.map).await?;
    let told = &atlas.notes().tables;
    ensure!(
        asked.without_holders || !told.is_empty(),
        "no table tells who holds an address, and pseudonyms would be nobody's for ever \
         (hint: `tidegauge atlas import`; --without-holders if that is meant)"
    );
    let record = |finished, state: &str, outcome| RunRecord {
        id: format!("retention:{}:{state}", started.0),
        started,
        finished,
        verb: VERB.to_owned(),
        arguments: serde_json::json!({ "before": before, "keys": keys.fingerprints() }),
        versions: serde_json::json!({ "program": env!("CARGO_PKG_VERSION") }),
        inputs: serde_json::json!([]),
        outcome,
    };
    lake.record_run(&record(started, "begun", "begun".to_owned())).await?;
    let until = earlier.before.map_or(before, |earlier| earlier.max(before));
    let mut maker = Maker::new(&keys, &atlas, before, until);
    let done = lake.pseudonymise(&mut maker).await?;
    let outcome = format!("{} rows", done.rows);
    lake.record_run(&record(clock::now(), "done", outcome)).await?;
    let columns = ["before", "rows", "files_rewritten", "classes_added"];
    let mut rows = Rows::new("lake_retention", columns);
    let mut row = vec![Value::text(before)];
    row.extend([done.rows, done.files, maker.added].map(Value::Int));
    rows.push(row);
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
        before <= today,
        "--before {before} is in the future (hint: a day up to {today})"
    );
    Ok(before)
}

/// What runs before this one took.
#[derive(Default)]
pub(crate) struct Earlier {
    /// The latest day before which addresses were replaced.
    pub(crate) before: Option<Day>,
    /// Fingerprints of the most keys taken.
    keys: Vec<String>,
}

/// What the lake's runs tell of pseudonyms.
pub(crate) async fn recorded(lake: &Lake) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier::default();
    for run in lake.runs().await?.into_iter().filter(|run| run.verb == VERB) {
        let told = |key: &str| run.arguments.get(key).cloned().unwrap_or_default();
        let before: Option<Day> = serde_json::from_value(told("before"))
            .with_context(|| format!("the run {} tells no day", run.id))?;
        let keys: Vec<String> = serde_json::from_value(told("keys"))
            .with_context(|| format!("the run {} tells no keys", run.id))?;
        earlier.before = earlier.before.max(before);
        if keys.len() > earlier.keys.len() {
            earlier.keys = keys;
        }
    }
    Ok(earlier)
}

impl Earlier {
    fn accept(&self, keys: &Keys) -> anyhow::Result<()> {
        let prints = keys.fingerprints();
        let there = prints.iter().zip(&self.keys).take_while(|(a, b)| a == b).count();
        if there == self.keys.len() {
            return Ok(());
        }
        bail!(
            "the lake's pseudonyms were made with {} keys, of which the file has the first \
             {there} (fingerprint of the next: {}); with other keys an address would have two \
             pseudonyms and count twice",
            self.keys.len(),
            self.keys.get(there).map_or("", String::as_str)
        )
    }
}

/// Makes pseudonyms of addresses of days before one, by their holders on each day.
struct Maker<'a> {
    keys: &'a Keys,
    atlas: &'a Atlas,
    before: Day,
    /// No file of a month from here on has a pseudonym.
    until: Day,
    /// Classes and families whose holders are in the lake, or in `held`.
    known: HashSet<(u64, bool)>,
    held: Vec<Observation>,
    added: u64,
    /// The last answer: sightings come in the order of addresses.
    last: Option<(Client, u64, Address)>,
}

impl<'a> Maker<'a> {
    fn new(keys: &'a Keys, atlas: &'a Atlas, before: Day, until: Day) -> Self {
        let (known, held) = (HashSet::new(), Vec::new());
        Self { keys, atlas, before, until, known, held, added: 0, last: None }
    }

    /// The class of whoever held an address. Private clients are held by their site, which
    /// stays.
    fn class(&mut self, client: &Client, day: Day) -> u64 {
        if client.site.is_some() {
            return 0;
        }
        // Confidence is taken as it was, not as it ages: else each day made another class.
        let held = self.atlas.held(client.address, day);
        let attribution = held.unaged();
        let class = pseudonym::class(attribution);
        let v6 = !client.address.is_v4();
        if self.known.insert((class, v6)) {
            let (first, _) = Pseudonym::block(v6, class);
            let told = self.atlas.held(first, day).unaged();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_must_be_those_that_were_taken_and_perhaps_more() {
        let one = Keys::first([1; secret::BYTES]);
        let two = one.clone().and([2; secret::BYTES]).unwrap();
        let earlier = |keys: &Keys| Earlier { before: None, keys: keys.fingerprints() };
        assert!(Earlier::default().accept(&one).is_ok());
        assert!(earlier(&one).accept(&two).is_ok());
        assert!(earlier(&two).accept(&two).is_ok());
        let other = Keys::first([1; secret::BYTES]).and([3; secret::BYTES]).unwrap();
        for wrong in [one, other] {
            let words = earlier(&two).accept(&wrong).unwrap_err().to_string();
            assert!(words.contains("the file has the first 1"), "{words}");
        }
    }
}
