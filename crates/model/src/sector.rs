//! Sectors: the list in `sectors/sectors.toml`.
//!
//! **Invariant:** every sector that a figure is broken down by is in the list; an
//! unlisted word is an error with the place, never a new sector.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::SectorId;

/// One sector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sector {
    /// Stable id: `government`.
    pub id: SectorId,
    /// Name for people: `Government`.
    pub label: String,
    /// Two-digit codes of NAICS 2022 that it covers, most telling first.
    pub naics: Vec<String>,
    /// Section letters of ISIC Rev. 4 that it covers.
    pub isic: Vec<String>,
    /// What belongs to it and what does not.
    pub note: String,
}

/// The list of sectors, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sectors {
    sectors: BTreeMap<SectorId, Sector>,
}

impl Sectors {
    /// Reads the text of `sectors.toml`: one table a sector, keyed by its id.
    pub fn read(text: &str) -> Result<Self, BadSectors> {
        let file: BTreeMap<String, Entry> =
            toml::from_str(text).map_err(BadSectors::Toml)?;
        let mut sectors = BTreeMap::new();
        for (id, entry) in file {
            let well_formed =
                |c: &char| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit();
            if id.is_empty() || !id.chars().all(|c| well_formed(&c)) {
                return Err(BadSectors::Id { id });
            }
            let id = SectorId::new(id);
            let Entry { label, naics, isic, note } = entry;
            sectors.insert(id.clone(), Sector { id, label, naics, isic, note });
        }
        Ok(Self { sectors })
    }

    /// The sector with this id.
    pub fn get(&self, id: &str) -> Option<&Sector> {
        self.sectors.get(id)
    }

    /// Every sector, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Sector> {
        self.sectors.values()
    }
}

/// A sector file that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSectors {
    /// The text is not TOML of the right shape.
    #[error("{0}")]
    Toml(toml::de::Error),
    /// An id that could not stand in a column or flag.
    #[error("sector id `{id}` has other characters than a-z, 0-9 and _")]
    Id {
        /// The id as written.
        id: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    label: String,
    #[serde(default)]
    naics: Vec<String>,
    #[serde(default)]
    isic: Vec<String>,
    #[serde(default)]
    note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_has_its_codes() {
        let text =
            "[education]\nlabel = \"Education\"\nnaics = [\"61\"]\nisic = [\"P\"]";
        let sectors = Sectors::read(text).unwrap();
        let education = sectors.get("education").unwrap();
        assert_eq!(education.label, "Education");
        assert_eq!((education.naics.len(), education.isic.len()), (1, 1));
        assert!(sectors.get("schools").is_none());
    }

    #[test]
    fn unknown_keys_and_ids_that_break_columns_are_refused() {
        assert!(Sectors::read("[a]\nlabel = \"A\"\ncolour = \"red\"").is_err());
        let error = Sectors::read("[\"A b\"]\nlabel = \"A\"").unwrap_err();
        assert!(error.to_string().contains("A b"), "{error}");
    }
}
