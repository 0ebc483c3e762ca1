//! The weeks between sure ones, for all pairs of classes at once.
//!
//! The sums over states are the same sums for every pair, with other numbers: each pair
//! has a lane, and every step is made in all lanes together, so that the machine can make
//! it in a few instructions. Lanes without a pair repeat the first, and weigh nothing.
//!
//! **Invariant:** how many lanes and states there are is known where a step is compiled;
//! no step mixes lanes before the pairs' weights are in.

#![expect(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "steps are made for numbers of states and lanes known to the compiler, over \
              several lists side by side"
)]

use super::chain::{CLASSES_MAX, Chain, PAIRS_MAX, Sums};
use super::evidence::{Unit, View};
use super::rates::Turn;

/// A product of chances this small is replaced by its logarithm. A week's chance is over
/// 1e-190, so the product stays a normal number.
const CHANCE_SMALL: f64 = 1e-100;

/// One number for each pair of classes.
type Lane<const L: usize> = [f64; L];
/// One number for each state and pair of classes.
type States<const S: usize, const L: usize> = [Lane<L>; S];

/// Room for the sums of one organisation, week by week: chances of states forward, then
/// what each week's were divided by. Its form is that of the last organisation.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    forward: Vec<f64>,
    scale: Vec<f64>,
    /// From which week on paths with use were left out.
    gone: Option<usize>,
}

/// Lost, kept, came back, stayed out: of one bit, for each pair.
type Turned<const L: usize> = [Lane<L>; 4];
/// What turns: use, the three views that an organisation has at most, all views at once.
const TURNS: usize = 5;
/// The last of them.
const BLACKOUT: usize = 4;

