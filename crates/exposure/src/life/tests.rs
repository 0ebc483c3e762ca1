//! The life of findings: single lives, and properties of all of them.
//!
//! **Invariant:** what is asserted here is what `docs/reference/findings.md` promises.

use proptest::prelude::*;
use tidegauge_model::{EndpointId, Grade, Role, Signal, VantageId};

use super::*;
use crate::fact::Told;
use crate::matching::By;

fn combine(p: &mut dyn Iterator<Item = f64>) -> f64 {
    1.0 - p.map(|p| 1.0 - p).product::<f64>()
}

pub(crate) fn seen(day: &str) -> Fact {
    seen_on(day.parse().unwrap(), 0.8)
}

fn seen_on(day: Day, probability: f64) -> Fact {
    let network = "192.0.2.0/24".parse().unwrap();
    Fact::Seen(Seen {
        day,
        vantage: VantageId::new("edge"),
        endpoint: EndpointId::new("kaspersky/upd-s"),
        role: Role::Update,
        grade: Grade::Name,
        signal: Signal::Served,
        network,
        by: By::Prefix(network),
        organisation: None,
        asn: None,
        addresses: 1,
        contacts: 3,
        first: day.start(),
        last: day.start(),
        probability: Chance::near(probability),
    })
}

fn quiet(monday: &str, detection: Option<f64>) -> Fact {
    quiet_on(monday.parse().unwrap(), 7, detection)
}

fn quiet_on(week: Day, looked_days: u8, detection: Option<f64>) -> Fact {
    Fact::Quiet(Quiet {
        week,
        looked_days,
        vantages: vec![VantageId::new("edge")],
        detection: detection.map(Chance::near),
        unknown: detection.is_none().then(|| "nobody estimated it".to_owned()),
    })
}

/// A contact in each of twenty weeks up to 3 January 2024: the row's own chance is 0.95.
fn often() -> Vec<Fact> {
    let last: Day = "2024-01-03".parse().unwrap();
    (0..20).map(|week| seen_on(last.plus(-7 * week), 0.8)).collect()
}

fn said(day: &str, verdict: Verdict) -> Fact {
    said_on(day.parse().unwrap(), verdict)
}

fn said_on(day: Day, verdict: Verdict) -> Fact {
    let (who, why) = ("analyst".to_owned(), "they moved out".to_owned());
    Fact::Said(Said { at: day.start(), who, verdict, why })
}

fn at(facts: &[Fact], as_of: &str) -> Life {
    life(facts, as_of.parse().unwrap(), &combine).unwrap()
}

/// Mondays of 2024: 1 January is one.
const MONDAYS: [&str; 6] = [
    "2024-01-08",
    "2024-01-15",
    "2024-01-22",
    "2024-01-29",
    "2024-02-05",
    "2024-02-12",
];

#[test]
fn silence_without_a_chance_of_detection_stays_quiet_and_says_why() {
    let mut facts = vec![seen("2024-01-03")];
    facts.extend(MONDAYS.map(|m| quiet(m, None)));
    assert_eq!(at(&facts, "2024-01-30").state, FindingState::Open);
    let life = at(&facts, "2024-12-01");
    assert_eq!(life.state, FindingState::Quiet);
    assert_eq!(life.since, "2024-01-31".parse().unwrap());
    assert!(life.why.contains("6 weeks were looked at"), "{}", life.why);
    assert!(life.why.contains("nobody estimated it"), "{}", life.why);
    let blind = at(&facts[..1], "2024-12-01");
    assert_eq!(blind.state, FindingState::Open, "nobody looked: that is no silence");
    assert!(blind.why.contains("of no whole week since is it known"), "{}", blind.why);
}

#[test]
fn removal_is_verified_by_enough_weeks_that_would_have_seen_it() {
    let weeks = |chance: f64, count: usize| -> Vec<Fact> {
        let quiet = MONDAYS.iter().take(count).map(|m| quiet(m, Some(chance)));
        often().into_iter().chain(quiet).collect()
    };
    let state = |chance, count| at(&weeks(chance, count), "2024-03-01").state;
    assert_eq!(state(0.9, 2), FindingState::Quiet, "two weeks are a holiday");
    assert_eq!(state(0.9, 3), FindingState::VerifiedRemoved);
    assert_eq!(state(0.6, 3), FindingState::Quiet, "0.4³ is over 0.05");
    assert_eq!(state(0.6, 4), FindingState::VerifiedRemoved, "0.4⁴ is not");
    assert_eq!(state(0.4, 6), FindingState::Quiet, "such weeks do not count");
    let removed = at(&weeks(0.9, 6), "2024-03-01");
    assert_eq!(
        removed.since,
        "2024-01-31".parse().unwrap(),
        "never before it is quiet"
    );
    let late = at(&weeks(0.6, 6), "2024-03-01");
    assert_eq!(late.since, "2024-02-04".parse().unwrap(), "the fourth week's Sunday");
}

