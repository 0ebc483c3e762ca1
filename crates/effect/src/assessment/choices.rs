//! Cohort removal under other choices, and without single countries and vantages.
//!
//! **Invariant:** every set of choices counts ([`crate::specification`]); what a panel no
//! longer holds, and so cannot be chosen anew, is named. Sets are bounded: three numbers of
//! days by two lengths of window by all vantages and at most [`VANTAGES`] alone by families
//! taken apart or as one.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::panel::{History, Panel};
use tidegauge_model::{Country, DayRange, VantageId};

use super::{ALL, GROUP_MIN, Grounds, REST, Reading, Refused, Sight};
use crate::activity::{organisations, unite};
use crate::bootstrap::Tally;
use crate::regression::count;
use crate::removal::{cohort_removal, tally};
use crate::specification::{Range, Specification, specification_curve};
use crate::window::window_from;
use crate::{Active, Windows};

pub(super) const CURVE: &str = "cohort removal over choices";
pub(super) const DIFFERENCE: &str = "addressee less rest";
pub(super) const SAME_SIGN: &str =
    "choices under which the addressee's removal is greater";
pub(super) const WITHOUT_COUNTRY: &str = "cohort removal, one country left out";
pub(super) const WITHOUT_VANTAGE: &str = "cohort removal, one vantage left out";

pub(super) const NOT_CHOSEN: &str = "choice of weight, role and kind of network";

/// Vantages that are taken alone: those with the most histories.
pub(super) const VANTAGES: usize = 5;

/// An organisation as a unit of its own.
const ORGANISATION: &str = "organisation";

/// Days of activity that are tried.
const DAYS: [u32; 3] = [1, 2, 3];

/// Who was active before, after and in both, by country.
type Counts = BTreeMap<String, Tally>;

/// Ranges over choices, and over what is left out.
pub(super) fn readings(grounds: &Grounds<'_>, sets: &[Specification]) -> Vec<Reading> {
    let asked = grounds.asked;
    let mut out = curve(grounds, sets);
    let whole =
        counts(&grounds.organisations, asked.panel.days, asked.windows, asked.active);
    out.extend(without_country(grounds, &whole));
    out.extend(without_vantage(grounds, &whole));
    let kept = Reading::of(NOT_CHOSEN, ALL, "share");
    out.push(kept.refuse(Refused::by(
        "not-in-panel",
        "a panel holds days seen by the evidence asked for; other weights, roles and kinds \
         of networks need another panel",
    )));
    out
}

fn counts(
    organisations: &[History],
    days: DayRange,
    windows: Windows,
    active: Active,
) -> Counts {
    let mut found = Counts::new();
    for of in organisations {
        let country = of.country.map_or("unknown".to_owned(), |c| c.to_string());
        found.entry(country).or_default().add(tally(of, days, windows, active));
    }
    found
}

/// Removal of the whole, and where it may be told of addressee, rest and their difference;
/// `None` for a group that is too small.
fn figures(grounds: &Grounds<'_>, counts: &Counts) -> BTreeMap<String, Option<f64>> {
    let addressed = grounds.addressed().to_string();
    let removal = |wanted: &dyn Fn(&str) -> bool| {
        let mut sum = Tally::default();
        counts.iter().filter(|(c, _)| wanted(c)).for_each(|(_, of)| sum.add(*of));
        let large = |of: u64| usize::try_from(of).unwrap_or(usize::MAX);
        let parts = [sum.both, sum.before - sum.both];
        let told = parts.into_iter().all(|part| grounds.may_tell(large(part)));
        cohort_removal(sum).filter(|_| told && large(sum.before) >= GROUP_MIN)
    };
    let mut found = BTreeMap::from([(ALL.to_owned(), removal(&|_| true))]);
    if grounds.apart().is_ok() {
        let own = removal(&|c| c == addressed);
        let rest = removal(&|c| c != addressed);
        found
            .insert(DIFFERENCE.to_owned(), own.zip(rest).map(|(own, rest)| own - rest));
        found.insert(addressed, own);
        found.insert(REST.to_owned(), rest);
    }
    found
}

