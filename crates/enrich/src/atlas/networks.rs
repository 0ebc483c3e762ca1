//! What is known of autonomous systems: name, country, kind, sector, by day.
//!
//! **Invariant:** a list is closed: an AS that an edition of a list leaves out is not
//! tagged from that edition on. A registry's word on whose an AS is stands over what the
//! network says of itself. A website below a listed domain gives its AS that domain's tag.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidegauge_model::observation::Field;
use tidegauge_model::{
    Asn, Country, Day, NetworkKind, Observation, OrgId, Organisation, Shared, SourceId,
};

use super::Rules;
use super::identity::Identity;
use super::load::{PEERINGDB, domain};
use super::tags::{Network, Tags};

/// One observation of an AS.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AsFact {
    pub(super) source: SourceId,
    pub(super) field: Field,
    pub(super) value: String,
    pub(super) detail: BTreeMap<String, String>,
    pub(super) snapshot: Day,
}

const NO_FACTS: &[AsFact] = &[];

/// All AS, resolved for each stretch of days between snapshots.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// First days of the stretches; the first also holds for all days before it.
    epochs: Vec<Day>,
    /// Which snapshot of each list holds, a stretch each.
    governing: HashMap<ListKey, Vec<Day>>,
    profiles: HashMap<Asn, Vec<Profile>>,
    facts: HashMap<Asn, Vec<AsFact>>,
    /// The organisation of an AS, by its id.
    ases: HashMap<OrgId, Asn>,
    /// What is told of organisations by their handle.
    named: HashMap<OrgId, BTreeMap<String, String>>,
    /// Whose domains are, by the domain.
    domains: HashMap<String, DomainFact>,
    identity: Identity,
}

/// What is told beside ranges and AS.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Organisations by their handle.
    pub(super) organisations: Vec<(Day, String, BTreeMap<String, String>)>,
    pub(super) domains: Vec<DomainFact>,
}

/// Whose a domain is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DomainFact {
    pub(super) snapshot: Day,
    pub(super) source: SourceId,
    pub(super) domain: String,
    pub(super) detail: BTreeMap<String, String>,
}

/// A list: the names of a source, or one tag of it.
type ListKey = (SourceId, Option<String>);

/// What an AS is during a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) organisation: OrgId,
    pub(super) country: Option<Country>,
    pub(super) network: Network,
    name: Option<String>,
}

impl Profile {
    pub(super) fn kind(&self) -> NetworkKind {
        self.network.kind
    }

    pub(super) fn shared(&self) -> Shared {
        self.network.shared
    }
}

impl Networks {
    /// Resolves `facts`. Of two statements on one organisation or domain the newer stands.
    /// `origins` are the AS that ranges name, with the name there, which stands where no
    /// list has one.
    pub(super) fn build<'a>(
        facts: Vec<(Asn, AsFact)>,
        mut told: Told,
        origins: impl Iterator<Item = (Asn, &'a str)>,
        rules: &Rules,
    ) -> Self {
        let mut networks = Self { identity: rules.identity.clone(), ..Self::default() };
        told.organisations.sort_unstable();
        for (_, handle, detail) in told.organisations {
            networks.named.insert(of_handle(&handle), detail);
        }
        told.domains.sort_unstable();
        for fact in told.domains {
            networks.domains.insert(fact.domain.clone(), fact);
        }
        let mut lists: BTreeMap<ListKey, BTreeSet<Day>> = BTreeMap::new();
        for (_, fact) in &facts {
            lists.entry(fact.list()).or_default().insert(fact.snapshot);
        }
        networks.set_epochs(lists);
        for (asn, fact) in facts {
            networks.facts.entry(asn).or_default().push(fact);
        }
        let mut names: BTreeMap<Asn, &str> = BTreeMap::new();
        for (asn, name) in origins {
            let known = names.entry(asn).or_insert(name);
            if !name.is_empty() && (known.is_empty() || name < *known) {
                *known = name;
            }
        }
        for asn in networks.facts.keys() {
            names.entry(*asn).or_insert("");
        }
        for facts in networks.facts.values_mut() {
            facts.sort_unstable();
            facts.dedup();
        }
        for (asn, name) in names {
            let profiles = networks.resolve(asn, name, &rules.tags);
            for profile in &profiles {
                // Of the AS of one organisation, the lowest stands for it.
                networks.ases.entry(profile.organisation.clone()).or_insert(asn);
            }
            networks.profiles.insert(asn, profiles);
        }
        networks
    }

