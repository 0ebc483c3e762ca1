//! All disclosure control: which counts and estimates may leave the house.
//!
//! **Invariant:** no cell of 1 to 9 organisations is shown, and no sum of shown cells
//! gives one away. Two steps, in the words of Hundepool et al., *Statistical Disclosure
//! Control* (2012), chapter 4:
//!
//! 1. **Primary** ([`Public`]). A cell is hidden if its organisations, or its active ones,
//!    are 1 to 9. A cell without organisations holds addresses only; it is shown if its
//!    consumer addresses, its other IPv4 addresses and its IPv6 networks are each none or
//!    at least ten, since a lone address outside consumer space may be one firm.
//! 2. **Secondary** ([`Ledger`]). *The attack:* country X is shown with 40 organisations;
//!    its sectors are shown too, all but one; 40 minus the shown sectors is the hidden
//!    one. Contacts and address-days add up in the same way over months and vantages.
//!    *The rule:* take two releases over the same population and any value of the
//!    dimensions they share. If one of them shows every cell below that value, so that the
//!    total is known, the other either shows every cell too, or hides at least two of
//!    which one would pass the primary rule alone. What subtraction then gives is a sum
//!    over at least ten organisations, and the reader cannot tell which hidden cell is the
//!    large one. Where no such cell can be added, everything below that value is hidden in
//!    the release that comes later, and where even that would let each cell be worked out
//!    (ten hidden cells, ten organisations), the later release is withheld.
//! 3. Releases whose shared dimensions cross (country × sector beside *both* country
//!    and sector) are withheld: lines of two directions can be solved together even where
//!    each one alone is safe.
//!
//! What it does not do: it compares releases over one population only (same days, roles,
//! weights, filters and map of holders). Whoever publishes chooses a fixed list of
//! populations; differences between two of them are not guarded. Nor does a ledger know
//! what another process published.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::count::{
    Cell, Census, Counts, Dimension, Disclosure, Query, Release,
};
use tidegauge_model::estimate::{Estimate, EstimateDisclosure, Quantity};

/// The fewest organisations in a cell that strangers may see. Ten is the usual threshold
/// of official business statistics where the population is not itself published.
pub const ORGANISATIONS_MIN: u64 = 10;

/// The rule for everybody outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// The fewest organisations in a shown cell.
    pub organisations_min: u64,
}

impl Default for Public {
    fn default() -> Self {
        Self { organisations_min: ORGANISATIONS_MIN }
    }
}

impl Public {
    /// The primary rule (see the module).
    fn passes(self, counts: &Counts) -> bool {
        let enough = |n: u64| n == 0 || n >= self.organisations_min;
        if counts.organisations > 0 {
            return enough(counts.organisations) && enough(counts.organisations_active);
        }
        enough(counts.addresses_v4_consumer)
            && enough(counts.addresses_v4.saturating_sub(counts.addresses_v4_consumer))
            && enough(counts.networks_v6)
    }

    /// Whether a cell that passes is large enough to hide a small one: by its
    /// organisations, not by its addresses.
    fn shelters(self, counts: &Counts) -> bool {
        self.passes(counts) && counts.organisations >= self.organisations_min
    }
}

impl Disclosure for Public {
    fn statement(&self) -> String {
        format!(
            "cells with fewer than {0} organisations are not shown; cells of addresses \
             alone are shown from {0} addresses",
            self.organisations_min
        )
    }

    fn permits(&self, census: &Census) -> Vec<bool> {
        census.cells.iter().map(|cell| self.passes(&cell.counts)).collect()
    }
}

impl EstimateDisclosure for Public {
    fn statement(&self) -> String {
        format!(
            "estimates are not shown where the cohort, those who left or those who stayed \
             are fewer than {} organisations",
            self.organisations_min
        )
    }

    /// Numerator and denominator follow the rule of cells, and so does what a share leaves:
    /// `k = n · value` gives each of them away.
    fn permits(&self, estimate: &Estimate) -> bool {
        let enough = |n: u64| n == 0 || n >= self.organisations_min;
        let rest_counts = estimate.quantity != Quantity::NetChange;
        estimate.n >= self.organisations_min
            && enough(estimate.k)
            && (!rest_counts || enough(estimate.n.saturating_sub(estimate.k)))
    }
}

