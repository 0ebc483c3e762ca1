//! What the lake's runs tell of pseudonyms: before which day they stand in the place of addresses,
//! and which keys they are made with.
//!
//! **Invariant:** a key is claimed once, by its number, before the first pseudonym is made with it;
//! whoever brings another is refused.

use std::collections::BTreeMap;

use anyhow::bail;
use tidegauge_enrich::pseudonym::Keys;
use tidegauge_model::{Day, Instant};
use tidegauge_store::{Lake, Pseudonymised, RunRecord};

use crate::clock;

/// The verb under which runs are recorded.
pub(crate) const VERB: &str = "lake retention";
/// The verb under which claims of keys are recorded.
const CLAIM: &str = "lake retention key";

/// Says in the lake, before anything is changed, which keys are taken, each once: of two that
/// begin at once with different keys one is refused.
pub(crate) async fn claim(
    lake: &Lake,
    keys: &Keys,
    before: Day,
    now: Instant,
) -> anyhow::Result<()> {
    for (number, print) in (1..).zip(keys.fingerprints()) {
        let id = format!("retention-key:{number}");
        let claim = RunRecord {
            arguments: serde_json::json!({ "before": before, "key": number, "fingerprint": print }),
            outcome: "claimed".to_owned(),
            ..record(&id, CLAIM, now, before, &Pseudonymised::default())
        };
        lake.record_run(&claim).await?;
    }
    recorded(lake).await?.accept(keys)
}

/// A run that puts pseudonyms in the place of addresses.
pub(crate) fn record(
    id: &str,
    verb: &str,
    started: Instant,
    before: Day,
    done: &Pseudonymised,
) -> RunRecord {
    RunRecord {
        id: id.to_owned(),
        started,
        finished: clock::now(),
        verb: verb.to_owned(),
        arguments: serde_json::json!({ "before": before }),
        versions: serde_json::json!({ "program": env!("CARGO_PKG_VERSION") }),
        inputs: serde_json::json!([]),
        outcome: format!("{} rows", done.rows),
    }
}

/// What runs before this one took.
#[derive(Default)]
pub(crate) struct Earlier {
    /// The latest day before which addresses may have been replaced.
    pub(crate) before: Option<Day>,
    /// Fingerprints of the keys taken, by number.
    keys: BTreeMap<u64, String>,
}

/// What the lake's runs tell of pseudonyms. A day that cannot be read is passed over, so that no
/// record stands in the way of counting.
pub(crate) async fn recorded(lake: &Lake) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier::default();
    for run in lake.runs().await? {
        if run.verb != VERB && run.verb != CLAIM {
            continue;
        }
        let text =
            |key: &str| run.arguments.get(key).and_then(serde_json::Value::as_str);
        let before: Option<Day> = text("before").and_then(|day| day.parse().ok());
        earlier.before = earlier.before.max(before);
        let number = run.arguments.get("key").and_then(serde_json::Value::as_u64);
        let print = text("fingerprint").map(str::to_owned);
        earlier.keys.extend(number.zip(print));
    }
    Ok(earlier)
}

impl Earlier {
    /// Whether keys are those that were taken, and perhaps more.
    pub(crate) fn accept(&self, keys: &Keys) -> anyhow::Result<()> {
        let prints = keys.fingerprints();
        let mut taken = (0usize..).zip(self.keys.values());
        let Some((at, print)) =
            taken.find(|(at, print)| prints.get(*at) != Some(*print))
        else {
            return Ok(());
        };
        bail!(
            "the lake takes other keys: its number {} has the fingerprint {print}; with this \
             file an address would have two pseudonyms, and count twice",
            at + 1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;

    #[test]
    fn keys_must_be_those_that_were_taken_and_perhaps_more() {
        let one = Keys::first([1; secret::BYTES]);
        let two = one.clone().and([2; secret::BYTES]).unwrap();
        let earlier = |keys: &Keys| Earlier {
            before: None,
            keys: (1..).zip(keys.fingerprints()).collect(),
        };
        assert!(Earlier::default().accept(&one).is_ok());
        assert!(earlier(&one).accept(&two).is_ok());
        assert!(earlier(&two).accept(&two).is_ok());
        let other = Keys::first([1; secret::BYTES]).and([3; secret::BYTES]).unwrap();
        for wrong in [one, other] {
            let words = earlier(&two).accept(&wrong).unwrap_err().to_string();
            assert!(words.contains("its number 2"), "{words}");
        }
    }
}
