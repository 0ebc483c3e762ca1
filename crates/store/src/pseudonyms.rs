//! Addresses that are kept no longer than they must be: pseudonyms in their place.
//!
//! **Invariant:** rows, days and counts stay; only the client of a row is another. Whoever held
//! it is in the lake before the first pseudonym is, so that no pseudonym is ever without a holder that
//! its address had. That sightings of a file are sorted by address holds of pseudonyms too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type};
use tidegauge_model::{Address, Client, Day, Observation, SiteId, SourceId};

use crate::error::Result as Done;
use crate::rewrite::{Rewriting, Rewritten, Wrong};
use crate::schema::column as c;
use crate::{DataFile, Fingerprint, Lake, Table, kept};

/// Makes pseudonyms.
pub trait Pseudonyms: Send {
    /// Whether a client of a day in a file of these days may be given one.
    fn may_change(&self, month: Option<tidegauge_model::Month>) -> bool;

    /// What stands for a client on a day; `None` if it stays as it is.
    fn pseudonym(&mut self, client: &Client, day: Day) -> Option<Address>;

    /// What was found of whoever held the pseudonyms made since this was last asked.
    fn held(&mut self) -> Vec<Observation>;
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pseudonymised {
    /// Rows whose client is another now.
    pub rows: u64,
    /// Files that had some of them.
    pub files: u64,
    /// Files that no version names: of a writer at work, or of one that died.
    pub unnamed: u64,
}

impl Lake {
    /// Puts pseudonyms in the place of clients of sightings. Look-ups without a client and coverage
    /// know networks at most, and stay.
    pub async fn pseudonymise(
        &self,
        pseudonyms: &mut dyn Pseudonyms,
    ) -> Done<Pseudonymised> {
        let Rewritten { rows, files, unnamed } =
            self.rewrite(Table::Sightings, &mut Clients(pseudonyms)).await?;
        kept::forget(self.log(Table::Sightings)).await?;
        Ok(Pseudonymised { rows, files, unnamed })
    }
}

struct Clients<'a>(&'a mut dyn Pseudonyms);

impl Rewriting for Clients<'_> {
    fn may_be_in(&self, file: &DataFile) -> bool {
        self.0.may_change(file.partition_month.as_ref().and_then(|m| m.parse().ok()))
    }

    fn rewrite(&mut self, rows: RecordBatch) -> Result<(RecordBatch, u64), Wrong> {
        let (columns, changed) =
            self.clients(&rows).ok_or("it has no columns of clients and days")?;
        let schema = rows.schema();
        let mut all = rows.columns().to_vec();
        for (name, column) in [c::IP_HI, c::IP_LO].into_iter().zip(columns) {
            let (at, _) = schema.column_with_name(name).ok_or(name)?;
            *all.get_mut(at).ok_or(name)? = column;
        }
        Ok((RecordBatch::try_new(schema, all)?, changed))
    }

    async fn before_commit(&mut self, lake: &Lake) -> Done<()> {
        let mut held = self.0.held();
        held.sort_unstable();
        let Some(first) = held.first() else { return Ok(()) };
        let (source, snapshot): (SourceId, Day) =
            (first.source.clone(), first.snapshot);
        let fingerprint = Fingerprint::of(format!("{held:?}").as_bytes());
        lake.append_observations(&source, snapshot, &fingerprint, held).await?;
        Ok(())
    }
}

impl Clients<'_> {
    /// The upper and lower halves of all clients, and how many are others than before.
    fn clients(&mut self, rows: &RecordBatch) -> Option<([ArrayRef; 2], u64)> {
        let halves = |name| rows.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (hi, lo) = (halves(c::IP_HI)?, halves(c::IP_LO)?);
        let days = rows.column_by_name(c::DAY)?.as_primitive_opt::<Date32Type>()?;
        let sites = rows.column_by_name(c::SITE)?.as_string_opt::<i32>()?;
        let (mut his, mut los, mut changed) = (Vec::new(), Vec::new(), 0);
        for row in 0..rows.num_rows() {
            let client = Client {
                address: Address::from_halves(hi.value(row), lo.value(row)),
                site: sites.is_valid(row).then(|| SiteId::new(sites.value(row))),
            };
            let pseudonym = self.0.pseudonym(&client, Day(days.value(row)));
            changed += u64::from(pseudonym.is_some());
            let (hi, lo) = pseudonym.unwrap_or(client.address).halves();
            his.push(hi);
            los.push(lo);
        }
        let column = |halves: Vec<i64>| Arc::new(Int64Array::from(halves)) as ArrayRef;
        Some(([column(his), column(los)], changed))
    }
}