/// The public rule for estimates shown beside tables: an estimate of a stratum whose cell
/// a table hides, for its own sake or another's, is hidden too.
#[derive(Clone, Debug, Default)]
pub struct BesideTables {
    rule: Public,
    hidden: BTreeSet<Vec<(String, String)>>,
}

impl BesideTables {
    /// The rule beside `tables`, none of which is filtered by country or sector.
    pub fn new<'a>(
        rule: Public,
        tables: impl IntoIterator<Item = &'a Release>,
    ) -> Self {
        let mut hidden = BTreeSet::new();
        for table in tables {
            let by = &table.query().by;
            for row in table.rows().iter().filter(|row| row.counts.is_none()) {
                let pairs = by.iter().zip(&row.key).map(|(dimension, value)| {
                    let value = value.clone().unwrap_or_else(|| "unknown".to_owned());
                    (dimension.to_string(), value)
                });
                hidden.insert(pairs.collect());
            }
        }
        Self { rule, hidden }
    }
}

impl EstimateDisclosure for BesideTables {
    fn statement(&self) -> String {
        EstimateDisclosure::statement(&self.rule)
    }

    fn permits(&self, estimate: &Estimate) -> bool {
        EstimateDisclosure::permits(&self.rule, estimate)
            && !self.hidden.contains(&estimate.stratum)
    }
}

/// The rule for the operator of the lake: everything is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Internal;

impl Disclosure for Internal {
    fn statement(&self) -> String {
        "internal: nothing is hidden; not for publication".to_owned()
    }

    fn permits(&self, census: &Census) -> Vec<bool> {
        vec![true; census.cells.len()]
    }
}

impl EstimateDisclosure for Internal {
    fn statement(&self) -> String {
        Disclosure::statement(self)
    }

    fn permits(&self, _: &Estimate) -> bool {
        true
    }
}

/// Why a census cannot be published beside what was published before. Whoever chose the
/// tables must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// Two tables would share dimensions in directions that cross.
    #[error(
        "a table by {table} cannot be published beside tables by {first} and by {second}: \
         their margins cross, and hidden cells could be worked out from both together\n\
         hint: leave one of the three out"
    )]
    Crossed {
        /// The finer table.
        table: String,
        /// What it shares with one table.
        first: String,
        /// What it shares with the other.
        second: String,
    },
    /// Hidden cells could be worked out from their total.
    #[error(
        "a table by {table} cannot be published beside one by {beside}: the hidden cells of \
         `{under}` could be worked out\nhint: publish the finer table alone, or a coarser one"
    )]
    Solvable {
        /// The table.
        table: String,
        /// The table published earlier.
        beside: String,
        /// The shared values.
        under: String,
    },
}

/// What has been published, so that later tables do not give hidden cells away. One ledger
/// for each audience; it lives as long as what it published is shown together.
#[derive(Debug, Default)]
pub struct Ledger {
    rule: Public,
    published: Vec<Table>,
}

/// A published table with what it hides.
#[derive(Clone, Debug)]
struct Table {
    query: Query,
    cells: Vec<Cell>,
    shown: Vec<bool>,
}

impl Ledger {
    /// Nothing is published yet.
    pub fn new(rule: Public) -> Self {
        Self { rule, published: Vec::new() }
    }

    /// Publishes `census` beside everything this ledger published before, hiding what has
    /// to be hidden. Publishing the same query again returns the same release.
    pub fn publish(&mut self, census: Census) -> Result<Release, Withheld> {
        let same = |t: &&Table| t.query == census.query && t.cells == census.cells;
        if let Some(again) = self.published.iter().find(same) {
            return Ok(Release::by(&self.decided(again), census));
        }
        let shown = Disclosure::permits(&self.rule, &census);
        let mut table =
            Table { query: census.query.clone(), cells: census.cells.clone(), shown };
        let beside: Vec<&Table> =
            self.published.iter().filter(|t| t.same_population(&table)).collect();
        refuse_crossing(&beside, &table)?;
        // Hiding a cell may open another line: repeat until nothing changes. Every round
        // hides at least one more cell, so it ends.
        while beside.iter().try_fold(false, |changed, old| {
            Ok(self.guard(&mut table, old)? || changed)
        })? {}
        let decided = self.decided(&table);
        self.published.push(table);
        Ok(Release::by(&decided, census))
    }

