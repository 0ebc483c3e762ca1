//! Typed readers.
//!
//! **Invariant:** coverage and resolutions are read after the sightings that decide about
//! them, and only rows of appends that were completed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tidegauge_model::{
    Coverage, Day, DayRange, Endpoint, Month, Observation, ResolvedDay, Sighting,
    Vantage,
};

use crate::batch::{Published, RunRecord, batch_transaction};
use crate::error::{Error, Result};
use crate::{Lake, Snapshot, Table, files, rows};

/// Turns the rows of a table into records.
type Decode<T> = fn(&RecordBatch) -> std::result::Result<Vec<T>, String>;

impl Lake {
    /// What each vantage could see on each of `days`, sorted by vantage and day. Several
    /// appends about one vantage and day are united: flows, contacts and losses summed,
    /// hours and footprints joined.
    pub async fn coverage(&self, days: DayRange) -> Result<Vec<Coverage>> {
        let mut united: BTreeMap<_, Coverage> = BTreeMap::new();
        let mut take = |coverage: Coverage| {
            if !days.contains(coverage.day) {
                return;
            }
            let key = (coverage.vantage.clone(), coverage.day);
            match united.get_mut(&key) {
                Some(known) => unite(known, &coverage),
                None => _ = united.insert(key, coverage),
            }
        };
        self.decided(Table::Coverage, Some(days), rows::to_coverage, &mut take).await?;
        Ok(united.into_values().collect())
    }

    /// The first and the last day that any vantage covered, which is to say: saw flows of.
    /// `None` if there is none.
    pub async fn covered(&self) -> Result<Option<DayRange>> {
        let files = self.snapshot(Table::Coverage).await?.files;
        let months =
            files.iter().filter_map(|f| f.partition_month.as_ref()?.parse().ok());
        let mut months: VecDeque<Month> =
            months.collect::<BTreeSet<Month>>().into_iter().collect();
        let (mut first, mut last) = (None, None);
        // Of an append that was not completed a month can have files and no day.
        while first.is_none() {
            let Some(month) = months.pop_front() else { break };
            let days = self.covered_in(month).await?;
            (first, last) = (days.first().copied(), days.last().copied());
        }
        while let Some(month) = months.pop_back() {
            if let Some(day) = self.covered_in(month).await?.last() {
                last = Some(*day);
                break;
            }
        }
        Ok(first.zip(last).and_then(|(first, last)| DayRange::new(first, last)))
    }

    /// The days of a month that any vantage covered.
    async fn covered_in(&self, month: Month) -> Result<BTreeSet<Day>> {
        let coverage = self.coverage(DayRange::month(month)).await?;
        Ok(coverage.iter().filter(|c| c.flows > 0).map(|c| c.day).collect())
    }

    /// Look-ups of endpoints that have no client on each of `days`, or on any day, sorted by
    /// vantage, endpoint, network and day. Several appends about one of these are united.
    pub async fn resolutions(
        &self,
        days: Option<DayRange>,
    ) -> Result<Vec<ResolvedDay>> {
        let mut united: BTreeMap<_, ResolvedDay> = BTreeMap::new();
        let mut take = |r: ResolvedDay| {
            if days.is_some_and(|days| !days.contains(r.day)) {
                return;
            }
            let key = (r.vantage.clone(), r.endpoint.clone(), r.client, r.day);
            let known =
                united.entry(key).or_insert(ResolvedDay { count: 0, ..r.clone() });
            known.count = known.count.saturating_add(r.count);
            known.first = known.first.min(r.first);
            known.last = known.last.max(r.last);
        };
        self.decided(Table::Resolutions, days, rows::to_resolutions, &mut take).await?;
        Ok(united.into_values().collect())
    }

