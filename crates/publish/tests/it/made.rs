//! A lake that is made up: answers from the made-up report, for tests and for looking at
//! the pages (`cargo run -p tidegauge-publish --example made_up`).

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use tidegauge_model::count::{Dimension, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::policy::Timeline;
use tidegauge_model::{
    Coverage, DayRange, NetworkKind, OrgId, Organisation, PolicyId, Shared,
};
use tidegauge_publish::assessment::{
    Assessed, Assessment, Check, Choices, Flow, Question, Reading, Refusal, SeenWith,
    Way,
};
use tidegauge_publish::finding::{
    About, Export, Exposure, Findings, Move, QuietWeek, Said, Sight, Silent,
};
use tidegauge_publish::knowledge::{Known, KnownKind};
use tidegauge_publish::organisation::{Contact, Dossier, Found, Holding};
use tidegauge_publish::publication::{Causes, Publication};
use tidegauge_publish::report::Synthetic;
use tidegauge_publish::serve::{
    Answer, Comparison, Counts, CountsError, Scope, Settings,
};

use tidegauge_publish::tables::Table;

use crate::sample;

/// Answers from the made-up report.
pub(crate) struct Made {
    pub(crate) empty: bool,
    pub(crate) broken: bool,
    /// For everybody: no organisation has a name.
    pub(crate) public: bool,
}

pub(crate) const GOOD: Made = Made { empty: false, broken: false, public: false };

/// What the pages say of their house.
pub(crate) fn settings() -> Settings {
    let synthetic = Synthetic { world: "A".to_owned(), note: "Made up.".to_owned() };
    Settings {
        program: "Tidegauge 0.1.0".to_owned(),
        synthetic: Some(synthetic),
        internal: true,
        findings: true,
        ..Settings::default()
    }
}

/// A population of one country is a part of all; each falls in its own way.
fn months(query: &Query) -> Release {
    let part = match query.countries.first().map(ToString::to_string).as_deref() {
        None => 100,
        Some("US") => 12,
        Some("DE") => 9,
        Some(_) => 7,
    };
    let lost = |month: u64| match part {
        100 => 5 * month,
        12 => 7 * month,
        9 => 2 * month,
        _ => 4 * month,
    };
    let names: Vec<String> = (1..=12)
        .map(|m| tidegauge_model::Month::new(2024, m).unwrap().to_string())
        .collect();
    let counts = (0..12).map(|m| 22_000 * part / 100 * (100 - lost(m)) / 100);
    let rows: Vec<(Option<&str>, u64)> =
        names.iter().map(|n| Some(n.as_str())).zip(counts).collect();
    sample::released(&Query { by: vec![Dimension::Month], ..query.clone() }, &rows)
}

fn picked(query: &Query) -> Release {
    let report = sample::full();
    let pick = |p: tidegauge_publish::report::Paired| {
        if query.days.first() < sample::day("2024-09-01") { p.before } else { p.after }
    };
    let products = [("kaspersky", 22_014, 8_003), ("eset", 4_100, 4_390)];
    match query.by.as_slice() {
        [Dimension::Country] => pick(report.countries.unwrap()),
        [Dimension::Sector] => pick(report.sectors.unwrap()),
        [Dimension::Product] => pick(sample::paired(Dimension::Product, &products)),
        _ => months(query),
    }
}

impl Counts for Made {
    fn release<'a>(&'a self, query: &'a Query) -> Answer<'a, Release> {
        if self.broken {
            let cause = std::io::Error::other("/secret/lake: damaged");
            return Box::pin(ready(Err(CountsError::Failed(Box::new(cause)))));
        }
        let hidden = query.countries.iter().any(|c| c.as_str() == "LU");
        if query.by.contains(&Dimension::Day) || hidden {
            return Box::pin(ready(Err(CountsError::Refused {
                asked: "days".to_owned(),
                hint: "count by week".to_owned(),
            })));
        }
        Box::pin(ready(Ok(picked(query))))
    }

    fn estimates<'a>(
        &'a self,
        asked: &'a Comparison,
    ) -> Answer<'a, Vec<ReleasedEstimate>> {
        let mut found = sample::full().estimates;
        if asked.by == Some(Dimension::Sector) {
            found.retain(|e| e.stratum().is_empty());
        }
        Box::pin(ready(Ok(found)))
    }

    fn coverage(&self, days: DayRange) -> Answer<'_, Vec<Coverage>> {
        let mut all = sample::coverage();
        all.retain(|c| days.contains(c.day));
        Box::pin(ready(Ok(all)))
    }

    fn timeline(&self) -> Answer<'_, Timeline> {
        Box::pin(ready(Ok(sample::timeline())))
    }

    fn assessment<'a>(&'a self, policy: &'a PolicyId) -> Answer<'a, Assessed> {
        let found = match policy.as_str() {
            "US-BIS-updates" => Assessed::Ready(Box::new(assessment())),
            "US-BIS-sales" => Assessed::Working,
            _ => Assessed::Absent("Its months were not covered.".to_owned()),
        };
        Box::pin(ready(Ok(found)))
    }

    fn organisations<'a>(&'a self, words: &'a str) -> Answer<'a, Found> {
        let mut found = vec![dossier().organisation];
        found.retain(|one| one.name.contains(words));
        let total = found.len();
        let found = Found { organisations: found, total };
        Box::pin(ready(if self.public {
            Err(CountsError::Internal)
        } else {
            Ok(found)
        }))
    }

    fn organisation<'a>(&'a self, id: &'a OrgId) -> Answer<'a, Option<Dossier>> {
        let found = Some(dossier())
            .filter(|d| d.organisation.id == *id || d.family.contains(id));
        Box::pin(ready(if self.public {
            Err(CountsError::Internal)
        } else {
            Ok(found)
        }))
    }

    fn releases(&self) -> Answer<'_, Vec<Publication>> {
        let one = |id: &str, month, by, rows: &[(Option<&str>, u64)]| {
            let query = Query {
                by: vec![by],
                products: vec!["kaspersky".into()],
                ..Query::new(sample::month(month))
            };
            Publication {
                id: id.to_owned(),
                made: tidegauge_model::Instant(1_735_689_600_000_000),
                release: sample::released(&query, rows),
                // 2 January 2025.
                withdrawn: (id == "report:1:2")
                    .then_some(tidegauge_model::Instant(1_735_776_000_000_000)),
                versions: vec![("program".to_owned(), "0.1.0".to_owned())],
            }
        };
        let countries = [
            (Some("US"), 2_500),
            (Some("DE"), 1_910),
            (Some("LU"), 3),
            (Some("ZZ"), 12),
        ];
        let months = [(Some("2024-04"), 22_000)];
        let late = [(Some("US"), 2_500), (Some("LU"), 12)];
        Box::pin(ready(Ok(vec![
            one("report:1:0", "2024-04", Dimension::Country, &countries),
            one("report:1:1", "2024-04", Dimension::Day, &months),
            one("report:1:2", "2024-11", Dimension::Country, &late),
        ])))
    }

    fn causes<'a>(&'a self, release: &'a str) -> Answer<'a, Causes> {
        let mut moved = Table::new(["country", "unit", "published", "today"]);
        moved.push(["US", "organisations", "2500", "2540"]);
        let told = format!("of 40 figures of {release} were moved: 1 by the <catalog>");
        Box::pin(ready(if self.public {
            Err(CountsError::Internal)
        } else {
            Ok(Causes { told: vec![told], moved })
        }))
    }

    fn findings(&self) -> Answer<'_, Arc<Findings>> {
        Box::pin(ready(if self.public {
            Err(CountsError::Internal)
        } else {
            Ok(Arc::new(findings()))
        }))
    }

    fn findings_as(&self, form: Export) -> Answer<'_, String> {
        let text = match form {
            Export::Json => "{\"findings\":[]}",
            other => other.as_str(),
        };
        Box::pin(ready(if self.public {
            Err(CountsError::Internal)
        } else {
            Ok(text.to_owned())
        }))
    }

    fn knowledge(&self) -> Answer<'_, Vec<Known>> {
        let known = |kind, id: &str, name: &str, newest: &str| Known {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
            newest: Some(sample::day(newest)),
            entries: 67_685,
            older: 3,
        };
        Box::pin(ready(Ok(vec![
            known(KnownKind::Holders, "rir", "<holder>", "2024-10-01"),
            known(KnownKind::Catalog, "kaspersky", "Kaspersky", "2024-06-01"),
        ])))
    }

    fn version(&self) -> Pin<Box<dyn Future<Output = Option<u64>> + Send + '_>> {
        Box::pin(ready(Some(7)))
    }

    fn scope(&self) -> Answer<'_, Scope> {
        let months = ("2024-04".parse().unwrap(), "2024-11".parse().unwrap());
        let countries =
            ["US", "DE", "IT", "FR", "BR", "GB", "LU"].map(|c| c.parse().unwrap());
        Box::pin(ready(Ok(Scope {
            products: vec![
                ("kaspersky".into(), "Kaspersky".to_owned()),
                ("eset".into(), "ESET".to_owned()),
            ],
            countries: countries.to_vec(),
            sectors: vec![
                ("health".into(), "<script>Health".to_owned()),
                ("technology".into(), "Technology".to_owned()),
            ],
            days: (!self.empty).then(sample::year),
            compared: Some(months),
            acts: vec![("US-BIS-updates".into(), months.0, months.1)],
        })))
    }
}

