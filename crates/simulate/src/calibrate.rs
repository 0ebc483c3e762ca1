//! Finds the sizes and hazards with which the *observed* counts meet the targets.
//!
//! All expectations are sums over quantiles of fate, reach and packets, of the chances
//! that the traffic is drawn with: nothing here is random.
//!
//! **Invariant:** the calibration is for the full-size world; a smaller one takes the
//! first members of each group.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::Params;
use crate::calendar::{self, APRIL, NOVEMBER};
use crate::consumer::{self, Lease};
use crate::country::{COUNTRIES, Course, Removal, US};
use crate::detect::{self, Rates, Reach};
use crate::hazard::{Curve, Presence, RELAPSE_MIN_DAYS, RELAPSE_SPREAD_DAYS};
use crate::targets::{self, US_SECTORS};

/// Quantiles of fate.
const FATES: u32 = 400;
/// Quantiles of packets.
const SIZES: u32 = 64;
/// Days of April and of November: the windows are of equal length.
const WINDOW: usize = 30;
/// Own addresses that an active organisation shows in a month, from the tally of the
/// full-size world; consumers fill what is left of the published addresses.
const OWN_ADDRESSES: f64 = 1.85;
/// Share of organisations with one prefix.
const ONE_PREFIX: f64 = 0.89;
/// Rounds of bisection: enough for 8 digits.
const ROUNDS: u32 = 32;
/// Share of United States consumers' addresses that is left after the migration (ours:
/// other systems than Windows had to act by hand).
const US_CONSUMERS_LEFT: f64 = 0.04;

/// Organisations of one country, and in the United States of one sector.
pub(crate) struct Stratum {
    pub(crate) country: usize,
    /// Set where the sector is the stratum's.
    pub(crate) sector: Option<&'static str>,
    pub(crate) course: Course,
    /// Scale of the hazard.
    pub(crate) hazard: f64,
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

/// Consumers of one country.
pub(crate) struct Consumers {
    pub(crate) country: usize,
    pub(crate) hazard: f64,
    /// Households with the product on 1 January, full size.
    pub(crate) households: f64,
    /// Expected distinct addresses in April and November, full size.
    pub(crate) april: f64,
    pub(crate) november: f64,
}

/// The solved world.
pub(crate) struct Calibration {
    pub(crate) strata: Vec<Stratum>,
    pub(crate) consumers: Vec<Consumers>,
}

impl Calibration {
    /// Solves for a world's parameters.
    pub(crate) fn solve(params: &Params) -> Self {
        let rates = Rates::new(params);
        let windows = Windows::new(params, &rates);
        let strata =
            Solver { params, windows: &windows, known: RefCell::default() }.strata();
        Self { strata, consumers: consumers(params, &rates) }
    }
}

/// Chances to be counted, averaged over reach and packets, for each way a month can be
/// partly covered: by its first `m` days, or by its last.
struct Windows {
    /// Mean chance in April and in November, by pattern.
    april: Vec<f64>,
    november: Vec<f64>,
    /// Mean chance of both, by pattern in April × pattern in November.
    both: Vec<Vec<f64>>,
}

/// A pattern is the first `p` days for `p` up to 30, the last `p - 30` days above.
const PATTERNS: usize = 2 * WINDOW + 1;

impl Windows {
    fn new(params: &Params, rates: &Rates) -> Self {
        let mut windows = Self {
            april: vec![0.0; PATTERNS],
            november: vec![0.0; PATTERNS],
            both: vec![vec![0.0; PATTERNS]; PATTERNS],
        };
        for (exchange, carrier, share) in detect::combinations(params) {
            for size in 0..SIZES {
                let packets =
                    detect::packets((f64::from(size) + 0.5) / f64::from(SIZES));
                let reach = Reach { exchange, carrier, packets };
                let weight = share / f64::from(SIZES);
                windows.add(
                    weight,
                    &patterns(rates, reach, APRIL),
                    &patterns(rates, reach, NOVEMBER),
                );
            }
        }
        windows
    }