impl Chain<'_> {
    /// Logarithm of what lies between sure weeks, for each pair of classes.
    pub(super) fn between(
        &self,
        unit: &Unit,
        gone: Option<usize>,
        room: &mut Lanes,
    ) -> [f64; PAIRS_MAX] {
        match (unit.views.len(), self.lanes()) {
            (1, 8) => self.forward::<1, 4, 8>(unit, gone, room),
            (2, 8) => self.forward::<2, 8, 8>(unit, gone, room),
            (_, 8) => self.forward::<3, 16, 8>(unit, gone, room),
            (1, 16) => self.forward::<1, 4, 16>(unit, gone, room),
            (2, 16) => self.forward::<2, 8, 16>(unit, gone, room),
            (_, 16) => self.forward::<3, 16, 16>(unit, gone, room),
            (1, _) => self.forward::<1, 4, 24>(unit, gone, room),
            (2, _) => self.forward::<2, 8, 24>(unit, gone, room),
            (_, _) => self.forward::<3, 16, 24>(unit, gone, room),
        }
    }

    /// Adds to `sums` what the last [`Self::between`] of the same unit expects, with this
    /// weight for each pair of classes.
    pub(super) fn add_between(
        &self,
        unit: &Unit,
        weights: &[f64; PAIRS_MAX],
        room: &Lanes,
        sums: &mut Sums,
    ) {
        match (unit.views.len(), self.lanes()) {
            (1, 8) => self.backward::<1, 4, 8>(unit, weights, room, sums),
            (2, 8) => self.backward::<2, 8, 8>(unit, weights, room, sums),
            (_, 8) => self.backward::<3, 16, 8>(unit, weights, room, sums),
            (1, 16) => self.backward::<1, 4, 16>(unit, weights, room, sums),
            (2, 16) => self.backward::<2, 8, 16>(unit, weights, room, sums),
            (_, 16) => self.backward::<3, 16, 16>(unit, weights, room, sums),
            (1, _) => self.backward::<1, 4, 24>(unit, weights, room, sums),
            (2, _) => self.backward::<2, 8, 24>(unit, weights, room, sums),
            (_, _) => self.backward::<3, 16, 24>(unit, weights, room, sums),
        }
    }

    /// The least number of lanes that holds all pairs.
    fn lanes(&self) -> usize {
        (self.layout.products * self.layout.controls).next_multiple_of(8)
    }

    fn forward<const V: usize, const S: usize, const L: usize>(
        &self,
        unit: &Unit,
        gone: Option<usize>,
        room: &mut Lanes,
    ) -> [f64; PAIRS_MAX] {
        let weeks = self.layout.weeks;
        room.forward.resize(weeks * S * L, 0.0);
        room.scale.resize(weeks * L, 0.0);
        room.gone = gone;
        let forward = states_of_mut::<S, L>(&mut room.forward);
        let scale = room.scale.as_chunks_mut::<L>().0;
        let (mut log, mut chance) = ([0.0; L], [1.0; L]);
        let mut state = sure_state::<S, L>();
        for week in unit.entry_week + 1..weeks {
            if unit.sure[week - 1] {
                if unit.sure[week] {
                    continue;
                }
                state = sure_state();
            }
            for bit in 0..=V {
                turn_forward(&mut state, bit, self.turn(unit, bit, week));
            }
            if let Some(chance) = self.blackout(unit, week) {
                black_out(&mut state, chance);
            }
            self.weigh::<V, S, L>(unit, week, gone, &mut state);
            let mut sum = [0.0; L];
            for state in &state {
                for l in 0..L {
                    sum[l] += state[l];
                }
            }
            for l in 0..L {
                chance[l] *= sum[l];
            }
            if chance.iter().any(|chance| *chance < CHANCE_SMALL) {
                for (log, chance) in log.iter_mut().zip(&mut chance) {
                    *log += chance.ln();
                    *chance = 1.0;
                }
            }
            // Where nothing is possible, the states stay at nothing.
            let inverse = sum.map(|sum| if sum > 0.0 { 1.0 / sum } else { 0.0 });
            for state in &mut state {
                for l in 0..L {
                    state[l] *= inverse[l];
                }
            }
            forward[week] = state;
            scale[week] = inverse;
        }
        let mut logs = [f64::NEG_INFINITY; PAIRS_MAX];
        for ((into, log), chance) in logs.iter_mut().zip(log).zip(chance) {
            *into = log + chance.ln();
        }
        logs
    }

    fn backward<const V: usize, const S: usize, const L: usize>(
        &self,
        unit: &Unit,
        weights: &[f64; PAIRS_MAX],
        room: &Lanes,
        sums: &mut Sums,
    ) {
        let mut weight = [0.0; L];
        weight.iter_mut().zip(weights).for_each(|(into, from)| *into = *from);
        let forward = states_of::<S, L>(&room.forward);
        let scale = room.scale.as_chunks::<L>().0;
        let mut turned = [[[0.0; L]; 4]; TURNS];
        let mut later = [weight; S];
        let mut period = self.layout.periods - 1;
        for week in (unit.entry_week + 1..self.layout.weeks).rev() {
            if unit.sure[week] {
                later = [weight; S];
                if unit.sure[week - 1] {
                    continue;
                }
            } else {
                self.add_days::<V, S, L>(unit, week, &forward[week], &later, sums);
            }
            for later in &mut later {
                for l in 0..L {
                    later[l] *= scale[week][l];
                }
            }
            self.weigh::<V, S, L>(unit, week, room.gone, &mut later);
            let earlier =
                if unit.sure[week - 1] { &sure_state() } else { &forward[week - 1] };
            if self.evidence.period[week] != period {
                self.add_turns::<V, L>(unit, period, &turned, sums);
                turned = [[[0.0; L]; 4]; TURNS];
                period = self.evidence.period[week];
            }
            self.back_turns::<V, S, L>(unit, week, earlier, &mut later, &mut turned);
        }
        self.add_turns::<V, L>(unit, period, &turned, sums);
    }

    /// Multiplies each state by the chance of what was seen in a week. A sure week has one
    /// state, and its chance is counted elsewhere; use from the week `gone` to the
    /// end of the window after has none.
    #[inline(always)]
    fn weigh<const V: usize, const S: usize, const L: usize>(
        &self,
        unit: &Unit,
        week: usize,
        gone: Option<usize>,
        states: &mut States<S, L>,
    ) {
        if unit.sure[week] {
            states[..S - 1].fill([0.0; L]);
            return;
        }
        for (j, view) in unit.views.iter().enumerate().take(V) {
            let (dark, by) = self.shown::<L>(view, week);
            for (s, state) in states.iter_mut().enumerate() {
                if s >> (j + 1) & 1 == 1 {
                    for l in 0..L {
                        state[l] *= by[s & 1][l];
                    }
                } else if !dark {
                    *state = [0.0; L];
                }
            }
        }
        if gone.is_some_and(|from| (from..self.evidence.after.end).contains(&week)) {
            states.iter_mut().skip(1).step_by(2).for_each(|used| *used = [0.0; L]);
        }
    }

    /// Whether a view may have been out of sight; and the chance of what it shows in
    /// sight, where the product is not used and where it is.
    #[inline(always)]
    fn shown<const L: usize>(&self, view: &View, week: usize) -> (bool, [Lane<L>; 2]) {
        let cell = view.cells[week];
        let controls = self.layout.controls;
        let used = self.rates.product.chances(view.vantage, week, cell.product);
        let unused = self.unused[usize::from(cell.product)];
        let mut dark = self.nothing[usize::from(cell.product)];
        let mut seen = &[1.0; CLASSES_MAX][..controls];
        if view.control {
            seen = self.rates.control.chances(view.vantage, week, cell.control);
            dark &= self.nothing[usize::from(cell.control)];
        }
        let mut shown = [[unused * seen[0]; L], [used[0] * seen[0]; L]];
        let [not_used, in_use] = &mut shown;
        let lanes =
            not_used.chunks_exact_mut(controls).zip(in_use.chunks_exact_mut(controls));
        for (used, (not_used, in_use)) in used.iter().zip(lanes) {
            for ((seen, not_used), in_use) in seen.iter().zip(not_used).zip(in_use) {
                *not_used = unused * seen;
                *in_use = used * seen;
            }
        }
        (dark, shown)
    }

    fn blackout(&self, unit: &Unit, week: usize) -> Option<f64> {
        self.rates.blackout_of(self.layout, unit, self.evidence.period[week])
    }

    fn turn(&self, unit: &Unit, bit: usize, week: usize) -> Turn {
        let (period, layout) = (self.evidence.period[week], self.layout);
        match bit.checked_sub(1) {
            None => self.rates.using[layout.use_cell(unit.group, period)],
            Some(view) => {
                let vantage = unit.views[view].vantage;
                self.rates.sight[layout.sight_cell(vantage, period)]
            }
        }
    }

    /// Takes `later` back over the turns into `week`, and adds the expected ones to
    /// `turned`, bit by bit.
    fn back_turns<const V: usize, const S: usize, const L: usize>(
        &self,
        unit: &Unit,
        week: usize,
        earlier: &States<S, L>,
        later: &mut States<S, L>,
        turned: &mut [Turned<L>; TURNS],
    ) {
        let mut before = [[[0.0; L]; S]; V];
        let mut state = *earlier;
        for (bit, before) in before.iter_mut().enumerate() {
            *before = state;
            turn_forward(&mut state, bit, self.turn(unit, bit, week));
        }
        if let Some(chance) = self.blackout(unit, week) {
            let mut lit = state;
            turn_forward(&mut lit, V, self.turn(unit, V, week));
            black_back(&lit, later, chance, &mut turned[BLACKOUT]);
        }
        turn_back(&state, later, V, self.turn(unit, V, week), &mut turned[V]);
        for (bit, before) in before.iter().enumerate().rev() {
            turn_back(before, later, bit, self.turn(unit, bit, week), &mut turned[bit]);
        }
    }

    fn add_turns<const V: usize, const L: usize>(
        &self,
        unit: &Unit,
        period: usize,
        turned: &[Turned<L>; TURNS],
        sums: &mut Sums,
    ) {
        let layout = self.layout;
        let [lost, kept, ..] = turned[BLACKOUT].map(|lane| lane.iter().sum::<f64>());
        let into = &mut sums.blackout[period];
        *into = [into[0] + lost, into[1] + kept];
        for (bit, turned) in turned.iter().enumerate().take(V + 1) {
            let (down, up) = match bit.checked_sub(1) {
                None => {
                    let at = layout.use_cell(unit.group, period);
                    (&mut sums.using[at], &mut sums.back)
                }
                Some(view) => {
                    let vantage = unit.views[view].vantage;
                    let at = layout.sight_cell(vantage, period);
                    (&mut sums.sight[at], &mut sums.relight[vantage])
                }
            };
            let [lost, kept, back, out] = turned.map(|lane| lane.iter().sum::<f64>());
            *down = [down[0] + lost, down[1] + kept];
            *up = [up[0] + back, up[1] + out];
        }
    }

    fn add_days<const V: usize, const S: usize, const L: usize>(
        &self,
        unit: &Unit,
        week: usize,
        forward: &States<S, L>,
        later: &States<S, L>,
        sums: &mut Sums,
    ) {
        let (products, controls) = (self.layout.products, self.layout.controls);
        let mut here = *forward;
        for (here, later) in here.iter_mut().zip(later) {
            for l in 0..L {
                here[l] *= later[l];
            }
        }
        for (j, view) in unit.views.iter().enumerate().take(V) {
            let (mut used, mut lit, mut all) = ([0.0; L], [0.0; L], [0.0; L]);
            for (s, chance) in here.iter().enumerate() {
                for l in 0..L {
                    all[l] += chance[l];
                }
                if s >> (j + 1) & 1 == 1 {
                    for l in 0..L {
                        lit[l] += chance[l];
                    }
                    if s & 1 == 1 {
                        for l in 0..L {
                            used[l] += chance[l];
                        }
                    }
                }
            }
            let at = self.layout.product_cell(view.vantage, week, 0);
            let days = self.days[usize::from(view.cells[week].product)];
            for (into, used) in sums.product[at..at + products]
                .iter_mut()
                .zip(used.chunks_exact(controls))
            {
                into.add(used.iter().sum(), days);
            }
            if view.control {
                let at = self.layout.control_cell(view.vantage, week, 0);
                let days = self.days[usize::from(view.cells[week].control)];
                for (class, into) in
                    sums.control[at..at + controls].iter_mut().enumerate()
                {
                    let of_class = lit.iter().skip(class).step_by(controls);
                    into.add(of_class.take(products).sum(), days);
                }
            }
            let into = &mut sums.lit[view.vantage * self.layout.weeks + week];
            *into =
                [into[0] + lit.iter().sum::<f64>(), into[1] + all.iter().sum::<f64>()];
        }
    }
}

