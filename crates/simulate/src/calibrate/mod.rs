//! Finds the sizes and hazards with which the *observed* counts meet the targets.
//!
//! First every group is solved as if all of its fall were people leaving. Then, where the
//! world says otherwise, part of the leaving is taken back and so much sight is lost that
//! the group shows the same counts: `disguised`.
//!
//! All expectations are sums over quantiles of fate, reach and packets, of the chances
//! that the traffic is drawn with: nothing here is random.
//!
//! * `windows`: chances to be counted; `addresses`: consumers.
//!
//! **Invariant:** the calibration is for the full-size world; a smaller one takes the
//! first members of each group.

mod addresses;
mod windows;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use self::windows::Windows;
use crate::Params;
use crate::country::{COUNTRIES, US};
use crate::detect::Rates;
use crate::hazard::{Curve, Leaving, Presence, RELAPSE_MIN_DAYS, RELAPSE_SPREAD_DAYS};
use crate::params::{CourseName, SectorShape};
use crate::sight::{Link, Sight};
use crate::targets::US_SECTORS;

pub(crate) use self::addresses::{Consumers, own_addresses};

/// Quantiles of fate.
const FATES: u32 = 400;
/// Share of organisations with one prefix.
const ONE_PREFIX: f64 = 0.89;
/// Rounds of bisection: enough for 8 digits.
const ROUNDS: u32 = 32;
/// Rounds of bisection of the loss of sight: enough for 4 digits.
const SIGHT_ROUNDS: u32 = 20;

/// Organisations of one country, and in the United States of one sector.
#[derive(Clone)]
pub(crate) struct Stratum {
    pub(crate) country: usize,
    /// Set where the sector is the stratum's.
    pub(crate) sector: Option<&'static str>,
    /// Scale of the hazard of the whole fall, as if it were people leaving.
    hazard: f64,
    /// When members leave.
    pub(crate) leaving: Leaving,
    /// When members leave that follow a parent in the United States.
    pub(crate) following: Leaving,
    /// What becomes of the sight of them.
    pub(crate) sight: Arc<Sight>,
    /// Organisations with the product on 1 January, full size.
    pub(crate) members: f64,
    /// Later adopters, full size.
    pub(crate) adopters: f64,
    /// Organisations without it, full size.
    pub(crate) bystanders: f64,
    /// Expected to be counted in April, in November, in both.
    pub(crate) expected: Counts,
}

/// Organisations counted in April, in November, in both.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Counts {
    pub(crate) april: f64,
    pub(crate) november: f64,
    pub(crate) both: f64,
}

impl Counts {
    /// Share of April's that are not counted in November.
    pub(crate) fn removal(self) -> f64 {
        1.0 - self.both / self.april
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            april: self.april + other.april,
            november: self.november + other.november,
            both: self.both + other.both,
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            april: self.april * factor,
            november: self.november * factor,
            both: self.both * factor,
        }
    }
}

/// The solved world.
#[derive(Clone)]
pub(crate) struct Calibration {
    pub(crate) strata: Vec<Stratum>,
    pub(crate) consumers: Vec<Consumers>,
}

impl Calibration {
    /// Solves for a world's parameters.
    pub(crate) fn solve(params: &Params) -> Self {
        let rates = Rates::new(params);
        let clear = Arc::new(Sight::clear());
        let solver = Solver {
            params,
            rates: &rates,
            windows: Windows::new(params, &rates, &clear),
            clear,
            link: Link::new(|sight| windows::whole_april(params, &rates, sight)),
            curves: Curves::new(params),
            known: RefCell::default(),
            disguises: RefCell::default(),
        };
        let strata = solver.strata().into_iter().map(|s| solver.disguised(s)).collect();
        let consumers = addresses::consumers(params, &rates, &solver.curves);
        Self { strata, consumers }
    }
}

/// The curves of a world.
struct Curves {
    steps: Curve,
    gradual: Curve,
    spillover: Curve,
    migrated: Curve,
}

impl Curves {
    fn new(params: &Params) -> Self {
        let of = |course| Curve::of(&params.courses, course);
        Self {
            steps: of(CourseName::Steps),
            gradual: of(CourseName::Gradual),
            spillover: of(CourseName::Spillover),
            migrated: Curve::migrated(&params.courses),
        }
    }

    fn of(&self, course: CourseName) -> &Curve {
        match course {
            CourseName::Steps => &self.steps,
            CourseName::Gradual => &self.gradual,
            CourseName::Spillover => &self.spillover,
        }
    }
}

/// Loss of sight that shows a fall that is not there, or not all there.
#[derive(Clone)]
struct Disguise {
    sight: Arc<Sight>,
    /// Of one member.
    member: Counts,
    /// Chance that an adopter is counted in November.
    adopter: f64,
}

