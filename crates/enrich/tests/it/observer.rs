//! Flows, answers and losses in; sightings and coverage out.

use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::prelude::*;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_enrich::contact::{Observed, Observer, Settings, is_kept};
use tidegauge_model::vantage::Clients;
use tidegauge_model::{
    Address, Answer, Client, Day, Flow, Grade, Instant, Loss, NameOrigin, Protocol,
    Reason, Resolution, ServerName, Signal, Vantage, Volume,
};

const NOON: i64 = 12 * 3_600;
/// 2024-04-10.
const DAY: Day = Day(19_823);
const UPDATE: &str = "s01.upd.kaspersky.com";
/// In the corporate network, exclusive.
const CORPORATE: &str = "77.74.176.9";
const CDN: &str = "203.0.113.5";

#[derive(Clone, Debug)]
enum Input {
    Flow(Flow),
    Answer(Answer),
    Loss(Loss),
    Resolution(Resolution),
}

fn at(seconds: i64) -> Instant {
    DAY.start().plus_seconds(seconds)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn flow(from: &str, to: &str, seconds: i64) -> Flow {
    Flow {
        originator: address(from),
        responder: address(to),
        originator_port: 50_000,
        responder_port: 443,
        protocol: Protocol::TCP,
        start: at(seconds),
        end: at(seconds + 2),
        sent: Some(Volume { bytes: 700, packets: 8 }),
        received: Some(Volume { bytes: 40_000, packets: 30 }),
        tcp_flags: Some(0x1b),
        sampling: NonZeroU32::MIN,
        name: None,
        exporter: None,
    }
}

fn named(from: &str, to: &str, host: &str, origin: NameOrigin) -> Flow {
    Flow { name: ServerName::new(host, origin), ..flow(from, to, NOON) }
}

fn answer(client: &str, host: &str, to: &str, seconds: i64) -> Answer {
    Answer {
        client: address(client),
        host: Arc::from(host),
        addresses: vec![address(to)],
        ttl_seconds: 300,
        at: at(seconds),
    }
}

fn observe_with(vantage: &Vantage, settings: Settings, inputs: &[Input]) -> Observed {
    let catalog = catalog();
    let mut observer = Observer::new(vantage, catalog, settings);
    for input in inputs {
        match input {
            Input::Flow(flow) => observer.flow(flow),
            Input::Answer(answer) => observer.answer(answer),
            Input::Loss(loss) => observer.loss(loss),
            Input::Resolution(resolution) => observer.resolution(resolution),
        }
    }
    observer.finish()
}

fn observe(inputs: &[Input]) -> Observed {
    let vantage = Vantage::undescribed("v".into());
    observe_with(&vantage, Settings::default(), inputs)
}

fn catalog() -> &'static Catalog {
    static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    CATALOG.get_or_init(Catalog::built_in)
}

/// Endpoint, grade and signal of the only sighting.
fn only(observed: &Observed) -> (String, Grade, Signal) {
    let [one] = observed.sightings.as_slice() else {
        panic!("not one sighting: {observed:#?}")
    };
    (one.endpoint.to_string(), one.grade, one.signal)
}

#[test]
fn a_day_of_contacts_is_one_sighting() {
    let mut early = named("192.0.2.7", CDN, UPDATE, NameOrigin::TlsSni);
    early.start = at(3_600);
    early.end = at(3_700);
    let late = named("192.0.2.7", CDN, UPDATE, NameOrigin::TlsSni);
    let observed = observe(&[Input::Flow(late), Input::Flow(early)]);
    let what = ("kaspersky/upd-s".to_owned(), Grade::Name, Signal::Served);
    assert_eq!(only(&observed), what);
    let one = &observed.sightings[0];
    assert_eq!((one.contacts, one.day, one.hours), (2, DAY, 1 << 1 | 1 << 12));
    assert_eq!((one.bytes_received, one.packets_sent), (Some(80_000), Some(16)));
    assert_eq!((one.first, one.last), (at(3_600), at(NOON + 2)));
    assert_eq!(one.client.site, None);
    assert!(observed.coverage[0].footprint.contains(address("192.0.2.99")));
}

