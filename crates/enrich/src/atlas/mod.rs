//! The atlas: who held an address on a day.
//!
//! ```text
//! table ─► load ─► Observation (stored) ─► Atlas::build ─► HolderMap ─► tenures, diff
//!           └ Loss                          ▲      └─► look-up
//!                                           Rules: tags, sectors, identity, known, gap
//! ```
//!
//! What is stored is what each table said on the day of its snapshot. Everything else is
//! decided here, at look-up, and can be decided again:
//!
//! * **Which source wins.** A holder row over a provider's own list, that over the user
//!   whom a registry names, that over a routing table. Of several sources of one kind, the first by name that says anything of the
//!   address. What a tag of the range means for kind and sharing stands over all but a
//!   holder row. Delegations are shown by a look-up and decide nothing.
//! * **Which row wins** where rows of one table overlap: the narrower.
//! * **Between two snapshots** of a source the earlier holds until the later
//!   ([`Gap::Carry`]), or [`Gap`] says otherwise where they differ. Before the first
//!   snapshot the first holds, after the last the last; [`Held::standing`] tells how
//!   directly a day is proven, so that the share decided like this can be printed.
//! * **Whose a registered range is.** A registry's object names an organisation and what it
//!   was given the range for: `sectors/tags.toml` says for which words the organisation
//!   uses the range itself. Then it is the holder; where it is also the organisation of the
//!   AS, the AS tells more. For other words, and where nobody is named, the AS decides.
//! * **Who is one organisation.** AS and ranges under one handle of a registry, and what a
//!   file of people puts together ([`Identity`]).
//! * **What an AS is.** Without a holder row the organisation is the one that the AS is
//!   registered to, `org:HANDLE`, so that AS with one handle are one organisation; where no
//!   table tells, the origin AS itself, `as:64496`. Its kind and sector are those of its tags and class
//!   ([`Tags`]). An AS of which nothing is said has kind `unknown`: its name is never
//!   read for hints, since "Telecom" in a name is not evidence. Facts on AS are always
//!   carried between snapshots.
//! * **Several AS that announce one range**: the first that the source names, with half the
//!   confidence unless they are of one organisation.
//! * **Private clients** belong to the holder of their vantage.
//!
//! **Invariant:** the same observations, in any order, give the same atlas.

mod ask;
mod build;
mod confidence;
mod diff;
mod draw;
mod grounds;
mod held;
mod identity;
mod load;
mod lookup;
mod map;
mod networks;
mod ranges;
mod row;
mod tags;

use std::io;

use tidegauge_model::sector::BadSectors;
use tidegauge_model::{Day, Gap, SectorId, Sectors, SourceId};

pub use build::{Atlas, Notes, Table};
pub use confidence::Confidence;
pub use diff::{Cause, Change, Diff, Move, Place, Reattribution, Share, Turnover};
pub use draw::{DrawnMap, Draws};
pub use grounds::{Ground, grounds};
pub use held::Held;
pub use identity::{BadIdentity, Identity, normal_name};
pub use load::{Cloud, Loaded, Mapping, SourceKind, load};
pub use lookup::{Explained, Opinion, Relation, Why};
pub use map::{BadMap, HolderMap};
pub use tags::Tags;

/// The list of sectors, in `sectors/`.
pub const SECTORS_FILE: &str = "sectors.toml";
/// What tags and classes mean, in `sectors/`.
pub const TAGS_FILE: &str = "tags.toml";

/// How observations are read.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What tags and classes mean.
    pub tags: Tags,
    /// The sectors there are; a holder row that names another has no sector.
    pub sectors: Sectors,
    /// Which ids are one organisation, and what people know of it.
    pub identity: Identity,
    /// Snapshots later than this are left out.
    pub known: Option<Day>,
    /// How gaps between snapshots are filled.
    pub gap: Gap,
    /// What holds before the first snapshot of a source: it is carried back, or with half
    /// its confidence, or the source says nothing yet.
    pub before_first: Gap,
}

impl Rules {
    /// The rules that the project ships.
    pub fn built_in() -> Self {
        let text = |wanted: &str| {
            let mut files = crate::built_in::SECTORS.iter();
            files.find(|(name, _)| *name == wanted).map_or("", |(_, text)| *text)
        };
        Self::read(text(SECTORS_FILE), text(TAGS_FILE))
            .expect("the files of the source tree are read by a test")
    }

    /// Reads the texts of `sectors.toml` and `tags.toml`. Nothing is left out, gaps are
    /// carried.
    pub fn read(sectors: &str, tags: &str) -> Result<Self, AtlasError> {
        let sectors = Sectors::read(sectors).map_err(AtlasError::Sectors)?;
        let tags = Tags::read(tags).map_err(AtlasError::Tags)?;
        if let Some(unknown) =
            tags.sectors().find(|s| sectors.get(s.as_str()).is_none())
        {
            return Err(AtlasError::UnknownSector { sector: unknown.clone() });
        }
        let identity = Identity::default();
        let (gap, before_first) = (Gap::Carry, Gap::Carry);
        Ok(Self { tags, sectors, identity, known: None, gap, before_first })
    }
}

/// Why an atlas could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AtlasError {
    /// The input ended in an error: a damaged archive, a failing disk.
    #[error("table {table} cannot be read from line {line} on; nothing of it is used")]
    Read {
        /// The table.
        table: SourceId,
        /// The first line that is missing.
        line: u64,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
    /// The header lacks a column.
    #[error("table {table}, line {line}: the header has no column `{missing}`")]
    Header {
        /// The table.
        table: SourceId,
        /// Where the header stands.
        line: u64,
        /// Names, any of which would do.
        missing: String,
    },
    /// The document is not JSON to its end.
    #[error("table {table} cannot be read after byte {byte}; nothing of it is used")]
    Json {
        /// The table.
        table: SourceId,
        /// How far it was read.
        byte: u64,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// The file of records ends too soon, or is another.
    #[error("table {table} cannot be read after byte {byte}; nothing of it is used")]
    Bytes {
        /// The table.
        table: SourceId,
        /// Where the last whole record ends.
        byte: u64,
        /// What is wrong.
        #[source]
        error: io::Error,
    },
    /// The file is not a whole MMDB.
    #[error("table {table} is not a sound MMDB file; nothing of it is used")]
    Mmdb {
        /// The table.
        table: SourceId,
        /// What is wrong.
        #[source]
        error: maxminddb::MaxMindDbError,
    },
    /// The document is of another form.
    #[error("table {table} holds no list of the kind asked for; is it another file?")]
    NoList {
        /// The table.
        table: SourceId,
    },
    /// No such kind of table.
    #[error("`{word}` is not a kind of table: {}", SourceKind::WORDS)]
    Kind {
        /// What was asked for.
        word: String,
    },
    /// `sectors.toml` is wrong.
    #[error("sectors/sectors.toml: {0}")]
    Sectors(#[source] BadSectors),
    /// `tags.toml` is wrong.
    #[error("sectors/tags.toml: {0}")]
    Tags(#[source] toml::de::Error),
    /// `tags.toml` names a sector that `sectors.toml` has not.
    #[error("sectors/tags.toml: `{sector}` is not in sectors/sectors.toml")]
    UnknownSector {
        /// The sector.
        sector: SectorId,
    },
}
