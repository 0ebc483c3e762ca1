//! The chance to become a member of the cohort, by class.
//!
//! Only those seen on m days of the window before are in the cohort, each counted vantage
//! saw one of them, and each counted control was seen once. Who is hard to see became a
//! member by luck; without dividing by that chance, everybody would seem easier to see
//! before than after.
//!
//! **Invariant:** the chance is exact for independent days (inclusion and exclusion over
//! vantages, a polynomial over days); use and sight are taken to last until entry.

use super::evidence::{Entry, Evidence};
use super::layout::Layout;
use super::rates::{Intensity, Rates};

/// A smaller chance is not divided by: its class has no members.
const CHANCE_MIN: f64 = 1e-12;

/// Logarithm of a chance for one class, and its slopes by the logarithms of the
/// intensities, for each of the entry's views and each week of the window before.
pub(crate) struct EntryChance {
    pub(crate) log: f64,
    pub(crate) slopes: Vec<Intensity>,
}

/// The chances of all entries.
pub(crate) struct Entries {
    /// By entry, class of the product.
    pub(crate) product: Vec<EntryChance>,
    /// By entry, class of controls.
    pub(crate) control: Vec<EntryChance>,
}

impl Entries {
    pub(crate) fn new(layout: &Layout, evidence: &Evidence, rates: &Rates) -> Self {
        let (mut product, mut control) = (Vec::new(), Vec::new());
        for entry in &evidence.entries {
            for class in 0..layout.products {
                let of = |v: usize, week: usize| {
                    rates.product.intensity[layout.product_cell(v, week, class)]
                };
                product.push(product_chance(entry, evidence.days_min, of));
            }
            for class in 0..layout.controls {
                let of = |v: usize, week: usize| {
                    rates.control.intensity[layout.control_cell(v, week, class)]
                };
                control.push(control_chance(entry, of));
            }
        }
        Self { product, control }
    }
}

fn product_chance(
    entry: &Entry,
    days_min: usize,
    of: impl Fn(usize, usize) -> Intensity,
) -> EntryChance {
    let weeks = entry.views.first().map_or(0, |v| v.2.len());
    let mut slopes = vec![[0.0; 2]; entry.views.len() * weeks];
    let mut chance = 0.0;
    for subset in 1..1usize << entry.views.len() {
        chance += add_subset(entry, subset, days_min, &of, &mut slopes);
    }
    let chance = chance.max(CHANCE_MIN);
    for (j, (vantage, _, _)) in entry.views.iter().enumerate() {
        for week in 0..weeks {
            let lambda = of(*vantage, week);
            let slope = &mut slopes[j * weeks + week];
            *slope = [slope[0] * lambda[0] / chance, slope[1] * lambda[1] / chance];
        }
    }
    EntryChance { log: chance.ln(), slopes }
}

fn control_chance(
    entry: &Entry,
    of: impl Fn(usize, usize) -> Intensity,
) -> EntryChance {
    let weeks = entry.views.first().map_or(0, |v| v.2.len());
    let mut slopes = vec![[0.0; 2]; entry.views.len() * weeks];
    let mut log = 0.0;
    for (j, (vantage, control, looked)) in entry.views.iter().enumerate() {
        if !control {
            continue;
        }
        let each = |week: usize| {
            let (days, lambda) = (halves(looked[week]), of(*vantage, week));
            [days[0] * lambda[0], days[1] * lambda[1]]
        };
        let missed: f64 = (0..weeks).flat_map(each).sum();
        let seen = (-(-missed).exp_m1()).max(CHANCE_MIN);
        log += seen.ln();
        for week in 0..weeks {
            slopes[j * weeks + week] = each(week).map(|s| s * (-missed).exp() / seen);
        }
    }
    EntryChance { log, slopes }
}

/// Days of weekdays and weekends among the bits.
fn halves(looked: u8) -> [f64; 2] {
    [looked & 0b001_1111, looked & 0b110_0000].map(|bits| f64::from(bits.count_ones()))
}

/// One term of inclusion and exclusion: the views outside `subset` see nothing, those in
/// it see `days_min` days together. Adds its derivatives by λ to `slopes`.
fn add_subset(
    entry: &Entry,
    subset: usize,
    days_min: usize,
    of: &impl Fn(usize, usize) -> Intensity,
    slopes: &mut [Intensity],
) -> f64 {
    let weeks = entry.views.first().map_or(0, |v| v.2.len());
    let outside = entry.views.len() - usize::try_from(subset.count_ones()).unwrap_or(0);
    let sign = if outside.is_multiple_of(2) { 1.0 } else { -1.0 };
    let mut nothing = 0.0;
    // Each day that a view of the subset looked at: week, whether weekend, λ together.
    let mut days: Vec<(usize, u8, f64)> = Vec::with_capacity(weeks * 7);
    for week in 0..weeks {
        let mut together = [0.0; 7];
        for (j, (vantage, _, looked)) in entry.views.iter().enumerate() {
            let lambda = of(*vantage, week);
            if subset >> j & 1 == 0 {
                let [weekdays, others] = halves(looked[week]);
                nothing += weekdays * lambda[0] + others * lambda[1];
                continue;
            }
            for (day, sum) in together.iter_mut().enumerate() {
                if looked[week] >> day & 1 == 1 {
                    *sum += lambda[usize::from(day >= 5)];
                }
            }
        }
        let seen = (0u8..).zip(together).filter(|(_, sum)| *sum > 0.0);
        days.extend(seen.map(|(day, sum)| (week, day, sum)));
    }
    let (reached, by_day) = reach(&days, days_min);
    let outer = sign * (-nothing).exp();
    for (j, (_, _, looked)) in entry.views.iter().enumerate() {
        if subset >> j & 1 == 0 {
            for (week, looked) in looked.iter().enumerate() {
                let [weekdays, others] = halves(*looked);
                slopes[j * weeks + week][0] -= outer * reached * weekdays;
                slopes[j * weeks + week][1] -= outer * reached * others;
            }
            continue;
        }
        for ((week, day, _), by) in days.iter().zip(&by_day) {
            if looked[*week] >> day & 1 == 1 {
                slopes[j * weeks + week][usize::from(*day >= 5)] += outer * by;
            }
        }
    }
    outer * reached
}

