//! Loaders on published lists that nobody here wrote, and on files that other programs
//! make; where they are absent, each test says so and returns.

#![cfg(test)]

use std::collections::BTreeMap;

use tidegauge_enrich::atlas::{Rules, grounds};
use tidegauge_model::observation::Field;
use tidegauge_model::{NetworkKind, Observation, OrgId, SectorId};

use crate::atlas::day;
use crate::atlas_real::{data, read, real};

const ON: &str = "2026-06-17";

/// How many observations have each text.
fn tally<'a>(
    observations: &'a [Observation],
    text: impl Fn(&'a Observation) -> &'a str,
) -> BTreeMap<&'a str, usize> {
    let mut tally = BTreeMap::new();
    for observation in observations {
        *tally.entry(text(observation)).or_default() += 1;
    }
    tally
}

#[test]
fn lists_of_domains_are_read_whole() {
    let Some(folder) = data("lists_of_domains_are_read_whole") else { return };
    let folder = folder.join("sector");
    let mut observations = Vec::new();
    let path = folder.join("dotgov-current-full.csv");
    let (loaded, losses) = read(&path, "gov-domains", "gov", ON, &mut observations);
    // Counted with Python's csv module: rows, and those of type `School district`.
    assert_eq!((loaded.observations, losses), (16_539, BTreeMap::new()));
    let tags = tally(&observations, |o| &o.detail["tag"]);
    assert_eq!(tags, BTreeMap::from([("gov", 16_474), ("uni", 65)]));

    let mut observations = Vec::new();
    let path = folder.join("world_universities_and_domains.json");
    let (loaded, losses) = read(&path, "universities", "uni", ON, &mut observations);
    // Counted with Python's json module.
    assert_eq!((loaded.observations, losses), (10_575, BTreeMap::new()));
    let of_mit = observations.iter().find(|o| o.value == "mit.edu").unwrap();
    assert_eq!(of_mit.detail["name"], "Massachusetts Institute of Technology");
}

#[test]
fn ranges_of_research_scanners_are_read_whole() {
    let name = "ranges_of_research_scanners_are_read_whole";
    let Some(folder) = data(name) else { return };
    let path = folder.join("../facts/research_scanners.csv");
    let mut observations = Vec::new();
    let (loaded, losses) = read(&path, "scanners", "scanners", ON, &mut observations);
    assert_eq!((loaded.observations, losses), (4_124, BTreeMap::new()));
    let operators = tally(&observations, |o| &o.detail["operator"]);
    assert_eq!((operators["stretchoid"], operators["shodan"]), (1_839, 70));
    assert!(observations.iter().all(|o| o.field == Field::RangeTag));
}

#[test]
fn updates_of_collectors_hold_no_table_and_close_their_books() {
    let name = "updates_of_collectors_hold_no_table_and_close_their_books";
    let Some(folder) = data(name) else { return };
    let folder = folder.join("mrt/ripe");
    for (file, records) in [
        // Records as a walk over their headers counts them.
        ("rrc03/2010.02/updates.20100227.1600.first-796-records.gz", 796),
        ("rrc15/2010.02/updates.20100227.1600.gz", 6_615),
        ("rrc15/2010.02/updates.20100227.1610.gz", 1_953),
        ("rrc00/1999.12/updates.19991214.1621.gz", 18_203),
        ("rrc00/2000.01/updates.20000102.2014.gz", 3_957),
    ] {
        let mut observations = Vec::new();
        let (loaded, losses) =
            read(&folder.join(file), "mrt", "rib", ON, &mut observations);
        assert_eq!(observations, [], "{file}");
        assert_eq!((loaded.passed, losses.len()), (records, 0), "{file}");
    }
}

#[test]
fn every_answer_over_real_tables_has_the_ground_that_made_it() {
    let name = "every_answer_over_real_tables_has_the_ground_that_made_it";
    let Some(folder) = data(name) else { return };
    let (real, rules) = (real(&folder), Rules::built_in());
    let rows = &real.origins[&(ON, "ipv4")];
    let (mut told, mut unknown) = (BTreeMap::new(), 0);
    for row in rows.iter().step_by(41) {
        let (first, _) = row.range.unwrap();
        let explained = real.atlas.lookup(first, day(ON));
        let kind = explained.attribution.kind;
        let found = grounds(&explained, &rules);
        let of = |what| found.iter().find(|ground| ground.of == what);
        let organisation = of("organisation").map(|ground| ground.answer.as_str());
        let id = explained.attribution.organisation.as_ref();
        assert_eq!(organisation, id.map(OrgId::as_str), "{first}");
        let sector = of("sector").map(|ground| ground.answer.as_str());
        let primary = explained.organisation.as_ref().and_then(|o| o.sector.as_ref());
        assert_eq!(sector, primary.map(SectorId::as_str), "{first}");
        if let Some(ground) = of("kind") {
            assert_eq!(ground.answer, kind.as_str(), "{first}");
            assert!(!ground.reason.is_empty());
            *told.entry(ground.rule.clone()).or_insert(0) += 1;
        } else {
            assert_eq!(kind, NetworkKind::Unknown, "{first}");
            unknown += 1;
        }
    }
    println!("{told:?}, {unknown} unknown");
    assert!(told.len() > 8, "{told:?}");
}
