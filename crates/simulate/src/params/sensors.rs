//! The vantages and the registry.

use serde::{Deserialize, Serialize};
use tidegauge_model::Day;

/// A vantage that samples packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exchange {
    /// Share of organisations whose traffic crosses it, 0 to 1.
    pub sees: f64,
    /// One packet in so many.
    pub sampling: u32,
    /// From this day one in `sampling_later`.
    pub sampling_changes: Day,
    /// The later rate.
    pub sampling_later: u32,
    /// Days without any record.
    pub outage: Vec<Day>,
}

/// A vantage that sees each flow that crosses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Carrier {
    /// Share of organisations of which it carries part of the traffic, 0 to 1.
    pub sees: f64,
    /// One flow in so many takes this route; the rest goes elsewhere.
    pub route_packets: u32,
    /// Days without any record.
    pub outage: Vec<Day>,
}

/// Rates per registry row of an organisation, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryErrors {
    /// The row is absent. Half of these appear in the second snapshot.
    pub missing: f64,
    /// The row names another organisation of the country, in both snapshots.
    pub wrong: f64,
    /// The row names the organisation by a former identity. Half of these are corrected
    /// in the second snapshot.
    pub stale: f64,
    /// The row names the access provider that rents the prefix out, in both snapshots.
    pub provider_held: f64,
}

pub(super) fn day(text: &str) -> Day {
    text.parse().expect("dates of this folder are well formed")
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            sees: 0.62,
            sampling: 1000,
            sampling_changes: day("2024-08-01"),
            sampling_later: 1200,
            outage: vec![day("2024-05-14"), day("2024-05-15")],
        }
    }
}

impl Default for Carrier {
    fn default() -> Self {
        Self { sees: 0.72, route_packets: 1000, outage: vec![day("2024-10-08")] }
    }
}

impl Default for RegistryErrors {
    fn default() -> Self {
        Self { missing: 0.01, wrong: 0.01, stale: 0.02, provider_held: 0.0 }
    }
}

impl RegistryErrors {
    /// Share of rows that err in any way.
    pub(crate) fn sum(self) -> f64 {
        self.missing + self.wrong + self.stale + self.provider_held
    }
}
