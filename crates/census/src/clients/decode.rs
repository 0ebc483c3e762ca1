//! Batches of a file of state to rows of the evidence.
//!
//! **Invariant:** what is handed over is whole addresses: the rows of the last one are held
//! back until the next batch, or the end.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use tidegauge_model::{Day, DayRange, SiteId, VantageId};
use tidegauge_store::by_address::Wanted;
use tidegauge_store::state;
use tokio::sync::mpsc::Sender;

use super::rows::{Decoded, Row};
use crate::Result;
use crate::evidence::Finder;
use crate::holding::Codes;

/// Texts by number, of one question.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) vantages: Codes<VantageId>,
    pub(super) signals: Codes<String>,
    pub(super) sites: Codes<SiteId>,
}

/// What turns batches of one file into rows.
pub(super) struct Decoder<D> {
    pub(super) finder: Finder,
    pub(super) days: DayRange,
    /// The first of the file's month.
    pub(super) month: Day,
    /// Says that a row is not what it should be.
    pub(super) damaged: D,
    pub(super) wanted: Wanted,
    pub(super) names: Arc<Mutex<Names>>,
    /// The rows of the last address, of which more may come.
    pub(super) held_back: Decoded,
}

impl<D: Fn(&dyn std::fmt::Display) -> tidegauge_store::Error> Decoder<D> {
    /// Decodes until the file ends, or nobody listens any more.
    pub(super) async fn run(
        mut self,
        mut batches: impl futures::Stream<Item = tidegauge_store::Result<RecordBatch>>
        + Unpin,
        give: Sender<Result<Decoded>>,
    ) {
        loop {
            let decoded = match batches.try_next().await {
                Ok(Some(batch)) => self.decode(&batch),
                Ok(None) => break,
                Err(error) => Err(error.into()),
            };
            let (some, failed) = match &decoded {
                Ok(decoded) => (!decoded.rows.is_empty(), false),
                Err(_) => (true, true),
            };
            if (some && give.send(decoded).await.is_err()) || failed {
                return;
            }
        }
        // The rest, and that it was all; unless nobody listens.
        let rest = self.held_back;
        if rest.rows.is_empty() || give.send(Ok(rest)).await.is_ok() {
            _ = give.send(Ok(Decoded::default())).await;
        }
    }

    /// The rows that are evidence, up to the last address but one, after those held back.
    fn decode(&mut self, batch: &RecordBatch) -> Result<Decoded> {
        let mut decoded = std::mem::take(&mut self.held_back);
        decoded.rows.reserve(batch.num_rows());
        self.add(batch, &mut decoded)?;
        self.held_back = decoded.split_last();
        Ok(decoded)
    }

    /// Adds the rows that are evidence.
    fn add(&self, batch: &RecordBatch, decoded: &mut Decoded) -> Result<()> {
        // The columns are those of `state::schema`.
        let [hi, lo, sites, endpoints, vantages, signals, days, contacts, each] =
            batch.columns()
        else {
            return Err((self.damaged)(&"its columns are not those of state").into());
        };
        let hi = hi.as_primitive::<Int64Type>().values();
        let lo = lo.as_primitive::<Int64Type>().values();
        let days = days.as_primitive::<Int32Type>().values();
        let contacts = contacts.as_primitive::<Int64Type>().values();
        let each =
            each.as_binary_opt::<i32>().filter(|all| all.null_count() < all.len());
        let evidence = |id: &str| self.finder.month(id, self.month, self.days);
        let endpoints = Looked::new(endpoints, evidence);
        let (vantages, signals, sites) = self.looked(vantages, signals, sites);
        let mut of_each_day = Vec::new();
        for at in 0..batch.num_rows() {
            let Some(evidence) = endpoints.get(at) else { continue };
            let address = (value(hi, at), value(lo, at));
            if !self.wanted.addresses.contains(address) {
                continue;
            }
            let days = value(days, at).cast_unsigned();
            let each = each.filter(|each| each.is_valid(at)).map(|each| each.value(at));
            let all = value(contacts, at);
            of_each_day.clear();
            if !state::contacts_of_each_day(days, all, each, &mut of_each_day) {
                let reason = format!("row {at} of a batch has not a number a day");
                return Err((self.damaged)(&reason).into());
            }
            let row = Row {
                address,
                days,
                entry: 0,
                site: sites.get(at).copied().unwrap_or(0),
                vantage: vantages.get(at).copied().unwrap_or(0),
                signal: signals.get(at).copied().unwrap_or(0),
                each: 0,
                contacts: 0,
            };
            for (held, entry) in evidence.iter().copied() {
                decoded.push(Row { entry, ..row }, held, &of_each_day);
            }
        }
        Ok(())
    }

    /// Numbers for the names of a batch, where they are wanted.
    fn looked<'a>(
        &self,
        vantages: &'a dyn Array,
        signals: &'a dyn Array,
        sites: &'a dyn Array,
    ) -> (Looked<'a, u32>, Looked<'a, u32>, Looked<'a, u32>) {
        let names = &mut *lock(&self.names);
        (
            Looked::new(vantages, |id| Some(names.vantages.code(&VantageId::new(id)))),
            Looked::new(signals, |word| Some(names.signals.code(&word.to_owned()))),
            Looked::new(sites, |id| {
                (!id.is_empty()).then(|| names.sites.code(&SiteId::new(id)) + 1)
            }),
        )
    }
}

/// A value of a column, which has as many as the batch has rows.
fn value<T: Copy + Default>(column: &[T], at: usize) -> T {
    column.get(at).copied().unwrap_or_default()
}

/// A column of names, each looked at once.
struct Looked<'a, T> {
    keys: &'a datafusion::arrow::array::Int32Array,
    values: Vec<Option<T>>,
}

impl<'a, T> Looked<'a, T> {
    fn new(column: &'a dyn Array, look: impl FnMut(&str) -> Option<T>) -> Self {
        let names = column.as_dictionary::<Int32Type>();
        let values = names.values().as_string::<i32>().iter().map(|n| n.unwrap_or(""));
        Self { keys: names.keys(), values: values.map(look).collect() }
    }

    fn get(&self, row: usize) -> Option<&T> {
        if self.keys.is_null(row) {
            return None;
        }
        self.values.get(usize::try_from(self.keys.value(row)).ok()?)?.as_ref()
    }
}

/// A panic while the lock was held left no half-made number behind.
pub(super) fn lock(names: &Mutex<Names>) -> std::sync::MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}
