//! Consumers: households and hazards with which the distinct addresses meet the targets.
//!
//! **Invariant:** organisations' own addresses are a known number for each that is seen;
//! consumers fill what is left of the published addresses.

use std::sync::Arc;

use super::{Curves, FATES, ROUNDS, SIGHT_ROUNDS, bisect, windows};
use crate::Params;
use crate::calendar::{self, APRIL, NOVEMBER};
use crate::consumer::{self, Lease};
use crate::country::{COUNTRIES, US};
use crate::detect::Rates;
use crate::hazard::{Curve, Leaving};
use crate::params::CourseName;
use crate::sight::{Link, Sight};

/// Own addresses that an active organisation shows in a month, from the tally of the
/// full-size world.
const OWN_ADDRESSES: f64 = 1.85;

/// Consumers of one country.
#[derive(Clone)]
pub(crate) struct Consumers {
    pub(crate) country: usize,
    /// When households leave.
    pub(crate) leaving: Leaving,
    /// What becomes of the sight of them.
    pub(crate) sight: Arc<Sight>,
    /// Households with the product on 1 January, full size.
    pub(crate) households: f64,
    /// Expected distinct addresses in April and November, full size.
    pub(crate) april: f64,
    pub(crate) november: f64,
}

/// Distinct addresses of organisations in April or November, full size.
pub(crate) fn own_addresses(params: &Params, april: bool) -> f64 {
    let targets = &params.targets;
    let organisations = if april || params.is_unchanged() {
        targets.organisations_april
    } else {
        targets.organisations_november
    };
    organisations * OWN_ADDRESSES
}

pub(super) fn consumers(
    params: &Params,
    rates: &Rates,
    curves: &Curves,
) -> Vec<Consumers> {
    let clear = Sight::clear();
    let group = Groups {
        params,
        curves,
        weights: (0..COUNTRIES.len()).map(|c| params.country(c).consumers).sum(),
        distinct: distinct(params, rates, &clear),
        clear: Arc::new(clear),
    };
    let shown = group.shown();
    let cause = &params.cause;
    if cause.removal >= 1.0 && cause.churn <= 0.0 {
        return shown.into_iter().map(|(consumers, _)| consumers).collect();
    }
    let link = Link::new(|sight| {
        distinct(params, rates, sight)[0].last().copied().unwrap_or(0.0)
    });
    let mut disguises: Vec<(Key, Arc<Sight>, [f64; 2])> = Vec::new();
    let mut all = Vec::new();
    for (consumers, hazard) in shown {
        let curve = group.curve(consumers.country);
        let leaving =
            group.leaving(curve, cause.removal * hazard, cause.churn_hazard());
        let key = (group.course(consumers.country), hazard.to_bits());
        let found = disguises.iter().find(|d| d.0 == key).map(|d| (d.1.clone(), d.2));
        let (sight, shown) = found.unwrap_or_else(|| {
            let ratio = consumers.november / consumers.april;
            let (sight, shown) = group.disguise(rates, (curve, &link), &leaving, ratio);
            disguises.push((key, sight.clone(), shown));
            (sight, shown)
        });
        let households = consumers.april / shown[0];
        all.push(Consumers {
            leaving,
            sight,
            households,
            november: households * shown[1],
            ..consumers
        });
    }
    all
}

/// What groups with the same loss of sight share: course and hazard.
type Key = (Option<CourseName>, u64);

struct Groups<'a> {
    params: &'a Params,
    curves: &'a Curves,
    weights: f64,
    clear: Arc<Sight>,
    /// Expected addresses of a household in a world whose sight stays clear.
    distinct: [Vec<f64>; 2],
}

