//! Use that is not always seen: hidden states behind detections.
//!
//! * [`capture`]: Cormack-Jolly-Seber, staying and being seen again;
//! * [`season`]: occupancy of sites in one season or several;
//! * [`weekly`]: organisations week by week, jointly with control products.
//!
//! **Invariant:** a probability is reported only where the likelihood has a top inside
//! its range; a model that cannot tell two things apart refuses, and says which two.

pub mod capture;
mod optimum;
pub mod season;
pub mod weekly;

pub(crate) use optimum::{Objective, logistic, logit, minimise};
