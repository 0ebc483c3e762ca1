//! What replaced the product: transitions between sets of products, with what is not
//! known as a band of its own (methods, section 7).
//!
//! **Invariant:** everybody of the cohort is in exactly one state before and one after;
//! who was not seen is `Nothing` if its controls were, `Invisible` if they were not, and
//! neither is ever counted as a rival's.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::panel::{History, Panel};
use tidegauge_model::{DayRange, OrgId};

use crate::activity::organisations;
use crate::interval::as_f64;
use crate::occupancy::weekly::Share;
use crate::proportion::beta_middle;
use crate::{Active, Windows};

/// What an organisation was seen to use in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The product alone.
    Product,
    /// The product and a rival.
    Both,
    /// A rival alone.
    Rival,
    /// Neither, though control products were seen.
    Nothing,
    /// Not even controls: nothing is known.
    Invisible,
}

impl State {
    /// All, in order.
    pub const ALL: [Self; 5] =
        [Self::Product, Self::Both, Self::Rival, Self::Nothing, Self::Invisible];

    fn place(self) -> usize {
        Self::ALL.iter().position(|s| *s == self).unwrap_or(0)
    }
}

/// Transitions that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubstitutionRefused {
    /// Rule `cohort-needed`.
    #[error("rule cohort-needed: nobody used the product in the window before")]
    NoCohort,
    /// Rule `rival-needed`.
    #[error("rule rival-needed: there is no panel of a rival")]
    NoRival,
    /// Panels that do not cover the same days.
    #[error("the panel of {0} covers other days than the product's")]
    Days(String),
    /// Rule `detection-valid`.
    #[error(
        "rule detection-valid: chances to be seen must be more than 0 and at most 1, or \
         transitions of those not seen cannot be worked out"
    )]
    Detection,
}

/// How many went from which state to which.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    counts: [[u64; 5]; 5],
}

/// A share of those in a state before, with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Organisations.
    pub count: u64,
    /// Share of those in `from`: Dirichlet with weight ½ for each state, middle 95 %.
    pub share: Share,
}

/// The states of the cohort (users of the product in the window before) in both windows.
pub fn transitions(
    product: &Panel,
    rivals: &[Panel],
    windows: Windows,
    active: Active,
) -> Result<Transitions, SubstitutionRefused> {
    if rivals.is_empty() {
        return Err(SubstitutionRefused::NoRival);
    }
    if let Some(other) = rivals.iter().find(|r| r.days != product.days) {
        return Err(SubstitutionRefused::Days(other.product.to_string()));
    }
    let rivals = [windows.before(), windows.after()]
        .map(|window| rivals.iter().flat_map(|r| users(r, window, active)).collect());
    let [rival_before, rival_after]: [BTreeSet<OrgId>; 2] = rivals;
    let mut counts = [[0; 5]; 5];
    for history in organisations(product) {
        let days = product.days;
        if !active.holds(&history, days, windows.before()) {
            continue;
        }
        let of = |window: DayRange, rivals: &BTreeSet<OrgId>| {
            let uses = active.holds(&history, days, window);
            let rival = rivals.contains(&history.organisation);
            state(uses, rival, || controls_seen(&history, product, window))
        };
        let before = of(windows.before(), &rival_before);
        let after = of(windows.after(), &rival_after);
        counts[before.place()][after.place()] += 1;
    }
    if counts.iter().flatten().all(|n| *n == 0) {
        return Err(SubstitutionRefused::NoCohort);
    }
    Ok(Transitions { counts })
}

fn users(panel: &Panel, window: DayRange, active: Active) -> BTreeSet<OrgId> {
    organisations(panel)
        .into_iter()
        .filter(|h| active.holds(h, panel.days, window))
        .map(|h| h.organisation)
        .collect()
}

fn state(product: bool, rival: bool, visible: impl Fn() -> bool) -> State {
    match (product, rival) {
        (true, false) => State::Product,
        (true, true) => State::Both,
        (false, true) => State::Rival,
        (false, false) if visible() => State::Nothing,
        (false, false) => State::Invisible,
    }
}

