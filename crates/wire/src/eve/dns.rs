//! `dns` events in the three layouts that Suricata has had.
//!
//! ```text
//! 1  one event a question, one event a record of the answer: rrname, rrtype, ttl, rdata
//! 2  one event an answer: rrname is the question, answers [{rrname, rrtype, ttl, rdata}],
//!    grouped {"A": […]} beside or instead
//! 3  the same with the question in queries [{rrname, rrtype}], and types request, response
//! ```
//!
//! **Invariant:** the host of an answer is the name that was asked for, not one that it is
//! an alias of. An answer that tells no time to live, such as one with `grouped` alone, is
//! none: nobody can say how long it holds.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Address, Reason};

use crate::cell::Cell;
use crate::join;
use crate::scan::{Known, Scan};

/// How many aliases of layout 1 are held to be followed, some 150 bytes each. The records
/// of an answer are written one after the other, so that a few hundred would do; picked by
/// hand, revisit.
const ALIASES_MAX: usize = 16_384;

/// The content of a `dns` event.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Dns<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cell<'a>,
    #[serde(borrow)]
    id: Cell<'a>,
    #[serde(borrow)]
    rrname: Cell<'a>,
    #[serde(borrow)]
    rrtype: Cell<'a>,
    #[serde(borrow)]
    ttl: Cell<'a>,
    #[serde(borrow)]
    rdata: Cell<'a>,
    #[serde(borrow)]
    queries: Option<Vec<Record<'a>>>,
    #[serde(borrow)]
    answers: Option<Vec<Record<'a>>>,
}

/// A question, or a record of an answer.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    rrname: Cell<'a>,
    #[serde(borrow)]
    rrtype: Cell<'a>,
    #[serde(borrow)]
    ttl: Cell<'a>,
    #[serde(borrow)]
    rdata: Cell<'a>,
}

impl<'a> Dns<'a> {
    /// Reads what is written plainly.
    pub(super) fn scanned(scan: &mut Scan<'a>) -> Option<Self> {
        let mut dns = Self::default();
        scan.object(|scan, key| match key {
            "type" => scan.keep(&mut dns.kind),
            "id" => scan.keep(&mut dns.id),
            "rrname" => scan.keep(&mut dns.rrname),
            "rrtype" => scan.keep(&mut dns.rrtype),
            "ttl" => scan.keep(&mut dns.ttl),
            "rdata" => scan.keep(&mut dns.rdata),
            "queries" => Record::all(scan, &mut dns.queries),
            "answers" => Record::all(scan, &mut dns.answers),
            _ => Some(Known::No),
        })?;
        Some(dns)
    }
}

impl<'a> Record<'a> {
    /// Reads an array of records, of a key that is there once.
    fn all(scan: &mut Scan<'a>, records: &mut Option<Vec<Self>>) -> Option<Known> {
        if records.is_some() {
            return None;
        }
        let all = records.insert(Vec::new());
        scan.array(|scan| {
            let mut record = Self::default();
            scan.object(|scan, key| match key {
                "rrname" => scan.keep(&mut record.rrname),
                "rrtype" => scan.keep(&mut record.rrtype),
                "ttl" => scan.keep(&mut record.ttl),
                "rdata" => scan.keep(&mut record.rdata),
                _ => Some(Known::No),
            })?;
            all.push(record);
            Some(())
        })?;
        Some(Known::Yes)
    }
}

/// What an event says.
#[derive(Debug, PartialEq)]
pub(super) struct Told<'a> {
    /// The name asked for.
    pub(super) host: Option<Cow<'a, str>>,
    /// Addresses, and for how many seconds they hold.
    pub(super) answered: Option<(Vec<Address>, u32)>,
}