    fn decided(&self, table: &Table) -> Decided {
        Decided {
            shown: table.shown.clone(),
            statement: format!(
                "{}; further cells are hidden where a sum would give one of these away",
                Disclosure::statement(&self.rule)
            ),
        }
    }

    /// Hides cells of `table` so that it and `old` do not give each other's away. Returns
    /// whether anything changed.
    fn guard(&self, table: &mut Table, old: &Table) -> Result<bool, Withheld> {
        let shared = shared(&table.query.by, &old.query.by);
        let (new_lines, old_lines) = (table.lines(&shared), old.lines(&shared));
        let mut changed = false;
        for (value, line) in &new_lines {
            let Some(old_line) = old_lines.get(value) else { continue };
            let hides_nothing =
                |t: &Table, l: &[usize]| l.iter().all(|&i| t.is_shown(i));
            if hides_nothing(old, old_line) && self.is_open(table, line) {
                changed |= self.shelter(table, line);
                if self.is_open(table, line) && self.is_solvable(table, line) {
                    return Err(Withheld::Solvable {
                        table: words(&table.query.by),
                        beside: words(&old.query.by),
                        under: words_of(value),
                    });
                }
            } else if hides_nothing(table, line) && self.is_open(old, old_line) {
                changed |= self.withdraw(table, line);
            }
        }
        Ok(changed)
    }

    /// Whether the line hides something that its total would give away.
    fn is_open(&self, table: &Table, line: &[usize]) -> bool {
        let hidden: Vec<_> = line
            .iter()
            .filter(|&&i| !table.is_shown(i))
            .map(|&i| &table.cells[i])
            .collect();
        let sheltered = hidden.iter().any(|cell| self.rule.shelters(&cell.counts));
        !hidden.is_empty() && (hidden.len() < 2 || !sheltered)
    }

    /// Hides the smallest cell that shelters the hidden ones, or else the whole line.
    fn shelter(&self, table: &mut Table, line: &[usize]) -> bool {
        let smallest = line
            .iter()
            .copied()
            .filter(|&i| {
                table.is_shown(i) && self.rule.shelters(&table.cells[i].counts)
            })
            .min_by_key(|&i| (table.cells[i].counts.organisations, i));
        match smallest {
            Some(index) => table.hide(&[index]),
            None => table.hide(line),
        }
    }

    /// Hides enough of a line that hides nothing that its total is no longer known.
    fn withdraw(&self, table: &mut Table, line: &[usize]) -> bool {
        let mut order = line.to_vec();
        order.sort_by_key(|&i| (table.cells[i].counts.organisations, i));
        let sheltering =
            order.iter().position(|&i| self.rule.shelters(&table.cells[i].counts));
        match (order.len(), sheltering) {
            (3.., Some(at)) => {
                let other = order[usize::from(at == 0)];
                table.hide(&[order[at], other])
            }
            _ => table.hide(line),
        }
    }

    /// Whether a wholly hidden line without a large cell can be worked out from its total
    /// organisations: all are one, or all are as large as a hidden cell can be.
    fn is_solvable(&self, table: &Table, line: &[usize]) -> bool {
        let of = |i: &usize| table.cells[*i].counts.organisations;
        let most = self.rule.organisations_min.saturating_sub(1);
        line.len() == 1
            || line.iter().all(|i| of(i) == 1)
            || line.iter().all(|i| of(i) == most)
    }
}

impl Table {
    fn same_population(&self, other: &Self) -> bool {
        let without_by = |query: &Query| Query { by: Vec::new(), ..query.clone() };
        without_by(&self.query) == without_by(&other.query)
    }

    fn is_shown(&self, index: usize) -> bool {
        self.shown.get(index).copied().unwrap_or(false)
    }

    /// Returns whether anything was shown before.
    fn hide(&mut self, indices: &[usize]) -> bool {
        let mut changed = false;
        for &index in indices {
            if let Some(shown) = self.shown.get_mut(index) {
                changed |= std::mem::replace(shown, false);
            }
        }
        changed
    }

