//! What wrong attribution does to an estimate: repeated imputation, and false members.
//!
//! Where a registry is not sure who held an address, the panel is made several times, each
//! time with the holder drawn by confidence, and [`combine`] lays the estimates together
//! (Rubin 1987). Where it is sure and wrong, nothing in the panel shows it: an [`Audit`]
//! of some rows says how often, and [`Audit::listed`] and [`Audit::true_members`] say what
//! follows.
//!
//! What confidence says of a removal with visibility taken out is in [`doubt`].
//!
//! **Invariant:** an interval made here holds the one it was made from.

pub mod doubt;

use crate::imputation::{Drawn, Pooled, pool};
use crate::interval::as_f64;
use crate::occupancy::weekly::{Share, on_logits_by};
use crate::student::quantile;

/// Fewer panels than this do not show how much they differ.
pub const PANELS_MIN: usize = 2;

/// Estimates that cannot be laid together, or audits that say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributionRefused {
    /// Rule `panels-min`.
    #[error("rule panels-min: {0} imputed panels; at least {PANELS_MIN} are needed")]
    TooFew(usize),
    /// A share or a variance that is none.
    #[error("imputed panel {0} has no share between 0 and 1 with a variance")]
    NotAShare(usize),
    /// Rule `audit-needed`.
    #[error("rule audit-needed: {wrong} wrong rows of {audited} audited say no rate")]
    Audit {
        /// Rows looked into.
        audited: u64,
        /// Of which wrong.
        wrong: u64,
    },
    /// A share with its interval is needed.
    #[error("the share to correct is not between 0 and 1 with its interval around it")]
    NoShare,
}

/// Estimates of several imputed panels as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combined {
    /// The mean, with an interval by Student's t on its logit.
    pub share: Share,
    /// Mean variance inside a panel: sampling and visibility.
    pub within: f64,
    /// Variance between panels: attribution.
    pub between: f64,
    /// Both, the second with its own sampling error: `within + (1 + 1/m) between`.
    pub total: f64,
    /// Degrees of freedom; infinite if panels agree.
    pub degrees: f64,
    /// Share of the total that is between panels.
    pub attribution_share: f64,
}

/// Lays estimates of imputed panels together by Rubin's rules ([`pool`]), as a share with its
/// interval on the logit.
pub fn combine(imputed: &[Drawn]) -> Result<Combined, AttributionRefused> {
    if imputed.len() < PANELS_MIN {
        return Err(AttributionRefused::TooFew(imputed.len()));
    }
    let is_share = |of: &Drawn| {
        (0.0..=1.0).contains(&of.value) && of.variance >= 0.0 && of.variance.is_finite()
    };
    if let Some(place) = imputed.iter().position(|of| !is_share(of)) {
        return Err(AttributionRefused::NotAShare(place));
    }
    let pooled =
        pool(imputed, None).ok_or(AttributionRefused::TooFew(imputed.len()))?;
    let Pooled { value, within, between, total, freedom: degrees, .. } = pooled;
    let attribution_share = pooled.between_share();
    let student = (degrees < DEGREES_MAX).then_some(degrees);
    let share = on_logits_by(value, total.sqrt(), quantile(0.975, student));
    Ok(Combined { share, within, between, total, degrees, attribution_share })
}

/// Student's t with more degrees of freedom is the normal distribution to six digits.
const DEGREES_MAX: f64 = 1e6;

/// A sample of the cohort's members whose attribution and use were looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    audited: u64,
    wrong: u64,
}

impl Audit {
    /// Of `audited` members drawn at random, `wrong` bore contacts that were not theirs:
    /// an address of somebody else, or noise.
    pub fn new(audited: u64, wrong: u64) -> Result<Self, AttributionRefused> {
        if audited == 0 || wrong > audited {
            return Err(AttributionRefused::Audit { audited, wrong });
        }
        Ok(Self { audited, wrong })
    }

    /// The rate of false members, and its variance by Jeffreys' prior, which is not 0
    /// where none was found.
    fn rate(self) -> (f64, f64) {
        let (a, b) =
            (as_f64(self.wrong) + 0.5, as_f64(self.audited - self.wrong) + 0.5);
        let sum = a + b;
        (as_f64(self.wrong) / as_f64(self.audited), a * b / (sum * sum * (sum + 1.0)))
    }

    /// Removal among all that are listed as members, where a false member, which never
    /// used the product, counts as one that does not use it. False members' contacts are
    /// taken to end like those of others, whose they are: `R + w (1 - R)`.
    pub fn listed(self, removal: Share) -> Result<Share, AttributionRefused> {
        let se = standard_error(removal)?;
        let (rate, variance) = self.rate();
        let value = removal.value + rate * (1.0 - removal.value);
        let se = ((1.0 - rate) * se).hypot((1.0 - removal.value) * variance.sqrt());
        let share = on_logits_by(value, se, quantile(0.975, None));
        Ok(Share { low: share.low.min(removal.low), ..share })
    }

