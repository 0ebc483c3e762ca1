//! What happens beside people leaving is in the telemetry, where it belongs and nowhere
//! else.

use std::collections::BTreeMap;

use tidegauge_model::Address;
use tidegauge_simulate::{Params, RegistryErrors, Story, expected};

use crate::files::{Read, holder, is_update, read, registry, world};

/// All flows of a small world, with its folder.
fn flows(params: &Params) -> (tempfile::TempDir, Vec<Read>) {
    let (dir, written) = world(params);
    let flows = written.tables.iter().flat_map(|table| read(table)).collect();
    (dir, flows)
}

fn small(story: Story) -> Params {
    Params { organisations: 0.01, eyeball: 0.005, ..Params::of(story) }
}

#[test]
fn noise_stands_in_rented_space_and_counts_for_nobody() {
    let params = small(Story::E);
    let (dir, flows) = flows(&params);
    let held = registry(&dir.path().join("registry/holders-2024-01-01.csv"));
    let mut reader =
        csv::Reader::from_path(dir.path().join("truth/noise.csv")).unwrap();
    let noise: BTreeMap<Address, String> = reader
        .records()
        .map(Result::unwrap)
        .map(|row| (row[0].parse().unwrap(), row[1].to_owned()))
        .collect();
    let expected =
        params.noise.scanners + params.noise.sandboxes + params.noise.vpn_exits;
    assert_eq!(noise.len(), expected as usize);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for flow in &flows {
        let rented = holder(&held, flow.originator).is_some_and(|h| h.2 == "hosting");
        assert_eq!(rented, noise.contains_key(&flow.originator));
        if let Some(kind) = noise.get(&flow.originator) {
            *seen.entry(kind).or_default() +=
                u32::from(is_update(flow.name.as_deref().unwrap_or("")));
        }
    }
    assert!(seen.len() == 3 && seen.values().all(|n| *n > 100), "{seen:?}");
}

#[test]
fn prefixes_that_a_provider_holds_are_made_up_for() {
    let registry_errors =
        RegistryErrors { provider_held: 0.1, ..RegistryErrors::default() };
    let params = Params { registry: registry_errors, ..small(Story::A) };
    for figure in expected(&params).unwrap() {
        let difference = figure.difference();
        assert!(difference.abs() < 0.015, "{}: {difference:+.4}", figure.id);
    }
    let (dir, _) = world(&params);
    let held = registry(&dir.path().join("registry/holders-2024-10-01.csv"));
    let count = |kind: &str| held.values().filter(|row| row.3 == kind).count();
    let (provider, own) = (count("isp_business"), count("own"));
    assert!(provider * 20 > own && provider * 5 < own, "{provider} of {own}");
    let errors = std::fs::read_to_string(dir.path().join("truth/registry_errors.csv"));
    assert_eq!(errors.unwrap().matches(",provider-held,").count(), provider);
}
