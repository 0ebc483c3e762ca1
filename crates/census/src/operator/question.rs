//! What is to be counted, in the form in which it travels.
//!
//! **Invariant:** it names everything that an answer depends on: the files of the lake, one
//! by one, the endpoints that are evidence with their days, and which map of holders. What
//! two machines cannot have alike (the map itself) is named so that the other can tell
//! whether its own is the same.

use datafusion::object_store::path::Path;
use serde::{Deserialize, Serialize};
use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{
    Country, Day, DayRange, EndpointId, NetworkKind, ProductId, SectorId,
};
use tidegauge_store::{DataFile, Lake, Snapshot, Table};

use crate::evidence::{Entry, Evidence};
use crate::{Error, Result};

/// Of this form there is one version; a program that knows another refuses it.
const FORM: u32 = 1;

/// A question to the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    form: u32,
    /// URL of the lake.
    pub(crate) lake: String,
    /// Version of its sightings.
    pub(crate) version: i64,
    pub(crate) files: Vec<File>,
    pub(crate) by: Vec<Dimension>,
    days: (Day, Day),
    windows: Vec<(Day, Day)>,
    /// The day of the map; each day's own if there is none.
    frozen: Option<Day>,
    kinds: Vec<NetworkKind>,
    countries: Vec<Country>,
    sectors: Vec<SectorId>,
    endpoints: Vec<Known>,
    /// Which map of holders, in the words of whoever opens it.
    pub(crate) holders: String,
}

/// A file of sightings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct File {
    path: String,
    bytes: u64,
    pub(crate) rows: u64,
    month: Option<String>,
}

/// An endpoint that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    id: EndpointId,
    product: ProductId,
    first: Day,
    last: Day,
}

impl Question {
    /// The question `query` to the lake at `lake`, of which `snapshot` lists the files.
    pub(crate) fn new(
        query: &Query,
        lake: &str,
        snapshot: &Snapshot,
        evidence: &Evidence<'_>,
        holders: &str,
    ) -> Self {
        let known = |entry: Entry| Known {
            id: entry.id,
            product: entry.product,
            first: entry.valid.first(),
            last: entry.valid.last(),
        };
        Self {
            form: FORM,
            lake: lake.to_owned(),
            version: snapshot.version,
            files: snapshot.files.iter().map(File::of).collect(),
            by: query.by.clone(),
            days: (query.days.first(), query.days.last()),
            windows: query.windows.iter().map(|w| (w.first(), w.last())).collect(),
            frozen: match query.on {
                Dating::Frozen(day) => Some(day),
                Dating::EachDay => None,
            },
            kinds: query.organisation_kinds.clone(),
            countries: query.countries.clone(),
            sectors: query.sectors.clone(),
            endpoints: evidence.entries().into_iter().map(known).collect(),
            holders: holders.to_owned(),
        }
    }

    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a question is plain data")
    }

    /// From bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::Plan { reason };
        let question: Self =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if question.form != FORM {
            let form = question.form;
            return Err(bad(format!("its form is {form}, this program knows {FORM}")));
        }
        if question.days().is_none() || question.entries().is_none() {
            return Err(bad("its days are the wrong way round".to_owned()));
        }
        Ok(question)
    }

    /// Its days; `None` if they are the wrong way round.
    pub(crate) fn days(&self) -> Option<DayRange> {
        DayRange::new(self.days.0, self.days.1)
    }

    /// What it asks of `days`. Which endpoints are evidence is in [`Self::entries`], and
    /// from how many days an organisation is active is for the whole to decide.
    pub(crate) fn query(&self, days: DayRange) -> Query {
        let window = |(first, last): &(Day, Day)| DayRange::new(*first, *last);
        Query {
            by: self.by.clone(),
            windows: self.windows.iter().filter_map(window).collect(),
            on: self.frozen.map_or(Dating::EachDay, Dating::Frozen),
            organisation_kinds: self.kinds.clone(),
            countries: self.countries.clone(),
            sectors: self.sectors.clone(),
            ..Query::new(days)
        }
    }

    /// What is evidence; `None` if days are the wrong way round.
    pub(crate) fn entries(&self) -> Option<Vec<Entry>> {
        let entry = |known: &Known| {
            let valid = DayRange::new(known.first, known.last)?;
            let (id, product) = (known.id.clone(), known.product.clone());
            Some(Entry { id, product, valid })
        };
        self.endpoints.iter().map(entry).collect()
    }

    /// Its files, in a lake that was opened.
    pub(crate) fn snapshot(&self, lake: &Lake) -> Result<Snapshot> {
        let files = self.files.iter().map(File::data).collect::<Result<_>>()?;
        let snapshot = lake.snapshot_of(Table::Sightings, self.version, files);
        snapshot.ok_or_else(|| Error::Plan {
            reason: format!("it names files that are not sightings of {}", lake.url()),
        })
    }
}

impl File {
    fn of(file: &DataFile) -> Self {
        Self {
            path: file.path.to_string(),
            bytes: file.size,
            rows: file.rows,
            month: file.partition_month.clone(),
        }
    }

    fn data(&self) -> Result<DataFile> {
        let path = Path::parse(&self.path).map_err(|error| Error::Plan {
            reason: format!("`{}` is no path: {error}", self.path),
        })?;
        Ok(DataFile {
            path,
            size: self.bytes,
            rows: self.rows,
            partition_month: self.month.clone(),
        })
    }
}
