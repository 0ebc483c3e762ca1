//! What tags and classes of an AS mean: `sectors/tags.toml`.
//!
//! **Invariant:** meaning is applied when the atlas is built, never stored: a corrected
//! meaning re-attributes what is already in the lake.

use serde::Deserialize;
use tidegauge_model::{NetworkKind, SectorId, Shared};

/// The meanings, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    tags: Vec<Meaning>,
    classes: Vec<Meaning>,
}

/// What one word means; `None` leaves a field to the words after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meaning {
    word: String,
    kind: Option<NetworkKind>,
    shared: Option<Shared>,
    sector: Option<SectorId>,
}

/// What is known of a network from the words said of its AS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) kind: NetworkKind,
    pub(super) shared: Shared,
    /// The primary sector first.
    pub(super) sectors: Vec<SectorId>,
}

impl Tags {
    /// Reads the text of `tags.toml`.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        let File { tag, class } = toml::from_str(text)?;
        let meanings = |entries: Vec<Entry>| entries.into_iter().map(Meaning::from);
        Ok(Self { tags: meanings(tag).collect(), classes: meanings(class).collect() })
    }

    /// The sectors that the file names.
    pub fn sectors(&self) -> impl Iterator<Item = &SectorId> {
        self.tags.iter().chain(&self.classes).filter_map(|m| m.sector.as_ref())
    }

    /// Reads the words said of one AS.
    pub(super) fn network(&self, tags: &[&str], class: Option<&str>) -> Network {
        let of_tags = self.tags.iter().filter(|m| tags.contains(&m.word.as_str()));
        let of_class = self.classes.iter().filter(|m| Some(m.word.as_str()) == class);
        let meanings: Vec<_> = of_tags.chain(of_class).collect();
        let mut sectors = Vec::new();
        for sector in meanings.iter().filter_map(|m| m.sector.as_ref()) {
            if !sectors.contains(sector) {
                sectors.push(sector.clone());
            }
        }
        Network {
            kind: meanings.iter().find_map(|m| m.kind).unwrap_or(NetworkKind::Unknown),
            shared: meanings.iter().find_map(|m| m.shared).unwrap_or(Shared::No),
            sectors,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tag: Vec<Entry>,
    #[serde(default)]
    class: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "tag", alias = "class")]
    word: String,
    kind: Option<NetworkKind>,
    shared: Option<Shared>,
    sector: Option<SectorId>,
    /// For people; needed, so that no meaning is without one.
    #[serde(rename = "reason")]
    _reason: String,
}

impl From<Entry> for Meaning {
    fn from(entry: Entry) -> Self {
        let Entry { word, kind, shared, sector, _reason } = entry;
        Self { word, kind, shared, sector }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[tag]]
        tag = "uni"
        kind = "own"
        shared = "no"
        sector = "education"
        reason = "a"
        [[tag]]
        tag = "dsl"
        kind = "eyeball"
        sector = "telecommunications"
        reason = "b"
        [[tag]]
        tag = "vpn"
        kind = "hosting"
        shared = "proxy"
        reason = "c"
        [[class]]
        class = "Eyeball"
        kind = "eyeball"
        reason = "d"
    "#;

    #[test]
    fn the_first_meaning_in_the_file_decides() {
        let tags = Tags::read(TEXT).unwrap();
        let university = tags.network(&["vpn", "dsl", "uni"], Some("Eyeball"));
        assert_eq!(university.kind, NetworkKind::Own);
        assert_eq!(university.shared, Shared::No, "a VPN server does not share it all");
        let sectors: Vec<_> = university.sectors.iter().map(SectorId::as_str).collect();
        assert_eq!(sectors, ["education", "telecommunications"]);
        assert_eq!(tags.network(&["vpn"], None).shared, Shared::Proxy);
        assert_eq!(tags.network(&[], Some("Eyeball")).kind, NetworkKind::Eyeball);
    }

    #[test]
    fn what_nothing_says_is_unknown_not_guessed() {
        let network = Tags::read(TEXT).unwrap().network(&["icrit"], Some("Unknown"));
        assert_eq!(network.kind, NetworkKind::Unknown);
        assert_eq!(network.sectors, []);
    }

    #[test]
    fn a_meaning_without_reason_or_with_an_unknown_key_is_refused() {
        assert!(Tags::read("[[tag]]\ntag = \"x\"\nkind = \"own\"").is_err());
        assert!(
            Tags::read("[[tag]]\ntag = \"x\"\nreason = \"r\"\nkin = \"own\"").is_err()
        );
        assert!(
            Tags::read("[[tag]]\ntag = \"x\"\nreason = \"r\"\nkind = \"mine\"")
                .is_err()
        );
    }
}
