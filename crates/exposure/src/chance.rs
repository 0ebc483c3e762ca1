//! A probability, in ten-thousandths.
//!
//! **Invariant:** 0 to 1. It is written and read back as the same number, so that the id
//! of what holds it does not change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Parts of one.
const PARTS: u16 = 10_000;

/// A probability.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "f64", into = "f64")]
pub struct Chance(u16);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(PARTS);

    /// The nearest; below 0 and what is no number count as 0, above 1 as 1.
    pub fn near(value: f64) -> Self {
        let parts = (value * f64::from(PARTS)).round().clamp(0.0, f64::from(PARTS));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 10,000; what is no number becomes 0"
        )]
        let parts = parts as u16;
        Self(parts)
    }

    /// 0 to 1.
    pub fn value(self) -> f64 {
        f64::from(self.0) / f64::from(PARTS)
    }

    /// 0 to 100, rounded.
    pub fn percent(self) -> u16 {
        (self.0 + 50) / 100
    }
}

impl From<Chance> for f64 {
    fn from(chance: Chance) -> Self {
        chance.value()
    }
}

/// Not a probability.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not between 0 and 1")]
pub struct BadChance(f64);

impl TryFrom<f64> for Chance {
    type Error = BadChance;

    fn try_from(value: f64) -> Result<Self, BadChance> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self::near(value))
        } else {
            Err(BadChance(value))
        }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}", self.value()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_and_read_it_is_the_same(value in 0.0..=1.0) {
            let chance = Chance::near(value);
            let text = serde_json::to_string(&chance).unwrap();
            prop_assert_eq!(serde_json::from_str::<Chance>(&text).unwrap(), chance);
        }
    }

    #[test]
    fn what_is_no_probability_is_refused_or_clamped() {
        assert!(serde_json::from_str::<Chance>("1.01").is_err());
        assert!(serde_json::from_str::<Chance>("-0.01").is_err());
        assert_eq!(Chance::near(f64::NAN), Chance::NEVER);
        assert_eq!(Chance::near(7.0), Chance::ALWAYS);
    }
}
