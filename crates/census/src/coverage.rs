//! Coverage for people: what each vantage read in each month.
//!
//! **Invariant:** a day without data is listed as a gap, never left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::{
    Coverage, CoverageSummary, Day, DayRange, Exported, Footprint, Month, VantageId,
};

/// Hours in a UTC day.
const HOURS_PER_DAY: u32 = 24;

/// Sums up `coverage` by vantage and calendar month of `days`, sorted. A vantage that has
/// any coverage in `days` gets a row for every month of them, so that a month in which it
/// was silent shows.
pub fn summarise(coverage: &[Coverage], days: DayRange) -> Vec<CoverageSummary> {
    let mut by_month: BTreeMap<(&VantageId, Month), Vec<&Coverage>> = BTreeMap::new();
    for day in coverage.iter().filter(|c| days.contains(c.day)) {
        by_month.entry((&day.vantage, day.day.month())).or_default().push(day);
    }
    let vantages: BTreeSet<_> = by_month.keys().map(|(vantage, _)| *vantage).collect();
    let months: Vec<_> = days.months().collect();
    vantages
        .into_iter()
        .flat_map(|vantage| months.iter().map(move |month| (vantage, *month)))
        .map(|key| {
            let of_month = by_month.get(&key).map_or(&[][..], Vec::as_slice);
            summary(key.0, key.1, days, of_month)
        })
        .collect()
}

fn summary(
    vantage: &VantageId,
    month: Month,
    days: DayRange,
    coverage: &[&Coverage],
) -> CoverageSummary {
    let with_data: Vec<_> = coverage.iter().filter(|c| c.flows > 0).collect();
    let read: BTreeSet<Day> = with_data.iter().map(|c| c.day).collect();
    let asked: Vec<_> =
        DayRange::month(month).days().filter(|day| days.contains(*day)).collect();
    let mut footprint = Footprint::default();
    let mut losses: BTreeMap<String, u64> = BTreeMap::new();
    let mut exporters: BTreeMap<String, Exported> = BTreeMap::new();
    for day in coverage {
        footprint.merge(&day.footprint);
        for (reason, count) in &day.losses {
            *losses.entry(reason.to_string()).or_default() += count;
        }
        for (exporter, sent) in &day.exporters {
            let of_month = exporters.entry(exporter.to_string());
            of_month.or_insert_with(Exported::empty).merge(sent);
        }
    }
    let number = |n: usize| u32::try_from(n).expect("a month has 31 days or fewer");
    CoverageSummary {
        vantage: vantage.clone(),
        month,
        days: number(asked.len()),
        days_with_data: number(read.len()),
        flows: coverage.iter().map(|c| c.flows).sum(),
        contacts: coverage.iter().map(|c| c.contacts).sum(),
        losses,
        sampling_min: with_data.iter().map(|c| c.sampling_min).min(),
        sampling_max: with_data.iter().map(|c| c.sampling_max).max(),
        footprint_v4: footprint.v4.len(),
        footprint_v6: footprint.v6.len(),
        gaps: asked.into_iter().filter(|day| !read.contains(day)).collect(),
        hours_without_flows: with_data
            .iter()
            .map(|c| HOURS_PER_DAY.saturating_sub(c.hours.count_ones()))
            .sum(),
        exporters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegauge_model::Reason;

    #[test]
    fn silent_days_and_months_show() {
        let days =
            DayRange::new("2024-04-29".parse().unwrap(), "2024-06-02".parse().unwrap())
                .unwrap();
        let mut day = Coverage::empty("v".into(), "2024-04-30".parse().unwrap());
        day.flows = 7;
        day.contacts = 2;
        day.hours = 0b11;
        (day.sampling_min, day.sampling_max) = (1, 100);
        day.losses.insert(Reason::Truncated, 3);
        day.footprint.insert("192.0.2.1".parse().unwrap());
        day.footprint.insert("2001:db8::1".parse().unwrap());
        let mut lost = Coverage::empty("v".into(), "2024-06-01".parse().unwrap());
        lost.losses.insert(Reason::Truncated, 1);

        let summaries = summarise(&[day, lost], days);
        let of: Vec<_> = summaries
            .iter()
            .map(|s| (s.month.to_string(), s.days, s.days_with_data, s.gaps.len()))
            .collect();
        assert_eq!(
            of,
            [
                ("2024-04".into(), 2, 1, 1),
                ("2024-05".into(), 31, 0, 31),
                ("2024-06".into(), 2, 0, 2)
            ]
        );
        let april = summaries.first().unwrap();
        assert_eq!(april.losses.get("truncated"), Some(&3));
        assert_eq!((april.sampling_min, april.sampling_max), (Some(1), Some(100)));
        assert_eq!((april.footprint_v4, april.footprint_v6), (1, 1));
        assert_eq!(april.hours_without_flows, 22);
        assert_eq!(summaries.last().unwrap().sampling_min, None);
    }
}
