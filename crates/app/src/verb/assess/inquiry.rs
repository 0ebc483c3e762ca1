//! What is asked of an act, and everything that is found.
//!
//! **Invariant:** estimates leave here only through the disclosure rule of whoever asks,
//! beside the tables of the same windows.

use anyhow::Context;
use tidegauge_effect::assessment::Assessment;
use tidegauge_effect::occupancy::weekly::{Corrected, Refusal, SurvivalCurve};
use tidegauge_effect::{Stratify, Windows};
use tidegauge_model::count::{Dimension, Query};
use tidegauge_model::estimate::{Estimate, ReleasedEstimate};
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{DayRange, ProductId};

use super::answer::Answer;
use super::{corrected, curves, doubted_estimates, draws, estimates_by, evidence};
use crate::args;
use crate::opened::Opened;

/// What is asked of an act.
pub(crate) struct Inquiry<'a> {
    pub(crate) policy: &'a PolicyEvent,
    pub(crate) timeline: &'a Timeline,
    pub(crate) windows: Windows,
    /// The rule of evidence, of one product: see [`of_product`].
    pub(crate) evidence: args::Evidence,
    pub(crate) compared: &'a args::Compared,
    /// The strata asked for.
    pub(crate) asked: Stratify,
    /// Panels drawn of doubtful attributions; 0 for none.
    pub(crate) draws: u32,
}

/// Everything that was found.
pub(crate) struct Findings {
    pub(crate) product: ProductId,
    pub(crate) windows: Windows,
    pub(crate) corrected: Result<Corrected, Refusal>,
    pub(crate) estimates: Vec<ReleasedEstimate>,
    pub(crate) curves: Vec<SurvivalCurve>,
    pub(crate) found: Assessment,
}

/// The rule of evidence, of the product of the act unless another is named.
pub(crate) fn of_product(
    evidence: &args::Evidence,
    policy: &PolicyEvent,
) -> args::Evidence {
    let mut evidence = evidence.clone();
    if evidence.product.is_empty() {
        evidence.product = vec![policy.product.clone()];
    }
    evidence
}

impl Inquiry<'_> {
    /// Refuses what cannot be asked.
    pub(crate) fn admit(&self, opened: &Opened) -> anyhow::Result<()> {
        let product = opened.one_product(&self.evidence.product)?;
        let mut controls = opened.catalog.products().iter().filter(|p| p.control);
        anyhow::ensure!(
            controls.all(|control| control.id != product),
            "rule control-product: {product} is a control, by which others are judged; what \
             became of it cannot be told from itself"
        );
        Ok(())
    }

    /// Questions whose tables readers see beside the estimates: country and sector in each
    /// window.
    pub(crate) fn tables(&self, opened: &Opened) -> anyhow::Result<Vec<Query>> {
        let mut queries = Vec::new();
        for window in [self.windows.before(), self.windows.after()] {
            for by in [Dimension::Country, Dimension::Sector] {
                let query = opened.query(&self.evidence, window)?;
                queries.push(Query { by: vec![by], ..query });
            }
        }
        Ok(queries)
    }

    /// Asks every estimator; `disclose` is the rule that estimates must pass.
    pub(crate) async fn find(
        &self,
        opened: &Opened,
        disclose: impl FnOnce(Vec<Estimate>) -> Vec<ReleasedEstimate>,
    ) -> anyhow::Result<Findings> {
        let (windows, evidence) = (self.windows, &self.evidence);
        let product = opened.one_product(&evidence.product)?;
        let days = DayRange::new(windows.before().first(), windows.after().last())
            .context("the window after ends before the one before begins")?;
        let query = opened.query(evidence, days)?;
        let panel = opened.counter.panel(&product, &query).await?;
        let ways = ways(self.asked, evidence.internal);
        let corrected =
            corrected(&panel, windows, self.policy, evidence, self.compared, &ways);
        let of =
            |stratify| estimates_by(&panel, windows, evidence, self.compared, stratify);
        let mut estimates: Vec<Estimate> = ways.iter().copied().flat_map(of).collect();
        let asked_of = (&product, &query);
        draws::add(&mut estimates, opened, asked_of, self, &ways).await?;
        if let Ok(corrected) = &corrected {
            let made_of = (corrected, &panel);
            let seed = self.compared.seed;
            estimates.extend(
                doubted_estimates(opened, made_of, &query, windows, &ways, seed)
                    .await?,
            );
        }
        let estimates = disclose(estimates);
        let brief = evidence::Brief {
            windows,
            policy: self.policy,
            timeline: self.timeline,
            evidence,
            corrected: &corrected,
            estimates: &estimates,
        };
        let found = evidence::found(opened, asked_of, &brief).await?;
        let curves = curves(&corrected, &estimates, evidence.internal);
        Ok(Findings { product, windows, corrected, estimates, curves, found })
    }
}

impl Findings {
    /// What they come to, in words and for programs.
    pub(super) fn answer<'a>(&'a self, policy: &'a PolicyEvent) -> Answer<'a> {
        Answer {
            policy,
            product: &self.product,
            windows: self.windows,
            corrected: &self.corrected,
        }
    }
}

/// The strata that are estimated. Cells by country and sector beside both margins would
/// give hidden cells away, so they are for the operator, unless only they are asked for.
fn ways(asked: Stratify, internal: bool) -> Vec<Stratify> {
    let mut ways = vec![Stratify::All, Stratify::Country, Stratify::Sector];
    if internal {
        ways.push(Stratify::CountrySector);
    } else if asked == Stratify::CountrySector {
        ways = vec![Stratify::All, Stratify::CountrySector];
    }
    ways
}
