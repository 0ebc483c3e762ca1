//! Every file of `policies/` can be read and says where its facts come from.

use tidegauge_enrich::built_in;
use tidegauge_model::policy::Timeline;

fn timeline() -> Timeline {
    let mut timeline = Timeline::default();
    for (file, text) in built_in::POLICIES {
        timeline.read(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    timeline
}

#[test]
fn every_act_is_there_once_and_has_a_source() {
    let timeline = timeline();
    assert_eq!((timeline.policies.len(), timeline.vendor.len()), (32, 14));
    let policies = timeline.policies.iter().map(|p| (&p.id, &p.source));
    let vendor = timeline.vendor.iter().map(|v| (&v.id, &v.source));
    let mut ids = std::collections::BTreeSet::new();
    for (id, source) in policies.chain(vendor) {
        assert!(!source.is_empty(), "{id} has no source");
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
}

#[test]
fn every_act_that_binds_has_a_date_and_dates_are_in_order() {
    for policy in timeline().policies {
        assert!(policy.announced.is_some(), "{} was never announced", policy.id);
        assert!(!policy.binding || policy.effective.is_some(), "{}", policy.id);
        let dates = [policy.announced, policy.effective, policy.deadline, policy.ended];
        let known: Vec<_> = dates.into_iter().flatten().collect();
        assert!(known.is_sorted(), "{}: {known:?}", policy.id);
    }
}

#[test]
fn the_four_steps_of_2024_have_labels_for_charts() {
    let timeline = timeline();
    let policies = timeline.policies.iter().filter(|p| !p.label.is_empty());
    let mut labels: Vec<_> = policies
        .map(|p| {
            let day =
                if p.label == "Ban announced" { p.announced } else { p.effective };
            (day.unwrap().to_string(), p.label.clone())
        })
        .collect();
    let vendor = timeline.vendor.iter().filter(|v| !v.label.is_empty());
    labels.extend(vendor.map(|v| (v.date.to_string(), v.label.clone())));
    labels.sort();
    let labels: Vec<_> = labels.iter().map(|(d, l)| (d.as_str(), l.as_str())).collect();
    assert_eq!(
        labels,
        [
            ("2024-06-20", "Ban announced"),
            ("2024-07-20", "New sales stop"),
            ("2024-09-17", "Forced migration"),
            ("2024-09-29", "Updates stop"),
        ]
    );
}
