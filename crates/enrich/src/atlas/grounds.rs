//! Why an answer is what it is: for organisation, kind, sharing and sector, the source and
//! the rule that decided.
//!
//! **Invariant:** a ground is found by the same search as the answer ([`Tags`]), over the
//! observations that the answer rests on; so a ground never explains an answer that was not
//! given.

use std::fmt;

use tidegauge_model::observation::Field;
use tidegauge_model::{Day, NetworkKind, Observation, SourceId};

use super::lookup::{Explained, Why};
use super::tags::{Deciding, Meaning};
use super::{Rules, Tags};

/// What decided one thing of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// What was decided: `organisation`, `kind`, `shared` or `sector`.
    pub of: &'static str,
    /// What was decided on: `own`, `education`.
    pub answer: String,
    /// The source whose word counted.
    pub source: SourceId,
    /// The day of its snapshot.
    pub snapshot: Day,
    /// The rule: `tag gov`, `status ASSIGNED PI`, `holder row`.
    pub rule: String,
    /// Why the rule is as it is.
    pub reason: String,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, answer, source, snapshot, rule, reason } = self;
        write!(f, "{of} {answer}: {rule} of {source}, {snapshot}. {reason}")
    }
}

/// Rules that are not in a file.
const HOLDER_ROW: &str = "A row of your own table stands over all others.";
const PROVIDER_LIST: &str = "A provider knows which ranges are its own.";
const OF_HANDLE: &str = "The AS is registered to it.";
const ITSELF: &str = "No table tells whose the AS is, so it stands for itself.";

/// What decided `explained`: at most one ground each, in a fixed order. What nothing
/// decided (`unknown`, nobody) has none.
pub fn grounds(explained: &Explained, rules: &Rules) -> Vec<Ground> {
    let all = All { explained, tags: &rules.tags };
    let found = [all.organisation(), all.kind(), all.shared(), all.sector()];
    found.into_iter().flatten().collect()
}

struct All<'a> {
    explained: &'a Explained,
    tags: &'a Tags,
}