fn controls_seen(history: &History, panel: &Panel, window: DayRange) -> bool {
    let controls = history.weeks.iter().map(|week| {
        let mut week = *week;
        week.seen = week.control;
        week
    });
    let of = History { weeks: controls.collect(), ..history.clone() };
    of.seen_days(panel.days, window) > 0
}

impl Transitions {
    /// From counts by state before and state after, in the order of [`State::ALL`].
    pub fn from_counts(counts: [[u64; 5]; 5]) -> Result<Self, SubstitutionRefused> {
        if counts.iter().flatten().all(|n| *n == 0) {
            return Err(SubstitutionRefused::NoCohort);
        }
        Ok(Self { counts })
    }

    /// How many went from `from` to `to`.
    pub fn count(&self, from: State, to: State) -> u64 {
        self.counts[from.place()][to.place()]
    }

    /// Every transition out of a state that anybody was in before.
    pub fn shares(&self) -> Vec<Transition> {
        let mut out = Vec::new();
        for from in State::ALL {
            let all: u64 = self.counts[from.place()].iter().sum();
            if all == 0 {
                continue;
            }
            for to in State::ALL {
                let count = self.count(from, to);
                let share = Self::share_of(count, all);
                out.push(Transition { from, to, count, share });
            }
        }
        out
    }

    /// `count` of `all` that went to one of the states: Dirichlet with weight ½ for each,
    /// middle 95 %.
    pub(crate) fn share_of(count: u64, all: u64) -> Share {
        let (a, b) = (as_f64(count) + 0.5, as_f64(all.saturating_sub(count)) + 2.0);
        let (low, high) = beta_middle(a, b);
        let value = as_f64(count) / as_f64(all.max(1));
        Share { value, low: low.min(value), high: high.max(value) }
    }

    /// Least and greatest share of those who used the product before and no longer do that
    /// use a rival: the first if none of those out of sight does, the second if all do. Who
    /// is in sight, by controls, with neither is taken to use neither.
    pub fn replaced(&self) -> Option<(f64, f64)> {
        let sum = |to: &[State]| -> u64 {
            let from = [State::Product, State::Both].into_iter();
            from.flat_map(|f| to.iter().map(move |t| self.count(f, *t))).sum()
        };
        let (rival, nothing) = (sum(&[State::Rival]), sum(&[State::Nothing]));
        let invisible = sum(&[State::Invisible]);
        let gone = rival + nothing;
        if gone + invisible == 0 {
            return None;
        }
        let least = as_f64(rival) / as_f64(gone + invisible);
        let most = as_f64(rival + invisible) / as_f64(gone + invisible);
        Some((least, most))
    }

    /// Counts freed from misses, given the chance that a user of the product, and of a
    /// rival, is seen to be one in a window: the transitions of greatest likelihood
    /// (Dempster, Laird and Rubin 1977). What is invisible stays so.
    pub fn freed(&self, seen: &Seen) -> Result<[[f64; 5]; 5], SubstitutionRefused> {
        let valid = |p: &f64| *p > 0.0 && *p <= 1.0;
        if ![seen.before, seen.after].iter().flatten().all(valid) {
            return Err(SubstitutionRefused::Detection);
        }
        let [before, after] = [seen.before, seen.after].map(misses);
        let observed = self.counts.map(|row| row.map(as_f64));
        let total: f64 = observed.iter().flatten().sum();
        let mut truth = [[total / 25.0; 5]; 5];
        for _ in 0..STEPS_MAX {
            let next = expected(&observed, &truth, &before, &after);
            let moved = truth
                .iter()
                .flatten()
                .zip(next.iter().flatten())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            truth = next;
            if moved < SETTLED * total {
                break;
            }
        }
        Ok(truth)
    }
}

/// Chances to be seen in a window: of the product, of a rival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// In the window before.
    pub before: [f64; 2],
    /// In the window after.
    pub after: [f64; 2],
}

