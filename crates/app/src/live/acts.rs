//! Acts that are assessed in the background, one at a time, when their page is asked for.
//!
//! **Invariant:** what is shown of an act is whole: an older assessment stands, and says
//! that it is one, until a newer is done; estimates pass the rule of the pages, beside the
//! tables that the pages show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tidegauge_effect::Stratify;
use tidegauge_model::PolicyId;
use tidegauge_publish::assessment::{Assessed, Assessment};
use tidegauge_publish::serve::{Counts, CountsError};
use tokio::sync::mpsc;

use super::Live;
use crate::args;
use crate::opened::disclosed;
use crate::verb::assess::{self, Inquiry};

/// What is known of acts, and where those to be assessed are written down.
pub(super) struct Acts {
    waiting: mpsc::UnboundedSender<PolicyId>,
    known: Mutex<BTreeMap<PolicyId, Known>>,
}

/// Acts in the order in which they were asked for.
pub(crate) type Waiting = mpsc::UnboundedReceiver<PolicyId>;

/// What is known of one act.
#[derive(Default)]
struct Known {
    /// Of which version of the lake.
    version: Option<u64>,
    /// What was found, or why nothing was, in words for readers.
    found: Option<Result<Assessment, String>>,
    /// It is waiting or being assessed.
    under_way: bool,
}

impl Acts {
    pub(super) fn new() -> (Self, Waiting) {
        let (waiting, asked) = mpsc::unbounded_channel();
        (Self { waiting, known: Mutex::default() }, asked)
    }

    /// What is known of `policy`; what is not of this `version` is asked for anew.
    pub(super) fn of(&self, policy: &PolicyId, version: Option<u64>) -> Assessed {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(policy.clone()).or_default();
        let current = known.found.is_some() && known.version == version;
        if !current && !known.under_way {
            // Without anybody to assess, nothing is under way.
            known.under_way = self.waiting.send(policy.clone()).is_ok();
        }
        match &known.found {
            Some(Ok(found)) => Assessed::Ready(Box::new(Assessment {
                superseded: known.under_way,
                ..found.clone()
            })),
            Some(Err(why)) if !known.under_way => Assessed::Absent(why.clone()),
            None if !known.under_way => {
                Assessed::Absent("Acts are not assessed here.".to_owned())
            }
            _ => Assessed::Working,
        }
    }

    fn keep(
        &self,
        policy: PolicyId,
        version: Option<u64>,
        found: Result<Assessment, String>,
    ) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(policy, Known { version, found: Some(found), under_way: false });
    }
}

/// Assesses acts as they are asked for, until nobody can ask any more.
pub(crate) async fn assess_waiting(live: Arc<Live>, mut waiting: Waiting) {
    while let Some(policy) = waiting.recv().await {
        let version = live.version().await;
        let (of, asked) = (Arc::clone(&live), policy.clone());
        let handle = tokio::runtime::Handle::current();
        // Minutes of arithmetic: not on a thread that answers readers.
        let work = move || handle.block_on(of.assess(&asked));
        let found = match tokio::task::spawn_blocking(work).await {
            Ok(found) => found,
            Err(stopped) => Err(stopped.into()),
        };
        let found = found.unwrap_or_else(|error| Err(in_words(&policy, &error)));
        let outcome = if found.is_ok() { "assessed" } else { "not assessed" };
        live.acts.keep(policy.clone(), version, found);
        tracing::info!("{policy}: {outcome}");
    }
}

/// Readers get what the rule of the pages refuses; what failed is for the operator.
fn in_words(policy: &PolicyId, error: &anyhow::Error) -> String {
    if let Some(CountsError::Refused { asked, hint }) = error.downcast_ref() {
        return format!("Not assessed: {asked} cannot be counted. Hint: {hint}.");
    }
    tracing::error!("assessing {policy}: {error:#}");
    "The assessment failed; the operator of these pages finds the cause in the log."
        .to_owned()
}

impl Live {
    /// What every estimator says of an act, under the rule of evidence of the pages; or why
    /// this lake cannot tell, in words.
    async fn assess(
        &self,
        policy: &PolicyId,
    ) -> anyhow::Result<Result<Assessment, String>> {
        let policy = self.timeline.policy(policy.as_str());
        let policy = policy.context("the act is in the timeline")?;
        let compared = args::Compared::default();
        let windows = match assess::windows(&compared, policy) {
            Ok(windows) => windows,
            Err(why) => return Ok(Err(format!("Not assessed: {why}."))),
        };
        if let Err(why) =
            self.opened.require_covered(&[windows.before(), windows.after()]).await
        {
            return Ok(Err(format!("Not assessed: {why}.")));
        }
        let inquiry = Inquiry {
            policy,
            timeline: &self.timeline,
            windows,
            evidence: args::Evidence {
                product: vec![policy.product.clone()],
                ..self.evidence.clone()
            },
            compared: &compared,
            asked: Stratify::Country,
            draws: 0,
        };
        let mut tables = Vec::new();
        for query in inquiry.tables(&self.opened)? {
            tables.push(self.released(&query).await?);
        }
        let internal = self.evidence.internal;
        let disclose = |estimates| disclosed(internal, estimates, &tables);
        let findings = inquiry.find(&self.opened, disclose).await?;
        Ok(Ok(findings.told(policy)))
    }
}

#[cfg(test)]
mod tests {
    use tidegauge_model::DayRange;

    use super::*;

    fn found() -> Assessment {
        let month = |m: &str| DayRange::month(m.parse().expect("a month"));
        Assessment {
            before: month("2024-04"),
            after: month("2024-11"),
            verdict: vec!["found".to_owned()],
            estimates: vec![],
            readings: vec![],
            flows: vec![],
            survival: vec![],
            choices: vec![],
            checks: vec![],
            questions: vec![],
            alarms: vec![],
            refusals: vec![],
            superseded: false,
        }
    }

    #[test]
    fn an_act_is_asked_for_once_and_its_finding_stands_until_a_newer() {
        let (acts, mut waiting) = Acts::new();
        let policy = PolicyId::new("US-BIS-2024-updates");
        assert!(matches!(acts.of(&policy, Some(1)), Assessed::Working));
        assert!(matches!(acts.of(&policy, Some(1)), Assessed::Working));
        assert_eq!(waiting.try_recv().ok(), Some(policy.clone()));
        assert!(waiting.try_recv().is_err(), "asked for once");

        acts.keep(policy.clone(), Some(1), Ok(found()));
        let Assessed::Ready(first) = acts.of(&policy, Some(1)) else {
            panic!("it was found")
        };
        assert!(!first.superseded);
        let Assessed::Ready(old) = acts.of(&policy, Some(2)) else {
            panic!("the older one stands")
        };
        assert!(old.superseded);
        assert_eq!(waiting.try_recv().ok(), Some(policy.clone()));

        acts.keep(policy.clone(), Some(2), Err("not covered".to_owned()));
        assert!(matches!(acts.of(&policy, Some(2)), Assessed::Absent(_)));
    }

    #[test]
    fn nobody_who_assesses_is_told() {
        let (acts, waiting) = Acts::new();
        drop(waiting);
        let said = acts.of(&PolicyId::new("US-BIS-2024-updates"), Some(1));
        assert!(matches!(said, Assessed::Absent(_)));
    }
}
