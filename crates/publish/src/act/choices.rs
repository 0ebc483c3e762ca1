//! Cohort removal under every set of choices that could have been made.
//!
//! **Invariant:** every set is drawn and listed, whatever it gives.

use super::About;
use crate::assessment::Choices;
use crate::country;
use crate::figure::{Chart, ChoiceSet, ChoicesChart, Figure};
use crate::number::{counted, percent, windows};
use crate::tables::{self, Table};

/// Groups that are drawn, the first that is there in colour: the addressee, then others.
const WHOLE: &str = "all";
const REST: &str = "rest";

/// The figure; `None` if there are no two sets with a figure.
pub(super) fn figure(sets: &[Choices], about: &About) -> Option<Figure> {
    let code = about.country.to_string();
    let told =
        |group: &str| sets.iter().filter(|s| value(s, group).is_some()).count() > 1;
    let groups: Vec<(&str, String)> =
        [(code.as_str(), country::name(&code)), (REST, "Others".to_owned())]
            .into_iter()
            .filter(|(key, _)| told(key))
            .collect();
    let groups = if groups.is_empty() && told(WHOLE) {
        vec![(WHOLE, "All".to_owned())]
    } else {
        groups
    };
    let (main, _) = groups.first()?;
    let mut order: Vec<&Choices> = sets.iter().collect();
    order.sort_by(|a, b| key(a, main).total_cmp(&key(b, main)));
    let known: Vec<f64> = order.iter().filter_map(|s| value(s, main)).collect();
    let title = title(&groups, sets, &known)?;
    Some(Figure {
        id: "choices",
        description: format!("{title}. A column each; the table has them."),
        title,
        subtitle: format!(
            "Cohort removal, {}, under {}",
            windows(about.before, about.after),
            counted(u64::try_from(sets.len()).unwrap_or(0), "set of choices", "sets of choices")
        ),
        caveat: "Visibility not separated from usage.".to_owned(),
        source: None,
        notes: vec![
            "A column is one set; marks below say what was chosen. No dot: too few organisations. \
             Shorter windows are the \
             first half of the windows. Weights, roles and kinds of networks are no choice here: \
             they need another panel."
                .to_owned(),
        ],
        chart: Chart::Choices(chart(&groups, &order)),
        table: table(&groups, &order),
    })
}

fn value(set: &Choices, group: &str) -> Option<f64> {
    set.removal.iter().find(|(name, _)| name == group).and_then(|(_, value)| *value)
}

/// Where a set stands: those without a figure last.
fn key(set: &Choices, group: &str) -> f64 {
    value(set, group).unwrap_or(f64::INFINITY)
}

fn title(groups: &[(&str, String)], sets: &[Choices], known: &[f64]) -> Option<String> {
    let (main, _) = groups.first()?;
    let place = match *main {
        WHOLE => String::new(),
        code => format!(" in {}", country::in_sentence(code)),
    };
    let (low, high) = (percent(*known.first()?), percent(*known.last()?));
    let between = format!(
        "Under one choice or another, removal{place} as seen is {low} to {high}"
    );
    let both = sets.iter().filter_map(|s| Some((value(s, main)?, value(s, REST)?)));
    let both: Vec<(f64, f64)> = both.collect();
    if groups.len() < 2 || both.is_empty() {
        return Some(between);
    }
    let greater = match both.iter().filter(|(own, rest)| own > rest).count() {
        0 => "none".to_owned(),
        some => some.to_string(),
    };
    Some(format!(
        "{between}, and above that of others under {greater} of {} choices",
        both.len()
    ))
}

/// Names of choices in their order, and of each its values in order.
fn choices(sets: &[&Choices]) -> Vec<(String, Vec<String>)> {
    let mut choices: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in sets.iter().flat_map(|set| &set.chosen) {
        match choices.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if values.contains(value) => {}
            Some((_, values)) => values.push(value.clone()),
            None => choices.push((name.clone(), vec![value.clone()])),
        }
    }
    for (_, values) in &mut choices {
        values.sort_by_key(|value| (value.parse::<u32>().unwrap_or(0), value.clone()));
    }
    choices.retain(|(_, values)| values.len() > 1);
    choices
}

fn chart(groups: &[(&str, String)], order: &[&Choices]) -> ChoicesChart {
    let choices = choices(order);
    let set = |of: &&Choices| {
        let chosen =
            |name: &String| of.chosen.iter().find(|(n, _)| n == name).map(|(_, v)| v);
        ChoiceSet {
            values: groups.iter().map(|(group, _)| value(of, group)).collect(),
            chosen: choices
                .iter()
                .map(|(name, values)| {
                    values.iter().position(|v| Some(v) == chosen(name))
                })
                .collect(),
            asked: of.asked,
            words: words(of),
        }
    };
    ChoicesChart {
        groups: groups
            .iter()
            .zip([1, 0])
            .map(|((_, name), tone)| (name.clone(), tone))
            .collect(),
        sets: order.iter().map(set).collect(),
        choices,
    }
}

fn words(set: &Choices) -> String {
    let words: Vec<String> =
        set.chosen.iter().map(|(name, value)| format!("{name} {value}")).collect();
    words.join(", ")
}

fn table(groups: &[(&str, String)], order: &[&Choices]) -> Table {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in order.iter().flat_map(|set| &set.chosen) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let header = names.iter().cloned();
    let header = header.chain(["as assessed".to_owned()]);
    let mut table =
        Table::new(header.chain(groups.iter().map(|(_, name)| name.clone())));
    for set in order {
        let chosen = |name: &String| {
            let found = set.chosen.iter().find(|(n, _)| n == name);
            found.map_or_else(String::new, |(_, value)| value.clone())
        };
        let asked = if set.asked { "yes" } else { "no" }.to_owned();
        let shares = groups.iter().map(|(group, _)| {
            value(set, group).map_or_else(String::new, tables::share)
        });
        table.push(names.iter().map(chosen).chain([asked]).chain(shares));
    }
    table
}
