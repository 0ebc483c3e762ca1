//! The chance that a user is seen in a week: given, or from assessments.
//!
//! **Invariant:** a chance that is not known for a product, week and vantage has a reason
//! and no number; of an interval its low end counts, so that silence proves no more than it
//! may. An assessment tells nothing where it could not tell removal from lost sight, nor
//! from a vantage that has lost sight of some: dark networks stay dark, so that weeks of
//! silence in them add nothing to each other.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use tidegauge_model::{ProductId, VantageId, Week};

use crate::args;
use crate::output::SCHEMA_VERSION;

/// Least share of a cohort that a vantage has in sight in each of its weeks for its silence
/// to say anything of one of them: what is missing is the chance that a row is among the
/// others, and may be as much as silence may be wrong in all
/// ([`MISSED_MAX`](tidegauge_exposure::life::silence::MISSED_MAX)). Of whoever fell silent early
/// it is a larger part than of all, so the worst week counts for every week.
const IN_SIGHT_MIN: f64 = 0.95;

/// Where chances come from.
#[derive(Debug, Default)]
pub(super) struct Chances {
    /// One for all.
    given: Option<f64>,
    /// By product and vantage.
    assessed: BTreeMap<(ProductId, VantageId), Curve>,
}

/// A vantage, week by week.
#[derive(Debug)]
struct Curve {
    /// The chance in each ISO week.
    weeks: BTreeMap<String, f64>,
    /// The least share of the cohort that was in sight in any; `None` if it is not known.
    in_sight: Option<f64>,
}

/// What is read of `tidegauge assess --format json`.
#[derive(Deserialize)]
struct Assessment {
    schema_version: u32,
    product: ProductId,
    groups: Vec<Group>,
    visibility: Vec<Seen>,
}

#[derive(Deserialize)]
struct Group {
    country: Option<String>,
    sector: Option<String>,
    identified: bool,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Seen {
    week: String,
    vantage: VantageId,
    /// Chance that a user in sight is seen in a week of seven days looked at.
    product: Low,
    /// Share of the cohort whose networks are still in sight.
    in_sight: Option<f64>,
}

#[derive(Deserialize)]
struct Low {
    low: f64,
}

impl Chances {
    pub(super) fn read(detection: &args::Detection) -> anyhow::Result<Self> {
        let mut chances =
            Self { given: detection.detection, assessed: BTreeMap::new() };
        for path in &detection.assessment {
            chances.add(path).with_context(|| format!("reading {}", path.display()))?;
        }
        Ok(chances)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let hint = "(hint: `tidegauge assess --format json > FILE`)";
        let text = std::fs::read_to_string(path)?;
        let found: Assessment = serde_json::from_str(&text)
            .with_context(|| format!("it is no assessment {hint}"))?;
        anyhow::ensure!(
            found.schema_version == SCHEMA_VERSION,
            "its schema version is {}, not {SCHEMA_VERSION} {hint}",
            found.schema_version
        );
        let whole =
            found.groups.iter().find(|g| g.country.is_none() && g.sector.is_none());
        anyhow::ensure!(
            whole.is_some_and(|whole| whole.identified) && !found.visibility.is_empty(),
            "it does not tell removal from lost sight, so its chances are not used: {} (hint: if \
             that is suppressed, `tidegauge assess --internal`)",
            whole.and_then(|w| w.reason.as_deref()).unwrap_or("no reason is given")
        );
        for seen in found.visibility {
            anyhow::ensure!(
                (0.0..=1.0).contains(&seen.product.low),
                "in {} the chance at {} is {}, which is no share",
                seen.week,
                seen.vantage,
                seen.product.low
            );
            let key = (found.product.clone(), seen.vantage);
            let new = || Curve { weeks: BTreeMap::new(), in_sight: Some(1.0) };
            let curve = self.assessed.entry(key).or_insert_with(new);
            let both = curve.in_sight.zip(seen.in_sight);
            curve.in_sight = both.map(|(a, b)| a.min(b));
            // Of two assessments of one product the one that claims less counts.
            let chance = curve.weeks.entry(seen.week).or_insert(seen.product.low);
            *chance = chance.min(seen.product.low);
        }
        Ok(())
    }

