//! A made-up report: literal numbers, so that every figure has something to show.

use std::collections::BTreeMap;

use tidegauge_model::count::{
    Cell, Census, Concentration, Counts, Dating, Dimension, Disclosure, Query, Release,
};
use tidegauge_model::estimate::{
    Estimate, EstimateDisclosure, Identification, Interval, Quantity, ReleasedEstimate,
};
use tidegauge_model::policy::Timeline;
use tidegauge_model::visibility::{
    Alarm, Share, SurvivalCurve, SurvivalWeek, VisibilityWeek,
};
use tidegauge_model::{Coverage, Day, DayRange, Month, Reason, SectorId};
use tidegauge_publish::report::{
    Correction, Expansion, Paired, Provenance, RankPanel, RankPart, RankSeries, Report,
    Synthetic,
};

/// Shows cells of at least ten organisations.
pub(crate) struct AtLeastTen;

impl Disclosure for AtLeastTen {
    fn statement(&self) -> String {
        "Cells with fewer than 10 organisations are withheld.".to_owned()
    }

    fn permits(&self, census: &Census) -> Vec<bool> {
        census.cells.iter().map(|c| c.counts.organisations >= 10).collect()
    }
}

impl EstimateDisclosure for AtLeastTen {
    fn statement(&self) -> String {
        "Estimates on fewer than 10 organisations are withheld.".to_owned()
    }