fn resolution(host: &str, client: Option<&str>, from: i64, to: i64) -> Resolution {
    Resolution {
        host: host.into(),
        client: client.map(|prefix| prefix.parse().unwrap()),
        addresses: Vec::new(),
        first: at(from),
        last: at(to),
        count: 3,
    }
}

#[test]
fn a_look_up_without_a_client_is_kept_apart() {
    let day = 86_400;
    let network = Some("198.51.100.0/24");
    let inputs = [
        resolution(UPDATE, network, 10, 20),
        resolution(UPDATE, network, 5, 15),
        resolution(UPDATE, None, 10, 20),
        // Passive DNS sums up: filed under its last day.
        resolution(UPDATE, None, -30 * day, 7),
        resolution(UPDATE, network, day, day),
        resolution("unknown.example", network, 10, 20),
    ];
    let inputs = inputs.map(Input::Resolution);
    let mut backwards = inputs.clone();
    backwards.reverse();
    let observed = observe(&inputs);
    assert_eq!(observed, observe(&backwards));
    let told: Vec<_> = observed
        .resolutions
        .iter()
        .map(|r| {
            let network = r.client.map(|p| p.to_string());
            (network, r.day.0 - DAY.0, r.count, r.first, r.last)
        })
        .collect();
    let network = network.map(str::to_owned);
    assert_eq!(
        told,
        [
            (None, 0, 6, at(-30 * day), at(20)),
            (network.clone(), 0, 6, at(5), at(20)),
            (network, 1, 3, at(day), at(day)),
        ]
    );
    assert!(
        observed.resolutions.iter().all(|r| r.endpoint.as_str() == "kaspersky/upd-s")
    );
    assert!(observed.sightings.is_empty(), "nobody is known to have asked");
    assert!(observed.coverage.is_empty(), "nor to have been looked at");
}

#[test]
fn a_look_up_is_matched_at_its_date() {
    let text = "[product]\nid = \"p\"\nname = \"P\"\nvendor = \"V\"\n\
        [[endpoint]]\nname = \"a\"\nrole = \"update\"\nmatch = \"exact\"\n\
        pattern = \"a.example.com\"\nvalid_from = \"2024-04-10\"\nvalid_to = \"2024-04-11\"\n\
        weight = \"strong\"\nsource = \"s\"\nconfidence = \"high\"\n";
    let catalog = Catalog::read([("p.toml", text)]).unwrap();
    let vantage = Vantage::undescribed("v".into());
    let mut observer = Observer::new(&vantage, &catalog, Settings::default());
    for day in -1..4 {
        let noon = day * 86_400 + NOON;
        observer.resolution(&resolution("a.example.com", None, noon, noon));
    }
    let days = observer.finish().resolutions.iter().map(|r| r.day.0 - DAY.0).collect();
    let days: Vec<i32> = days;
    assert_eq!(days, [0, 1]);
}

#[test]
fn where_resolvers_ask_their_addresses_are_no_clients() {
    let mut vantage = Vantage::undescribed("v".into());
    vantage.clients = Clients::Resolvers;
    let question = named("192.0.2.7", CDN, UPDATE, NameOrigin::DnsQuestion);
    let inputs = [
        Input::Flow(question.clone()),
        Input::Answer(answer("192.0.2.7", UPDATE, CDN, NOON - 100)),
        Input::Flow(flow("192.0.2.7", CDN, NOON)),
    ];
    let observed = observe_with(&vantage, Settings::default(), &inputs);
    assert!(observed.sightings.is_empty());
    let [resolved] = observed.resolutions.as_slice() else { panic!("one look-up") };
    assert_eq!((resolved.client, resolved.count), (None, 1));
    assert_eq!(observed.coverage[0].flows, 1, "the flow that is no question");
    let hosts = observe(&[Input::Flow(question)]);
    assert_eq!(hosts.sightings.len(), 1);
}

#[test]
fn a_name_learnt_later_in_the_input_still_counts() {
    let answered = Input::Answer(answer("10.0.0.1", UPDATE, CDN, NOON - 100));
    let observed = observe(&[Input::Flow(flow("10.0.0.1", CDN, NOON)), answered]);
    let what = ("kaspersky/upd-s".to_owned(), Grade::Learnt, Signal::Served);
    assert_eq!(only(&observed), what);
    assert_eq!(observed.sightings[0].client.site, Some("v".into()));
    let footprint = &observed.coverage[0].footprint;
    assert_eq!(footprint.prefixes().count(), 0, "a private client leaves no mark");
}