    /// The cells below each value of the `shared` dimensions.
    fn lines(&self, shared: &[Dimension]) -> BTreeMap<Vec<Option<String>>, Vec<usize>> {
        let at: Vec<_> = shared
            .iter()
            .filter_map(|d| self.query.by.iter().position(|own| own == d))
            .collect();
        let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, cell) in self.cells.iter().enumerate() {
            let value = at
                .iter()
                .map(|&p| cell.key.get(p).cloned().flatten())
                .collect::<Vec<_>>();
            lines.entry(value).or_default().push(index);
        }
        lines
    }
}

/// Refuses a table that would make the shared dimensions of any table cross.
fn refuse_crossing(beside: &[&Table], new: &Table) -> Result<(), Withheld> {
    let all: Vec<&Table> = beside.iter().copied().chain([new]).collect();
    for (own, table) in all.iter().enumerate() {
        let mut chain: Vec<BTreeSet<Dimension>> = Vec::new();
        for (_, other) in all.iter().enumerate().filter(|(at, _)| *at != own) {
            let next: BTreeSet<_> =
                shared(&table.query.by, &other.query.by).into_iter().collect();
            if let Some(crossing) =
                chain.iter().find(|c| !c.is_subset(&next) && !next.is_subset(c))
            {
                let list = |set: &BTreeSet<Dimension>| {
                    words(&set.iter().copied().collect::<Vec<_>>())
                };
                return Err(Withheld::Crossed {
                    table: words(&table.query.by),
                    first: list(crossing),
                    second: list(&next),
                });
            }
            chain.push(next);
        }
    }
    Ok(())
}

/// The dimensions that two tables have in common, in the order of the first.
fn shared(one: &[Dimension], other: &[Dimension]) -> Vec<Dimension> {
    one.iter().copied().filter(|d| other.contains(d)).collect()
}

fn words(by: &[Dimension]) -> String {
    if by.is_empty() {
        return "nothing (the total)".to_owned();
    }
    by.iter().map(|d| d.as_str()).collect::<Vec<_>>().join(" and ")
}

fn words_of(value: &[Option<String>]) -> String {
    let words: Vec<_> =
        value.iter().map(|v| v.as_deref().unwrap_or("not known")).collect();
    words.join(", ")
}

/// A decision that was already taken.
struct Decided {
    shown: Vec<bool>,
    statement: String,
}

impl Disclosure for Decided {
    fn statement(&self) -> String {
        self.statement.clone()
    }

