//! The tables of the lake and their columns.
//!
//! **Invariant:** this is the only place where a column name is spelt, and only types that
//! Delta Lake has are used: no unsigned integers, no binary of fixed length. A partition
//! column stands last, as it is not in the files.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The column names, each with what it holds.
pub mod column {
    /// Partition: the calendar month of `day`, `YYYY-MM`.
    pub const MONTH: &str = "month";
    /// Where it was seen: a vantage id.
    pub const VANTAGE: &str = "vantage";
    /// The site that scopes a private client; null for a global address.
    pub const SITE: &str = "site";
    /// Upper half of an address, sign bit flipped: see `model::Address::halves`.
    pub const IP_HI: &str = "ip_hi";
    /// Lower half of an address, sign bit flipped.
    pub const IP_LO: &str = "ip_lo";
    /// Endpoint id.
    pub const ENDPOINT: &str = "endpoint";
    /// How the endpoint was recognised: a word of `model::Grade`.
    pub const GRADE: &str = "grade";
    /// What the contacts prove: a word of `model::Signal`.
    pub const SIGNAL: &str = "signal";
    /// UTC day.
    pub const DAY: &str = "day";
    /// Contacts, not scaled by sampling.
    pub const CONTACTS: &str = "contacts";
    /// The days of a month with a contact: bit `d` for the day `d` after the first.
    pub const DAYS_SEEN: &str = "days_seen";
    /// Contacts of each of them, in order.
    pub const CONTACTS_EACH: &str = "contacts_each";
    /// Bytes from client to endpoint; null if unknown.
    pub const BYTES_SENT: &str = "bytes_sent";
    /// Packets from client to endpoint; null if unknown.
    pub const PACKETS_SENT: &str = "packets_sent";
    /// Bytes from endpoint to client; null if unknown.
    pub const BYTES_RECEIVED: &str = "bytes_received";
    /// Packets from endpoint to client; null if unknown.
    pub const PACKETS_RECEIVED: &str = "packets_received";
    /// Union of TCP flags.
    pub const TCP_FLAGS: &str = "tcp_flags";
    /// One packet in so many.
    pub const SAMPLING: &str = "sampling";
    /// First packet.
    pub const FIRST: &str = "first";
    /// Last packet.
    pub const LAST: &str = "last";
    /// Bit `h` for UTC hour `h`.
    pub const HOURS: &str = "hours";
    /// Which append wrote the row; it counts only if `sightings` has its transaction.
    pub const BATCH: &str = "batch";
    /// Flows read, contact or not.
    pub const FLOWS: &str = "flows";
    /// A JSON object: reason of a loss to how many.
    pub const LOSSES: &str = "losses";
    /// The finest sampling: one packet in so many.
    pub const SAMPLING_MIN: &str = "sampling_min";
    /// The coarsest sampling: one packet in so many.
    pub const SAMPLING_MAX: &str = "sampling_max";
    /// Control products are kept for one client in so many.
    pub const CONTROL_SAMPLING: &str = "control_sampling";
    /// IPv4 /24s seen: a 32-bit Roaring bitmap in the portable format.
    pub const FOOTPRINT_V4: &str = "footprint_v4";
    /// IPv6 /48s seen: a 64-bit Roaring bitmap in the portable format.
    pub const FOOTPRINT_V6: &str = "footprint_v6";
    /// Bits of the 128 of an address that are those of a network: an IPv4 /24 is 120.
    pub const PREFIX_BITS: &str = "prefix_bits";
    /// Look-ups.
    pub const COUNT: &str = "count";
    /// JSON: what each exporter sent, by its address: `model::coverage::Exported`; null
    /// without exporters.
    pub const EXPORTERS: &str = "exporters";
    /// Where a fact is known from.
    pub const SOURCE: &str = "source";
    /// The day for which the source's table was made.
    pub const SNAPSHOT: &str = "snapshot";
    /// First address of a range, upper half; null with no range.
    pub const FIRST_HI: &str = "first_hi";
    /// First address of a range, lower half.
    pub const FIRST_LO: &str = "first_lo";
    /// Last address of a range (included), upper half.
    pub const LAST_HI: &str = "last_hi";
    /// Last address of a range (included), lower half.
    pub const LAST_LO: &str = "last_lo";
    /// AS number.
    pub const ASN: &str = "asn";
    /// What an observation states: a word of `model::observation::Field`.
    pub const FIELD: &str = "field";
    /// What was said.
    pub const VALUE: &str = "value";
    /// A JSON object of what else was said.
    pub const DETAIL: &str = "detail";
    /// Stable id of the row's subject.
    pub const ID: &str = "id";
    /// Name for people.
    pub const NAME: &str = "name";
    /// ISO 3166-1 alpha-2 code.
    pub const COUNTRY: &str = "country";
    /// Id of the organisation that owns this one.
    pub const PARENT: &str = "parent";
    /// Primary sector.
    pub const SECTOR: &str = "sector";
    /// A JSON array of further sectors.
    pub const OTHER_SECTORS: &str = "other_sectors";
    /// Id of the organisation that runs a vantage.
    pub const HOLDER: &str = "holder";
    /// The whole of a record, as the text or JSON it was made from.
    pub const DEFINITION: &str = "definition";
    /// Product id.
    pub const PRODUCT: &str = "product";
    /// What a server does: a word of `model::Role`.
    pub const ROLE: &str = "role";
    /// How much a contact proves: a word of `model::Weight`.
    pub const WEIGHT: &str = "weight";
    /// How `pattern` is to be read: exact, suffix, regex, url or prefix.
    pub const MATCH: &str = "match";
    /// What a flow is compared with.
    pub const PATTERN: &str = "pattern";
    /// `443/6 80/6`: number/protocol, empty for any.
    pub const PORTS: &str = "ports";
    /// First day on which it holds.
    pub const VALID_FROM: &str = "valid_from";
    /// Last day on which it holds, included.
    pub const VALID_TO: &str = "valid_to";
    /// Whether the addresses serve nobody else.
    pub const EXCLUSIVE: &str = "exclusive";
    /// How well it is known.
    pub const CONFIDENCE: &str = "confidence";
    /// What a reader should know.
    pub const NOTE: &str = "note";
    /// Version of the catalog.
    pub const VERSION: &str = "version";
    /// Distinct days of contact.
    pub const DAYS: &str = "days";
    /// When a run began.
    pub const STARTED: &str = "started";
    /// When a run ended.
    pub const FINISHED: &str = "finished";
    /// The verb that was run.
    pub const VERB: &str = "verb";
    /// JSON: the arguments of a run.
    pub const ARGUMENTS: &str = "arguments";
    /// JSON: versions of program, catalog and atlas.
    pub const VERSIONS: &str = "versions";
    /// JSON: the inputs of a run.
    pub const INPUTS: &str = "inputs";
    /// How a run ended.
    pub const OUTCOME: &str = "outcome";
    /// When it was made.
    pub const MADE: &str = "made";
    /// JSON: the query of a release.
    pub const QUERY: &str = "query";
    /// JSON: the release as published.
    pub const RELEASE: &str = "release";
    /// When the row was recorded.
    pub const RECORDED: &str = "recorded";
    /// Name of the portfolio row.
    pub const SUBJECT: &str = "subject";
    /// Where an exposure stands.
    pub const STATE: &str = "state";
    /// First day of contact.
    pub const FIRST_SEEN: &str = "first_seen";
    /// Last day of contact.
    pub const LAST_SEEN: &str = "last_seen";
    /// Distinct client addresses.
    pub const ADDRESSES: &str = "addresses";
    /// JSON: what was seen, in words.
    pub const EVIDENCE: &str = "evidence";
}
use column as c;

