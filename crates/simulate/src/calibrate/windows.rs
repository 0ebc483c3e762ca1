//! Chances to be counted in April and in November, for each way in which a month can be
//! partly covered.

use crate::Params;
use crate::calendar::{self, APRIL, DAYS, NOVEMBER, YearDay};
use crate::detect::{self, Rates, Reach};
use crate::hazard::Presence;
use crate::sight::Sight;

use super::Counts;

/// Quantiles of packets.
const SIZES: u32 = 64;
/// Days of April and of November: the windows are of equal length.
pub(super) const WINDOW: usize = 30;
/// A pattern is the first `p` days for `p` up to 30, the last `p - 30` days above.
const PATTERNS: usize = 2 * WINDOW + 1;

/// Chances to be counted, averaged over reach and packets, for each way a month can be
/// partly covered: by its first `m` days, or by its last.
pub(super) struct Windows {
    /// Mean chance in April and in November, by pattern.
    april: Vec<f64>,
    november: Vec<f64>,
    /// Mean chance of both, by pattern in April × pattern in November.
    both: Vec<Vec<f64>>,
    /// First days of darkness, as far as they differ for the windows, with their shares.
    dark: Vec<(YearDay, f64)>,
}

impl Windows {
    pub(super) fn new(params: &Params, rates: &Rates, sight: &Sight) -> Self {
        let mut windows = Self {
            april: vec![0.0; PATTERNS],
            november: vec![0.0; PATTERNS],
            both: vec![vec![0.0; PATTERNS]; PATTERNS],
            dark: classes(sight),
        };
        for (exchange, carrier, share) in detect::combinations(params) {
            for size in 0..SIZES {
                let packets =
                    detect::packets((f64::from(size) + 0.5) / f64::from(SIZES));
                let reach = Reach { exchange, carrier, packets };
                let weight = share / f64::from(SIZES);
                windows.add(
                    weight,
                    &patterns(rates, sight, reach, APRIL),
                    &patterns(rates, sight, reach, NOVEMBER),
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

    /// Expected counts of one member with a presence, on average over darkness.
    pub(super) fn counts(&self, presence: Presence) -> Counts {
        let whole = [APRIL, NOVEMBER].map(|month| pattern(presence, month));
        let of = |(dark, share): &(YearDay, f64)| {
            let a = lit(whole[0], *dark, APRIL);
            let n = lit(whole[1], *dark, NOVEMBER);
            let counts = Counts {
                april: self.april[a],
                november: self.november[n],
                both: self.both[a][n],
            };
            counts.times(*share)
        };
        self.dark.iter().fold(Counts::default(), |sum, d| sum.plus(of(d)))
    }
}

/// Mean chance to be counted in April of who has the product all month.
pub(super) fn whole_april(params: &Params, rates: &Rates, sight: &Sight) -> f64 {
    Windows::new(params, rates, sight).counts(Presence::WHOLE).april
}

/// Days of darkness that mean the same for both windows as one, with their shares.
pub(super) fn classes(sight: &Sight) -> Vec<(YearDay, f64)> {
    let (april, april_days) = calendar::month(APRIL);
    let (november, november_days) = calendar::month(NOVEMBER);
    let class = |day: YearDay| match day {
        d if d <= april => 0,
        d if (april + april_days..=november).contains(&d) => november,
        d if d >= november + november_days => DAYS,
        d => d,
    };
    let days = sight.dark();
    let share = 1.0 / f64::from(u32::try_from(days.len()).expect("few partners"));
    let mut classes: Vec<(YearDay, f64)> = Vec::new();
    // The days are sorted.
    for day in days.iter().map(|d| class(*d)) {
        match classes.last_mut() {
            Some((last, sum)) if *last == day => *sum += share,
            _ => classes.push((day, share)),
        }
    }
    classes
}

fn patterns(rates: &Rates, sight: &Sight, reach: Reach, month: usize) -> Vec<f64> {
    let (start, length) = calendar::month(month);
    let seen = |day| rates.seen(reach, day) * detect::rhythm(day) * sight.product(day);
    let days = start..start + length;
    let first = detect::active(days.clone().map(seen));
    let last = detect::active(days.rev().map(seen));
    std::iter::once(0.0).chain(first).chain(last).collect()
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

/// A month's pattern, cut at the first day of darkness. Who comes in the month in which it
/// grows dark is taken as unseen: a few days of a few.
fn lit(pattern: usize, dark: YearDay, month: usize) -> usize {
    let (start, length) = calendar::month(month);
    let days = usize::from(dark.saturating_sub(start));
    if days >= usize::from(length) {
        pattern
    } else if pattern <= WINDOW {
        pattern.min(days)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn darkness_cuts_a_month() {
        let (start, _) = calendar::month(NOVEMBER);
        assert_eq!(lit(WINDOW, DAYS, NOVEMBER), WINDOW);
        assert_eq!(lit(WINDOW, start + 9, NOVEMBER), 9);
        assert_eq!(lit(4, start + 9, NOVEMBER), 4);
        assert_eq!(lit(WINDOW + 5, start + 9, NOVEMBER), 0);
        assert_eq!(lit(2 * WINDOW, start - 1, NOVEMBER), 0);
    }

    #[test]
    fn without_darkness_there_is_one_class() {
        assert_eq!(classes(&Sight::clear()), [(DAYS, 1.0)]);
    }
}