    /// The chance that a user whom these vantages look at for a whole week is seen by any, as
    /// if they saw apart from each other. `looked` has the days on which any did, and those of
    /// each: whoever looked on some of them alone adds so much less.
    pub(super) fn of(
        &self,
        product: &ProductId,
        week: Week,
        looked: (u8, &BTreeMap<VantageId, u8>),
    ) -> Result<f64, String> {
        if let Some(given) = self.given {
            return Ok(given);
        }
        if self.assessed.is_empty() {
            return Err(
                "no chance of detection was given (--detection, --assessment)".into()
            );
        }
        let (any, by) = looked;
        let (mut missed, mut unused) = (None, None);
        for (vantage, days) in by {
            let key = (product.clone(), vantage.clone());
            let Some(curve) = self.assessed.get(&key) else { continue };
            let Some(chance) = curve.weeks.get(&week.to_string()) else { continue };
            if curve.in_sight.is_some_and(|share| share >= IN_SIGHT_MIN) {
                let part = f64::from(*days) / f64::from(any.max(1));
                missed = Some(missed.unwrap_or(1.0) * (1.0 - chance).powf(part));
            } else {
                unused = Some((vantage, curve.in_sight));
            }
        }
        missed.map(|missed: f64| 1.0 - missed).ok_or_else(|| match unused {
            None => {
                format!("no assessment has a chance of detection of {product} in {week}")
            }
            Some((vantage, None)) => format!(
                "whether {vantage} kept sight is not known, so that silence may be darkness"
            ),
            Some((vantage, Some(share))) => format!(
                "{vantage} lost sight of {:.0} % of those assessed, so that silence may be darkness",
                100.0 * (1.0 - share)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Chances> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assess.json");
        std::fs::write(&path, text).unwrap();
        let detection =
            args::Detection { detection: None, assessment: vec![path.clone()] };
        Chances::read(&detection)
    }

    fn assessment(visibility: &str) -> String {
        format!(
            r#"{{"schema_version": {SCHEMA_VERSION}, "product": "red",
                 "groups": [{{"country": null, "sector": null, "identified": true}}],
                 "visibility": [{visibility}]}}"#
        )
    }

    const TWO: &str = r#"
        {"week": "2024-W10", "vantage": "east", "in_sight": 1.0, "product": {"low": 0.5}},
        {"week": "2024-W10", "vantage": "west", "in_sight": 0.96, "product": {"low": 0.2}},
        {"week": "2024-W10", "vantage": "blind", "in_sight": null, "product": {"low": 0.9}},
        {"week": "2024-W10", "vantage": "dark", "in_sight": 0.44, "product": {"low": 0.9}}"#;

    #[test]
    fn vantages_of_a_week_are_put_together_and_others_have_a_reason() {
        let chances = read(&assessment(TWO)).unwrap();
        let week = "2024-03-06".parse::<tidegauge_model::Day>().unwrap().week();
        let near = |a: Result<f64, String>, b: f64| (a.unwrap() - b).abs() < 1e-12;
        let of = |product: &str, week, vantages: &[(&str, u8)]| {
            let by =
                vantages.iter().map(|(v, days)| (VantageId::new(*v), *days)).collect();
            chances.of(&ProductId::new(product), week, (7, &by))
        };
        let both = [("east", 7), ("west", 7), ("north", 7)];
        assert!(near(of("red", week, &both), 0.6));
        assert!(near(of("red", week, &[("west", 7)]), 0.2));
        // East looked on one day of seven.
        let once = 1.0 - 0.8 * 0.5f64.powf(1.0 / 7.0);
        assert!(near(of("red", week, &[("east", 1), ("west", 7)]), once));
        for (product, week, vantages) in [
            ("red", week, &both[2..]),
            ("red", week.plus(1), &both),
            ("blue", week, &both),
        ] {
            let none = "no assessment has a chance of detection of";
            let said = of(product, week, vantages);
            assert_eq!(said, Err(format!("{none} {product} in {week}")));
        }
        let said = of("red", week, &[("dark", 7)]).unwrap_err();
        assert!(said.contains("lost sight of 56 % of those assessed"), "{said}");
        assert!(near(of("red", week, &[("dark", 7), ("west", 7)]), 0.2));
        let said = of("red", week, &[("blind", 7)]).unwrap_err();
        assert!(said.contains("whether blind kept sight is not known"), "{said}");
        let given = Chances { given: Some(0.7), assessed: BTreeMap::new() };
        let nobody = BTreeMap::new();
        assert_eq!(given.of(&ProductId::new("blue"), week, (0, &nobody)), Ok(0.7));
    }

    #[test]
    fn what_is_no_assessment_says_so() {
        let wrong = assessment(TWO).replace("0.5", "1.5");
        let refused =
            assessment(TWO).replace("true", r#"false, "reason": "visibility-parted""#);
        for (text, words) in [
            ("{}", "it is no assessment"),
            (&assessment(""), "does not tell removal from lost sight"),
            (&refused, "so its chances are not used: visibility-parted"),
            (&wrong, "which is no share"),
            (
                r#"{"schema_version": 1, "product": "red", "groups": [], "visibility": []}"#,
                "schema version is 1",
            ),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(words) && error.contains("assess.json"), "{error}");
        }
    }
}
