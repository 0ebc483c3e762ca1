//! Answers: who held an address on a day, over days, and why.
//!
//! **Invariant:** tenures cover the days asked for wholly, in order, without overlap;
//! two that touch differ.

use tidegauge_model::{
    Address, Asn, Attribution, Client, Day, DayRange, Gap, Holders, NetworkKind,
    Observation, OrgId, Organisation, Shared, SourceId, Standing, Tenure,
};

use super::build::{Atlas, Holder, Layer, Layers, Reading, Registered};
use super::ranges::Hit;
use super::tags::Network;

/// Confidence in the AS as organisation where a tag says that the network is its own.
/// Picked by hand, revisit when the look-up is held against registers.
const OWN_NETWORK_CONFIDENCE: f32 = 0.7;
/// Confidence in the AS as organisation otherwise: space is lent, leased and announced
/// for others. Picked by hand, revisit.
const ORIGIN_CONFIDENCE: f32 = 0.5;
/// Confidence in who a registry has as the user of a range. Its rows are seldom wrong when
/// they are written, and often old. Picked by hand, revisit.
const REGISTERED_CONFIDENCE: f32 = 0.8;
/// Confidence in a provider that publishes the range as its own: it is the holder, though
/// not who rents the server. Picked by hand, revisit.
const PROVIDER_CONFIDENCE: f32 = 0.9;
/// What [`Gap::Disputed`] leaves of the confidence: either of two snapshots may be right.
const DISPUTED_SHARE: f32 = 0.5;

/// An answer with its grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The address asked for.
    pub address: Address,
    /// The day asked for.
    pub day: Day,
    /// The answer.
    pub attribution: Attribution,
    /// The organisation named in it.
    pub organisation: Option<Organisation>,
    /// Whether the organisation is the user whom a registry names for the range, and not
    /// that of the AS.
    pub by_registry: bool,
    /// How directly the day is proven.
    pub standing: Standing,
    /// How gaps were filled.
    pub gap: Gap,
    /// What the answer rests on. A range is the piece in which the observation decides:
    /// narrower than its row where a narrower row lies inside.
    pub observations: Vec<Observation>,
}

/// What the sources of one field say of an address on a day.
struct Answer<'a> {
    source: Option<(&'a SourceId, Day)>,
    hit: Option<Hit>,
    standing: Standing,
    /// Multiplies the confidence.
    share: f32,
    /// Whether somebody may have held it, whom [`Gap::Unattributed`] does not name: then
    /// no other source is asked.
    withheld: bool,
}

impl Atlas {
    /// Who held a global `address` on a day, and what that rests on.
    pub fn lookup(&self, address: Address, day: Day) -> Explained {
        let asked = self.ask(address, day);
        let attribution = self.attribution(&asked, day);
        let registration = self.answer(&self.registrations, address, day);
        let delegation = self.answer(&self.delegations, address, day);
        let answers = [
            &asked.holder,
            &asked.provider,
            &registration,
            &asked.tag,
            &asked.origin,
            &asked.country,
            &delegation,
        ];
        let mut observations: Vec<_> =
            answers.into_iter().filter_map(|answer| self.observation(answer)).collect();
        if let Some(asn) = attribution.asn {
            observations.extend(self.networks.observations(asn, day));
        }
        Explained {
            address,
            day,
            organisation: attribution
                .organisation
                .as_ref()
                .and_then(|o| self.organisation(o)),
            by_registry: self.user(&asked, attribution.asn, day).is_some(),
            standing: asked.standing(),
            gap: self.gap,
            attribution,
            observations,
        }
    }

    /// Who a client was on a day: the same as its tenure there, without a list.
    pub fn attribute(&self, client: &Client, day: Day) -> Attribution {
        match &client.site {
            Some(_) => self.at_site(client),
            None => self.attribution(&self.ask(client.address, day), day),
        }
    }

    /// How directly the answer for a client and a day is proven. Count it over sightings
    /// to print the share that was decided by carrying a snapshot. A vantage's holder is
    /// as good as dated: its file says whom private addresses belong to.
    pub fn standing(&self, client: &Client, day: Day) -> Standing {
        match &client.site {
            Some(site) if self.sites.contains_key(site) => Standing::Dated,
            Some(_) => Standing::Nobody,
            None => self.ask(client.address, day).standing(),
        }
    }

