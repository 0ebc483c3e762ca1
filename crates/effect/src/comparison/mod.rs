//! What an act did to those it touched, against those it did not.
//!
//! * [`staggered`]: group-time effects where acts came at different times (Callaway and
//!   Sant'Anna 2021);
//! * [`synthetic`]: one treated unit against a weighted sum of donors, with placebo ranks;
//! * [`spillover`]: controls by exposure, leave-one-out and dealt-out dates for group-time
//!   effects, and the least effect that a design could find.
//!
//! **Invariant:** both need units that the act left alone. Whether it did is an assumption
//! no figure here can test: spillover into the controls biases every effect towards none.

pub mod spillover;
pub mod staggered;
pub mod synthetic;