    /// First days of the stretches in which no fact changes.
    pub(super) fn epochs(&self) -> &[Day] {
        &self.epochs
    }

    /// What `asn` is on `day`.
    pub(super) fn profile(&self, asn: Asn, day: Day) -> Option<&Profile> {
        let profiles = self.profiles.get(&asn)?;
        profiles.get(self.epoch(day)).or(profiles.last())
    }

    /// The organisation that an AS stands for, or that a registry has, as last known.
    pub(super) fn organisation(&self, id: &OrgId) -> Option<Organisation> {
        let asn = self.ases.get(id);
        let profile = asn.and_then(|asn| self.profiles.get(asn)?.last());
        let mut members = self.identity.members(id);
        let told = self.named.get(id);
        let told = told.or_else(|| members.find_map(|member| self.named.get(member)));
        if profile.is_none() && told.is_none() {
            return None;
        }
        let tell = |key: &str| told.and_then(|detail| detail.get(key));
        let of_as = profile.and_then(|profile| profile.name.as_ref());
        let fallback = || asn.map_or_else(|| id.to_string(), ToString::to_string);
        let sectors = profile.map(|profile| profile.network.sectors.as_slice());
        let mut sectors = sectors.unwrap_or_default().iter().cloned();
        Some(Organisation {
            id: id.clone(),
            name: tell("name").or(of_as).cloned().unwrap_or_else(fallback),
            country: tell("country")
                .and_then(|country| country.parse().ok())
                .or(profile.and_then(|profile| profile.country)),
            parent: None,
            sector: sectors.next(),
            other_sectors: sectors.collect(),
        })
    }

    /// The organisation with a registry's handle, which a row calls `name`.
    pub(super) fn registered(&self, handle: &str, name: Option<&str>) -> OrgId {
        let id = of_handle(handle);
        let told = self.named.get(&id).and_then(|detail| detail.get("name"));
        let name = told.map(String::as_str).or(name);
        self.identity.of(id, name)
    }

    /// What a row of a registry tells of an organisation of which no object does.
    pub(super) fn tell(&mut self, id: &OrgId, detail: &BTreeMap<String, String>) {
        if !self.ases.contains_key(id) && !self.named.contains_key(id) {
            self.named.insert(id.clone(), detail.clone());
        }
    }

    /// What was said of `asn` that holds on `day`.
    pub(super) fn observations(&self, asn: Asn, day: Day) -> Vec<Observation> {
        let epoch = self.epoch(day);
        let holding: Vec<_> = self
            .facts
            .get(&asn)
            .into_iter()
            .flatten()
            .filter(|fact| self.holds(fact, epoch))
            .collect();
        let of_domain = self.domain_of(&holding).map(|fact| Observation {
            source: fact.source.clone(),
            snapshot: fact.snapshot,
            range: None,
            asn: None,
            field: Field::Domain,
            value: fact.domain.clone(),
            detail: fact.detail.clone(),
        });
        holding
            .into_iter()
            .map(|fact| Observation {
                source: fact.source.clone(),
                snapshot: fact.snapshot,
                range: None,
                asn: Some(asn),
                field: fact.field,
                value: fact.value.clone(),
                detail: fact.detail.clone(),
            })
            .chain(of_domain)
            .collect()
    }

    /// The listed domain that the website of an AS, or else of its organisation, is below:
    /// the longest.
    fn domain_of(&self, facts: &[&AsFact]) -> Option<&DomainFact> {
        if self.domains.is_empty() {
            return None;
        }
        let of_as = facts.iter().filter_map(|fact| fact.detail.get("website"));
        let of_organisation = facts
            .iter()
            .filter(|fact| fact.field == Field::Registration)
            .filter_map(|fact| self.named.get(&of_handle(&fact.value))?.get("website"));
        let mut sites = of_as.chain(of_organisation);
        sites.find_map(|site| {
            let host = host(site)?;
            let mut rest = Some(host.as_str());
            while let Some(domain) = rest {
                if let Some(fact) = self.domains.get(domain) {
                    return Some(fact);
                }
                rest = domain.split_once('.').map(|(_, parent)| parent);
            }
            None
        })
    }

    fn epoch(&self, day: Day) -> usize {
        self.epochs.partition_point(|&first| first <= day).saturating_sub(1)
    }

