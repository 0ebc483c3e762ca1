//! All disclosure control: which counts and estimates may leave the house.
//!
//! **Invariant:** no cell of 1 to 9 organisations is shown, none of which one organisation
//! is nearly all, and no sum of shown cells gives one away. Three steps, the first two in the
//! words of Hundepool et al., *Statistical Disclosure Control* (2012), chapter 4:
//!
//! 1. **Primary** ([`Public`]). A cell is hidden if its organisations, or its active ones,
//!    are 1 to 9, or if one of them has more than 85 of a hundred of their address-days
//!    (dominance: the cell's figures would be that organisation's, nearly). A cell without
//!    organisations holds addresses only; it is shown if its
//!    consumer addresses, its other IPv4 addresses and its IPv6 networks are each none or
//!    at least ten, since a lone address outside consumer space may be one firm.
//! 2. **Secondary** ([`Ledger`]). *The attack:* country X is shown with 40 organisations;
//!    its sectors are shown too, all but one; 40 minus the shown sectors is the hidden
//!    one. Contacts and address-days add up in the same way over months and vantages.
//!    *The rule:* take two releases over the same population and any value of the
//!    dimensions they share. If one of them shows every cell below that value, so that the
//!    total is known, the other either shows every cell too, or hides at least two of
//!    which one would pass the primary rule alone and which together are not dominated. What
//!    subtraction then gives is a sum
//!    over at least ten organisations, and the reader cannot tell which hidden cell is the
//!    large one. Where no such cell can be added, everything below that value is hidden in
//!    the release that comes later, and where even that would let each cell be worked out
//!    (ten hidden cells, ten organisations), the later release is withheld. Releases whose
//!    shared dimensions cross (country × sector beside *both* country and sector) are
//!    withheld: lines of two directions can be solved together even where each one alone is
//!    safe.
//! 3. **Over releases** ([`Remembered`]). *The attack:* a release hides Y = 3 and X = 17 to
//!    shelter it; late telemetry comes, and the next release of the same days shows X and
//!    hides another in its place: Y is known. *The rule:* a cell that was hidden once its
//!    days were over stays hidden in every later release of the same question; where another
//!    one must be hidden, it is one that was hidden in other days before, if there is one.
//!
//! A cell has one place, however it is asked for ([`remembered`]): what hides it in one table
//! hides it in all, and a total that any table told guards finer ones.
//!
//! What it does not do: beyond that it compares tables over one population only (same days,
//! roles, weights, filters and map of holders); differences between two of them are not
//! guarded. A cell shown once cannot be taken back. A ledger knows what its process published
//! and what it is told of ([`Ledger::remember`]): nothing of pages that another process served.

mod remembered;
mod strata;

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::Day;
use tidegauge_model::count::{
    Cell, Census, Concentration, Dimension, Disclosure, Query, Release,
};
use tidegauge_model::estimate::{Estimate, EstimateDisclosure, Quantity};

use self::remembered::Place;
pub use self::remembered::{Remembered, same_population};
pub use self::strata::released;

/// The fewest organisations in a cell that strangers may see. Ten is the usual threshold
/// of official business statistics where the population is not itself published.
pub const ORGANISATIONS_MIN: u64 = 10;
/// The largest share of a shown cell's address-days that one organisation may have, in per
/// cent: the (1, 85) rule of dominance, in common use for business statistics.
pub const DOMINANCE_PERCENT_MAX: u64 = 85;

/// The rule for everybody outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// The fewest organisations in a shown cell.
    pub organisations_min: u64,
    /// The largest share of a shown cell's address-days that is one organisation's, in per
    /// cent.
    pub dominance_percent_max: u64,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            organisations_min: ORGANISATIONS_MIN,
            dominance_percent_max: DOMINANCE_PERCENT_MAX,
        }
    }
}

