//! Input that could not be used: where and why.
//!
//! **Invariant:** a loss is returned beside the good records, counted and carried into
//! [`crate::Coverage`]; no decoder fills a gap with zeros or skips it in silence.

use std::fmt;

use crate::{Address, Day};

/// One unusable piece of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Byte offset in the (decompressed) input where the unusable piece begins.
    pub offset: u64,
    /// Line number, from 1, for formats made of lines.
    pub line: Option<u64>,
    /// Why it could not be used.
    pub reason: Reason,
    /// The UTC day it belongs to, as far as the input tells: that of the nearest good
    /// record before it.
    pub day: Option<Day>,
    /// How many records it is, at least 1: where the input tells (a gap of an exporter's
    /// sequence numbers, in the unit in which it counts), more.
    pub count: u64,
    /// Whose record it was, for telemetry that is exported.
    pub exporter: Option<Address>,
}

impl Loss {
    /// One record, of which nothing but its place is known.
    pub fn at(offset: u64, reason: Reason) -> Self {
        Self { offset, line: None, reason, day: None, count: 1, exporter: None }
    }
}

/// Why a piece of input could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The input ends inside a record.
    Truncated,
    /// The compressed stream is damaged from here on.
    Compression,
    /// A line has another number of columns than its header says.
    ColumnCount,
    /// A column that every record needs is absent from the header.
    ColumnMissing,
    /// A value cannot be read as its type.
    Value,
    /// The line is not JSON, not UTF-8, or not text at all.
    Syntax,
    /// The time is before 1990 or more than a day after the input was read.
    Time,
    /// A length field contradicts the bytes that are there.
    Length,
    /// The link layer, tunnel or encapsulation is not one we read.
    LinkType,
    /// A later fragment of a packet whose first fragment was not seen, or a fragment that
    /// overlaps one before it.
    Fragment,
    /// The format was not recognised.
    Format,
    /// A limit on memory or size was reached; what was over it was dropped.
    Limit,
    /// Packets cut by the capture's snap length, where what was cut was needed.
    Snapped,
    /// An address that cannot be a client, such as multicast, as originator.
    Address,
    /// Records whose template never came, or was over the bounds of what is held.
    Template,
    /// Records that an exporter counted and we never received: a gap in its sequence.
    Gap,
}

impl Reason {
    /// Every reason, in the order of the enum: for tables and metrics.
    pub const ALL: [Self; 16] = [
        Self::Truncated,
        Self::Compression,
        Self::ColumnCount,
        Self::ColumnMissing,
        Self::Value,
        Self::Syntax,
        Self::Time,
        Self::Length,
        Self::LinkType,
        Self::Fragment,
        Self::Format,
        Self::Limit,
        Self::Snapped,
        Self::Address,
        Self::Template,
        Self::Gap,
    ];

    /// The word used in columns, metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Compression => "compression",
            Self::ColumnCount => "column_count",
            Self::ColumnMissing => "column_missing",
            Self::Value => "value",
            Self::Syntax => "syntax",
            Self::Time => "time",
            Self::Length => "length",
            Self::LinkType => "link_type",
            Self::Fragment => "fragment",
            Self::Format => "format",
            Self::Limit => "limit",
            Self::Snapped => "snapped",
            Self::Address => "address",
            Self::Template => "template",
            Self::Gap => "gap",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