impl Dns<'_> {
    pub(super) fn is_answer(&self) -> Result<bool, Reason> {
        Ok(matches!(self.kind.text()?, Some("answer" | "response")))
    }

    /// What the event says, of the flow of that key.
    pub(super) fn told(
        &self,
        key: u64,
        chains: &mut Chains,
    ) -> Result<Told<'_>, Reason> {
        let queries = self.queries.as_deref().unwrap_or_default();
        let answers = self.answers.as_deref().unwrap_or_default();
        let asked = match queries.first() {
            Some(query) => query.rrname.text()?,
            None => self.rrname.text()?,
        };
        if !self.is_answer()? {
            return Ok(Told { host: asked.map(Cow::Borrowed), answered: None });
        }
        if !matches!(self.rdata, Cell::Absent) {
            return self.one_record(asked, key, chains);
        }
        // Early ones of layout 2 tell the question nowhere else.
        let asked = match (asked, answers.first()) {
            (None, Some(record)) => record.rrname.text()?,
            (asked, _) => asked,
        };
        let mut addresses = Vec::new();
        let mut ttl_seconds: Option<u32> = None;
        for record in answers {
            addresses.extend(address(&record.rrtype, &record.rdata)?);
            let ttl = seconds(&record.ttl)?;
            ttl_seconds = ttl_seconds.into_iter().chain(ttl).min();
        }
        let answered = (!addresses.is_empty()).then_some(addresses).zip(ttl_seconds);
        Ok(Told { host: asked.map(Cow::Borrowed), answered })
    }

    /// A record of an answer in layout 1, whose owner may be an alias of what was asked.
    fn one_record<'s>(
        &'s self,
        owner: Option<&'s str>,
        key: u64,
        chains: &mut Chains,
    ) -> Result<Told<'s>, Reason> {
        let Some(owner) = owner else {
            return Ok(Told { host: None, answered: None });
        };
        let ttl = seconds(&self.ttl)?;
        let id = self.id.count()?;
        let place = |name: &str| join::key((key, id, canonical_host(name)));
        let (host, least) = match chains.get(place(owner)) {
            Some((asked, least)) => {
                (Cow::Owned(asked.clone()), ttl.map(|ttl| ttl.min(*least)))
            }
            None => (Cow::Borrowed(owner), ttl),
        };
        if let ("CNAME", Some(alias), Some(least)) =
            (self.rrtype.text()?.unwrap_or(""), self.rdata.text()?, least)
        {
            chains.insert(place(alias), (host.clone().into_owned(), least));
        }
        let addresses = address(&self.rrtype, &self.rdata)?.map(|one| vec![one]);
        Ok(Told { host: Some(host), answered: addresses.zip(least) })
    }
}

/// The address that a record is of, if it is.
fn address(rrtype: &Cell<'_>, rdata: &Cell<'_>) -> Result<Option<Address>, Reason> {
    match (rrtype.text()?, rdata.text()) {
        (Some("A" | "AAAA"), Ok(Some(text))) => {
            text.parse().map(Some).map_err(|_| Reason::Value)
        }
        _ => Ok(None),
    }
}

fn seconds(ttl: &Cell<'_>) -> Result<Option<u32>, Reason> {
    Ok(ttl.count()?.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)))
}

/// What aliases stand for: the name asked for, and the least time to live so far.
#[derive(Default)]
pub(super) struct Chains {
    /// The most recent; when it is full it becomes `old`, and what `old` held is forgotten.
    young: HashMap<u64, (String, u32)>,
    old: HashMap<u64, (String, u32)>,
}

impl Chains {
    fn get(&self, place: u64) -> Option<&(String, u32)> {
        self.young.get(&place).or_else(|| self.old.get(&place))
    }

