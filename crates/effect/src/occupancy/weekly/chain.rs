//! Forward and backward over the weeks of one organisation.
//!
//! A state is a number of bits: bit 0 says that the organisation uses the product, bit
//! 1 + j that view j sees its networks. Each bit turns on its own, so a week's turn is
//! made bit by bit.
//!
//! **Invariant:** sums are scaled to one each week, so that no length underflows; what is
//! added to [`Sums`] is the expectation of the complete data given the history (Fisher's
//! identity), times the weight asked for.

use super::entry::EntryChance;
use super::evidence::{Evidence, PATTERNS, Unit, VIEWS_MAX, pattern_days};
use super::layout::Layout;
use super::rates::{Rates, Turn};

/// Expected counts, from which the gradient is made.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    /// By vantage, week, class: the product's days seen and missed on weekdays and
    /// weekends while used and in sight, then the controls' while in sight.
    pub(crate) days: Vec<[f64; 8]>,
    /// By vantage, week, class: slopes by the logarithms of intensities, direct.
    pub(crate) slopes: Vec<[f64; 4]>,
    /// By group, period: weeks after which use ended, or went on.
    pub(crate) using: Vec<[f64; 2]>,
    /// Weeks after which use began again, or did not.
    pub(crate) back: [f64; 2],
    /// By vantage, period: weeks after which sight was lost, or kept.
    pub(crate) sight: Vec<[f64; 2]>,
    /// By vantage: weeks after which sight came back, or did not.
    pub(crate) relight: Vec<[f64; 2]>,
    /// By class: organisations.
    pub(crate) class: Vec<f64>,
    /// By vantage, week: organisations in sight, and all.
    pub(crate) lit: Vec<[f64; 2]>,
}

impl Sums {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            days: vec![[0.0; 8]; layout.cells()],
            slopes: vec![[0.0; 4]; layout.cells()],
            using: vec![[0.0; 2]; layout.groups * layout.periods],
            back: [0.0; 2],
            sight: vec![[0.0; 2]; layout.vantages * layout.periods],
            relight: vec![[0.0; 2]; layout.vantages],
            class: vec![0.0; layout.classes],
            lit: vec![[0.0; 2]; layout.vantages * layout.weeks],
        }
    }

    pub(crate) fn clear(&mut self) {
        self.days.fill([0.0; 8]);
        self.slopes.fill([0.0; 4]);
        self.using.fill([0.0; 2]);
        self.back = [0.0; 2];
        self.sight.fill([0.0; 2]);
        self.relight.fill([0.0; 2]);
        self.class.fill(0.0);
        self.lit.fill([0.0; 2]);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        fn each<const N: usize>(into: &mut [[f64; N]], from: &[[f64; N]]) {
            for (into, from) in into.iter_mut().zip(from) {
                for (into, from) in into.iter_mut().zip(from) {
                    *into += from;
                }
            }
        }
        each(&mut self.days, &other.days);
        each(&mut self.slopes, &other.slopes);
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
    pub(crate) entries: &'a [EntryChance],
    /// For each pattern: days seen and missed; whether nothing was seen.
    days: Vec<[f64; 4]>,
    nothing: [bool; PATTERNS],
}

/// Room for the sums of one organisation, by class and week.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Organisation by one, two and three vantages.
    one: Weeks<4>,
    two: Weeks<8>,
    three: Weeks<16>,
}

#[derive(Debug)]
struct Weeks<const S: usize> {
    forward: Vec<[f64; S]>,
    emission: Vec<[f64; S]>,
    scale: Vec<f64>,
    /// Share of each class in the likelihood.
    share: Vec<f64>,
}

impl<const S: usize> Default for Weeks<S> {
    fn default() -> Self {
        Self { forward: vec![], emission: vec![], scale: vec![], share: vec![] }
    }
}

