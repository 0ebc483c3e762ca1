//! How sure it is that each organisation was in contact through its own networks, and what
//! that does to removal with visibility taken out.
//!
//! **Invariant:** confidence is looked up for the sightings that put an organisation into
//! the cohort, on the map that the panel was made with; networks of one organisation are
//! doubted apart, addresses of one network together.

use std::collections::{BTreeMap, HashMap};

use tidegauge_effect::attribution::doubt::{Doubt, Doubted, doubted};
use tidegauge_effect::interval::LEVEL;
use tidegauge_effect::occupancy::weekly::Corrected;
use tidegauge_effect::{Stratify, Windows};
use tidegauge_model::count::{Dating, Query};
use tidegauge_model::estimate::{Estimate, Interval};
use tidegauge_model::panel::Panel;
use tidegauge_model::{Client, Day, OrgId};

use super::corrected_estimates;
use crate::opened::Opened;

/// Draws of who is listed wrongly: the model is not fitted anew, so they cost little.
const DRAWS: u32 = 199;

/// Doubts by stratum.
type Doubts = BTreeMap<Vec<(String, String)>, Doubted>;

/// What the model identified, with the error of attribution as an interval of its own and,
/// last, all errors together. `query` is that of `panel`.
pub(crate) async fn doubted_estimates(
    opened: &Opened,
    (corrected, panel): (&Corrected, &Panel),
    query: &Query,
    windows: Windows,
    ways: &[Stratify],
    seed: u64,
) -> anyhow::Result<Vec<Estimate>> {
    let mut estimates = corrected_estimates(corrected, windows);
    let before = Query { days: windows.before(), ..query.clone() };
    let false_chance = false_chances(opened, &before).await?;
    let doubt = Doubt { false_chance: &false_chance, draws: DRAWS, seed };
    add(&mut estimates, &doubted(corrected, panel, ways, doubt));
    Ok(estimates)
}

/// For each organisation in contact on the days of `query` the chance, by confidence, that
/// none of the networks in which it was seen is its own.
async fn false_chances(
    opened: &Opened,
    query: &Query,
) -> anyhow::Result<BTreeMap<OrgId, f64>> {
    let mut surest: HashMap<(OrgId, u128), f32> = HashMap::new();
    let mut hold = |client: &Client, on: Day| {
        let said = opened.map.attribute(client, on);
        if !query.organisation_kinds.contains(&said.kind) {
            return;
        }
        if let Some(organisation) = said.organisation {
            let known = surest.entry((organisation, network(client))).or_insert(0.0);
            *known = known.max(said.confidence);
        }
    };
    let each = |client: &Client, days: &[Day]| match query.on {
        Dating::Frozen(day) => hold(client, day),
        Dating::EachDay => days.iter().for_each(|day| hold(client, *day)),
    };
    opened.counter.each_client(query, each).await?;
    let mut chances = BTreeMap::new();
    for ((organisation, _), confidence) in surest {
        let wrong = 1.0 - f64::from(confidence).clamp(0.0, 1.0);
        *chances.entry(organisation).or_insert(1.0) *= wrong;
    }
    Ok(chances)
}

/// The network that is doubted as one: the /24, of IPv6 the /48. Of pseudonyms no network is known,
/// so all that were held alike are doubted together.
fn network(client: &Client) -> u128 {
    let bits = client.address.bits();
    if client.address.is_pseudonym() {
        return bits >> 71 << 71;
    }
    if client.address.is_v4() { bits >> 8 << 8 } else { bits >> 80 << 80 }
}

/// Adds the interval of attribution alone, and last that of all errors.
fn add(estimates: &mut [Estimate], doubts: &Doubts) {
    for estimate in estimates {
        let Some(found) = doubts.get(&estimate.stratum) else { continue };
        let alone = format!(
            "attribution alone (confidence admits {:.1} % of names that are wrong)",
            100.0 * found.false_share
        );
        let all = format!(
            "sampling, visibility and attribution (Rubin, {} draws)",
            found.draws
        );
        for (method, share) in [(alone, found.alone), (all, found.all)] {
            let (low, high) = (share.low, share.high);
            estimate.intervals.push(Interval { method, level: LEVEL, low, high });
        }
    }
}
