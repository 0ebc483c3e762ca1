//! Organisations: who they are, what they hold, what becomes of them.
//!
//! **Invariant:** everything about an organisation follows from the seed, its group and
//! its index in the group.

use crate::calendar::{DAYS, MONTH_STARTS, NOVEMBER, YearDay};
use crate::calibrate::Stratum;
use crate::chance::{self, Purpose};
use crate::country::{COUNTRIES, US};
use crate::detect::Reach;
use crate::hazard::{Presence, RELAPSE_MIN_DAYS, RELAPSE_SPREAD_DAYS};
use crate::space::{self, Block};
use crate::targets::SECTORS_ELSEWHERE;
use crate::{Error, Params};

/// Prefixes of one organisation at most: first, second, IPv6.
pub(crate) const PREFIXES_MAX: usize = 3;
/// First day of the adopters: 1 May.
const ADOPTION_FROM: YearDay = MONTH_STARTS[4];

/// Which part an organisation plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Has the product on 1 January.
    Member,
    /// Gets it from May to October.
    Adopter,
    /// Never has it.
    Bystander,
}

impl Part {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Adopter => "adopter",
            Self::Bystander => "bystander",
        }
    }
}

/// What the registry does with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Right,
    /// Absent; in both snapshots, or in the first alone.
    Missing {
        later: bool,
    },
    /// Held by the organisation with this draw among the country's bystanders.
    Wrong {
        draw: u32,
    },
    /// Under the former identity; in both snapshots, or in the first alone.
    Stale {
        later: bool,
    },
    /// Held by the access provider that rents it out.
    ProviderHeld,
}

/// A prefix and what the registry does with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) block: Block,
    pub(crate) entry: Entry,
}

/// An organisation.
pub(crate) struct Organisation {
    /// Stable over scales: group and index.
    pub(crate) number: u64,
    pub(crate) part: Part,
    /// Its place among the solved strata.
    pub(crate) stratum: usize,
    pub(crate) country: usize,
    pub(crate) sector: &'static str,
    /// Number of the parent.
    pub(crate) parent: Option<u64>,
    pub(crate) presence: Presence,
    pub(crate) reach: Reach,
    /// The sensor partner through which it is seen, and the first day without it.
    pub(crate) partner: Option<(u32, YearDay)>,
    /// What it uses when it has left.
    pub(crate) rival: Option<Rival>,
    pub(crate) holdings: Vec<Holding>,
    /// Public addresses from which its relays reach the servers.
    pub(crate) relays: u32,
    /// Days after which its only relay gets another address, if it ever does.
    pub(crate) renumbers: Option<u16>,
    /// A bystander's one day with a contact that proves nothing.
    pub(crate) one_off: Option<YearDay>,
    /// Whether it has Windows machines: nearly every one.
    pub(crate) windows: bool,
}

/// A rival product that an organisation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    /// Which, among the world's rivals.
    pub(crate) which: u16,
    /// First day with it.
    pub(crate) from: YearDay,
}

impl Organisation {
    /// First day on which nobody looks at its networks.
    pub(crate) fn dark(&self) -> YearDay {
        self.partner.map_or(DAYS, |(_, day)| day)
    }

    /// The identifier in the registry and in the truth.
    pub(crate) fn id(&self) -> String {
        id(self.number)
    }

    /// The address of relay `relay` on a day, and which holding it is in.
    pub(crate) fn address(&self, seed: u64, relay: u32, day: YearDay) -> (u128, usize) {
        let ipv4 = self.holdings.iter().filter(|h| h.block.length >= 96).count();
        let holding = match self.holdings.len() {
            3 if relay % 4 == 3 => 2,
            n if n > ipv4 && relay % 4 == 3 => 1,
            _ if ipv4 > 1 && relay % 2 == 1 => 1,
            _ => 0,
        };
        let epoch = self.renumbers.map_or(0, |days| day / days);
        let draw = chance::mix(seed ^ self.number ^ u64::from(epoch) << 48);
        let place = u32::try_from(draw >> 40).expect("24 bits") + relay;
        (self.holdings[holding].block.host(place), holding)
    }
}

/// The identifier of a number.
pub(crate) fn id(number: u64) -> String {
    let code = COUNTRIES[country_of(number)].code;
    format!("syn:{}-{:05}", code.to_ascii_lowercase(), number & 0xffff_ffff)
}

/// The identifier under which a stale row knows an organisation.
pub(crate) fn former_id(number: u64) -> String {
    format!("{}-former", id(number))
}

fn country_of(number: u64) -> usize {
    usize::try_from(number >> 32).expect("a country's index")
}

/// Refuses a world with more organisations of a country than have addresses.
pub(crate) fn check_room(strata: &[Stratum]) -> Result<(), Error> {
    let mut members = vec![0u32; COUNTRIES.len()];
    for stratum in strata {
        members[stratum.country] += slots(stratum).iter().sum::<u32>();
    }
    let crowded = members.iter().position(|n| *n > space::MEMBERS_MAX);
    crowded.map_or(Ok(()), |country| {
        Err(Error::Crowded {
            country: COUNTRIES[country].code,
            members: members[country],
            most: space::MEMBERS_MAX,
        })
    })
}