struct Solver<'a> {
    params: &'a Params,
    rates: &'a Rates,
    /// Chances of a world whose sight stays clear.
    windows: Windows,
    clear: Arc<Sight>,
    link: Link,
    curves: Curves,
    /// Members by course and hazard: many strata share both.
    known: RefCell<BTreeMap<(CourseName, u64), Counts>>,
    /// By course, hazard, and whether it is the United States.
    disguises: RefCell<BTreeMap<(CourseName, u64, bool), Disguise>>,
}

impl Solver<'_> {
    fn course(&self, country: usize) -> CourseName {
        self.params.country(country).course
    }

    /// Expected counts of a member on average over fates.
    fn member(&self, course: CourseName, hazard: f64) -> Counts {
        let key = (course, hazard.to_bits());
        if let Some(counts) = self.known.borrow().get(&key) {
            return *counts;
        }
        let leaving = self.leaving(course, hazard, 0.0);
        let counts = self.average(&leaving, &self.windows);
        self.known.borrow_mut().insert(key, counts);
        counts
    }

    fn leaving(&self, course: CourseName, hazard: f64, churn: f64) -> Leaving {
        Leaving::new(self.curves.of(course), hazard, (&self.curves.gradual, churn))
    }

    fn average(&self, leaving: &Leaving, windows: &Windows) -> Counts {
        let mut sum = Counts::default();
        for fate in 0..FATES {
            let until = leaving.day((f64::from(fate) + 0.5) / f64::from(FATES));
            let presence = Presence::until(until);
            let stays = 1.0 - self.params.relapse;
            sum = sum.plus(windows.counts(presence).times(stays));
            for third in 0..3 {
                let after =
                    RELAPSE_MIN_DAYS + (2 * third + 1) * RELAPSE_SPREAD_DAYS / 6;
                let back = windows.counts(presence.with_return(after));
                sum = sum.plus(back.times(self.params.relapse / 3.0));
            }
        }
        sum.times(1.0 / f64::from(FATES))
    }

    /// Organisations counted per organisation seen: those with one prefix are lost with
    /// it; of the others one prefix in error may make two organisations of one.
    fn attributed(&self) -> f64 {
        let registry = self.params.registry;
        let lost = registry.missing + registry.provider_held;
        1.0 - lost * ONE_PREFIX + (registry.wrong + registry.stale) * (1.0 - ONE_PREFIX)
    }

    fn adopters(&self, country: usize, april: f64) -> f64 {
        let share = if country == US {
            self.params.adopters_us
        } else {
            self.params.adopters_elsewhere
        };
        share * april
    }

    /// The stratum of a hazard that shows `april` organisations in April, if all of its
    /// fall is people leaving.
    fn stratum(
        &self,
        country: usize,
        sector: Option<&'static str>,
        april: f64,
        hazard: f64,
    ) -> Stratum {
        let course = self.course(country);
        let member = self.member(course, hazard);
        let members = april / (member.april * self.attributed());
        let adopters = self.adopters(country, april);
        let mut expected = member.times(members * self.attributed());
        let adopter = self.windows.counts(Presence::WHOLE).november;
        expected.november += adopters * adopter * self.attributed();
        Stratum {
            country,
            sector,
            hazard,
            leaving: self.leaving(course, hazard, 0.0),
            following: self.leaving(CourseName::Steps, hazard, 0.0),
            sight: Arc::clone(&self.clear),
            members,
            adopters,
            bystanders: (self.params.bystanders * april).max(2.0),
            expected,
        }
    }

    /// The stratum as it is: with the leaving that the world's cause says, and with as
    /// much sight lost as shows the same counts.
    fn disguised(&self, shown: Stratum) -> Stratum {
        let cause = &self.params.cause;
        let churn = cause.churn_hazard();
        if cause.removal >= 1.0 && churn <= 0.0 {
            return shown;
        }
        let course = self.course(shown.country);
        let hazard = cause.removal * shown.hazard;
        let disguise = self.disguise(&shown);
        let members =
            shown.expected.april / (disguise.member.april * self.attributed());
        let mut expected = disguise.member.times(members * self.attributed());
        expected.november += shown.adopters * disguise.adopter * self.attributed();
        Stratum {
            leaving: self.leaving(course, hazard, churn),
            following: self.leaving(CourseName::Steps, hazard, churn),
            sight: disguise.sight,
            members,
            expected,
            ..shown
        }
    }

    fn disguise(&self, shown: &Stratum) -> Disguise {
        let key =
            (self.course(shown.country), shown.hazard.to_bits(), shown.country == US);
        if let Some(disguise) = self.disguises.borrow().get(&key) {
            return disguise.clone();
        }
        let cause = &self.params.cause;
        let hazard = cause.removal * shown.hazard;
        let leaving = self.leaving(key.0, hazard, cause.churn_hazard());
        let curve = self.curves.of(key.0);
        let of = |sight: Sight| {
            let windows = Windows::new(self.params, self.rates, &sight);
            Disguise {
                member: self.average(&leaving, &windows),
                adopter: windows.counts(Presence::WHOLE).november,
                sight: Arc::new(sight),
            }
        };
        let disguise = match cause.blindness() {
            None => of(Sight::clear()),
            Some(weights) => {
                let lost = |scale| {
                    let (partners, link) = (cause.partners, &self.link);
                    of(Sight::lost(curve, scale, weights, partners, link))
                };
                let scale = bisect(SIGHT_ROUNDS, |scale| {
                    let lost = lost(scale);
                    let seen = shown.expected.april / lost.member.april;
                    let adopters = shown.adopters * self.attributed();
                    let november =
                        seen * lost.member.november + adopters * lost.adopter;
                    shown.expected.november - november
                });
                lost(scale)
            }
        };
        self.disguises.borrow_mut().insert(key, disguise.clone());
        disguise
    }

    fn strata(&self) -> Vec<Stratum> {
        let mut strata = self.united_states();
        strata.extend(self.elsewhere());
        strata
    }

    fn united_states(&self) -> Vec<Stratum> {
        let targets = &self.params.targets;
        let april = |share: f64| share * targets.us_april;
        let government = bisect(ROUNDS, |hazard| {
            let stratum = self.stratum(US, None, targets.us_government_april, hazard);
            targets.us_government_november - stratum.expected.november
        });
        let build = |factor: f64| -> Vec<Stratum> {
            let of = |id: &'static str| {
                let SectorShape { share, hazard } = self.params.us_sectors[id];
                match id {
                    "government" => self.stratum(
                        US,
                        Some(id),
                        targets.us_government_april,
                        government,
                    ),
                    _ => self.stratum(US, Some(id), april(share), factor * hazard),
                }
            };
            US_SECTORS.iter().map(|s| of(s.id)).collect()
        };
        let factor = bisect(ROUNDS, |factor| {
            total(&build(factor)).removal() - targets.us_removal
        });
        build(factor)
    }

    fn elsewhere(&self) -> Vec<Stratum> {
        let targets = &self.params.targets;
        let shape = |country: usize| self.params.country(country);
        let weights: f64 = (1..COUNTRIES.len()).map(|c| shape(c).weight).sum();
        let world = targets.organisations_april - targets.us_april;
        let april = |country: usize| world * shape(country).weight / weights;
        let fixed: Vec<Option<f64>> = (0..COUNTRIES.len())
            .map(|country| {
                let removal = shape(country).removal?;
                let course = self.course(country);
                Some(bisect(ROUNDS, |hazard| {
                    self.member(course, hazard).removal() - removal
                }))
            })
            .collect();
        let build = |factor: f64| -> Vec<Stratum> {
            (1..COUNTRIES.len())
                .map(|country| {
                    let hazard =
                        fixed[country].unwrap_or(factor * shape(country).hazard);
                    self.stratum(country, None, april(country), hazard)
                })
                .collect()
        };
        let left = targets.organisations_november - targets.us_november;
        build(bisect(ROUNDS, |factor| left - total(&build(factor)).november))
    }
}

