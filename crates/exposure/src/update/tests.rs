//! Imports: once, twice, shuffled, split, late.
//!
//! **Invariant:** what an import adds depends on what was seen alone.

use proptest::prelude::*;
use tidegauge_model::finding::FindingState as S;
use tidegauge_model::pseudonym::Pseudonym;
use tidegauge_model::{Instant, NetworkKind, Signal};

use super::*;
use crate::dossier::{Audience, dossiers};
use crate::fact::Verdict;
use crate::sample::{
    RECORDED, combine, contacts, day, days, evidence, imported, portfolio, said,
    sample, settings,
};

const LATER: Instant = Instant(RECORDED.0 + 86_400_000_000);

fn kaspersky() -> [ProductId; 1] {
    ["kaspersky".into()]
}

fn import(ledger: &mut Ledger, seen: Vec<Evidence>, days: DayRange) -> Update {
    let products = kaspersky();
    update(&portfolio(), seen, ledger, &settings(&products, days, LATER))
}

fn states(ledger: &Ledger, as_of: &str) -> Vec<(String, S)> {
    let all = dossiers(&portfolio(), ledger, day(as_of), Audience::House, &combine);
    all.into_iter().map(|d| (d.subject.key, d.life.state)).collect()
}

#[test]
fn each_row_has_its_own_state() {
    let dossiers = sample(Audience::House);
    let states: Vec<_> =
        dossiers.iter().map(|d| (d.subject.key.as_str(), d.life.state)).collect();
    assert_eq!(
        states,
        [("evil", S::Quiet), ("theirs", S::VerifiedRemoved), ("hq", S::Open)]
    );
    let quiet = &dossiers[0];
    assert!(quiet.life.why.contains("no estimate of visibility"), "{}", quiet.life.why);
    assert_eq!(quiet.quiet_weeks.len(), 11, "15 January to 25 March are 11 Mondays");
    assert_eq!(dossiers[1].subject.through.len(), 1);
    assert!(dossiers.iter().all(|d| d.told.len() == 1));
}

#[test]
fn addresses_of_others_are_never_kept() {
    let (_, text) = imported();
    assert!(text.contains("192.0.2.77/32"), "our own are");
    assert!(text.contains("198.51.100.0/24") && text.contains("2001:db8:1::/48"));
    // The portfolio's own words may name the one address of a supplier; no more is told.
    assert!(!text.contains("2001:db8:1:2::3"));
    for (audience, own) in [(Audience::House, true), (Audience::Others, false)] {
        let told = serde_json::to_string(&sample(audience)).unwrap();
        assert_eq!(told.contains("192.0.2.77"), own);
        assert!(!told.contains("198.51.100.7"), "{told}");
    }
}

#[test]
fn pseudonyms_are_noted_where_their_addresses_were_not() {
    let csv = "id,name,kind,organisations\nacme,Acme,supplier,org:acme\n";
    let portfolio = Portfolio::read(csv.as_bytes()).unwrap();
    let seen = |address: &str, on: &str| {
        let mut seen = evidence(address, on, Signal::Served);
        seen.held.organisation = Some(OrgId::new("org:acme"));
        seen.held.kind = NetworkKind::Own;
        seen
    };
    let pseudonym = |generation| {
        Pseudonym { v6: false, class: 5, generation, body: 7 }.address().to_string()
    };
    let days = DayRange::new(day("2024-01-01"), day("2024-03-31")).unwrap();
    let products = kaspersky();
    let mut ledger = Ledger::default();
    let mut import = |seen: Vec<Evidence>| {
        let settings = settings(&products, days, LATER);
        let done = update(&portfolio, seen, &mut ledger, &settings);
        let facts = done.entries.iter();
        (facts.filter(|e| matches!(e.fact, Fact::Seen(_))).count(), done.passed)
    };
    assert_eq!(import(vec![seen("198.51.100.7", "2024-01-10")]).0, 1);
    let later = |generation| {
        let address = pseudonym(generation);
        vec![seen(&address, "2024-01-10"), seen(&address, "2024-02-10")]
    };
    let (facts, passed) = import(later(1));
    assert_eq!(
        (facts, passed.into_keys().collect::<Vec<_>>()),
        (1, vec![(0, Passed::Pseudonym)])
    );
    // Another key changes nothing.
    assert_eq!(import(later(2)).0, 0);
    // A row that excepts addresses may have excepted this one.
    let csv = "id,name,kind,organisations,except\nacme,Acme,supplier,org:acme,198.51.100.0/28\n";
    let excepting = Portfolio::read(csv.as_bytes()).unwrap();
    let index = Index::new(&excepting.subjects);
    let one = seen(&pseudonym(1), "2024-01-10");
    let matches = index.matches(&one.client, &one.held);
    assert_eq!(
        (matches.matched.len(), matches.passed),
        (0, vec![(0, Passed::Pseudonym)])
    );
    let all =
        dossiers(&portfolio, &ledger, day("2024-03-31"), Audience::Others, &combine);
    let bundle = crate::out::stix::bundle(&all).unwrap();
    assert!(bundle.contains("198.51.100.0/24") && !bundle.contains("ipv6-addr"));
}