    fn add(&mut self, weight: f64, april: &[f64], november: &[f64]) {
        for (a, chance) in april.iter().enumerate() {
            self.april[a] += weight * chance;
            for (n, other) in november.iter().enumerate() {
                self.both[a][n] += weight * chance * other;
            }
        }
        for (n, chance) in november.iter().enumerate() {
            self.november[n] += weight * chance;
        }
    }

    /// Expected counts of one member with a presence.
    fn counts(&self, presence: Presence) -> Counts {
        let (a, n) = (pattern(presence, APRIL), pattern(presence, NOVEMBER));
        Counts {
            april: self.april[a],
            november: self.november[n],
            both: self.both[a][n],
        }
    }
}

fn patterns(rates: &Rates, reach: Reach, month: usize) -> Vec<f64> {
    let (start, length) = calendar::month(month);
    let end = start + length;
    let first = (0..=length).map(|m| rates.active(reach, start..start + m));
    let last = (1..=length).map(|m| rates.active(reach, end - m..end));
    first.chain(last).collect()
}

fn pattern(presence: Presence, month: usize) -> usize {
    let (start, length) = calendar::month(month);
    let end = start + length;
    let later = |from: u16| usize::from(length + end.saturating_sub(from.max(start)));
    if presence.from > start && presence.until >= end {
        return if presence.from < end { later(presence.from) } else { 0 };
    }
    match presence.until.min(end).saturating_sub(start) {
        0 if presence.back < end => later(presence.back),
        days => usize::from(days),
    }
}

struct Solver<'a> {
    params: &'a Params,
    windows: &'a Windows,
    /// Members by course and hazard: many strata share both.
    known: RefCell<BTreeMap<(Course, u64), Counts>>,
}

