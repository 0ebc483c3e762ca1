//! The answer of an assessment: what was found, in words and for programs.
//!
//! **Invariant:** nothing of a stratum is told unless the disclosure rule lets its cohort
//! removal be shown; a figure that is not identified is `null`, with the rule beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegauge_effect::Windows;
use tidegauge_effect::occupancy::weekly::{
    Alarm, Corrected, LackOfFit, Refusal, Share,
};
use tidegauge_model::ProductId;
use tidegauge_model::estimate::{
    Estimate, Identification, Interval, Quantity, ReleasedEstimate,
};
use tidegauge_model::policy::PolicyEvent;

/// A lack of fit with a p-value below this is told as a failed check.
const FIT_P_MIN: f64 = 0.05;

/// Pairs of dimension and value; empty for all.
type Stratum = Vec<(String, String)>;

/// What an assessment rests on.
pub(super) struct Answer<'a> {
    pub(super) policy: &'a PolicyEvent,
    pub(super) product: &'a ProductId,
    pub(super) windows: Windows,
    pub(super) corrected: &'a Result<Corrected, Refusal>,
}

/// A check that the model of visibility makes of itself.
pub(super) struct ModelCheck<'a> {
    pub(super) name: &'static str,
    pub(super) passed: bool,
    /// What the histories drawn came to.
    pub(super) fit: Option<&'a LackOfFit>,
}

/// The estimates of one stratum that may be shown.
#[derive(Default)]
struct Group<'a> {
    removal: Option<&'a Estimate>,
    net: Option<&'a Estimate>,
    corrected: Option<&'a Estimate>,
}

