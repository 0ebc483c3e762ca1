//! How sure an attribution is: a number from 0 to 1, by a rule that can be read.
//!
//! ```text
//! confidence = (1 - (1 - base) * AGREEING^a) * DISAGREEING^d * gap * age
//! ```
//!
//! | part | value |
//! |---|---|
//! | `base` | what the kind of statement proves: a holder row its own word, else 1; a provider's list 0.9; the user whom a registry names 0.8; the AS of a network of its own 0.7; any other AS 0.5 |
//! | `a`, `d` | further sources of the same kind that name the same organisation, or another one, each counted up to [`SOURCES_MAX`]; an AS that announces the range too counts as one source |
//! | `gap` | 1/2 where the rule for the day is `disputed`, else 1 |
//! | `age` | how likely a statement so far from its snapshot still holds; 1 for rows that are dated, for holder rows, and between two snapshots that agree |
//!
//! It is a degree of belief that orders attributions and that draws are made by, not a
//! measured error rate: of the constants only the ages rest on a measurement.
//!
//! **Invariant:** every part is in [0, 1], and so is the product.

/// What is left of the doubt when a further source names the same organisation. Sources
/// copy from each other, so that it is far from none. Picked by hand, revisit.
const AGREEING: f32 = 0.75;
/// What is left of the confidence when a further source names another organisation: one
/// of the two is wrong.
const DISAGREEING: f32 = 0.5;
/// Sources that count, on either side. Picked by hand: more of them are seldom independent.
const SOURCES_MAX: u8 = 2;

/// What is left at an age of up to so many days. Of 12 % of addresses the AS changed in
/// the 432 days between two real tables (a test repeats it): `exp(-0.000296 * days)`,
/// taken in the middle of each step, so that an answer changes on few days.
const AGES: [(u32, f32); 4] = [(31, 1.0), (183, 0.97), (366, 0.92), (731, 0.85)];
/// What is left beyond.
const AGED: f32 = 0.72;

/// The parts of a confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// What the kind of statement proves.
    pub base: f32,
    /// Further sources that name the same organisation.
    pub agreeing: u8,
    /// Further sources that name another.
    pub disagreeing: u8,
    /// What the rule for gaps leaves.
    pub gap: f32,
    /// What the age of the snapshot leaves.
    pub age: f32,
}

impl Confidence {
    /// Of a statement that nothing else is said about.
    pub(super) fn of(base: f32) -> Self {
        Self { base, agreeing: 0, disagreeing: 0, gap: 1.0, age: 1.0 }
    }

    /// Nobody is known.
    pub(super) const NONE: Self =
        Self { base: 0.0, agreeing: 0, disagreeing: 0, gap: 1.0, age: 1.0 };

    /// Counts what a further source says.
    pub(super) fn hear(&mut self, same: bool) {
        let count = if same { &mut self.agreeing } else { &mut self.disagreeing };
        *count = count.saturating_add(1);
    }

    /// All parts together.
    pub fn value(self) -> f32 {
        let power = |base: f32, count: u8| base.powi(i32::from(count.min(SOURCES_MAX)));
        let base = self.base.clamp(0.0, 1.0);
        let agreed = if base > 0.0 {
            1.0 - (1.0 - base) * power(AGREEING, self.agreeing)
        } else {
            0.0
        };
        agreed * power(DISAGREEING, self.disagreeing) * self.gap * self.age
    }
}

/// What an age of so many days leaves of a confidence.
pub(super) fn left_at(days: u32) -> f32 {
    AGES.iter().find(|(most, _)| days <= *most).map_or(AGED, |(_, left)| *left)
}

/// The least number of days of each step of age but the first.
pub(super) fn steps() -> impl Iterator<Item = i32> {
    AGES.iter().filter_map(|(most, _)| i32::try_from(most + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_raises_disagreement_halves_and_all_stays_between_0_and_1() {
        let value = |base, agreeing, disagreeing| {
            Confidence { agreeing, disagreeing, ..Confidence::of(base) }.value()
        };
        assert!((value(0.5, 0, 0) - 0.5).abs() < 1e-6);
        assert!((value(0.5, 1, 0) - 0.625).abs() < 1e-6);
        assert!((value(0.5, 0, 1) - 0.25).abs() < 1e-6);
        assert!((value(0.5, 2, 0) - value(0.5, 200, 0)).abs() < 1e-6);
        assert!(value(0.0, 2, 0).abs() < 1e-6, "nobody is not proven by agreement");
        for base in [-1.0, 0.0, 0.3, 1.0, 7.0] {
            for count in [0, 1, 255] {
                assert!((0.0..=1.0).contains(&value(base, count, count)));
            }
        }
    }

    #[test]
    fn age_leaves_less_and_less_as_measured() {
        let steps: Vec<_> = steps().collect();
        assert_eq!(steps, [32, 184, 367, 732]);
        let mut before = 1.1;
        for days in [0u16, 32, 184, 367, 732] {
            let left = left_at(u32::from(days));
            assert!(left < before, "{days}: {left}");
            before = left;
        }
        // In the middle of a step it is what was measured.
        for days in [107u16, 274, 549] {
            let measured = (-0.000_296 * f32::from(days)).exp();
            assert!((left_at(u32::from(days)) - measured).abs() < 0.01, "{days}");
        }
    }
}
