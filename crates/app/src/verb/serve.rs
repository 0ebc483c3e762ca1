//! `tidegauge serve`: the same figures, live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use tidegauge_effect::{Active, Bootstrap, Stratify, Windows, removal::removal};
use tidegauge_model::count::{Census, Dimension, Query, Release};
use tidegauge_model::estimate::{Estimate, ReleasedEstimate};
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{Country, Coverage, DayRange, Month, ProductId, SectorId};
use tidegauge_publish::report::Expansion;
use tidegauge_publish::serve::{
    Answer, Comparison, Counts, CountsError, Scope, Settings as PageSettings, router,
};
use tidegauge_store::Table;
use tokio::sync::{Mutex, MutexGuard};

use crate::opened::{Audience, Opened};
use crate::settings::Settings;
use crate::verb::{assess, report};
use crate::{Outcome, args, knowledge};

/// Serves until it is interrupted.
pub(crate) async fn run(
    verb: &args::Serve,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, verb.evidence.known).await?;
    let simulated = report::simulated(&opened).await?;
    let rules = knowledge::rules(settings)?;
    let live = Live {
        evidence: verb.evidence.clone(),
        remembered: Mutex::default(),
        audience: Mutex::new(Audience::new(verb.evidence.internal)),
        timeline: knowledge::timeline(settings)?,
        expansion: simulated.as_ref().map(|s| s.expansion.clone()),
        sector_names: rules
            .sectors
            .iter()
            .map(|s| (s.id.clone(), s.label.clone()))
            .collect(),
        opened,
    };
    let pages = PageSettings {
        program: format!("tidegauge {}", env!("CARGO_PKG_VERSION")),
        synthetic: simulated.map(|s| s.synthetic),
    };
    let listener =
        tokio::net::TcpListener::bind(verb.listen).await.with_context(|| {
            format!("listening on {} (hint: --listen ADDRESS:PORT)", verb.listen)
        })?;
    tracing::info!("serving on http://{}/", listener.local_addr()?);
    let app = router(Arc::new(live), pages);
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;
    Ok(Outcome::Done)
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!("cannot wait for an interrupt: {error}");
    }
}

/// Answers pages from the lake, and remembers answers until the lake changes.
///
/// **Invariant:** what is remembered is of one version of the sightings.
struct Live {
    opened: Opened,
    remembered: Mutex<Remembered>,
    evidence: args::Evidence,
    audience: Mutex<Audience>,
    timeline: Timeline,
    expansion: Option<Expansion>,
    sector_names: Vec<(SectorId, String)>,
}

impl Live {
    async fn panel(
        &self,
        product: &ProductId,
        days: DayRange,
    ) -> Result<Panel, CountsError> {
        let query = self.opened.query(&self.evidence, days).map_err(failed)?;
        self.opened.counter.panel(product, &query).await.map_err(failed)
    }

    async fn estimated(
        &self,
        asked: &Comparison,
    ) -> Result<Vec<ReleasedEstimate>, CountsError> {
        let [product] = asked.products.as_slice() else {
            return Err(CountsError::Refused {
                asked: "a comparison of several products at once".to_owned(),
                hint: "name one product".to_owned(),
            });
        };
        let windows = Windows::new(asked.before(), asked.after()).map_err(failed)?;
        let days = DayRange::new(windows.before().first(), windows.after().last());
        let days = days.ok_or_else(|| CountsError::Refused {
            asked: "a window that ends before it begins".to_owned(),
            hint: "swap the windows".to_owned(),
        })?;
        let mut panel = Panel::clone(&*self.panel(product, days).await?);
        panel.histories.retain(|history| {
            let in_country = asked.countries.is_empty()
                || history.country.is_some_and(|c| asked.countries.contains(&c));
            let in_sector = asked.sectors.is_empty()
                || history.sector.as_ref().is_some_and(|s| asked.sectors.contains(s));
            in_country && in_sector
        });
        let mut split = vec![Stratify::All];
        match asked.by {
            Some(Dimension::Country) => split.push(Stratify::Country),
            Some(Dimension::Sector) => split.push(Stratify::Sector),
            _ => {}
        }
        let active = Active { days_min: self.evidence.active_days };
        let of =
            |stratify| removal(&panel, windows, active, stratify, Bootstrap::default());
        let estimates: Vec<Estimate> = split.into_iter().flat_map(of).collect();
        let audience = self.audience.lock().await;
        Ok(estimates.into_iter().map(|e| audience.estimate(e)).collect())
    }