#[test]
fn a_learnt_name_is_its_clients_only_and_runs_out() {
    let answered = Input::Answer(answer("10.0.0.1", UPDATE, CDN, NOON - 301));
    let own = Input::Flow(flow("10.0.0.1", CDN, NOON));
    let others = Input::Flow(flow("10.0.0.2", CDN, NOON - 200));
    let observed = observe(&[answered, own, others]);
    assert_eq!(observed.sightings, []);
    assert_eq!(observed.coverage[0].flows, 2);
}

#[test]
fn a_flow_with_a_name_of_its_own_is_not_matched_by_a_learnt_one() {
    let answered = Input::Answer(answer("10.0.0.1", UPDATE, CDN, NOON - 10));
    let other = named("10.0.0.1", CDN, "www.example.org", NameOrigin::TlsSni);
    assert_eq!(observe(&[answered, Input::Flow(other)]).sightings, []);
    // Where nobody else is served, the address is enough.
    let other = named("10.0.0.1", CORPORATE, "www.example.org", NameOrigin::TlsSni);
    assert_eq!(only(&observe(&[Input::Flow(other)])).1, Grade::Address);
}

#[test]
fn a_learnt_name_is_better_than_an_exclusive_address() {
    let answered = Input::Answer(answer("10.0.0.1", UPDATE, CORPORATE, NOON));
    let inputs = [answered, Input::Flow(flow("10.0.0.1", CORPORATE, NOON))];
    assert_eq!(only(&observe(&inputs)).0, "kaspersky/upd-s");
    assert_eq!(
        only(&observe(&inputs[1..])).0,
        "kaspersky/net-77-74-176-0-24".to_owned()
    );
}

#[test]
fn resolvers_and_proxies_are_not_the_server() {
    let mut question = named("10.0.0.1", CORPORATE, UPDATE, NameOrigin::DnsQuestion);
    question.responder_port = 53;
    question.protocol = Protocol::UDP;
    let what = ("kaspersky/upd-s".to_owned(), Grade::Name, Signal::Resolved);
    assert_eq!(only(&observe(&[Input::Flow(question)])), what);

    let mut tunnel = named("10.0.0.1", "10.9.9.9", UPDATE, NameOrigin::ConnectTarget);
    tunnel.responder_port = 3_128;
    let what = ("kaspersky/upd-s".to_owned(), Grade::Name, Signal::Served);
    assert_eq!(only(&observe(&[Input::Flow(tunnel)])), what);

    for origin in [NameOrigin::DnsQuestion, NameOrigin::ConnectTarget] {
        let other = named("10.0.0.1", CORPORATE, "www.example.org", origin);
        assert_eq!(observe(&[Input::Flow(other)]).sightings, []);
    }
}

#[test]
fn an_answer_with_a_private_address_teaches_nothing() {
    let sunk = Input::Answer(answer("10.0.0.1", UPDATE, "10.66.66.66", NOON));
    let flow = Input::Flow(flow("10.0.0.1", "10.66.66.66", NOON));
    assert_eq!(observe(&[sunk, flow]).sightings, []);
}

#[test]
fn an_originator_that_cannot_be_a_client_is_lost() {
    let inputs = ["224.0.0.251", "0.0.0.0", "::1", "255.255.255.255"]
        .map(|from| Input::Flow(named(from, CDN, UPDATE, NameOrigin::TlsSni)));
    let observed = observe(&inputs);
    assert_eq!(observed.sightings, []);
    let coverage = &observed.coverage[0];
    assert_eq!((coverage.flows, coverage.contacts), (0, 0));
    assert_eq!(coverage.losses.get(&Reason::Address), Some(&4));
    // A link-local address is a private client of the site.
    let local = named("fe80::1", CDN, UPDATE, NameOrigin::TlsSni);
    let observed = observe(&[Input::Flow(local)]);
    assert_eq!(observed.sightings[0].client.site, Some("v".into()));
}