/// An organisation that moved from one network to another.
fn dossier() -> Dossier {
    let days =
        |first, last| DayRange::new(sample::day(first), sample::day(last)).unwrap();
    let holding = |first: &str, last: &str, held, kind| Holding {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        days: held,
        kind,
        shared: Shared::No,
        country: Some("DE".parse().unwrap()),
        confidence: 0.9,
    };
    Dossier {
        organisation: Organisation {
            id: OrgId::new("org:ACME/1 & more"),
            name: "<b>Acme GmbH".to_owned(),
            country: Some("DE".parse().unwrap()),
            parent: Some(OrgId::new("org:PARENT")),
            sector: Some("technology".into()),
            other_sectors: vec!["health".into()],
        },
        family: vec![OrgId::new("org:PARENT"), OrgId::new("org:SISTER")],
        days: sample::year(),
        holdings: vec![
            holding(
                "192.0.2.0",
                "192.0.2.255",
                days("2024-01-01", "2024-06-30"),
                NetworkKind::Own,
            ),
            holding(
                "198.51.100.0",
                "198.51.100.127",
                days("2024-07-01", "2024-12-31"),
                NetworkKind::Hosting,
            ),
        ],
        contacts: vec![Contact {
            product: "kaspersky".into(),
            name: "Kaspersky".to_owned(),
            weeks: vec![(days("2024-04-01", "2024-04-07"), 5)],
        }],
    }
}

