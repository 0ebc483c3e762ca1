//! What a reader typed behind the `?`, checked key by key.
//!
//! **Invariant:** a key that a route does not know is refused, never ignored: a filter
//! that was misspelt would otherwise give the wrong number without a word.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{Day, DayRange, Month, ProductId, SectorId};

use super::Comparison;
use super::answer::Problem;
use super::param::Param;
use super::selection::joined;

/// Values in one list: far above any sensible question.
const LIST_MAX: usize = 64;

/// Pairs of key and value, each key at most once.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    values: BTreeMap<String, String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        type Pairs = axum::extract::Query<Vec<(String, String)>>;
        let pairs: Result<Pairs, QueryRejection> =
            Pairs::from_request_parts(parts, state).await;
        let pairs = pairs.map_err(|_| {
            Problem::asked("the query cannot be read", "write key=value&key=value")
        })?;
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in pairs.0 {
            if value.is_empty() {
                // An empty field of a form is a field that was not filled in.
                continue;
            }
            match values.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                // Boxes of a form repeat their key.
                Entry::Occupied(mut taken) if taken.key() == "of" => {
                    taken.get_mut().push(',');
                    taken.get_mut().push_str(&value);
                }
                Entry::Occupied(taken) => {
                    let what = format!("`{}` is given twice", taken.key());
                    return Err(Problem::asked(what, "separate values by commas"));
                }
            }
        }
        Ok(Self { values })
    }
}

impl Asked {
    /// Refuses keys outside `known`.
    pub(super) fn only(self, known: &[Param]) -> Result<Self, Problem> {
        let names: Vec<&str> = known.iter().map(|p| p.name).collect();
        match self.values.keys().find(|key| !names.contains(&key.as_str())) {
            None => Ok(self),
            Some(key) if known.is_empty() => Err(Problem::asked(
                format!("`{key}` is not a key of this route"),
                "this route takes no query",
            )),
            Some(key) => Err(Problem::asked(
                format!("`{key}` is not a key of this route"),
                format!("known are {}", names.join(", ")),
            )),
        }
    }

    /// The same question with one value changed, as the query of an address.
    pub(super) fn with(&self, key: &str, value: u32) -> String {
        let kept = self.values.iter().filter(|(k, _)| *k != key);
        let mut pairs: Vec<(&str, String)> =
            kept.map(|(k, v)| (k.as_str(), v.clone())).collect();
        pairs.push((key, value.to_string()));
        joined(&pairs)
    }

    /// The form of the answer: one of `forms`, the first if absent.
    pub(super) fn format(
        &self,
        forms: &[&'static str],
    ) -> Result<&'static str, Problem> {
        let asked = self.text("format").or(forms.first().copied()).unwrap_or_default();
        forms.iter().find(|form| **form == asked).copied().ok_or_else(|| {
            Problem::asked(
                format!("`format={asked}` is not a form of this answer"),
                format!("known are {}", forms.join(", ")),
            )
        })
    }

    /// A whole number between `least` and `most`.
    pub(super) fn number(
        &self,
        key: &str,
        (least, most): (u32, u32),
    ) -> Result<Option<u32>, Problem> {
        let number: Option<u32> = self.one(key)?;
        if number.is_some_and(|n| n < least || most < n) {
            let what = format!("`{key}` is out of range");
            return Err(Problem::asked(what, format!("from {least} to {most}")));
        }
        Ok(number)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// One value.
    pub(super) fn one<T>(&self, key: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        self.text(key).map(|text| read(key, text)).transpose()
    }

    /// Values separated by commas; none if the key is absent.
    pub(super) fn list<T>(&self, key: &str) -> Result<Vec<T>, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.text(key) else { return Ok(Vec::new()) };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > LIST_MAX {
            let what = format!("`{key}` has {} values", parts.len());
            return Err(Problem::asked(what, format!("give at most {LIST_MAX}")));
        }
        parts.into_iter().map(|part| read(key, part)).collect()
    }

    /// Names separated by commas, none of them empty.
    pub(super) fn names(&self, key: &str) -> Result<Vec<String>, Problem> {
        let names: Vec<String> = self.list(key)?;
        if names.iter().any(String::is_empty) {
            let what = format!("`{key}` has an empty value");
            return Err(Problem::asked(what, "leave the key out for all"));
        }
        Ok(names)
    }