    async fn scoped(&self) -> Result<Scope, CountsError> {
        let Some(days) = self.opened.covered else {
            return Ok(Scope {
                products: vec![],
                countries: vec![],
                sectors: vec![],
                days: None,
                compared: None,
            });
        };
        let query = Query {
            by: vec![Dimension::Product, Dimension::Country, Dimension::Sector],
            ..self.opened.query(&self.evidence, days).map_err(failed)?
        };
        let census = self.census(&query).await?;
        let values = |index: usize| -> BTreeSet<String> {
            census
                .cells
                .iter()
                .filter_map(|cell| cell.key.get(index).cloned().flatten())
                .collect()
        };
        let name = |id: &String| {
            let known = self.opened.catalog.product(id);
            (ProductId::new(id), known.map_or_else(|| id.clone(), |p| p.name.clone()))
        };
        let countries =
            values(1).iter().filter_map(|c| c.parse::<Country>().ok()).collect();
        let sectors = values(2);
        let named =
            self.sector_names.iter().filter(|(id, _)| sectors.contains(id.as_str()));
        let mut products: Vec<(ProductId, String)> =
            values(0).iter().map(name).collect();
        products.sort_by_key(|(id, _)| self.rank(id));
        let compared = products.first().and_then(|(id, _)| self.compared(id, days));
        Ok(Scope {
            compared,
            products,
            countries,
            sectors: named.cloned().collect(),
            days: Some(days),
        })
    }
}

impl Live {
    /// Products that somebody acted on come first, controls last.
    fn rank(&self, product: &ProductId) -> (bool, bool) {
        let acted = self.timeline.policies.iter().any(|p| p.product == *product);
        let control =
            self.opened.catalog.product(product.as_str()).is_some_and(|p| p.control);
        (control, !acted)
    }

    /// The windows of the last act on `product` whose windows were covered.
    fn compared(
        &self,
        product: &ProductId,
        covered: DayRange,
    ) -> Option<(Month, Month)> {
        let acts = self.timeline.policies.iter().filter(|p| p.product == *product);
        let windows =
            acts.filter_map(|p| assess::windows(&args::Compared::default(), p).ok());
        let inside = |w: &Windows| {
            covered.contains(w.before().first()) && covered.contains(w.after().last())
        };
        let last = windows.filter(inside).max_by_key(|w| w.after().first())?;
        Some((last.before().first().month(), last.after().first().month()))
    }
}

impl Counts for Live {
    fn release<'a>(&'a self, query: &'a Query) -> Answer<'a, Release> {
        Box::pin(async move {
            let census = self.census(query).await?;
            let mut audience = self.audience.lock().await;
            audience.release(census).map_err(|withheld| CountsError::Refused {
                asked: "this table beside those published before".to_owned(),
                hint: withheld.to_string(),
            })
        })
    }

    fn estimates<'a>(
        &'a self,
        asked: &'a Comparison,
    ) -> Answer<'a, Vec<ReleasedEstimate>> {
        Box::pin(self.estimated(asked))
    }

    fn coverage(&self, days: DayRange) -> Answer<'_, Vec<Coverage>> {
        Box::pin(async move { self.opened.lake.coverage(days).await.map_err(failed) })
    }

    fn timeline(&self) -> Answer<'_, Timeline> {
        Box::pin(async { Ok(self.timeline.clone()) })
    }

    fn expansion(&self) -> Option<Expansion> {
        self.expansion.clone()
    }

    fn scope(&self) -> Answer<'_, Scope> {
        Box::pin(self.scoped())
    }
}

/// Readers get only "the count failed"; the operator gets the cause.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CountsError {
    let error = error.into();
    tracing::error!("{error}");
    CountsError::Failed(error)
}