impl Solver<'_> {
    /// Expected counts of a member on average over fates.
    fn member(&self, course: Course, hazard: f64) -> Counts {
        let key = (course, hazard.to_bits());
        if let Some(counts) = self.known.borrow().get(&key) {
            return *counts;
        }
        let counts = self.average(&Curve::of(course), hazard);
        self.known.borrow_mut().insert(key, counts);
        counts
    }

    fn average(&self, curve: &Curve, hazard: f64) -> Counts {
        let mut sum = Counts::default();
        for fate in 0..FATES {
            let until =
                curve.leaves(hazard, (f64::from(fate) + 0.5) / f64::from(FATES));
            let presence = Presence::until(until);
            let stays = 1.0 - self.params.relapse;
            sum = sum.plus(self.windows.counts(presence).times(stays));
            for third in 0..3 {
                let after =
                    RELAPSE_MIN_DAYS + (2 * third + 1) * RELAPSE_SPREAD_DAYS / 6;
                let back = self.windows.counts(presence.with_return(after));
                sum = sum.plus(back.times(self.params.relapse / 3.0));
            }
        }
        sum.times(1.0 / f64::from(FATES))
    }

    /// Organisations counted per organisation seen: those with one prefix are lost with
    /// it; of the others one prefix in error may make two organisations of one.
    fn attributed(&self) -> f64 {
        let registry = self.params.registry;
        1.0 - registry.missing * ONE_PREFIX
            + (registry.wrong + registry.stale) * (1.0 - ONE_PREFIX)
    }

    fn adopters(&self, country: usize, april: f64) -> f64 {
        let share = if country == US {
            self.params.adopters_us
        } else {
            self.params.adopters_elsewhere
        };
        share * april
    }

    /// The stratum of a hazard that shows `april` organisations in April.
    fn stratum(
        &self,
        country: usize,
        sector: Option<&'static str>,
        april: f64,
        hazard: f64,
    ) -> Stratum {
        let course = COUNTRIES[country].course;
        let member = self.member(course, hazard);
        let members = april / (member.april * self.attributed());
        let adopters = self.adopters(country, april);
        let mut expected = member.times(members * self.attributed());
        expected.november +=
            adopters * self.windows.november[WINDOW] * self.attributed();
        Stratum {
            country,
            sector,
            course,
            hazard,
            members,
            adopters,
            bystanders: (self.params.bystanders * april).max(2.0),
            expected,
        }
    }

    fn strata(&self) -> Vec<Stratum> {
        let mut strata = self.united_states();
        strata.extend(self.elsewhere());
        strata
    }

    fn united_states(&self) -> Vec<Stratum> {
        let april = |share: f64| share * targets::US_APRIL;
        let government = bisect(|hazard| {
            let stratum = self.stratum(US, None, targets::US_GOVERNMENT_APRIL, hazard);
            targets::US_GOVERNMENT_NOVEMBER - stratum.expected.november
        });
        let build = |factor: f64| -> Vec<Stratum> {
            let of = |s: &targets::UsSector| match s.id {
                "government" => self.stratum(
                    US,
                    Some(s.id),
                    targets::US_GOVERNMENT_APRIL,
                    government,
                ),
                _ => self.stratum(US, Some(s.id), april(s.share), factor * s.hazard),
            };
            US_SECTORS.iter().map(of).collect()
        };
        let factor =
            bisect(|factor| total(&build(factor)).removal() - targets::US_REMOVAL);
        build(factor)
    }

    fn elsewhere(&self) -> Vec<Stratum> {
        let weights: f64 = COUNTRIES.iter().skip(1).map(|c| c.weight).sum();
        let world = targets::ORGANISATIONS_APRIL - targets::US_APRIL;
        let april = |country: usize| world * COUNTRIES[country].weight / weights;
        let fixed: Vec<Option<f64>> = (0..COUNTRIES.len())
            .map(|country| match COUNTRIES[country].removal {
                Removal::Rest(_) => None,
                Removal::Fixed(removal) => Some(bisect(|hazard| {
                    self.member(COUNTRIES[country].course, hazard).removal() - removal
                })),
            })
            .collect();
        let build = |factor: f64| -> Vec<Stratum> {
            (1..COUNTRIES.len())
                .map(|country| {
                    let hazard = match (fixed[country], COUNTRIES[country].removal) {
                        (Some(hazard), _) => hazard,
                        (None, Removal::Rest(relative) | Removal::Fixed(relative)) => {
                            factor * relative
                        }
                    };
                    self.stratum(country, None, april(country), hazard)
                })
                .collect()
        };
        let left = targets::ORGANISATIONS_NOVEMBER - targets::US_NOVEMBER;
        build(bisect(|factor| left - total(&build(factor)).november))
    }
}

/// The sum over strata.
pub(crate) fn total(strata: &[Stratum]) -> Counts {
    strata.iter().fold(Counts::default(), |sum, s| sum.plus(s.expected))
}

/// The value from 0.001 to 30 at which a rising function crosses zero.
fn bisect(rising: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.001f64, 30.0f64);
    for _ in 0..ROUNDS {
        let middle = (low * high).sqrt();
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}

/// Distinct addresses of organisations in April or November, full size.
pub(crate) fn own_addresses(april: bool) -> f64 {
    let organisations = if april {
        targets::ORGANISATIONS_APRIL
    } else {
        targets::ORGANISATIONS_NOVEMBER
    };
    organisations * OWN_ADDRESSES
}

fn consumers(params: &Params, rates: &Rates) -> Vec<Consumers> {
    let weights: f64 = COUNTRIES.iter().map(|c| c.consumers).sum();
    let april = targets::ADDRESSES_APRIL - own_addresses(true);
    let november = targets::ADDRESSES_NOVEMBER - own_addresses(false);
    let distinct = [APRIL, NOVEMBER].map(|month| distinct(params, rates, month));
    let build = |country: usize, hazard: f64| {
        let curve = consumer::curve(country);
        let [a, n] = mean_distinct(&distinct, &curve, hazard);
        let share = COUNTRIES[country].consumers / weights;
        let households = april * share / a;
        Consumers {
            country,
            hazard,
            households,
            april: april * share,
            november: households * n,
        }
    };
    let us = build(
        US,
        bisect(|h| {
            let us = build(US, h);
            US_CONSUMERS_LEFT - us.november / us.april
        }),
    );
    let elsewhere = |hazard: f64| -> Vec<Consumers> {
        (1..COUNTRIES.len()).map(|country| build(country, hazard)).collect()
    };
    let hazard = bisect(|hazard| {
        let sum: f64 = elsewhere(hazard).iter().map(|c| c.november).sum();
        november - us.november - sum
    });
    std::iter::once(us).chain(elsewhere(hazard)).collect()
}

