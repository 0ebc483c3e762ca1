//! How a fall spreads over the year.

use serde::{Deserialize, Serialize};
use tidegauge_model::Day;

use super::sensors::day;

/// A step after which more of the fall happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// The day of the step.
    pub at: Day,
    /// How much of the fall, relative to the other parts of the course.
    pub weight: f64,
    /// Days in which all but 1/e of it has happened.
    pub days: f64,
}

/// An even part and bursts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CourseShape {
    /// How much of the fall is even from April to November.
    pub even: f64,
    /// The rest.
    pub bursts: Vec<Burst>,
}

impl Default for CourseShape {
    fn default() -> Self {
        Self { even: 1.0, bursts: Vec::new() }
    }
}

/// The courses that countries follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Courses {
    /// Before April the even part runs at this share of its later rate (ours: the
    /// published window begins in April).
    pub early: f64,
    /// The dated steps of the United States, announcement first: who leaves between it
    /// and the effective date anticipates.
    pub steps: CourseShape,
    /// Evenly.
    pub gradual: CourseShape,
    /// Partly evenly, partly after steps abroad.
    pub spillover: CourseShape,
    /// Consumers of the United States: moved to another product by the vendor.
    pub migrated: CourseShape,
}

const ANNOUNCED: &str = "2024-06-20";
const SALES_END: &str = "2024-07-20";
const MIGRATION: &str = "2024-09-17";
const UPDATES_END: &str = "2024-09-29";

fn shape(even: f64, bursts: &[(&str, f64, f64)]) -> CourseShape {
    let burst = |(at, weight, days): &(&str, f64, f64)| Burst {
        at: day(at),
        weight: *weight,
        days: *days,
    };
    CourseShape { even, bursts: bursts.iter().map(burst).collect() }
}

impl Default for Courses {
    fn default() -> Self {
        Self {
            early: 0.2,
            steps: shape(
                0.15,
                &[
                    (ANNOUNCED, 0.22, 25.0),
                    (SALES_END, 0.18, 20.0),
                    (MIGRATION, 0.08, 10.0),
                    (UPDATES_END, 0.37, 12.0),
                ],
            ),
            gradual: shape(1.0, &[]),
            spillover: shape(0.6, &[(ANNOUNCED, 0.2, 40.0), (UPDATES_END, 0.2, 30.0)]),
            // Three quarters in the migration.
            migrated: shape(
                0.10,
                &[
                    (SALES_END, 0.12, 30.0),
                    (MIGRATION, 0.75, 0.8),
                    (UPDATES_END, 0.03, 20.0),
                ],
            ),
        }
    }
}