    fn at_site(&self, client: &Client) -> Attribution {
        let holder = client.site.as_ref().and_then(|site| self.sites.get(site));
        let Some(holder) = holder.and_then(|id| self.organisations.get(id)) else {
            return Attribution::UNATTRIBUTED;
        };
        Attribution {
            organisation: Some(holder.id.clone()),
            asn: None,
            kind: NetworkKind::Own,
            shared: Shared::No,
            org_country: holder.country,
            addr_country: None,
            confidence: 1.0,
        }
    }

    fn ask(&self, address: Address, day: Day) -> Asked<'_> {
        Asked {
            holder: self.answer(&self.holders, address, day),
            provider: self.answer(&self.providers, address, day),
            registration: self.registered(address, day),
            tag: self.answer(&self.range_tags, address, day),
            origin: self.answer(&self.origins, address, day),
            country: self.answer(&self.countries, address, day),
        }
    }

    /// The user whom a registry names: nobody where its word for the range says that it
    /// was given on.
    fn registered(&self, address: Address, day: Day) -> Answer<'_> {
        let answer = self.answer(&self.registrations, address, day);
        match answer.hit.and_then(|hit| self.reading(hit)) {
            Some(Reading::Shown) => Answer::nobody(Standing::Nobody),
            _ => answer,
        }
    }

    /// The first source, by name, that says anything.
    fn answer<'a>(&self, layers: &'a Layers, address: Address, day: Day) -> Answer<'a> {
        let family = if address.is_v4() { &layers.v4 } else { &layers.v6 };
        let mut nobody = Answer::nobody(Standing::Nobody);
        for layer in family {
            let answer = self.layer_answer(layer, address, day);
            if answer.hit.is_some() || answer.withheld {
                return answer;
            }
            if answer.standing == Standing::Disputed {
                nobody.standing = Standing::Disputed;
            }
        }
        nobody
    }

    fn layer_answer<'a>(
        &self,
        layer: &'a Layer,
        address: Address,
        day: Day,
    ) -> Answer<'a> {
        let find = |at: usize| {
            let edition = layer.editions.get(at)?;
            Some((edition.snapshot, edition.ranges.find(address.bits(), day)))
        };
        let newest = layer.editions.len().saturating_sub(1);
        if layer.dated {
            return Answer::of(layer, find(newest), Standing::Dated);
        }
        let begun = layer.editions.partition_point(|e| e.snapshot <= day);
        let Some(at) = begun.checked_sub(1) else {
            return Answer::of(layer, find(0), Standing::BeforeFirst);
        };
        let said = find(at);
        if said.is_some_and(|(snapshot, _)| snapshot == day) {
            return Answer::of(layer, said, Standing::Snapshot);
        }
        let Some(next) = find(begun) else {
            return Answer::of(layer, said, Standing::AfterLast);
        };
        let before = said.and_then(|(_, hit)| hit);
        if self.who(before) == self.who(next.1) {
            return Answer::of(layer, said, Standing::Agreed);
        }
        match self.gap {
            Gap::Carry => Answer::of(layer, said, Standing::Disputed),
            Gap::Disputed => Answer {
                share: DISPUTED_SHARE,
                ..Answer::of(layer, said, Standing::Disputed)
            },
            Gap::Unattributed => {
                Answer { withheld: true, ..Answer::nobody(Standing::Disputed) }
            }
        }
    }

    /// What must be the same in two snapshots for them to agree. A new name for the same
    /// AS is no disagreement.
    fn who(&self, hit: Option<Hit>) -> Who<'_> {
        let reading = hit.and_then(|hit| self.reading(hit));
        match reading {
            None | Some(Reading::Origin(None)) => Who::Nobody,
            Some(Reading::Origin(Some(asn))) => Who::As(*asn),
            Some(Reading::Country(country)) => {
                Who::Country(country.as_ref().map(tidegauge_model::Country::as_str))
            }
            Some(Reading::Holder(holder)) => Who::Organisation(&holder.id),
            Some(Reading::Tagged(network)) => Who::Network(network),
            Some(Reading::Registered(registered)) => Who::Organisation(&registered.id),
            Some(Reading::Shown) => Who::Registered,
        }
    }

    fn reading(&self, hit: Hit) -> Option<&Reading> {
        self.statements.get(hit.statement).map(|s| &s.reading)
    }

    fn attribution(&self, asked: &Asked<'_>, day: Day) -> Attribution {
        let read = |answer: &Answer<'_>| answer.hit.and_then(|hit| self.reading(hit));
        let addr_country = match read(&asked.country) {
            Some(Reading::Country(country)) => *country,
            _ => None,
        };
        let asn = match read(&asked.origin) {
            Some(Reading::Origin(asn)) => *asn,
            _ => None,
        };
        let mut attribution = match read(&asked.holder) {
            Some(Reading::Holder(holder)) => of_holder(holder, asn, asked.holder.share),
            _ if asked.holder.withheld => {
                Attribution { asn, ..Attribution::UNATTRIBUTED }
            }
            _ => self.of_network(asked, asn, day),
        };
        attribution.addr_country = attribution.addr_country.or(addr_country);
        attribution
    }

    /// Who it is where no holder row says so: the provider that publishes the range, else
    /// the origin AS. What a tag of the range means stands over both.
    fn of_network(&self, asked: &Asked<'_>, asn: Option<Asn>, day: Day) -> Attribution {
        let read = |answer: &Answer<'_>| answer.hit.and_then(|hit| self.reading(hit));
        let mut attribution = match read(&asked.provider) {
            Some(Reading::Holder(provider)) => {
                let share = PROVIDER_CONFIDENCE * asked.provider.share;
                of_holder(provider, asn, share)
            }
            _ if asked.provider.withheld => {
                Attribution { asn, ..Attribution::UNATTRIBUTED }
            }
            _ if asked.registration.withheld => {
                Attribution { asn, ..Attribution::UNATTRIBUTED }
            }
            _ => self.of_registered(asked, asn, day),
        };
        if let Some(Reading::Tagged(network)) = read(&asked.tag) {
            if network.kind != NetworkKind::Unknown {
                attribution.kind = network.kind;
            }
            if network.shared != Shared::No {
                attribution.shared = network.shared;
            }
        }
        attribution
    }

    /// Who a registry has as the user of the range, unless that is who the AS is of anyhow:
    /// then the AS tells more. Where a registry names no user, the AS decides.
    fn of_registered(
        &self,
        asked: &Asked<'_>,
        asn: Option<Asn>,
        day: Day,
    ) -> Attribution {
        let share = asked.origin.share * self.agreed(asked, day);
        let of_origin = self.of_origin(asn, day, share);
        let Some(user) = self.user(asked, asn, day) else { return of_origin };
        let told = self.organisation(&user.id).and_then(|told| told.country);
        Attribution {
            organisation: Some(user.id.clone()),
            asn,
            kind: user.kind,
            shared: Shared::No,
            org_country: told.or(user.country),
            addr_country: None,
            confidence: REGISTERED_CONFIDENCE * asked.registration.share,
        }
    }

    /// The registered user of the range, where it is another than the AS's organisation.
    fn user(
        &self,
        asked: &Asked<'_>,
        asn: Option<Asn>,
        day: Day,
    ) -> Option<&Registered> {
        let hit = asked.registration.hit?;
        let Some(Reading::Registered(user)) = self.reading(hit) else { return None };
        let profile = asn.and_then(|asn| self.networks.profile(asn, day));
        (profile.map(|p| &p.organisation) != Some(&user.id)).then_some(user)
    }

    /// What is left of the confidence where several AS announce the range: half, unless
    /// they are of one organisation.
    fn agreed(&self, asked: &Asked<'_>, day: Day) -> f32 {
        let said = asked.origin.hit.and_then(|hit| self.statements.get(hit.statement));
        let Some(origins) = said.and_then(|s| s.said.detail.get("origins")) else {
            return 1.0;
        };
        let mut organisations = origins.split(['_', ',']).map(|asn| {
            let profile = asn.parse().ok().and_then(|a| self.networks.profile(a, day));
            profile.map(|p| &p.organisation)
        });
        let first = organisations.next().flatten();
        let one = first.is_some() && organisations.all(|other| other == first);
        if one { 1.0 } else { DISPUTED_SHARE }
    }

    fn of_origin(&self, asn: Option<Asn>, day: Day, share: f32) -> Attribution {
        let Some((asn, profile)) =
            asn.and_then(|asn| Some((asn, self.networks.profile(asn, day)?)))
        else {
            return Attribution { asn, ..Attribution::UNATTRIBUTED };
        };
        let own = profile.kind() == NetworkKind::Own;
        let confidence = if own { OWN_NETWORK_CONFIDENCE } else { ORIGIN_CONFIDENCE };
        Attribution {
            organisation: Some(profile.organisation.clone()),
            asn: Some(asn),
            kind: profile.kind(),
            shared: profile.shared(),
            org_country: profile.country,
            addr_country: None,
            confidence: confidence * share,
        }
    }

    fn observation(&self, answer: &Answer<'_>) -> Option<Observation> {
        let (source, snapshot) = answer.source?;
        let hit = answer.hit?;
        let said = &self.statements.get(hit.statement)?.said;
        Some(Observation {
            source: source.clone(),
            snapshot,
            range: Some((hit.first, hit.last)),
            asn: said.asn,
            field: said.field,
            value: said.value.clone(),
            detail: said.detail.clone(),
        })
    }
}

