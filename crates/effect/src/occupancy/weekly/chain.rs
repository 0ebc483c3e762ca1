//! Forward and backward over the weeks of one organisation.
//!
//! A state is a number of bits: bit 0 says that the organisation uses the product, bit
//! 1 + j that view j sees its networks. Each bit turns on its own, so a week's turn is
//! made bit by bit. A week in which every view saw the product has one state only; what
//! lies between two such weeks is summed alone, and they themselves are sums of
//! logarithms, once for each class of the product and of controls instead of each pair.
//!
//! **Invariant:** sums are scaled to one each week, so that no length underflows; what is
//! added to [`Sums`] is the expectation of the complete data given the history (Fisher's
//! identity), times the weight asked for.

use super::entry::{Entries, EntryChance};
use super::evidence::{
    Evidence, PATTERNS, Unit, VIEWS_MAX, View, noise_chances, pattern_days,
    silent_patterns,
};
use super::layout::Layout;
use super::rates::{Intensity, Rates, Turn};

/// Most classes of the product's detection.
pub(crate) const CLASSES_MAX: usize = 7;
/// Most classes of controls' detection.
const CONTROLS_MAX: usize = 3;
/// Most pairs of classes.
const PAIRS_MAX: usize = CLASSES_MAX * CONTROLS_MAX;
/// Pairs of classes that cannot have a larger share of a history are left out: sums are
/// exact to nine digits.
const SHARE_MIN: f64 = 1e-10;

/// A product of chances this small is replaced by its logarithm. A week's chance is over
/// 1e-190, so the product stays a normal number.
const CHANCE_SMALL: f64 = 1e-100;

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

    fn add(&mut self, weight: f64, days: [f64; 4]) {
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
    days: Vec<[f64; 4]>,
    nothing: [bool; PATTERNS],
    /// For each pattern: its chance while the product is not used.
    unused: [f64; PATTERNS],
}

/// What a pass is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Weight of what is added.
    pub(crate) weight: f64,
}

/// Room for the sums of one organisation, by pair of classes and week.
#[derive(Debug, Default)]
pub(crate) struct Room {
    one: Weeks<4>,
    two: Weeks<8>,
    three: Weeks<16>,
}

#[derive(Debug)]
struct Weeks<const S: usize> {
    forward: Vec<[f64; S]>,
    emission: Vec<[f64; S]>,
    scale: Vec<f64>,
    /// Share of each pair of classes in the likelihood.
    share: Vec<f64>,
}

impl<const S: usize> Default for Weeks<S> {
    fn default() -> Self {
        Self { forward: vec![], emission: vec![], scale: vec![], share: vec![] }
    }
}

