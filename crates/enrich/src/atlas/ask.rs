//! What the sources say of an address on a day, and which of them decides.
//!
//! **Invariant:** an answer depends on the segments that the address lies in and on the
//! day alone; so one answer stands for all addresses in the same segments.

use tidegauge_model::{
    Asn, Attribution, Day, Gap, NetworkKind, OrgId, Shared, Standing,
};

use super::build::{Atlas, Edition, Holder, Layer, Layers, Reading, Registered};
use super::confidence::Confidence;
use super::lookup::Why;
use super::ranges::Hit;
use super::tags::Network;

/// Confidence in the AS as organisation where a tag says that the network is its own.
/// Picked by hand, revisit when the look-up is held against registers.
const OWN_NETWORK_CONFIDENCE: f32 = 0.7;
/// Confidence in the AS as organisation otherwise: space is lent, leased and announced
/// for others. Picked by hand, revisit.
const ORIGIN_CONFIDENCE: f32 = 0.5;
/// Confidence in a provider that publishes the range as its own: it is the holder, though
/// not who rents the server. Picked by hand, revisit.
const PROVIDER_CONFIDENCE: f32 = 0.9;
/// Confidence in who a registry has as the user of a range. Its rows are seldom wrong when
/// they are written, and often old. Picked by hand, revisit.
const REGISTERED_CONFIDENCE: f32 = 0.8;
/// What [`Gap::Disputed`] leaves of the confidence: either of two snapshots may be right.
pub(super) const DISPUTED_SHARE: f32 = 0.5;

/// Tells the segment of a table that an address lies in.
pub(super) type Locate<'f> = &'f dyn Fn(&Edition) -> Option<usize>;

/// What the sources of one field say of an address on a day.
pub(super) struct Answer<'a> {
    /// Who said it.
    pub(super) told: Option<(&'a Layer, &'a Edition)>,
    pub(super) hit: Option<Hit>,
    pub(super) standing: Standing,
    /// Multiplies the confidence.
    share: f32,
    /// Whether somebody may have held it, whom [`Gap::Unattributed`] does not name: then
    /// no other source is asked.
    withheld: bool,
}

/// The answers that make an attribution.
pub(super) struct Asked<'a> {
    pub(super) holder: Answer<'a>,
    pub(super) provider: Answer<'a>,
    /// Nobody where the registry names no user, or who the AS is of anyhow.
    pub(super) registration: Answer<'a>,
    pub(super) tag: Answer<'a>,
    pub(super) origin: Answer<'a>,
    pub(super) country: Answer<'a>,
    v6: bool,
}

/// The attribution, and what it rests on. The age of the snapshot is not in it yet.
pub(super) struct Decision {
    pub(super) attribution: Attribution,
    pub(super) confidence: Confidence,
    pub(super) why: Why,
}

impl Layers {
    pub(super) fn family(&self, v6: bool) -> &[Layer] {
        if v6 { &self.v6 } else { &self.v4 }
    }
}

