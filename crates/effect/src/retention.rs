//! The baseline cohort, followed: what share of it is active in later windows.
//!
//! **Invariant:** every window has the length of the baseline window. A "month" is the
//! window of that length that begins on the first of the month.

use tidegauge_model::DayRange;
use tidegauge_model::estimate::{Estimate, Identification, Quantity};
use tidegauge_model::panel::{History, Panel};

use crate::Active;
use crate::activity::organisations;
use crate::interval::{as_f64, wilson};
use crate::window::window_from;

/// Share of those active in `baseline` that are active in the window beginning with each
/// later month of the panel, oldest first; months whose window leaves the panel are left
/// out. `keep` chooses the organisations; `stratum` names them.
pub fn retention(
    panel: &Panel,
    baseline: DayRange,
    active: Active,
    stratum: &[(String, String)],
    keep: impl Fn(&History) -> bool,
) -> Vec<Estimate> {
    let cohort: Vec<History> = organisations(panel)
        .into_iter()
        .filter(|h| keep(h) && active.holds(h, panel.days, baseline))
        .collect();
    let n = u64::try_from(cohort.len()).expect("a cohort fits in memory");
    let after_baseline = panel.days.months().filter(|m| m.first() > baseline.last());
    after_baseline
        .map(|month| window_from(month.first(), baseline.length_days()))
        .filter(|window| window.last() <= panel.days.last() && n > 0)
        .map(|window| {
            let still = cohort.iter().filter(|h| active.holds(h, panel.days, window));
            let k = u64::try_from(still.count()).expect("no more than the cohort");
            Estimate {
                quantity: Quantity::Retention,
                stratum: stratum.to_vec(),
                before: baseline,
                after: window,
                value: as_f64(k) / as_f64(n),
                n,
                k,
                intervals: wilson(k, n).into_iter().collect(),
                method: active.statement(),
                identified: Identification::visibility_not_separated(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::removal::tests::panel;

    #[test]
    fn the_cohort_is_followed_in_windows_of_its_own_length() {
        let panel = panel(&[(2, 2), (2, 0), (0, 2)], 1);
        let april = DayRange::month("2024-04".parse().unwrap());
        let followed = retention(&panel, april, Active { days_min: 2 }, &[], |_| true);
        assert_eq!(followed.len(), 7, "May to November");
        let last = followed.last().unwrap();
        assert_eq!((last.n, last.k), (2, 1));
        assert!(followed.iter().all(|e| e.after.length_days() == 30));
    }
}
