//! Look-ups without a client, added up to the grain that is stored.
//!
//! **Invariant:** adding is commutative: sums, earliest and latest. Nothing here becomes a
//! contact, a sighting or a mark in a footprint.

use std::collections::HashMap;

use tidegauge_model::{Day, Instant, Prefix, Resolution, ResolvedDay, VantageId};

use crate::catalog::{Catalog, Probe};

/// The look-ups of one vantage in the making.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// By position in the catalog, network of the client, and day of the last look-up.
    sums: HashMap<(usize, Option<Prefix>, Day), Sum>,
}

#[derive(Debug)]
struct Sum {
    count: u64,
    first: Instant,
    last: Instant,
}

impl Resolved {
    /// Adds a look-up, if the catalog has its name on the day of the last one.
    pub(super) fn add(&mut self, catalog: &Catalog, resolution: &Resolution) {
        let Resolution { first, last, count, .. } = *resolution;
        let day = last.day();
        let host = Some(&*resolution.host);
        let probe = Probe { host, request: None, address: None, port: None, day };
        let Some((endpoint, _)) = catalog.find_at(&probe) else { return };
        let key = (endpoint, resolution.client, day);
        let sum = self.sums.entry(key).or_insert(Sum { count: 0, first, last });
        sum.count = sum.count.saturating_add(count);
        sum.first = sum.first.min(first);
        sum.last = sum.last.max(last);
    }

    /// Every sum, sorted by endpoint, network and day.
    pub(super) fn days(
        self,
        vantage: &VantageId,
        catalog: &Catalog,
    ) -> Vec<ResolvedDay> {
        let day = |((endpoint, client, day), sum): (_, Sum)| {
            let endpoint: &tidegauge_model::Endpoint =
                catalog.endpoints().get(endpoint)?;
            Some(ResolvedDay {
                vantage: vantage.clone(),
                endpoint: endpoint.id.clone(),
                client,
                day,
                count: sum.count,
                first: sum.first,
                last: sum.last,
            })
        };
        let mut days: Vec<_> = self.sums.into_iter().filter_map(day).collect();
        days.sort_unstable_by(|a, b| {
            (&a.endpoint, a.client, a.day).cmp(&(&b.endpoint, b.client, b.day))
        });
        days
    }
}
