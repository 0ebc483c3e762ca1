//! The truth folder read back.
//!
//! **Invariant:** what is true is counted from the days on which each organisation had the
//! product, never from sums that the folder has as well.

use std::collections::BTreeMap;
use std::path::Path;

use tidegauge_model::{Day, DayRange};

use crate::calendar::{self, DAYS, YearDay};
use crate::hazard::Presence;
use crate::params::Story;
use crate::tally::ACTIVE_DAYS;
use crate::{Error, Params};

/// A world's members and what became of the sight of them.
pub(super) struct Truth {
    pub(super) world: Story,
    members: Vec<Member>,
    /// Share of contacts that go to known hosts in the middle of each month, by country
    /// and, in the United States, sector.
    known: BTreeMap<(String, String), [f64; 12]>,
}

struct Member {
    country: String,
    sector: String,
    presence: Presence,
    dark: YearDay,
    /// Days of each month on which it was seen.
    observed: [u32; 12],
}

/// What is true, and what was to be seen, of a group in two windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Facts {
    /// Organisations with the product on any day before.
    pub(super) users_before: u64,
    /// Organisations seen as active before.
    pub(super) cohort: u64,
    /// Share of the cohort without the product on every day after.
    pub(super) removal: f64,
    /// Share of the cohort not seen as active after.
    pub(super) observed_removal: f64,
    /// Fall of the number of organisations with the product.
    pub(super) net_change: f64,
    /// Fall of the number seen as active.
    pub(super) observed_net_change: f64,
    /// Share of the cohort that is dark in the middle of the window after, or that could
    /// be told by no host known.
    pub(super) hidden: f64,
}

impl Truth {
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("params.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| Error::Read { path, source })?;
        let params = Params::read(&text)?;
        let mut months: BTreeMap<String, [u32; 12]> = BTreeMap::new();
        each_row(folder, "status.csv", |row| {
            let month = row.month("month")?;
            let bits = u32::from_str_radix(row.text("observed_bits")?, 16);
            let bits = bits.map_err(|_| row.wrong("observed_bits"))?;
            let id = row.text("organisation")?.to_owned();
            months.entry(id).or_default()[month] = bits;
            Ok(())
        })?;
        let mut members = Vec::new();
        each_row(folder, "organisations.csv", |row| {
            members.push(Member {
                country: row.text("country")?.to_owned(),
                sector: row.text("sector")?.to_owned(),
                presence: Presence {
                    from: row.day("from")?,
                    until: row.day("until")?,
                    back: row.day("back")?,
                },
                dark: row.day("dark")?,
                observed: months.remove(row.text("organisation")?).unwrap_or_default(),
            });
            Ok(())
        })?;
        let mut known: BTreeMap<_, [f64; 12]> = BTreeMap::new();
        each_row(folder, "sight.csv", |row| {
            let key = (row.text("country")?.to_owned(), row.text("sector")?.to_owned());
            let share = row.text("known_hosts")?.parse();
            let share = share.map_err(|_| row.wrong("known_hosts"))?;
            known.entry(key).or_default()[row.month("month")?] = share;
            Ok(())
        })?;
        Ok(Self { world: params.world, members, known })
    }

    /// Of a country, a sector, both or all.
    pub(super) fn of(
        &self,
        (country, sector): (Option<&str>, Option<&str>),
        before: DayRange,
        after: DayRange,
    ) -> Facts {
        let is_of = |m: &&Member| {
            country.is_none_or(|c| c == m.country)
                && sector.is_none_or(|s| s == m.sector)
        };
        let mut sum = Sum::default();
        for member in self.members.iter().filter(is_of) {
            let [users, active] = [before, after].map(|w| member.on(w));
            let seen = [before, after].map(|w| member.active(w));
            sum.users[0] += u64::from(users);
            sum.users[1] += u64::from(active);
            sum.active[0] += u64::from(seen[0]);
            sum.active[1] += u64::from(seen[1]);
            if seen[0] {
                sum.left += u64::from(!active);
                sum.unseen += u64::from(!seen[1]);
                sum.hidden += self.hidden(member, before, after);
            }
        }
        sum.seen()
    }