    pub(super) fn products(&self) -> Result<Vec<ProductId>, Problem> {
        Ok(self.names("product")?.iter().map(ProductId::new).collect())
    }

    pub(super) fn sectors(&self) -> Result<Vec<SectorId>, Problem> {
        Ok(self.names("sector")?.iter().map(SectorId::new).collect())
    }

    /// The days from `from` to `to`, each a day or a month; absent ends are those of
    /// `known`.
    pub(super) fn days(&self, known: Option<DayRange>) -> Result<DayRange, Problem> {
        let end = |key: &str, pick: fn(DayRange) -> Day| {
            let given = self.text(key).map(|text| window(key, text)).transpose()?;
            given.or(known).map(pick).ok_or_else(|| {
                Problem::asked(
                    format!("`{key}` is missing and there is no data to take it from"),
                    "give from and to as YYYY-MM-DD or YYYY-MM",
                )
            })
        };
        let (from, to) = (end("from", DayRange::first)?, end("to", DayRange::last)?);
        DayRange::new(from, to).ok_or_else(|| {
            Problem::asked(
                format!("`from` ({from}) is after `to` ({to})"),
                "exchange them",
            )
        })
    }

    /// The first or the last day of what `key` says.
    pub(super) fn day(&self, key: &str, last: bool) -> Result<Option<Day>, Problem> {
        let given = self.text(key).map(|text| window(key, text)).transpose()?;
        Ok(given.map(|w| if last { w.last() } else { w.first() }))
    }

    /// The query of a census.
    pub(super) fn query(&self, known: Option<DayRange>) -> Result<Query, Problem> {
        let days = self.days(known)?;
        let mut query = Query::new(days);
        query.products = self.products()?;
        query.countries = self.list("country")?;
        query.sectors = self.sectors()?;
        query.known = self.one("known")?;
        if self.text("by").is_some() {
            query.by = self.list("by")?;
        }
        if let Some(on) = self.one::<Dating>("on")? {
            query.on = on;
        }
        if self.text("role").is_some() {
            query.roles = self.list("role")?;
        }
        if let Some(weight) = self.one("weight")? {
            query.weight_min = weight;
        }
        if self.text("kind").is_some() {
            query.organisation_kinds = self.list("kind")?;
        }
        if let Some(days) = self.number("active_days", (1, 366))? {
            query.active_days_min = days;
        }
        Ok(query)
    }

    /// The comparison of two windows.
    pub(super) fn comparison(&self) -> Result<Comparison, Problem> {
        let end = |key: &str| {
            let text = self.text(key).ok_or_else(|| {
                Problem::asked(
                    format!("`{key}` is missing"),
                    "give two windows, as in before=2024-04&after=2024-11",
                )
            })?;
            window(key, text)
        };
        let (before, after) = (end("before")?, end("after")?);
        let mut asked = Comparison::new(before, after).ok_or_else(|| {
            Problem::asked(
                format!(
                    "the windows have {} and {} days or overlap",
                    before.length_days(),
                    after.length_days()
                ),
                "give windows of equal length, the earlier one as before, as in \
                 before=2024-04-01..2024-04-30",
            )
        })?;
        asked.products = self.products()?;
        asked.countries = self.list("country")?;
        asked.sectors = self.sectors()?;
        asked.by = self.one("by")?;
        match asked.by {
            None | Some(Dimension::Country | Dimension::Sector) => Ok(asked),
            Some(other) => Err(Problem::asked(
                format!("estimates are not made by {other}"),
                "by is country or sector",
            )),
        }
    }
}

/// A day, a month, or two days with `..` between them.
fn window(key: &str, text: &str) -> Result<DayRange, Problem> {
    let whole = || Some(DayRange::month(text.parse::<Month>().ok()?));
    let single = || {
        let day: Day = text.parse().ok()?;
        DayRange::new(day, day)
    };
    let both = || {
        let (first, last) = text.split_once("..")?;
        DayRange::new(first.parse().ok()?, last.parse().ok()?)
    };
    whole().or_else(single).or_else(both).ok_or_else(|| {
        Problem::asked(
            format!("`{key}={text}` is not a window"),
            "write YYYY-MM, YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD",
        )
    })
}

fn read<T>(key: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|why: T::Err| {
        Problem::asked(format!("`{key}` cannot be read"), why.to_string())
    })
}
