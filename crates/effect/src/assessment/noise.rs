//! Sightings that are no use: their rate, and cohort removal freed from them.
//!
//! How often a user is missed, and how often one that is none is taken for one, are seen
//! in a window of the same length just ahead of the window after: organisations active
//! before *and* after used the product in between; organisations hardly seen outside it did
//! not use it then. Rogan and Gladen's formula takes both out of the share that is still
//! active.
//!
//! **Invariant:** this is a second figure beside the first; nothing is deleted. It corrects
//! for chance, not for a loss of sight: where visibility changed it is refused.

use tidegauge_model::DayRange;
use tidegauge_model::panel::History;

use super::{ALL, GROUP_MIN, Grounds, Reading, Refused, Sight};
use crate::noise::{Counted, lone_rate, rogan_gladen};
use crate::window::window_from;

pub(super) const RATE: &str = "lone sightings of an organisation without the product";
pub(super) const SENSITIVITY: &str = "users that are active in a window";
pub(super) const SPECIFICITY: &str = "others that are not active in a window";
pub(super) const FREED: &str = "cohort removal freed from noise and misses";

/// Seed of the bootstrap.
const SEED: u64 = 2024;

pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let asked = grounds.asked;
    let rate = Reading::of(RATE, ALL, "a week");
    let Some(looked_at) = asked.looked_at else {
        let words = "how many organisations were looked at at all is not known";
        return vec![rate.refuse(Refused::by("footprint-needed", words))];
    };
    let days = asked.panel.days;
    let lone = grounds.organisations.iter().filter(|o| o.seen_days(days, days) == 1);
    let told = grounds.may_tell(lone.count());
    let rate = match lone_rate(asked.panel, looked_at) {
        Ok(_) if !told => {
            let words = "too few organisations were seen but once";
            rate.refuse(Refused::by("disclosure", words))
        }
        Ok(found) => rate
            .on(usize::try_from(looked_at).unwrap_or(usize::MAX), "organisations")
            .by(
                "organisations seen on one day by weeks of those never seen; Garwood",
                "users seen but once are among them: an upper bound",
            )
            .is(found.value, found.low, found.high),
        Err(error) => rate.refuse(Refused::of(error)),
    };
    let mut out = vec![rate];
    match Test::new(grounds, looked_at) {
        Ok(test) => out.extend(test.readings(grounds)),
        Err(refused) => {
            out.push(Reading::of(FREED, ALL, "share").refuse(refused));
        }
    }
    out
}

/// How a window tells users from others.
struct Test {
    window: DayRange,
    /// Users of that window, and of these active in it.
    users: Counted,
    /// Others, and of these not active in it.
    others: Counted,
}

impl Test {
    fn new(grounds: &Grounds<'_>, looked_at: u64) -> Result<Self, Refused> {
        let asked = grounds.asked;
        if let Sight::Changed(how) = &asked.sight {
            return Err(Refused::by("visibility-changed", how.clone()));
        }
        let (days, windows) = (asked.panel.days, asked.windows);
        let length = windows.length_days();
        let back = i32::try_from(length).unwrap_or(i32::MAX);
        let window = window_from(windows.after().first().plus(-back), length);
        if window.first() <= windows.before().last() {
            let words = format!(
                "no window of {length} days lies between {} and {}",
                windows.before(),
                windows.after()
            );
            return Err(Refused::by("window-needed", words));
        }
        let active = |of: &History, window| asked.active.holds(of, days, window);
        let (mut users, mut others) = (Counted { k: 0, n: 0 }, Counted { k: 0, n: 0 });
        let mut seen_outside = 0;
        for of in &grounds.organisations {
            let inside = active(of, window);
            if active(of, windows.before()) && active(of, windows.after()) {
                users.n += 1;
                users.k += u64::from(inside);
            }
            let outside = of.seen_days(days, days) - of.seen_days(days, window);
            if outside >= asked.active.days_min {
                seen_outside += 1;
            } else {
                others.k += u64::from(inside);
            }
        }
        others.n = looked_at.saturating_sub(seen_outside);
        others.k = others.n.saturating_sub(others.k);
        if [users.n, others.n]
            .iter()
            .any(|n| usize::try_from(*n).unwrap_or(0) < GROUP_MIN)
        {
            let words = format!(
                "fewer than {GROUP_MIN} organisations are known to have used the product \
                 in {window}, or not to have"
            );
            return Err(Refused::by("organisations-min", words));
        }
        Ok(Self { window, users, others })
    }

    fn readings(&self, grounds: &Grounds<'_>) -> Vec<Reading> {
        let share = |what: &str, of: Counted, who: &str| {
            let n = usize::try_from(of.n).unwrap_or(usize::MAX);
            let reading = Reading::of(what, ALL, "share").on(n, "organisations");
            let method = format!("in {}; Wilson", self.window);
            let parts = [of.k, of.n - of.k].map(|p| usize::try_from(p).unwrap_or(0));
            if !parts.into_iter().all(|part| grounds.may_tell(part)) {
                let words = "too few organisations were told wrongly, or rightly";
                return reading.refuse(Refused::by("disclosure", words));
            }
            match crate::interval::wilson(of.k, of.n) {
                Some(i) => {
                    let value = super::count_share(of.k, of.n);
                    reading.is(value, i.low, i.high).by(method, who)
                }
                None => reading.refuse(Refused::by("counts-valid", "nobody is known")),
            }
        };
        let mut out = vec![
            share(
                SENSITIVITY,
                self.users,
                "who was active before and after used it in between; the seldom seen are \
                 rare among these, so it is high rather than low",
            ),
            share(
                SPECIFICITY,
                self.others,
                "who was hardly seen outside the window did not use it inside; short users \
                 are among these, so it is low rather than high",
            ),
        ];
        out.push(self.freed(grounds, ALL, |_| true));
        let addressed = grounds.addressed();
        out.push(match grounds.apart() {
            Ok(()) => {
                let is = |of: &History| of.country == Some(addressed);
                self.freed(grounds, &addressed.to_string(), is)
            }
            Err(refused) => Reading::of(FREED, addressed, "share").refuse(refused),
        });
        out
    }

    fn freed(
        &self,
        grounds: &Grounds<'_>,
        whom: &str,
        belongs: impl Fn(&History) -> bool,
    ) -> Reading {
        let asked = grounds.asked;
        let active =
            |of: &History, window| asked.active.holds(of, asked.panel.days, window);
        let mut still = Counted { k: 0, n: 0 };
        let before = asked.windows.before();
        let cohort = |of: &&History| belongs(of) && active(of, before);
        for of in grounds.organisations.iter().filter(cohort) {
            still.n += 1;
            still.k += u64::from(active(of, asked.windows.after()));
        }
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let reading =
            Reading::of(FREED, whom, "share").on(size(still.n), "organisations");
        let parts = [still.k, still.n - still.k].map(size);
        if size(still.n) < GROUP_MIN || !parts.into_iter().all(|p| grounds.may_tell(p))
        {
            let words = "too few organisations left, or stayed, or were there";
            return reading.refuse(Refused::by("disclosure", words));
        }
        match rogan_gladen(still, self.users, self.others, SEED) {
            Ok(found) => reading
                .is(1.0 - found.value, 1.0 - found.high, 1.0 - found.low)
                .by(
                    "Rogan and Gladen; bootstrap over all three samples",
                    "users are missed, and others seen, in the window after as in the one \
                     ahead of it, whoever they are",
                ),
            Err(error) => reading.refuse(Refused::of(error)),
        }
    }
}
