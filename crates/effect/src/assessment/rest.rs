//! How long the rest will last: curves of leaving, fitted to the baseline cohort and carried
//! on.
//!
//! **Invariant:** the curves are fitted to removals told from habits
//! ([`crate::survival::spells`]), never to counts as seen, and not at all where visibility
//! changed; a share that no curve reaches is refused by `not-reached`, which is an answer.

use super::{ALL, GROUP_MIN, Grounds, REST, Reading, Refused, Sight};
use crate::forecast::{Forecast, Period, Reached, forecast};
use crate::survival::Followed;
use crate::survival::spells::{Use, uses};

pub(super) const UNTIL: [(f64, &str); 4] = [
    (0.5, "weeks until half are left"),
    (0.1, "weeks until a tenth is left"),
    (0.05, "weeks until a twentieth is left"),
    (0.01, "weeks until a hundredth is left"),
];
pub(super) const FLOOR: &str = "share that never leaves";

/// Weeks of a period of the curves: as long as the shortest silence that is a removal.
const PERIOD_WEEKS: u32 = 2;
const SEED: u64 = 2024;

pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let asked = grounds.asked;
    let before = asked.windows.before();
    let refuse = |refused| vec![Reading::of(FLOOR, ALL, "share").refuse(refused)];
    let week = |day| asked.panel.week_index(day);
    let (Some(first), Some(last)) = (week(before.first()), week(before.last())) else {
        return refuse(Refused::by("outside", "the windows lie outside the panel"));
    };
    if let Sight::Changed(how) = &asked.sight {
        return refuse(Refused::by("visibility-changed", how.clone()));
    }
    let all = match uses(asked.panel, before, asked.active) {
        Ok(all) => all,
        Err(error) => return refuse(Refused::of(error)),
    };
    let from = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
    let of = |whom: &str, belongs: &dyn Fn(&Use) -> bool| {
        let members = all.iter().filter(|u| belongs(u));
        let followed: Vec<Followed> =
            members.filter_map(|u| u.followed(from)).collect();
        group(grounds, whom, &followed)
    };
    let mut out = of(ALL, &|_| true);
    let addressed = grounds.addressed();
    match grounds.apart() {
        Ok(()) => {
            out.extend(of(&addressed.to_string(), &|u| u.country == Some(addressed)));
            out.extend(of(REST, &|u| u.country != Some(addressed)));
        }
        Err(refused) => {
            out.push(Reading::of(FLOOR, addressed, "share").refuse(refused));
        }
    }
    out
}

fn group(grounds: &Grounds<'_>, whom: &str, followed: &[Followed]) -> Vec<Reading> {
    let assumption = match grounds.asked.sight {
        Sight::Unknown(_) => {
            "leaving goes on as it went; visibility not separated from usage"
        }
        Sight::Steady | Sight::Changed(_) => "leaving goes on as it went",
    };
    let reading = |what: &str, unit| {
        let of = Reading::of(what, whom, unit).on(followed.len(), "organisations");
        of.by(
            "exponential, Weibull, Gompertz and Weibull with a share that never leaves, \
             weighed by what each foretold; weeks from the end of the window before",
            assumption,
        )
    };
    let left = followed.iter().filter(|f| f.event).count();
    let parts = [left, followed.len() - left];
    if followed.len() < GROUP_MIN || !parts.into_iter().all(|p| grounds.may_tell(p)) {
        let words = "too few organisations can be followed, left, or stayed";
        return vec![reading(FLOOR, "share").refuse(Refused::by("disclosure", words))];
    }
    match forecast(&periods(followed), SEED) {
        Ok(found) => told(&found, reading),
        Err(error) => vec![reading(FLOOR, "share").refuse(Refused::of(error))],
    }
}

fn told(
    found: &Forecast,
    reading: impl Fn(&str, &'static str) -> Reading,
) -> Vec<Reading> {
    let mut out: Vec<Reading> = UNTIL
        .iter()
        .map(|(target, what)| until(found, *target, reading(what, "weeks")))
        .collect();
    out.push(if let Some(floor) = found.floor {
        Reading {
            method: "Weibull with a share that never leaves, by itself".to_owned(),
            ..reading(FLOOR, "share").is(floor.value, floor.low, floor.high)
        }
    } else {
        let words = "the curve with a share that never leaves could not be fitted";
        reading(FLOOR, "share").refuse(Refused::by("not-estimable", words))
    });
    out
}

fn until(found: &Forecast, target: f64, reading: Reading) -> Reading {
    let weeks = |periods: f64| f64::from(PERIOD_WEEKS) * periods;
    match found.time_to(target) {
        Ok(Reached::After { value, low, high }) => Reading {
            value: Some(weeks(value)),
            low: Some(weeks(low)),
            high: high.map(weeks),
            ..reading
        },
        Ok(Reached::NotReached) => {
            let floor = found.floor.map_or(String::new(), |f| {
                format!(
                    "; the share that never leaves is {:.0} % ({:.0} to {:.0} %)",
                    100.0 * f.value,
                    100.0 * f.low,
                    100.0 * f.high
                )
            });
            let words = format!(
                "{:.0} % is not reached at any time that the curves can tell{floor}",
                100.0 * target
            );
            reading.refuse(Refused::by("not-reached", words))
        }
        Err(error) => reading.refuse(Refused::of(error)),
    }
}

/// Those at risk in each period, and of these removed in it. Who is not followed to the end
/// of a period without leaving is not at risk in it. The first period in which nobody is
/// left at risk ends the list.
fn periods(followed: &[Followed]) -> Vec<Period> {
    let mut out = Vec::new();
    for number in 1u32.. {
        let (start, end) =
            (f64::from((number - 1) * PERIOD_WEEKS), f64::from(number * PERIOD_WEEKS));
        let here = followed.iter().filter(|f| f.exit > start);
        let (mut at_risk, mut removed) = (0, 0);
        for of in here {
            let leaves = of.event && of.exit <= end;
            at_risk += u64::from(leaves || of.exit >= end);
            removed += u64::from(leaves);
        }
        if at_risk == 0 {
            break;
        }
        out.push(Period { at_risk, removed });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_at_risk_while_followed() {
        let of = |exit: u32, event| Followed::from_start(f64::from(exit), event);
        let found = periods(&[
            of(1, true),
            of(2, true),
            of(3, false),
            of(4, true),
            of(6, false),
        ]);
        let pairs: Vec<_> = found.iter().map(|p| (p.at_risk, p.removed)).collect();
        // The third is followed for half of the second period, so it is not at risk in it.
        assert_eq!(pairs, [(5, 2), (2, 1), (1, 0)]);
    }
}
