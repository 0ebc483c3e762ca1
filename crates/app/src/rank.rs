//! Positions of host names in a public popularity list, from a CSV file of the user's.
//!
//! Columns by header: `snapshot_date`, `vendor`, `role`, `host`, `best_tier` (empty =
//! outside every tier), and perhaps `data_weekday` (`Mon` … `Sun`): weekends are left
//! out, because business and consumer names trade places on them.
//!
//! **Invariant:** the file is the reader's own; nothing of it is built in.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_model::{Day, ProductId};
use tidegauge_publish::report::{RankPanel, RankPart, RankSeries};

/// The last day used: between 2026-01-11 and 2026-03-18 the list changed its make-up (names
/// of vendors that were never in it appear near its top, beside random names), so that
/// positions on both sides do not compare.
const LAST_DAY: &str = "2026-01-31";

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    data_weekday: String,
    snapshot_date: String,
    vendor: String,
    role: String,
    host: String,
    best_tier: Option<u32>,
}

/// Reads the panel for a report about `product`.
pub(crate) fn read(
    path: &Path,
    product: &ProductId,
    catalog: &Catalog,
) -> anyhow::Result<RankPanel> {
    let at = || format!("reading {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(at)?;
    let last: Day = LAST_DAY.parse()?;
    let mut series: BTreeMap<(String, String), RankSeries> = BTreeMap::new();
    let mut tiers = std::collections::BTreeSet::new();
    for row in reader.deserialize() {
        let row: Row = row.with_context(at)?;
        let day: Day = row.snapshot_date.parse().with_context(at)?;
        if day > last || ["Sat", "Sun"].contains(&row.data_weekday.as_str()) {
            continue;
        }
        tiers.extend(row.best_tier);
        let part = part(&row.vendor, product, catalog);
        series
            .entry((row.vendor.clone(), row.host.clone()))
            .or_insert_with(|| RankSeries {
                vendor: row.vendor,
                host: row.host,
                role: row.role,
                part,
                points: Vec::new(),
            })
            .points
            .push((day, row.best_tier));
    }
    if series.is_empty() {
        bail!("{} has no rows", path.display());
    }
    let mut hosts: Vec<RankSeries> = series.into_values().collect();
    for host in &mut hosts {
        host.points.sort_unstable();
    }
    hosts.sort_by(|a, b| {
        (a.part, &a.vendor, &a.host).cmp(&(b.part, &b.vendor, &b.host))
    });
    Ok(RankPanel {
        source: "Cisco Umbrella popularity list".to_owned(),
        tiers: tiers.into_iter().collect(),
        hosts,
        caveats: [
            "A rank is popularity among the resolvers of one provider, relative to all other \
             names; it is no count of users and has no countries.",
            "Tiers, not ranks: a host can lose much and stay in its tier, or cross a border by \
             little.",
            "Snapshots are irregular. Weekends are left out, and so is everything after January \
             2026, when the list changed its make-up.",
        ]
        .map(str::to_owned)
        .to_vec(),
    })
}

fn part(vendor: &str, product: &ProductId, catalog: &Catalog) -> RankPart {
    if vendor == product.as_str() {
        RankPart::Subject
    } else if catalog.product(vendor).is_some_and(|p| p.control) {
        RankPart::Control
    } else {
        RankPart::Comparator
    }
}