    /// Hands on the records in a table that is written before the commit that decides:
    /// those of appends that were completed, from all files that can have some of `days`.
    async fn decided<T: Send + 'static>(
        &self,
        table: Table,
        days: Option<DayRange>,
        decode: Decode<(String, T)>,
        take: &mut (dyn FnMut(T) + Send),
    ) -> Result<()> {
        let Some(decided) = self.log(Table::Sightings).load().await? else {
            return Ok(());
        };
        let mut snapshot = self.snapshot(table).await?;
        if let Some(days) = days {
            let months: BTreeSet<String> =
                days.months().map(|m| m.to_string()).collect();
            snapshot.files.retain(|file| {
                file.partition_month.as_ref().is_none_or(|month| months.contains(month))
            });
        }
        let mut records = stream(snapshot, decode);
        while let Some((batch, record)) = records.try_next().await? {
            if decided.has(&batch_transaction(&batch)) {
                take(record);
            }
        }
        Ok(())
    }

    /// Every sighting of `days`, file by file, each file in its stored order.
    pub async fn sightings(
        &self,
        days: DayRange,
    ) -> Result<BoxStream<'static, Result<Sighting>>> {
        let months: BTreeSet<String> = days.months().map(|m| m.to_string()).collect();
        let mut snapshot = self.snapshot(Table::Sightings).await?;
        snapshot.files.retain(|file| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        });
        let sightings = stream(snapshot, rows::to_sightings);
        Ok(sightings
            .try_filter(move |s| std::future::ready(days.contains(s.day)))
            .boxed())
    }

    /// Every observation of the atlas, in no particular order.
    pub async fn observations(
        &self,
    ) -> Result<BoxStream<'static, Result<Observation>>> {
        Ok(stream(self.snapshot(Table::Atlas).await?, rows::to_observations))
    }

    /// Every run, oldest first.
    pub async fn runs(&self) -> Result<Vec<RunRecord>> {
        let mut runs = self.collect(Table::Runs, rows::to_runs).await?;
        runs.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(runs)
    }

    /// Every release that was published, oldest first.
    pub async fn releases(&self) -> Result<Vec<Published>> {
        let mut releases = self.collect(Table::Releases, rows::to_releases).await?;
        releases.sort_by(|a, b| (a.made, &a.id).cmp(&(b.made, &b.id)));
        Ok(releases)
    }

    /// The catalog as last written, sorted by id.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.collect(Table::Catalog, rows::to_endpoints).await
    }

    /// The vantages as last described, sorted by id.
    pub async fn vantages(&self) -> Result<Vec<Vantage>> {
        self.collect(Table::Vantages, rows::to_vantages).await
    }

    /// All rows of a small table.
    pub(crate) async fn all_rows(&self, table: Table) -> Result<RecordBatch> {
        let snapshot = self.snapshot(table).await?;
        let mut batches = Vec::new();
        for file in &snapshot.files {
            batches.extend(files::read(&snapshot, file).try_collect::<Vec<_>>().await?);
        }
        concat_batches(&table.schema(), &batches)
            .map_err(|source| Error::Columns { table: table.name(), source })
    }

    async fn collect<T: Send + 'static>(
        &self,
        table: Table,
        decode: Decode<T>,
    ) -> Result<Vec<T>> {
        stream(self.snapshot(table).await?, decode).try_collect().await
    }
}

/// The records of all files of a snapshot.
fn stream<T: Send + 'static>(
    snapshot: Snapshot,
    decode: Decode<T>,
) -> BoxStream<'static, Result<T>> {
    let files = snapshot.files.clone();
    futures::stream::iter(files)
        .flat_map(move |file| {
            let path = files::readable_file(&snapshot, &file);
            let table = snapshot.table.name();
            files::read(&snapshot, &file).and_then(move |batch| {
                let records = decode(&batch).map_err(|reason| Error::Damaged {
                    table,
                    path: path.clone(),
                    reason,
                    hint: "restore the file from a backup",
                });
                std::future::ready(records)
            })
        })
        .map_ok(|records| futures::stream::iter(records.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// Adds to `known` what another append saw of the same vantage and day.
fn unite(known: &mut Coverage, more: &Coverage) {
    known.flows = known.flows.saturating_add(more.flows);
    known.contacts = known.contacts.saturating_add(more.contacts);
    for (reason, count) in &more.losses {
        let total = known.losses.entry(*reason).or_default();
        *total = total.saturating_add(*count);
    }
    known.sampling_min = known.sampling_min.min(more.sampling_min);
    known.sampling_max = known.sampling_max.max(more.sampling_max);
    known.control_sampling = known.control_sampling.max(more.control_sampling);
    known.hours |= more.hours;
    known.footprint.merge(&more.footprint);
    for (exporter, sent) in &more.exporters {
        if let Some(total) = known.exporter(*exporter) {
            total.merge(sent);
        }
    }
}
