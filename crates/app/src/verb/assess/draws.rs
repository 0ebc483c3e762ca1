//! The error of attribution: the same estimates on several draws of who held which address.

use std::sync::Arc;

use anyhow::ensure;
use tidegauge_effect::Stratify;
use tidegauge_effect::imputation::add_attribution;
use tidegauge_enrich::atlas::Draws;
use tidegauge_model::count::Query;
use tidegauge_model::estimate::Estimate;
use tidegauge_model::{Holders, ProductId};

use super::{Inquiry, estimates_by};
use crate::opened::Opened;

/// Attributions as sure as this are never doubted: the user's own rows, unless they say
/// less.
const SURE: f32 = 1.0;

/// Adds to each of `estimates` the intervals that come from the draws asked for.
pub(super) async fn add(
    estimates: &mut [Estimate],
    opened: &Opened,
    (product, query): (&ProductId, &Query),
    inquiry: &Inquiry<'_>,
    ways: &[Stratify],
) -> anyhow::Result<()> {
    if inquiry.draws == 0 {
        return Ok(());
    }
    ensure!(inquiry.draws >= 2, "one draw has no spread (hint: --draws 20)");
    let draws = Draws { seed: inquiry.compared.seed, sure: SURE };
    let mut drawn = Vec::new();
    for number in 0..inquiry.draws {
        let map = draws.draw(Arc::clone(&opened.map), number);
        let counter =
            opened.counter.clone().with_holders(Arc::new(map) as Arc<dyn Holders>);
        let panel = counter.panel(product, query).await?;
        let of = |stratify| {
            estimates_by(
                &panel,
                inquiry.windows,
                &inquiry.evidence,
                inquiry.compared,
                stratify,
            )
        };
        drawn.push(ways.iter().copied().flat_map(of).collect::<Vec<_>>());
    }
    add_attribution(estimates, &drawn);
    Ok(())
}
