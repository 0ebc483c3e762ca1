//! Findings as readers of pages see them.
//!
//! **Invariant:** nothing is added and nothing is left out: pages say what the document
//! for programs says.

use tidegauge_effect::assessment::{Assessment as Found, Reading, Refused, WAYS};
use tidegauge_effect::specification::Specification;
use tidegauge_effect::substitution::State;
use tidegauge_model::policy::PolicyEvent;
use tidegauge_publish::assessment as told;

use super::answer::{Answer, ModelCheck};
use super::evidence::sections;
use super::inquiry::Findings;

impl Findings {
    /// All that was found about `policy`, for its page.
    pub(crate) fn told(self, policy: &PolicyEvent) -> told::Assessment {
        let answer = self.answer(policy);
        let verdict = verdict(&answer, &self);
        let checks = checks(&answer, &self.found);
        let refusals = answer.refusals(&self.estimates).into_iter();
        let refusals = refusals.map(|(rule, reason, strata)| told::Refusal {
            rule,
            reason: match strata {
                Some(strata) if strata > 1 => {
                    format!("{reason} (and {} more)", strata - 1)
                }
                _ => reason,
            },
        });
        let questions = self.found.questions.iter().map(|q| told::Question {
            question: q.question.to_owned(),
            answer: q.answer.clone(),
        });
        told::Assessment {
            before: self.windows.before(),
            after: self.windows.after(),
            verdict,
            readings: readings(&self.found),
            flows: flows(&self.found.substitution),
            survival: self.curves.clone(),
            choices: self.found.specification_curve.iter().map(choices).collect(),
            checks,
            questions: questions.collect(),
            alarms: answer.alarms(),
            refusals: refusals.collect(),
            superseded: false,
            estimates: self.estimates,
        }
    }
}

fn verdict(answer: &Answer<'_>, findings: &Findings) -> Vec<String> {
    let mut verdict = answer.verdict(&findings.estimates);
    if let Some(sector) = &findings.found.sector {
        verdict.push(format!(
            "the act addresses the sector {sector} alone, and so the questions and all \
             evidence are of it"
        ));
    }
    verdict
}

fn readings(found: &Found) -> Vec<told::Reading> {
    let sections = sections(found).into_iter();
    sections
        .flat_map(|(section, readings)| {
            readings.iter().map(move |r| reading(section, r))
        })
        .collect()
}

/// The ways of each group of which all are told.
fn flows(readings: &[Reading]) -> Vec<told::Flow> {
    let mut flows: Vec<told::Flow> = Vec::new();
    for reading in readings {
        let Some(share) = reading.value else { continue };
        let way = WAYS.iter().find(|(_, what)| *what == reading.what);
        let Some((state, _)) = way else { continue };
        let way = told::Way {
            seen: match state {
                State::Product => told::SeenWith::Product,
                State::Both => told::SeenWith::Both,
                State::Rival => told::SeenWith::Rival,
                State::Nothing => told::SeenWith::Neither,
                State::Invisible => told::SeenWith::Nothing,
            },
            share,
            low: reading.low,
            high: reading.high,
        };
        match flows.last_mut().filter(|flow| flow.of == reading.of) {
            Some(flow) => flow.ways.push(way),
            None => flows.push(told::Flow {
                of: reading.of.clone(),
                n: u64::try_from(reading.n).unwrap_or(u64::MAX),
                ways: vec![way],
            }),
        }
    }
    flows.retain(|flow| flow.ways.len() == WAYS.len());
    flows
}

fn choices(set: &Specification) -> told::Choices {
    let removal = set.figures.clone().into_iter().collect();
    told::Choices { chosen: set.choices.clone(), asked: set.asked, removal }
}

fn reading(section: &str, reading: &Reading) -> told::Reading {
    told::Reading {
        section: section.to_owned(),
        what: reading.what.clone(),
        of: reading.of.clone(),
        unit: reading.unit.to_owned(),
        value: reading.value,
        low: reading.low,
        high: reading.high,
        p: reading.p,
        n: u64::try_from(reading.n).unwrap_or(u64::MAX),
        counted: reading.counted.to_owned(),
        method: reading.method.clone(),
        assumption: reading.assumption.clone(),
        refused: reading.refused.as_ref().map(refused),
    }
}

fn refused(refused: &Refused) -> told::Refusal {
    told::Refusal { rule: refused.rule.clone(), reason: refused.reason.clone() }
}

fn checks(answer: &Answer<'_>, found: &Found) -> Vec<told::Check> {
    let of_model = answer.model_checks().into_iter().map(|check| told::Check {
        name: check.name.to_owned(),
        passed: Some(check.passed),
        detail: detail(&check),
    });
    let others = found.checks.iter().map(|check| told::Check {
        name: check.name.to_owned(),
        passed: check.passed,
        detail: check.detail.clone(),
    });
    of_model.chain(others).collect()
}

fn detail(check: &ModelCheck<'_>) -> String {
    check.fit.map_or_else(String::new, |fit| {
        format!(
            "p {:.3} of {} histories drawn, for {} organisations",
            fit.p, fit.replicates, fit.organisations
        )
    })
}