/// Expected distinct addresses of a household that has the product on the first `m` days
/// of a month, by `m`.
fn distinct(params: &Params, rates: &Rates, month: usize) -> Vec<f64> {
    let (start, length) = calendar::month(month);
    (0..=length)
        .map(|m| {
            Lease::ALL
                .iter()
                .map(|lease| lease.share() * leased(params, rates, *lease, start, m))
                .sum()
        })
        .collect()
}

/// The same for one kind of lease, averaged over vantages and over where leases begin.
fn leased(params: &Params, rates: &Rates, lease: Lease, start: u16, days: u16) -> f64 {
    let phases = lease.days().min(400);
    let mut sum = 0.0;
    for (reach, share) in consumer::reaches(params) {
        for phase in 0..phases {
            let (mut seen, mut addresses) = (0.0f64, 0.0);
            for day in start..start + days {
                if u32::from(day + phase).is_multiple_of(u32::from(lease.days())) {
                    addresses += 1.0 - (-seen).exp();
                    seen = 0.0;
                }
                seen += rates.seen(reach, day);
            }
            addresses += 1.0 - (-seen).exp();
            sum += share * addresses / f64::from(phases);
        }
    }
    sum
}

fn mean_distinct(distinct: &[Vec<f64>; 2], curve: &Curve, hazard: f64) -> [f64; 2] {
    let months = [APRIL, NOVEMBER];
    std::array::from_fn(|window| {
        let (start, length) = calendar::month(months[window]);
        let sum: f64 = (0..FATES)
            .map(|fate| {
                let u = (f64::from(fate) + 0.5) / f64::from(FATES);
                let until = curve.leaves(hazard, u);
                let days = until.min(start + length).saturating_sub(start);
                distinct[window][usize::from(days)]
            })
            .sum();
        sum / f64::from(FATES)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_meet_the_targets() {
        let world = Calibration::solve(&Params::default());
        let all = total(&world.strata);
        assert!((all.april - 22_000.0).abs() < 1.0, "{all:?}");
        assert!((all.november / 8_000.0 - 1.0).abs() < 0.005, "{all:?}");
        let us: Vec<_> = world.strata.iter().filter(|s| s.country == US).collect();
        let us = us.iter().fold(Counts::default(), |sum, s| sum.plus(s.expected));
        assert!((us.november / 1_067.0 - 1.0).abs() < 0.02, "{us:?}");
        let addresses: f64 = world.consumers.iter().map(|c| c.november).sum();
        assert!((addresses / 2_000_000.0 - 1.0).abs() < 0.02, "{addresses}");
    }

    #[test]
    fn a_month_is_covered_from_its_start_or_to_its_end() {
        let (start, length) = calendar::month(NOVEMBER);
        assert_eq!(pattern(Presence::until(start), NOVEMBER), 0);
        assert_eq!(pattern(Presence::until(start + 7), NOVEMBER), 7);
        assert_eq!(pattern(Presence::until(366), NOVEMBER), WINDOW);
        let back = Presence { from: 0, until: 10, back: start + length - 4 };
        assert_eq!(pattern(back, NOVEMBER), WINDOW + 4);
        let back = Presence { from: 0, until: 10, back: start - 4 };
        assert_eq!(pattern(back, NOVEMBER), 2 * WINDOW);
    }
}
