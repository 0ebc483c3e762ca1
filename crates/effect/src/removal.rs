//! Cohort removal and net change, side by side.
//!
//! With B the organisations active before and F those active after:
//! cohort removal `R_c = 1 - |B ∩ F| / |B|`, net change `R_n = 1 - |F| / |B|`, and with E
//! the entrants (active after, not before) the identity `R_n = R_c - |E| / |B|`, so that
//! `R_n <= R_c` always. Removal is a proportion and gets Wilson's interval beside the
//! cluster bootstrap; net change is not (it may be negative) and gets the bootstrap only.

use std::collections::BTreeMap;

use tidegauge_model::estimate::{Estimate, Identification, Interval, Quantity};
use tidegauge_model::panel::{History, Panel};
use tidegauge_model::{Country, DayRange, OrgId};

use crate::activity::organisations;
use crate::bootstrap::{Families, Tally};
use crate::interval::{as_f64, wilson};
use crate::{Active, Bootstrap, Stratify, Windows};

/// A list of pairs of dimension and value, sorted, that names a stratum.
type Stratum = Vec<(String, String)>;

/// Removal and net change of `panel` between the windows, for each stratum with anybody
/// active before: first removal, then net change, strata in order of name.
pub fn removal(
    panel: &Panel,
    windows: Windows,
    active: Active,
    stratify: Stratify,
    bootstrap: Bootstrap,
) -> Vec<Estimate> {
    let strata = tally_strata(panel, windows, active, stratify);
    let mut estimates = Vec::with_capacity(2 * strata.len());
    for (stream, (stratum, families)) in (0..).zip(strata) {
        let mut total = Tally::default();
        families.values().flatten().for_each(|family| total.add(*family));
        if total.before == 0 {
            continue;
        }
        let interval = |statistic: fn(Tally) -> Option<f64>| {
            bootstrap.interval(&families, stream, statistic)
        };
        let make = |quantity, value, k, intervals: Vec<Interval>| Estimate {
            quantity,
            stratum: stratum.clone(),
            before: windows.before(),
            after: windows.after(),
            value,
            n: total.before,
            k,
            intervals,
            method: format!(
                "{}; windows of {} days; families resampled within countries, seed {}",
                active.statement(),
                windows.length_days(),
                bootstrap.seed
            ),
            identified: Identification::visibility_not_separated(),
        };
        let removed = total.before - total.both;
        let removal_intervals =
            wilson(removed, total.before).into_iter().chain(interval(cohort_removal));
        let (removal, net) = (cohort_removal(total), net_change(total));
        if let Some(value) = removal {
            let intervals = removal_intervals.collect();
            estimates.push(make(Quantity::CohortRemoval, value, total.both, intervals));
        }
        if let Some(value) = net {
            let intervals = interval(net_change).into_iter().collect();
            estimates.push(make(Quantity::NetChange, value, total.after, intervals));
        }
    }
    estimates
}

pub(crate) fn cohort_removal(tally: Tally) -> Option<f64> {
    (tally.before > 0).then(|| 1.0 - as_f64(tally.both) / as_f64(tally.before))
}

fn net_change(tally: Tally) -> Option<f64> {
    (tally.before > 0).then(|| 1.0 - as_f64(tally.after) / as_f64(tally.before))
}

fn tally_strata(
    panel: &Panel,
    windows: Windows,
    active: Active,
    stratify: Stratify,
) -> BTreeMap<Stratum, Families> {
    type ByFamily = BTreeMap<(Option<Country>, OrgId), Tally>;
    let mut strata: BTreeMap<Stratum, ByFamily> = BTreeMap::new();
    for history in organisations(panel) {
        let tally = tally(&history, panel.days, windows, active);
        if tally == Tally::default() {
            continue;
        }
        let families = strata.entry(stratify.of(&history)).or_default();
        families.entry((history.country, history.family)).or_default().add(tally);
    }
    let by_country = |families: ByFamily| {
        let mut sorted = Families::new();
        for ((country, _), tally) in families {
            sorted.entry(country).or_default().push(tally);
        }
        sorted
    };
    strata
        .into_iter()
        .map(|(stratum, families)| (stratum, by_country(families)))
        .collect()
}

