//! What was counted before, kept while the files it was counted from are the same.
//!
//! **Invariant:** an answer is found again only for the same question on the same files,
//! catalog and holders: the last two belong to one counter, and so does what it has counted;
//! what is kept in the lake says all four, and which program counted. A census by month is
//! kept month by month, so that a new day costs its own month.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::HashMap;
use serde::{Deserialize, Serialize};
use tidegauge_model::DayRange;
use tidegauge_model::count::Query;
use tidegauge_store::{Fingerprint, Lake, Snapshot};

use crate::unique::Part;

/// Cells that are kept, of all questions together: a hundred megabytes or so.
const CELLS_MAX: usize = 1 << 19;

/// A question, and the files that can have an answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    query: String,
    files: Vec<String>,
    /// Of these files.
    rows: u64,
}

/// The place in the lake of an answer: one for each question and the month that it begins in,
/// so that a day more takes the place of a day less.
pub(crate) struct InLake {
    name: Fingerprint,
    /// What it is the answer to.
    asked: String,
    files: Vec<String>,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Answer<P> {
    asked: String,
    files: Vec<String>,
    part: P,
}

/// Parts by question, the oldest first to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    parts: HashMap<Asked, Arc<Part>>,
    order: VecDeque<Asked>,
    cells: usize,
}

impl Asked {
    pub(crate) fn of(query: &Query, snapshot: &Snapshot) -> Self {
        let months: Vec<_> = query
            .counted()
            .iter()
            .flat_map(|days| days.months())
            .map(|m| m.to_string())
            .collect();
        let files = snapshot.files.iter().filter(|file| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        });
        let rows = files.clone().map(|file| file.rows).sum();
        // A data file never changes, and its name is never given again.
        let files = files.map(|file| file.path.to_string()).collect();
        Self { query: format!("{query:?}"), files, rows }
    }

    /// Sightings in its files.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

impl InLake {
    /// The place for the answer to `asked`; `identity` is what else decides it.
    pub(crate) fn of(asked: &Asked, query: &Query, identity: &str) -> Self {
        let month = DayRange::month(query.days.first().month());
        let of_month = format!("{:?}", Query { days: month, ..query.clone() });
        Self {
            name: Fingerprint::of(of_month.as_bytes()),
            asked: format!("{identity}\n{}", asked.query),
            files: asked.files.clone(),
        }
    }

    /// The answer, if it was kept. What cannot be read is counted again.
    pub(crate) async fn get(&self, lake: &Lake) -> Option<Part> {
        let kept = lake.kept(&self.name).await.inspect_err(untold).ok()??;
        let answer: Answer<Part> = serde_json::from_slice(&kept).ok()?;
        let same = answer.asked == self.asked && answer.files == self.files;
        same.then_some(answer.part)
    }

    /// Keeps the answer. A lake that cannot be written to is read all the same.
    pub(crate) async fn keep(self, lake: &Lake, part: &Part) {
        let answer = Answer { asked: self.asked, files: self.files, part };
        let kept = serde_json::to_vec(&answer).expect("a count is plain data");
        if let Err(error) = lake.keep(&self.name, kept).await {
            untold(&error);
        }
    }
}

/// What is kept only saves time: that it cannot be is no warning to anybody.
fn untold(error: &tidegauge_store::Error) {
    tracing::debug!(%error, "counts are not kept");
}

impl Counted {
    pub(crate) fn get(&self, asked: &Asked) -> Option<Arc<Part>> {
        self.lock().parts.get(asked).cloned()
    }

    pub(crate) fn keep(&self, asked: Asked, part: Arc<Part>) {
        let mut kept = self.lock();
        kept.cells += part.cells.len();
        if let Some(before) = kept.parts.insert(asked.clone(), part) {
            kept.cells -= before.cells.len();
        } else {
            kept.order.push_back(asked);
        }
        while kept.cells > CELLS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.parts.remove(&oldest);
            kept.cells -= gone.map_or(0, |part| part.cells.len());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tidegauge_model::count::Cell;

    use super::*;

    fn asked(name: &str) -> Asked {
        Asked { query: name.to_owned(), files: Vec::new(), rows: 0 }
    }

    fn part(cells: usize) -> Arc<Part> {
        let (counts, concentration) = Default::default();
        let cell = Cell { key: Vec::new(), counts, concentration };
        Arc::new(Part { cells: vec![cell; cells], ..Part::default() })
    }

    #[test]
    fn the_oldest_goes_first_and_room_is_counted_in_cells() {
        let counted = Counted::default();
        counted.keep(asked("a"), part(CELLS_MAX / 2));
        counted.keep(asked("b"), part(CELLS_MAX / 2));
        assert!(counted.get(&asked("a")).is_some());
        counted.keep(asked("b"), part(CELLS_MAX / 2));
        assert!(
            counted.get(&asked("a")).is_some(),
            "the same again takes no more room"
        );
        counted.keep(asked("c"), part(1));
        assert!(counted.get(&asked("a")).is_none());
        assert!(
            counted.get(&asked("b")).is_some() && counted.get(&asked("c")).is_some()
        );
        counted.keep(asked("d"), part(CELLS_MAX + 1));
        assert!(counted.get(&asked("d")).is_none(), "what is too large is not kept");
    }
}
