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
}
