//! Who sent the records of a file, and what they said of sampling.
//!
//! **Invariant:** bounded: an exporter is known by 16 bits, and there are at most
//! [`SAMPLERS_MAX`] samplers in all.

use std::collections::HashMap;
use std::num::NonZeroU32;

use tidegauge_model::{Address, Volume};

use super::order::Order;

/// Samplers of all exporters of one file. Picked by hand: a router has a few.
const SAMPLERS_MAX: usize = 65_536;
/// `AF_INET` of every system that nfdump runs on; that of IPv6 differs between them.
const AF_INET: u16 = 2;

/// So many packets looked at of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    taken: u32,
    of: u64,
}

impl Rate {
    fn new(taken: u32, of: u64) -> Option<Self> {
        (taken > 0 && of >= u64::from(taken)).then_some(Self { taken, of })
    }

    /// One in so many, rounded.
    pub(super) fn one_in(self) -> Option<NonZeroU32> {
        let taken = u64::from(self.taken);
        let rate = self.of.checked_add(taken / 2)? / taken;
        u32::try_from(rate).ok().and_then(NonZeroU32::new)
    }

    /// What was seen, of volumes that the collector scaled up, rounding down.
    pub(super) fn seen(self, scaled: Volume) -> Volume {
        let down = |scaled: u64| {
            let seen = u128::from(scaled) * u128::from(self.taken);
            u64::try_from(seen.div_ceil(u128::from(self.of))).unwrap_or(scaled)
        };
        Volume { bytes: down(scaled.bytes), packets: down(scaled.packets) }
    }
}

#[derive(Debug, Default)]
struct Exporter {
    address: Option<Address>,
    /// By the identifier that the exporter gave, or one of nfcapd's own below zero.
    samplers: Vec<(i64, Rate)>,
}

/// The exporters of a file, by the number that the collector gave them.
#[derive(Debug, Default)]
pub(super) struct Exporters {
    known: HashMap<u16, Exporter>,
    samplers: usize,
}

impl Exporters {
    /// Reads an exporter record: `exporter_info_record_t` (`exporter.h`): version u32 at 4,
    /// ip at 8 (two u64; IPv4 in the lower half of the second), `sa_family` u16 at 24,
    /// `sysid` u16 at 26.
    pub(super) fn exporter<O: Order>(&mut self, record: &[u8]) -> Option<()> {
        let address = O::v6(record, 8)?;
        let (family, id) = (O::u16(record, 24)?, O::u16(record, 26)?);
        let v4 = u32::try_from(address & u128::from(u32::MAX)).ok()?;
        let address = match family {
            AF_INET => Address::from(std::net::Ipv4Addr::from_bits(v4)),
            _ => Address::from_bits(address),
        };
        self.known.entry(id).or_default().address = Some(address);
        Some(())
    }

    /// Reads a sampler record of nfdump 1.7: `sampler_record_t` (`exporter.h`):
    /// `exporter_sysid` u16 at 4, id i64 at 8, `packetInterval` u32 at 16, `spaceInterval`
    /// u32 at 20.
    pub(super) fn sampler<O: Order>(&mut self, record: &[u8]) -> Option<()> {
        let exporter = O::u16(record, 4)?;
        let id = O::u64(record, 8)?.cast_signed();
        let taken = O::u32(record, 16)?;
        let of = u64::from(taken) + u64::from(O::u32(record, 20)?);
        self.announce(exporter, id, Rate::new(taken, of));
        Some(())
    }

    /// Reads one of nfdump 1.6: `sampler_info_record_t` (`nffile.h`): id i32 at 4, interval
    /// u32 at 8, `exporter_sysid` u16 at 14.
    pub(super) fn sampler_of_1_6<O: Order>(&mut self, record: &[u8]) -> Option<()> {
        let id = O::u32(record, 4)?.cast_signed();
        let interval = O::u32(record, 8)?;
        let exporter = O::u16(record, 14)?;
        self.announce(exporter, i64::from(id), Rate::new(1, u64::from(interval)));
        Some(())
    }

    fn announce(&mut self, exporter: u16, id: i64, rate: Option<Rate>) {
        let Some(rate) = rate else { return };
        let samplers = &mut self.known.entry(exporter).or_default().samplers;
        if let Some(known) = samplers.iter_mut().find(|sampler| sampler.0 == id) {
            known.1 = rate;
        } else if self.samplers < SAMPLERS_MAX {
            self.samplers += 1;
            samplers.push((id, rate));
        }
    }

    pub(super) fn address(&self, exporter: u16) -> Option<Address> {
        self.known.get(&exporter)?.address
    }

    /// The rate of a record: of the sampler that it names, else that of all samplers of its
    /// exporter, if they agree.
    pub(super) fn rate(&self, exporter: u16, sampler: Option<u64>) -> Option<Rate> {
        let samplers = &self.known.get(&exporter)?.samplers;
        if let Some(id) = sampler {
            let named = samplers.iter().find(|known| known.0 == id.cast_signed());
            if let Some((_, rate)) = named {
                return Some(*rate);
            }
        }
        let (_, first) = samplers.first()?;
        samplers.iter().all(|(_, rate)| rate == first).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_is_undone_exactly() {
        for (taken, of) in [(1, 30_000), (3, 10), (7, 7), (2, 1_001)] {
            let rate = Rate::new(taken, of).unwrap();
            for seen in [0, 1, 2, 17, 1_500, 4_294_967_296] {
                // nfcapd: inPackets = inPackets * (packet + space) / packet.
                let scaled = seen * of / u64::from(taken);
                let volume = Volume { bytes: scaled, packets: scaled };
                assert_eq!(rate.seen(volume).packets, seen, "{taken} of {of}");
            }
        }
        assert_eq!(Rate::new(0, 5), None);
        assert_eq!(Rate::new(5, 4), None);
    }
}
