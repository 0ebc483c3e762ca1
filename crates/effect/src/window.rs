//! The two windows of a before/after comparison.
//!
//! **Invariant:** they have the same number of days and do not overlap. A longer window
//! sees more organisations without anybody having changed anything: with a chance d of
//! being seen in a month, six months see 1-(1-d)^6 of them.

use tidegauge_model::{Day, DayRange};

/// Before and after, of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    before: DayRange,
    after: DayRange,
}

/// Two windows that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnequalWindows {
    /// Their lengths differ.
    #[error(
        "rule windows-equal: {before} has {} days and {after} has {}: windows must be equally \
         long",
        before.length_days(), after.length_days()
    )]
    Length {
        /// The window before.
        before: DayRange,
        /// The window after.
        after: DayRange,
    },
    /// The second does not come after the first.
    #[error("rule windows-order: {after} does not come after {before}")]
    Order {
        /// The window before.
        before: DayRange,
        /// The window after.
        after: DayRange,
    },
}

impl Windows {
    /// Compares `before` with `after`, if that is fair.
    pub fn new(before: DayRange, after: DayRange) -> Result<Self, UnequalWindows> {
        if before.length_days() != after.length_days() {
            return Err(UnequalWindows::Length { before, after });
        }
        if after.first() <= before.last() {
            return Err(UnequalWindows::Order { before, after });
        }
        Ok(Self { before, after })
    }

    /// The window before.
    pub fn before(self) -> DayRange {
        self.before
    }

    /// The window after.
    pub fn after(self) -> DayRange {
        self.after
    }

    /// Length of each window.
    pub fn length_days(self) -> u32 {
        self.before.length_days()
    }
}

/// The window of `length_days` that begins on `first`.
pub fn window_from(first: Day, length_days: u32) -> DayRange {
    let last =
        first.plus(i32::try_from(length_days).unwrap_or(i32::MAX).saturating_sub(1));
    DayRange::new(first, last.max(first)).expect("last is not before first")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> DayRange {
        DayRange::month(text.parse().unwrap())
    }

    #[test]
    fn april_compares_with_november_but_not_with_october() {
        assert!(Windows::new(month("2024-04"), month("2024-11")).is_ok());
        let error = Windows::new(month("2024-04"), month("2024-10")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rule windows-equal: 2024-04-01 to 2024-04-30 has 30 days and 2024-10-01 to 2024-10-31 has 31: \
             windows must be equally long"
        );
    }

    #[test]
    fn overlapping_windows_are_refused() {
        let april = month("2024-04");
        assert!(matches!(
            Windows::new(april, window_from(april.last(), 30)),
            Err(UnequalWindows::Order { .. })
        ));
    }
}
