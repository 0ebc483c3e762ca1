//! How sure it is that an exposure is there today.
//!
//! With `c` the score of the evidence in the four weeks up to the last contact, `t` the
//! days since, `H` = [`HALF_LIFE_DAYS`], and `q` the chance that a user would have been
//! missed in every quiet week since:
//!
//! ```text
//! prior = c · 2^(-t / H)          confidence = prior · q / (prior · q + 1 - prior)
//! ```
//!
//! **Invariant:** without new evidence it never rises as days go by; a new contact starts
//! it anew.

use std::collections::BTreeMap;

use tidegauge_model::{Day, Prefix};

use super::silence::Silence;
use super::{CONTACT_DAYS, Combine, Facts};
use crate::chance::Chance;
use crate::mask;

/// Days after which half the confidence is gone where nobody looked: products are removed,
/// and networks change hands, within months. Picked by hand, revisit.
pub const HALF_LIFE_DAYS: f64 = 60.0;

/// The confidence on `as_of`.
pub(super) fn today(
    facts: &Facts<'_>,
    last: Day,
    as_of: Day,
    silence: &Silence,
    combine: Combine<'_>,
) -> Chance {
    // Addresses of one network are one observation.
    let mut clusters: BTreeMap<Prefix, f64> = BTreeMap::new();
    let recent = |day: Day| last.0 - day.0 < CONTACT_DAYS;
    for seen in facts.seen.iter().filter(|seen| recent(seen.day)) {
        let best = clusters.entry(mask::masked(seen.network)).or_default();
        *best = best.max(seen.probability.value());
    }
    let score = combine(&mut clusters.into_values()).clamp(0.0, 1.0);
    let days = f64::from(as_of.0 - last.0).max(0.0);
    let prior = score * (-days / HALF_LIFE_DAYS).exp2();
    let there = prior * silence.missed;
    let any = there + 1.0 - prior;
    // A score of one and silence that cannot miss contradict each other: nothing is known.
    Chance::near(if any > 0.0 { there / any } else { 0.0 })
}