/// The chance that at least `least` of the days are seen, and its derivatives by λ of
/// each day: the chance that the others make exactly one too few, times that to miss it.
fn reach(days: &[(usize, u8, f64)], least: usize) -> (f64, Vec<f64>) {
    let next = |counts: &[f64], lambda: f64| -> Vec<f64> {
        let (seen, missed) = (-(-lambda).exp_m1(), (-lambda).exp());
        let with = |n: usize| if n > 0 { counts[n - 1] * seen } else { 0.0 };
        (0..counts.len()).map(|n| counts[n] * missed + with(n)).collect()
    };
    let mut none = vec![0.0; least];
    none[0] = 1.0;
    let mut earlier = vec![none.clone()];
    for (_, _, lambda) in days {
        let last = earlier.last().map_or(&none, |counts| counts);
        earlier.push(next(last, *lambda));
    }
    let few: f64 = earlier.last().map_or(0.0, |counts| counts.iter().sum());
    let mut later = none;
    let mut slopes = vec![0.0; days.len()];
    for (i, (_, _, lambda)) in days.iter().enumerate().rev() {
        let exactly: f64 =
            (0..least).map(|n| earlier[i][n] * later[least - 1 - n]).sum();
        slopes[i] = exactly * (-lambda).exp();
        later = next(&later, *lambda);
    }
    (1.0 - few, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lambda(vantage: usize, week: usize) -> Intensity {
        let base = 0.02 * (1.0 + [3.0, 7.0][vantage] + [0.0, 2.0][week]);
        [base, base * 0.4]
    }

    fn entry() -> Entry {
        let east = (0, true, vec![0b0011, 0b010_0001]);
        let west = (1, false, vec![0b0110, 0b000_0001]);
        Entry { views: vec![east, west] }
    }

    /// Every combination of days seen, by hand.
    fn by_hand(entry: &Entry, m: u32, of: &dyn Fn(usize, usize) -> Intensity) -> f64 {
        let days: Vec<(usize, usize, usize)> = (0..2)
            .flat_map(|v| (0..2).flat_map(move |w| (0..7).map(move |d| (v, w, d))))
            .filter(|(v, w, d)| entry.views[*v].2[*w] >> d & 1 == 1)
            .collect();
        let mut sum = 0.0;
        for set in 0..1u32 << days.len() {
            let (mut chance, mut union, mut own) = (1.0, 0u32, [0, 0]);
            for (i, (v, w, d)) in days.iter().enumerate() {
                let lambda = of(*v, *w)[usize::from(*d >= 5)];
                if set >> i & 1 == 1 {
                    chance *= 1.0 - (-lambda).exp();
                    union |= 1 << (w * 7 + d);
                    own[*v] += 1;
                } else {
                    chance *= (-lambda).exp();
                }
            }
            if union.count_ones() >= m && own[0] > 0 && own[1] > 0 {
                sum += chance;
            }
        }
        let weeks = entry.views[0].2.iter().enumerate();
        let control: f64 = weeks
            .map(|(w, looked)| {
                let [weekdays, others] = halves(*looked);
                weekdays * of(0, w)[0] + others * of(0, w)[1]
            })
            .sum();
        sum.ln() + (1.0 - (-control).exp()).ln()
    }

    #[test]
    fn the_chance_to_enter_is_that_of_all_combinations() {
        for m in 1..=3 {
            let control = control_chance(&entry(), lambda).log;
            let found = product_chance(&entry(), m, lambda).log + control;
            let expected = by_hand(&entry(), u32::try_from(m).unwrap(), &lambda);
            assert!((found - expected).abs() < 1e-12, "{m}: {found} {expected}");
        }
    }

    #[test]
    fn its_slopes_are_those_of_differences() {
        type Of<'a> = dyn Fn(usize, usize) -> Intensity + 'a;
        let product = |of: &Of<'_>| product_chance(&entry(), 2, of);
        let control = |of: &Of<'_>| control_chance(&entry(), of);
        let both: [&dyn Fn(&Of<'_>) -> EntryChance; 2] = [&product, &control];
        for chance in both {
            for (place, slope) in chance(&lambda).slopes.iter().enumerate() {
                for (kind, slope) in slope.iter().enumerate() {
                    let moved = |by: f64| {
                        let of = |v: usize, w: usize| {
                            let mut intensity = lambda(v, w);
                            if v * 2 + w == place {
                                intensity[kind] *= by.exp();
                            }
                            intensity
                        };
                        chance(&of).log
                    };
                    let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!((numeric - slope).abs() < 1e-8, "{place} {kind}");
                }
            }
        }
    }
}
