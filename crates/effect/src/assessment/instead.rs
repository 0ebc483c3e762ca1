//! What the cohort was seen to use instead, with what is not known as a band of its own.
//!
//! **Invariant:** who was not seen is `nothing` only where controls were seen, else
//! `invisible`, and neither is counted as a rival's ([`crate::substitution`]); without a
//! panel of a rival nothing is told.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::panel::{History, Panel};

use super::{ALL, GROUP_MIN, Grounds, Reading, Refused};
use crate::substitution::{Order, State, Transitions, orders, transitions};

pub(super) const REPLACED: &str =
    "of those no longer seen with the product, with a rival";
pub(super) const ORDER: &str = "of those who went to a rival, within two weeks";

/// States after, of those who had the product before, and what a reading of each says.
pub const WAYS: [(State, &str); 5] = [
    (State::Product, "product before, product alone after"),
    (State::Both, "product before, product and rival after"),
    (State::Rival, "product before, rival alone after"),
    (State::Nothing, "product before, neither after though controls were seen"),
    (State::Invisible, "product before, not even controls after: unknown"),
];

pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let mut out = of(grounds, ALL, |_| true);
    let addressed = grounds.addressed();
    match grounds.apart() {
        Ok(()) => {
            let is = |of: &History| of.country == Some(addressed);
            out.extend(of(grounds, &addressed.to_string(), is));
        }
        Err(refused) => {
            out.push(Reading::of(REPLACED, addressed, "share").refuse(refused));
        }
    }
    out
}

fn of(
    grounds: &Grounds<'_>,
    whom: &str,
    belongs: impl Fn(&History) -> bool,
) -> Vec<Reading> {
    let asked = grounds.asked;
    let histories = asked.panel.histories.iter().filter(|h| belongs(h)).cloned();
    let panel = Panel {
        histories: histories.collect(),
        product: asked.panel.product.clone(),
        days: asked.panel.days,
    };
    let replaced = Reading::of(REPLACED, whom, "share");
    let found = match transitions(&panel, asked.rivals, asked.windows, asked.active) {
        Ok(found) => found,
        Err(error) => return vec![replaced.refuse(Refused::of(error))],
    };
    let rivals: Vec<&str> = asked.rivals.iter().map(|r| r.product.as_str()).collect();
    let method = format!("as seen, rivals {}", rivals.join(", "));
    let from = [State::Product, State::Both];
    let count = |to: State| -> u64 { from.iter().map(|f| found.count(*f, to)).sum() };
    let n: u64 = WAYS.iter().map(|(to, _)| count(*to)).sum();
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if size(n) < GROUP_MIN
        || !WAYS.iter().all(|(to, _)| grounds.may_tell(size(count(*to))))
    {
        let words = "too few organisations went one of the ways";
        return vec![replaced.refuse(Refused::by("disclosure", words))];
    }
    let mut out: Vec<Reading> = WAYS
        .iter()
        .map(|(to, what)| {
            let share = Transitions::share_of(count(*to), n);
            Reading::of(*what, whom, "share")
                .on(size(n), "organisations")
                .is(share.value, share.low, share.high)
                .by(
                    format!("{method}; Dirichlet, middle 95 %"),
                    "a rival seen is a rival used; products that are not in the catalog \
                     are not seen",
                )
        })
        .collect();
    out.push(match found.replaced() {
        // The ends are bounds: none of those not seen, or all of them.
        Some((low, high)) => Reading {
            low: Some(low),
            high: Some(high),
            ..replaced.on(
                size(n - count(State::Product) - count(State::Both)),
                "organisations",
            )
        }
        .by(
            format!("{method}; ends: none, or all, of those out of sight went to a rival"),
            "no sampling error is in the ends; who is in sight with neither uses neither",
        ),
        None => replaced.refuse(Refused::by("removal-needed", "nobody left")),
    });
    out.push(in_order(grounds, &panel, whom));
    out
}

/// Of those who were seen with a rival and no longer with the product, how many began with
/// it about when they ended with the product: only that looks like a replacement.
fn in_order(grounds: &Grounds<'_>, panel: &Panel, whom: &str) -> Reading {
    let asked = grounds.asked;
    let after = asked.windows.after();
    let gone: BTreeSet<_> = crate::activity::organisations(panel)
        .into_iter()
        .filter(|h| asked.active.holds(h, panel.days, asked.windows.before()))
        .filter(|h| h.seen_days(panel.days, after) == 0)
        .map(|h| h.organisation)
        .collect();
    let mut best: BTreeMap<_, Order> = BTreeMap::new();
    for rival in asked.rivals {
        for (id, order) in orders(panel, rival) {
            if gone.contains(&id) {
                let known = best.entry(id).or_insert(order);
                if order == Order::Replaced {
                    *known = order;
                }
            }
        }
    }
    let n = best.len();
    let k = best.values().filter(|o| **o == Order::Replaced).count();
    let reading = Reading::of(ORDER, whom, "share").on(n, "organisations");
    if n < GROUP_MIN || ![k, n - k].into_iter().all(|part| grounds.may_tell(part)) {
        let words = "too few organisations went to a rival, or not in this order";
        return reading.refuse(Refused::by("disclosure", words));
    }
    let [k, n] = [k, n].map(|of| u64::try_from(of).unwrap_or(u64::MAX));
    match crate::interval::wilson(k, n) {
        Some(i) => reading.is(super::count_share(k, n), i.low, i.high).by(
            "first sighting of a rival within 14 days of the last of the product; Wilson",
            "others used both at once, or took the rival much later",
        ),
        None => reading.refuse(Refused::by("removal-needed", "nobody left")),
    }
}
