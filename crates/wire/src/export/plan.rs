//! Plans: templates of plain flows, compiled once into loads at known places.
//!
//! **Invariant:** of a record a plan makes the flow that [`super::record::assemble`] would
//! make, or nothing; then the record is read the general way. So a plan needs to know the
//! ordinary record only: it has both times, no event, no name, no counter of zero where
//! another may stand for it, and whatever is wrong with a record is none of its business.
//! A property test at the end holds the two ways against each other.
//!
//! The general way tries each field of a record, and then each slot that the flow may be
//! made of; a plan knows from the template which of them there are. That is four fifths of
//! the time of a record.

use std::num::NonZeroU32;

use tidegauge_model::flow::Volume;
use tidegauge_model::{Address, Flow, Instant, Protocol};

use super::domain::Sampling;
use super::element::{Action, Dialect, Slot};
use super::record::{Clock, OneWay, SKEW_MICROS_MAX, micros};
use super::template::Step;
use crate::stamp::{EARLIEST, latest_believed};

/// Of a load.
const WORD_BYTES: u16 = 8;

/// Where a number of up to eight bytes is: a word inside the record, of which the bits
/// behind the value are shifted out and those before it masked.
#[derive(Clone, Copy, Debug)]
struct Load {
    at: u16,
    behind: u8,
    before: u8,
}

impl Load {
    /// Of a field of up to a word that lies in a record of at least a word.
    fn of(step: Step) -> Self {
        let end = step.offset.saturating_add(step.width);
        let at = end.saturating_sub(WORD_BYTES);
        let bits = |bytes: u16| u8::try_from(bytes * 8).unwrap_or(0);
        let (behind, before) =
            (at + WORD_BYTES - end, WORD_BYTES.saturating_sub(step.width));
        Self { at, behind: bits(behind), before: bits(before) }
    }

    #[inline]
    fn read(self, record: &[u8]) -> Option<u64> {
        let word = record.get(usize::from(self.at)..)?.first_chunk::<8>()?;
        let word = u64::from_be_bytes(*word) >> self.behind;
        Some(word & (u64::MAX >> self.before))
    }
}

/// Where an address is; where a record has room for both versions, one is zero.
#[derive(Clone, Copy, Debug)]
enum End {
    V4(Load),
    V6(u16),
    Both(Load, u16),
}

impl End {
    fn read(self, record: &[u8]) -> Option<Address> {
        match self {
            Self::V4(load) => v4(load, record).map(Address::from),
            Self::V6(at) => v6(at, record),
            Self::Both(load, at) => {
                let (v4, v6) = (v4(load, record)?, v6(at, record)?);
                let none = v4.to_bits() == 0 && v6.bits() != 0;
                Some(if none { v6 } else { v4.into() })
            }
        }
    }
}

fn v4(load: Load, record: &[u8]) -> Option<std::net::Ipv4Addr> {
    u32::try_from(load.read(record)?).ok().map(std::net::Ipv4Addr::from_bits)
}

fn v6(at: u16, record: &[u8]) -> Option<Address> {
    let bytes = record.get(usize::from(at)..)?.first_chunk::<16>()?;
    Some(Address::from_bits(u128::from_be_bytes(*bytes)))
}

/// A counter: whether others of the record may stand for it if it is zero.
#[derive(Clone, Copy, Debug)]
struct Counter {
    load: Load,
    alone: bool,
}

/// The way back, if the template has it.
#[derive(Clone, Copy, Debug)]
enum Back {
    No,
    /// Counted by the exporter, zero or not.
    Told(Load, Option<Load>),
    /// The "out" counters of NetFlow v9: if neither way is zero.
    Out(Load, Option<Load>),
}

/// A compiled template of plain flows.
#[derive(Debug)]
pub(super) struct Plan {
    source: End,
    destination: End,
    source_port: Option<Load>,
    destination_port: Option<Load>,
    protocol: Option<Load>,
    flags: Option<Load>,
    /// And how far the type is to be shifted to stand before its code.
    icmp: Option<(Load, u8)>,
    start: (Action, Load),
    end: (Action, Load),
    bytes: Option<Counter>,
    packets: Option<Counter>,
    back: Back,
    biflow: Option<Load>,
    /// The record's own sampling rate.
    sampling: Option<Load>,
    sampler: Option<Load>,
}