    fn insert(&mut self, place: u64, chain: (String, u32)) {
        if self.young.len() >= ALIASES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(chains: &mut Chains, line: &str) -> (String, Option<(usize, u32)>) {
        let dns: Dns<'_> = serde_json::from_str(line).unwrap();
        let told = dns.told(7, chains).unwrap();
        let answered = told.answered.map(|(addresses, ttl)| (addresses.len(), ttl));
        (told.host.unwrap().into_owned(), answered)
    }

    fn alone(line: &str) -> (String, Option<(usize, u32)>) {
        told(&mut Chains::default(), line)
    }

    #[test]
    fn questions_have_one_name_in_every_layout() {
        let one =
            r#"{"type":"query","id":1,"rrname":"a.example","rrtype":"A","tx_id":0}"#;
        let three = r#"{"version":3,"type":"request","tx_id":0,"id":1,"flags":"100",
            "rd":true,"queries":[{"rrname":"a.example","rrtype":"A"}]}"#;
        assert_eq!(alone(one), ("a.example".to_owned(), None));
        assert_eq!(alone(three), ("a.example".to_owned(), None));
    }

    #[test]
    fn layout_one_follows_aliases_over_several_events() {
        let mut chains = Chains::default();
        let line = |id, name, kind, ttl, data| {
            format!(
                r#"{{"type":"answer","id":{id},"rcode":"NOERROR","rrname":"{name}",
                "rrtype":"{kind}","ttl":{ttl},"rdata":"{data}"}}"#
            )
        };
        let alias = line(1, "a.example", "CNAME", 20, "B.example.");
        assert_eq!(told(&mut chains, &alias), ("a.example".to_owned(), None));
        let further = line(1, "b.example", "CNAME", 300, "c.example");
        assert_eq!(told(&mut chains, &further), ("a.example".to_owned(), None));
        let address = line(1, "c.example", "A", 300, "192.0.2.7");
        assert_eq!(
            told(&mut chains, &address),
            ("a.example".to_owned(), Some((1, 20)))
        );
        let other = line(2, "c.example", "AAAA", 300, "2001:db8::7");
        assert_eq!(told(&mut chains, &other), ("c.example".to_owned(), Some((1, 300))));
        let none =
            r#"{"type":"answer","id":2,"rcode":"NXDOMAIN","rrname":"no.example"}"#;
        assert_eq!(told(&mut chains, none), ("no.example".to_owned(), None));
    }

    #[test]
    fn layouts_two_and_three_tell_an_answer_at_once() {
        let answers = r#""answers":[
            {"rrname":"a.example","rrtype":"CNAME","ttl":20,"rdata":"b.example"},
            {"rrname":"b.example","rrtype":"A","ttl":300,"rdata":"192.0.2.7"},
            {"rrname":"b.example","rrtype":"A","ttl":300,"rdata":"192.0.2.8"},
            {"rrname":"b.example","rrtype":"TXT","ttl":300,"rdata":"192.0.2.9"},
            {"rrname":"b.example","rrtype":"SOA","ttl":300,"soa":{"mname":"n"}}]"#;
        let two = format!(
            r#"{{"version":2,"type":"answer","rrname":"a.example","rrtype":"A",{answers}}}"#
        );
        let nameless = format!(r#"{{"version":2,"type":"answer",{answers}}}"#);
        let three = format!(
            r#"{{"version":3,"type":"response","rcode":"NOERROR",
            "queries":[{{"rrname":"a.example","rrtype":"A"}}],{answers}}}"#
        );
        for line in [two, nameless, three] {
            assert_eq!(alone(&line), ("a.example".to_owned(), Some((2, 20))), "{line}");
        }
    }

    #[test]
    fn grouped_answers_tell_no_time_to_live() {
        let line = r#"{"version":2,"type":"answer","rrname":"a.example","rrtype":"A",
            "grouped":{"A":["192.0.2.7"],"CNAME":["b.example"]}}"#;
        assert_eq!(alone(line), ("a.example".to_owned(), None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut chains = Chains::default();
        for place in 0..3 * u64::try_from(ALIASES_MAX).unwrap() {
            chains.insert(place, (String::new(), 0));
            assert!(chains.young.len() + chains.old.len() <= ALIASES_MAX);
            assert!(chains.get(place).is_some());
        }
    }
}