    fn permits(&self, estimate: &Estimate) -> bool {
        estimate.n >= 10
    }
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn month(text: &str) -> DayRange {
    DayRange::month(text.parse().unwrap())
}

pub(crate) fn year() -> DayRange {
    DayRange::new(day("2024-01-01"), day("2024-12-31")).unwrap()
}

pub(crate) fn release(
    days: DayRange,
    dimension: Dimension,
    rows: &[(Option<&str>, u64)],
    on: Dating,
) -> Release {
    released(&Query { by: vec![dimension], on, ..Query::new(days) }, rows)
}

/// The answer to a query of one dimension.
pub(crate) fn released(query: &Query, rows: &[(Option<&str>, u64)]) -> Release {
    let cells = rows
        .iter()
        .map(|(value, active)| Cell {
            key: vec![value.map(str::to_owned)],
            counts: Counts {
                addresses_v4: active * 6,
                networks_v6: active * 2,
                organisations: active + active / 20,
                organisations_active: *active,
                address_days: active * 55,
                contacts: active * 900,
                addresses_v4_consumer: active * 3,
            },
            concentration: Concentration::default(),
        })
        .collect();
    let query = query.clone();
    let standings = BTreeMap::new();
    let census = Census { query, cells, unattributed_share: 0.043, standings };
    Release::by(&AtLeastTen, census)
}

const MONTHLY: [u64; 12] = [
    21_480, 21_730, 21_905, 22_014, 21_630, 20_410, 18_220, 16_350, 14_480, 9_870,
    8_003, 7_720,
];

fn months(shift: u64, on: Dating) -> Release {
    let names: Vec<String> =
        (1..=12).map(|m| Month::new(2024, m).unwrap().to_string()).collect();
    let rows: Vec<(Option<&str>, u64)> = names
        .iter()
        .zip(MONTHLY)
        .enumerate()
        .map(|(i, (name, n))| (Some(name.as_str()), n - shift * i as u64))
        .collect();
    release(year(), Dimension::Month, &rows, on)
}

const COUNTRIES: [(&str, u64, u64); 14] = [
    ("US", 2_540, 1_067),
    ("DE", 1_910, 594),
    ("IT", 1_730, 605),
    ("FR", 1_480, 571),
    ("BR", 1_320, 620),
    ("GB", 1_190, 361),
    ("ES", 1_010, 402),
    ("PL", 720, 251),
    ("MX", 610, 330),
    ("IN", 560, 398),
    ("TR", 470, 489),
    ("NL", 390, 120),
    ("CA", 280, 101),
    ("LU", 14, 7),
];

pub(crate) fn paired(dimension: Dimension, rows: &[(&str, u64, u64)]) -> Paired {
    let of = |window: &str, pick: fn(&(&str, u64, u64)) -> u64| {
        let mut rows: Vec<(Option<&str>, u64)> =
            rows.iter().map(|r| (Some(r.0), pick(r))).collect();
        rows.push((None, 212));
        release(month(window), dimension, &rows, Dating::Frozen(day("2024-04-01")))
    };
    Paired { before: of("2024-04", |r| r.1), after: of("2024-11", |r| r.2) }
}

fn real(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn estimate(
    quantity: Quantity,
    stratum: &[(&str, &str)],
    after: DayRange,
    n: u64,
    k: u64,
) -> ReleasedEstimate {
    let share = real(k) / real(n);
    let value = if quantity == Quantity::Retention { share } else { 1.0 - share };
    let half = 1.96 * (share * (1.0 - share).abs() / real(n)).sqrt();
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    ReleasedEstimate::by(
        &AtLeastTen,
        Estimate {
            quantity,
            stratum: stratum.iter().map(owned).collect(),
            before: month("2024-04"),
            after,
            value,
            n,
            k,
            intervals: vec![Interval {
                method: "Wilson".to_owned(),
                level: 0.95,
                low: value - half,
                high: value + half,
            }],
            method: "share of the cohort".to_owned(),
            identified: Identification::visibility_not_separated(),
        },
    )
}

/// Shows everything.
struct Open;

impl EstimateDisclosure for Open {
    fn statement(&self) -> String {
        "Everything is shown.".to_owned()
    }

    fn permits(&self, _: &Estimate) -> bool {
        true
    }
}

/// The removal of an empty cohort.
pub(crate) fn of_nobody() -> ReleasedEstimate {
    let one = estimate(
        Quantity::CohortRemoval,
        &[("country", "US")],
        month("2024-11"),
        10,
        1,
    );
    let shown = one.shown().unwrap().clone();
    ReleasedEstimate::by(&Open, Estimate { value: f64::NAN, n: 0, k: 0, ..shown })
}

fn estimates() -> Vec<ReleasedEstimate> {
    let november = month("2024-11");
    let mut all = vec![
        estimate(Quantity::CohortRemoval, &[], november, 22_014, 7_204),
        estimate(Quantity::NetChange, &[], november, 22_014, 8_003),
    ];
    for (code, before, after) in COUNTRIES {
        let stratum = [("country", code)];
        let kept = after - after / 10;
        all.push(estimate(Quantity::CohortRemoval, &stratum, november, before, kept));
        all.push(estimate(Quantity::NetChange, &stratum, november, before, after));
    }
    all.push(estimate(Quantity::CohortRemoval, &[("country", "MC")], november, 9, 4));
    let corrected = [(None, 22_014, 8_225), (Some("US"), 2_540, 1_118)];
    for (code, n, k) in corrected {
        let stratum: Vec<_> = code.iter().map(|code| ("country", *code)).collect();
        all.push(estimate(Quantity::RemovalCorrected, &stratum, november, n, k));
    }
    all
}

/// Two vantages, of which one sees less from August on; Germany cannot be told.
fn correction() -> Correction {
    let share = |value: f64| Share { value, low: value - 0.04, high: value + 0.04 };
    let mut visibility = Vec::new();
    for (vantage, later) in [("isp-north", 1.0), ("exchange", 0.5)] {
        for week in 0..35 {
            let fallen = if week < 18 { 1.0 } else { later };
            visibility.push(VisibilityWeek {
                vantage: vantage.into(),
                first: day("2024-04-01").plus(7 * week),
                product: share(0.8 * fallen),
                control: Some(share(0.9 * fallen)),
                in_sight: Some(1.0),
                looked: 1.0,
            });
        }
    }
    let germany = vec![("country".to_owned(), "DE".to_owned())];
    let survival = survival();
    Correction {
        survival,
        visibility,
        alarms: vec![Alarm::Thinned {
            vantage: "exchange".into(),
            ratio: Share { value: 0.5, low: 0.45, high: 0.55 },
        }],
        refused: vec![(germany, "form-only: too many were not looked at".to_owned())],
        method: "weekly occupancy".to_owned(),
    }
}

/// The whole and the United States, where a few weeks may not be told.
pub(crate) fn survival() -> Vec<SurvivalCurve> {
    let curve = |code: Option<&str>, n_baseline: u64, faster: f64| {
        let week = |i: i32| {
            let before = f64::from(i) * 0.004;
            let after = f64::from((i - 11).max(0)) * 0.025 * faster;
            let value = 1.0 - before - after;
            let low = value - 0.001 * f64::from(i);
            let share = Share { value, low, high: value + 0.002 * f64::from(i) };
            let seen = n_baseline * u64::try_from(996 - 31 * i).unwrap() / 1000;
            SurvivalWeek { first: day("2024-05-03").plus(7 * i), in_use: share, seen }
        };
        let told = (0..27).filter(|i| code.is_none() || !(3..6).contains(i));
        SurvivalCurve {
            stratum: code
                .map(|code| ("country".to_owned(), code.to_owned()))
                .into_iter()
                .collect(),
            n_baseline,
            weeks: told.map(week).collect(),
        }
    };
    vec![curve(None, 22_014, 1.0), curve(Some("US"), 2_540, 1.2)]
}

fn retention() -> Vec<ReleasedEstimate> {
    let still = [970, 900, 790, 710, 620, 430, 330, 335];
    let mut all = Vec::new();
    for (number, thousandths) in (5..).zip(still) {
        let m = DayRange::month(Month::new(2024, number).unwrap());
        let of = |n: u64, share: u64| n * share / 1000;
        let everybody = of(22_014, thousandths);
        all.push(estimate(Quantity::Retention, &[], m, 22_014, everybody));
        let us = [("country", "US")];
        let americans = of(2_540, thousandths + 25);
        all.push(estimate(Quantity::Retention, &us, m, 2_540, americans));
    }
    all
}

pub(crate) fn timeline() -> Timeline {
    let mut timeline = Timeline::default();
    timeline.read(include_str!("data/timeline.toml")).unwrap();
    timeline
}

pub(crate) fn coverage() -> Vec<Coverage> {
    let mut all = Vec::new();
    for (index, vantage) in
        ["isp-north", "university", "exchange"].into_iter().enumerate()
    {
        for day in year().days() {
            if index == 1 && (150..174).contains(&(day.0 - year().first().0)) {
                continue;
            }
            let mut one = Coverage::empty(vantage.into(), day);
            one.flows = 1_200_000 + 40_000 * index as u64;
            one.contacts = 8_400;
            one.losses = BTreeMap::from([(Reason::Value, 3), (Reason::Truncated, 1)]);
            one.sampling_min = [1, 1, 1000][index];
            one.sampling_max =
                [1, 1, if day.month().number() > 8 { 4000 } else { 1000 }][index];
            let dark = index == 2 && day.0 % 9 == 0;
            one.hours = if dark { 0x0000_ffff } else { 0x00ff_ffff };
            for block in 0..(300 - 20 * u32::try_from(index).unwrap()) {
                let address = std::net::Ipv4Addr::from_bits(0x1400_0000 + (block << 8));
                one.footprint.insert(address.into());
            }
            all.push(one);
        }
    }
    all
}

fn ranks() -> RankPanel {
    let series = |vendor: &str, host: &str, part, base: usize, drop: bool| {
        let tiers = [1_000, 5_000, 10_000, 20_000];
        let points = (0..60)
            .map(|i| {
                let day = day("2022-01-05").plus(i * 25);
                let late = drop && day > self::day("2024-10-01");
                let wobble =
                    usize::from((i * 7 + i32::try_from(base).unwrap()) % 11 == 0);
                let level = base + wobble + usize::from(late) * 2;
                (day, tiers.get(level).copied())
            })
            .collect();
        RankSeries {
            vendor: vendor.to_owned(),
            host: host.to_owned(),
            role: "update".to_owned(),
            part,
            points,
        }
    };
    let ours = RankPart::Subject;
    let other = RankPart::Comparator;
    RankPanel {
        source: "list of popular names".to_owned(),
        tiers: vec![1_000, 5_000, 10_000, 20_000],
        hosts: vec![
            series("kaspersky", "dnl-01.geo.kaspersky.com", ours, 0, true),
            series("kaspersky", "downloads.upd.kaspersky.com", ours, 1, true),
            series("kaspersky", "touch.kaspersky.com", ours, 2, false),
            series("eset", "update.eset.com", other, 1, false),
            series("norton", "liveupdate.norton.com", other, 2, true),
            series(
                "microsoft",
                "definitionupdates.example",
                RankPart::Control,
                0,
                false,
            ),
            series("never", "never.example", other, 9, false),
        ],
        caveats: vec![
            "A position is relative to all names asked for, not a count of users."
                .to_owned(),
            "Snapshots are irregular.".to_owned(),
        ],
    }
}

/// A full report of made-up numbers.
pub(crate) fn full() -> Report {
    let sectors = [
        ("technology", 686, 301),
        ("education", 254, 122),
        ("manufacturing", 203, 84),
        ("business_services", 178, 71),
        ("health", 127, 52),
        ("telecommunications", 121, 63),
        ("finance", 102, 33),
        ("government", 102, 19),
        ("retail", 88, 40),
        ("energy", 61, 24),
        ("transport", 40, 18),
        ("media", 22, 9),
    ];
    let government = [
        ("US", 102, 19),
        ("IT", 64, 22),
        ("BR", 58, 41),
        ("FR", 31, 14),
        ("DE", 12, 4),
    ];
    let sector_names: BTreeMap<SectorId, String> =
        [("health".into(), "Health care".to_owned())].into();
    Report {
        product: "kaspersky".into(),
        product_name: "Kaspersky".to_owned(),
        focus: "US".parse().unwrap(),
        period: year(),
        covered: year(),
        before: month("2024-04"),
        after: month("2024-11"),
        synthetic: Some(Synthetic {
            world: "A".to_owned(),
            note: "Simulated telemetry with known truth; nobody was observed."
                .to_owned(),
        }),
        expansion: Some(Expansion {
            factor: 100.0,
            note: "Eyeballs were simulated at one in a hundred.".to_owned(),
        }),
        months_frozen: Some(months(0, Dating::Frozen(day("2024-04-01")))),
        months_each_day: Some(months(70, Dating::EachDay)),
        countries: Some(paired(Dimension::Country, &COUNTRIES)),
        sectors: Some(paired(Dimension::Sector, &sectors)),
        government: Some(paired(Dimension::Country, &government)),
        estimates: estimates(),
        correction: Some(correction()),
        retention: retention(),
        coverage: coverage(),
        timeline: timeline(),
        sector_names,
        rank_panel: Some(ranks()),
        provenance: Provenance {
            program: "Tidegauge 0.1.0".to_owned(),
            catalog: "2026-11-01 (5d41402a)".to_owned(),
            atlas: "12 snapshots, last 2024-12-31".to_owned(),
            run: "r-000042".to_owned(),
            seed: Some(7),
            more: vec![("Organisations".to_owned(), "scale 1.0".to_owned())],
        },
    }
}