impl Public {
    /// The primary rule (see the module).
    fn passes(self, Cell { counts, concentration, .. }: &Cell) -> bool {
        let enough = |n: u64| n == 0 || n >= self.organisations_min;
        if counts.organisations > 0 {
            return enough(counts.organisations)
                && enough(counts.organisations_active)
                && !self.dominated(*concentration);
        }
        enough(counts.addresses_v4_consumer)
            && enough(counts.addresses_v4.saturating_sub(counts.addresses_v4_consumer))
            && enough(counts.networks_v6)
    }

    /// Whether one organisation is nearly all of it.
    fn dominated(self, of: Concentration) -> bool {
        let most = u128::from(of.address_days) * u128::from(self.dominance_percent_max);
        u128::from(of.largest) * 100 > most
    }

    /// Whether a cell that passes is large enough to hide a small one: by its
    /// organisations, not by its addresses.
    fn shelters(self, cell: &Cell) -> bool {
        self.passes(cell) && cell.counts.organisations >= self.organisations_min
    }
}

impl Disclosure for Public {
    fn statement(&self) -> String {
        format!(
            "cells with fewer than {0} organisations are not shown, nor cells of which one \
             organisation has more than {1} % of the address-days; cells of addresses alone \
             are shown from {0} addresses",
            self.organisations_min, self.dominance_percent_max
        )
    }

    fn permits(&self, census: &Census) -> Vec<bool> {
        census.cells.iter().map(|cell| self.passes(cell)).collect()
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
    remembered: Remembered,
    published: Vec<Table>,
}

/// A published table with what it hides.
#[derive(Clone, Debug)]
struct Table {
    query: Query,
    cells: Vec<Cell>,
    places: Vec<Place>,
    shown: Vec<bool>,
    /// Whether strangers saw the cell before, here or elsewhere.
    known: Vec<bool>,
    /// Whether it was hidden before, on other days perhaps.
    familiar: Vec<bool>,
}

impl Ledger {
    /// Takes in what an earlier release told; see [`Remembered::add`].
    pub fn remember(&mut self, release: &Release, made: Day, withdrawn: bool) {
        self.remembered.add(release, made, withdrawn);
    }

    /// Publishes `census` on the day `made` beside everything this ledger published before,
    /// hiding what has to be hidden. Publishing the same census again returns the same
    /// release; another one for the same query takes its place.
    pub fn publish(&mut self, census: Census, made: Day) -> Result<Release, Withheld> {
        let known = self.published.iter().position(|t| t.query == census.query);
        let known_table = known.and_then(|at| self.published.get(at));
        if let Some(again) = known_table.filter(|t| t.cells == census.cells) {
            let decided = self.decided(again);
            self.note(&again.clone(), made);
            return Ok(Release::by(&decided, census));
        }
        let mut table = self.first_look(&census);
        let others = self.published.iter().filter(|t| t.query != table.query);
        let beside: Vec<&Table> =
            others.filter(|t| same_population(&t.query, &table.query)).collect();
        refuse_crossing(&beside, &table)?;
        // Hiding a cell may open another line: repeat until nothing changes. Every round
        // hides at least one more cell, so it ends.
        while beside
            .iter()
            .try_fold(self.guard_by_memory(&mut table), |changed, old| {
                Ok(self.guard(&mut table, old)? || changed)
            })?
        {}
        let decided = self.decided(&table);
        self.note(&table, made);
        match known.and_then(|at| self.published.get_mut(at)) {
            Some(before) => *before = table,
            None => self.published.push(table),
        }
        Ok(Release::by(&decided, census))
    }

    /// The table as the primary rule and the past have it.
    fn first_look(&self, census: &Census) -> Table {
        let passes = Disclosure::permits(&self.rule, census);
        let cells = census.cells.iter();
        let places: Vec<Place> =
            cells.map(|cell| Place::of(&census.query, &cell.key)).collect();
        let others = || self.published.iter().filter(|t| t.query != census.query);
        let stays = |place: &Place| {
            self.remembered.stays(place) || others().any(|table| table.hides(place))
        };
        let each = places.iter().zip(passes);
        let shown = each.map(|(place, passes)| passes && !stays(place)).collect();
        let known = places.iter().map(|p| self.remembered.was_shown(p)).collect();
        let familiar = places.iter().map(|p| self.remembered.was_hidden(p)).collect();
        let (query, cells) = (census.query.clone(), census.cells.clone());
        Table { query, cells, places, shown, known, familiar }
    }