/// The same for all records of a set.
pub(super) struct Outside<'o> {
    clock: &'o Clock,
    exporter: Option<Address>,
    sampling: &'o Sampling,
    /// The last sampler asked for, and its rate.
    rate: Option<(Option<u64>, NonZeroU32)>,
    latest: Instant,
}

impl<'o> Outside<'o> {
    pub(super) fn new(
        clock: &'o Clock,
        exporter: Option<Address>,
        sampling: &'o Sampling,
    ) -> Self {
        let latest = latest_believed(clock.received);
        Self { clock, exporter, sampling, rate: None, latest }
    }

    fn rate(&mut self, sampler: Option<u64>) -> NonZeroU32 {
        match self.rate {
            Some((of, rate)) if of == sampler => rate,
            _ => {
                let rate = self.sampling.rate(sampler).unwrap_or(NonZeroU32::MIN);
                self.rate = Some((sampler, rate));
                rate
            }
        }
    }
}

impl Plan {
    /// The plan of records of these steps, each of a length known; `None` if they are of
    /// more than plain flows.
    pub(super) fn compile(
        dialect: Dialect,
        steps: &[Step],
        record_bytes: usize,
    ) -> Option<Box<Self>> {
        let flags: Vec<_> =
            steps.iter().filter(|s| s.action == Action::Flags).collect();
        let plain = steps.iter().all(|step| is_plain(step.action));
        if record_bytes < usize::from(WORD_BYTES) || !plain || flags.len() > 1 {
            return None;
        }
        let step = |slot| steps.iter().find(|step| step.action.slot() == Some(slot));
        let load = |slot| step(slot).copied().map(Load::of);
        let wide = |action| {
            // Of several the last counts, as they are not told apart by a slot.
            let step = steps.iter().rfind(|step| step.action == action);
            step.map(|step| step.offset)
        };
        let end = |v4, v6| match (load(v4), wide(v6)) {
            (Some(v4), None) => Some(End::V4(v4)),
            (None, Some(v6)) => Some(End::V6(v6)),
            (Some(v4), Some(v6)) => Some(End::Both(v4, v6)),
            (None, None) => None,
        };
        let time = |slot| step(slot).map(|step| (step.action, Load::of(*step)));
        let counter = |slots: &[Slot]| {
            let mut present = slots.iter().filter_map(|slot| load(*slot));
            let load = present.next()?;
            Some(Counter { load, alone: present.next().is_none() })
        };
        let shift = |step: &Step| if step.action == Action::IcmpType { 8 } else { 0 };
        Some(Box::new(Self {
            source: end(Slot::SOURCE_V4, Action::SourceV6)?,
            destination: end(Slot::DESTINATION_V4, Action::DestinationV6)?,
            source_port: load(Slot::SOURCE_PORT),
            destination_port: load(Slot::DESTINATION_PORT),
            protocol: load(Slot::PROTOCOL),
            flags: flags.first().map(|step| Load::of(**step)),
            icmp: step(Slot::ICMP).map(|step| (Load::of(*step), shift(step))),
            start: time(Slot::START)?,
            end: time(Slot::END)?,
            bytes: counter(&Slot::FORWARD_BYTES),
            packets: counter(&Slot::FORWARD_PACKETS),
            back: back(dialect, load),
            biflow: load(Slot::BIFLOW),
            sampling: load(Slot::SAMPLING),
            sampler: load(Slot::SAMPLER),
        }))
    }

