//! Survival curves: how many of the cohort go on using the product, week by week.
//!
//! A week is asked as the window after is ([`super::correct`]): who uses the product in none of
//! its weeks and of those that follow has left by then. So the curve never rises, a pause is no
//! end, and in the first week of the window after it is one less removal. Beside it stands what
//! a chart of last sightings shows, which falls too when sight is lost.
//!
//! **Invariant:** a curve stands only beside an identified removal of its stratum, which it
//! ends at; strata without a hazard of their own have none, since its form would be others'.

use tidegauge_model::estimate::Identification;
use tidegauge_model::visibility::{Share, SurvivalCurve, SurvivalWeek};

use super::StratumRemoval;
use super::correct::Model;
use super::evidence::{Unit, silent_patterns};

/// A stratum that has a curve, while it is drawn.
struct Drawn<'a> {
    members: &'a [usize],
    curve: SurvivalCurve,
}

/// The curves of the whole and of strata with a hazard of their own; each stratum comes with
/// the places of its members.
pub(super) fn survival<'a>(
    model: &Model<'_>,
    strata: impl Iterator<Item = (&'a StratumRemoval, &'a [usize])>,
) -> Vec<SurvivalCurve> {
    let mut drawn = with_curves(model, strata);
    if drawn.is_empty() {
        return Vec::new();
    }
    let last_seen = last_seen(model);
    for week in model.evidence.before..=model.evidence.after.start {
        let known = model.posteriors(week);
        for of in &mut drawn {
            let Some(gone) = model.gone_from(of.members, &known, week) else {
                continue;
            };
            let seen = of.members.iter().filter(|i| last_seen[**i] >= Some(week));
            of.curve.weeks.push(SurvivalWeek {
                first: model.evidence.begins(week),
                in_use: Share {
                    value: 1.0 - gone.value,
                    low: 1.0 - gone.high,
                    high: 1.0 - gone.low,
                },
                seen: u64::try_from(seen.count()).unwrap_or(u64::MAX),
            });
        }
    }
    drawn.into_iter().map(|of| of.curve).collect()
}

/// The whole, and strata that are all of a hazard, where removal is identified.
fn with_curves<'a>(
    model: &Model<'_>,
    strata: impl Iterator<Item = (&'a StratumRemoval, &'a [usize])>,
) -> Vec<Drawn<'a>> {
    let units = &model.evidence.units;
    let mut sizes = vec![0; model.evidence.groups];
    for unit in units {
        sizes[unit.group] += 1;
    }
    let is_all_of_a_hazard = |members: &[usize]| {
        let group = |i: &usize| units[*i].group;
        let first = members.first().map(group);
        first.is_some_and(|first| {
            members.iter().all(|i| group(i) == first) && sizes[first] == members.len()
        })
    };
    strata
        .filter(|(of, _)| of.identified == Identification::Identified)
        .filter(|(of, members)| of.stratum.is_empty() || is_all_of_a_hazard(members))
        .map(|(of, members)| Drawn {
            members,
            curve: SurvivalCurve {
                stratum: of.stratum.clone(),
                n_baseline: of.n_baseline,
                weeks: Vec::new(),
            },
        })
        .collect()
}