    fn note(&mut self, table: &Table, made: Day) {
        for (place, shown) in table.places.iter().zip(&table.shown) {
            self.remembered.note(place.clone(), *shown, made);
        }
    }

    fn decided(&self, table: &Table) -> Decided {
        Decided {
            shown: table.shown.clone(),
            statement: format!(
                "{}; further cells are hidden where a sum would give one of these away, and \
                 what was hidden once its days were over stays hidden",
                Disclosure::statement(&self.rule)
            ),
        }
    }

    /// Hides cells of `table` so that a total that was ever shown gives a hidden one away no more
    /// than it has, whichever table told it. Returns whether anything changed.
    fn guard_by_memory(&self, table: &mut Table) -> bool {
        let mut changed = false;
        for by in coarser(&table.query.by) {
            for (value, line) in table.lines(&by) {
                if self.is_told(table, &by, &value) && self.is_open(table, &line) {
                    changed |= self.shelter(table, &line);
                }
            }
        }
        changed
    }

    /// Whether the total below a value of some dimensions was ever shown.
    fn is_told(
        &self,
        table: &Table,
        by: &[Dimension],
        value: &[Option<String>],
    ) -> bool {
        let coarser = Query { by: by.to_vec(), ..table.query.clone() };
        let place = Place::of(&coarser, value);
        // A row of the one month that is asked for is its own total.
        self.remembered.was_shown(&place) && !table.places.contains(&place)
    }

    /// Hides cells of `table` so that it and `old` do not give each other's away. Returns
    /// whether anything changed.
    fn guard(&self, table: &mut Table, old: &Table) -> Result<bool, Withheld> {
        let shared = shared(&table.query.by, &old.query.by);
        let (new_lines, old_lines) = (table.lines(&shared), old.lines(&shared));
        let mut changed = false;
        for (value, line) in &new_lines {
            let Some(old_line) = old_lines.get(value) else { continue };
            // A total that was seen once is known, whatever is counted today.
            let hides_nothing = |t: &Table, l: &[usize]| {
                l.iter().all(|&i| t.is_shown(i) || t.is_known(i))
            };
            if hides_nothing(old, old_line) && self.is_open(table, line) {
                changed |= self.shelter(table, line);
                if self.is_open(table, line) && self.is_solvable(table, line) {
                    return Err(Withheld::Solvable {
                        table: words(&table.query.by),
                        beside: words(&old.query.by),
                        under: words_of(value),
                    });
                }
            } else if hides_nothing(table, line)
                && self.gives_away(old, old_line)
                && !self.is_told(table, &shared, value)
            {
                changed |= self.withdraw(table, line);
            }
        }
        Ok(changed)
    }

    /// Whether the line hides something that its total would give away, if something can be
    /// done about it: cells that were never seen are sheltered by others of which the same
    /// is true, or, where there are none, by what there is.
    fn is_open(&self, table: &Table, line: &[usize]) -> bool {
        let hides = line.iter().any(|&i| !table.is_shown(i));
        if !hides
            || self.is_safe(table, table.hidden(line).filter(|&i| !table.is_known(i)))
        {
            return false;
        }
        let better = line.iter().any(|&i| self.could(table, i) && !table.is_known(i));
        better || self.gives_away(table, line)
    }

    /// Whether the line hides something that its total gives away.
    fn gives_away(&self, table: &Table, line: &[usize]) -> bool {
        table.hidden(line).next().is_some() && !self.is_safe(table, table.hidden(line))
    }

