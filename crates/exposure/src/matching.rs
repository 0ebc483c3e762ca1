//! Which rows of a portfolio an address belongs to.
//!
//! **Invariant:** the same answer as comparing the address with every prefix and AS
//! number of every row (the test does).

use std::collections::BTreeMap;

use tidegauge_model::{Address, Asn, Prefix};

use crate::Subject;

/// An index over the rows of a portfolio.
#[derive(Debug, Default)]
pub struct Index {
    /// Rows by prefix; looked up once for each length in use.
    by_prefix: BTreeMap<Prefix, Vec<usize>>,
    /// The lengths in use, 128-bit form.
    lengths: Vec<u8>,
    by_asn: BTreeMap<Asn, Vec<usize>>,
}

impl Index {
    /// Indexes `subjects` by their position.
    pub fn new(subjects: &[Subject]) -> Self {
        let mut index = Self::default();
        for (row, subject) in subjects.iter().enumerate() {
            for prefix in &subject.prefixes {
                index.by_prefix.entry(*prefix).or_default().push(row);
            }
            for asn in &subject.asns {
                index.by_asn.entry(*asn).or_default().push(row);
            }
        }
        index.lengths = index.by_prefix.keys().map(|p| p.length()).collect();
        index.lengths.sort_unstable();
        index.lengths.dedup();
        index
    }

    /// Positions of the rows that `address`, originated by `asn`, belongs to; sorted.
    pub fn rows(&self, address: Address, asn: Option<Asn>) -> Vec<usize> {
        let prefixes =
            self.lengths.iter().map(|length| Prefix::containing(address, *length));
        let by_prefix = prefixes.filter_map(|p| self.by_prefix.get(&p));
        let by_asn = asn.and_then(|asn| self.by_asn.get(&asn));
        let mut rows: Vec<usize> = by_prefix.chain(by_asn).flatten().copied().collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(prefixes: &[&str], asns: &[u32]) -> Subject {
        Subject {
            name: format!("{prefixes:?}"),
            domain: None,
            prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
            asns: asns.iter().copied().map(Asn).collect(),
        }
    }

    #[test]
    fn the_index_agrees_with_comparing_everything() {
        let subjects = [
            subject(&["192.0.2.0/24", "2001:db8::/32"], &[]),
            subject(&["192.0.2.128/25"], &[64496]),
            subject(&["0.0.0.0/0"], &[]),
            subject(&[], &[64496]),
        ];
        let index = Index::new(&subjects);
        let addresses =
            ["192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1", "::1"];
        for address in addresses.map(|a| a.parse::<Address>().unwrap()) {
            for asn in [None, Some(Asn(64496)), Some(Asn(1))] {
                let all = subjects.iter().enumerate().filter(|(_, s)| {
                    s.prefixes.iter().any(|p| p.contains(address))
                        || asn.is_some_and(|asn| s.asns.contains(&asn))
                });
                let expected: Vec<usize> = all.map(|(row, _)| row).collect();
                assert_eq!(index.rows(address, asn), expected, "{address} {asn:?}");
            }
        }
    }
}