impl Answer<'_> {
    /// What a JSON document carries beside the rows.
    pub(super) fn document(
        &self,
        estimates: &[ReleasedEstimate],
    ) -> Map<String, Value> {
        let (before, after) = (self.windows.before(), self.windows.after());
        let window = |range: tidegauge_model::DayRange| json!({ "first": range.first().to_string(), "last": range.last().to_string() });
        let mut document = Map::new();
        let mut put = |key: &str, value: Value| {
            document.insert(key.to_owned(), value);
        };
        put("policy", json!(self.policy.id.as_str()));
        put("product", json!(self.product.as_str()));
        put("before", window(before));
        put("after", window(after));
        put("verdict", json!(self.verdict(estimates)));
        put("groups", self.groups(estimates));
        put("visibility", self.visibility());
        put("alarms", json!(self.alarms()));
        put("checks", self.checks());
        let refusals = self.refusals(estimates);
        put("refusals", refusals.iter().map(refusal).collect());
        put("method", json!(self.corrected.as_ref().ok().map(|c| c.method.clone())));
        document
    }

    /// The answer in words anyone understands, the most important first.
    pub(super) fn verdict(&self, estimates: &[ReleasedEstimate]) -> Vec<String> {
        let groups = groups(estimates);
        let mut words = vec![format!(
            "{}: {} against {}, {} days each",
            self.policy.id,
            self.windows.before(),
            self.windows.after(),
            self.windows.length_days()
        )];
        let addressed = vec![("country".to_owned(), self.policy.country.to_string())];
        if groups.is_empty() {
            words.push(format!("nothing is identified: {}", self.nobody()));
        }
        for stratum in [Vec::new(), addressed] {
            if let Some(group) = groups.get(&stratum) {
                words.extend(self.sentence(&stratum, group));
            }
        }
        words.extend(
            self.alarms().into_iter().map(|alarm| format!("visibility: {alarm}")),
        );
        words.push(
            "a change between two windows is not yet the effect of the act: other causes \
             fall into the same months"
                .to_owned(),
        );
        words
    }

    fn sentence(&self, stratum: &Stratum, group: &Group<'_>) -> Option<String> {
        let naive = group.removal?;
        let whom = match stratum.first() {
            None => "organisations".to_owned(),
            Some((_, value)) => format!("organisations of {value}"),
        };
        let seen = format!(
            "of {} {whom} active before, {:.0} % were not active after",
            naive.n,
            100.0 * naive.value
        );
        Some(match (group.corrected, reason(self.corrected, stratum)) {
            (Some(corrected), _) => {
                let [own, all] =
                    [corrected.intervals.first()?, corrected.intervals.last()?];
                let told = |i: &Interval| {
                    format!("{:.0} to {:.0} %", 100.0 * i.low, 100.0 * i.high)
                };
                let sure = if own == all {
                    told(all)
                } else {
                    format!(
                        "{}; if every address is whose it is said to be, {}",
                        told(all),
                        told(own)
                    )
                };
                format!(
                    "{seen}; with visibility taken out, {:.0} % ({sure}) stopped using {}",
                    100.0 * corrected.value,
                    self.product
                )
            }
            (None, Some(reason)) => format!(
                "{seen}; how many of them stopped using {} is not identified: {reason}",
                self.product
            ),
            (None, None) => {
                format!("{seen}; what is corrected for visibility is suppressed")
            }
        })
    }

    /// Whole, countries, sectors and both, in this order.
    fn groups(&self, estimates: &[ReleasedEstimate]) -> Value {
        let mut groups: Vec<_> = groups(estimates).into_iter().collect();
        groups.sort_by_key(|(stratum, _)| {
            let sector = stratum.first().is_some_and(|(name, _)| name == "sector");
            (stratum.len(), sector, stratum.clone())
        });
        let rule = estimates.iter().find_map(ReleasedEstimate::rule);
        if groups.is_empty() {
            return json!([self.of_nobody()]);
        }
        groups.iter().map(|(stratum, group)| self.group(stratum, group, rule)).collect()
    }

    /// The whole, where nobody was active in the window before.
    fn of_nobody(&self) -> Value {
        let nothing = figure(None);
        json!({
            "country": null,
            "sector": null,
            "n_baseline": 0,
            "cohort_removal": nothing,
            "net_change": nothing,
            "removal_corrected": nothing,
            "identified": false,
            "reason": self.nobody(),
        })
    }

    fn nobody(&self) -> String {
        format!("subjects-needed: nobody was active in {}", self.windows.before())
    }

    fn group(&self, stratum: &Stratum, group: &Group<'_>, rule: Option<&str>) -> Value {
        let suppressed = || format!("suppressed: {}", rule.unwrap_or("too few"));
        let reason = match (group.removal, group.corrected) {
            (None, _) => Some(suppressed()),
            (Some(_), Some(_)) => None,
            (Some(_), None) => {
                reason(self.corrected, stratum).or_else(|| Some(suppressed()))
            }
        };
        json!({
            "country": of_stratum(stratum, "country"),
            "sector": of_stratum(stratum, "sector"),
            "n_baseline": group.removal.map(|e| e.n),
            "cohort_removal": figure(group.removal),
            "net_change": figure(group.net),
            "removal_corrected": figure(group.corrected.filter(|_| reason.is_none())),
            "identified": reason.is_none(),
            "reason": reason,
        })
    }

    fn visibility(&self) -> Value {
        let weeks = self.corrected.as_ref().map(|c| c.visibility.as_slice());
        let of = |week: &tidegauge_effect::occupancy::weekly::VisibilityWeek| {
            json!({
                // The ISO week of most of its days.
                "week": week.first.plus(3).week().to_string(),
                "first": week.first.to_string(),
                "vantage": week.vantage.as_str(),
                "product": share(week.product),
                "control": week.control.map(share),
                "in_sight": week.in_sight,
                "looked": week.looked,
            })
        };
        weeks.unwrap_or_default().iter().map(of).collect()
    }

    /// What is remarkable about visibility, in words.
    pub(super) fn alarms(&self) -> Vec<String> {
        let alarms = self.corrected.as_ref().map(|c| c.alarms.as_slice());
        alarms.unwrap_or_default().iter().map(Alarm::to_string).collect()
    }

    /// What the model of visibility says of itself.
    pub(super) fn model_checks(&self) -> Vec<ModelCheck<'_>> {
        let Ok(corrected) = self.corrected else { return Vec::new() };
        let parted = corrected.alarms.iter().any(|a| matches!(a, Alarm::Parted { .. }));
        let parts = ModelCheck {
            name: "controls move as the product does among those who still show it",
            passed: !parted,
            fit: None,
        };
        let fits = corrected.lack_of_fit.as_ref().map(|fit| ModelCheck {
            name: "histories drawn from the model look like those seen",
            passed: fit.p >= FIT_P_MIN,
            fit: Some(fit),
        });
        std::iter::once(parts).chain(fits).collect()
    }

    fn checks(&self) -> Value {
        let of = |check: &ModelCheck<'_>| {
            let mut value = json!({ "name": check.name, "passed": check.passed });
            if let (Some(fit), Value::Object(fields)) = (check.fit, &mut value) {
                fields.insert("p".to_owned(), json!(fit.p));
                fields.insert("overdispersion".to_owned(), json!(fit.overdispersion));
                fields.insert("replicates".to_owned(), json!(fit.replicates));
                fields.insert("organisations".to_owned(), json!(fit.organisations));
            }
            value
        };
        self.model_checks().iter().map(of).collect()
    }

    /// What is not answered, each rule once: its name, its first reason, and how many
    /// strata it concerns (none if it concerns the question).
    pub(super) fn refusals(
        &self,
        estimates: &[ReleasedEstimate],
    ) -> Vec<(String, String, Option<usize>)> {
        let mut rules: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (_, reason) in not_identified(self.corrected, estimates) {
            let rule = reason.split(':').next().unwrap_or_default().to_owned();
            rules.entry(rule).or_insert((reason, 0)).1 += 1;
        }
        let found = rules
            .into_iter()
            .map(|(rule, (reason, strata))| (rule, reason, Some(strata)));
        let always = Some((
            "effect-needs-comparison".to_owned(),
            "before and after alone do not tell what the act did from what else happened \
             in the same months"
                .to_owned(),
            None,
        ));
        let both = [always, not_beside(estimates)];
        found.chain(both.into_iter().flatten()).collect()
    }
}