/// The last week in which any vantage saw each organisation, up to the end of the window after.
fn last_seen(model: &Model<'_>) -> Vec<Option<usize>> {
    let (end, silent) = (model.evidence.after.end, silent_patterns());
    let of = |unit: &Unit| {
        let shown = |week: &usize| {
            unit.views.iter().any(|v| !silent[usize::from(v.cells[*week].product)])
        };
        (0..end).rev().find(shown)
    };
    model.evidence.units.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use tidegauge_model::panel::Panel;

    use super::super::tests::{self as worlds, WEEKS, World, windows};
    use super::super::{Corrected, Settings, removal_corrected};
    use super::*;
    use crate::Stratify;
    use crate::interval::as_f64;

    fn number(n: usize) -> f64 {
        as_f64(u64::try_from(n).unwrap())
    }

    fn found(world: World, seed: u64) -> (Corrected, Vec<[bool; WEEKS]>) {
        let (panel, uses) = world.draw(seed);
        let settings = Settings { survival: true, ..worlds::settings() };
        (worlds::assess(&panel, &settings), uses)
    }

    /// Share of the members that used the product in week `week` or later.
    fn truth(found: &Corrected, uses: &[[bool; WEEKS]], week: usize) -> f64 {
        let used = |i: usize| uses[i][week..].contains(&true);
        let names = found.still_using.iter().map(|s| s.organisation.as_str());
        let numbers =
            names.map(|name| name.strip_prefix('o').unwrap().parse().unwrap());
        number(numbers.filter(|i| used(*i)).count()) / number(found.still_using.len())
    }

    #[test]
    fn a_curve_holds_the_truth_week_by_week_and_ends_at_removal() {
        let (mut asked, mut covered, mut bias) = (0, 0, 0.0);
        for seed in 0..12 {
            let (found, uses) = found(worlds::F, 1000 + seed);
            let [curve] = found.survival.as_slice() else {
                panic!("{:?}", found.survival)
            };
            let removal = found.strata[0].removal.unwrap();
            let last = curve.weeks.last().unwrap();
            assert_eq!(last.first, windows().after().first());
            assert!((last.in_use.value - (1.0 - removal.value)).abs() < 1e-12);
            assert!((last.in_use.low - (1.0 - removal.high)).abs() < 1e-12);
            assert!((last.in_use.high - (1.0 - removal.low)).abs() < 1e-12);
            let falls = |pair: &[SurvivalWeek]| {
                pair[0].in_use.value >= pair[1].in_use.value - 1e-9
                    && pair[0].seen >= pair[1].seen
            };
            assert!(curve.weeks.windows(2).all(falls), "{curve:?}");
            for (at, week) in curve.weeks.iter().enumerate() {
                let truth = truth(&found, &uses, 4 + at);
                asked += 1;
                covered +=
                    usize::from((week.in_use.low..=week.in_use.high).contains(&truth));
                bias += week.in_use.value - truth;
                assert!(as_f64(week.seen) / as_f64(curve.n_baseline) <= truth + 1e-9);
            }
        }
        println!("{covered} of {asked} weeks, bias {:.4}", bias / number(asked));
        assert_eq!(asked, 12 * (WEEKS - 4 - 4 + 1));
        assert!(covered * 10 >= asked * 9, "{covered} of {asked}");
        assert!((bias / number(asked)).abs() < 0.01, "{bias}");
    }

    #[test]
    fn what_is_only_no_longer_seen_goes_on() {
        let (found, _) = found(worlds::B, 5);
        let last = found.survival[0].weeks.last().unwrap();
        let seen = as_f64(last.seen) / as_f64(found.survival[0].n_baseline);
        println!("{last:?}, seen {seen}");
        assert!(last.in_use.value > seen + 0.05);
    }

    #[test]
    fn strata_that_share_a_hazard_and_refused_ones_have_no_curve() {
        let (mut panel, _) = World { organisations: 400, ..worlds::A }.draw(7);
        for (i, history) in panel.histories.iter_mut().enumerate() {
            let name = ["FR", "IT", "US"][if i < 80 { i / 40 } else { 2 }];
            history.country = Some(name.parse().unwrap());
        }
        let by = [Stratify::All, Stratify::Country];
        let asked = |panel: &Panel| {
            let settings = Settings {
                survival: true,
                hazards: Stratify::Country,
                ..worlds::settings()
            };
            let (windows, dates) = (windows(), worlds::dates());
            removal_corrected(panel, windows, dates, &by, &settings).unwrap()
        };
        let names = |found: &Corrected| -> Vec<String> {
            let name = |c: &SurvivalCurve| {
                c.stratum.first().map_or("all", |(_, v)| v).to_owned()
            };
            found.survival.iter().map(name).collect()
        };
        assert_eq!(names(&asked(&panel)), ["all", "US"]);
        for history in &mut panel.histories {
            history.weeks.iter_mut().for_each(|week| week.control = 0);
        }
        assert!(asked(&panel).survival.is_empty());
    }
}
