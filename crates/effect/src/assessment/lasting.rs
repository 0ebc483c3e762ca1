//! How long use lasted: the baseline cohort from the end of the window before on.
//!
//! **Invariant:** only those still in use at the end of that window are followed, each up
//! to the last week by which a removal could have been told from its habits
//! ([`crate::survival::spells`]); levels are refused where visibility changed, contrasts
//! are not.

use std::collections::BTreeMap;

use super::{ALL, GROUP_MIN, Grounds, REMOVALS_MIN, REST, Reading, Refused, Sight};
use crate::interval::wilson;
use crate::regression::count;
use crate::survival::Followed;
use crate::survival::kaplan_meier::{Curve, curve};
use crate::survival::log_rank::log_rank_clustered;
use crate::survival::spells::{Use, uses};
use crate::survival::turnbull::{Between, turnbull};

pub(super) const HALF_LIFE: &str = "half-life";
pub(super) const MEAN_TIME: &str = "mean time in use up to the window after";
pub(super) const STILL: &str = "share not gone for good by the window after";
pub(super) const RELAPSE: &str = "share of removals after which use was seen again";
const STILL_BETWEEN: &str =
    "share not gone for good by the window after, times between two looks";
pub(super) const LOG_RANK: &str = "removals, observed by expected";

/// Share of a group that may be unknown at the window after. Picked by hand, revisit.
const UNKNOWN_MAX: f64 = 0.05;

/// Families from which an error over families is one (methods, 4.3: with fewer than forty
/// clusters errors over clusters are too small).
const FAMILIES_MIN: usize = 40;

const CURVE: &str = "Kaplan-Meier, log-log interval";
const LEVEL: &str = "a silence longer than an organisation's habits is the end of use, and \
                     silence of organisations that are no longer followed says nothing";

/// Half-life, time in use and share left for the whole, the addressee and the rest, and
/// whether the two differ.
pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let asked = grounds.asked;
    let before = asked.windows.before();
    let refuse = |refused| vec![Reading::of(HALF_LIFE, ALL, "weeks").refuse(refused)];
    let followed = match uses(asked.panel, before, asked.active) {
        Ok(followed) => followed,
        Err(error) => return refuse(Refused::of(error)),
    };
    let week = |day| asked.panel.week_index(day);
    let (Some(first), Some(last), Some(after)) = (
        week(before.first()),
        week(before.last()),
        week(asked.windows.after().first()),
    ) else {
        return refuse(Refused::by("outside", "the windows lie outside the panel"));
    };
    let from = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
    let cohort = Cohort { grounds, uses: followed, from, horizon: count(after - last) };
    let addressed = grounds.addressed();
    let mut found = cohort.of(ALL, |_| true);
    found.push(cohort.relapse());
    match grounds.apart() {
        Ok(()) => {
            let is = |u: &Use| u.country == Some(addressed);
            found.extend(cohort.of(&addressed.to_string(), is));
            found.extend(cohort.of(REST, |u| !is(u)));
            found.push(cohort.difference());
        }
        Err(refused) => {
            let reading = Reading::of(HALF_LIFE, addressed, "weeks");
            found.push(reading.refuse(refused.clone()));
            let reading = Reading::of(LOG_RANK, addressed, "ratio");
            found.push(reading.refuse(refused));
        }
    }
    found
}

/// Those in use at the end of the window before.
struct Cohort<'a> {
    grounds: &'a Grounds<'a>,
    uses: Vec<Use>,
    /// Week of the uses after which they are followed.
    from: u32,
    /// Weeks from there to the window after.
    horizon: f64,
}