impl Atlas {
    pub(super) fn ask(&self, v6: bool, locate: Locate<'_>, day: Day) -> Asked<'_> {
        let answer = |layers| self.answer(layers, v6, locate, day);
        let origin = answer(&self.origins);
        let registration = answer(&self.registrations);
        Asked {
            holder: answer(&self.holders),
            provider: answer(&self.providers),
            registration: self.user(registration, &origin, day),
            tag: answer(&self.range_tags),
            origin,
            country: answer(&self.countries),
            v6,
        }
    }

    /// What a registry says, if it names a user of the range. Where its word for the range
    /// says that it was given on, it names none; where it names the organisation that the
    /// AS is of, the AS tells more.
    fn user<'a>(
        &self,
        registration: Answer<'a>,
        origin: &Answer<'_>,
        day: Day,
    ) -> Answer<'a> {
        let Some(reading) = self.read(&registration) else { return registration };
        let of_as = origin.hit.and_then(|hit| self.organisation_of(hit, day));
        match reading {
            Reading::Registered(user) if Some(&user.id) != of_as => registration,
            _ => Answer::nobody(Standing::Nobody),
        }
    }

    /// The first source, by name, that says anything.
    pub(super) fn answer<'a>(
        &'a self,
        layers: &'a Layers,
        v6: bool,
        locate: Locate<'_>,
        day: Day,
    ) -> Answer<'a> {
        let mut nobody = Answer::nobody(Standing::Nobody);
        for layer in layers.family(v6) {
            let answer = self.layer_answer(layer, locate, day);
            if answer.hit.is_some() || answer.withheld {
                return answer;
            }
            if answer.standing != Standing::Nobody {
                nobody.standing = answer.standing;
            }
        }
        nobody
    }

    /// What one source says.
    pub(super) fn layer_answer<'a>(
        &self,
        layer: &'a Layer,
        locate: Locate<'_>,
        day: Day,
    ) -> Answer<'a> {
        let find = |at: usize| {
            let edition = layer.editions.get(at)?;
            let hit = locate(edition).and_then(|at| edition.ranges.said(at, day));
            Some((edition, hit))
        };
        let newest = layer.editions.len().saturating_sub(1);
        if layer.dated {
            return Answer::of(layer, find(newest), Standing::Dated);
        }
        let begun = layer.editions.partition_point(|e| e.snapshot <= day);
        let Some(at) = begun.checked_sub(1) else {
            return self.before_first(layer, find(0));
        };
        let said = find(at);
        if said.is_some_and(|(edition, _)| edition.snapshot == day) {
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

    fn before_first<'a>(
        &self,
        layer: &'a Layer,
        first: Option<(&'a Edition, Option<Hit>)>,
    ) -> Answer<'a> {
        let carried = Answer::of(layer, first, Standing::BeforeFirst);
        match self.before_first {
            Gap::Carry => carried,
            Gap::Disputed => Answer { share: DISPUTED_SHARE, ..carried },
            Gap::Unattributed => Answer::nobody(carried.standing),
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
            Some(Reading::Registered(user)) => Who::Organisation(&user.id),
            Some(Reading::Shown) => Who::Registered,
        }
    }

    fn reading(&self, hit: Hit) -> Option<&Reading> {
        self.statements.get(hit.statement).map(|s| &s.reading)
    }

    fn read(&self, answer: &Answer<'_>) -> Option<&Reading> {
        answer.hit.and_then(|hit| self.reading(hit))
    }

    /// The organisation that a statement names on a day, however it names it.
    pub(super) fn organisation_of(&self, hit: Hit, day: Day) -> Option<&OrgId> {
        match self.reading(hit)? {
            Reading::Holder(holder) => Some(&holder.id),
            Reading::Registered(user) => Some(&user.id),
            Reading::Origin(Some(asn)) => {
                self.networks.profile(*asn, day).map(|p| &p.organisation)
            }
            _ => None,
        }
    }

    /// Who it is: a holder row decides, else the provider that publishes the range, else
    /// the user whom a registry names, else the origin AS. What a tag of the range means
    /// stands over all but the first.
    pub(super) fn decide(
        &self,
        asked: &Asked<'_>,
        locate: Locate<'_>,
        day: Day,
    ) -> Decision {
        let addr_country = match self.read(&asked.country) {
            Some(Reading::Country(country)) => *country,
            _ => None,
        };
        let asn = match self.read(&asked.origin) {
            Some(Reading::Origin(asn)) => *asn,
            _ => None,
        };
        let mut decision = match self.read(&asked.holder) {
            Some(Reading::Holder(holder)) => {
                let confidence = Confidence::of(holder.confidence);
                of_holder(holder, asn, confidence, Why::Holder)
            }
            _ if asked.holder.withheld => Decision::nobody(asn, Why::Withheld),
            _ => self.of_network(asked, asn, day),
        };
        let decided = match decision.why {
            Why::Holder => Some((&self.holders, &asked.holder)),
            Why::Provider => Some((&self.providers, &asked.provider)),
            Why::Registry => Some((&self.registrations, &asked.registration)),
            Why::Origin => Some((&self.origins, &asked.origin)),
            Why::Withheld | Why::Nobody => None,
        };
        if let Some((layers, answer)) = decided {
            decision.confidence.gap = answer.share;
            self.hear_others(
                layers.family(asked.v6),
                answer,
                locate,
                day,
                &mut decision,
            );
        }
        let attribution = &mut decision.attribution;
        let organisation = attribution.organisation.as_ref();
        let by_file = organisation.and_then(|id| self.identity.country(id));
        attribution.org_country = by_file.or(attribution.org_country);
        attribution.addr_country = attribution.addr_country.or(addr_country);
        attribution.confidence = decision.confidence.value();
        decision
    }

    fn of_network(&self, asked: &Asked<'_>, asn: Option<Asn>, day: Day) -> Decision {
        let mut decision = match self.read(&asked.provider) {
            Some(Reading::Holder(provider)) => {
                let confidence =
                    Confidence::of(provider.confidence * PROVIDER_CONFIDENCE);
                of_holder(provider, asn, confidence, Why::Provider)
            }
            _ if asked.provider.withheld => Decision::nobody(asn, Why::Withheld),
            _ => match self.read(&asked.registration) {
                Some(Reading::Registered(user)) => self.of_user(user, asn),
                _ if asked.registration.withheld => {
                    Decision::nobody(asn, Why::Withheld)
                }
                _ => self.of_origin(asked, asn, day),
            },
        };
        if let Some(Reading::Tagged(network)) = self.read(&asked.tag) {
            let attribution = &mut decision.attribution;
            if network.kind != NetworkKind::Unknown {
                attribution.kind = network.kind;
            }
            if network.shared != Shared::No {
                attribution.shared = network.shared;
            }
        }
        decision
    }

    fn of_user(&self, user: &Registered, asn: Option<Asn>) -> Decision {
        let told = self.organisation(&user.id).and_then(|told| told.country);
        let attribution = Attribution {
            organisation: Some(user.id.clone()),
            asn,
            kind: user.kind,
            shared: Shared::No,
            org_country: told.or(user.country),
            addr_country: None,
            confidence: 0.0,
        };
        let confidence = Confidence::of(REGISTERED_CONFIDENCE);
        Decision { attribution, confidence, why: Why::Registry }
    }

    fn of_origin(&self, asked: &Asked<'_>, asn: Option<Asn>, day: Day) -> Decision {
        let Some((asn, profile)) =
            asn.and_then(|asn| Some((asn, self.networks.profile(asn, day)?)))
        else {
            let withheld = asked.origin.withheld;
            let why = if withheld { Why::Withheld } else { Why::Nobody };
            return Decision::nobody(asn, why);
        };
        let own = profile.kind() == NetworkKind::Own;
        let base = if own { OWN_NETWORK_CONFIDENCE } else { ORIGIN_CONFIDENCE };
        let mut confidence = Confidence::of(base);
        if !self.of_one_organisation(asked, day) {
            confidence.hear(false);
        }
        Decision {
            attribution: Attribution {
                organisation: Some(profile.organisation.clone()),
                asn: Some(asn),
                kind: profile.kind(),
                shared: profile.shared(),
                org_country: profile.country,
                addr_country: None,
                confidence: 0.0,
            },
            confidence,
            why: Why::Origin,
        }
    }

    /// Whether all AS that announce the range are of one organisation.
    fn of_one_organisation(&self, asked: &Asked<'_>, day: Day) -> bool {
        let said = asked.origin.hit.and_then(|hit| self.statements.get(hit.statement));
        let Some(origins) = said.and_then(|s| s.said.detail.get("origins")) else {
            return true;
        };
        let mut organisations = origins.split(['_', ',']).map(|asn| {
            let profile = asn.parse().ok().and_then(|a| self.networks.profile(a, day));
            profile.map(|p| &p.organisation)
        });
        let first = organisations.next().flatten();
        first.is_some() && organisations.all(|other| other == first)
    }

    /// Counts the further sources of the kind that decided, by whether they name the same
    /// organisation.
    fn hear_others(
        &self,
        layers: &[Layer],
        decided: &Answer<'_>,
        locate: Locate<'_>,
        day: Day,
        decision: &mut Decision,
    ) {
        let [_, _, ..] = layers else { return };
        let winner = decided.told.map(|(layer, _)| &layer.source);
        let organisation = decision.attribution.organisation.as_ref();
        for layer in layers.iter().filter(|layer| Some(&layer.source) != winner) {
            let answer = self.layer_answer(layer, locate, day);
            let said = answer.hit.and_then(|hit| self.organisation_of(hit, day));
            if let Some(said) = said {
                decision.confidence.hear(Some(said) == organisation);
            }
        }
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

impl<'a> Asked<'a> {
    /// The answer that decides: the holder's, else the provider's, else the registry's,
    /// else the origin's.
    pub(super) fn deciding(&self) -> &Answer<'a> {
        let decides =
            |a: &&Answer<'_>| a.hit.is_some() || a.standing == Standing::Disputed;
        let before = [&self.holder, &self.provider, &self.registration];
        let first = before.into_iter().find(decides);
        first.unwrap_or(&self.origin)
    }
}

