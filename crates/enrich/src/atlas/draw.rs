//! Draws of who held an address: attribution as if every doubt had been decided by lot.
//!
//! A draw is a map of its own. Counted with several draws, a figure spreads as far as
//! attribution is unsure; `effect::imputation` makes an interval of it.
//!
//! * **A doubtful attribution** is kept where the lot of its range and organisation is
//!   below its confidence; else the address is nobody's. The lot is the same on all days,
//!   so that as the confidence falls with age the organisation leaves once and does not
//!   return.
//! * **Between two snapshots that differ** the day of the change is drawn evenly from the
//!   days between; from it on, the answer is the later one, whatever the rule for gaps.
//! * Attributions as sure as [`Draws::sure`] are never doubted.
//!
//! What is drawn is whether the organisation named is right, not who it is instead: a
//! count over draws is lower than the count without, and its spread is what is wanted.
//!
//! **Invariant:** a draw is a function of its seed, its number, the range and the
//! organisation: the same on every machine and in every order of questions.

use std::borrow::Cow;
use std::sync::Arc;

use tidegauge_model::{
    Address, Attribution, Client, Day, DayRange, Gap, Holders, OrgId, Organisation,
    Run, Standing, Tenure,
};

use super::ask::DISPUTED_SHARE;
use super::map::HolderMap;

/// How draws are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draws {
    /// Where the lots come from.
    pub seed: u64,
    /// The least confidence that is not doubted.
    pub sure: f32,
}

/// A map in which doubts are decided.
#[derive(Clone, Debug)]
pub struct DrawnMap {
    map: Arc<HolderMap>,
    draws: Draws,
    number: u32,
}

impl Draws {
    /// The draw of a number.
    pub fn draw(self, map: Arc<HolderMap>, number: u32) -> DrawnMap {
        DrawnMap { map, draws: self, number }
    }
}

impl Holders for DrawnMap {
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure> {
        if client.site.is_some() {
            return self.map.tenures(client, days);
        }
        let mut tenures: Vec<Tenure> = Vec::new();
        for (stretch, attribution) in self.stretches(client.address, days) {
            match tenures.last_mut() {
                Some(last) if last.attribution == attribution => {
                    last.days = DayRange::new(last.days.first(), stretch.last())
                        .expect("stretches are in order");
                }
                _ => tenures.push(Tenure { days: stretch, attribution }),
            }
        }
        tenures
    }

    fn run(&self, address: Address, before: usize) -> Run {
        // What is drawn is drawn for a range of the index.
        Run { answer: None, ..self.map.run(address, before) }
    }

    fn standing(&self, client: &Client, day: Day) -> Standing {
        self.map.standing(client, day)
    }

    fn standings(&self, client: &Client, days: DayRange) -> Vec<(DayRange, Standing)> {
        self.map.standings(client, days)
    }

    fn organisation(&self, id: &OrgId) -> Option<Cow<'_, Organisation>> {
        self.map.organisation(id)
    }
}

impl DrawnMap {
    /// Stretches that cover `days`, with what was drawn for them.
    fn stretches(
        &self,
        address: Address,
        days: DayRange,
    ) -> Vec<(DayRange, Attribution)> {
        let range = self.map.range_start(address);
        let mut drawn = Vec::new();
        for stretch in self.map.stretches(address, days) {
            let sure =
                self.undisputed(&stretch.attribution, stretch.disputed.is_some());
            let earlier = self.decided(range, sure, &stretch.attribution);
            let Some(gap) = stretch.disputed else {
                drawn.push((stretch.days, earlier));
                continue;
            };
            let change = self.change(range, gap);
            let later = self.map.held(address, gap.last().plus(1)).attribution();
            let later = self.decided(range, later.confidence, &later);
            let (first, last) = (stretch.days.first(), stretch.days.last());
            let before = DayRange::new(first, last.min(change.plus(-1)));
            let after = DayRange::new(first.max(change), last);
            drawn.extend(before.map(|days| (days, earlier)));
            drawn.extend(after.map(|days| (days, later)));
        }
        drawn
    }

    /// The confidence without what the rule for gaps took: the gap is drawn itself.
    fn undisputed(&self, attribution: &Attribution, disputed: bool) -> f32 {
        if disputed && self.map.gap == Gap::Disputed {
            attribution.confidence / DISPUTED_SHARE
        } else {
            attribution.confidence
        }
    }

    fn decided(&self, range: u128, confidence: f32, said: &Attribution) -> Attribution {
        let Some(organisation) = &said.organisation else { return said.clone() };
        let doubted = confidence < self.draws.sure
            && self.lot(range, organisation.as_str()) >= f64::from(confidence);
        if doubted {
            // Where the address is used is not in doubt, nor who announces it.
            Attribution {
                organisation: None,
                org_country: None,
                confidence: 0.0,
                ..said.clone()
            }
        } else {
            said.clone()
        }
    }

    /// The first day of the later answer: one of the days of the gap, or the one after.
    fn change(&self, range: u128, gap: DayRange) -> Day {
        let days = f64::from(gap.length_days());
        let lot = self.lot(range, "change of hands");
        // The lot is below 1, so that the greatest is the day after the gap.
        let passed = (1..=gap.length_days())
            .take_while(|n| f64::from(*n) <= lot * (days + 1.0))
            .count();
        gap.first().plus(i32::try_from(passed).unwrap_or(i32::MAX))
    }

    /// A number in [0, 1) for a range and a word.
    fn lot(&self, range: u128, word: &str) -> f64 {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        let mut state = mix(self.draws.seed ^ mix(u64::from(self.number)));
        for part in [half(range >> 64), half(range)] {
            state = mix(state ^ part);
        }
        for byte in word.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        f64::from(u32::try_from(state >> 32).unwrap_or(0)) / 4_294_967_296.0
    }
}

/// The finisher of splitmix64 (Steele, Lea and Flood 2014), so that lots need no state.
fn mix(state: u64) -> u64 {
    let mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
