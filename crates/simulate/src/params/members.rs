//! Countries and sectors, as far as they may be turned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::country::{COUNTRIES, Course, Removal};
use crate::targets::{SECTORS_ELSEWHERE, US_SECTORS};

/// Which course a country follows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum CourseName {
    /// The dated steps of the United States.
    Steps,
    /// Evenly.
    Gradual,
    /// Partly evenly, partly after the steps abroad.
    Spillover,
}

impl From<Course> for CourseName {
    fn from(course: Course) -> Self {
        match course {
            Course::Steps => Self::Steps,
            Course::Gradual => Self::Gradual,
            Course::Spillover => Self::Spillover,
        }
    }
}

/// A country.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountryShape {
    /// Organisations in April, relative to other countries; unused for the United States.
    pub weight: f64,
    /// Consumer addresses in April, relative.
    pub consumers: f64,
    /// Removal that is seen from April to November; without it, what the world's total
    /// leaves. Unused for the United States.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal: Option<f64>,
    /// Hazard relative to other countries without a removal of their own.
    pub hazard: f64,
    /// How the fall spreads.
    pub course: CourseName,
    /// Offset of office hours from UTC, in hours.
    pub utc: i8,
}

impl Default for CountryShape {
    fn default() -> Self {
        Self {
            weight: 1.0,
            consumers: 1.0,
            removal: None,
            hazard: 1.0,
            course: CourseName::Gradual,
            utc: 0,
        }
    }
}

/// A sector of the United States.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SectorShape {
    /// Share of the country's organisations in April.
    pub share: f64,
    /// Hazard relative to the country's; unused for government.
    pub hazard: f64,
}

impl Default for SectorShape {
    fn default() -> Self {
        Self { share: 0.0, hazard: 1.0 }
    }
}

pub(super) fn countries() -> BTreeMap<String, CountryShape> {
    let of = |c: &crate::country::Country| {
        let (removal, hazard) = match c.removal {
            Removal::Fixed(removal) => (Some(removal), 1.0),
            Removal::Rest(hazard) => (None, hazard),
        };
        let shape = CountryShape {
            weight: c.weight,
            consumers: c.consumers,
            removal,
            hazard,
            course: c.course.into(),
            utc: c.utc,
        };
        (c.code.to_owned(), shape)
    };
    COUNTRIES.iter().map(of).collect()
}

pub(super) fn us_sectors() -> BTreeMap<String, SectorShape> {
    let of = |s: &crate::targets::UsSector| {
        (s.id.to_owned(), SectorShape { share: s.share, hazard: s.hazard })
    };
    US_SECTORS.iter().map(of).collect()
}

pub(super) fn sectors_elsewhere() -> BTreeMap<String, f64> {
    SECTORS_ELSEWHERE.iter().map(|(id, weight)| ((*id).to_owned(), *weight)).collect()
}