/// What two snapshots are compared by.
#[derive(PartialEq, Eq)]
enum Who<'a> {
    Nobody,
    As(Asn),
    Country(Option<&'a str>),
    Organisation(&'a OrgId),
    Network(&'a Network),
    /// Somebody, of whom nothing is decided.
    Registered,
}

/// The answers that make an attribution.
struct Asked<'a> {
    holder: Answer<'a>,
    provider: Answer<'a>,
    registration: Answer<'a>,
    tag: Answer<'a>,
    origin: Answer<'a>,
    country: Answer<'a>,
}

impl Asked<'_> {
    /// The standing of the answer that decides: the holder's, else the provider's, else the
    /// registry's, else the origin's.
    fn standing(&self) -> Standing {
        let decides =
            |a: &&Answer<'_>| a.hit.is_some() || a.standing == Standing::Disputed;
        let before = [&self.holder, &self.provider, &self.registration];
        let first = before.into_iter().find(decides);
        first.unwrap_or(&self.origin).standing
    }
}

impl<'a> Answer<'a> {
    fn nobody(standing: Standing) -> Self {
        Self { source: None, hit: None, standing, share: 1.0, withheld: false }
    }

    fn of(
        layer: &'a Layer,
        found: Option<(Day, Option<Hit>)>,
        standing: Standing,
    ) -> Self {
        let Some((snapshot, Some(hit))) = found else {
            // Only a gap can be disputed about nobody; else nobody said anything.
            let disputed = standing == Standing::Disputed;
            return Self::nobody(if disputed { standing } else { Standing::Nobody });
        };
        Self {
            source: Some((&layer.source, snapshot)),
            hit: Some(hit),
            standing,
            share: 1.0,
            withheld: false,
        }
    }
}