/// A table of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Client × endpoint × grade × signal × vantage × day.
    Sightings,
    /// What each vantage could see on each day. Read it through [`crate::Lake::coverage`],
    /// which leaves out rows of appends that were never completed.
    Coverage,
    /// Look-ups of endpoints that have no client: endpoint × network × vantage × day, never
    /// counted as addresses or organisations. Read it through [`crate::Lake::resolutions`],
    /// which leaves out rows of appends that were never completed.
    Resolutions,
    /// Observations about who held an address.
    Atlas,
    /// Organisations, dated.
    Organisations,
    /// The vantages as last described.
    Vantages,
    /// The catalog as last written; older ones are older versions of the table.
    Catalog,
    /// What was run on what with which versions.
    Runs,
    /// Every published figure as published.
    Releases,
    /// Findings with their history.
    Findings,
}

impl Table {
    /// Every table, in the order the data flows.
    pub const ALL: [Self; 10] = [
        Self::Sightings,
        Self::Coverage,
        Self::Resolutions,
        Self::Atlas,
        Self::Organisations,
        Self::Vantages,
        Self::Catalog,
        Self::Runs,
        Self::Releases,
        Self::Findings,
    ];

    /// The table's folder in the lake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sightings => "sightings",
            Self::Coverage => "coverage",
            Self::Resolutions => "resolutions",
            Self::Atlas => "atlas",
            Self::Organisations => "organisations",
            Self::Vantages => "vantages",
            Self::Catalog => "catalog",
            Self::Runs => "runs",
            Self::Releases => "releases",
            Self::Findings => "findings",
        }
    }

    /// Columns by which the files are split; they are not in the files.
    pub fn partition_columns(self) -> &'static [&'static str] {
        match self {
            Self::Sightings | Self::Coverage | Self::Resolutions => &[c::MONTH],
            _ => &[],
        }
    }

    /// All columns; a partition column last.
    pub fn schema(self) -> SchemaRef {
        let schema = match self {
            Self::Sightings => &SIGHTINGS,
            Self::Coverage => &COVERAGE,
            Self::Resolutions => &RESOLUTIONS,
            Self::Atlas => &ATLAS,
            Self::Organisations => &ORGANISATIONS,
            Self::Vantages => &VANTAGES,
            Self::Catalog => &CATALOG,
            Self::Runs => &RUNS,
            Self::Releases => &RELEASES,
            Self::Findings => &FINDINGS,
        };
        Arc::clone(schema)
    }

    /// The columns that are in the files: all but the partition column.
    pub fn file_schema(self) -> SchemaRef {
        let schema = self.schema();
        let stored = schema.fields().len() - self.partition_columns().len();
        let fields: Vec<_> = schema.fields().iter().take(stored).cloned().collect();
        Arc::new(Schema::new(fields))
    }

    /// Columns by which the rows of a file are sorted.
    pub(crate) fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Sightings => {
                &[c::IP_HI, c::IP_LO, c::DAY, c::ENDPOINT, c::GRADE, c::SIGNAL]
            }
            Self::Coverage => &[c::VANTAGE, c::DAY],
            Self::Resolutions => &[c::ENDPOINT, c::IP_HI, c::IP_LO, c::DAY],
            Self::Atlas => &[c::SOURCE, c::SNAPSHOT, c::FIRST_HI, c::FIRST_LO],
            _ => &[],
        }
    }

    /// Columns whose least and greatest values go into the log, so that a reader can skip
    /// whole files.
    pub(crate) fn bounded_columns(self) -> &'static [&'static str] {
        match self {
            Self::Sightings => &[c::IP_HI, c::IP_LO, c::DAY],
            Self::Coverage | Self::Resolutions => &[c::DAY],
            Self::Atlas => &[c::SNAPSHOT],
            _ => &[],
        }
    }
}