    /// Whether cells may be known together: two or more, one of them large enough to be shown
    /// alone, and none of an organisation that has nearly all.
    fn is_safe(&self, table: &Table, cells: impl Iterator<Item = usize>) -> bool {
        let cells: Vec<&Cell> = cells.filter_map(|i| table.cells.get(i)).collect();
        let sheltered = cells.iter().any(|cell| self.rule.shelters(cell));
        // One organisation may be in several of the cells: the sum is the most it can have.
        let mut together = Concentration::default();
        for Cell { concentration: of, .. } in &cells {
            together.address_days =
                together.address_days.saturating_add(of.address_days);
            together.largest = together.largest.saturating_add(of.largest);
        }
        cells.len() >= 2 && sheltered && !self.rule.dominated(together)
    }

    /// Whether a cell could be hidden as a shelter.
    fn could(&self, table: &Table, index: usize) -> bool {
        table.is_shown(index) && self.rule.shelters(&table.cells[index])
    }

    /// Hides the best cell that shelters the hidden ones, or else the whole line: one that was
    /// never seen, one that was hidden before, one that is enough, the smallest.
    fn shelter(&self, table: &mut Table, line: &[usize]) -> bool {
        let could = line.iter().copied().filter(|&i| self.could(table, i));
        let best = could.min_by_key(|&i| {
            let enough = self.is_safe(table, table.hidden(line).chain([i]));
            let (new, organisations, at) = table.order(i);
            (table.is_known(i), new, !enough, organisations, at)
        });
        match best {
            Some(index) => table.hide(&[index]),
            None => table.hide(line),
        }
    }

    /// Hides enough of a line that hides nothing that its total is no longer known.
    fn withdraw(&self, table: &mut Table, line: &[usize]) -> bool {
        let mut order: Vec<usize> =
            line.iter().copied().filter(|&i| !table.is_known(i)).collect();
        order.sort_by_key(|&i| table.order(i));
        let sheltering =
            order.iter().position(|&i| self.rule.shelters(&table.cells[i]));
        match (order.len(), sheltering) {
            (3.., Some(at)) => {
                let other = order[usize::from(at == 0)];
                table.hide(&[order[at], other])
            }
            _ => table.hide(line),
        }
    }

    /// Whether what a line hides can be worked out from its total: it is one cell, or all are
    /// one organisation, or as large as a small cell can be.
    fn is_solvable(&self, table: &Table, line: &[usize]) -> bool {
        let of = |i: &usize| table.cells[*i].counts.organisations;
        let most = self.rule.organisations_min.saturating_sub(1);
        let hidden: Vec<usize> = table.hidden(line).collect();
        hidden.len() <= 1
            || hidden.iter().all(|i| of(i) == 1)
            || hidden.iter().all(|i| of(i) == most)
    }
}

impl Table {
    fn is_shown(&self, index: usize) -> bool {
        self.shown.get(index).copied().unwrap_or(false)
    }

    /// Whether strangers saw it before.
    fn is_known(&self, index: usize) -> bool {
        self.known.get(index).copied().unwrap_or(false)
    }

    /// What of a line is hidden.
    fn hidden<'a>(&'a self, line: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        line.iter().copied().filter(|&i| !self.is_shown(i))
    }

    /// Whether it hides this cell, by whatever name.
    fn hides(&self, place: &Place) -> bool {
        let mut hidden =
            self.places.iter().zip(&self.shown).filter(|(_, shown)| !**shown);
        hidden.any(|(of, _)| of == place)
    }

