//! What tags and classes of an AS, and what the registries' words for a range, mean:
//! `sectors/tags.toml`.
//!
//! **Invariant:** meaning is applied when the atlas is built, never stored: a corrected
//! meaning re-attributes what is already in the lake. Every meaning has its reason, and
//! what decides is found by one search ([`Tags::deciding`]), for the answer and for its
//! explanation alike.

use serde::Deserialize;
use tidegauge_model::{NetworkKind, SectorId, Shared};

/// The meanings, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    words: Vec<Meaning>,
    classes: Vec<Meaning>,
    statuses: Vec<Meaning>,
}

/// What one word means; `None` leaves a field to the words after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) word: String,
    pub(super) kind: Option<NetworkKind>,
    pub(super) shared: Option<Shared>,
    pub(super) sector: Option<SectorId>,
    /// Whether later tags tell nothing of the kind any more, only the class: of a tag that
    /// rules out what they say, and does not know itself.
    pub(super) to_class: bool,
    /// Whether who is registered uses the range: of a status only.
    pub(super) holds: bool,
    pub(super) reason: String,
}

/// What is known of a network from the words said of its AS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) kind: NetworkKind,
    pub(super) shared: Shared,
    /// The primary sector first.
    pub(super) sectors: Vec<SectorId>,
}

/// Which meanings decide.
pub(super) struct Deciding<'a> {
    pub(super) kind: Option<&'a Meaning>,
    pub(super) shared: Option<&'a Meaning>,
    /// Those that set a sector, the primary first.
    pub(super) sectors: Vec<&'a Meaning>,
}

impl Tags {
    /// Reads the text of `tags.toml`.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        let File { tag, class, status } = toml::from_str(text)?;
        let meanings = |entries: Vec<Entry>| entries.into_iter().map(Meaning::from);
        Ok(Self {
            words: meanings(tag).collect(),
            classes: meanings(class).collect(),
            statuses: meanings(status).collect(),
        })
    }

    /// The sectors that the file names.
    pub fn sectors(&self) -> impl Iterator<Item = &SectorId> {
        self.words.iter().chain(&self.classes).filter_map(|m| m.sector.as_ref())
    }

    /// What decides of the words said of one AS, or of one range.
    pub(super) fn deciding(&self, tags: &[&str], class: Option<&str>) -> Deciding<'_> {
        let of_tags = self.words.iter().filter(|m| tags.contains(&m.word.as_str()));
        let of_class = self.classes.iter().filter(|m| Some(m.word.as_str()) == class);
        let meanings: Vec<_> = of_tags.chain(of_class.clone()).collect();
        let mut kinds = meanings.iter().filter(|m| m.kind.is_some() || m.to_class);
        let kind = match kinds.next().copied() {
            Some(meaning) if meaning.to_class => of_class.clone().next(),
            other => other,
        };
        let mut sectors: Vec<&Meaning> = Vec::new();
        for meaning in meanings.iter().filter(|m| m.sector.is_some()) {
            if !sectors.iter().any(|other| other.sector == meaning.sector) {
                sectors.push(meaning);
            }
        }
        Deciding {
            kind: kind.filter(|m| m.kind.is_some()),
            shared: meanings.iter().find(|m| m.shared.is_some()).copied(),
            sectors,
        }
    }

    /// Reads the words said of one AS.
    pub(super) fn network(&self, tags: &[&str], class: Option<&str>) -> Network {
        let deciding = self.deciding(tags, class);
        let kind = deciding.kind.and_then(|m| m.kind);
        let shared = deciding.shared.and_then(|m| m.shared);
        let sectors = deciding.sectors.into_iter();
        Network {
            kind: kind.unwrap_or(NetworkKind::Unknown),
            shared: shared.unwrap_or(Shared::No),
            sectors: sectors.filter_map(|m| m.sector.clone()).collect(),
        }
    }

    /// What a registry's word for a range means; `None` for a word that is not listed,
    /// which then tells nothing of who uses the range.
    pub(super) fn status(&self, word: &str) -> Option<&Meaning> {
        self.statuses.iter().find(|m| m.word.eq_ignore_ascii_case(word.trim()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tag: Vec<Entry>,
    #[serde(default)]
    class: Vec<Entry>,
    #[serde(default)]
    status: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "tag", alias = "class", alias = "status")]
    word: String,
    kind: Option<NetworkKind>,
    shared: Option<Shared>,
    sector: Option<SectorId>,
    #[serde(default)]
    to_class: bool,
    #[serde(default)]
    holds: bool,
    /// Needed, so that no meaning is without one.
    reason: String,
}

impl From<Entry> for Meaning {
    fn from(entry: Entry) -> Self {
        let Entry { word, kind, shared, sector, to_class, holds, reason } = entry;
        Self { word, kind, shared, sector, to_class, holds, reason }
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
    fn a_tag_may_rule_out_later_ones_and_leave_the_kind_to_the_class() {
        let text = "[[tag]]\ntag = \"isp\"\nto_class = true\nreason = \"r\"\n\
            [[tag]]\ntag = \"shop\"\nkind = \"own\"\nsector = \"retail\"\nreason = \"r\"\n\
            [[class]]\nclass = \"Eyeball\"\nkind = \"eyeball\"\nreason = \"r\"";
        let tags = Tags::read(text).unwrap();
        let kind = |words: &[&str], class| tags.network(words, class).kind;
        assert_eq!(kind(&["shop"], Some("Eyeball")), NetworkKind::Own);
        assert_eq!(kind(&["isp", "shop"], Some("Eyeball")), NetworkKind::Eyeball);
        assert_eq!(kind(&["isp", "shop"], None), NetworkKind::Unknown);
        assert_eq!(tags.network(&["isp", "shop"], None).sectors.len(), 1);
    }

    #[test]
    fn what_nothing_says_is_unknown_not_guessed() {
        let network = Tags::read(TEXT).unwrap().network(&["icrit"], Some("Unknown"));
        assert_eq!(network.kind, NetworkKind::Unknown);
        assert_eq!(network.sectors, []);
    }

    #[test]
    fn what_a_registry_calls_a_range_tells_whether_its_holder_uses_it() {
        let text = "[[status]]\nstatus = \"ASSIGNED PI\"\nkind = \"own\"\nholds = true\n\
            reason = \"r\"\n[[status]]\nstatus = \"ALLOCATED PA\"\nreason = \"r\"";
        let tags = Tags::read(text).unwrap();
        let holds = |word| tags.status(word).map(|m| m.holds);
        assert_eq!(holds("assigned pi "), Some(true));
        assert_eq!((holds("ALLOCATED PA"), holds("SOMETHING")), (Some(false), None));
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