#[test]
fn part_of_a_week_sees_less() {
    let week = day("2024-01-08").week();
    let part = |days| {
        let looked = Looked { days, vantages: vec![], detection: Ok(0.9) };
        quiet(week, looked).detection.unwrap().value()
    };
    assert!((part(7) - 0.9).abs() < 1e-9);
    assert!((part(1) - (1.0 - 0.1f64.powf(1.0 / 7.0))).abs() < 1e-4);
}

#[test]
fn what_is_seen_later_reappears_and_what_was_told_stays() {
    let (mut ledger, _) = imported();
    let later = DayRange::new(day("2024-01-01"), day("2024-04-20")).unwrap();
    let back = evidence("2001:db8:1:9::1", "2024-04-19", Signal::Attempted);
    let news =
        import(&mut ledger, contacts().into_iter().chain([back]).collect(), later);
    let told = |e: &Entry| match &e.fact {
        Fact::Told(told) => Some((e.subject.clone(), told.state)),
        _ => None,
    };
    let told: Vec<_> = news.entries.iter().filter_map(told).collect();
    assert_eq!(
        told.iter().filter(|(key, _)| key == "theirs").collect::<Vec<_>>(),
        [&("theirs".to_owned(), S::Reappeared)]
    );
    assert!(told.contains(&("hq".to_owned(), S::Quiet)), "{told:?}");
    let all =
        dossiers(&portfolio(), &ledger, day("2024-04-20"), Audience::House, &combine);
    let theirs = all.iter().find(|d| d.subject.key == "theirs").unwrap();
    let told: Vec<_> = theirs.told.iter().map(|t| t.state).collect();
    assert_eq!(told, [S::VerifiedRemoved, S::Reappeared]);
}

#[test]
fn a_question_about_the_past_tells_nothing() {
    let (mut ledger, _) = imported();
    let past = DayRange::new(day("2024-01-01"), day("2024-01-20")).unwrap();
    let news = import(&mut ledger, contacts(), past);
    assert_eq!(news.entries, []);
    assert!(states(&ledger, "2024-01-20").contains(&("theirs".to_owned(), S::Open)));
}

#[test]
fn a_row_that_left_the_portfolio_keeps_its_findings() {
    let (mut ledger, _) = imported();
    let products = kaspersky();
    let empty = Portfolio::default();
    let later = DayRange::new(day("2024-01-01"), day("2024-06-30")).unwrap();
    update(&empty, contacts(), &mut ledger, &settings(&products, later, LATER));
    let all = dossiers(&empty, &ledger, later.last(), Audience::House, &combine);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|d| !d.subject.listed && d.subject.kind == Kind::Supplier));
    assert!(!serde_json::to_string(&all).unwrap().contains("192.0.2.77"), "masked");
}

#[test]
fn not_ours_holds_against_new_evidence_and_comes_back_when_ours() {
    let (mut ledger, _) = imported();
    let product = kaspersky();
    let row = ("hq", "Head office");
    ledger.add(row, &product[0], LATER, said("2024-03-25", Verdict::NotOurs)).unwrap();
    assert!(states(&ledger, "2024-03-31").contains(&("hq".to_owned(), S::NotOurs)));
    ledger.add(row, &product[0], LATER, said("2024-03-30", Verdict::Ours)).unwrap();
    assert!(states(&ledger, "2024-03-31").contains(&("hq".to_owned(), S::Open)));
    assert!(states(&ledger, "2024-03-29").contains(&("hq".to_owned(), S::NotOurs)));
}

