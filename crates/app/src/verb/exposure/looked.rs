//! How far each week was looked at for a row of the portfolio.
//!
//! **Invariant:** a day counts for a row if a network it lists was in a footprint, or if a
//! vantage of a site it lists read anything. A row that is known by organisation or AS
//! alone cannot be compared with networks, so its silence shows nothing.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_exposure::{Looked, Subject};
use tidegauge_model::{
    Coverage, Day, DayRange, Footprint, ProductId, SiteId, VantageId, Week,
};

use super::chance::Chances;
use crate::opened::Opened;

/// What every vantage saw on every day.
#[derive(Default)]
pub(super) struct Sights {
    by_day: BTreeMap<Day, Vec<Coverage>>,
    /// Everything that was seen on any day.
    all: Footprint,
    site_of: BTreeMap<VantageId, SiteId>,
}

impl Sights {
    pub(super) async fn new(opened: &Opened, days: DayRange) -> anyhow::Result<Self> {
        let mut by_day: BTreeMap<Day, Vec<Coverage>> = BTreeMap::new();
        let mut all = Footprint::default();
        for coverage in opened.lake.coverage(days).await? {
            all.merge(&coverage.footprint);
            by_day.entry(coverage.day).or_default().push(coverage);
        }
        let vantages = opened.lake.vantages().await?;
        let site_of = vantages.into_iter().map(|v| (v.id, v.site)).collect();
        Ok(Self { by_day, all, site_of })
    }

    /// The days of a week on which a row was looked at, who looked, and how likely a user of
    /// the product would have been seen.
    pub(super) fn looked(
        &self,
        subject: &Subject,
        product: &ProductId,
        week: Week,
        chances: &Chances,
    ) -> Looked {
        let mut days: BTreeSet<Day> = BTreeSet::new();
        let mut by: BTreeMap<VantageId, u8> = BTreeMap::new();
        let monday = week.monday();
        for (day, coverages) in self.by_day.range(monday..=monday.plus(6)) {
            let seeing = coverages.iter().filter(|c| self.sees(c, subject));
            // A vantage may have several rows a day, one for each batch.
            let seeing: BTreeSet<&VantageId> = seeing.map(|c| &c.vantage).collect();
            for vantage in seeing {
                days.insert(*day);
                *by.entry(vantage.clone()).or_default() += 1;
            }
        }
        let days = u8::try_from(days.len()).unwrap_or(7);
        Looked {
            days,
            detection: chances.of(product, week, (days, &by)),
            vantages: by.into_keys().collect(),
        }
    }

    /// Whether a row was in sight on any day.
    pub(super) fn any(&self, subject: &Subject) -> bool {
        subject.prefixes.iter().any(|prefix| self.all.touches(*prefix))
            || self.by_day.values().flatten().any(|c| self.at_site(c, subject))
    }

    fn sees(&self, coverage: &Coverage, subject: &Subject) -> bool {
        subject.prefixes.iter().any(|prefix| coverage.footprint.touches(*prefix))
            || self.at_site(coverage, subject)
    }

    fn at_site(&self, coverage: &Coverage, subject: &Subject) -> bool {
        let site = self.site_of.get(&coverage.vantage);
        coverage.flows > 0 && site.is_some_and(|site| subject.sites.contains(site))
    }
}
