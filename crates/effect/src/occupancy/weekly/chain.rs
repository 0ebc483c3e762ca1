//! Forward and backward over the weeks of one organisation.
//!
//! A state is a number of bits: bit 0 says that the organisation uses the product, bit
//! 1 + j that view j sees its networks. Each bit turns on its own, so a week's turn is
//! made bit by bit; then all views may go dark at once, since one partner may be behind
//! several, and two that fall silent together are else taken for removal. A week in which
//! every view saw the product has one state only; what lies between two such weeks is
//! summed alone, and they themselves are sums of logarithms, once for each class of the
//! product and of controls instead of each pair. Between them all pairs of classes go side by
//! side, a lane each ([`super::lanes`]).
//!
//! **Invariant:** sums are scaled to one each week, so that no length underflows; what is
//! added to [`Sums`] is the expectation of the complete data given the history (Fisher's
//! identity), times the weight asked for.

use super::entry::{Entries, EntryChance};
use super::evidence::{
    Evidence, PATTERNS, Unit, View, noise_chances, pattern_days, silent_patterns,
};
use super::lanes::Lanes;
use super::layout::Layout;
use super::rates::{Intensity, Rates};

/// Most classes of the product's detection.
pub(crate) const CLASSES_MAX: usize = 7;
/// Most classes of controls' detection.
const CONTROLS_MAX: usize = 3;
/// Most pairs of classes.
pub(super) const PAIRS_MAX: usize = CLASSES_MAX * CONTROLS_MAX;

/// Expected days at one vantage in one week for one class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Days {
    /// Seen and missed on weekdays, seen and missed on weekend days.
    pub(crate) days: [f64; 4],
    /// Slopes by the logarithms of the intensities, direct.
    pub(crate) direct: [f64; 2],
}

impl Days {
    /// Slopes by the logarithms of the intensities: of a day seen with `1 − exp(−λ)`,
    /// `λ / (exp(λ) − 1)`; of a day missed, `−λ`.
    pub(crate) fn slopes(&self, intensity: Intensity) -> [f64; 2] {
        let of = |kind: usize| {
            let lambda = intensity[kind];
            let seen = self.days[2 * kind] * lambda / lambda.exp_m1();
            self.direct[kind] + seen - self.days[2 * kind + 1] * lambda
        };
        [of(0), of(1)]
    }

    pub(super) fn add(&mut self, weight: f64, days: [f64; 4]) {
        for (into, days) in self.days.iter_mut().zip(days) {
            *into += weight * days;
        }
    }
}

/// Expected counts, from which the gradient is made.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    /// The product's days while used and in sight, by vantage, week, class.
    pub(crate) product: Vec<Days>,
    /// Controls' days while in sight, by vantage, week, class.
    pub(crate) control: Vec<Days>,
    /// By group, period: weeks after which use ended, or went on.
    pub(crate) using: Vec<[f64; 2]>,
    /// Weeks after which use began again, or did not.
    pub(crate) back: [f64; 2],
    /// By vantage, period: weeks after which sight was lost, or kept.
    pub(crate) sight: Vec<[f64; 2]>,
    /// By period: weeks after which all sight was lost at once, or was not.
    pub(crate) blackout: Vec<[f64; 2]>,
    /// By vantage: weeks after which sight came back, or did not.
    pub(crate) relight: Vec<[f64; 2]>,
    /// By pair of classes: organisations.
    pub(crate) class: Vec<f64>,
    /// By vantage, week: organisations in sight, and all.
    pub(crate) lit: Vec<[f64; 2]>,
}

impl Sums {
    pub(crate) fn new(layout: &Layout) -> Self {
        let weeks = layout.vantages * layout.weeks;
        Self {
            product: vec![Days::default(); weeks * layout.products],
            control: vec![Days::default(); weeks * layout.controls],
            using: vec![[0.0; 2]; layout.groups * layout.periods],
            back: [0.0; 2],
            sight: vec![[0.0; 2]; layout.vantages * layout.periods],
            blackout: vec![[0.0; 2]; layout.periods],
            relight: vec![[0.0; 2]; layout.vantages],
            class: vec![0.0; layout.products * layout.controls],
            lit: vec![[0.0; 2]; weeks],
        }
    }