    fn set_epochs(&mut self, lists: BTreeMap<ListKey, BTreeSet<Day>>) {
        let days: BTreeSet<_> = lists.values().flatten().copied().collect();
        self.epochs = days.into_iter().collect();
        for (list, snapshots) in lists {
            // The first snapshot is carried back, each is carried on to the next.
            let governing = self.epochs.iter().filter_map(|&day| {
                snapshots.range(..=day).next_back().or(snapshots.first()).copied()
            });
            self.governing.insert(list, governing.collect());
        }
    }

    fn holds(&self, fact: &AsFact, epoch: usize) -> bool {
        let governing = self.governing.get(&fact.list()).and_then(|g| g.get(epoch));
        governing == Some(&fact.snapshot)
    }

    /// One profile a stretch, or a single one where they are all the same.
    fn resolve(&self, asn: Asn, origin_name: &str, tags: &Tags) -> Vec<Profile> {
        let itself = OrgId::new(format!("as:{}", asn.0));
        let facts = self.facts.get(&asn).map_or(NO_FACTS, Vec::as_slice);
        let mut profiles: Vec<_> = (0..self.epochs.len().max(1))
            .map(|epoch| {
                let holding: Vec<_> =
                    facts.iter().filter(|f| self.holds(f, epoch)).collect();
                let domain = self.domain_of(&holding);
                let mut profile = profile(&itself, &holding, domain, origin_name, tags);
                profile.organisation = match registration(&holding) {
                    Some(fact) => {
                        let told = self.named.get(&of_handle(&fact.value));
                        let country = told.and_then(|told| told.get("country"));
                        let country = country.and_then(|country| country.parse().ok());
                        profile.country = profile.country.or(country);
                        let name = fact.detail.get("name").or(profile.name.as_ref());
                        self.registered(&fact.value, name.map(String::as_str))
                    }
                    None => self.identity.of(itself.clone(), profile.name.as_deref()),
                };
                profile
            })
            .collect();
        if profiles.windows(2).all(|pair| pair.first() == pair.last()) {
            profiles.truncate(1);
        }
        profiles
    }
}

/// Whose an AS is: the first registry that says so, else what it says of itself.
fn registration<'a>(facts: &[&'a AsFact]) -> Option<&'a AsFact> {
    let of = |fact: &&&'a AsFact| {
        fact.field == Field::Registration && !fact.value.is_empty()
    };
    let itself = |fact: &AsFact| {
        fact.detail.get("registry").is_some_and(|registry| registry == PEERINGDB)
    };
    let mut all = facts.iter().filter(of);
    let first = all.clone().next();
    all.find(|fact| !itself(fact)).or(first).copied()
}

/// The host of a website, however it is written.
fn host(website: &str) -> Option<String> {
    let rest = website.split_once("://").map_or(website, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    domain(host.rsplit('@').next().unwrap_or_default())
}

/// The organisation with a registry's handle.
fn of_handle(handle: &str) -> OrgId {
    OrgId::new(format!("org:{handle}"))
}

impl AsFact {
    fn list(&self) -> ListKey {
        let tag = (self.field == Field::AsTag).then(|| self.value.clone());
        (self.source.clone(), tag)
    }
}

/// Puts the facts together that hold at one time, sorted by source: of name, country and
/// class, the first source that tells it decides.
fn profile(
    organisation: &OrgId,
    facts: &[&AsFact],
    domain: Option<&DomainFact>,
    origin_name: &str,
    tags: &Tags,
) -> Profile {
    let of_as = || facts.iter().filter(|f| f.field == Field::AsName);
    let said: Vec<_> = facts
        .iter()
        .filter(|f| f.field == Field::AsTag)
        .map(|f| f.value.as_str())
        .chain(domain.and_then(|fact| fact.detail.get("tag")).map(String::as_str))
        .collect();
    // "Unknown" of one source does not outweigh what another knows.
    let class = of_as()
        .filter_map(|f| f.detail.get("class"))
        .map(String::as_str)
        .find(|class| !class.eq_ignore_ascii_case("unknown"));
    let name = of_as().map(|f| f.value.as_str()).find(|name| !name.is_empty());
    let name = name.or(Some(origin_name).filter(|name| !name.is_empty()));
    Profile {
        organisation: organisation.clone(),
        country: of_as()
            .filter_map(|f| f.detail.get("country"))
            .find_map(|c| c.parse().ok()),
        network: tags.network(&said, class),
        name: name.map(str::to_owned),
    }
}
