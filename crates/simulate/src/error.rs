//! What can go wrong, by who must act.

use std::path::PathBuf;

/// Why a world was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The parameter file is not TOML of the right shape: its author must act.
    #[error("the parameters could not be read: {source}")]
    Toml {
        /// What the reader said, with line and column.
        source: toml::de::Error,
    },
    /// A parameter is out of range: its author must act.
    #[error("parameter `{name}` is {value}\nhint: {hint}")]
    Parameter {
        /// Which one.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        hint: &'static str,
    },
    /// The members of a country do not fit into the plan of addresses: the author of the
    /// parameters must act.
    #[error(
        "{country} would have {members} organisations\nhint: at most {most}; a smaller weight"
    )]
    Crowded {
        /// Its code.
        country: &'static str,
        /// In the full-size world.
        members: u32,
        /// As many as there is room for.
        most: u32,
    },
    /// A file could not be written: disk or rights.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A Parquet file could not be encoded or written.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: parquet::errors::ParquetError,
    },
    /// A CSV file could not be encoded or written.
    #[error("{}: {source}", path.display())]
    Csv {
        /// Which file.
        path: PathBuf,
        /// What the encoder said.
        source: csv::Error,
    },
    /// A file of the truth folder could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row of the truth folder lacks a field, or it is not of its kind.
    #[error("{}, line {line}: `{column}` is absent or not of its kind", path.display())]
    Truth {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column.
        column: &'static str,
    },
    /// A document is no assessment.
    #[error("this is no assessment: {source}\nhint: tidegauge assess --format json")]
    Assessment {
        /// What the reader said.
        source: serde_json::Error,
    },
    /// An assessment is about other times than the world's.
    #[error("the window {first} to {last} is not in the world's year, 2024")]
    Window {
        /// First day.
        first: tidegauge_model::Day,
        /// Last day.
        last: tidegauge_model::Day,
    },
}