    pub(crate) fn clear(&mut self) {
        self.product.fill(Days::default());
        self.control.fill(Days::default());
        self.using.fill([0.0; 2]);
        self.back = [0.0; 2];
        self.sight.fill([0.0; 2]);
        self.blackout.fill([0.0; 2]);
        self.relight.fill([0.0; 2]);
        self.class.fill(0.0);
        self.lit.fill([0.0; 2]);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        fn each(into: &mut [[f64; 2]], from: &[[f64; 2]]) {
            for (into, from) in into.iter_mut().zip(from) {
                *into = [into[0] + from[0], into[1] + from[1]];
            }
        }
        fn days(into: &mut [Days], from: &[Days]) {
            for (into, from) in into.iter_mut().zip(from) {
                into.add(1.0, from.days);
                for (into, from) in into.direct.iter_mut().zip(from.direct) {
                    *into += from;
                }
            }
        }
        days(&mut self.product, &other.product);
        days(&mut self.control, &other.control);
        each(&mut self.using, &other.using);
        each(std::slice::from_mut(&mut self.back), &[other.back]);
        each(&mut self.sight, &other.sight);
        each(&mut self.blackout, &other.blackout);
        each(&mut self.relight, &other.relight);
        each(&mut self.lit, &other.lit);
        for (into, from) in self.class.iter_mut().zip(&other.class) {
            *into += from;
        }
    }
}

/// What a pass over an organisation needs of the model.
pub(crate) struct Chain<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) evidence: &'a Evidence,
    pub(crate) rates: &'a Rates,
    pub(crate) entries: &'a Entries,
    /// For each pattern: days seen and missed; whether nothing was seen.
    pub(super) days: Vec<[f64; 4]>,
    pub(super) nothing: [bool; PATTERNS],
    /// For each pattern: its chance while the product is not used.
    pub(super) unused: [f64; PATTERNS],
}

/// What a pass is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Weight of what is added.
    pub(crate) weight: f64,
}

/// Room for the sums of one organisation.
#[derive(Debug)]
pub(crate) struct Room {
    /// What lies between sure weeks.
    pub(super) lanes: Lanes,
    /// Share of each pair of classes in the likelihood.
    share: [f64; PAIRS_MAX],
}

impl Default for Room {
    fn default() -> Self {
        Self { lanes: Lanes::default(), share: [0.0; PAIRS_MAX] }
    }
}

