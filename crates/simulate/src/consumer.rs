//! Consumers in the space of access providers: households, leases, addresses.
//!
//! **Invariant:** an address here proves no organisation; a household has one address at
//! a time and never the same for two leases, but for chance.

use crate::Params;
use crate::calendar::{self, DAYS, YearDay};
use crate::calibrate::Consumers;
use crate::chance::{self, Purpose};
use crate::country::US;
use crate::detect::{CONSUMER_PACKETS, Reach};
use crate::hazard::Presence;
use crate::space;
use crate::world::World;

/// Share of households that reach the servers over IPv6 (ours; small, so that the
/// published addresses are nearly all IPv4).
const IPV6: f64 = 0.015;

/// How long a provider leaves an address with a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    Daily,
    Weekly,
    Static,
    /// A mobile operator: behind carrier-grade translation, daily.
    Mobile,
}

impl Lease {
    /// In the order of a country's providers: each provider has one kind.
    pub(crate) const ALL: [Self; 4] =
        [Self::Daily, Self::Weekly, Self::Static, Self::Mobile];

    /// Days of a lease.
    pub(crate) fn days(self) -> u16 {
        match self {
            Self::Daily | Self::Mobile => 1,
            Self::Weekly => 7,
            Self::Static => 400,
        }
    }

    /// Share of a country's households (ours).
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Daily => 0.20,
            Self::Weekly => 0.30,
            Self::Static => 0.42,
            Self::Mobile => 0.08,
        }
    }
}

/// Each household is seen by one of the wide vantages, half of them by each.
pub(crate) fn reaches(params: &Params) -> [(Reach, f64); 2] {
    let packets = CONSUMER_PACKETS * f64::from(params.exchange.sampling) / 1000.0;
    [
        (Reach { exchange: true, carrier: false, packets }, 0.5),
        (Reach { exchange: false, carrier: true, packets }, 0.5),
    ]
}

/// One household.
pub(crate) struct Household {
    pub(crate) number: u64,
    pub(crate) country: usize,
    pub(crate) presence: Presence,
    pub(crate) reach: Reach,
    /// First day on which nobody looks at its network.
    pub(crate) dark: YearDay,
    lease: Lease,
    phase: u16,
    ipv6: bool,
    /// /16 blocks of its provider's pool.
    pool: u32,
}

impl Household {
    /// The address on a day.
    pub(crate) fn address(&self, seed: u64, day: YearDay) -> u128 {
        let lease = u64::from((day + self.phase) / self.lease.days());
        let draw = chance::mix(chance::mix(seed ^ self.number) ^ lease);
        let provider = self.lease as usize;
        if self.ipv6 {
            space::provider_v6(self.country, provider, draw)
        } else {
            space::provider_v4(self.country, provider, self.pool, draw)
        }
    }
}

/// First day of a household with the product that the vendor moved it to, or the end of
/// the year: of those in the United States that leave from the largest step on, a share
/// keeps what it got.
pub(crate) fn successor(world: &World, home: &Household) -> YearDay {
    let shape = &world.params.courses.migrated;
    let largest = shape.bursts.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
    let step = largest.and_then(|b| calendar::year_day(b.at)).unwrap_or(DAYS);
    let until = home.presence.until;
    if home.country != US || until < step || until >= DAYS {
        return DAYS;
    }
    let seed = world.params.seed;
    let mut rng = chance::stream(seed, Purpose::Rival, home.number, 1 << 32);
    let keeps = chance::unit(&mut rng) < world.params.substitution.successor_kept;
    if keeps { until } else { DAYS }
}

/// The /16 blocks that a provider's pool needs: eight addresses per household, so that
/// two households seldom draw the same.
pub(crate) fn pool_blocks(group: &Consumers, lease: Lease) -> u32 {
    let addresses = group.households * lease.share() * 8.0;
    chance::whole((addresses / 65_536.0).ceil()).clamp(1, space::PROVIDER_BLOCKS)
}

/// The households of a group, one by one.
pub(crate) fn households<'a>(
    params: &'a Params,
    group: &'a Consumers,
) -> impl Iterator<Item = Household> + 'a {
    let scale = params.organisations * params.eyeball;
    let reaches = reaches(params);
    let count = chance::whole(group.households * scale);
    (0..count).map(move |index| household(params, group, reaches, index))
}

fn household(
    params: &Params,
    group: &Consumers,
    reaches: [(Reach, f64); 2],
    index: u32,
) -> Household {
    let key = 10_000 + group.country as u64;
    let [fate, reach, lease, _, partner] = chance::point(params.seed, key, index);
    let number = (group.country as u64) << 32 | u64::from(index);
    let mut rng = chance::stream(params.seed, Purpose::Household, number, 0);
    let lease = Lease::ALL[chance::pick(Lease::ALL.iter().map(|l| l.share()), lease)];
    Household {
        number,
        country: group.country,
        presence: Presence::until(group.leaving.day(fate)),
        reach: reaches[usize::from(reach >= 0.5)].0,
        dark: group.sight.partner(partner).map_or(DAYS, |(_, day)| day),
        phase: u16::try_from(chance::below(&mut rng, u32::from(lease.days())))
            .expect("a lease of at most 400 days"),
        ipv6: chance::unit(&mut rng) < IPV6,
        pool: pool_blocks(group, lease),
        lease,
    }
}