/// Which groups do not stand beside the others, and why.
fn not_beside(
    estimates: &[ReleasedEstimate],
) -> Option<(String, String, Option<usize>)> {
    let of = |dimensions: usize| {
        estimates.iter().any(|released| released.stratum().len() == dimensions)
    };
    let (missing, hint) = match (of(1), of(2)) {
        (true, false) => ("country and sector at once", "--by country,sector"),
        (false, true) => ("country, and by sector,", "--by country"),
        _ => return None,
    };
    let reason = format!(
        "groups by {missing} would give hidden ones of the others away (hint: {hint} in their \
         place, or --internal beside them)"
    );
    Some(("margins-or-cells".to_owned(), reason, None))
}

fn refusal((rule, reason, strata): &(String, String, Option<usize>)) -> Value {
    let mut value = json!({ "rule": rule, "reason": reason });
    if let (Some(strata), Value::Object(fields)) = (strata, &mut value) {
        fields.insert("strata".to_owned(), json!(strata));
    }
    value
}

/// Strata whose cohort removal may be shown and whose corrected removal is not
/// identified, with the rule.
pub(crate) fn not_identified(
    corrected: &Result<Corrected, Refusal>,
    estimates: &[ReleasedEstimate],
) -> Vec<(Stratum, String)> {
    let groups = groups(estimates);
    let open = groups.into_iter().filter(|(_, g)| g.removal.is_some());
    open.filter_map(|(stratum, _)| {
        let reason = reason(corrected, &stratum)?;
        Some((stratum, reason))
    })
    .collect()
}

/// Why the corrected removal of a stratum has no value; `None` if it has one.
fn reason(corrected: &Result<Corrected, Refusal>, stratum: &Stratum) -> Option<String> {
    let corrected = match corrected {
        Ok(corrected) => corrected,
        Err(refusal) => return Some(format!("no-model: {refusal}")),
    };
    let of = corrected.strata.iter().find(|s| s.stratum == *stratum);
    match of.map(|s| &s.identified) {
        Some(Identification::Identified) => None,
        Some(Identification::Mixed(why) | Identification::NotIdentified(why)) => {
            Some(why.clone())
        }
        None => Some("no-cohort: nobody of it was active before".to_owned()),
    }
}

fn groups(estimates: &[ReleasedEstimate]) -> BTreeMap<Stratum, Group<'_>> {
    let mut groups: BTreeMap<Stratum, Group<'_>> = BTreeMap::new();
    for released in estimates {
        let group = groups.entry(released.stratum().to_vec()).or_default();
        match released.quantity() {
            Quantity::CohortRemoval => group.removal = released.shown(),
            Quantity::NetChange => group.net = released.shown(),
            Quantity::RemovalCorrected => group.corrected = released.shown(),
            Quantity::Retention => {}
        }
    }
    groups
}

/// A value with its widest-founded interval, the last one, and each by itself.
fn figure(estimate: Option<&Estimate>) -> Value {
    let Some(estimate) = estimate else { return Value::Null };
    let interval = estimate.intervals.last();
    let each = estimate.intervals.iter();
    let each = each.map(|i| json!({ "of": i.method, "low": i.low, "high": i.high }));
    json!({
        "value": estimate.value,
        "low": interval.map(|i| i.low),
        "high": interval.map(|i| i.high),
        "interval": interval.map(|i| i.method.as_str()),
        "intervals": each.collect::<Vec<_>>(),
    })
}

/// The value of a dimension in a stratum, if it is of one.
pub(super) fn of_stratum<'a>(
    stratum: &'a [(String, String)],
    dimension: &str,
) -> Option<&'a str> {
    let of = stratum.iter().find(|(name, _)| name == dimension);
    of.map(|(_, value)| value.as_str())
}

pub(super) fn share(share: Share) -> Value {
    json!({ "value": share.value, "low": share.low, "high": share.high })
}