fn of_holder(holder: &Holder, origin: Option<Asn>, share: f32) -> Attribution {
    Attribution {
        organisation: Some(holder.id.clone()),
        asn: holder.asn.or(origin),
        kind: holder.kind,
        shared: holder.shared,
        org_country: holder.country,
        addr_country: holder.addr_country,
        confidence: holder.confidence * share,
    }
}

impl Holders for Atlas {
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure> {
        if client.site.is_some() {
            return vec![Tenure { days, attribution: self.at_site(client) }];
        }
        let mut tenures: Vec<Tenure> = Vec::new();
        let starts = self.starts(client.address, days);
        for (at, &first) in starts.iter().enumerate() {
            let last = starts.get(at + 1).map_or(days.last(), |next| next.plus(-1));
            let attribution = self.attribution(&self.ask(client.address, first), first);
            let known = tenures.last_mut().filter(|t| t.attribution == attribution);
            let begin = known.as_ref().map_or(first, |t| t.days.first());
            let stretch = DayRange::new(begin, last).expect("starts are in order");
            match known {
                Some(tenure) => tenure.days = stretch,
                None => tenures.push(Tenure { days: stretch, attribution }),
            }
        }
        tenures
    }

    fn organisation(&self, id: &OrgId) -> Option<Organisation> {
        let told = self.organisations.get(id).cloned();
        self.identity.describe(id, told.or_else(|| self.networks.organisation(id)))
    }
}

impl Atlas {
    /// The first days of the stretches within which no answer for `address` can change.
    fn starts(&self, address: Address, days: DayRange) -> Vec<Day> {
        let mut starts = vec![days.first()];
        let begun = self.cuts.partition_point(|&cut| cut <= days.first());
        let cuts = self.cuts.iter().skip(begun).take_while(|&&cut| cut <= days.last());
        starts.extend(cuts);
        let family = if address.is_v4() { &self.holders.v4 } else { &self.holders.v6 };
        for layer in family.iter().filter(|layer| layer.dated) {
            if let Some(newest) = layer.editions.last() {
                let changes = newest.ranges.changes(address.bits());
                starts.extend(changes.filter(|&day| days.contains(day)));
            }
        }
        starts.sort_unstable();
        starts.dedup();
        starts
    }
}