/// A finding with all there can be of it.
fn exposure(
    id: &str,
    subject: &str,
    kind: &str,
    tier: u8,
    state: FindingState,
) -> Exposure {
    Exposure {
        finding: Finding {
            id: id.to_owned(),
            subject: subject.to_owned(),
            product: "kaspersky".into(),
            state,
            first_seen: Some(sample::day("2024-03-04")),
            last_seen: Some(sample::day("2024-08-30")),
            days: 41,
            addresses: 3,
            evidence: Vec::new(),
            confidence: 0.62,
        },
        product_name: "Kaspersky".to_owned(),
        about: About {
            kind: kind.to_owned(),
            tier: Some(tier),
            tags: vec!["dmz".to_owned(), "<i>shop".to_owned()],
            through: vec!["Acme Hosting".to_owned()],
            contact: Some("soc@example.org".to_owned()),
            listed: true,
        },
        since: sample::day("2024-09-27"),
        why: "not seen for 28 days; that it is gone is not shown".to_owned(),
        moves: vec![Move {
            on: sample::day("2024-03-04"),
            to: FindingState::Open,
            by: "seen".to_owned(),
            said: None,
        }],
        sights: vec![Sight {
            signal: "served".to_owned(),
            grade: "sni".to_owned(),
            endpoint: "update kaspersky-updates".to_owned(),
            vantage: "hq".into(),
            network: "198.51.100.0/24".parse().unwrap(),
            matched: "in the network 198.51.100.0/24 of the row".to_owned(),
            organisation: Some(OrgId::new("org:ACME")),
            asn: Some(tidegauge_model::Asn(64_500)),
            first: sample::day("2024-03-04"),
            last: sample::day("2024-08-30"),
            days: 41,
            contacts: 1_234,
            probability: 0.97,
        }],
        quiet: vec![QuietWeek {
            week: sample::day("2024-09-02"),
            looked_days: 5,
            vantages: vec!["hq".into()],
            detection: Err("no chance of detection was given (--detection)".to_owned()),
        }],
        said: vec![Said {
            on: sample::day("2024-09-03"),
            who: "J. <Doe>".to_owned(),
            verdict: "note".to_owned(),
            why: "asked them".to_owned(),
        }],
        next_steps: vec!["ask the supplier what was in contact".to_owned()],
        document: serde_json::json!({ "id": id }),
    }
}