    /// The flow of a record, or `None` if it is to be read the general way.
    #[inline]
    pub(super) fn flow(
        &self,
        record: &[u8],
        outside: &mut Outside<'_>,
    ) -> Option<Flow> {
        let value = |load: Option<Load>| load.map_or(Some(0), |load| load.read(record));
        let clock = outside.clock;
        let time = |(action, load): (Action, Load)| {
            let micros = micros(action, load.read(record)?, clock)?;
            i64::try_from(micros).ok().filter(|micros| *micros != 0)
        };
        let (start, end) = (time(self.start)?, time(self.end)?);
        let last = end.max(start);
        let believed = start >= EARLIEST.0 && last <= outside.latest.0;
        if start.saturating_sub(end) > SKEW_MICROS_MAX || !believed {
            return None;
        }
        let protocol = u8::try_from(value(self.protocol)?).unwrap_or(0);
        let tcp = protocol == Protocol::TCP.0;
        let flags = match self.flags {
            Some(load) if tcp => u8::try_from(load.read(record)? & 0xff).ok(),
            _ => None,
        };
        let icmp = match self.icmp {
            Some((load, shift)) => Some(load.read(record)? << shift),
            None => None,
        };
        let own = u32::try_from(value(self.sampling)?).ok().and_then(NonZeroU32::new);
        let sampling = match (own, self.sampler) {
            (Some(rate), _) => rate,
            (None, Some(load)) => outside.rate(Some(load.read(record)?)),
            (None, None) => outside.rate(None),
        };
        let one_way = OneWay {
            source: self.source.read(record)?,
            destination: self.destination.read(record)?,
            source_port: u16::try_from(value(self.source_port)?).unwrap_or(0),
            destination_port: u16::try_from(value(self.destination_port)?).unwrap_or(0),
            protocol: Protocol(protocol),
            start: Instant(start),
            end: Instant(last),
            tcp_flags: flags,
            icmp,
            sampling,
            exporter: outside.exporter,
        };
        let forward = self.forward(record)?;
        Some(match self.backward(record, forward)? {
            Some(backward) => {
                let biflow = value(self.biflow)?;
                one_way.both(forward, backward, Some(biflow))
            }
            None => one_way.flow(forward),
        })
    }

    /// What the source sent. The outer `None` if that is to be looked up the general way.
    #[expect(clippy::option_option, reason = "not plain, and not counted")]
    fn forward(&self, record: &[u8]) -> Option<Option<Volume>> {
        let read = |counter: Counter| {
            let value = counter.load.read(record)?;
            (value != 0 || counter.alone).then_some(value)
        };
        let Some(bytes) = self.bytes else { return Some(None) };
        let bytes = read(bytes)?;
        let packets = match self.packets {
            Some(packets) => read(packets)?,
            None => u64::from(bytes > 0),
        };
        Some(Some(Volume { bytes, packets }))
    }

    /// What the destination sent. The outer `None` as above.
    #[expect(clippy::option_option, reason = "not plain, and not counted")]
    fn backward(
        &self,
        record: &[u8],
        forward: Option<Volume>,
    ) -> Option<Option<Volume>> {
        let volume = |bytes: u64, packets: Option<Load>| {
            let packets = match packets {
                Some(load) => load.read(record)?,
                None => u64::from(bytes > 0),
            };
            Some(Some(Volume { bytes, packets }))
        };
        match self.back {
            Back::No => Some(None),
            Back::Told(bytes, packets) => volume(bytes.read(record)?, packets),
            Back::Out(bytes, packets) => {
                let bytes = bytes.read(record)?;
                let both = bytes != 0 && forward.is_some_and(|there| there.bytes != 0);
                if both { volume(bytes, packets) } else { Some(None) }
            }
        }
    }
}

/// Whether a plan knows what to do with the field: names, events, ports that tell their
/// protocol and sampling in two numbers are not plain.
fn is_plain(action: Action) -> bool {
    match action {
        Action::TcpPort(_)
        | Action::UdpPort(_)
        | Action::Name(_)
        | Action::CiscoName
        | Action::HttpMethod
        | Action::HttpTarget => false,
        Action::Number(slot) => !matches!(
            slot,
            Slot::FIREWALL_EVENT
                | Slot::NAT_EVENT
                | Slot::SAMPLER_INTERVAL
                | Slot::PACKET_INTERVAL
                | Slot::PACKET_SPACE
                | Slot::SIZE
                | Slot::POPULATION
        ),
        _ => true,
    }
}