#[test]
fn a_row_that_was_seldom_seen_is_missed_in_few_weeks_by_chance() {
    let state = |mut before: Vec<Fact>, count: usize| {
        before.extend(MONDAYS.iter().take(count).map(|m| quiet(m, Some(0.9))));
        at(&before, "2024-03-01")
    };
    // Nothing is known of its own weeks: a half each.
    let once = || vec![seen("2024-01-03")];
    assert_eq!(state(once(), 4).state, FindingState::Quiet, "0.5⁴ is over 0.05");
    assert_eq!(state(once(), 5).state, FindingState::VerifiedRemoved);
    // Weeks of which two days were looked at see less of a row too.
    let mut short = often();
    short.truncate(4);
    short.extend(MONDAYS.map(|m| quiet_on(m.parse().unwrap(), 2, Some(0.6))));
    let found = at(&short, "2024-03-01");
    assert!(found.why.contains("of which 0 count"), "{}", found.why);
    // In two of six weeks before the last.
    let seldom = || {
        let weeks = ["2023-11-27", "2023-12-04", "2023-12-18", "2023-12-25"];
        let silent = weeks.map(|m| quiet(m, Some(0.9)));
        let seen = ["2023-11-21", "2023-12-13", "2024-01-03"].map(seen);
        silent.into_iter().chain(seen).collect::<Vec<_>>()
    };
    let found = state(seldom(), 6);
    assert_eq!(found.state, FindingState::Quiet);
    assert!(found.why.contains("chance of seeing it in one is 0.29"), "{}", found.why);
}

#[test]
fn what_comes_back_has_reappeared_and_what_was_told_stays() {
    use FindingState as S;
    let mut facts = often();
    facts.extend([seen("2024-05-01"), seen("2024-05-20")]);
    facts.extend(MONDAYS.map(|m| quiet(m, Some(0.9))));
    facts.push(Fact::Told(Told {
        as_of: "2024-02-20".parse().unwrap(),
        state: FindingState::VerifiedRemoved,
        why: String::new(),
    }));
    let life = at(&facts, "2024-05-21");
    let states: Vec<_> = life.moves.iter().map(|m| m.to).collect();
    assert_eq!(states, [S::Open, S::Quiet, S::VerifiedRemoved, S::Reappeared]);
    assert!(life.why.contains("verified_removed"), "{}", life.why);
    assert_eq!(at(&facts, "2024-08-01").state, S::Reappeared, "nobody looked since");
    facts.push(quiet("2024-06-03", None));
    assert_eq!(at(&facts, "2024-08-01").state, S::Quiet);
}

#[test]
fn a_dispute_hides_no_evidence() {
    use FindingState as S;
    let facts = [
        seen("2024-01-03"),
        said("2024-01-10", Verdict::Disputed),
        seen("2024-01-20"),
        quiet("2024-02-05", None),
        said("2024-04-01", Verdict::Upheld),
        said("2024-04-02", Verdict::NotOurs),
        seen("2024-04-05"),
        said("2024-04-09", Verdict::Ours),
    ];
    assert_eq!(at(&facts, "2024-01-31").state, S::Disputed);
    let why = at(&facts, "2024-01-31").why;
    assert_eq!(why, "analyst: they moved out (contacts on 1 days since)");
    assert_eq!(at(&facts, "2024-04-01").state, S::Quiet, "where evidence brought it");
    assert_eq!(at(&facts, "2024-04-06").state, S::NotOurs);
    assert_eq!(at(&facts, "2024-04-10").state, S::Reappeared);
}

#[test]
fn a_contact_that_comes_to_light_takes_the_silence_back() {
    let mut facts = often();
    facts.extend(MONDAYS.map(|m| quiet(m, Some(0.9))));
    assert_eq!(at(&facts, "2024-02-20").state, FindingState::VerifiedRemoved);
    facts.push(seen("2024-01-24"));
    let life = at(&facts, "2024-02-20");
    assert_eq!(life.state, FindingState::Open, "seen 27 days before");
    assert!(life.moves.len() == 1);
}

#[test]
fn confidence_halves_by_its_half_life_and_falls_faster_where_it_was_looked() {
    let one = [seen("2024-01-01")];
    let of = |facts: &[Fact], day| at(facts, day).confidence.value();
    assert!((of(&one, "2024-01-01") - 0.8).abs() < 1e-4);
    assert!((of(&one, "2024-03-01") - 0.4).abs() < 1e-4, "60 days later");
    let looked = [often(), vec![quiet("2024-01-08", Some(0.9))]].concat();
    assert!(of(&looked, "2024-03-03") < 0.07, "0.04 / 0.64, 60 days later");
    let again = [seen("2024-01-01"), seen("2024-03-01")];
    assert!((of(&again, "2024-03-01") - 0.8).abs() < 1e-4, "it starts anew");
}

