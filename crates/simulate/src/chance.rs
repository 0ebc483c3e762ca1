//! Chance without order: every choice is a function of the seed and of what is chosen
//! for, never of what was chosen before.
//!
//! Fates use a low-discrepancy sequence, the multiples of five irrationals (Kronecker;
//! Kuipers and Niederreiter, "Uniform Distribution of Sequences", 1974, chapter 2.3):
//! among the first n members of a group the share with a given fate is right to about
//! 1/n instead of 1/√n, so that a country of a hundred organisations meets its published
//! rate.
//!
//! **Invariant:** scaling a world keeps a subset of its members, with the same fates.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// (√5 − 1)/2, √2 − 1, √3 − 1, (√13 − 3)/2, (√17 − 3)/2: square roots of different primes are linearly
/// independent, and each has small partial quotients, so that no small group is unlucky.
const STEPS: [f64; 5] = [
    0.618_033_988_749_894_9,
    0.414_213_562_373_095_1,
    0.732_050_807_568_877_2,
    0.302_775_637_731_994_7,
    0.561_552_812_808_830_3,
];

/// What a stream is for. The number keeps streams apart.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Offsets = 1,
    Member = 2,
    Traffic = 3,
    Household = 4,
    HouseholdTraffic = 5,
    Scanner = 6,
    Site = 7,
    Name = 8,
    Moved = 10,
    Rival = 12,
    Noise = 13,
    Names = 14,
    Other = 15,
}

/// A stream of random numbers for one purpose and member.
pub(crate) fn stream(seed: u64, purpose: Purpose, member: u64, part: u64) -> Pcg64Mcg {
    let high = mix(mix(seed ^ mix(purpose as u64)) ^ member);
    let low = mix(mix(high ^ mix(part)).wrapping_add(member));
    Pcg64Mcg::new(u128::from(high) << 64 | u128::from(low))
}

/// A stream of its own for one thing, for one draw of the stream that it branches off: that
/// goes on the same whether and how often the branch is drawn from.
pub(crate) fn branch(rng: &mut Pcg64Mcg) -> Pcg64Mcg {
    let draw = rng.random::<u64>();
    let high = mix(draw);
    Pcg64Mcg::new(u128::from(high) << 64 | u128::from(mix(high ^ draw)))
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Uniform in [0, 1).
pub(crate) fn unit(rng: &mut Pcg64Mcg) -> f64 {
    rng.random::<f64>()
}

/// Uniform in 0..n.
pub(crate) fn below(rng: &mut Pcg64Mcg, n: u32) -> u32 {
    let wide = u64::from(rng.random::<u32>()) * u64::from(n);
    u32::try_from(wide >> 32).expect("below n")
}

/// The point of a group's member in [0, 1)⁵.
pub(crate) fn point(seed: u64, group: u64, index: u32) -> [f64; 5] {
    let mut rng = stream(seed, Purpose::Offsets, group, 0);
    STEPS.map(|step| (unit(&mut rng) + step * f64::from(index)).fract())
}

/// Which of `n` equal parts of [0, 1) `x` lies in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a value in [0, n), n below 2^32, cut down to its integer part"
)]
pub(crate) fn part(x: f64, n: u32) -> u32 {
    ((x.clamp(0.0, 1.0) * f64::from(n)) as u32).min(n.saturating_sub(1))
}

/// The nearest whole number of members; negative counts are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 before the cast"
)]
pub(crate) fn whole(x: f64) -> u32 {
    x.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// The member of a weighted list that `x` in [0, 1) falls on, by index.
pub(crate) fn pick(weights: impl Iterator<Item = f64> + Clone, x: f64) -> usize {
    let total: f64 = weights.clone().sum();
    let mut left = x * total;
    let mut last = 0;
    for (index, weight) in weights.enumerate() {
        last = index;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_group_meets_its_rate() {
        // 102 organisations of which 81 % leave: random choice would miss by four.
        for group in 0..50 {
            let left = (0..102).filter(|i| point(1, group, *i)[0] < 0.81).count();
            assert!((81..=85).contains(&left), "{left} of group {group}");
        }
    }

    #[test]
    fn streams_of_neighbours_differ() {
        let mut first: Vec<_> = (0..1000)
            .map(|i| below(&mut stream(1, Purpose::Member, i, 0), u32::MAX))
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 1000);
    }

    #[test]
    fn parts_and_picks_stay_in_range() {
        assert_eq!((part(0.0, 3), part(0.5, 3), part(1.0, 3)), (0, 1, 2));
        assert_eq!(pick([1.0, 2.0, 1.0].into_iter(), 0.8), 2);
        assert_eq!(pick([1.0, 2.0, 1.0].into_iter(), 1.0), 2);
    }
}