impl<'a> Answer<'a> {
    fn nobody(standing: Standing) -> Self {
        Self { told: None, hit: None, standing, share: 1.0, withheld: false }
    }

    fn of(
        layer: &'a Layer,
        found: Option<(&'a Edition, Option<Hit>)>,
        standing: Standing,
    ) -> Self {
        let Some((edition, Some(hit))) = found else {
            // Only a gap can be disputed about nobody; else nobody said anything.
            let disputed = standing == Standing::Disputed;
            return Self::nobody(if disputed { standing } else { Standing::Nobody });
        };
        let told = Some((layer, edition));
        Self { told, hit: Some(hit), standing, share: 1.0, withheld: false }
    }
}

impl Decision {
    fn nobody(asn: Option<Asn>, why: Why) -> Self {
        let attribution = Attribution { asn, ..Attribution::UNATTRIBUTED };
        Self { attribution, confidence: Confidence::NONE, why }
    }
}

fn of_holder(
    holder: &Holder,
    origin: Option<Asn>,
    confidence: Confidence,
    why: Why,
) -> Decision {
    let attribution = Attribution {
        organisation: Some(holder.id.clone()),
        asn: holder.asn.or(origin),
        kind: holder.kind,
        shared: holder.shared,
        org_country: holder.country,
        addr_country: holder.addr_country,
        confidence: 0.0,
    };
    Decision { attribution, confidence, why }
}