/// Places in the plan of addresses that each part of a stratum takes.
fn slots(stratum: &Stratum) -> [u32; 3] {
    [stratum.members, stratum.adopters, stratum.bystanders]
        .map(|full| chance::whole(full) + 1)
}

/// Makes the organisations of a world, in the order of their numbers.
pub(crate) fn organisations(params: &Params, strata: &[Stratum]) -> Vec<Organisation> {
    let mut all = Vec::new();
    let mut next_slot = vec![0u32; COUNTRIES.len()];
    let elsewhere: Vec<f64> = SECTORS_ELSEWHERE
        .iter()
        .map(|(id, _)| params.sectors_elsewhere.get(*id).copied().unwrap_or_default())
        .collect();
    for (place, stratum) in strata.iter().enumerate() {
        let parts = [Part::Member, Part::Adopter, Part::Bystander];
        for (part, slots) in parts.into_iter().zip(slots(stratum)) {
            let full = match part {
                Part::Member => stratum.members,
                Part::Adopter => stratum.adopters,
                Part::Bystander => stratum.bystanders,
            };
            let slot = &mut next_slot[stratum.country];
            let elsewhere = &elsewhere;
            let group = Group { params, stratum, elsewhere, place, part, slot: *slot };
            let count = chance::whole(full * params.organisations);
            all.extend((0..count).map(|index| group.organisation(index)));
            *slot += slots;
        }
    }
    all.sort_by_key(|o: &Organisation| o.number);
    all
}

/// Organisations of one stratum and part.
struct Group<'a> {
    params: &'a Params,
    stratum: &'a Stratum,
    /// Weights of sectors outside the United States.
    elsewhere: &'a [f64],
    place: usize,
    part: Part,
    /// First place in the country's plan of addresses.
    slot: u32,
}

impl Group<'_> {
    fn organisation(&self, index: u32) -> Organisation {
        let seed = self.params.seed;
        let country = self.stratum.country;
        let slot = self.slot + index;
        let number = (country as u64) << 32 | u64::from(slot);
        let key = self.place as u64 * 4 + self.part as u64;
        let [fate, vantages, size, sector, partner] = chance::point(seed, key, index);
        let mut rng = chance::stream(seed, Purpose::Member, number, 0);
        let mut unit = || chance::unit(&mut rng);
        let (relapses, delay) = (unit() < self.params.relapse, unit());
        let relays = relays(size, &mut unit);
        let renumbers = (relays == 1 && unit() < 0.15)
            .then(|| 60 + u16::try_from(chance::part(unit(), 140)).expect("below 140"));
        let one_off =
            self.part == Part::Bystander && unit() < self.params.noise.one_off;
        let one_off = one_off.then(|| {
            YearDay::try_from(chance::part(unit(), DAYS.into())).expect("a day")
        });
        let windows = unit() < 0.97;
        let holdings = self.holdings(country, slot, relays, &mut unit);
        let parent = self.parent(slot, &mut unit);
        let after = RELAPSE_MIN_DAYS + chance::part(delay, RELAPSE_SPREAD_DAYS);
        let presence = self.presence(fate, parent, relapses.then_some(after));
        let sector = self.stratum.sector.unwrap_or_else(|| self.sector(sector));
        Organisation {
            number,
            part: self.part,
            stratum: self.place,
            country,
            sector,
            parent,
            presence,
            reach: Reach::at(self.params, vantages, size),
            partner: self.stratum.sight.partner(partner),
            rival: self.rival(number, presence),
            holdings,
            relays,
            renumbers,
            one_off,
            windows,
        }
    }

    fn presence(&self, fate: f64, parent: Option<u64>, back: Option<u32>) -> Presence {
        match self.part {
            Part::Bystander => Presence::NEVER,
            Part::Adopter => {
                let span = u32::from(MONTH_STARTS[NOVEMBER] - ADOPTION_FROM);
                let after =
                    u16::try_from(chance::part(fate, span)).expect("in the year");
                Presence { from: ADOPTION_FROM + after, ..Presence::until(DAYS) }
            }
            Part::Member => {
                // Subsidiaries follow their parent's country in when, not in how many.
                let of_us = parent.is_some_and(|p| country_of(p) == US);
                let follows = of_us && self.params.families.follow;
                let leaving = if follows {
                    &self.stratum.following
                } else {
                    &self.stratum.leaving
                };
                let presence = Presence::until(leaving.day(fate));
                back.map_or(presence, |after| presence.with_return(after))
            }
        }
    }

    /// What a member uses after it has left, perhaps beside it before.
    fn rival(&self, number: u64, presence: Presence) -> Option<Rival> {
        let substitution = &self.params.substitution;
        let mut rng = chance::stream(self.params.seed, Purpose::Rival, number, 0);
        let [replaces, which, dual, gap] = [0; 4].map(|_| chance::unit(&mut rng));
        let left = self.part == Part::Member && presence.until < DAYS;
        if !left || replaces >= substitution.share {
            return None;
        }
        let gap = chance::part(gap, u32::from(substitution.gap_days) + 1);
        let gap = YearDay::try_from(gap).expect("at most 100");
        let which = chance::part(which, substitution.rivals.into());
        Some(Rival {
            which: u16::try_from(which).expect("below a u16"),
            from: if dual < substitution.dual { 0 } else { presence.until + gap },
        })
    }

    fn sector(&self, x: f64) -> &'static str {
        SECTORS_ELSEWHERE[chance::pick(self.elsewhere.iter().copied(), x)].0
    }

    fn holdings(
        &self,
        country: usize,
        slot: u32,
        relays: u32,
        unit: &mut impl FnMut() -> f64,
    ) -> Vec<Holding> {
        let kind = unit();
        let small = kind < 0.35 && relays <= 5;
        let mut blocks = vec![if small {
            space::small(country, slot)
        } else {
            space::own(country, slot, kind > 0.9)
        }];
        if !small && relays > 1 && unit() < 0.3 {
            blocks.push(space::small(country, slot));
        }
        if relays > 2 && unit() < 0.4 {
            blocks.push(space::own_v6(country, slot));
        }
        let holding = |block| Holding { block, entry: self.entry(unit(), unit()) };
        blocks.into_iter().map(holding).collect()
    }

    fn entry(&self, draw: f64, detail: f64) -> Entry {
        let rates = self.params.registry;
        let later = detail < 0.5;
        if draw < rates.missing {
            Entry::Missing { later }
        } else if draw < rates.missing + rates.wrong {
            Entry::Wrong { draw: chance::part(detail, u32::MAX) }
        } else if draw < rates.missing + rates.wrong + rates.stale {
            Entry::Stale { later }
        } else if draw < rates.sum() {
            Entry::ProviderHeld
        } else {
            Entry::Right
        }
    }

    /// Families: some have the head of their ten as a parent, some abroad one of the first
    /// hundred of the United States.
    fn parent(&self, slot: u32, unit: &mut impl FnMut() -> f64) -> Option<u64> {
        let draw = unit();
        let among = chance::part(unit(), 100);
        let country = self.stratum.country;
        let families = &self.params.families;
        if country != US && draw < families.us_parents {
            return Some((US as u64) << 32 | u64::from(among));
        }
        let head = slot - slot % 10;
        (draw < families.us_parents + families.parents && head != slot)
            .then(|| (country as u64) << 32 | u64::from(head))
    }
}

