//! What becomes of the sight of a group's members, whatever they do: devices seen ever
//! more seldom, networks whose sensor partner goes dark, contacts that go to hosts nobody
//! has a name for yet.
//!
//! **Invariant:** nothing here changes who has the product; thinning and darkness strike
//! the product and everything else alike, moved hosts the product alone.

use crate::calendar::{DAYS, YearDay};
use crate::chance;
use crate::hazard::Curve;

/// The sight of one group over the year.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sight {
    /// Share of what was seen on a day that is still seen.
    thinned: Vec<f64>,
    /// Share of contacts that still go to known hosts.
    known: Vec<f64>,
    /// The day on which each sensor partner goes dark; empty if none ever does.
    dark: Vec<YearDay>,
}

impl Sight {
    /// Everything is seen as on the first day.
    pub(crate) fn clear() -> Self {
        let all = vec![1.0; usize::from(DAYS)];
        Self { thinned: all.clone(), known: all, dark: Vec::new() }
    }

    /// The same share of everything is seen all year.
    pub(crate) fn even(thinned: f64) -> Self {
        Self { thinned: vec![thinned; usize::from(DAYS)], ..Self::clear() }
    }

    /// Sight that is lost on a curve with a scale, shared out over thinning, darkness and
    /// moved hosts by weights that sum to one: of those seen at first, exp(−scale × curve)
    /// are still seen.
    pub(crate) fn lost(
        curve: &Curve,
        scale: f64,
        [thinned, dark, moved]: [f64; 3],
        partners: u32,
        link: &Link,
    ) -> Self {
        let left = |weight: f64| {
            (0..DAYS)
                .map(|day| link.thinned((-scale * weight * curve.at(day)).exp()))
                .collect()
        };
        let partner = |p: u32| {
            curve.leaves(scale * dark, (f64::from(p) + 0.5) / f64::from(partners))
        };
        Self {
            thinned: left(thinned),
            known: left(moved),
            dark: if dark > 0.0 {
                (0..partners).map(partner).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Share of what was seen that is still seen.
    pub(crate) fn thinned(&self, day: YearDay) -> f64 {
        self.thinned[usize::from(day)]
    }

    /// Share of contacts to known hosts.
    pub(crate) fn known(&self, day: YearDay) -> f64 {
        self.known[usize::from(day)]
    }

    /// What is left of the sight of contacts with known hosts.
    pub(crate) fn product(&self, day: YearDay) -> f64 {
        self.thinned(day) * self.known(day)
    }

    /// The partner of a member at point `u` of [0, 1), and the first day without it.
    pub(crate) fn partner(&self, u: f64) -> Option<(u32, YearDay)> {
        let partners = u32::try_from(self.dark.len()).expect("few partners");
        let partner = chance::part(u, partners);
        self.dark.get(partner as usize).map(|day| (partner, *day))
    }

    /// The first days without each partner; [`DAYS`] alone if there is no darkness.
    pub(crate) fn dark(&self) -> &[YearDay] {
        if self.dark.is_empty() { &[DAYS] } else { &self.dark }
    }
}

/// Steps of a link: from all down to e^-7.
const LINK_STEPS: u32 = 28;

/// How much must be lost of each device's contacts so that a share of its owners is no
/// longer seen in a month: far more than that share, as one seen contact is as good as
/// many.
pub(crate) struct Link {
    /// Share still seen, and the thinning with which it is, from all downwards.
    points: Vec<(f64, f64)>,
}

impl Link {
    /// From the number that a month shows when everything is thinned to a share.
    pub(crate) fn new(shown: impl Fn(&Sight) -> f64) -> Self {
        let all = shown(&Sight::clear());
        let point = |step: u32| {
            let thinned = (-f64::from(step) / 4.0).exp();
            (shown(&Sight::even(thinned)) / all, thinned)
        };
        let rest = (1..=LINK_STEPS).map(point);
        Self { points: std::iter::once((1.0, 1.0)).chain(rest).collect() }
    }

    /// The thinning with which a share is still seen: a straight line on logarithms
    /// between the points, and on from the last two.
    fn thinned(&self, share: f64) -> f64 {
        if share >= 1.0 {
            return 1.0;
        }
        let after = self.points.partition_point(|p| p.0 > share);
        let after = after.clamp(1, self.points.len() - 1);
        let [(high, from), (low, to)] = [self.points[after - 1], self.points[after]];
        let way = (high / share).ln() / (high / low).ln();
        (from.ln() + way * (to / from).ln()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{CourseName, Courses};

    #[test]
    fn a_scale_is_the_logarithm_of_what_is_left() {
        let curve = Curve::of(&Courses::default(), CourseName::Gradual);
        let same = Link::new(|sight| sight.thinned(0));
        let sight = Sight::lost(&curve, 1.0, [0.5, 0.0, 0.5], 10, &same);
        let fall = sight.product(305) / sight.product(91);
        assert!((fall - (-1.0f64).exp()).abs() < 1e-9, "{fall}");
        assert!((sight.known(200) - sight.thinned(200)).abs() < 1e-12);
        assert_eq!(sight.partner(0.3), None);
    }

    #[test]
    fn who_is_seen_often_must_be_thinned_more() {
        let seen = |sight: &Sight| 1.0 - (-5.0 * sight.thinned(0)).exp();
        let link = Link::new(seen);
        for share in [0.999, 0.8, 0.5, 0.1, 0.01] {
            let found = seen(&Sight::even(link.thinned(share))) / seen(&Sight::clear());
            assert!((found / share - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert!((link.thinned(1.0) - 1.0).abs() < 1e-12);
        assert!(link.thinned(1e-6) > 0.0 && link.thinned(1e-6) < 1e-5);
    }

    #[test]
    fn partners_go_dark_one_by_one() {
        let curve = Curve::of(&Courses::default(), CourseName::Gradual);
        let sight = Sight::lost(
            &curve,
            1.0,
            [0.0, 1.0, 0.0],
            100,
            &Link::new(|s| s.thinned(0)),
        );
        assert!(sight.dark().is_sorted());
        let gone = |day| sight.dark().iter().filter(|d| **d <= day).count();
        let share = 1.0
            - f64::from(u32::try_from(100 - gone(305)).unwrap())
                / f64::from(u32::try_from(100 - gone(91)).unwrap());
        assert!((share - 0.632).abs() < 0.02, "{share}");
        assert!((sight.product(300) - 1.0).abs() < 1e-12);
        assert_eq!(sight.partner(0.999).unwrap().0, 99);
    }
}
