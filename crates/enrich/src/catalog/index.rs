//! Finds the entries that match a name or an address, most specific first.
//!
//! **Invariant:** candidates come in the order of precedence; validity and ports are the
//! caller's business.
//!
//! Most names match nothing, so that case is the fast one: one hash look-up a label, and
//! one pass of one automaton made of every regular expression.

use std::collections::{BTreeSet, HashMap};

use regex::RegexSet;
use tidegauge_model::{Address, Endpoint, Pattern};

/// A visitor of positions in the list of endpoints; `false` ends the visit.
pub(super) type Visit<'v> = dyn FnMut(usize) -> bool + 'v;

#[derive(Debug)]
pub(super) struct Index {
    exact: HashMap<Box<str>, Vec<usize>>,
    suffix: HashMap<Box<str>, Vec<usize>>,
    regex: Set,
    url: Set,
    /// Disjoint, by first address. Only exclusive prefixes are in here.
    blocks: Vec<Block>,
}

/// Regular expressions and the entries they belong to, in the same order.
#[derive(Debug)]
struct Set {
    set: RegexSet,
    entries: Vec<usize>,
}

/// Addresses covered by the same prefixes.
#[derive(Debug)]
struct Block {
    first: Address,
    last: Address,
    /// Longest prefix first.
    entries: Vec<usize>,
}

impl Index {
    /// Fails if the regular expressions, each of which compiles, are too large together.
    pub(super) fn new(endpoints: &[Endpoint]) -> Result<Self, regex::Error> {
        let mut order: Vec<(usize, &Endpoint)> = endpoints.iter().enumerate().collect();
        order.sort_by_key(|(_, e)| (e.valid.length_days(), &e.id));
        let mut exact: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut suffix: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let (mut regex, mut url, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
        for (at, endpoint) in order {
            match &endpoint.pattern {
                Pattern::Exact(host) => {
                    exact.entry(host.as_str().into()).or_default().push(at);
                }
                Pattern::Suffix(host) => {
                    suffix.entry(host.as_str().into()).or_default().push(at);
                }
                Pattern::Regex(text) => regex.push((at, text.as_str())),
                Pattern::Url(text) => url.push((at, text.as_str())),
                Pattern::Prefix(prefix) if endpoint.exclusive => {
                    prefixes.push((at, *prefix));
                }
                Pattern::Prefix(_) => {}
            }
        }
        let blocks = blocks(&prefixes);
        let (regex, url) = (Set::new(&regex)?, Set::new(&url)?);
        Ok(Self { exact, suffix, regex, url, blocks })
    }

    /// Visits the entries that match the name or the request.
    pub(super) fn by_name(
        &self,
        host: &str,
        request: Option<&str>,
        visit: &mut Visit<'_>,
    ) {
        let url_done = request.is_none_or(|request| {
            self.url.is_empty()
                || self.url.visit(&format!("{request} Host: {host}"), visit)
        });
        if !(url_done && each(self.exact.get(host), visit)) {
            return;
        }
        if !self.regex.visit(host, visit) {
            return;
        }
        for parent in parents(host) {
            if !each(self.suffix.get(parent), visit) {
                return;
            }
        }
    }

    /// Visits the exclusive entries whose prefix contains the address.
    pub(super) fn by_address(&self, address: Address, visit: &mut Visit<'_>) {
        let after = self.blocks.partition_point(|block| block.first <= address);
        let block = after.checked_sub(1).and_then(|at| self.blocks.get(at));
        if let Some(block) = block.filter(|block| address <= block.last) {
            each(Some(&block.entries), visit);
        }
    }
}

impl Set {
    fn new(patterns: &[(usize, &str)]) -> Result<Self, regex::Error> {
        let set = RegexSet::new(patterns.iter().map(|(_, text)| text))?;
        Ok(Self { set, entries: patterns.iter().map(|(at, _)| *at).collect() })
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the visitor wants more.
    fn visit(&self, text: &str, visit: &mut Visit<'_>) -> bool {
        if !self.set.is_match(text) {
            return true;
        }
        let matches = self.set.matches(text);
        matches.iter().filter_map(|at| self.entries.get(at)).all(|at| visit(*at))
    }
}

/// The name, then each name above it.
pub(super) fn parents(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |host| Some(host.split_once('.')?.1))
}

/// Whether the visitor wants more.
fn each(entries: Option<&Vec<usize>>, visit: &mut Visit<'_>) -> bool {
    entries.is_none_or(|entries| entries.iter().all(|at| visit(*at)))
}

/// Cuts the prefixes, which nest, into disjoint blocks.
fn blocks(prefixes: &[(usize, tidegauge_model::Prefix)]) -> Vec<Block> {
    let mut cuts = BTreeSet::new();
    for (_, prefix) in prefixes {
        cuts.insert(prefix.first().bits());
        cuts.extend(prefix.last().bits().checked_add(1));
    }
    let mut blocks = Vec::new();
    let mut cuts = cuts.into_iter().peekable();
    while let Some(first) = cuts.next() {
        let last = cuts.peek().map_or(u128::MAX, |next| next - 1);
        let first = Address::from_bits(first);
        let mut inside: Vec<_> =
            prefixes.iter().filter(|(_, prefix)| prefix.contains(first)).collect();
        if inside.is_empty() {
            continue;
        }
        inside.sort_by_key(|(_, prefix)| std::cmp::Reverse(prefix.length()));
        let entries = inside.into_iter().map(|(at, _)| *at).collect();
        blocks.push(Block { first, last: Address::from_bits(last), entries });
    }
    blocks
}