/// The sum over strata.
pub(crate) fn total(strata: &[Stratum]) -> Counts {
    strata.iter().fold(Counts::default(), |sum, s| sum.plus(s.expected))
}

/// The value from 0.001 to 30 at which a rising function crosses zero.
fn bisect(rounds: u32, rising: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.001f64, 30.0f64);
    for _ in 0..rounds {
        let middle = (low * high).sqrt();
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Story;

    #[test]
    fn worlds_with_a_fall_show_the_published_one() {
        for story in [Story::A, Story::F] {
            let world = Calibration::solve(&Params::of(story));
            let all = total(&world.strata);
            assert!((all.april - 22_000.0).abs() < 1.0, "{story}: {all:?}");
            assert!((all.november / 8_000.0 - 1.0).abs() < 0.005, "{story}: {all:?}");
            let us: Vec<_> = world.strata.iter().filter(|s| s.country == US).collect();
            let us = us.iter().fold(Counts::default(), |sum, s| sum.plus(s.expected));
            assert!((us.november / 1_067.0 - 1.0).abs() < 0.02, "{story}: {us:?}");
            let addresses: f64 =
                world.consumers.iter().map(|c| c.november).sum::<f64>()
                    + own_addresses(&Params::of(story), false);
            let off = addresses / 2_000_000.0 - 1.0;
            assert!(off.abs() < 0.02, "{story}: {addresses}");
        }
    }

    #[test]
    fn where_nothing_changes_november_is_as_april() {
        let world = Calibration::solve(&Params::of(Story::E));
        let all = total(&world.strata);
        assert!((all.november / all.april - 1.0).abs() < 0.03, "{all:?}");
        let [april, november] = [true, false].map(|april| {
            let of = |c: &Consumers| if april { c.april } else { c.november };
            world.consumers.iter().map(of).sum::<f64>()
        });
        assert!((november / april - 1.0).abs() < 0.03, "{april} {november}");
    }
}