impl<'a> Chain<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        evidence: &'a Evidence,
        rates: &'a Rates,
        entries: &'a Entries,
    ) -> Self {
        let days = pattern_days().iter().map(|d| d.map(f64::from)).collect();
        let (nothing, unused) = (silent_patterns(), noise_chances(evidence.noise));
        Self { layout, evidence, rates, entries, days, nothing, unused }
    }

    /// The log-likelihood of a unit; with `gone`, of the paths without use from that week to
    /// the end of the window after, minus infinity if there is none.
    pub(crate) fn likelihood(
        &self,
        unit: &Unit,
        gone: Option<usize>,
        room: &mut Room,
    ) -> f64 {
        let end = self.evidence.after.end;
        if gone.is_some_and(|from| unit.sure[from..end].contains(&true)) {
            return f64::NEG_INFINITY;
        }
        let controls = self.layout.controls;
        let pairs = self.layout.products * controls;
        let sure = self.sure_turns(unit);
        let (by_product, by_control) =
            (self.sure_product(unit), self.sure_control(unit));
        let between = self.between(unit, gone, &mut room.lanes);
        let share = &mut room.share[..pairs];
        for (pair, share) in share.iter_mut().enumerate() {
            let weight = self.rates.weights[pair].max(f64::MIN_POSITIVE).ln();
            let seen = by_product[pair / controls] + by_control[pair % controls];
            *share = sure + seen + weight + between[pair];
        }
        let top = share.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return top;
        }
        let sum: f64 = share.iter().map(|log| (log - top).exp()).sum();
        for share in share {
            *share = (*share - top).exp() / sum;
        }
        top + sum.ln()
    }

    /// Adds to `sums` what the last [`Self::likelihood`] of the same unit expects. It must
    /// have been finite.
    pub(crate) fn add(&self, unit: &Unit, asked: Asked, room: &Room, sums: &mut Sums) {
        let (products, controls) = (self.layout.products, self.layout.controls);
        let mut weights = [0.0; PAIRS_MAX];
        let mut by_product = [0.0; CLASSES_MAX];
        let mut by_control = [0.0; CLASSES_MAX];
        for (pair, into) in weights.iter_mut().enumerate().take(products * controls) {
            let weight = asked.weight * room.share[pair];
            *into = weight;
            sums.class[pair] += weight;
            by_product[pair / controls] += weight;
            by_control[pair % controls] += weight;
        }
        self.add_between(unit, &weights, &room.lanes, sums);
        self.add_sure(unit, asked.weight, sums);
        self.add_seen(unit, [&by_product, &by_control], sums);
    }

    /// Logarithm of the turns from sure week to sure week.
    fn sure_turns(&self, unit: &Unit) -> f64 {
        let kept = |(period, count): (usize, &f64)| {
            let using = self.rates.using[self.layout.use_cell(unit.group, period)];
            let sight = |view: &View| {
                let at = self.layout.sight_cell(view.vantage, period);
                (-self.rates.sight[at].down).ln_1p()
            };
            let blackout =
                self.rates.blackout_of(self.layout, unit, period).unwrap_or(0.0);
            let own = unit.views.iter().map(sight).sum::<f64>();
            count * ((-using.down).ln_1p() + own + (-blackout).ln_1p())
        };
        unit.sure_turns.iter().enumerate().map(kept).sum()
    }

    /// Logarithm of what was seen of the product in sure weeks, given membership, for each
    /// class.
    fn sure_product(&self, unit: &Unit) -> [f64; CLASSES_MAX] {
        let mut logs = [0.0; CLASSES_MAX];
        let entries = &self.entries.product[unit.entry * self.layout.products..];
        for (log, entry) in logs.iter_mut().zip(entries).take(self.layout.products) {
            *log = -entry.log;
        }
        for (view, week) in self.sure_weeks(unit) {
            let pattern = view.cells[week].product;
            let by_class = self.rates.product.logs(view.vantage, week, pattern);
            logs.iter_mut().zip(by_class).for_each(|(log, by)| *log += by);
        }
        logs
    }

    /// The same of controls.
    fn sure_control(&self, unit: &Unit) -> [f64; CLASSES_MAX] {
        let mut logs = [0.0; CLASSES_MAX];
        let entries = &self.entries.control[unit.entry * self.layout.controls..];
        for (log, entry) in logs.iter_mut().zip(entries).take(self.layout.controls) {
            *log = -entry.log;
        }
        for (view, week) in self.sure_weeks(unit).filter(|(view, _)| view.control) {
            let pattern = view.cells[week].control;
            let by_class = self.rates.control.logs(view.vantage, week, pattern);
            logs.iter_mut().zip(by_class).for_each(|(log, by)| *log += by);
        }
        logs
    }

    /// Adds what was seen in sure weeks, and membership, of each class of the product and
    /// of controls.
    fn add_seen(
        &self,
        unit: &Unit,
        [by_product, by_control]: [&[f64; CLASSES_MAX]; 2],
        sums: &mut Sums,
    ) {
        let (products, controls) = (self.layout.products, self.layout.controls);
        for (class, weight) in by_product.iter().enumerate().take(products) {
            let entry = &self.entries.product[unit.entry * products + class];
            let at = |v: usize, week: usize| self.layout.product_cell(v, week, class);
            self.add_entry(unit, entry, *weight, at, &mut sums.product);
        }
        for (class, weight) in by_control.iter().enumerate().take(controls) {
            let entry = &self.entries.control[unit.entry * controls + class];
            let at = |v: usize, week: usize| self.layout.control_cell(v, week, class);
            self.add_entry(unit, entry, *weight, at, &mut sums.control);
        }
        for (view, week) in self.sure_weeks(unit) {
            let days = self.days[usize::from(view.cells[week].product)];
            let at = self.layout.product_cell(view.vantage, week, 0);
            let into = sums.product[at..at + products].iter_mut();
            into.zip(by_product).for_each(|(into, weight)| into.add(*weight, days));
            if view.control {
                let days = self.days[usize::from(view.cells[week].control)];
                let at = self.layout.control_cell(view.vantage, week, 0);
                let into = sums.control[at..at + controls].iter_mut();
                into.zip(by_control).for_each(|(into, weight)| into.add(*weight, days));
            }
        }
    }

    fn sure_weeks<'b>(
        &self,
        unit: &'b Unit,
    ) -> impl Iterator<Item = (&'b View, usize)> {
        let weeks = self.layout.weeks;
        let sure = move |week: &usize| unit.sure[*week];
        let of = move |view| (0..weeks).filter(sure).map(move |week| (view, week));
        unit.views.iter().flat_map(of)
    }

    /// Adds what sure weeks say whatever the class: turns between them, and sight.
    fn add_sure(&self, unit: &Unit, weight: f64, sums: &mut Sums) {
        for (period, count) in unit.sure_turns.iter().enumerate() {
            sums.using[self.layout.use_cell(unit.group, period)][1] += weight * count;
            for view in &unit.views {
                let at = self.layout.sight_cell(view.vantage, period);
                sums.sight[at][1] += weight * count;
            }
            if self.rates.blackout_of(self.layout, unit, period).is_some() {
                sums.blackout[period][1] += weight * count;
            }
        }
        for (view, week) in self.sure_weeks(unit) {
            let into = &mut sums.lit[view.vantage * self.layout.weeks + week];
            *into = [into[0] + weight, into[1] + weight];
        }
    }

    fn add_entry(
        &self,
        unit: &Unit,
        entry: &EntryChance,
        weight: f64,
        at: impl Fn(usize, usize) -> usize,
        into: &mut [Days],
    ) {
        let before = self.evidence.before;
        for (j, view) in unit.views.iter().enumerate() {
            for week in 0..before {
                let slopes = entry.slopes[j * before + week];
                let into = &mut into[at(view.vantage, week)].direct;
                *into = [into[0] - weight * slopes[0], into[1] - weight * slopes[1]];
            }
        }
    }
}