/// See [`super::record`] on the ways of a record.
fn back(dialect: Dialect, load: impl Fn(Slot) -> Option<Load>) -> Back {
    let either = |one, other| load(one).or_else(|| load(other));
    let told = either(Slot::REVERSE_BYTES, Slot::RESPONDER_BYTES);
    if let Some(bytes) = told {
        let packets = either(Slot::REVERSE_PACKETS, Slot::RESPONDER_PACKETS);
        return Back::Told(bytes, packets);
    }
    match (load(Slot::BYTES), load(Slot::OUT_BYTES)) {
        (Some(_), Some(out)) if dialect == Dialect::V9 => {
            Back::Out(out, load(Slot::OUT_PACKETS))
        }
        _ => Back::No,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::{Context, Outcome, Values, assemble};
    use super::super::template::{Field, Template};
    use super::*;

    /// Elements of flows, and their usual length.
    const ELEMENTS: &[(u16, u16)] = &[
        (1, 4),
        (2, 4),
        (4, 1),
        (5, 1),
        (6, 1),
        (7, 2),
        (8, 4),
        (10, 2),
        (11, 2),
        (12, 4),
        (21, 4),
        (22, 4),
        (23, 8),
        (24, 8),
        (27, 16),
        (28, 16),
        (32, 2),
        (34, 4),
        (48, 1),
        (50, 4),
        (85, 8),
        (86, 8),
        (95, 4),
        (150, 4),
        (151, 4),
        (152, 8),
        (153, 8),
        (154, 8),
        (155, 8),
        (158, 4),
        (159, 4),
        (160, 8),
        (161, 4),
        (176, 1),
        (182, 2),
        (230, 1),
        (231, 8),
        (232, 8),
        (233, 1),
        (239, 1),
        (298, 8),
        (299, 8),
        (305, 4),
        (306, 4),
        (323, 8),
        (352, 8),
        (460, 6),
    ];
    /// 2024-04-01T00:00:00Z.
    const EXPORTED: u64 = 1_711_929_600;

    fn clock(dialect: Dialect) -> Clock {
        Clock {
            exported: Instant::from_unix(EXPORTED.cast_signed(), 0).0,
            uptime: (dialect == Dialect::V9).then_some(600_000),
            init_millis: None,
            received: Instant::from_unix(EXPORTED.cast_signed() + 5, 0),
        }
    }

    /// What an ordinary exporter says of that element, `small` being below 5.
    fn ordinary(id: u16, small: u64) -> u64 {
        match id {
            21 | 22 => 590_000 + small,
            150 | 151 => EXPORTED - small,
            152 | 153 | 323 => EXPORTED * 1_000 - small,
            154 | 155 => (EXPORTED + 2_208_988_800 - small) << 32,
            4 => [6, 17, 1, 58, 47][usize::try_from(small).unwrap()],
            7 | 11 => [443, 50_000, 0, 8_080, 53][usize::try_from(small).unwrap()],
            6 => [2, 0x12, 0x1b, 4, 0][usize::try_from(small).unwrap()],
            _ => small,
        }
    }

    #[derive(Clone, Debug)]
    struct Chosen {
        id: u16,
        length: u16,
        /// Of one record each.
        values: Vec<u64>,
    }

    impl Chosen {
        fn bytes(&self, record: usize) -> Vec<u8> {
            let mut bytes = vec![0; usize::from(self.length)];
            let value = self.values[record].to_be_bytes();
            let both = bytes.iter_mut().rev().zip(value.iter().rev());
            both.for_each(|(to, from)| *to = *from);
            bytes
        }
    }

    const RECORDS: usize = 4;

    fn value(id: u16) -> impl Strategy<Value = u64> {
        prop_oneof![
            12 => (0u64..5).prop_map(move |small| ordinary(id, small)),
            2 => Just(0),
            1 => any::<u64>(),
        ]
    }

    fn chosen((id, length): (u16, u16)) -> impl Strategy<Value = Chosen> {
        let lengths = prop_oneof![9 => Just(length), 1 => 1u16..=8];
        (lengths, prop::collection::vec(value(id), RECORDS))
            .prop_map(move |(length, values)| Chosen { id, length, values })
    }

    /// Addresses and times, and some other fields, in any order.
    fn fields(dialect: Dialect) -> impl Strategy<Value = Vec<Chosen>> {
        let ends = prop_oneof![
            3 => Just(vec![(8u16, 4u16), (12, 4)]),
            1 => Just(vec![(27, 16), (28, 16)]),
            1 => Just(vec![(8, 4), (12, 4), (27, 16), (28, 16)]),
        ];
        let times = match dialect {
            Dialect::V9 => vec![(21u16, 4u16), (22, 4)],
            Dialect::Ipfix => vec![(152, 8), (153, 8)],
        };
        let others = prop::collection::vec(prop::sample::select(ELEMENTS), 0..9);
        (ends, others).prop_flat_map(move |(ends, others)| {
            let all = [ends, times.clone(), others].concat();
            let all: Vec<_> = all.into_iter().map(chosen).collect();
            all.prop_shuffle()
        })
    }

    fn dialects() -> impl Strategy<Value = (Dialect, Vec<Chosen>)> {
        prop::sample::select(vec![Dialect::V9, Dialect::Ipfix])
            .prop_flat_map(|dialect| (Just(dialect), fields(dialect)))
    }

    fn compiled(dialect: Dialect, fields: &[Chosen]) -> Option<Template> {
        let field = |c: &Chosen| Field { enterprise: 0, id: c.id, length: c.length };
        Template::compile(dialect, false, fields.iter().map(field).collect())
    }

    fn general(
        template: &Template,
        record: &[u8],
        dialect: Dialect,
        sampling: &Sampling,
    ) -> Outcome {
        let clock = clock(dialect);
        let mut values = Values::new();
        let length = template.read(record, &clock, &mut values);
        assert_eq!(length, Some(record.len()));
        let announced = |sampler| sampling.rate(sampler);
        let context =
            Context { dialect, clock: &clock, exporter: None, announced: &announced };
        assemble(&values, &context)
    }

    fn sampling() -> Sampling {
        let mut sampling = Sampling::default();
        for sampler in 0..3 {
            let rate = NonZeroU32::new(100 + sampler).unwrap();
            sampling.announce(Some(u64::from(sampler)), rate);
        }
        sampling
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_plan_makes_the_flow_that_the_general_way_makes(
            (dialect, fields) in dialects(),
        ) {
            let template = compiled(dialect, &fields).unwrap();
            let Some((plan, length)) = template.plan() else { return Ok(()) };
            let (clock, sampling) = (clock(dialect), sampling());
            let mut outside = Outside::new(&clock, None, &sampling);
            for at in 0..RECORDS {
                let record: Vec<u8> = fields.iter().flat_map(|f| f.bytes(at)).collect();
                prop_assert_eq!(record.len(), length);
                let Some(flow) = plan.flow(&record, &mut outside) else { continue };
                match general(&template, &record, dialect, &sampling) {
                    Outcome::Flow(other) => prop_assert_eq!(flow, other),
                    Outcome::Event => prop_assert!(false, "an event: {fields:?}"),
                    Outcome::Lost(reason) => {
                        prop_assert!(false, "lost, {reason:?}: {fields:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn ordinary_records_are_read_by_a_plan() {
        use proptest::strategy::ValueTree;
        use proptest::test_runner::TestRunner;

        let mut runner = TestRunner::deterministic();
        let (mut planned, mut all) = (0, 0);
        for _ in 0..2_000 {
            let tree = dialects().new_tree(&mut runner).unwrap();
            let (dialect, fields) = tree.current();
            let template = compiled(dialect, &fields).unwrap();
            let (clock, sampling) = (clock(dialect), sampling());
            let mut outside = Outside::new(&clock, None, &sampling);
            for at in 0..RECORDS {
                let record: Vec<u8> = fields.iter().flat_map(|f| f.bytes(at)).collect();
                let flow = template
                    .plan()
                    .and_then(|(plan, _)| plan.flow(&record, &mut outside));
                planned += usize::from(flow.is_some());
                all += 1;
            }
        }
        // The test above would hold of a plan that reads nothing.
        assert!(planned * 4 > all, "{planned} of {all}");
    }

    #[test]
    fn odd_templates_have_no_plan() {
        let plan = |fields: &[(u16, u16)]| {
            let chosen = |(id, length): &(u16, u16)| Chosen {
                id: *id,
                length: *length,
                values: Vec::new(),
            };
            let fields: Vec<_> = fields.iter().map(chosen).collect();
            compiled(Dialect::Ipfix, &fields).unwrap().plan().is_some()
        };
        let base = [(8, 4), (12, 4), (152, 8), (153, 8)];
        assert!(plan(&base));
        for odd in [(460, u16::MAX), (460, 8), (233, 1), (182, 2), (305, 4)] {
            assert!(!plan(&[&base[..], &[odd]].concat()), "{odd:?}");
        }
        assert!(!plan(&[(8, 4), (152, 8), (153, 8)]), "an address is missing");
        assert!(!plan(&[(8, 4), (12, 4), (152, 8)]), "a time is missing");
    }
}