#[test]
fn the_vantage_knows_its_sampling_and_its_private_prefixes() {
    let text = "site = \"s\"\nprivate = [\"192.0.2.0/24\"]\nsampling = 1000";
    let vantage = Vantage::read("v".into(), text).unwrap();
    let mut flow = named("192.0.2.7", CDN, UPDATE, NameOrigin::TlsSni);
    flow.received = Some(Volume { bytes: 100, packets: 1 });
    let observed = observe_with(&vantage, Settings::default(), &[Input::Flow(flow)]);
    assert_eq!(only(&observed).2, Signal::Indeterminate);
    assert_eq!(observed.sightings[0].sampling, 1_000);
    assert_eq!(observed.sightings[0].client.site, Some("s".into()));
    let coverage = &observed.coverage[0];
    assert_eq!((coverage.sampling_min, coverage.sampling_max), (1_000, 1_000));
    assert_eq!(coverage.footprint.prefixes().count(), 0);
}

#[test]
fn a_loss_without_a_day_goes_to_the_first_day_with_flows() {
    let loss = |day| Loss {
        offset: 0,
        line: None,
        reason: Reason::Value,
        day,
        count: 1,
        exporter: None,
    };
    let undated = Input::Loss(loss(None));
    let dated = Input::Loss(loss(Some(DAY.plus(-3))));
    let flow = Input::Flow(flow("10.0.0.1", CDN, NOON));
    let observed = observe(&[undated.clone(), dated, flow]);
    let losses: Vec<_> =
        observed.coverage.iter().map(|c| (c.day, c.losses[&Reason::Value])).collect();
    assert_eq!(losses, [(DAY.plus(-3), 1), (DAY, 1)]);
    assert!(observed.undated_losses.is_empty());

    let observed = observe(&[undated.clone(), undated]);
    assert_eq!(observed.undated_losses[&Reason::Value], 2);
    assert!(observed.coverage.is_empty());
}

#[test]
fn controls_are_kept_for_some_clients_and_the_share_is_recorded() {
    let from = |n: u8| format!("198.51.100.{n}");
    let host = "download.windowsupdate.com";
    let inputs: Vec<_> = (0..=255)
        .flat_map(|n| {
            [host, UPDATE]
                .map(|h| Input::Flow(named(&from(n), CDN, h, NameOrigin::TlsSni)))
        })
        .collect();
    let share = NonZeroU32::new(8).unwrap();
    let settings = Settings { control_share: share, ..Settings::default() };
    let vantage = Vantage::undescribed("v".into());
    let observed = observe_with(&vantage, settings, &inputs);
    let (controls, others): (Vec<_>, Vec<_>) = observed
        .sightings
        .iter()
        .partition(|s| s.endpoint.as_str().starts_with("windows_update/"));
    assert_eq!(others.len(), 256, "only controls are thinned");
    assert!((16..=48).contains(&controls.len()), "{} of 256", controls.len());
    assert!(controls.iter().all(|s| is_kept(&s.client, share)));
    let coverage = &observed.coverage[0];
    assert_eq!((coverage.control_sampling, coverage.contacts), (8, 512));
}

#[test]
fn the_clients_kept_never_change() {
    let share = NonZeroU32::new(16).unwrap();
    let kept = |site: Option<&str>| -> Vec<u8> {
        let client = |n: u8| Client {
            address: address(&format!("10.0.0.{n}")),
            site: site.map(Into::into),
        };
        (0..64).filter(|n| is_kept(&client(*n), share)).collect()
    };
    // Worked out apart from this code, from the published FNV-1a and SplitMix64.
    assert_eq!(kept(None), [13, 38, 50, 51, 55, 61]);
    assert_eq!(kept(Some("berlin")), [2, 15, 50]);
}

