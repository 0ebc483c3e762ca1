//! How much a sighting proves that a product is in use.
//!
//! **Invariant:** pure; a stronger weight or signal never lowers the evidence, and no
//! cluster alone proves use beyond [`CLUSTER_MAX`].
//!
//! The figures were picked by hand, revisit: they order what is known (an update fetch
//! says more than a console message, a served one more than a look-up) and are to be
//! refitted where the truth is known: own test machines, cooperating organisations,
//! the simulator. What is published on top of them comes with a specification curve.

use tidegauge_model::{Signal, Weight};

/// Nothing follows from an entry that is never counted.
const WEIGHT_NOTHING: f64 = 0.0;
/// Machines of people who do not use the product make such contacts too.
const WEIGHT_WEAK: f64 = 0.05;
/// The product is installed. Whether it is kept up to date is not known.
const WEIGHT_PRESENCE: f64 = 0.5;
/// Mostly an update.
const WEIGHT_MEDIUM: f64 = 0.7;
/// An update fetch. Sandboxes and researchers make them too.
const WEIGHT_STRONG: f64 = 0.9;

/// A look-up: resolvers prefetch, scanners enumerate, and nothing need follow it.
const SIGNAL_RESOLVED: f64 = 0.5;
/// Something was sent; what came back was not seen.
const SIGNAL_INDETERMINATE: f64 = 0.7;
/// A connection was tried: the product is there, whether or not it is served.
const SIGNAL_ATTEMPTED: f64 = 0.8;
/// Enough came back to be an update.
const SIGNAL_SERVED: f64 = 1.0;

/// The most that one independent cluster (a /24 or /48, a network, a vantage) can prove:
/// all addresses of one scanner are one observation.
pub const CLUSTER_MAX: f64 = 0.9;

/// The probability, 0 to 1, that the product is in use at the client, from one sighting.
pub fn evidence(weight: Weight, signal: Signal) -> f64 {
    let weight = match weight {
        Weight::Nothing => WEIGHT_NOTHING,
        Weight::Weak => WEIGHT_WEAK,
        Weight::Presence => WEIGHT_PRESENCE,
        Weight::Medium => WEIGHT_MEDIUM,
        Weight::Strong => WEIGHT_STRONG,
    };
    let signal = match signal {
        Signal::Resolved => SIGNAL_RESOLVED,
        Signal::Indeterminate => SIGNAL_INDETERMINATE,
        Signal::Attempted => SIGNAL_ATTEMPTED,
        Signal::Served => SIGNAL_SERVED,
    };
    weight * signal
}

/// The score of an organisation, 0 to 1: `1 - Π (1 - min(p, CLUSTER_MAX))` over the best
/// evidence `p` of each independent cluster. What is not a probability counts as 0.
pub fn combine(per_cluster: impl Iterator<Item = f64>) -> f64 {
    let doubt: f64 = per_cluster
        .map(|p| if p.is_nan() { 0.0 } else { p.clamp(0.0, CLUSTER_MAX) })
        .map(|p| 1.0 - p)
        .product();
    1.0 - doubt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evidence_grows_with_weight_and_signal() {
        for pair in Weight::ALL.array_windows::<2>() {
            for &signal in Signal::ALL {
                assert!(evidence(pair[0], signal) < evidence(pair[1], signal));
            }
        }
        for pair in Signal::ALL.array_windows::<2>() {
            let of = |signal| evidence(Weight::Strong, signal);
            assert!(of(pair[0]) < of(pair[1]));
        }
    }

    #[test]
    fn one_served_update_makes_an_organisation_likely_and_a_probe_does_not() {
        let one = |weight| combine([evidence(weight, Signal::Served)].into_iter());
        assert!(one(Weight::Strong) >= 0.5 && one(Weight::Weak) < 0.1);
        assert!(combine(std::iter::empty()).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn a_score_is_a_probability_and_grows(
            mut clusters in prop::collection::vec(-1.0f64..2.0, 0..20),
            more in 0.0f64..1.0,
        ) {
            let before = combine(clusters.iter().copied());
            clusters.push(more);
            let after = combine(clusters.iter().copied().chain([f64::NAN]));
            prop_assert!((0.0..=1.0).contains(&before) && before <= after && after <= 1.0);
        }

        #[test]
        fn one_cluster_never_proves_more_than_its_cap(p: f64) {
            prop_assert!(combine([p].into_iter()) <= CLUSTER_MAX + f64::EPSILON);
        }
    }
}