fn caveat(grounds: &Grounds<'_>) -> &'static str {
    match grounds.asked.sight {
        Sight::Steady => "a member not seen after is not using the product",
        Sight::Unknown(_) | Sight::Changed(_) => "visibility not separated from usage",
    }
}

fn curve(grounds: &Grounds<'_>, sets: &[Specification]) -> Vec<Reading> {
    let estimated = |of: &Specification| of.figures.values().any(Option::is_some);
    let some = sets.iter().any(estimated);
    let curve = match specification_curve(sets) {
        Ok(curve) if some => curve,
        Ok(_) => {
            let words =
                format!("under no choice were {GROUP_MIN} organisations active before");
            let refused = Refused::by("organisations-min", words);
            return vec![Reading::of(CURVE, ALL, "share").refuse(refused)];
        }
        Err(error) => {
            return vec![Reading::of(CURVE, ALL, "share").refuse(Refused::of(error))];
        }
    };
    let strongest = curve.influence.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let strongest = strongest.map_or(String::new(), |(name, spread)| {
        format!("; {name} matters most, {:.1} points", 100.0 * spread)
    });
    let mut out: Vec<Reading> = curve
        .ranges
        .iter()
        .map(|(whom, Range { least, median, greatest, estimated, sets })| {
            Reading::of(CURVE, whom, "share")
                .on(*estimated, "sets of choices")
                .is(*median, *least, *greatest)
                .by(
                    format!("median, least and greatest of {sets} sets{strongest}"),
                    caveat(grounds),
                )
        })
        .collect();
    if let Err(refused) = grounds.apart() {
        let of = |what| Reading::of(what, grounds.addressed(), "share");
        out.push(of(SAME_SIGN).refuse(refused));
        return out;
    }
    let known: Vec<f64> = sets
        .iter()
        .filter_map(|s| s.figures.get(DIFFERENCE).copied().flatten())
        .collect();
    let reading = Reading::of(SAME_SIGN, grounds.addressed(), "share")
        .on(known.len(), "sets of choices")
        .by("specification curve", grounds.sight_alike());
    out.push(if known.is_empty() {
        let words = format!("{GROUP_MIN} organisations on both sides under no choice");
        reading.refuse(Refused::by("organisations-min", words))
    } else {
        let greater = known.iter().filter(|d| **d > 0.0).count();
        Reading { value: Some(count(greater) / count(known.len())), ..reading }
    });
    out
}

/// The sets as they may be told: figures rounded to a hundredth where groups are protected, so
/// that no numbers of organisations can be made out of several shares.
pub(super) fn told(
    grounds: &Grounds<'_>,
    mut sets: Vec<Specification>,
) -> Vec<Specification> {
    if !grounds.tells_cells() {
        for figure in sets.iter_mut().flat_map(|set| set.figures.values_mut()) {
            *figure = figure.map(|share| (100.0 * share).round() / 100.0);
        }
    }
    sets
}

/// Cohort removal under every set of choices.
pub(super) fn sets(grounds: &Grounds<'_>) -> Vec<Specification> {
    let asked = grounds.asked;
    let days = asked.panel.days;
    let mut views = vec![(ALL.to_owned(), grounds.organisations.clone())];
    let vantages = vantages(asked.panel);
    if vantages.len() > 1 {
        let alone = vantages.iter().take(VANTAGES);
        views.extend(
            alone.map(|v| (v.to_string(), seen(asked.panel, |h| h.vantage == *v))),
        );
    }
    let mut sets = Vec::new();
    let own = (ALL, ORGANISATION, asked.windows, asked.active.days_min);
    for (vantage, organisations) in views {
        let together = as_families(&organisations);
        for (unit, of) in [(ORGANISATION, &organisations), ("family", &together)] {
            for windows in lengths(asked.windows) {
                for days_min in DAYS {
                    let found = counts(of, days, windows, Active { days_min });
                    let choice = |name: &str, value: String| (name.to_owned(), value);
                    sets.push(Specification {
                        asked: (vantage.as_str(), unit, windows, days_min) == own,
                        choices: vec![
                            choice("vantage", vantage.clone()),
                            choice("unit", unit.to_owned()),
                            choice(
                                "length of window",
                                windows.length_days().to_string(),
                            ),
                            choice("days of activity", days_min.to_string()),
                        ],
                        figures: figures(grounds, &found),
                    });
                }
            }
        }
    }
    sets
}

/// The windows, and their first halves.
fn lengths(windows: Windows) -> Vec<Windows> {
    let half = (windows.length_days() / 2).max(1);
    let cut = |of: DayRange| window_from(of.first(), half);
    let short = Windows::new(cut(windows.before()), cut(windows.after())).ok();
    [Some(windows), short.filter(|s| *s != windows)].into_iter().flatten().collect()
}

/// Vantages, those with the most histories first.
fn vantages(panel: &Panel) -> Vec<VantageId> {
    let mut sizes: BTreeMap<&VantageId, usize> = BTreeMap::new();
    for history in &panel.histories {
        *sizes.entry(&history.vantage).or_default() += 1;
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sizes.into_iter().map(|(vantage, _)| vantage.clone()).collect()
}

/// Organisations as they were seen by some of the histories.
fn seen(panel: &Panel, keep: impl Fn(&History) -> bool) -> Vec<History> {
    let histories = panel.histories.iter().filter(|h| keep(h)).cloned().collect();
    organisations(&Panel {
        histories,
        product: panel.product.clone(),
        days: panel.days,
    })
}

/// Each family of a country as one unit: days of its members united.
fn as_families(organisations: &[History]) -> Vec<History> {
    let mut united: BTreeMap<_, History> = BTreeMap::new();
    for history in organisations {
        united
            .entry((history.country, &history.family))
            .and_modify(|known| unite(&mut known.weeks, &history.weeks))
            .or_insert_with(|| history.clone());
    }
    united.into_values().collect()
}

/// Least and greatest figure when a part is left out: of the whole, and of the difference.
fn range(
    grounds: &Grounds<'_>,
    what: &str,
    (counted, whole): (&'static str, &Counts),
    rest: &[Counts],
    why_few: &str,
) -> Vec<Reading> {
    let whole = figures(grounds, whole);
    let named = [ALL, DIFFERENCE].into_iter().filter(|name| whole.contains_key(*name));
    let of = |name: &str| {
        let reading = Reading::of(what, name, "share").on(rest.len(), counted).by(
            "value: nothing left out; ends: least and greatest with one left out",
            caveat(grounds),
        );
        let found: Vec<f64> = rest
            .iter()
            .filter_map(|counts| figures(grounds, counts).get(name).copied().flatten())
            .collect();
        let Some(value) = whole.get(name).copied().flatten() else {
            let words =
                format!("fewer than {GROUP_MIN} organisations were active before");
            return reading.refuse(Refused::by("organisations-min", words));
        };
        if rest.len() < 2 || found.is_empty() {
            return reading.refuse(Refused::by("parts-needed", why_few));
        }
        let low = found.iter().copied().fold(value, f64::min);
        let high = found.iter().copied().fold(value, f64::max);
        reading.is(value, low, high)
    };
    named.map(of).collect()
}

fn without_country(grounds: &Grounds<'_>, whole: &Counts) -> Vec<Reading> {
    let told: BTreeSet<String> =
        grounds.asked.told.iter().map(Country::to_string).collect();
    let addressed = grounds.addressed().to_string();
    let out = whole.keys().filter(|c| told.contains(*c) && **c != addressed);
    let rest: Vec<Counts> = out
        .map(|left_out| {
            let mut rest = whole.clone();
            rest.remove(left_out);
            rest
        })
        .collect();
    let why = "fewer than two countries beside the addressee's may be told apart";
    range(grounds, WITHOUT_COUNTRY, ("countries", whole), &rest, why)
}

fn without_vantage(grounds: &Grounds<'_>, whole: &Counts) -> Vec<Reading> {
    let asked = grounds.asked;
    let vantages = vantages(asked.panel);
    let several = vantages.len() > 1;
    let out = vantages.iter().take(VANTAGES).filter(|_| several);
    let rest: Vec<Counts> = out
        .map(|v| {
            let rest = seen(asked.panel, |h| h.vantage != *v);
            counts(&rest, asked.panel.days, asked.windows, asked.active)
        })
        .collect();
    range(
        grounds,
        WITHOUT_VANTAGE,
        ("vantages", whole),
        &rest,
        "there is one vantage alone",
    )
}
