//! Replicates kept in a file, a line of JSON for each.
//!
//! **Invariant:** a line counts only for the build of the program that wrote it and for the
//! same parameters; a line cut short by a kill is passed over.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::judged::Judged;

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Hash of the program that drew it.
    program: u64,
    params: String,
    judged: Judged,
}

/// Replicates that were drawn before, and where others are kept; nothing without a file.
pub(crate) struct Kept {
    program: u64,
    before: HashMap<(String, u64), Judged>,
    into: Option<Mutex<File>>,
}

impl Kept {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let mut hasher = DefaultHasher::new();
        std::fs::read(std::env::current_exe()?)?.hash(&mut hasher);
        let mut kept =
            Self { program: hasher.finish(), before: HashMap::new(), into: None };
        let Some(path) = path else { return Ok(kept) };
        if path.exists() {
            let text = std::fs::read_to_string(path)?;
            let lines =
                text.lines().filter_map(|l| serde_json::from_str::<Line>(l).ok());
            let ours = lines.filter(|line| line.program == kept.program);
            kept.before = ours.map(|l| ((l.params, l.judged.seed), l.judged)).collect();
        }
        let mut into = File::options().create(true).append(true).open(path)?;
        // Ends a line that a kill cut short.
        writeln!(into)?;
        kept.into = Some(Mutex::new(into));
        Ok(kept)
    }

    /// The replicate of `seed`, if it was drawn before.
    pub(crate) fn found(&self, params: &str, seed: u64) -> Option<Judged> {
        self.before.get(&(params.to_owned(), seed)).cloned()
    }

    pub(crate) fn keep(&self, params: &str, judged: &Judged) -> Result<(), Failure> {
        let Some(into) = &self.into else { return Ok(()) };
        let line = Line {
            program: self.program,
            params: params.to_owned(),
            judged: judged.clone(),
        };
        let text = format!("{}\n", serde_json::to_string(&line)?);
        into.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(text.as_bytes())?;
        Ok(())
    }
}
