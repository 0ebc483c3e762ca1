//! Which ids are one organisation, and what people know of it: a file that they write.
//!
//! **Invariant:** organisations are put together only by what is written in the file, by
//! the handle under which a registry has them, or by the AS that a list puts under one
//! handle. That two names are alike puts nobody together, unless the file says that the
//! name is an alias.
//!
//! The file never names somebody whom no table names: it says who of them is who.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use tidegauge_model::{Country, OrgId, Organisation, SectorId, Sectors};

/// What a file of organisations says. Empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The id that stands for each other id.
    members: HashMap<OrgId, OrgId>,
    /// The organisation that goes by a name, as [`normal_name`] writes it.
    aliases: HashMap<String, OrgId>,
    known: BTreeMap<OrgId, Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: Option<String>,
    country: Option<Country>,
    parent: Option<OrgId>,
    sectors: Vec<SectorId>,
}

/// What is wrong with a file of organisations.
#[derive(Debug, thiserror::Error)]
pub enum BadIdentity {
    /// It is not TOML of this form.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// Two entries have one id.
    #[error("organisation `{0}` is there twice")]
    Twice(OrgId),
    /// One id, or one name, is said to be two organisations.
    #[error("`{member}` is said to be both `{first}` and `{second}`")]
    Both {
        /// The id or the alias.
        member: String,
        /// The one.
        first: OrgId,
        /// The other.
        second: OrgId,
    },
    /// A member is an organisation of the file itself.
    #[error("`{0}` has an entry of its own and cannot be a member of another")]
    Nested(OrgId),
    /// An alias of which nothing is left.
    #[error("the alias `{alias}` of `{of}` says nothing: a legal form is no name")]
    Empty {
        /// As it is written.
        alias: String,
        /// Whose.
        of: OrgId,
    },
    /// A sector that is not in the list.
    #[error("organisation `{of}`: `{sector}` is not in sectors/sectors.toml")]
    Sector {
        /// Whose.
        of: OrgId,
        /// The sector.
        sector: SectorId,
    },
    /// Parents that lead back.
    #[error("organisation `{0}` is its own parent, through others or not")]
    Circle(OrgId),
}

impl Identity {
    /// Reads the text of a file.
    pub fn read(text: &str, sectors: &Sectors) -> Result<Self, BadIdentity> {
        let File { organisation } = toml::from_str(text)?;
        let mut identity = Self::default();
        for entry in organisation {
            identity.add(entry, sectors)?;
        }
        for member in identity.members.keys() {
            if identity.known.contains_key(member) {
                return Err(BadIdentity::Nested(member.clone()));
            }
        }
        // A parent may be named by any id that stands for it.
        let canonical = |id: &OrgId| identity.members.get(id).unwrap_or(id).clone();
        let parents: Vec<_> = identity
            .known
            .iter()
            .filter_map(|(id, known)| {
                Some((id.clone(), canonical(known.parent.as_ref()?)))
            })
            .collect();
        for (id, parent) in parents {
            if let Some(known) = identity.known.get_mut(&id) {
                known.parent = Some(parent);
            }
        }
        identity.no_circle()?;
        Ok(identity)
    }

    fn add(&mut self, entry: Entry, sectors: &Sectors) -> Result<(), BadIdentity> {
        let Entry {
            id, name, country, parent, sectors: named, aliases, members, ..
        } = entry;
        if let Some(sector) = named.iter().find(|s| sectors.get(s.as_str()).is_none()) {
            return Err(BadIdentity::Sector { of: id, sector: sector.clone() });
        }
        let both = |member: &str, first: &OrgId, second: &OrgId| BadIdentity::Both {
            member: member.to_owned(),
            first: first.clone(),
            second: second.clone(),
        };
        for member in members {
            let known =
                self.members.entry(member.clone()).or_insert_with(|| id.clone());
            if *known != id {
                return Err(both(member.as_str(), known, &id));
            }
        }
        for alias in aliases {
            let normal = normal_name(&alias);
            if normal.is_empty() {
                return Err(BadIdentity::Empty { alias, of: id });
            }
            let known = self.aliases.entry(normal).or_insert_with(|| id.clone());
            if *known != id {
                return Err(both(&alias, known, &id));
            }
        }
        let known = Known { name, country, parent, sectors: named };
        if self.known.insert(id.clone(), known).is_some() {
            return Err(BadIdentity::Twice(id));
        }
        Ok(())
    }

    fn no_circle(&self) -> Result<(), BadIdentity> {
        for id in self.known.keys() {
            let mut passed = BTreeSet::new();
            let mut at = Some(id);
            while let Some(here) = at {
                if !passed.insert(here) {
                    return Err(BadIdentity::Circle(id.clone()));
                }
                at = self.known.get(here).and_then(|known| known.parent.as_ref());
            }
        }
        Ok(())
    }