/// Two findings and a row without one.
fn findings() -> Findings {
    Findings {
        as_of: Some(sample::day("2024-10-02")),
        exposures: Arc::from([
            exposure("f-1", "<b>Acme", "supplier", 2, FindingState::Quiet),
            exposure("f-2", "Head office", "asset", 1, FindingState::Reappeared),
        ]),
        silent: Arc::from([Silent {
            subject: "Nowhere Ltd".to_owned(),
            kind: "supplier".to_owned(),
            state: FindingState::NotVisible,
            placed: true,
        }]),
    }
}

/// What a group was seen with after.
fn flow(of: &str, n: u64) -> Flow {
    let way = |seen, share: f64| Way {
        seen,
        share,
        low: Some(share - 0.01),
        high: Some(share + 0.02),
    };
    let ways = vec![
        way(SeenWith::Product, 0.34),
        way(SeenWith::Both, 0.01),
        way(SeenWith::Rival, 0.2),
        way(SeenWith::Neither, 0.3),
        way(SeenWith::Nothing, 0.15),
    ];
    Flow { of: of.to_owned(), n, ways }
}

/// What all estimators say of the made-up act.
/// Every set of three choices; under one of them the rest cannot be told.
fn choices() -> Vec<Choices> {
    let mut sets = Vec::new();
    for (i, vantage) in ["all", "exchange", "isp-north"].into_iter().enumerate() {
        for (j, unit) in ["organisation", "family"].into_iter().enumerate() {
            for days in [1u32, 2, 3] {
                let chosen = [("vantage", vantage), ("unit", unit)];
                let mut chosen: Vec<_> =
                    chosen.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
                chosen.push(("days of activity".to_owned(), days.to_string()));
                let at =
                    f64::from(days) * 0.02 + [0.0, 0.04, 0.09][i] - [0.0, 0.015][j];
                let rest = (i != 1 || days < 3).then_some(0.55 + at / 3.0);
                sets.push(Choices {
                    chosen,
                    asked: (i, j, days) == (0, 0, 2),
                    removal: vec![
                        ("US".to_owned(), Some(0.56 + at)),
                        ("all".to_owned(), Some(0.55 + at)),
                        ("rest".to_owned(), rest),
                    ],
                });
            }
        }
    }
    sets
}

fn assessment() -> Assessment {
    let reading = |section: &str, value: Option<f64>| Reading {
        section: section.to_owned(),
        what: "half of them gone after".to_owned(),
        of: "country=US".to_owned(),
        unit: "weeks".to_owned(),
        value,
        low: value.map(|v| v - 2.0),
        high: value.map(|v| v + 2.5),
        p: None,
        n: 2_540,
        counted: "organisations".to_owned(),
        method: "Kaplan and Meier".to_owned(),
        assumption: "leaving and being lost from sight are independent".to_owned(),
        refused: value.is_none().then(|| Refusal {
            rule: "no-donors".to_owned(),
            reason: "no country is like it <before>".to_owned(),
        }),
    };
    Assessment {
        before: sample::month("2024-04"),
        after: sample::month("2024-11"),
        verdict: vec![
            "of 2540 organisations of US active before, 62 % were not active after"
                .to_owned(),
            "a change between two windows is not yet the effect of the act".to_owned(),
        ],
        estimates: sample::full().estimates,
        readings: vec![reading("survival", Some(17.0)), reading("comparison", None)],
        flows: vec![flow("all", 2_540), flow("US", 310)],
        survival: sample::survival(),
        choices: choices(),
        checks: vec![Check {
            name: "controls move alike".to_owned(),
            passed: None,
            detail: "no control product".to_owned(),
        }],
        questions: vec![Question {
            question: "Did use end sooner than before?".to_owned(),
            answer: "Not identified: no-donors.".to_owned(),
        }],
        alarms: vec!["exchange saw half as much".to_owned()],
        refusals: vec![Refusal {
            rule: "effect-needs-comparison".to_owned(),
            reason: "before and after alone do not tell".to_owned(),
        }],
        superseded: false,
    }
}