/// The one state of a sure week: used, and in sight of all.
fn sure_state<const S: usize, const L: usize>() -> States<S, L> {
    let mut state = [[0.0; L]; S];
    state[S - 1] = [1.0; L];
    state
}

fn states_of<const S: usize, const L: usize>(room: &[f64]) -> &[States<S, L>] {
    room.as_chunks::<L>().0.as_chunks::<S>().0
}

fn states_of_mut<const S: usize, const L: usize>(
    room: &mut [f64],
) -> &mut [States<S, L>] {
    room.as_chunks_mut::<L>().0.as_chunks_mut::<S>().0
}

/// One bit turns, or does not.
#[inline(always)]
fn turn_forward<const S: usize, const L: usize>(
    state: &mut States<S, L>,
    bit: usize,
    turn: Turn,
) {
    for s in (0..S).filter(|s| s >> bit & 1 == 0) {
        let t = s | 1 << bit;
        for l in 0..L {
            let (off, on) = (state[s][l], state[t][l]);
            state[s][l] = off * (1.0 - turn.up) + on * turn.down;
            state[t][l] = off * turn.up + on * (1.0 - turn.down);
        }
    }
}

/// The same backwards, and what turned.
#[inline(always)]
fn turn_back<const S: usize, const L: usize>(
    before: &States<S, L>,
    later: &mut States<S, L>,
    bit: usize,
    turn: Turn,
    turned: &mut Turned<L>,
) {
    let Turn { down, up } = turn;
    for s in (0..S).filter(|s| s >> bit & 1 == 0) {
        let t = s | 1 << bit;
        for l in 0..L {
            let (off, on) = (before[s][l], before[t][l]);
            let (low, high) = (later[s][l], later[t][l]);
            turned[0][l] += on * down * low;
            turned[1][l] += on * (1.0 - down) * high;
            turned[2][l] += off * up * high;
            turned[3][l] += off * (1.0 - up) * low;
            later[s][l] = (1.0 - up) * low + up * high;
            later[t][l] = down * low + (1.0 - down) * high;
        }
    }
}

/// All views go dark at once, or do not.
#[inline(always)]
fn black_out<const S: usize, const L: usize>(state: &mut States<S, L>, chance: f64) {
    for s in 2..S {
        for l in 0..L {
            state[s & 1][l] += chance * state[s][l];
            state[s][l] *= 1.0 - chance;
        }
    }
}

/// The same backwards, and what turned.
#[inline(always)]
fn black_back<const S: usize, const L: usize>(
    before: &States<S, L>,
    later: &mut States<S, L>,
    chance: f64,
    turned: &mut Turned<L>,
) {
    for s in 2..S {
        for l in 0..L {
            let (dark, lit) = (later[s & 1][l], later[s][l]);
            turned[0][l] += before[s][l] * chance * dark;
            turned[1][l] += before[s][l] * (1.0 - chance) * lit;
            later[s][l] = chance * dark + (1.0 - chance) * lit;
        }
    }
}