/// Relays of an organisation of quantile `size`: three in four have one; those with many
/// are also those with many packets.
fn relays(size: f64, unit: &mut impl FnMut() -> f64) -> u32 {
    let more = unit();
    match size {
        s if s < 0.76 => 1,
        s if s < 0.88 => 2,
        s if s < 0.95 => 3 + chance::part(more, 3),
        _ => 6 + chance::part(more, 15),
    }
}

const STARTS: [&str; 24] = [
    "Bal", "Cor", "Dre", "Fen", "Gal", "Hol", "Ist", "Jor", "Kel", "Lum", "Mar", "Nov",
    "Ost", "Pel", "Quor", "Rav", "Sel", "Tor", "Ulm", "Vas", "Wen", "Xan", "Yar",
    "Zel",
];
const MIDDLES: [&str; 16] = [
    "a", "ando", "avi", "e", "eni", "i", "ilo", "imo", "o", "ora", "oste", "u", "uri",
    "ya", "embra", "onti",
];
const ENDS: [&str; 16] = [
    "dane", "fell", "gard", "hem", "krin", "lund", "mark", "nov", "polt", "quist",
    "rant", "sk", "tal", "vane", "wick", "zim",
];

/// A generated name: no word of it is meant to be anybody's.
pub(crate) fn name(seed: u64, organisation: &Organisation) -> String {
    let mut rng = chance::stream(seed, Purpose::Name, organisation.number, 0);
    let mut word = |list: &[&'static str]| {
        let count = u32::try_from(list.len()).expect("a short list");
        list[chance::below(&mut rng, count) as usize]
    };
    let word = format!("{}{}{}", word(&STARTS), word(&MIDDLES), word(&ENDS));
    let form = COUNTRIES[organisation.country].form;
    match organisation.sector {
        "government" => format!("Authority of {word}"),
        "education" => format!("{word} Institute"),
        "nonprofit" => format!("{word} Foundation"),
        "healthcare" => format!("{word} Clinic"),
        "technology" => format!("{word} Systems {form}"),
        "finance" => format!("{word} Mutual {form}"),
        _ => format!("{word} {form}"),
    }
}