    /// What removal among true members can be, whatever false members do: sharp bounds
    /// for contaminated samples (Horowitz and Manski 1995, Econometrica 63:281), with the
    /// ends of both intervals.
    pub fn true_members(
        self,
        removal: Share,
    ) -> Result<(f64, f64), AttributionRefused> {
        standard_error(removal)?;
        let (rate, variance) = self.rate();
        let most = (rate + quantile(0.975, None) * variance.sqrt()).min(RATE_MAX);
        let low = (removal.low - most) / (1.0 - most);
        let high = removal.high / (1.0 - most);
        Ok((low.max(0.0).min(removal.low), high.min(1.0)))
    }
}

/// A cohort of which more is false has no true members to speak of.
const RATE_MAX: f64 = 0.9;

/// The standard error that an interval stands for, on the scale of the share.
fn standard_error(of: Share) -> Result<f64, AttributionRefused> {
    let inside = 0.0 <= of.low && of.low <= of.value && of.value <= of.high;
    if !(inside && of.high <= 1.0) {
        return Err(AttributionRefused::NoShare);
    }
    Ok((of.high - of.low) / (2.0 * quantile(0.975, None)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By hand: values .60 .62 .64, variances .0004: W = .0004, B = .0004,
    /// T = .0004 + 4/3 · .0004, λ = 4/7, degrees = 2 · (7/4)².
    #[test]
    fn three_panels_by_hand() {
        let of = |value| Drawn { value, variance: 4e-4 };
        let found = combine(&[of(0.60), of(0.62), of(0.64)]).unwrap();
        assert!((found.share.value - 0.62).abs() < 1e-12);
        assert!((found.between - 4e-4).abs() < 1e-15);
        assert!((found.total - 4e-4 * 7.0 / 3.0).abs() < 1e-15);
        assert!((found.attribution_share - 4.0 / 7.0).abs() < 1e-12);
        assert!((found.degrees - 6.125).abs() < 1e-9);
    }

    #[test]
    fn panels_that_agree_add_nothing() {
        let of = Drawn { value: 0.3, variance: 1e-4 };
        let found = combine(&[of; 5]).unwrap();
        assert!(found.degrees.is_infinite() && (found.total - 1e-4).abs() < 1e-18);
    }

    #[test]
    fn what_cannot_be_laid_together_is_refused() {
        let one = Drawn { value: 0.3, variance: 1e-4 };
        assert_eq!(combine(&[]), Err(AttributionRefused::TooFew(0)));
        assert_eq!(combine(&[one]), Err(AttributionRefused::TooFew(1)));
        for bad in [
            Drawn { value: f64::NAN, ..one },
            Drawn { value: 1.2, ..one },
            Drawn { variance: f64::NAN, ..one },
            Drawn { variance: -1.0, ..one },
        ] {
            assert_eq!(combine(&[one, bad]), Err(AttributionRefused::NotAShare(1)));
        }
        assert!(Audit::new(0, 0).is_err() && Audit::new(3, 4).is_err());
        let none = Share { value: f64::NAN, low: 0.0, high: 1.0 };
        let audit = Audit::new(100, 1).unwrap();
        assert_eq!(audit.listed(none), Err(AttributionRefused::NoShare));
        assert_eq!(audit.true_members(none), Err(AttributionRefused::NoShare));
    }

    proptest! {
        #[test]
        fn an_interval_holds_the_one_it_was_made_from(
            value in 0.01f64..0.99, half in 0.0f64..0.01, wrong in 0u64..30,
        ) {
            let removal =
                Share { value, low: (value - half).max(0.0), high: (value + half).min(1.0) };
            let audit = Audit::new(200, wrong).unwrap();
            let (low, high) = audit.true_members(removal).unwrap();
            prop_assert!(0.0 <= low && low <= removal.low && removal.high <= high);
            let listed = audit.listed(removal).unwrap();
            prop_assert!(listed.low <= removal.low && listed.value >= removal.value);
            prop_assert!(listed.low <= listed.value && listed.value <= listed.high);
        }

        #[test]
        fn total_is_never_less_than_within(
            values in prop::collection::vec((0.0f64..1.0, 0.0f64..0.01), 2..20)
        ) {
            let of: Vec<Drawn> = values
                .iter()
                .map(|(value, variance)| Drawn { value: *value, variance: *variance })
                .collect();
            let found = combine(&of).unwrap();
            prop_assert!(found.total >= found.within);
            prop_assert!((0.0..=1.0).contains(&found.attribution_share));
            prop_assert!(found.share.low <= found.share.high);
        }
    }
}
