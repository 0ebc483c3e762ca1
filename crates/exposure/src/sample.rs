//! A small portfolio and its evidence, for tests.
//!
//! **Invariant:** names here are as hostile as strangers can make them.

use tidegauge_model::{
    Attribution, Client, Day, DayRange, Grade, Instant, ProductId, Role, Signal, Week,
};

use crate::dossier::{Audience, Dossier, dossiers};
use crate::fact::{Fact, Said, Verdict};
use crate::ledger::Ledger;
use crate::out::letter::Faces;
use crate::portfolio::{Portfolio, Subject};
use crate::update::{Evidence, Looked, Settings, update};

/// One of own, one supplier with a hostile name, and one of that one's.
pub(crate) const PORTFOLIO: &str = "\
id,name,kind,domains,prefixes,tags,tier,parent,contact
hq,Head office,asset,hq.example,192.0.2.0/24,dmz,1,,soc@hq.example
evil,\"=<script>alert('&')</script> \"\"Ltd\"\"\",supplier,evil.example,198.51.100.7/32,,2,,evil@evil.example
theirs,Fourth & Co,supplier,,2001:db8:1::/48,,3,evil,
unseen,Nobody,supplier,,203.0.113.0/24,,,,
";

/// The faces of the figures.
pub(crate) const FACES: Faces = Faces {
    regular: include_bytes!("../../publish/assets/public-sans-regular.ttf"),
    bold: include_bytes!("../../publish/assets/public-sans-bold.ttf"),
};

pub(crate) fn combine(p: &mut dyn Iterator<Item = f64>) -> f64 {
    1.0 - p.map(|p| 1.0 - p).product::<f64>()
}

pub(crate) fn portfolio() -> Portfolio {
    Portfolio::read(PORTFOLIO.as_bytes()).unwrap()
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn evidence(address: &str, on: &str, signal: Signal) -> Evidence {
    let (client, day) = (address.parse().unwrap(), day(on));
    let held = Attribution::UNATTRIBUTED;
    Evidence {
        client: Client { address: client, site: None },
        held,
        product: ProductId::new("kaspersky"),
        endpoint: "kaspersky/upd-s".into(),
        role: Role::Update,
        vantage: "edge".into(),
        day,
        first: day.start().plus_seconds(3_600),
        last: day.start().plus_seconds(7_200),
        grade: Grade::Name,
        signal,
        contacts: 2,
        probability: 0.7,
    }
}

/// Open, quiet for weeks without a known chance, and verified removed.
pub(crate) fn contacts() -> Vec<Evidence> {
    vec![
        evidence("192.0.2.77", "2024-03-20", Signal::Served),
        evidence("192.0.2.78", "2024-03-20", Signal::Served),
        evidence("192.0.2.77", "2024-03-21", Signal::Attempted),
        evidence("198.51.100.7", "2024-01-10", Signal::Resolved),
        evidence("198.51.100.7", "2024-01-11", Signal::Served),
        evidence("2001:db8:1:2::3", "2024-01-09", Signal::Attempted),
        evidence("100.64.0.1", "2024-01-09", Signal::Attempted),
    ]
}

pub(crate) fn looked(subject: &Subject, _: &ProductId, _: Week) -> Looked {
    let detection = match subject.key.as_str() {
        "theirs" => Ok(0.9),
        _ => Err("no estimate of visibility was given".to_owned()),
    };
    Looked { days: 7, vantages: vec!["edge".into()], detection }
}

pub(crate) fn days() -> DayRange {
    DayRange::new(day("2024-01-01"), day("2024-03-31")).unwrap()
}

/// When the first import was written.
pub(crate) const RECORDED: Instant = Instant(1_712_000_000_000_000);

pub(crate) fn settings(
    products: &[ProductId],
    days: DayRange,
    recorded: Instant,
) -> Settings<'_> {
    Settings { products, days, recorded, looked: &looked, combine: &combine }
}

/// The ledger after one import, and the text that was appended.
pub(crate) fn imported() -> (Ledger, String) {
    let mut ledger = Ledger::default();
    let products = ["kaspersky".into()];
    let settings = settings(&products, days(), RECORDED);
    let update = update(&portfolio(), contacts(), &mut ledger, &settings);
    let text = ledger.lines(&update.entries);
    (ledger, text)
}

/// The dossiers of it.
pub(crate) fn sample(audience: Audience) -> Vec<Dossier> {
    dossiers(&portfolio(), &imported().0, days().last(), audience, &combine)
}

pub(crate) fn said(on: &str, verdict: Verdict) -> Fact {
    let (who, why) = ("<b>ana</b>".to_owned(), "not in our racks".to_owned());
    Fact::Said(Said { at: day(on).start(), who, verdict, why })
}