/// Days: UTC calendar days.
const DAY: DataType = DataType::Date32;

/// Instants: microseconds, UTC.
fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

fn must(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn may(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

use DataType::{Binary, Boolean, Float64, Int32, Int64, Utf8};

static SIGHTINGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::VANTAGE, Utf8),
        may(c::SITE, Utf8),
        must(c::IP_HI, Int64),
        must(c::IP_LO, Int64),
        must(c::ENDPOINT, Utf8),
        must(c::GRADE, Utf8),
        must(c::SIGNAL, Utf8),
        must(c::DAY, DAY),
        must(c::CONTACTS, Int64),
        may(c::BYTES_SENT, Int64),
        may(c::PACKETS_SENT, Int64),
        may(c::BYTES_RECEIVED, Int64),
        may(c::PACKETS_RECEIVED, Int64),
        must(c::TCP_FLAGS, Int32),
        must(c::SAMPLING, Int64),
        must(c::FIRST, instant()),
        must(c::LAST, instant()),
        must(c::HOURS, Int32),
        must(c::MONTH, Utf8),
    ]))
});

static COVERAGE: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::VANTAGE, Utf8),
        must(c::DAY, DAY),
        must(c::BATCH, Utf8),
        must(c::FLOWS, Int64),
        must(c::CONTACTS, Int64),
        must(c::LOSSES, Utf8),
        must(c::SAMPLING_MIN, Int64),
        must(c::SAMPLING_MAX, Int64),
        must(c::CONTROL_SAMPLING, Int64),
        must(c::HOURS, Int32),
        must(c::FOOTPRINT_V4, Binary),
        must(c::FOOTPRINT_V6, Binary),
        may(c::EXPORTERS, Utf8),
        must(c::MONTH, Utf8),
    ]))
});