    /// Which of the cells to hide first: what was hidden before, then the smallest.
    fn order(&self, index: usize) -> (bool, u64, usize) {
        let new = !self.familiar.get(index).copied().unwrap_or(false);
        (new, self.cells[index].counts.organisations, index)
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

/// Every choice of some of the dimensions, none and the fewest first, but for all of them.
fn coarser(by: &[Dimension]) -> Vec<Vec<Dimension>> {
    let mut choices = vec![Vec::new()];
    for dimension in by {
        let longer: Vec<_> = choices
            .iter()
            .map(|some| [some.as_slice(), &[*dimension]].concat())
            .collect();
        choices.extend(longer);
    }
    choices.retain(|some| some.len() < by.len());
    choices.sort_by_key(Vec::len);
    choices
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
    if value.is_empty() {
        return "all".to_owned();
    }
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
    use tidegauge_model::count::Counts;
    use tidegauge_model::estimate::{Identification, Quantity};

    fn days() -> DayRange {
        DayRange::month("2024-04".parse().unwrap())
    }

    /// A day after those.
    fn later() -> Day {
        days().last().plus(1)
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
                concentration: Concentration::default(),
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
        let concentration = Concentration::default();
        let cell = |(key, n)| Cell { key, counts: counts(n), concentration };
        let cells = sums.into_iter().map(cell).collect();
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

    /// The cells that a release hides.
    fn hidden(release: &Release) -> Vec<String> {
        let cells = shown(release).into_iter();
        cells.filter(|(_, shown)| shown.is_none()).map(|(key, _)| key).collect()
    }

    use Dimension::{Country, Month, Product, Sector};

    #[test]
    fn one_to_nine_organisations_are_hidden() {
        let mut census = census(&[Country], &[(&["A"], 9), (&["B"], 10), (&["C"], 1)]);
        census.cells.push(Cell {
            key: vec![None],
            counts: Counts { organisations_active: 4, ..counts(30) },
            concentration: Concentration::default(),
        });
        let permits = Disclosure::permits(&Public::default(), &census);
        assert_eq!(permits, [false, true, false, false]);
        assert_eq!(Disclosure::permits(&Internal, &census), [true; 4]);
    }

    #[test]
    fn a_cell_that_is_nearly_one_organisation_is_hidden() {
        let of = |address_days, largest| {
            let mut census = census(&[Country], &[(&["A"], 12)]);
            census.cells[0].concentration = Concentration { address_days, largest };
            Disclosure::permits(&Public::default(), &census)
        };
        assert_eq!(of(100, 85), [true]);
        assert_eq!(of(100, 86), [false]);
        assert_eq!(of(0, 0), [true], "nothing is of an organisation");
        assert_eq!(of(u64::MAX, u64::MAX), [false], "no overflow");
    }

    /// One that is hidden for dominance needs company that hides how much it has: one that is
    /// enough, not many small ones.
    #[test]
    fn company_of_a_dominated_cell_is_no_small_change() {
        let hides = |cells: [(u64, u64, u64); 4]| {
            let keys = [["X", "a"], ["X", "b"], ["X", "c"], ["X", "d"]];
            let organisations = keys.iter().map(|k| &k[..]).zip(cells.map(|c| c.0));
            let mut leaf =
                census(&[Country, Sector], &organisations.collect::<Vec<_>>());
            for (cell, (_, address_days, largest)) in leaf.cells.iter_mut().zip(cells) {
                cell.concentration = Concentration { address_days, largest };
            }
            let mut ledger = Ledger::default();
            ledger.publish(margin(&leaf, &[Country]), later()).unwrap();
            hidden(&ledger.publish(leaf, later()).unwrap())
        };
        let small = (11, 50, 10);
        assert_eq!(
            hides([(12, 1_000, 990), (11, 100, 10), (14, 900, 100), (50, 900, 10)]),
            ["X/a", "X/c"],
            "990 of 1,100 were nearly all, of 1,900 not"
        );
        assert_eq!(
            hides([(12, 1_000, 900), small, small, (40, 400, 50)]),
            ["X/a", "X/d"]
        );
    }

    #[test]
    fn what_was_hidden_once_its_days_were_over_stays_hidden() {
        let of = |sizes: [u64; 3]| {
            let keys = [["X", "a"], ["X", "b"], ["X", "c"]];
            let cells: Vec<_> = keys.iter().map(|k| &k[..]).zip(sizes).collect();
            census(&[Country, Sector], &cells)
        };
        let hidden = |ledger: &mut Ledger, leaf: Census, made| -> Vec<bool> {
            ledger.publish(margin(&leaf, &[Country]), made).unwrap();
            let fine = ledger.publish(leaf, made).unwrap();
            fine.rows().iter().map(|row| row.counts.is_none()).collect()
        };
        let (first, second) = (of([20, 17, 3]), of([17, 18, 3]));
        let fresh = hidden(&mut Ledger::default(), second.clone(), later());
        assert_eq!(fresh, [true, false, true], "18 is given away: c was 20 - 17");

        let mut ledger = Ledger::default();
        assert_eq!(hidden(&mut ledger, first.clone(), later()), [false, true, true]);
        assert_eq!(hidden(&mut ledger, second.clone(), later()), [false, true, true]);

        // Another process is told of the release.
        let mut ledger = Ledger::default();
        let release = ledger.publish(margin(&first, &[Country]), later());
        assert!(release.is_ok());
        let release = ledger.publish(first.clone(), later()).unwrap();
        for late in [second, of([17, 18, 12])] {
            let mut other = Ledger::default();
            other.remember(&release, later(), false);
            assert_eq!(hidden(&mut other, late, later()), [false, true, true]);
        }

        // While its days are not over a month is shown as soon as it is large enough.
        let mut ledger = Ledger::default();
        let early = days().last();
        assert_eq!(hidden(&mut ledger, first, early), [false, true, true]);
        assert_eq!(hidden(&mut ledger, of([17, 18, 12]), early), [false; 3]);
    }

    #[test]
    fn the_next_month_hides_what_the_month_before_hid() {
        let of = |month: &str, sizes: [u64; 3]| {
            let keys = [["X", "a"], ["X", "b"], ["X", "c"]];
            let cells: Vec<_> = keys.iter().map(|k| &k[..]).zip(sizes).collect();
            let mut census = census(&[Country, Sector], &cells);
            let days = DayRange::month(month.parse().unwrap());
            census.query = Query { by: census.query.by, ..Query::new(days) };
            census
        };
        let mut ledger = Ledger::default();
        for (month, sizes) in [("2024-04", [20, 17, 3]), ("2024-05", [17, 18, 3])] {
            let leaf = of(month, sizes);
            let made = leaf.query.days.last().plus(1);
            ledger.publish(margin(&leaf, &[Country]), made).unwrap();
            let fine = ledger.publish(leaf, made).unwrap();
            assert_eq!(
                shown(&fine).iter().map(|c| c.1.is_none()).collect::<Vec<_>>(),
                [false, true, true]
            );
        }
    }

    /// Sectors of the United States beside the countries of government: one cell is in both. It
    /// must not shelter another in one table and be shown in the other.
    #[test]
    fn a_cell_of_two_filtered_tables_is_one_cell() {
        let of =
            |by: Dimension, cells: &[(&[&str], u64)], filter: &dyn Fn(&mut Query)| {
                let mut table = census(&[by], cells);
                filter(&mut table.query);
                table
            };
        let us = |query: &mut Query| query.countries = vec!["US".parse().unwrap()];
        let government = |query: &mut Query| query.sectors = vec!["government".into()];
        let sectors: [(&[&str], u64); 4] = [
            (&["education"], 3),
            (&["finance"], 15),
            (&["government"], 12),
            (&["technology"], 20),
        ];
        let tables = [
            of(Month, &[(&["2024-04"], 50)], &us),
            of(Sector, &sectors, &us),
            of(Month, &[(&["2024-04"], 90)], &government),
            of(
                Country,
                &[(&["DE"], 30), (&["FR"], 25), (&["GB"], 23), (&["US"], 12)],
                &government,
            ),
        ];
        for order in [[0, 1, 2, 3], [2, 3, 0, 1]] {
            let mut ledger = Ledger::default();
            let released: BTreeMap<usize, Release> = order
                .iter()
                .map(|at| (*at, ledger.publish(tables[*at].clone(), later()).unwrap()))
                .collect();
            let of = |table: usize, name: &str| {
                shown(&released[&table]).into_iter().find(|c| c.0 == name).unwrap().1
            };
            let (here, there) = (of(1, "government"), of(3, "US"));
            assert_eq!(here, there, "{order:?}: one cell has one fate");
            assert_eq!(of(1, "education"), None);
            let hidden = sectors.iter().filter(|(key, _)| of(1, key[0]).is_none());
            assert!(hidden.map(|(_, n)| n).sum::<u64>() >= 10 + 3, "{order:?}");
        }
    }

    /// A total that another question told: of a month of many.
    #[test]
    fn a_total_of_another_table_is_known_too() {
        let months = census(&[Month], &[(&["2024-04"], 53), (&["2024-05"], 60)]);
        let year = DayRange::new(days().first(), days().last().plus(31)).unwrap();
        let months = Census { query: Query { days: year, ..months.query }, ..months };
        let countries =
            census(&[Country], &[(&["DE"], 20), (&["FR"], 3), (&["US"], 30)]);
        let mut ledger = Ledger::default();
        ledger.publish(months, later()).unwrap();
        let told = ledger.publish(countries, later()).unwrap();
        assert_eq!(hidden(&told), ["DE", "FR"], "53 - 50 = 3");
    }

    /// Where all others were shown before there is no good shelter; the table is not lost for it.
    #[test]
    fn a_newcomer_among_cells_that_were_shown_hides_one_of_them() {
        let of = |cells: &[(&[&str], u64)]| census(&[Country], cells);
        let before = of(&[(&["DE"], 20), (&["GB"], 25), (&["US"], 30)]);
        let mut ledger = Ledger::default();
        ledger.publish(margin(&before, &[]), later()).unwrap();
        assert_eq!(ledger.publish(before, later()).unwrap().suppressed(), 0);
        let after = of(&[(&["DE"], 20), (&["FR"], 3), (&["GB"], 25), (&["US"], 30)]);
        ledger.publish(margin(&after, &[]), later()).unwrap();
        let told = ledger.publish(after, later()).unwrap();
        assert_eq!(hidden(&told), ["DE", "FR"]);
    }

    /// A total that was shown once is known, though it is hidden today.
    #[test]
    fn what_was_shown_once_is_a_total() {
        let leaf = census(
            &[Country, Sector],
            &[(&["US", "a"], 20), (&["US", "b"], 17), (&["US", "c"], 3)],
        );
        let mut coarse = margin(&leaf, &[Country]);
        let release = Release::by(&Public::default(), coarse.clone());
        let mut ledger = Ledger::default();
        ledger.remember(&release, later(), false);
        coarse.cells[0].concentration =
            Concentration { address_days: 100, largest: 95 };
        let today = ledger.publish(coarse, later()).unwrap();
        assert_eq!(today.suppressed(), 1, "one of them dominates now");
        assert_eq!(
            ledger.publish(leaf, later()).unwrap().suppressed(),
            2,
            "40 - 37 = 3"
        );
    }

    #[test]
    fn a_month_of_a_longer_table_is_the_month_itself() {
        let long = Query { by: vec![Month, Country], ..Query::new(days()) };
        let short = Query { by: vec![Country], ..Query::new(days()) };
        let key = |values: &[&str]| -> Vec<_> {
            values.iter().map(|v| Some((*v).to_owned())).collect()
        };
        let mut remembered = Remembered::default();
        remembered.note(Place::of(&long, &key(&["2024-04", "EE"])), false, later());
        assert!(remembered.stays(&Place::of(&short, &key(&["EE"]))));
        assert!(!remembered.stays(&Place::of(&short, &key(&["US"]))));
        let may = Query::new(DayRange::month("2024-05".parse().unwrap()));
        let may = Query { by: vec![Country], ..may };
        assert!(!remembered.stays(&Place::of(&may, &key(&["EE"]))));
        assert!(remembered.was_hidden(&Place::of(&may, &key(&["EE"]))));
        // Another spelling of the same question.
        let only = Query {
            by: vec![Product],
            known: Some(later()),
            on: tidegauge_model::count::Dating::EachDay,
            countries: vec!["EE".parse().unwrap(), "EE".parse().unwrap()],
            ..short
        };
        remembered.note(
            Place::of(
                &Query { by: vec![Country, Product], ..long },
                &key(&["EE", "x"]),
            ),
            false,
            later(),
        );
        assert!(remembered.stays(&Place::of(&only, &key(&["x"]))));
    }

    #[test]
    fn addresses_alone_are_shown_from_ten_of_each_sort() {
        let of = |v4, consumer, v6| Counts {
            addresses_v4: v4,
            addresses_v4_consumer: consumer,
            networks_v6: v6,
            ..Counts::default()
        };
        let passes = |counts| {
            let concentration = Concentration::default();
            Public::default().passes(&Cell { key: Vec::new(), counts, concentration })
        };
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
            concentration: Concentration::default(),
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
        let margins = ledger.publish(coarse.clone(), later()).unwrap();
        let fine = ledger.publish(leaf.clone(), later()).unwrap();
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
        let fine = ledger.publish(leaf, later()).unwrap();
        let margins = ledger.publish(coarse, later()).unwrap();
        assert_eq!(fine.suppressed(), 1);
        assert_eq!(shown(&margins), [("X".into(), None), ("Y".into(), Some(30))]);
    }

    #[test]
    fn a_total_known_from_another_table_counts_as_a_margin() {
        let by_month = census(&[Month], &[(&["2024-04"], 20), (&["2024-05"], 20)]);
        let by_country = census(&[Country], &[(&["X"], 37), (&["Y"], 3)]);
        let mut ledger = Ledger::default();
        ledger.publish(by_month, later()).unwrap();
        let release = ledger.publish(by_country, later()).unwrap();
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
        ledger.publish(margin(&leaf, &[Country]), later()).unwrap();
        let withheld = ledger.publish(leaf, later()).unwrap_err();
        assert!(matches!(withheld, Withheld::Solvable { .. }), "{withheld}");
    }

    #[test]
    fn margins_that_cross_are_withheld() {
        let leaf = census(&[Country, Sector], &[(&["X", "a"], 20), (&["Y", "b"], 20)]);
        let mut ledger = Ledger::default();
        ledger.publish(leaf.clone(), later()).unwrap();
        ledger.publish(margin(&leaf, &[Country]), later()).unwrap();
        let withheld = ledger.publish(margin(&leaf, &[Sector]), later()).unwrap_err();
        assert!(matches!(withheld, Withheld::Crossed { .. }), "{withheld}");
    }

    #[test]
    fn publishing_again_changes_nothing() {
        let leaf = census(&[Country], &[(&["X"], 20), (&["Y"], 3), (&["Z"], 12)]);
        let mut ledger = Ledger::default();
        ledger.publish(margin(&leaf, &[]), later()).unwrap();
        let first = ledger.publish(leaf.clone(), later()).unwrap();
        assert_eq!(ledger.publish(leaf, later()).unwrap(), first);
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
                let (counts, concentration) = Default::default();
                all.cells.push(Cell { key, counts, concentration });
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
                .filter_map(|by| ledger.publish(margin(&leaf, by), later()).ok())
                .collect();
            prop_assert!(releases.len() >= 2);
            prop_assert_eq!(attack(&leaf, &releases), Vec::<Vec<_>>::new());
            for row in releases.iter().flat_map(Release::rows).filter_map(|r| r.counts) {
                prop_assert!(row.organisations >= ORGANISATIONS_MIN);
            }
        }
    }
}