    fn permits(&self, _: &Census) -> Vec<bool> {
        self.shown.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegauge_model::DayRange;
    use tidegauge_model::estimate::{Identification, Quantity};

    fn days() -> DayRange {
        DayRange::month("2024-04".parse().unwrap())
    }

    fn counts(organisations: u64) -> Counts {
        Counts {
            addresses_v4: organisations * 3,
            organisations,
            address_days: organisations * 7,
            contacts: organisations * 11,
            ..Counts::default()
        }
    }

    fn census(by: &[Dimension], cells: &[(&[&str], u64)]) -> Census {
        let cells = cells
            .iter()
            .map(|(key, organisations)| Cell {
                key: key.iter().map(|k| Some((*k).to_owned())).collect(),
                counts: counts(*organisations),
            })
            .collect();
        let query = Query { by: by.to_vec(), ..Query::new(days()) };
        Census { query, cells, unattributed_share: 0.0, standings: BTreeMap::new() }
    }

    /// Sums `leaf` over all dimensions but those of `by`.
    fn margin(leaf: &Census, by: &[Dimension]) -> Census {
        let mut sums: BTreeMap<Vec<Option<String>>, u64> = BTreeMap::new();
        for cell in &leaf.cells {
            let key = by
                .iter()
                .map(|d| {
                    let at = leaf.query.by.iter().position(|own| own == d).unwrap();
                    cell.key[at].clone()
                })
                .collect();
            *sums.entry(key).or_default() += cell.counts.organisations;
        }
        let cells =
            sums.into_iter().map(|(key, n)| Cell { key, counts: counts(n) }).collect();
        let query = Query { by: by.to_vec(), ..leaf.query.clone() };
        Census { query, cells, unattributed_share: 0.0, standings: BTreeMap::new() }
    }

    fn shown(release: &Release) -> Vec<(String, Option<u64>)> {
        release
            .rows()
            .iter()
            .map(|row| {
                let key: Vec<_> = row.key.iter().flatten().cloned().collect();
                (key.join("/"), row.counts.map(|c| c.organisations))
            })
            .collect()
    }

    use Dimension::{Country, Month, Sector};

    #[test]
    fn one_to_nine_organisations_are_hidden() {
        let mut census = census(&[Country], &[(&["A"], 9), (&["B"], 10), (&["C"], 1)]);
        census.cells.push(Cell {
            key: vec![None],
            counts: Counts { organisations_active: 4, ..counts(30) },
        });
        let permits = Disclosure::permits(&Public::default(), &census);
        assert_eq!(permits, [false, true, false, false]);
        assert_eq!(Disclosure::permits(&Internal, &census), [true; 4]);
    }

    #[test]
    fn addresses_alone_are_shown_from_ten_of_each_sort() {
        let of = |v4, consumer, v6| Counts {
            addresses_v4: v4,
            addresses_v4_consumer: consumer,
            networks_v6: v6,
            ..Counts::default()
        };
        let passes = |c| Public::default().passes(&c);
        assert!(
            passes(of(12, 12, 0)) && passes(of(22, 12, 10)) && passes(of(0, 0, 10))
        );
        assert!(
            !passes(of(9, 9, 0)) && !passes(of(13, 12, 0)) && !passes(of(12, 12, 1))
        );
    }

    fn estimate(quantity: Quantity, n: u64, k: u64) -> Estimate {
        Estimate {
            quantity,
            stratum: vec![("country".to_owned(), "EE".to_owned())],
            before: days(),
            after: days(),
            value: 0.5,
            n,
            k,
            intervals: Vec::new(),
            method: String::new(),
            identified: Identification::Identified,
        }
    }

    #[test]
    fn an_estimate_gives_no_small_count_away() {
        let permits = |quantity, n, k| {
            EstimateDisclosure::permits(&Public::default(), &estimate(quantity, n, k))
        };
        let removal = Quantity::CohortRemoval;
        assert!(permits(removal, 20, 10) && permits(removal, 10, 0));
        assert!(!permits(removal, 9, 0), "a small cohort");
        assert!(!permits(removal, 26, 6), "few stayed");
        assert!(!permits(removal, 26, 20), "few left");
        assert!(permits(Quantity::NetChange, 26, 20), "26 and 20 are counts of cells");
        assert!(!permits(Quantity::NetChange, 26, 6));
        assert!(EstimateDisclosure::permits(&Internal, &estimate(removal, 1, 1)));
    }

    #[test]
    fn an_estimate_is_hidden_beside_a_table_that_hides_its_cell() {
        let counts = |n| Counts { organisations: n, ..Counts::default() };
        let cell = |country: &str, n| Cell {
            key: vec![Some(country.to_owned())],
            counts: counts(n),
        };
        let query = Query { by: vec![Country], ..Query::new(days()) };
        let cells = vec![cell("EE", 6), cell("US", 40)];
        let census = Census {
            query,
            cells,
            unattributed_share: 0.0,
            standings: BTreeMap::new(),
        };
        let table = Release::by(&Public::default(), census);
        let rule = BesideTables::new(Public::default(), [&table]);
        let of = |country: &str| {
            let mut estimate = estimate(Quantity::NetChange, 30, 20);
            estimate.stratum[0].1 = country.to_owned();
            EstimateDisclosure::permits(&rule, &estimate)
        };
        assert!(!of("EE") && of("US"));
    }

    /// The attack of the module's documentation, in both orders of publication.
    #[test]
    fn subtracting_shown_cells_from_a_margin_never_gives_a_hidden_one() {
        let leaf = census(
            &[Country, Sector],
            &[
                (&["X", "a"], 20),
                (&["X", "b"], 17),
                (&["X", "c"], 3),
                (&["Y", "a"], 30),
            ],
        );
        let coarse = margin(&leaf, &[Country]);

        let mut ledger = Ledger::default();
        let margins = ledger.publish(coarse.clone()).unwrap();
        let fine = ledger.publish(leaf.clone()).unwrap();
        assert_eq!(shown(&margins), [("X".into(), Some(40)), ("Y".into(), Some(30))]);
        assert_eq!(
            shown(&fine),
            [
                ("X/a".into(), Some(20)),
                ("X/b".into(), None),
                ("X/c".into(), None),
                ("Y/a".into(), Some(30))
            ],
            "40 - 20 = 20 is a sum over two cells"
        );

        let mut ledger = Ledger::default();
        let fine = ledger.publish(leaf).unwrap();
        let margins = ledger.publish(coarse).unwrap();
        assert_eq!(fine.suppressed(), 1);
        assert_eq!(shown(&margins), [("X".into(), None), ("Y".into(), Some(30))]);
    }

    #[test]
    fn a_total_known_from_another_table_counts_as_a_margin() {
        let by_month = census(&[Month], &[(&["2024-04"], 20), (&["2024-05"], 20)]);
        let by_country = census(&[Country], &[(&["X"], 37), (&["Y"], 3)]);
        let mut ledger = Ledger::default();
        ledger.publish(by_month).unwrap();
        let release = ledger.publish(by_country).unwrap();
        assert_eq!(release.suppressed(), 2, "40 - 37 = 3");
    }

    #[test]
    fn a_wholly_hidden_line_is_withheld_if_its_total_solves_it() {
        let ones: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
            .iter()
            .map(|s| vec!["X", s])
            .collect();
        let cells: Vec<_> = ones.iter().map(|k| (k.as_slice(), 1)).collect();
        let leaf = census(&[Country, Sector], &cells);
        let mut ledger = Ledger::default();
        ledger.publish(margin(&leaf, &[Country])).unwrap();
        let withheld = ledger.publish(leaf).unwrap_err();
        assert!(matches!(withheld, Withheld::Solvable { .. }), "{withheld}");
    }

    #[test]
    fn margins_that_cross_are_withheld() {
        let leaf = census(&[Country, Sector], &[(&["X", "a"], 20), (&["Y", "b"], 20)]);
        let mut ledger = Ledger::default();
        ledger.publish(leaf.clone()).unwrap();
        ledger.publish(margin(&leaf, &[Country])).unwrap();
        let withheld = ledger.publish(margin(&leaf, &[Sector])).unwrap_err();
        assert!(matches!(withheld, Withheld::Crossed { .. }), "{withheld}");
    }

    #[test]
    fn publishing_again_changes_nothing() {
        let leaf = census(&[Country], &[(&["X"], 20), (&["Y"], 3), (&["Z"], 12)]);
        let mut ledger = Ledger::default();
        ledger.publish(margin(&leaf, &[])).unwrap();
        let first = ledger.publish(leaf.clone()).unwrap();
        assert_eq!(ledger.publish(leaf).unwrap(), first);
        assert_eq!(first.suppressed(), 2);
    }

    /// The leaves below a row of a release, as coefficients.
    fn below(leaf: &Census, by: &[Dimension], key: &[Option<String>]) -> Vec<u64> {
        let value = |cell: &Cell, d: &Dimension| {
            let at = leaf.query.by.iter().position(|own| own == d).unwrap();
            cell.key[at].clone()
        };
        let is_below =
            |cell: &Cell| by.iter().zip(key).all(|(d, want)| value(cell, d) == *want);
        leaf.cells.iter().map(|cell| u64::from(is_below(cell))).collect()
    }

    /// `leaf` with empty cells for the combinations of two values that it lacks.
    fn every_combination(leaf: &Census) -> Census {
        let values = |at: usize| -> BTreeSet<_> {
            leaf.cells.iter().map(|cell| cell.key[at].clone()).collect()
        };
        let mut all = leaf.clone();
        for (first, second) in
            values(0).iter().flat_map(|f| values(1).into_iter().map(move |s| (f, s)))
        {
            let key = vec![first.clone(), second];
            if leaf.cells.iter().all(|cell| cell.key != key) {
                all.cells.push(Cell { key, counts: Counts::default() });
            }
        }
        all
    }

    /// Rank of a matrix over the integers modulo a prime.
    fn rank(mut rows: Vec<Vec<u64>>) -> usize {
        const PRIME: u64 = 1_000_003;
        let inverse = |n: u64| {
            (0..20).rev().fold(1, |power, bit| {
                let square = power * power % PRIME;
                if (PRIME - 2) >> bit & 1 == 1 { square * n % PRIME } else { square }
            })
        };
        let mut rank = 0;
        for column in 0..rows.first().map_or(0, Vec::len) {
            let Some(at) = (rank..rows.len()).find(|&r| rows[r][column] != 0) else {
                continue;
            };
            rows.swap(rank, at);
            let pivot = rows[rank].clone();
            for row in &mut rows[rank + 1..] {
                let times = row[column] * inverse(pivot[column]) % PRIME;
                for (cell, by) in row.iter_mut().zip(&pivot) {
                    *cell = (*cell + PRIME * PRIME - times * by) % PRIME;
                }
            }
            rank += 1;
        }
        rank
    }

    /// An attacker who knows every release and that small cells add up to larger ones,
    /// and who solves all of it at once. Returns the hidden small cells that have only one
    /// value left. Which leaves there are is known only if a release lists them.
    fn attack(leaf: &Census, releases: &[Release]) -> Vec<Vec<Option<String>>> {
        let listed = releases.iter().any(|r| r.query().by == leaf.query.by);
        let leaf = &if listed { leaf.clone() } else { every_combination(leaf) };
        let rows = || {
            releases.iter().flat_map(|release| {
                let by = &release.query().by;
                release.rows().iter().map(move |row| (row, below(leaf, by, &row.key)))
            })
        };
        let known: Vec<_> = rows()
            .filter(|(row, _)| row.counts.is_some())
            .map(|(_, equation)| equation)
            .collect();
        let solved = |target: &Vec<u64>| {
            let with: Vec<_> = known.iter().chain([target]).cloned().collect();
            rank(with) == rank(known.clone())
        };
        let organisations = |target: &[u64]| -> u64 {
            let sizes = leaf.cells.iter().map(|c| c.counts.organisations);
            sizes.zip(target).map(|(n, times)| n * times).sum()
        };
        rows()
            .filter(|(row, _)| row.counts.is_none())
            .filter(|(_, target)| organisations(target) < ORGANISATIONS_MIN)
            .filter(|(_, target)| solved(target))
            .map(|(row, _)| row.key.clone())
            .collect()
    }

    #[test]
    fn the_attacker_finds_what_the_primary_rule_alone_gives_away() {
        let leaf = census(
            &[Country, Sector],
            &[(&["X", "a"], 20), (&["X", "b"], 17), (&["X", "c"], 3)],
        );
        let naive = [margin(&leaf, &[Country]), leaf.clone()]
            .map(|census| Release::by(&Public::default(), census));
        assert_eq!(attack(&leaf, &naive).len(), 1, "40 - 37 = 3");
    }

    proptest! {
        #[test]
        fn no_attacker_finds_a_small_cell(
            sizes in prop::collection::vec((0usize..4, 0usize..6, 1u64..40), 1..16),
            order in Just(vec![
                vec![],
                vec![Country],
                vec![Sector],
                vec![Country, Sector],
            ])
            .prop_shuffle(),
        ) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let unique: BTreeMap<_, _> =
                sizes.iter().map(|(c, s, n)| ((names[*c], names[*s]), *n)).collect();
            let keys: Vec<_> = unique.iter().map(|((c, s), n)| ([*c, *s], *n)).collect();
            let cells: Vec<_> = keys.iter().map(|(k, n)| (k.as_slice(), *n)).collect();
            let leaf = census(&[Country, Sector], &cells);
            let mut ledger = Ledger::default();
            // What was withheld gives nothing to subtract from.
            let releases: Vec<_> = order
                .iter()
                .filter_map(|by| ledger.publish(margin(&leaf, by)).ok())
                .collect();
            prop_assert!(releases.len() >= 2);
            prop_assert_eq!(attack(&leaf, &releases), Vec::<Vec<_>>::new());
            for row in releases.iter().flat_map(Release::rows).filter_map(|r| r.counts) {
                prop_assert!(row.organisations >= ORGANISATIONS_MIN);
            }
        }
    }
}