/// Steps of expectation and maximisation; each is 625 multiplications.
const STEPS_MAX: usize = 20_000;
/// Change of a count, relative to all, that is none.
const SETTLED: f64 = 1e-11;

/// Chance of each state seen (columns) for each true one (rows).
fn misses([product, rival]: [f64; 2]) -> [[f64; 5]; 5] {
    let (no_product, no_rival) = (1.0 - product, 1.0 - rival);
    [
        [product, 0.0, 0.0, no_product, 0.0],
        [
            product * no_rival,
            product * rival,
            no_product * rival,
            no_product * no_rival,
            0.0,
        ],
        [0.0, 0.0, rival, no_rival, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ]
}

fn expected(
    observed: &[[f64; 5]; 5],
    truth: &[[f64; 5]; 5],
    before: &[[f64; 5]; 5],
    after: &[[f64; 5]; 5],
) -> [[f64; 5]; 5] {
    let mut next = [[0.0; 5]; 5];
    for (c, row) in observed.iter().enumerate() {
        for (d, n) in row.iter().enumerate().filter(|(_, n)| **n > 0.0) {
            let weight = |a: usize, b: usize| truth[a][b] * before[a][c] * after[b][d];
            let all: f64 = (0..5)
                .flat_map(|a| (0..5).map(move |b| (a, b)))
                .map(|(a, b)| weight(a, b))
                .sum();
            for (a, next) in next.iter_mut().enumerate() {
                for (b, next) in next.iter_mut().enumerate() {
                    *next += n * weight(a, b) / all;
                }
            }
        }
    }
    next
}

/// How the days of an old product and of a new one lie, from one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The new began within [`SWITCH_DAYS`] of the end of the old.
    Replaced,
    /// Both were seen for longer than that: a trial, or two at once.
    Dual,
    /// The new came long after the old had ended.
    Later,
}

/// A replacement begins so close to the end of what it replaces (methods, section 7).
pub const SWITCH_DAYS: i32 = 14;

/// The order of two products at one organisation, from the days they were seen.
pub fn order(old: DayRange, new: DayRange) -> Order {
    let gap = new.first().0 - old.last().0;
    if gap > SWITCH_DAYS {
        Order::Later
    } else if gap < -SWITCH_DAYS {
        Order::Dual
    } else {
        Order::Replaced
    }
}

/// Organisations by the order of the product's days and a rival's.
pub fn orders(product: &Panel, rival: &Panel) -> BTreeMap<OrgId, Order> {
    let spans = |panel: &Panel| -> BTreeMap<OrgId, DayRange> {
        let of = organisations(panel).into_iter();
        of.filter_map(|h| Some((h.organisation.clone(), span(&h, panel)?))).collect()
    };
    let new = spans(rival);
    let old = spans(product).into_iter();
    old.filter_map(|(id, days)| Some((id.clone(), order(days, *new.get(&id)?))))
        .collect()
}