#[test]
fn of_two_facts_about_a_week_the_one_that_claims_less_counts() {
    let week = "2024-01-08".parse().unwrap();
    let of = |mut facts: Vec<Fact>| {
        let now = at(&facts, "2024-03-01").confidence;
        facts.reverse();
        assert_eq!(at(&facts, "2024-03-01").confidence, now);
        now
    };
    let first = || seen("2024-01-01");
    let high = || quiet_on(week, 7, Some(0.9));
    let low = || quiet_on(week, 7, Some(0.5));
    assert_eq!(of(vec![first(), high(), low()]), of(vec![first(), low()]));
    let unknown = quiet_on(week, 7, None);
    assert_eq!(of(vec![first(), high(), unknown]), of(vec![first(), high()]));
    let part = quiet_on(week, 3, Some(0.1));
    assert_eq!(of(vec![first(), high(), part]), of(vec![first(), high()]));
}

#[test]
fn the_reference_names_every_state_move_and_constant() {
    let page = include_str!("../../../../docs/reference/findings.md");
    for state in FindingState::ALL {
        assert!(page.contains(&format!("`{state}`")), "{state}");
    }
    for (from, by, to) in table::MOVES {
        let by = serde_json::to_value(by).unwrap();
        let by = format!("`{}`", by.as_str().unwrap());
        let row = page.lines().find(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, before, trigger, after, _] = cells.as_slice() else { return false };
            let before = match from {
                None => *before == "–",
                Some(from) if before.starts_with("any but") => {
                    !before.contains(&format!("`{from}`"))
                }
                Some(from) => before.contains(&format!("`{from}`")),
            };
            let after =
                after.contains(&format!("`{to}`")) || after.contains("evidence");
            before && *trigger == by && after
        });
        assert!(row.is_some(), "no row of the table has {from:?} by {by} to {to}");
    }
    let half_life = format!("The half-life is {} days", confidence::HALF_LIFE_DAYS);
    let weeks = format!("at least {} such weeks", silence::WEEKS_MIN);
    let chance = format!("a chance of {} or more", silence::DETECTION_MIN);
    let missed = format!("is at most {}", silence::MISSED_MAX);
    let quiet = format!("not for {CONTACT_DAYS} days");
    for text in [half_life, weeks, chance, missed, quiet] {
        assert!(page.contains(&text), "{text}");
    }
}

/// A Monday.
const START: Day = Day(19_723);

fn any_fact() -> impl Strategy<Value = Fact> {
    let verdict = prop::sample::select(Verdict::ALL.to_vec());
    // Contacts end early in half of them, so that silence after the last is drawn too, and
    // weeks are few, so that facts differ about the same one.
    prop_oneof![
        1 => (0i32..400, 0.0..=1.0).prop_map(|(d, p)| seen_on(START.plus(d), p)),
        3 => (0i32..90, 0.0..=1.0).prop_map(|(d, p)| seen_on(START.plus(d), p)),
        6 => (0i32..57, 5u8..=7, prop::option::of(0.0..=1.0))
            .prop_map(|(w, days, p)| quiet_on(START.plus(7 * (w % 30)), days, p)),
        1 => (0i32..400, verdict).prop_map(|(d, v)| said_on(START.plus(d), v)),
    ]
}

proptest! {
    #[test]
    fn no_move_is_outside_the_table(
        facts in prop::collection::vec(any_fact(), 0..60), days in 0i32..500,
    ) {
        let Some(life) = life(&facts, START.plus(days), &combine) else { return Ok(()) };
        let mut at = None;
        for step in &life.moves {
            prop_assert_eq!(step.from, at, "moves join");
            prop_assert!(table::is_move(step.from, step.by, step.to), "{:?}", step);
            at = Some(step.to);
        }
        prop_assert_eq!(at, Some(life.state));
        prop_assert!(life.moves.is_sorted_by_key(|m| m.on));
    }

    #[test]
    fn neither_order_nor_repetition_matters(
        facts in prop::collection::vec(any_fact(), 1..40).prop_shuffle(),
        turn in any::<prop::sample::Index>(),
    ) {
        let of = |facts: &[Fact]| life(facts, START.plus(400), &combine);
        let mut other = facts.clone();
        other.rotate_left(turn.index(facts.len()));
        other.reverse();
        other.extend(facts.clone());
        prop_assert_eq!(of(&facts), of(&other));
    }

    #[test]
    fn without_new_facts_confidence_never_rises(
        facts in prop::collection::vec(any_fact(), 1..40), step in 1i32..90,
    ) {
        let end = START.plus(400);
        if let Some(now) = life(&facts, end, &combine) {
            let later = life(&facts, end.plus(step), &combine).unwrap();
            prop_assert!(later.confidence <= now.confidence);
            prop_assert!(later.moves.starts_with(&now.moves), "the past stays");
        }
    }

    #[test]
    fn removal_is_never_verified_without_weeks_that_count(
        facts in prop::collection::vec(any_fact(), 1..60),
    ) {
        let blind: Vec<Fact> = facts.into_iter().map(|fact| match fact {
            Fact::Quiet(quiet) => Fact::Quiet(Quiet {
                detection: quiet.detection.filter(|c| c.value() < silence::DETECTION_MIN),
                ..quiet
            }),
            other => other,
        }).collect();
        let life = life(&blind, START.plus(400), &combine);
        let removed = |m: &Move| m.to == FindingState::VerifiedRemoved;
        prop_assert!(!life.is_some_and(|l| l.moves.iter().any(removed)));
    }
}