#[test]
fn a_full_waiting_room_is_settled_and_counted() {
    let settings = Settings { pending_max: 2, ..Settings::default() };
    let vantage = Vantage::undescribed("v".into());
    let mut inputs: Vec<_> =
        (0..5).map(|n| Input::Flow(flow("10.0.0.1", CDN, NOON + n))).collect();
    let observed = observe_with(&vantage, settings, &inputs);
    assert_eq!(observed.settled_early, 0, "no answer came, so nothing was missed");
    inputs.push(Input::Answer(answer("10.0.0.1", UPDATE, CDN, NOON - 5)));
    let observed = observe_with(&vantage, settings, &inputs);
    assert_eq!((observed.settled_early, observed.sightings[0].contacts), (4, 1));
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let from = prop::sample::select(vec![
        "10.0.0.1",
        "192.0.2.5",
        "198.51.100.7",
        "fe80::1",
        "2001:db8::1",
        "224.0.0.1",
    ]);
    let to = prop::sample::select(vec![CORPORATE, CDN, "8.8.8.8", "10.0.0.53"]);
    let host = prop::sample::select(vec![
        UPDATE,
        "activation-v2.geo.kaspersky.com",
        "download.windowsupdate.com",
        "www.example.org",
    ]);
    let origin = prop::sample::select(vec![
        NameOrigin::TlsSni,
        NameOrigin::HttpHost,
        NameOrigin::ConnectTarget,
        NameOrigin::DnsQuestion,
    ]);
    let name = prop::option::of((host, origin));
    let volume = || {
        prop::option::of((0u64..4_000, 0u64..9))
            .prop_map(|v| v.map(|(bytes, packets)| Volume { bytes, packets }))
    };
    let port = prop::sample::select(vec![80u16, 443, 53]);
    (
        (from, to, 0i64..200_000, port),
        (name, volume(), volume(), prop::option::of(0u8..64), 1u32..3),
    )
        .prop_map(
            |((from, to, seconds, port), (name, sent, received, flags, rate))| {
                let name =
                    name.and_then(|(host, origin)| ServerName::new(host, origin));
                Flow {
                    responder_port: port,
                    name,
                    sent,
                    received,
                    tcp_flags: flags,
                    sampling: NonZeroU32::new(rate).unwrap(),
                    ..flow(from, to, seconds)
                }
            },
        )
}

fn any_input() -> impl Strategy<Value = Input> {
    let client = prop::sample::select(vec!["10.0.0.1", "192.0.2.5", "2001:db8::1"]);
    let host = prop::sample::select(vec![
        UPDATE,
        "downloads.upd.kaspersky.com",
        "www.example.org",
    ]);
    let answered =
        (client, host, 0i64..200_000, 0u32..90_000).prop_map(|(c, h, s, ttl)| {
            Input::Answer(Answer { ttl_seconds: ttl, ..answer(c, h, CDN, s) })
        });
    let lost = prop::option::of(0i32..3).prop_map(|day| {
        let day = day.map(|d| DAY.plus(d));
        Input::Loss(Loss {
            offset: 0,
            line: None,
            reason: Reason::Value,
            day,
            count: 1,
            exporter: None,
        })
    });
    prop_oneof![6 => any_flow().prop_map(Input::Flow), 2 => answered, 1 => lost]
}

/// Inputs, and the same inputs in another order.
fn shuffled() -> impl Strategy<Value = (Vec<Input>, Vec<Input>)> {
    prop::collection::vec(any_input(), 0..60)
        .prop_flat_map(|inputs| (Just(inputs.clone()), Just(inputs).prop_shuffle()))
}

fn flows_in(inputs: &[Input]) -> u64 {
    inputs.iter().map(|input| u64::from(matches!(input, Input::Flow(_)))).sum()
}