/// From the first day seen to the last.
fn span(history: &History, panel: &Panel) -> Option<DayRange> {
    let monday = panel.days.first().week().monday();
    let days = (0i32..).zip(&history.weeks).flat_map(|(week, cell)| {
        let seen = cell.seen;
        (0..7i32)
            .filter(move |d| seen >> d & 1 == 1)
            .map(move |d| monday.plus(7 * week + d))
    });
    let days: Vec<_> = days.collect();
    DayRange::new(*days.first()?, *days.last()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::removal::tests::panel;

    fn windows() -> Windows {
        let month = |m: &str| DayRange::month(m.parse().unwrap());
        Windows::new(month("2024-04"), month("2024-11")).unwrap()
    }

    #[test]
    fn everybody_is_in_one_state_before_and_one_after() {
        // Stays, leaves unseen, leaves for a rival, has both and keeps the rival.
        let mut product = panel(&[(2, 2), (2, 0), (2, 0), (2, 0)], 1);
        let weeks = product.histories[1].weeks.len();
        product.histories[1].weeks[weeks - 2].control = 1;
        let rival = panel(&[(0, 0), (0, 0), (0, 2), (2, 2)], 1);
        let active = Active { days_min: 2 };
        let found =
            transitions(&product, std::slice::from_ref(&rival), windows(), active)
                .unwrap();
        assert_eq!(found.count(State::Product, State::Product), 1);
        assert_eq!(found.count(State::Product, State::Nothing), 1);
        assert_eq!(found.count(State::Product, State::Rival), 1);
        assert_eq!(found.count(State::Both, State::Rival), 1);
        assert_eq!(found.replaced(), Some((2.0 / 3.0, 2.0 / 3.0)));
        let none = transitions(&product, &[], windows(), active);
        assert_eq!(none, Err(SubstitutionRefused::NoRival));
        let nobody = panel(&[(0, 2)], 1);
        let none = transitions(&nobody, &[rival], windows(), active);
        assert_eq!(none, Err(SubstitutionRefused::NoCohort));
    }

    /// 1,000 users, of whom 400 stay and 300 go to a rival, seen with .9 and .8 before,
    /// .5 and .8 after: the expected counts lead back to the true ones.
    #[test]
    fn misses_are_taken_out() {
        let mut observed = [[0; 5]; 5];
        observed[0] = [180, 0, 216, 504, 0];
        observed[3] = [20, 0, 24, 56, 0];
        let found = Transitions::from_counts(observed).unwrap();
        let seen = Seen { before: [0.9, 0.8], after: [0.5, 0.8] };
        let truth = found.freed(&seen).unwrap();
        for (to, expected) in [(0, 400.0), (2, 300.0), (3, 300.0)] {
            assert!((truth[0][to] - expected).abs() < 0.5, "{truth:?}");
        }
        let none = Seen { before: [0.0, 0.8], ..seen };
        assert_eq!(found.freed(&none), Err(SubstitutionRefused::Detection));
        let nan = Seen { after: [f64::NAN, 0.8], ..seen };
        assert_eq!(found.freed(&nan), Err(SubstitutionRefused::Detection));
    }

    #[test]
    fn a_replacement_needs_an_order() {
        let days = |a: &str, b: &str| {
            DayRange::new(a.parse().unwrap(), b.parse().unwrap()).unwrap()
        };
        let old = days("2024-01-01", "2024-06-30");
        assert_eq!(order(old, days("2024-07-05", "2024-09-01")), Order::Replaced);
        assert_eq!(order(old, days("2024-03-05", "2024-09-01")), Order::Dual);
        assert_eq!(order(old, days("2024-08-05", "2024-09-01")), Order::Later);
        let found = orders(&panel(&[(2, 0), (2, 2)], 1), &panel(&[(0, 2), (2, 2)], 1));
        assert_eq!(found[&OrgId::new("o00000")], Order::Later);
        assert_eq!(found[&OrgId::new("o00001")], Order::Dual);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn counts_are_kept_and_shares_hold(
            counts in prop::array::uniform5(prop::array::uniform5(0u64..50)),
            seen in prop::array::uniform4(0.05f64..1.0),
        ) {
            let Ok(found) = Transitions::from_counts(counts) else { return Ok(()) };
            for t in found.shares() {
                prop_assert!(t.share.low <= t.share.value && t.share.value <= t.share.high);
                prop_assert!(0.0 <= t.share.low && t.share.high <= 1.0);
            }
            if let Some((low, high)) = found.replaced() {
                prop_assert!(0.0 <= low && low <= high && high <= 1.0);
            }
            let seen = Seen { before: [seen[0], seen[1]], after: [seen[2], seen[3]] };
            let truth = found.freed(&seen).unwrap();
            let sum: f64 = truth.iter().flatten().sum();
            let all: u64 = counts.iter().flatten().sum();
            prop_assert!((sum - as_f64(all)).abs() < 1e-6 * as_f64(all));
            prop_assert!(truth.iter().flatten().all(|n| *n >= 0.0));
        }
    }
}