static RESOLUTIONS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::VANTAGE, Utf8),
        must(c::ENDPOINT, Utf8),
        must(c::DAY, DAY),
        must(c::BATCH, Utf8),
        may(c::IP_HI, Int64),
        may(c::IP_LO, Int64),
        may(c::PREFIX_BITS, Int32),
        must(c::COUNT, Int64),
        must(c::FIRST, instant()),
        must(c::LAST, instant()),
        must(c::MONTH, Utf8),
    ]))
});

static ATLAS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::SOURCE, Utf8),
        must(c::SNAPSHOT, DAY),
        may(c::FIRST_HI, Int64),
        may(c::FIRST_LO, Int64),
        may(c::LAST_HI, Int64),
        may(c::LAST_LO, Int64),
        may(c::ASN, Int64),
        must(c::FIELD, Utf8),
        must(c::VALUE, Utf8),
        must(c::DETAIL, Utf8),
    ]))
});

static ORGANISATIONS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ID, Utf8),
        must(c::NAME, Utf8),
        may(c::COUNTRY, Utf8),
        may(c::PARENT, Utf8),
        may(c::SECTOR, Utf8),
        must(c::OTHER_SECTORS, Utf8),
        must(c::SOURCE, Utf8),
        must(c::VALID_FROM, DAY),
        must(c::VALID_TO, DAY),
    ]))
});

static VANTAGES: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ID, Utf8),
        must(c::SITE, Utf8),
        must(c::HOLDER, Utf8),
        must(c::NAME, Utf8),
        may(c::COUNTRY, Utf8),
        may(c::PARENT, Utf8),
        may(c::SECTOR, Utf8),
        must(c::DEFINITION, Utf8),
    ]))
});

static CATALOG: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ENDPOINT, Utf8),
        must(c::PRODUCT, Utf8),
        must(c::ROLE, Utf8),
        must(c::WEIGHT, Utf8),
        must(c::MATCH, Utf8),
        must(c::PATTERN, Utf8),
        must(c::PORTS, Utf8),
        must(c::VALID_FROM, DAY),
        must(c::VALID_TO, DAY),
        must(c::EXCLUSIVE, Boolean),
        must(c::SOURCE, Utf8),
        must(c::CONFIDENCE, Utf8),
        must(c::NOTE, Utf8),
        must(c::VERSION, Utf8),
    ]))
});

static RUNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ID, Utf8),
        must(c::STARTED, instant()),
        must(c::FINISHED, instant()),
        must(c::VERB, Utf8),
        must(c::ARGUMENTS, Utf8),
        must(c::VERSIONS, Utf8),
        must(c::INPUTS, Utf8),
        must(c::OUTCOME, Utf8),
    ]))
});

static RELEASES: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ID, Utf8),
        must(c::MADE, instant()),
        must(c::QUERY, Utf8),
        must(c::RELEASE, Utf8),
    ]))
});

static FINDINGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        must(c::ID, Utf8),
        must(c::RECORDED, instant()),
        must(c::SUBJECT, Utf8),
        must(c::PRODUCT, Utf8),
        must(c::STATE, Utf8),
        may(c::FIRST_SEEN, DAY),
        may(c::LAST_SEEN, DAY),
        must(c::DAYS, Int32),
        must(c::ADDRESSES, Int64),
        must(c::EVIDENCE, Utf8),
        must(c::CONFIDENCE, Float64),
    ]))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_delta_has() {
        for table in Table::ALL {
            for field in table.schema().fields() {
                let known = matches!(
                    field.data_type(),
                    &(Utf8 | Int32 | Int64 | Float64 | Boolean | Binary | DAY)
                ) || *field.data_type() == instant();
                assert!(known, "{} of {}", field.name(), table.name());
            }
        }
    }

    #[test]
    fn partition_columns_stand_last() {
        for table in Table::ALL {
            let (schema, files) = (table.schema(), table.file_schema());
            let last: Vec<_> = schema
                .fields()
                .iter()
                .skip(files.fields().len())
                .map(|f| f.name())
                .collect();
            assert_eq!(last, table.partition_columns(), "{}", table.name());
        }
    }
}