/// The one state of a sure week: used, and in sight of all.
fn sure_state<const S: usize>() -> [f64; S] {
    let mut state = [0.0; S];
    state[S - 1] = 1.0;
    state
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

    /// The log-likelihood of a unit; with `gone`, of the paths without use in the window
    /// after, minus infinity if there is none.
    pub(crate) fn likelihood(&self, unit: &Unit, gone: bool, room: &mut Room) -> f64 {
        match unit.views.len() {
            1 => self.forward(unit, gone, &mut room.one),
            2 => self.forward(unit, gone, &mut room.two),
            _ => self.forward(unit, gone, &mut room.three),
        }
    }

    /// Adds to `sums` what the last [`Self::likelihood`] of the same unit expects. It must
    /// have been finite.
    pub(crate) fn add(&self, unit: &Unit, asked: Asked, room: &Room, sums: &mut Sums) {
        match unit.views.len() {
            1 => self.backward(unit, asked, &room.one, sums),
            2 => self.backward(unit, asked, &room.two, sums),
            _ => self.backward(unit, asked, &room.three, sums),
        }
    }

    fn forward<const S: usize>(
        &self,
        unit: &Unit,
        gone: bool,
        room: &mut Weeks<S>,
    ) -> f64 {
        let (products, controls) = (self.layout.products, self.layout.controls);
        let (pairs, weeks) = (products * controls, self.layout.weeks);
        room.forward.resize(pairs * weeks, [0.0; S]);
        room.emission.resize(pairs * weeks, [0.0; S]);
        room.scale.resize(pairs * weeks, 1.0);
        room.share.resize(pairs, 0.0);
        if gone && self.evidence.after.clone().any(|week| unit.sure[week]) {
            return f64::NEG_INFINITY;
        }
        let sure = self.sure_turns(unit);
        let by_product = self.sure_product(unit);
        let [by_control, seen_control] = self.controls(unit);
        // What a pair cannot exceed, in descending order: chances are at most 1.
        let mut bounds = [(f64::NEG_INFINITY, 0); PAIRS_MAX];
        for (pair, bound) in bounds.iter_mut().enumerate().take(pairs) {
            let (product, control) = (pair / controls, pair % controls);
            let weight = self.rates.weights[pair].max(f64::MIN_POSITIVE).ln();
            let log = sure + by_product[product] + by_control[control] + weight;
            room.share[pair] = log;
            *bound = (log + seen_control[control], pair);
        }
        bounds[..pairs].sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut top = f64::NEG_INFINITY;
        for (bound, pair) in bounds.into_iter().take(pairs) {
            if bound < top + SHARE_MIN.ln() {
                room.share[pair] = f64::NEG_INFINITY;
                continue;
            }
            let classes = (pair / controls, pair % controls);
            room.share[pair] += self.between(unit, classes, gone, room);
            top = top.max(room.share[pair]);
        }
        if top == f64::NEG_INFINITY {
            return top;
        }
        let sum: f64 = room.share.iter().map(|log| (log - top).exp()).sum();
        room.share.iter_mut().for_each(|share| *share = (*share - top).exp() / sum);
        top + sum.ln()
    }

    /// Logarithm of the turns from sure week to sure week.
    fn sure_turns(&self, unit: &Unit) -> f64 {
        let periods = self.layout.periods;
        let kept = |(period, count): (usize, &f64)| {
            let using = self.rates.using[unit.group * periods + period];
            let sight = |view: &View| {
                (-self.rates.sight[view.vantage * periods + period].down).ln_1p()
            };
            let log = (-using.down).ln_1p() + unit.views.iter().map(sight).sum::<f64>();
            count * log
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

    /// Logarithm of what was seen of controls for each class: in sure weeks, given
    /// membership; and in other weeks, where any was. These were in sight, so no path
    /// does without that factor.
    fn controls(&self, unit: &Unit) -> [[f64; CLASSES_MAX]; 2] {
        let mut logs = [[0.0; CLASSES_MAX]; 2];
        let entries = &self.entries.control[unit.entry * self.layout.controls..];
        for (log, entry) in logs[0].iter_mut().zip(entries).take(self.layout.controls) {
            *log = -entry.log;
        }
        for view in unit.views.iter().filter(|view| view.control) {
            for (week, cell) in view.cells.iter().enumerate().take(self.layout.weeks) {
                let into =
                    match (unit.sure[week], self.nothing[usize::from(cell.control)]) {
                        (true, _) => &mut logs[0],
                        (false, false) => &mut logs[1],
                        (false, true) => continue,
                    };
                let by_class =
                    self.rates.control.logs(view.vantage, week, cell.control);
                into.iter_mut().zip(by_class).for_each(|(log, by)| *log += by);
            }
        }
        logs
    }

    /// Logarithm of what lies between sure weeks, for a pair of classes.
    fn between<const S: usize>(
        &self,
        unit: &Unit,
        classes: (usize, usize),
        gone: bool,
        room: &mut Weeks<S>,
    ) -> f64 {
        let weeks = self.layout.weeks;
        let pair = classes.0 * self.layout.controls + classes.1;
        let (mut log, mut chance) = (0.0, 1.0f64);
        let mut state = sure_state::<S>();
        for week in unit.entry_week + 1..weeks {
            if unit.sure[week - 1] {
                if unit.sure[week] {
                    continue;
                }
                state = sure_state();
            }
            let place = pair * weeks + week;
            state = self.turned(unit, week, state);
            let emission = if unit.sure[week] {
                sure_state()
            } else {
                self.emission(unit, week, classes, gone)
            };
            let mut sum = 0.0;
            for (state, emission) in state.iter_mut().zip(&emission) {
                *state *= emission;
                sum += *state;
            }
            room.emission[place] = emission;
            room.scale[place] = sum;
            if sum <= 0.0 {
                return f64::NEG_INFINITY;
            }
            chance *= sum;
            if chance < CHANCE_SMALL {
                log += chance.ln();
                chance = 1.0;
            }
            let inverse = 1.0 / sum;
            for state in &mut state {
                *state *= inverse;
            }
            room.forward[place] = state;
        }
        log + chance.ln()
    }

    fn emission<const S: usize>(
        &self,
        unit: &Unit,
        week: usize,
        classes: (usize, usize),
        gone: bool,
    ) -> [f64; S] {
        let mut emission = [1.0; S];
        for (j, view) in unit.views.iter().enumerate() {
            let cell = view.cells[week];
            let (product, control) = (&self.rates.product, &self.rates.control);
            let used = product.chance(view.vantage, week, cell.product, classes.0);
            let unused = self.unused[usize::from(cell.product)];
            let silent = self.nothing[usize::from(cell.product)];
            let (mut seen, mut dark) = (1.0, f64::from(u8::from(silent)));
            if view.control {
                seen = control.chance(view.vantage, week, cell.control, classes.1);
                dark *= f64::from(u8::from(self.nothing[usize::from(cell.control)]));
            }
            for (s, emission) in emission.iter_mut().enumerate() {
                *emission *= match (s >> (j + 1) & 1, s & 1) {
                    (0, _) => dark,
                    (_, 0) => unused * seen,
                    _ => used * seen,
                };
            }
        }
        if gone && self.evidence.after.contains(&week) {
            (0..S).filter(|s| s & 1 == 1).for_each(|s| emission[s] = 0.0);
        }
        emission
    }

    fn turn(&self, unit: &Unit, bit: usize, week: usize) -> Turn {
        let (period, periods) = (self.evidence.period[week], self.layout.periods);
        match bit.checked_sub(1) {
            None => self.rates.using[unit.group * periods + period],
            Some(view) => self.rates.sight[unit.views[view].vantage * periods + period],
        }
    }

    fn turned<const S: usize>(
        &self,
        unit: &Unit,
        week: usize,
        mut state: [f64; S],
    ) -> [f64; S] {
        for bit in 0..=unit.views.len() {
            state = turn_forward(state, bit, self.turn(unit, bit, week));
        }
        state
    }

    fn backward<const S: usize>(
        &self,
        unit: &Unit,
        asked: Asked,
        room: &Weeks<S>,
        sums: &mut Sums,
    ) {
        let (products, controls) = (self.layout.products, self.layout.controls);
        let mut by_product = [0.0; CLASSES_MAX];
        let mut by_control = [0.0; CLASSES_MAX];
        for (pair, share) in room.share.iter().enumerate() {
            let (product, control) = (pair / controls, pair % controls);
            let weight = asked.weight * share;
            sums.class[pair] += weight;
            by_product[product] += weight;
            by_control[control] += weight;
            if *share > SHARE_MIN {
                self.back_between(unit, (product, control), weight, room, sums);
            }
        }
        self.add_sure(unit, asked.weight, sums);
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
            into.zip(by_product).for_each(|(into, weight)| into.add(weight, days));
            if view.control {
                let days = self.days[usize::from(view.cells[week].control)];
                let at = self.layout.control_cell(view.vantage, week, 0);
                let into = sums.control[at..at + controls].iter_mut();
                into.zip(by_control).for_each(|(into, weight)| into.add(weight, days));
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
        let periods = self.layout.periods;
        for (period, count) in unit.sure_turns.iter().enumerate() {
            sums.using[unit.group * periods + period][1] += weight * count;
            for view in &unit.views {
                sums.sight[view.vantage * periods + period][1] += weight * count;
            }
        }
        for (view, week) in self.sure_weeks(unit) {
            let into = &mut sums.lit[view.vantage * self.layout.weeks + week];
            *into = [into[0] + weight, into[1] + weight];
        }
    }

    fn back_between<const S: usize>(
        &self,
        unit: &Unit,
        classes: (usize, usize),
        weight: f64,
        room: &Weeks<S>,
        sums: &mut Sums,
    ) {
        let weeks = self.layout.weeks;
        let pair = classes.0 * self.layout.controls + classes.1;
        let mut later = [1.0; S];
        for week in (unit.entry_week + 1..weeks).rev() {
            let place = pair * weeks + week;
            if unit.sure[week] {
                later = [1.0; S];
                if unit.sure[week - 1] {
                    continue;
                }
            } else {
                let mut here = room.forward[place];
                here.iter_mut().zip(&later).for_each(|(h, l)| *h *= l * weight);
                self.add_days(unit, week, classes, &here, sums);
            }
            let scale = room.scale[place];
            for (later, emission) in later.iter_mut().zip(&room.emission[place]) {
                *later *= emission / scale;
            }
            let earlier = if unit.sure[week - 1] {
                sure_state()
            } else {
                room.forward[place - 1]
            };
            later = self.add_turns(unit, week, weight, earlier, later, sums);
        }
    }

    /// Adds the expected turns into `week`, and returns the backward sums before them.
    fn add_turns<const S: usize>(
        &self,
        unit: &Unit,
        week: usize,
        weight: f64,
        earlier: [f64; S],
        mut later: [f64; S],
        sums: &mut Sums,
    ) -> [f64; S] {
        let (period, periods) = (self.evidence.period[week], self.layout.periods);
        let bits = unit.views.len() + 1;
        let mut before = [[0.0; S]; VIEWS_MAX + 1];
        let mut state = earlier;
        for (bit, before) in before.iter_mut().enumerate().take(bits) {
            *before = state;
            state = turn_forward(state, bit, self.turn(unit, bit, week));
        }
        for bit in (0..bits).rev() {
            let turn = self.turn(unit, bit, week);
            let (mut lost, mut kept, mut back, mut out) = (0.0, 0.0, 0.0, 0.0);
            for s in (0..S).filter(|s| s >> bit & 1 == 0) {
                let t = s | 1 << bit;
                let (off, on) = (before[bit][s], before[bit][t]);
                lost += on * turn.down * later[s];
                kept += on * (1.0 - turn.down) * later[t];
                back += off * turn.up * later[t];
                out += off * (1.0 - turn.up) * later[s];
                let (low, high) = (later[s], later[t]);
                later[s] = (1.0 - turn.up) * low + turn.up * high;
                later[t] = turn.down * low + (1.0 - turn.down) * high;
            }
            let (down, up) = match bit.checked_sub(1) {
                None => {
                    (&mut sums.using[unit.group * periods + period], &mut sums.back)
                }
                Some(view) => {
                    let vantage = unit.views[view].vantage;
                    (
                        &mut sums.sight[vantage * periods + period],
                        &mut sums.relight[vantage],
                    )
                }
            };
            down[0] += weight * lost;
            down[1] += weight * kept;
            up[0] += weight * back;
            up[1] += weight * out;
        }
        later
    }

    fn add_days<const S: usize>(
        &self,
        unit: &Unit,
        week: usize,
        classes: (usize, usize),
        here: &[f64; S],
        sums: &mut Sums,
    ) {
        for (j, view) in unit.views.iter().enumerate() {
            let (mut used, mut lit, mut all) = (0.0, 0.0, 0.0);
            for (s, chance) in here.iter().enumerate() {
                all += chance;
                if s >> (j + 1) & 1 == 1 {
                    lit += chance;
                    if s & 1 == 1 {
                        used += chance;
                    }
                }
            }
            let at = self.layout.product_cell(view.vantage, week, classes.0);
            let days = self.days[usize::from(view.cells[week].product)];
            sums.product[at].add(used, days);
            if view.control {
                let at = self.layout.control_cell(view.vantage, week, classes.1);
                let days = self.days[usize::from(view.cells[week].control)];
                sums.control[at].add(lit, days);
            }
            let into = &mut sums.lit[view.vantage * self.layout.weeks + week];
            *into = [into[0] + lit, into[1] + all];
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

fn turn_forward<const S: usize>(
    mut state: [f64; S],
    bit: usize,
    turn: Turn,
) -> [f64; S] {
    for s in (0..S).filter(|s| s >> bit & 1 == 0) {
        let t = s | 1 << bit;
        let (off, on) = (state[s], state[t]);
        state[s] = off * (1.0 - turn.up) + on * turn.down;
        state[t] = off * turn.up + on * (1.0 - turn.down);
    }
    state
}