#[test]
fn of_two_things_said_of_one_day_the_later_holds() {
    let (mut ledger, _) = imported();
    let id = Id::of_finding("hq", "kaspersky");
    let on = day("2024-03-31");
    let mut say = |verdict| ledger.say(id, ("ana", verdict, "so"), on, LATER).unwrap();
    let verdicts = [
        Verdict::NotOurs,
        Verdict::Ours,
        Verdict::Note,
        Verdict::Upheld,
        Verdict::Note,
        Verdict::Disputed,
    ];
    let said = verdicts.map(&mut say);
    assert_eq!(Ledger::read(ledger.lines(&said).as_bytes()).bad_lines, []);
    assert!(states(&ledger, "2024-03-31").contains(&("hq".to_owned(), S::Disputed)));
    let all =
        dossiers(&portfolio(), &ledger, day("2024-03-31"), Audience::House, &combine);
    let hq = all.iter().find(|d| d.subject.key == "hq").unwrap();
    let order: Vec<_> = hq.said.iter().map(|said| said.verdict).collect();
    assert_eq!(order, verdicts);
    // It is told with the next import of the same days.
    let news = import(&mut ledger, contacts(), days());
    assert_eq!(news.entries.len(), 1, "{:?}", news.entries);
    assert_eq!(import(&mut ledger, contacts(), days()).entries, []);
    assert!(ledger.say(Id::OURS, ("ana", Verdict::Note, "so"), on, LATER).is_none());
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let addresses = ["192.0.2.77", "192.0.2.9", "198.51.100.7", "2001:db8:1::5"];
    let address = prop::sample::select(addresses.to_vec());
    let signal = prop::sample::select(Signal::ALL.to_vec());
    (address, 0i32..91, signal, 1u64..9, 0.0..=1.0).prop_map(
        |(address, on, signal, contacts, probability)| {
            let on = days().first().plus(on).to_string();
            Evidence { contacts, probability, ..evidence(address, &on, signal) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_import_twice_changes_nothing(
        seen in prop::collection::vec(any_evidence(), 0..40).prop_shuffle(),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut ledger = Ledger::default();
        let first = import(&mut ledger, seen.clone(), days());
        let text = ledger.lines(&first.entries);
        prop_assert_eq!(&Ledger::read(text.as_bytes()), &ledger);
        let before = ledger.clone();
        let mut again = seen.clone();
        again.reverse();
        if !again.is_empty() {
            again.rotate_left(turn.index(seen.len()));
        }
        let second = import(&mut ledger, again, days());
        prop_assert_eq!(second.entries, vec![]);
        prop_assert_eq!(ledger, before);
    }

    #[test]
    fn days_may_come_one_after_the_other(
        seen in prop::collection::vec(any_evidence(), 1..40), cut in 0i32..90,
    ) {
        let cut = days().first().plus(cut);
        let (early, late): (Vec<_>, Vec<_>) =
            seen.iter().cloned().partition(|e| e.day <= cut);
        let mut parts = Ledger::default();
        import(&mut parts, early, DayRange::new(days().first(), cut).unwrap());
        import(&mut parts, late, days());
        let mut whole = Ledger::default();
        import(&mut whole, seen, days());
        let lives = |ledger: &Ledger| -> Vec<_> {
            let record = |(id, record): (Id, &Record)| {
                (id, life(record.facts(), days().last(), &combine))
            };
            ledger.records().map(record).collect()
        };
        prop_assert_eq!(lives(&parts), lives(&whole));
    }

    #[test]
    fn nothing_is_ever_deleted(
        first in prop::collection::vec(any_evidence(), 0..20),
        second in prop::collection::vec(any_evidence(), 0..20),
    ) {
        let mut ledger = Ledger::default();
        import(&mut ledger, first, days());
        let before = ledger.clone();
        import(&mut ledger, second, days());
        for (id, record) in before.records() {
            let now = ledger.record(id).unwrap();
            prop_assert!(record.entries.keys().all(|k| now.entries.contains_key(k)));
        }
    }
}