proptest! {
    #[test]
    fn the_order_of_the_input_changes_nothing((inputs, other) in shuffled()) {
        prop_assert_eq!(observe(&inputs), observe(&other));
    }

    #[test]
    fn the_books_close(inputs in prop::collection::vec(any_input(), 0..60)) {
        let observed = observe(&inputs);
        let lost = |c: &tidegauge_model::Coverage, why| {
            c.losses.get(&why).copied().unwrap_or(0)
        };
        let flows: u64 = observed
            .coverage
            .iter()
            .map(|c| c.flows + lost(c, Reason::Address))
            .sum();
        prop_assert_eq!(flows, flows_in(&inputs));
        let contacts: u64 = observed.coverage.iter().map(|c| c.contacts).sum();
        let seen: u64 = observed.sightings.iter().map(|s| s.contacts).sum();
        prop_assert_eq!(contacts, seen);
        let losses: u64 = observed
            .coverage
            .iter()
            .map(|c| lost(c, Reason::Value))
            .chain(observed.undated_losses.values().copied())
            .sum();
        let given = inputs.iter().filter(|i| matches!(i, Input::Loss(_))).count();
        prop_assert_eq!(usize::try_from(losses).unwrap(), given);
    }

    #[test]
    fn the_same_input_twice_makes_no_other_sighting(
        inputs in prop::collection::vec(any_input(), 0..40),
    ) {
        let once = observe(&inputs);
        let twice = observe(&[inputs.clone(), inputs].concat());
        prop_assert_eq!(once.sightings.len(), twice.sightings.len());
        for (one, two) in once.sightings.iter().zip(&twice.sightings) {
            prop_assert_eq!(&one.client, &two.client);
            prop_assert_eq!((&one.endpoint, one.signal), (&two.endpoint, two.signal));
            prop_assert_eq!(one.contacts * 2, two.contacts);
            prop_assert_eq!((one.first, one.last), (two.first, two.last));
            prop_assert_eq!(one.hours, two.hours);
        }
        for (one, two) in once.coverage.iter().zip(&twice.coverage) {
            prop_assert_eq!(&one.footprint, &two.footprint);
        }
    }

    #[test]
    fn an_attempt_is_never_claimed_of_a_sampled_or_one_way_flow(flow in any_flow()) {
        let hidden = flow.sampling.get() > 1 || flow.received.is_none();
        let observed = observe(&[Input::Flow(flow)]);
        for sighting in observed.sightings {
            prop_assert!(!hidden || sighting.signal != Signal::Attempted);
        }
    }
}

#[test]
fn the_longest_prefix_around_an_exporter_corrects_its_sampling() {
    let text = r#"
        sampling = 10
        exporters = [
            { address = "198.51.100.0/24", sampling = 100 },
            { address = "198.51.100.7", sampling = 1000 },
            { address = "198.51.100.8" },
        ]
    "#;
    let vantage = Vantage::read("v".into(), text).unwrap();
    let catalog = Catalog::built_in();
    let mut observer = Observer::new(&vantage, &catalog, Settings::default());
    let exporters = ["198.51.100.7", "198.51.100.8", "203.0.113.1"];
    for exporter in exporters {
        let exporter = Some(address(exporter));
        observer.flow(&Flow { exporter, ..flow("10.0.0.1", "192.0.2.1", NOON) });
    }
    let day = at(NOON).day();
    let exporter = Some(address("203.0.113.1"));
    let gap = Loss { day: Some(day), count: 5, exporter, ..Loss::at(0, Reason::Gap) };
    observer.loss(&gap);
    let observed = observer.finish();
    let coverage = &observed.coverage[0];
    let applied = |exporter: &str| coverage.exporters[&address(exporter)].applied;
    assert_eq!(exporters.map(applied), [1000, 100, 10].map(|rate| Some((rate, rate))));
    assert_eq!(coverage.losses[&Reason::Gap], 5);
    let last = &coverage.exporters[&address("203.0.113.1")];
    assert_eq!((last.flows, last.losses["gap"]), (1, 5));
    assert_eq!(last.announced, Some((1, 1)));
}

#[test]
fn draining_in_parts_sees_what_one_look_at_the_end_sees() {
    let (vantage, catalog) = (Vantage::undescribed("v".into()), Catalog::built_in());
    let host = UPDATE;
    let answer = Answer {
        client: address("10.0.0.1"),
        host: host.into(),
        addresses: vec![address("192.0.2.1")],
        ttl_seconds: 3_600,
        at: at(NOON),
    };
    let flows = [60, 600, 1_200].map(|s| flow("10.0.0.1", "192.0.2.1", NOON + s));
    let mut parts = Observer::new(&vantage, &catalog, Settings::default());
    parts.answer(&answer);
    let mut contacts = 0;
    for flow in &flows {
        parts.flow(flow);
        assert_eq!(parts.held(), 1);
        let observed = parts.drain(flow.start);
        contacts += observed.sightings.iter().map(|s| s.contacts).sum::<u64>();
        assert_eq!(observed.coverage.iter().map(|c| c.flows).sum::<u64>(), 1);
        assert_eq!(parts.held(), 0);
    }
    assert_eq!(contacts, 3);
    // The name held until an hour after it was learnt.
    parts.drain(at(NOON + 3_601));
    parts.flow(&flows[0]);
    assert!(parts.finish().sightings.is_empty());
}