    fn hidden(&self, member: &Member, before: DayRange, after: DayRange) -> f64 {
        let middle = |w: DayRange| {
            let [first, last] = [w.first(), w.last()]
                .map(|d| calendar::year_day(d).unwrap_or(DAYS - 1));
            first.midpoint(last)
        };
        if middle(after) >= member.dark {
            return 1.0;
        }
        let country = || member.country.clone();
        let of_stratum = self
            .known
            .get(&(country(), member.sector.clone()))
            .or_else(|| self.known.get(&(country(), String::new())));
        let share = |w| of_stratum.map_or(1.0, |known| known[month_of(middle(w))]);
        let (before, after) = (share(before), share(after));
        if before > 0.0 { (1.0 - after / before).max(0.0) } else { 0.0 }
    }
}

#[derive(Default)]
struct Sum {
    users: [u64; 2],
    active: [u64; 2],
    left: u64,
    unseen: u64,
    hidden: f64,
}

impl Sum {
    #[expect(clippy::cast_precision_loss, reason = "counts of organisations")]
    fn seen(&self) -> Facts {
        let share = |part: f64, whole: u64| {
            if whole == 0 { 0.0 } else { part / whole as f64 }
        };
        let fall = |[before, after]: [u64; 2]| {
            if before == 0 { 0.0 } else { 1.0 - after as f64 / before as f64 }
        };
        let cohort = self.active[0];
        Facts {
            users_before: self.users[0],
            cohort,
            removal: share(self.left as f64, cohort),
            observed_removal: share(self.unseen as f64, cohort),
            net_change: fall(self.users),
            observed_net_change: fall(self.active),
            hidden: share(self.hidden, cohort),
        }
    }
}

impl Member {
    /// Whether it had the product on any day.
    fn on(&self, window: DayRange) -> bool {
        days(window).any(|day| self.presence.on(day))
    }

    /// Whether it was seen on as many days as make it active.
    fn active(&self, window: DayRange) -> bool {
        let seen = |day: &YearDay| {
            let month = month_of(*day);
            self.observed[month] >> (day - calendar::month(month).0) & 1 == 1
        };
        days(window).filter(seen).count() >= ACTIVE_DAYS as usize
    }
}

/// The days of a window that lie in the year.
fn days(window: DayRange) -> impl Iterator<Item = YearDay> {
    let [first, last] = [window.first(), window.last()].map(calendar::year_day);
    first.unwrap_or(DAYS)..last.map_or(0, |d| d + 1)
}

fn month_of(day: YearDay) -> usize {
    let starts = calendar::MONTH_STARTS;
    starts.partition_point(|start| *start <= day).saturating_sub(1).min(11)
}

/// A row of a file of the folder, by names of columns.
struct Row {
    path: std::path::PathBuf,
    names: csv::StringRecord,
    fields: csv::StringRecord,
}

impl Row {
    fn text(&self, column: &'static str) -> Result<&str, Error> {
        let place = self.names.iter().position(|n| n == column);
        let field = place.and_then(|p| self.fields.get(p));
        field.ok_or_else(|| self.wrong(column))
    }

    fn wrong(&self, column: &'static str) -> Error {
        let line = self.fields.position().map_or(0, csv::Position::line);
        Error::Truth { path: self.path.clone(), line, column }
    }

    /// A day of the year; the end of the year if empty.
    fn day(&self, column: &'static str) -> Result<YearDay, Error> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Ok(DAYS);
        }
        let day = text.parse::<Day>().ok().and_then(calendar::year_day);
        day.ok_or_else(|| self.wrong(column))
    }

    /// The place of a month in the year.
    fn month(&self, column: &'static str) -> Result<usize, Error> {
        let number = self.text(column)?.strip_prefix("2024-");
        let number = number.and_then(|n| n.parse::<usize>().ok());
        let place = number.and_then(|n| n.checked_sub(1)).filter(|n| *n < 12);
        place.ok_or_else(|| self.wrong(column))
    }
}

fn each_row(
    folder: &Path,
    name: &str,
    mut take: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = folder.join(name);
    let wrong = |source| Error::Csv { path: path.clone(), source };
    let mut reader = csv::Reader::from_path(&path).map_err(wrong)?;
    let names = reader.headers().map_err(wrong)?.clone();
    let mut row = Row { path: path.clone(), names, fields: csv::StringRecord::new() };
    while reader.read_record(&mut row.fields).map_err(wrong)? {
        take(&row)?;
    }
    Ok(())
}
