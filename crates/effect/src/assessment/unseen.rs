//! Organisations in use that no vantage saw: a lower bound of their number, from what
//! several vantages saw in common in one window.
//!
//! **Invariant:** a number is told only where vantages look at the same networks
//! ([`crate::unseen`]), and always as the least it can be; low and high are ends over
//! models, not over what vantages that share an upstream hide.

use tidegauge_model::DayRange;

use super::{ALL, Grounds, Reading, Refused};
use crate::interval::as_f64;
use crate::unseen::{AtLeast, COMMON_MIN, Sets, UnseenRefused, chapman, log_linear};

pub(super) const AT_LEAST: [&str; 2] = [
    "organisations in use in the window before, seen or not, at least",
    "organisations in use in the window after, seen or not, at least",
];

/// The least there were in each window.
pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let windows = grounds.asked.windows;
    let each = AT_LEAST.into_iter().zip([windows.before(), windows.after()]);
    each.map(|(what, days)| at_least(grounds, what, days)).collect()
}

fn at_least(grounds: &Grounds<'_>, what: &str, days: DayRange) -> Reading {
    let asked = grounds.asked;
    let reading = Reading::of(what, ALL, "organisations");
    let sets = match Sets::of(asked.panel, days, asked.active) {
        Ok(sets) => sets,
        Err(error) => return reading.refuse(Refused::of(error)),
    };
    let seen: u64 = sets.counts.values().sum();
    let n = usize::try_from(seen).unwrap_or(usize::MAX);
    if n == 0 || !grounds.may_tell(n) {
        let words = format!("fewer than {} organisations were seen", asked.cell_min);
        return reading.refuse(Refused::by("disclosure", words));
    }
    let reading = reading.on(n, "organisations");
    match by_all(&sets).or_else(|refused| by_two(&sets).ok_or(refused)) {
        Ok((found, method)) => {
            // What was seen was there.
            let low = found.low.max(as_f64(seen));
            let found = reading.is(found.value.max(low), low, found.high);
            found.by(
                method,
                "vantages see organisations independently of each other and all \
                 organisations alike, which is never so: there are at least as many; nobody \
                 came or went inside the window",
            )
        }
        Err(error) => reading.refuse(Refused::of(error)),
    }
}

/// By the log-linear models of all vantages: that of least criterion, with ends over all.
fn by_all(sets: &Sets) -> Result<(AtLeast, String), UnseenRefused> {
    let found = log_linear(sets)?;
    let best = found.models.first().ok_or(UnseenRefused::NoModel)?.total;
    let (low, high) = (best.low.min(found.range.0), best.high.max(found.range.1));
    let method = format!(
        "log-linear, {} models of {} vantages; ends: least and greatest over models and \
         the best one's profile likelihood",
        found.models.len(),
        sets.vantages.len()
    );
    Ok((AtLeast { low, high, ..best }, method))
}

/// By the two vantages that saw most in common, if they saw enough.
fn by_two(sets: &Sets) -> Option<(AtLeast, String)> {
    let seen = |all: usize| -> u64 {
        sets.counts.iter().filter(|(set, _)| **set & all == all).map(|(_, n)| n).sum()
    };
    let size = sets.vantages.len().min(usize::BITS as usize - 1);
    let pairs = (0..size).flat_map(|a| (a + 1..size).map(move |b| (a, b)));
    let (common, a, b) = pairs.map(|(a, b)| (seen(1 << a | 1 << b), a, b)).max()?;
    if common < COMMON_MIN {
        return None;
    }
    let found = chapman(seen(1 << a), seen(1 << b), common).ok()?;
    let [first, second] = [&sets.vantages[a], &sets.vantages[b]];
    Some((found, format!("Chapman, {first} and {second}, {common} in common")))
}