/// Who tells the organisation, and with it kind and sharing, unless a tag does.
enum Layer<'a> {
    Row(&'a Observation),
    Provider(&'a Observation),
    Registered(&'a Observation, &'a Meaning),
    Network,
}

impl<'a> All<'a> {
    fn first(&self, field: Field, of_range: bool) -> Option<&'a Observation> {
        let mut all = self.explained.observations.iter();
        all.find(|o| o.field == field && o.range.is_some() == of_range)
    }

    fn layer(&self) -> Layer<'a>
    where
        Self: 'a,
    {
        if let Some(row) = self.first(Field::Holder, true) {
            return Layer::Row(row);
        }
        if let Some(list) = self.first(Field::Provider, true) {
            return Layer::Provider(list);
        }
        let registered = self.first(Field::Registration, true);
        let status = registered.and_then(|o| self.tags.status(o.detail.get("status")?));
        match (registered, status) {
            (Some(registered), Some(status))
                if status.holds && self.explained.why == Why::Registry =>
            {
                Layer::Registered(registered, status)
            }
            _ => Layer::Network,
        }
    }

    fn organisation(&self) -> Option<Ground> {
        let id = self.explained.attribution.organisation.as_ref()?;
        let ground = |o: &Observation, rule: &str, reason: &str| {
            ground("organisation", id.to_string(), o, rule.to_owned(), reason)
        };
        match self.layer() {
            Layer::Row(row) => Some(ground(row, "holder row", HOLDER_ROW)),
            Layer::Provider(list) => {
                Some(ground(list, "provider's list", PROVIDER_LIST))
            }
            Layer::Registered(of, status) => {
                Some(ground(of, &format!("status {}", status.word), &status.reason))
            }
            Layer::Network => {
                let of_as = self.first(Field::Registration, false);
                let of_as = of_as.filter(|o| !o.value.is_empty());
                let handle =
                    of_as.map(|o| ground(o, "registration of the AS", OF_HANDLE));
                handle.or_else(|| {
                    let origin = self.first(Field::Origin, true)?;
                    Some(ground(origin, "origin AS", ITSELF))
                })
            }
        }
    }

    fn kind(&self) -> Option<Ground> {
        let kind = self.explained.attribution.kind;
        let answer = || kind.to_string();
        if kind == NetworkKind::Unknown {
            return None;
        }
        let layer = self.layer();
        if let Layer::Row(row) = layer {
            return Some(ground(
                "kind",
                answer(),
                row,
                "holder row".to_owned(),
                HOLDER_ROW,
            ));
        }
        let told = self.of_range(|d| d.kind).filter(|(_, m)| m.kind == Some(kind));
        if let Some((tag, meaning)) = told {
            return Some(of_meaning("kind", answer(), tag, meaning, "tag"));
        }
        match layer {
            Layer::Provider(list) => {
                let rule = "provider's list".to_owned();
                Some(ground("kind", answer(), list, rule, PROVIDER_LIST))
            }
            Layer::Registered(of, status) => {
                Some(of_meaning("kind", answer(), of, status, "status"))
            }
            _ => self.of_as("kind", answer(), |d| d.kind),
        }
    }

    fn shared(&self) -> Option<Ground> {
        let shared = self.explained.attribution.shared;
        let answer = || shared.to_string();
        let layer = self.layer();
        let stated = |o: &Observation| o.detail.contains_key("shared");
        if let Layer::Row(row) = layer {
            let rule = "holder row".to_owned();
            return stated(row)
                .then(|| ground("shared", answer(), row, rule, HOLDER_ROW));
        }
        let told =
            self.of_range(|d| d.shared).filter(|(_, m)| m.shared == Some(shared));
        if let Some((tag, meaning)) = told {
            return Some(of_meaning("shared", answer(), tag, meaning, "tag"));
        }
        match layer {
            Layer::Provider(list) => {
                let rule = "provider's list".to_owned();
                Some(ground("shared", answer(), list, rule, PROVIDER_LIST))
            }
            Layer::Registered(..) => None,
            _ => self.of_as("shared", answer(), |d| d.shared),
        }
    }

    fn sector(&self) -> Option<Ground> {
        let sector = self.explained.organisation.as_ref()?.sector.as_ref()?;
        if let Layer::Row(row) = self.layer() {
            let rule = "holder row".to_owned();
            return Some(ground("sector", sector.to_string(), row, rule, HOLDER_ROW));
        }
        self.of_as("sector", sector.to_string(), |d| {
            d.sectors.first().copied().filter(|m| m.sector.as_ref() == Some(sector))
        })
    }

    /// What a tag of the range decides.
    fn of_range(
        &self,
        pick: impl Fn(&Deciding<'a>) -> Option<&'a Meaning>,
    ) -> Option<(&'a Observation, &'a Meaning)> {
        let tag = self.first(Field::RangeTag, true)?;
        let words: Vec<_> = tag.value.split(';').map(str::trim).collect();
        Some((tag, pick(&self.tags.deciding(&words, None))?))
    }

    /// What a tag or the class of the AS decides.
    fn of_as(
        &self,
        of: &'static str,
        answer: String,
        pick: impl Fn(&Deciding<'a>) -> Option<&'a Meaning>,
    ) -> Option<Ground> {
        let facts: Vec<_> = self.explained.observations.iter().collect();
        let word = |o: &'a Observation| match o.field {
            Field::AsTag => Some(o.value.as_str()),
            Field::Domain => o.detail.get("tag").map(String::as_str),
            _ => None,
        };
        let words: Vec<_> = facts.iter().filter_map(|o| word(o)).collect();
        let class = |o: &'a Observation| {
            let class = o.detail.get("class").filter(|_| o.field == Field::AsName);
            class.map(String::as_str).filter(|c| !c.eq_ignore_ascii_case("unknown"))
        };
        let first_class = facts.iter().find_map(|o| class(o));
        let meaning = pick(&self.tags.deciding(&words, first_class))?;
        if let Some(by) = facts.iter().find(|o| word(o) == Some(&meaning.word)) {
            let what =
                if by.field == Field::Domain { "tag of its domain" } else { "tag" };
            return Some(of_meaning(of, answer, by, meaning, what));
        }
        let by = facts.iter().find(|o| class(o) == Some(&meaning.word))?;
        Some(of_meaning(of, answer, by, meaning, "class"))
    }
}

fn of_meaning(
    of: &'static str,
    answer: String,
    by: &Observation,
    meaning: &Meaning,
    what: &str,
) -> Ground {
    ground(of, answer, by, format!("{what} {}", meaning.word), &meaning.reason)
}

fn ground(
    of: &'static str,
    answer: String,
    by: &Observation,
    rule: String,
    reason: &str,
) -> Ground {
    let (source, snapshot) = (by.source.clone(), by.snapshot);
    Ground { of, answer, source, snapshot, rule, reason: reason.to_owned() }
}