/// What a pass is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Weight of what is added.
    pub(crate) weight: f64,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        evidence: &'a Evidence,
        rates: &'a Rates,
        entries: &'a [EntryChance],
    ) -> Self {
        let patterns = pattern_days();
        let mut nothing = [false; PATTERNS];
        for (nothing, days) in nothing.iter_mut().zip(&patterns) {
            *nothing = days[0] == 0 && days[2] == 0;
        }
        let days = patterns.iter().map(|d| d.map(f64::from)).collect();
        Self { layout, evidence, rates, entries, days, nothing }
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

    /// Adds to `sums` what the last [`Self::likelihood`] of the same unit expects.
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
        let (classes, weeks) = (self.layout.classes, self.layout.weeks);
        room.forward.resize(classes * weeks, [0.0; S]);
        room.emission.resize(classes * weeks, [0.0; S]);
        room.scale.resize(classes * weeks, 0.0);
        room.share.resize(classes, 0.0);
        let mut logs = [f64::NEG_INFINITY; CLASSES_MAX];
        for class in 0..classes {
            let mut log = 0.0;
            let mut state = [0.0; S];
            state[S - 1] = 1.0;
            for week in 0..weeks {
                let place = class * weeks + week;
                if week > unit.entry_week {
                    state = self.turned(unit, week, state);
                }
                let emission = self.emission(unit, week, class, gone);
                let mut sum = 0.0;
                for (state, emission) in state.iter_mut().zip(&emission) {
                    *state *= emission;
                    sum += *state;
                }
                room.emission[place] = emission;
                room.scale[place] = sum;
                log += sum.ln();
                if sum > 0.0 {
                    state.iter_mut().for_each(|s| *s /= sum);
                }
                room.forward[place] = state;
            }
            let entry = &self.entries[unit.entry * classes + class];
            logs[class] = log + self.rates.weights[class].ln() - entry.log;
        }
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return top;
        }
        let sum: f64 = logs[..classes].iter().map(|l| (l - top).exp()).sum();
        for (share, log) in room.share.iter_mut().zip(&logs) {
            *share = (log - top).exp() / sum;
        }
        top + sum.ln()
    }

    fn emission<const S: usize>(
        &self,
        unit: &Unit,
        week: usize,
        class: usize,
        gone: bool,
    ) -> [f64; S] {
        let mut emission = [1.0; S];
        for (j, view) in unit.views.iter().enumerate() {
            let cell = self.layout.cell(view.vantage, week, class);
            let days = view.cells[week];
            let (product, control) =
                (usize::from(days.product), usize::from(days.control));
            let silent = self.nothing[product];
            let used = self.rates.product[cell][product];
            let unused = f64::from(u8::from(silent));
            let (mut seen, mut dark) = (1.0, unused);
            if view.control {
                seen = self.rates.control[cell][control];
                dark *= f64::from(u8::from(self.nothing[control]));
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
        for class in 0..self.layout.classes {
            let weight = asked.weight * room.share[class];
            if weight == 0.0 {
                continue;
            }
            sums.class[class] += weight;
            self.add_entry(unit, class, weight, sums);
            let mut later = [1.0; S];
            for week in (0..self.layout.weeks).rev() {
                let place = class * self.layout.weeks + week;
                let mut here = room.forward[place];
                here.iter_mut().zip(&later).for_each(|(h, l)| *h *= l * weight);
                self.add_days(unit, week, class, &here, sums);
                let scale = room.scale[place];
                for (later, emission) in later.iter_mut().zip(&room.emission[place]) {
                    *later *= emission / scale;
                }
                if week > unit.entry_week {
                    let earlier = room.forward[place - 1];
                    later = self.add_turns(unit, week, weight, earlier, later, sums);
                }
            }
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
        class: usize,
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
            let into = &mut sums.days[self.layout.cell(view.vantage, week, class)];
            let product = self.days[usize::from(view.cells[week].product)];
            for (into, days) in into.iter_mut().zip(product) {
                *into += used * days;
            }
            if view.control {
                let control = self.days[usize::from(view.cells[week].control)];
                for (into, days) in into[4..].iter_mut().zip(control) {
                    *into += lit * days;
                }
            }
            let into = &mut sums.lit[view.vantage * self.layout.weeks + week];
            into[0] += lit;
            into[1] += all;
        }
    }

    fn add_entry(&self, unit: &Unit, class: usize, weight: f64, sums: &mut Sums) {
        let entry = &self.entries[unit.entry * self.layout.classes + class];
        let before = self.evidence.before;
        for (j, view) in unit.views.iter().enumerate() {
            for week in 0..before {
                let into =
                    &mut sums.slopes[self.layout.cell(view.vantage, week, class)];
                for (into, slope) in
                    into.iter_mut().zip(entry.slopes[j * before + week])
                {
                    *into -= weight * slope;
                }
            }
        }
    }
}

/// Most classes of detection.
pub(crate) const CLASSES_MAX: usize = 5;

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
