//! Contacts that prove no use: research scanners, malware sandboxes, exits of VPNs. All
//! stand in the space of hosting companies.
//!
//! **Invariant:** an address here belongs to no organisation of the world, and none of
//! these contacts enters a count of the truth.

use rand_pcg::Pcg64Mcg;

use crate::calendar::{self, YearDay};
use crate::chance::{self, Purpose, below, unit};
use crate::country::{COUNTRIES, US};
use crate::params::Noise;
use crate::registry::HOSTING_COMPANIES;
use crate::server::Kind;
use crate::space;
use crate::traffic::{
    Flow, MICROS_PER_DAY, MICROS_PER_HOUR, Outcome, Seen, Sink, home_time, row,
};
use crate::world::World;

/// A scanner sweeps all vendors every so many days.
const SWEEP_DAYS: YearDay = 3;
/// Servers of each kind in one sweep.
const SWEEP_SERVERS: u32 = 5;
/// Chance that a sandbox runs on a day.
const SANDBOX_DAY: f64 = 0.6;
/// Chance that an exit shows contacts of the product on a day when all its users have it.
const EXIT_DAY: f64 = 0.8;
/// Quantiles of fate that say how many users an exit has left.
const USERS: u32 = 20;

/// What an address in rented space is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Scanner,
    Sandbox,
    VpnExit,
}

impl Source {
    /// How the truth calls it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Sandbox => "sandbox",
            Self::VpnExit => "vpn exit",
        }
    }
}

/// All sources of a world with their addresses, by number.
pub(crate) fn sources(noise: &Noise) -> impl Iterator<Item = (Source, u128)> {
    let kinds = [
        (Source::Scanner, noise.scanners),
        (Source::Sandbox, noise.sandboxes),
        (Source::VpnExit, noise.vpn_exits),
    ];
    let of = |(source, count)| (0..count).map(move |_| source);
    kinds.into_iter().flat_map(of).zip(0u32..).map(|(source, n)| (source, address(n)))
}

/// The address of a rented server, in the space of a hosting company.
fn address(number: u32) -> u128 {
    space::hosting(number as usize % HOSTING_COMPANIES).host(256 + number)
}

/// Draws a month of all sources.
pub(crate) fn month(world: &World, month: usize, sink: &mut impl Sink) {
    let users = users(world, month);
    let scanners = u64::from(world.params.noise.scanners);
    for (number, (source, address)) in (0u64..).zip(sources(&world.params.noise)) {
        let seed = world.params.seed;
        if source == Source::Scanner {
            let rng = chance::stream(seed, Purpose::Scanner, number, month as u64);
            Rented { world, month, address, rng }.scans(number, sink);
            continue;
        }
        // By its number among those that are no scanners.
        let member = (source as u64) << 32 | (number - scanners);
        let rng = chance::stream(seed, Purpose::Noise, member, month as u64);
        let mut rented = Rented { world, month, address, rng };
        if source == Source::Sandbox {
            rented.sandbox(sink);
        } else {
            rented.vpn_exit(&users, sink);
        }
    }
}

/// Share of consumers with the product on each day of a month.
fn users(world: &World, month: usize) -> Vec<f64> {
    let (start, length) = calendar::month(month);
    let abroad = world.calibration.consumers.iter().filter(|c| c.country != US);
    let leaving: Vec<_> = abroad
        .take(COUNTRIES.len())
        .flat_map(|c| {
            (0..USERS).map(|u| c.leaving.day((f64::from(u) + 0.5) / f64::from(USERS)))
        })
        .collect();
    let all = f64::from(u32::try_from(leaving.len()).expect("a few thousand")).max(1.0);
    (start..start + length)
        .map(|day| {
            let left = leaving.iter().filter(|until| **until > day).count();
            f64::from(u32::try_from(left).expect("a few thousand")) / all
        })
        .collect()
}

/// A month of one address.
struct Rented<'a> {
    world: &'a World,
    month: usize,
    address: u128,
    rng: Pcg64Mcg,
}

impl Rented<'_> {
    fn days(&self) -> std::ops::Range<YearDay> {
        let (start, length) = calendar::month(self.month);
        start..start + length
    }

    /// SYN to the servers of every vendor, in one burst. The exchange's sampling misses
    /// such single packets.
    fn scans(&mut self, number: u64, sink: &mut impl Sink) {
        let phase = u16::try_from(number).expect("few scanners");
        for day in self.days() {
            let due = (day + phase).is_multiple_of(SWEEP_DAYS);
            if !due || self.world.rates.carrier(day) <= 0.0 {
                continue;
            }
            let mut at = home_time(&mut self.rng).min(MICROS_PER_DAY - MICROS_PER_HOUR);
            for kind in [Kind::Update, Kind::Rivals, Kind::Windows] {
                for _ in 0..SWEEP_SERVERS {
                    at += i64::from(below(&mut self.rng, 20_000_000));
                    self.flow(Seen::Carrier, at, day, kind, Outcome::SynOnly, sink);
                }
            }
        }
    }

    /// Updates of every vendor within the hour, as fresh machines run sample after sample.
    fn sandbox(&mut self, sink: &mut impl Sink) {
        for day in self.days() {
            let runs = unit(&mut self.rng) < SANDBOX_DAY;
            if !runs || self.world.rates.carrier(day) <= 0.0 {
                continue;
            }
            let start = home_time(&mut self.rng).min(MICROS_PER_DAY - MICROS_PER_HOUR);
            for kind in [Kind::Update, Kind::Rivals, Kind::Rivals, Kind::Windows] {
                let at = start + i64::from(below(&mut self.rng, 3_000)) * 1_000_000;
                self.flow(Seen::Carrier, at, day, kind, Outcome::Served, sink);
            }
        }
    }

    /// Users of any country: the product while any of them has it, everything else always.
    /// They are so many that what they have is seen with any sampling.
    fn vpn_exit(&mut self, users: &[f64], sink: &mut impl Sink) {
        for (day, users) in self.days().zip(users) {
            for seen in Seen::ALL {
                let rate = seen.rate(self.world, day);
                let contact = unit(&mut self.rng) < EXIT_DAY * users;
                if rate <= 0.0 {
                    continue;
                }
                let kinds = [Kind::Windows, Kind::Control, Kind::Other];
                for kind in kinds.into_iter().chain(contact.then_some(Kind::Update)) {
                    let at = home_time(&mut self.rng);
                    self.flow(seen, at, day, kind, Outcome::Served, sink);
                }
            }
        }
    }

    fn flow(
        &mut self,
        seen: Seen,
        at: i64,
        day: YearDay,
        kind: Kind,
        outcome: Outcome,
        sink: &mut impl Sink,
    ) {
        let servers = self.world.servers.range(kind);
        let flow = Flow { seen, at, day, originator: self.address, servers };
        let row = row(self.world, &mut self.rng, flow, outcome);
        sink.row(seen, row);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sources_have_addresses_of_their_own() {
        let noise = Noise { scanners: 90, sandboxes: 50, vpn_exits: 60, one_off: 0.0 };
        let all: Vec<_> = sources(&noise).collect();
        let addresses: BTreeSet<_> = all.iter().map(|s| s.1).collect();
        assert_eq!((all.len(), addresses.len()), (200, 200));
        assert_eq!(all.iter().filter(|s| s.0 == Source::VpnExit).count(), 60);
    }
}
