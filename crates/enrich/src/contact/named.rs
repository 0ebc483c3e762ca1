//! What the catalog has for names that were asked for before.
//!
//! **Invariant:** it is what the catalog says: a name is looked for once, and the answer kept as
//! long as there is room.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::Catalog;

/// Names kept at most: some megabytes. Picked by hand, far above what any catalog matches at
/// once; strangers choose the names.
const NAMES_MAX: usize = 1 << 14;

/// The candidates of names that have any.
#[derive(Debug, Default)]
pub(super) struct Named {
    candidates: HashMap<Arc<str>, Arc<[usize]>>,
}

impl Named {
    /// The entries that could match a name, if there are any. Of other names nothing is kept:
    /// most flows of a network have one of these, and each another.
    pub(super) fn candidates(
        &mut self,
        catalog: &Catalog,
        host: &Arc<str>,
    ) -> Option<Arc<[usize]>> {
        if let Some(known) = self.candidates.get(host) {
            return Some(Arc::clone(known));
        }
        let found = catalog.candidates(host);
        if found.is_empty() {
            return None;
        }
        if self.candidates.len() >= NAMES_MAX {
            self.candidates.clear();
        }
        let found: Arc<[usize]> = found.into();
        self.candidates.insert(Arc::clone(host), Arc::clone(&found));
        Some(found)
    }
}