/// Whether an organisation of a panel over `days` counts before, after, and in both.
pub(crate) fn tally(
    history: &History,
    days: DayRange,
    windows: Windows,
    active: Active,
) -> Tally {
    let before = active.holds(history, days, windows.before());
    let after = active.holds(history, days, windows.after());
    Tally {
        before: u64::from(before),
        both: u64::from(before && after),
        after: u64::from(after),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use tidegauge_model::panel::WeekCell;

    use super::*;

    /// A panel over April and November 2024 with one history per pair of
    /// (days seen in April, days seen in November), families of `family_size`.
    pub(crate) fn panel(of: &[(u8, u8)], family_size: usize) -> Panel {
        let days =
            DayRange::new("2024-04-01".parse().unwrap(), "2024-11-30".parse().unwrap())
                .unwrap();
        let weeks = days.weeks().count();
        let first = |count: u8| (0..count).fold(0u8, |mask, bit| mask | 1 << bit);
        let histories = of.iter().enumerate().map(|(i, (april, november))| {
            let mut cells = vec![WeekCell::default(); weeks];
            cells[1].seen = first(*april);
            cells[weeks - 2].seen = first(*november);
            History {
                organisation: OrgId::new(format!("o{i:05}")),
                family: OrgId::new(format!("f{:05}", i / family_size)),
                country: Some(if i % 2 == 0 { "US" } else { "DE" }.parse().unwrap()),
                sector: None,
                vantage: "v".into(),
                weeks: cells,
            }
        });
        Panel { product: "p".into(), days, histories: histories.collect() }
    }

    fn windows() -> Windows {
        let month = |m: &str| DayRange::month(m.parse().unwrap());
        Windows::new(month("2024-04"), month("2024-11")).unwrap()
    }

    fn assess(panel: &Panel, stratify: Stratify) -> Vec<Estimate> {
        let bootstrap = Bootstrap { replicates: 199, seed: 7 };
        removal(panel, windows(), Active { days_min: 2 }, stratify, bootstrap)
    }

    #[test]
    fn entrants_separate_net_change_from_removal() {
        // Ten active before, four of them after; two entrants.
        let mut of = vec![(2, 2); 4];
        of.extend([(2, 1); 6]);
        of.extend([(0, 3); 2]);
        let estimates = assess(&panel(&of, 1), Stratify::All);
        let [removal, net] = estimates.as_slice() else {
            unreachable!("{estimates:?}")
        };
        assert_eq!((removal.n, removal.k), (10, 4));
        assert!((removal.value - 0.6).abs() < 1e-12);
        assert_eq!((net.n, net.k), (10, 6));
        assert!((net.value - 0.4).abs() < 1e-12);
        assert_eq!(removal.intervals.len(), 2, "Wilson and bootstrap");
        assert_eq!(net.intervals.len(), 1, "net change is no proportion");
        assert_eq!(removal.identified, Identification::visibility_not_separated());
    }

    #[test]
    fn one_day_is_not_active_and_vantages_unite() {
        let mut panel = panel(&[(1, 0), (1, 0)], 1);
        assert!(assess(&panel, Stratify::All).is_empty());
        // The same organisation, seen on another day from another vantage.
        let mut other = panel.histories[0].clone();
        other.vantage = "w".into();
        other.weeks[1].seen = 0b100;
        panel.histories.push(other);
        assert_eq!(assess(&panel, Stratify::All)[0].n, 1);
    }

    #[test]
    fn strata_are_counted_apart() {
        let estimates =
            assess(&panel(&[(2, 2), (2, 0), (2, 2), (2, 0)], 1), Stratify::Country);
        let value = |country: &str| {
            let wanted = |e: &&Estimate| {
                e.quantity == Quantity::CohortRemoval && e.stratum[0].1 == country
            };
            estimates.iter().find(wanted).unwrap().value
        };
        assert!((value("US") - 0.0).abs() < 1e-12 && (value("DE") - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn net_change_is_removal_less_entrants(
            of in prop::collection::vec((0u8..4, 0u8..4), 1..60)
        ) {
            let estimates = assess(&panel(&of, 3), Stratify::All);
            let active = |d: u8| d >= 2;
            let count = |keep: &dyn Fn(&&(u8, u8)) -> bool| {
                as_f64(u64::try_from(of.iter().filter(keep).count()).unwrap())
            };
            let before = count(&|(b, _)| active(*b));
            let entrants = count(&|(b, f)| !active(*b) && active(*f));
            if before == 0.0 {
                prop_assert!(estimates.is_empty());
            } else {
                let (removal, net) = (estimates[0].value, estimates[1].value);
                prop_assert!((net - (removal - entrants / before)).abs() < 1e-12);
                prop_assert!(net <= removal + 1e-12);
                for interval in &estimates[0].intervals {
                    prop_assert!(interval.low <= interval.high);
                }
            }
        }
    }
}