impl Groups<'_> {
    /// None for the consumers whom the vendor moves.
    fn course(&self, country: usize) -> Option<CourseName> {
        (country != US).then(|| self.params.country(country).course)
    }

    fn curve(&self, country: usize) -> &Curve {
        self.course(country).map_or(&self.curves.migrated, |c| self.curves.of(c))
    }

    fn leaving(&self, curve: &Curve, hazard: f64, churn: f64) -> Leaving {
        Leaving::new(curve, hazard, (&self.curves.gradual, churn))
    }

    fn build(&self, country: usize, hazard: f64) -> Consumers {
        let targets = &self.params.targets;
        let april = targets.addresses_april - own_addresses(self.params, true);
        let leaving = self.leaving(self.curve(country), hazard, 0.0);
        let [a, n] = mean_distinct(&self.distinct, &leaving, &self.clear);
        let share = self.params.country(country).consumers / self.weights;
        let households = april * share / a;
        Consumers {
            country,
            leaving,
            sight: Arc::clone(&self.clear),
            households,
            april: april * share,
            november: households * n,
        }
    }

    /// Consumers as if all of their fall were people leaving, with the hazards.
    fn shown(&self) -> Vec<(Consumers, f64)> {
        let targets = &self.params.targets;
        // The fall that is to be shown; whether it is, the cause decides.
        let own = targets.organisations_november * OWN_ADDRESSES;
        let november = targets.addresses_november - own;
        let us_hazard = bisect(ROUNDS, |h| {
            let us = self.build(US, h);
            targets.us_consumers_left - us.november / us.april
        });
        let us = self.build(US, us_hazard);
        let elsewhere = |hazard: f64| -> Vec<Consumers> {
            (1..COUNTRIES.len()).map(|country| self.build(country, hazard)).collect()
        };
        let hazard = bisect(ROUNDS, |hazard| {
            let sum: f64 = elsewhere(hazard).iter().map(|c| c.november).sum();
            november - us.november - sum
        });
        std::iter::once((us, us_hazard))
            .chain(elsewhere(hazard).into_iter().map(|c| (c, hazard)))
            .collect()
    }

    /// The loss of sight with which households that leave so show `ratio` of April's
    /// addresses in November; addresses of a household in both.
    fn disguise(
        &self,
        rates: &Rates,
        (curve, link): (&Curve, &Link),
        leaving: &Leaving,
        ratio: f64,
    ) -> (Arc<Sight>, [f64; 2]) {
        let cause = &self.params.cause;
        let of = |sight: &Sight| {
            mean_distinct(&distinct(self.params, rates, sight), leaving, sight)
        };
        let Some(weights) = cause.blindness() else {
            return (Arc::clone(&self.clear), of(&self.clear));
        };
        let lost = |scale| Sight::lost(curve, scale, weights, cause.partners, link);
        let scale = bisect(SIGHT_ROUNDS, |scale| {
            let [april, november] = of(&lost(scale));
            ratio - november / april
        });
        let sight = lost(scale);
        let shown = of(&sight);
        (Arc::new(sight), shown)
    }
}

/// Expected distinct addresses of a household that has the product on the first `m` days
/// of April and of November, by `m`.
fn distinct(params: &Params, rates: &Rates, sight: &Sight) -> [Vec<f64>; 2] {
    [APRIL, NOVEMBER].map(|month| {
        let by_lease =
            Lease::ALL.map(|lease| leased(params, rates, sight, lease, month));
        let days = usize::from(calendar::month(month).1);
        (0..=days)
            .map(|m| {
                Lease::ALL.iter().zip(&by_lease).map(|(l, d)| l.share() * d[m]).sum()
            })
            .collect()
    })
}

/// The same for one kind of lease, averaged over vantages and over where leases begin.
fn leased(
    params: &Params,
    rates: &Rates,
    sight: &Sight,
    lease: Lease,
    month: usize,
) -> Vec<f64> {
    let (start, length) = calendar::month(month);
    let phases = lease.days().min(400);
    let mut sums = vec![0.0; usize::from(length) + 1];
    for (reach, share) in consumer::reaches(params) {
        for phase in 0..phases {
            let (mut seen, mut addresses) = (0.0f64, 0.0);
            for (day, sum) in (start..start + length).zip(sums.iter_mut().skip(1)) {
                if u32::from(day + phase).is_multiple_of(u32::from(lease.days())) {
                    addresses += 1.0 - (-seen).exp();
                    seen = 0.0;
                }
                seen += rates.seen(reach, day) * sight.product(day);
                let so_far = addresses + (1.0 - (-seen).exp());
                *sum += share * so_far / f64::from(phases);
            }
        }
    }
    sums
}

fn mean_distinct(
    distinct: &[Vec<f64>; 2],
    leaving: &Leaving,
    sight: &Sight,
) -> [f64; 2] {
    let months = [APRIL, NOVEMBER];
    let dark = windows::classes(sight);
    std::array::from_fn(|window| {
        let (start, length) = calendar::month(months[window]);
        let days = |until: u16| until.min(start + length).saturating_sub(start);
        let sum: f64 = (0..FATES)
            .map(|fate| {
                let until = leaving.day((f64::from(fate) + 0.5) / f64::from(FATES));
                let lit = |(dark, share): &(u16, f64)| {
                    distinct[window][usize::from(days(until.min(*dark)))] * share
                };
                dark.iter().map(lit).sum::<f64>()
            })
            .sum();
        sum / f64::from(FATES)
    })
}