    /// The organisation that `id` stands for, which a table calls `name`: by its id if the
    /// file has that, else by its name.
    pub fn of(&self, id: OrgId, name: Option<&str>) -> OrgId {
        if let Some(known) = self.members.get(&id) {
            return known.clone();
        }
        if self.aliases.is_empty() || self.known.contains_key(&id) {
            return id;
        }
        let by_name = name.and_then(|name| self.aliases.get(&normal_name(name)));
        by_name.cloned().unwrap_or(id)
    }

    /// The ids that the file puts under `id`.
    pub fn members<'a>(&'a self, id: &'a OrgId) -> impl Iterator<Item = &'a OrgId> {
        let of_id = self.members.iter().filter(move |(_, known)| *known == id);
        of_id.map(|(member, _)| member)
    }

    /// Where the file says that an organisation is registered.
    pub fn country(&self, id: &OrgId) -> Option<Country> {
        self.known.get(id).and_then(|known| known.country)
    }

    /// What is known of an organisation: the file's word first, then the tables'.
    pub fn describe(
        &self,
        id: &OrgId,
        told: Option<Organisation>,
    ) -> Option<Organisation> {
        let Some(known) = self.known.get(id) else { return told };
        let told = told.unwrap_or_else(|| Organisation {
            id: id.clone(),
            name: id.to_string(),
            country: None,
            parent: None,
            sector: None,
            other_sectors: Vec::new(),
        });
        let mut sectors = known.sectors.iter().cloned();
        let (sector, other_sectors) = match sectors.next() {
            Some(primary) => (Some(primary), sectors.collect()),
            None => (told.sector, told.other_sectors),
        };
        Some(Organisation {
            id: id.clone(),
            name: known.name.clone().unwrap_or(told.name),
            country: known.country.or(told.country),
            parent: known.parent.clone().or(told.parent),
            sector,
            other_sectors,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    organisation: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: OrgId,
    name: Option<String>,
    country: Option<Country>,
    parent: Option<OrgId>,
    #[serde(default)]
    sectors: Vec<SectorId>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    members: Vec<OrgId>,
    /// For people; needed, so that nobody is put together without evidence.
    #[serde(rename = "reason")]
    _reason: String,
}

/// Legal forms at the end of names, as they are written once points are gone: of the
/// countries with most AS. A form that is missing costs a match by name.
const LEGAL_FORMS: &[&str] = &[
    "ab",
    "ad",
    "ag",
    "ao",
    "aps",
    "as",
    "asa",
    "asbl",
    "bhd",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "cv",
    "doo",
    "dba",
    "eg",
    "eirl",
    "ehf",
    "eood",
    "epe",
    "ev",
    "fze",
    "fzco",
    "gbr",
    "gk",
    "gmbh",
    "gie",
    "hf",
    "inc",
    "incorporated",
    "jdoo",
    "jsc",
    "kft",
    "kg",
    "kk",
    "kgaa",
    "kda",
    "kommanditgesellschaft",
    "lda",
    "limited",
    "limitada",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "mbh",
    "mchj",
    "nv",
    "nyrt",
    "oao",
    "ohg",
    "ood",
    "ooo",
    "oy",
    "oyj",
    "pao",
    "pjsc",
    "plc",
    "pllc",
    "pt",
    "pte",
    "pty",
    "pvt",
    "private",
    "public",
    "sa",
    "sab",
    "sac",
    "sae",
    "sal",
    "sapi",
    "sarl",
    "sas",
    "sasu",
    "scrl",
    "sdn",
    "se",
    "sia",
    "sl",
    "slu",
    "snc",
    "spa",
    "spzoo",
    "spolka",
    "srl",
    "sro",
    "tbk",
    "uab",
    "ug",
    "zao",
];

/// Forms of several words, the longest first.
const PHRASES: &[&[&str]] = &[
    &["sapi", "de", "cv"],
    &["sab", "de", "cv"],
    &["sp", "z", "o", "o"],
    &["sp", "z", "oo"],
    &["s", "de", "rl"],
    &["sa", "de", "cv"],
    &["spol", "s", "r", "o"],
    &["spol", "s", "ro"],
    &["s", "a"],
    &["a", "s"],
];
/// What stands before names: articles, and the forms of some countries.
const LEADING: &[&str] =
    &["the", "ooo", "oao", "zao", "pao", "ao", "tov", "pt", "uab", "sia", "ab", "cv"];

/// A name by which an organisation is found again, however its table writes it: without
/// accents and other alphabets, in lower case, without signs, articles and legal forms at
/// either end. `ООО «Пример»` and `Primer, LLC` are both `primer`. Empty where
/// nothing but a legal form was there.
pub fn normal_name(name: &str) -> String {
    let latin = any_ascii::any_ascii(name).to_ascii_lowercase();
    // `S.A.`, `d.o.o.`, `L.L.C.`: points inside a form join it.
    let joined = latin.replace('&', " and ").replace(['.', '\'', '`'], "");
    let split = |c: char| !c.is_ascii_alphanumeric();
    let words: Vec<&str> = joined.split(split).filter(|w| !w.is_empty()).collect();
    let mut words = words.as_slice();
    let form = |word: &str| LEGAL_FORMS.contains(&word) || word == "and";
    loop {
        let phrase = PHRASES.iter().find(|phrase| words.ends_with(phrase));
        let form = words.last().is_some_and(|last| form(last));
        let strip = phrase.map_or(usize::from(form), |phrase| phrase.len());
        if strip == 0 {
            break;
        }
        words = words.get(..words.len() - strip).unwrap_or_default();
    }
    while let Some((first, after)) = words.split_first() {
        if after.is_empty() || !LEADING.contains(first) {
            break;
        }
        words = after;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atlas::Rules;

    fn read(text: &str) -> Result<Identity, BadIdentity> {
        Identity::read(text, &Rules::built_in().sectors)
    }

    #[test]
    fn one_name_is_found_again_in_other_letters_and_with_other_forms() {
        for (name, normal) in [
            ("Example, Inc.", "example"),
            ("EXAMPLE L.L.C.", "example"),
            ("The Example Company, Limited", "example"),
            ("Müller & Söhne GmbH & Co. KG", "muller and sohne"),
            ("ООО \"Пример\"", "primer"),
            ("Przykład Sp. z o.o.", "przyklad"),
            ("Ejemplo S.A. de C.V.", "ejemplo"),
            ("Exemple S A", "exemple"),
            ("PT Contoh Tbk", "contoh"),
            ("Co-op Bank", "co op bank"),
            ("Ltd.", ""),
            ("", ""),
        ] {
            assert_eq!(normal_name(name), normal, "{name}");
        }
    }

    #[test]
    fn members_and_aliases_lead_to_one_organisation() {
        let identity = read(
            r#"
            [[organisation]]
            id = "acme"
            name = "Acme Group"
            country = "GB"
            parent = "org:ORG-HOLD-RIPE"
            sectors = ["manufacturing", "technology"]
            aliases = ["Acme Limited"]
            members = ["org:ORG-AC1-RIPE", "as:64496"]
            reason = "annual report 2024, p. 7"

            [[organisation]]
            id = "holding"
            members = ["org:ORG-HOLD-RIPE"]
            reason = "its website"
            "#,
        )
        .unwrap();
        let of = |id: &str, name| identity.of(OrgId::new(id), name).to_string();
        assert_eq!(of("as:64496", None), "acme");
        assert_eq!(of("as:64497", Some("ACME, Ltd.")), "acme");
        assert_eq!(of("as:64497", Some("Acme Tools Ltd.")), "as:64497");
        assert_eq!(of("holding", Some("Acme Limited")), "holding", "has its own entry");
        let acme = identity.describe(&OrgId::new("acme"), None).unwrap();
        assert_eq!(
            (acme.name.as_str(), acme.parent),
            ("Acme Group", Some("holding".into()))
        );
        assert_eq!(acme.other_sectors, ["technology".into()]);
        let told = Organisation { name: "Hold AG".to_owned(), ..acme_like("holding") };
        let holding = identity.describe(&OrgId::new("holding"), Some(told)).unwrap();
        assert_eq!(holding.name, "Hold AG");
        assert_eq!(identity.describe(&OrgId::new("as:1"), None), None);
        assert_eq!(identity.members(&OrgId::new("acme")).count(), 2);
    }

    fn acme_like(id: &str) -> Organisation {
        Organisation {
            id: OrgId::new(id),
            name: String::new(),
            country: None,
            parent: None,
            sector: None,
            other_sectors: Vec::new(),
        }
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused() {
        let entry = |id: &str, more: &str| {
            format!("[[organisation]]\nid = \"{id}\"\nreason = \"r\"\n{more}\n")
        };
        let refused = |text: String| read(&text).unwrap_err().to_string();
        let twice = refused(entry("a", "") + &entry("a", ""));
        assert!(twice.contains("`a` is there twice"), "{twice}");
        let members = "members = [\"as:1\"]";
        let both = refused(entry("a", members) + &entry("b", members));
        assert!(both.contains("both `a` and `b`"), "{both}");
        let nested = refused(entry("a", "members = [\"b\"]") + &entry("b", ""));
        assert!(nested.contains("`b`"), "{nested}");
        let empty = refused(entry("a", "aliases = [\"GmbH\"]"));
        assert!(empty.contains("legal form"), "{empty}");
        let sector = refused(entry("a", "sectors = [\"space\"]"));
        assert!(sector.contains("`space`"), "{sector}");
        let circle =
            refused(entry("a", "parent = \"b\"") + &entry("b", "parent = \"a\""));
        assert!(circle.contains("its own parent"), "{circle}");
        let reason = refused("[[organisation]]\nid = \"a\"".to_owned());
        assert!(reason.contains("reason"), "{reason}");
    }
}