impl Cohort<'_> {
    fn of(&self, whom: &str, belongs: impl Fn(&Use) -> bool) -> Vec<Reading> {
        let members: Vec<&Use> = self.uses.iter().filter(|u| belongs(u)).collect();
        let followed: Vec<Followed> =
            members.iter().filter_map(|u| u.followed(self.from)).collect();
        let reading = |what: &str, unit| {
            Reading::of(what, whom, unit)
                .on(followed.len(), "organisations")
                .by(CURVE, self.assumption())
        };
        let all = [
            (HALF_LIFE, "weeks"),
            (MEAN_TIME, "weeks"),
            (STILL, "share"),
            (STILL_BETWEEN, "share"),
        ];
        let fitted = self
            .admit(&followed)
            .and_then(|()| self.long_enough(&followed))
            .and_then(|()| curve(&followed).map_err(Refused::of));
        let curve = match fitted {
            Ok(curve) => curve,
            Err(refused) => {
                let refuse = |(what, unit)| reading(what, unit).refuse(refused.clone());
                return all.into_iter().map(refuse).collect();
            }
        };
        let mean = match curve.mean_time(self.horizon) {
            Ok(mean) => reading(MEAN_TIME, "weeks").is(mean.value, mean.low, mean.high),
            Err(error) => reading(MEAN_TIME, "weeks").refuse(Refused::of(error)),
        };
        let still = match curve.at(self.horizon) {
            Some(still) => {
                reading(STILL, "share").is(still.value, still.low, still.high)
            }
            None => reading(STILL, "share").refuse(Self::not_followed()),
        };
        let between: Vec<Between> =
            members.iter().filter_map(|u| u.between(self.from)).collect();
        let between = self.between(reading(STILL_BETWEEN, "share"), &between, &curve);
        vec![half_life(reading(HALF_LIFE, "weeks"), &curve), mean, still, between]
    }

    /// How many silences that habits do not explain were no end of use.
    fn relapse(&self) -> Reading {
        let removed = self.uses.iter().filter(|u| u.gone_by.is_some());
        let (n, back) = removed
            .fold((0, 0), |(n, back), of| (n + 1, back + usize::from(of.relapsed)));
        let method = "first silence longer than habits explain; Wilson";
        let assumption =
            "who is seen again had used the product all the while, or again";
        let reading = Reading::of(RELAPSE, ALL, "share")
            .on(n, "organisations")
            .by(method, assumption);
        if let Err(refused) = self.enough(n, back) {
            return reading.refuse(refused);
        }
        let ends = [back, n].map(|of| u64::try_from(of).unwrap_or(u64::MAX));
        match wilson(ends[0], ends[1]) {
            Some(i) => reading.is(count(back) / count(n), i.low, i.high),
            None => {
                reading.refuse(Refused::by("subjects-needed", "nobody was removed"))
            }
        }
    }

    /// Turnbull's bounds: no sampling error, but none of the uncertainty about when.
    fn between(&self, reading: Reading, times: &[Between], curve: &Curve) -> Reading {
        let method = "Turnbull; the ends are bounds without sampling error";
        let reading = reading.by(method, self.assumption());
        if self.horizon > curve.last {
            return reading.refuse(Self::not_followed());
        }
        match turnbull(times) {
            Ok(found) => {
                let (low, high) = found.survival(self.horizon);
                Reading { low: Some(low), high: Some(high), ..reading }
            }
            Err(error) => reading.refuse(Refused::of(error)),
        }
    }

    fn removals_needed() -> Refused {
        let words =
            format!("fewer than {REMOVALS_MIN} left, or would have been expected to");
        Refused::by("removals-needed", words)
    }

    fn not_followed() -> Refused {
        Refused::by(
            "at-risk-needed",
            "nobody could be followed so far: silence has not lasted long enough after it",
        )
    }

    /// Whether levels of this group may be told.
    fn admit(&self, followed: &[Followed]) -> Result<(), Refused> {
        if let Sight::Changed(how) = &self.grounds.asked.sight {
            let words = format!("{how}; silence is then no end of use");
            return Err(Refused::by("visibility-changed", words));
        }
        let left = followed.iter().filter(|f| f.event).count();
        self.enough(followed.len(), left)
    }

    /// Those of whom nothing is known at the window after are mostly those who left late and
    /// show little: a curve that takes them for others is too high by up to their share.
    fn long_enough(&self, followed: &[Followed]) -> Result<(), Refused> {
        let early = followed.iter().filter(|f| !f.event && f.exit < self.horizon);
        let share = count(early.count()) / count(followed.len().max(1));
        if share <= UNKNOWN_MAX {
            return Ok(());
        }
        let words = format!(
            "{:.0} % of {} fell silent, but not for longer than their habits explain; at \
             most {:.0} % may",
            100.0 * share,
            followed.len(),
            100.0 * UNKNOWN_MAX
        );
        Err(Refused::by("followed-too-short", words))
    }

    fn enough(&self, n: usize, left: usize) -> Result<(), Refused> {
        if n < GROUP_MIN {
            let words = format!("fewer than {GROUP_MIN} organisations can be followed");
            return Err(Refused::by("organisations-min", words));
        }
        let least = self.grounds.asked.cell_min;
        if ![left, n - left].into_iter().all(|part| self.grounds.may_tell(part)) {
            let words = format!("fewer than {least} organisations left, or stayed");
            return Err(Refused::by("disclosure", words));
        }
        Ok(())
    }

    fn assumption(&self) -> String {
        match &self.grounds.asked.sight {
            Sight::Unknown(_) => {
                format!("{LEVEL}; visibility not separated from usage")
            }
            Sight::Steady | Sight::Changed(_) => LEVEL.to_owned(),
        }
    }

    /// The log-rank test of the addressee against the rest, inside sectors.
    fn difference(&self) -> Reading {
        let addressed = self.grounds.addressed();
        let (mut sectors, mut families) = (BTreeMap::new(), BTreeMap::new());
        let (mut followed, mut groups, mut strata) = (vec![], vec![], vec![]);
        let mut clusters = vec![];
        for of in &self.uses {
            let Some(time) = of.followed(self.from) else { continue };
            let next = sectors.len();
            strata.push(*sectors.entry(&of.sector).or_insert(next));
            let next = u64::try_from(families.len()).unwrap_or(u64::MAX);
            clusters.push(*families.entry(&of.family).or_insert(next));
            groups.push(usize::from(of.country != Some(addressed)));
            followed.push(time);
        }
        let method = format!(
            "log-rank in {} strata of sector, errors over {} families",
            sectors.len(),
            families.len()
        );
        let assumption = format!(
            "families leave independently of each other; {}",
            self.grounds.sight_alike()
        );
        let reading = Reading::of(LOG_RANK, addressed, "ratio")
            .on(followed.len(), "organisations")
            .by(method, assumption);
        for group in [0, 1] {
            let of = || groups.iter().zip(&followed).filter(move |(g, _)| **g == group);
            let left = of().filter(|(_, f)| f.event).count();
            if let Err(refused) = self.enough(of().count(), left) {
                return reading.refuse(refused);
            }
            if left < REMOVALS_MIN {
                return reading.refuse(Self::removals_needed());
            }
        }
        if families.len() < FAMILIES_MIN {
            let words = format!(
                "{} families; the error over them needs {FAMILIES_MIN}",
                families.len()
            );
            return reading.refuse(Refused::by("families-min", words));
        }
        match log_rank_clustered(&followed, &groups, &strata, &clusters, 0.0) {
            Ok(found) => {
                let (observed, expected) = found.events[0];
                if expected < count(REMOVALS_MIN) {
                    return reading.refuse(Self::removals_needed());
                }
                let value = (expected > 0.0).then(|| observed / expected);
                Reading { value, p: Some(found.p), ..reading }
            }
            Err(error) => reading.refuse(Refused::of(error)),
        }
    }
}

fn half_life(reading: Reading, curve: &Curve) -> Reading {
    let found = curve.half_life();
    let (value, low, high) = (found.value, found.low, found.high);
    let reading = Reading { value, low, high, ..reading };
    if value.is_some() {
        return reading;
    }
    let words = format!("more than half are left after {} weeks", curve.last);
    Reading { refused: Some(Refused::by("not-reached", words)), ..reading }
}
