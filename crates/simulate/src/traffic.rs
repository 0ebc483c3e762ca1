//! The flows of one month, drawn for every member, household and scanner.
//!
//! Each member's month has its own stream of chance. Only what a vantage sees is drawn:
//! the contacts of the two-hour schedule that nobody sees are never made.
//!
//! **Invariant:** a flow begins on the day for which it was drawn.

use std::ops::Range;

use rand_pcg::Pcg64Mcg;

use crate::calendar::{self, YearDay};
use crate::calibrate::Consumers;
use crate::chance::{self, Purpose, below, unit};
use crate::consumer::{self, Household};
use crate::country::US;
use crate::detect;
use crate::noise;
use crate::organisation::{Organisation, PREFIXES_MAX};
use crate::server::{Kind, ServerIndex};
use crate::sight::Sight;
use crate::world::World;

pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;
pub(crate) const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// TCP flags: SYN.
const SYN: u8 = 0x02;
/// SYN, ACK, PSH, RST: refused after the greeting.
const REFUSED: u8 = 0x1e;
/// SYN, ACK, PSH, FIN: a whole conversation.
const WHOLE: u8 = 0x1b;
/// ACK: a packet out of the middle.
const MIDDLE: u8 = 0x10;

/// Share of weekly flows that are to a control product; the rest go anywhere else.
const CONTROL_SHARE: f64 = 0.75;
/// Chance that each further relay of an organisation is seen on a contact day.
const FURTHER_RELAY: f64 = 0.4;
/// Further relays drawn per contact day at most.
const FURTHER_RELAYS: u32 = 3;
/// Chance of a flow to the reputation service beside an update.
const REPUTATION: f64 = 0.04;
/// Chance that a household shows some other flow in a month.
const HOUSEHOLD_OTHER: f64 = 0.4;

/// Which wide vantage saw a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Exchange,
    Carrier,
}

impl Seen {
    pub(crate) const ALL: [Self; 2] = [Self::Exchange, Self::Carrier];

    /// The vantage's name.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Carrier => "carrier",
        }
    }
}

/// Bytes and packets one way.
pub(crate) type Volume = Option<(u32, u32)>;

/// One flow record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Microseconds since the epoch.
    pub(crate) start: i64,
    pub(crate) duration_micros: u32,
    pub(crate) originator: u128,
    pub(crate) originator_port: u16,
    pub(crate) server: ServerIndex,
    pub(crate) sent: Volume,
    pub(crate) received: Volume,
    pub(crate) flags: u8,
    pub(crate) sampling: u32,
}

/// Days of a month on which each prefix of an organisation was in contact, one bit a day.
pub(crate) type Days = [u32; PREFIXES_MAX];

/// Receives what is drawn.
pub(crate) trait Sink {
    /// A flow at a vantage.
    fn row(&mut self, seen: Seen, row: Row);
    /// All contact days of the organisation at `place` in the world's list; `moved` are
    /// days with contacts to moved hosts, one bit a day.
    fn organisation(&mut self, place: usize, days: Days, moved: u32);
    /// An address that contacted the product's update servers; `own` if it is an
    /// organisation's.
    fn address(&mut self, address: u128, own: bool);
}

/// What a flow was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served,
    Refused,
    SynOnly,
}

/// Draws the flows of a month, 0 to 11.
pub(crate) fn month(world: &World, month: usize, sink: &mut impl Sink) {
    for (place, organisation) in world.organisations.iter().enumerate() {
        let mut drawn = Drawn::new(world, month, organisation, sink);
        drawn.contacts();
        let days = drawn.days;
        drawn.visible();
        let moved = drawn.moved();
        drawn.rival();
        sink.organisation(place, days, moved);
    }
    for group in &world.calibration.consumers {
        for household in consumer::households(&world.params, group) {
            household_month(world, month, group, &household, sink);
        }
    }
    noise::month(world, month, sink);
}

/// One organisation's month.
struct Drawn<'a, S> {
    world: &'a World,
    organisation: &'a Organisation,
    sight: &'a Sight,
    month: usize,
    rng: Pcg64Mcg,
    days: Days,
    sink: &'a mut S,
}

impl<'a, S: Sink> Drawn<'a, S> {
    fn new(
        world: &'a World,
        month: usize,
        organisation: &'a Organisation,
        sink: &'a mut S,
    ) -> Self {
        let seed = world.params.seed;
        let number = organisation.number;
        let rng = chance::stream(seed, Purpose::Traffic, number, month as u64);
        let sight = &*world.stratum(organisation).sight;
        Self { world, organisation, sight, month, rng, days: [0; PREFIXES_MAX], sink }
    }

    fn contacts(&mut self) {
        let (start, length) = calendar::month(self.month);
        for day in start..start + length {
            let draws = Seen::ALL.map(|seen| (seen, unit(&mut self.rng)));
            let one_off = self.organisation.one_off == Some(day);
            if !one_off && !self.organisation.presence.on(day) {
                continue;
            }
            for (seen, draw) in draws {
                let rate = self.rate(seen, day);
                let packets = self.packets(day) * rate * self.sight.product(day);
                if draw < -(-packets).exp_m1() || (one_off && rate > 0.0) {
                    self.contact_day(seen, day);
                }
            }
        }
    }

    /// Packets towards the servers on a day.
    fn packets(&self, day: YearDay) -> f64 {
        self.organisation.reach.packets * detect::rhythm(day)
    }

    /// Contacts with hosts that the vendor moved, as a vantage sees them.
    fn moved(&mut self) -> u32 {
        let (start, length) = calendar::month(self.month);
        if self.sight.known(start + length - 1) >= 1.0 {
            return 0;
        }
        let mut days = 0;
        let mut rng = self.own_stream(Purpose::Moved);
        for day in start..start + length {
            for seen in Seen::ALL {
                let draw = unit(&mut rng);
                let unknown = self.sight.thinned(day) * (1.0 - self.sight.known(day));
                let packets = self.packets(day) * self.rate(seen, day) * unknown;
                let on = self.organisation.presence.on(day);
                if on && draw < -(-packets).exp_m1() {
                    days |= 1 << (day - start);
                    let servers = self.world.servers.range(Kind::Moved);
                    self.beside(&mut rng, seen, day, servers);
                }
            }
        }
        days
    }

    /// Contacts with the rival that it uses.
    fn rival(&mut self) {
        let (start, length) = calendar::month(self.month);
        let Some(rival) = self.organisation.rival else { return };
        let mut rng = self.own_stream(Purpose::Rival);
        for day in rival.from.max(start)..start + length {
            for seen in Seen::ALL {
                let draw = unit(&mut rng);
                let packets =
                    self.packets(day) * self.rate(seen, day) * self.sight.thinned(day);
                if draw < -(-packets).exp_m1() {
                    let first = self.world.servers.range(Kind::Rivals).start;
                    let server = first + rival.which;
                    self.beside(&mut rng, seen, day, server..server + 1);
                }
            }
        }
    }

    fn own_stream(&self, purpose: Purpose) -> Pcg64Mcg {
        let number = self.organisation.number;
        // Part 0 is what the organisation is; a month has its number.
        chance::stream(self.world.params.seed, purpose, number, 1 + self.month as u64)
    }

    /// A flow that is no contact with a known host of the product.
    fn beside(
        &mut self,
        rng: &mut Pcg64Mcg,
        seen: Seen,
        day: YearDay,
        servers: Range<ServerIndex>,
    ) {
        let (address, _) = self.organisation.address(self.world.params.seed, 0, day);
        let at = office_time(rng, self.world.utc[self.organisation.country], day);
        let flow = Flow { seen, at, day, originator: address, servers };
        let row = row(self.world, rng, flow, Outcome::Served);
        self.sink.row(seen, row);
    }

    fn contact_day(&mut self, seen: Seen, day: YearDay) {
        let relays = self.organisation.relays;
        self.contact(seen, day, 0, Kind::Update);
        if unit(&mut self.rng) < REPUTATION {
            self.contact(seen, day, 0, Kind::Reputation);
        }
        for _ in 0..FURTHER_RELAYS.min(relays - 1) {
            let relay = 1 + below(&mut self.rng, relays - 1);
            if unit(&mut self.rng) < FURTHER_RELAY {
                self.contact(seen, day, relay, Kind::Update);
            }
        }
    }

    fn contact(&mut self, seen: Seen, day: YearDay, relay: u32, kind: Kind) {
        let seed = self.world.params.seed;
        let (address, holding) = self.organisation.address(seed, relay, day);
        let (start, _) = calendar::month(self.month);
        if kind == Kind::Update {
            self.days[holding] |= 1 << (day - start);
            self.sink.address(address, true);
        }
        let outcome =
            outcome(self.world, self.organisation.country, day, &mut self.rng);
        let utc = self.world.utc[self.organisation.country];
        let at = office_time(&mut self.rng, utc, day);
        let servers = self.world.servers.range(kind);
        let flow = Flow { seen, at, day, originator: address, servers };
        let row = row(self.world, &mut self.rng, flow, outcome);
        self.sink.row(seen, row);
    }

    /// One flow a week at each vantage in reach that is no contact: whether an
    /// organisation's network can be seen does not depend on the product.
    fn visible(&mut self) {
        let (start, length) = calendar::month(self.month);
        let first_monday = start - start % 7;
        let mut sight = self.own_stream(Purpose::Sight);
        for monday in (first_monday..start + length).step_by(7) {
            let week = u64::from(monday);
            let number = self.organisation.number;
            let seed = self.world.params.seed;
            let mut rng = chance::stream(seed, Purpose::Bystander, number, week);
            for seen in Seen::ALL {
                let day = monday + u16::try_from(below(&mut rng, 5)).expect("below 5");
                let (draw, place) = (unit(&mut rng), below(&mut rng, 64));
                let still = unit(&mut sight);
                let this_month = (start..start + length).contains(&day);
                if this_month
                    && self.rate(seen, day) > 0.0
                    && still < self.sight.thinned(day)
                {
                    self.other(seen, day, draw, place);
                }
            }
        }
    }

    /// Seen share of a packet: none where its traffic does not cross, or nobody looks.
    fn rate(&self, seen: Seen, day: YearDay) -> f64 {
        let reach = self.organisation.reach;
        let crosses = match seen {
            Seen::Exchange => reach.exchange,
            Seen::Carrier => reach.carrier,
        };
        if !crosses || day >= self.organisation.dark() {
            return 0.0;
        }
        match seen {
            Seen::Exchange => self.world.rates.exchange(day),
            Seen::Carrier => self.world.rates.carrier(day),
        }
    }

    fn other(&mut self, seen: Seen, day: YearDay, draw: f64, place: u32) {
        let kind = if draw >= CONTROL_SHARE {
            Kind::Other
        } else if self.organisation.windows && draw < 0.6 * CONTROL_SHARE {
            Kind::Windows
        } else {
            Kind::Control
        };
        let holding = place as usize % self.organisation.holdings.len();
        let address = self.organisation.holdings[holding].block.host(100 + place);
        let utc = self.world.utc[self.organisation.country];
        let at = office_time(&mut self.rng, utc, day);
        let servers = self.world.servers.range(kind);
        let flow = Flow { seen, at, day, originator: address, servers };
        let row = row(self.world, &mut self.rng, flow, Outcome::Served);
        self.sink.row(seen, row);
    }
}

fn household_month(
    world: &World,
    month: usize,
    group: &Consumers,
    home: &Household,
    sink: &mut impl Sink,
) {
    let seed = world.params.seed;
    let purpose = Purpose::HouseholdTraffic;
    let mut rng = chance::stream(seed, purpose, home.number, month as u64);
    let (start, length) = calendar::month(month);
    let seen = if home.reach.exchange { Seen::Exchange } else { Seen::Carrier };
    let other = (unit(&mut rng) < HOUSEHOLD_OTHER)
        .then(|| start + u16::try_from(below(&mut rng, length.into())).expect("a day"));
    let mut beside = Beside::new(world, month, group, home);
    for day in start..start + length {
        let draw = unit(&mut rng);
        let rate =
            if day < home.dark { world.rates.seen(home.reach, day) } else { 0.0 };
        let known = rate * group.sight.product(day);
        let contact = home.presence.on(day) && draw < -(-known).exp_m1();
        let other = other == Some(day) && rate > 0.0;
        beside.day(world, seen, day, rate, sink);
        let kind = match (contact, other) {
            (true, _) => Kind::Update,
            (false, true) if beside.still(group.sight.thinned(day)) => Kind::Other,
            (false, _) => continue,
        };
        let address = home.address(seed, day);
        let outcome = if contact {
            sink.address(address, false);
            outcome(world, home.country, day, &mut rng)
        } else {
            Outcome::Served
        };
        let at = home_time(&mut rng);
        let servers = world.servers.range(kind);
        let flow = Flow { seen, at, day, originator: address, servers };
        sink.row(seen, row(world, &mut rng, flow, outcome));
    }
}

/// What a household contacts beside known hosts of the product: hosts that the vendor
/// moved, or the product that the vendor moved it to.
struct Beside<'a> {
    home: &'a Household,
    sight: &'a Sight,
    rng: Pcg64Mcg,
    moves: bool,
    /// First day with the other product.
    successor: YearDay,
}

impl<'a> Beside<'a> {
    fn new(
        world: &World,
        month: usize,
        group: &'a Consumers,
        home: &'a Household,
    ) -> Self {
        let (start, length) = calendar::month(month);
        let seed = world.params.seed;
        let rng = chance::stream(seed, Purpose::Moved, home.number, 13 + month as u64);
        let sight = &*group.sight;
        Self {
            home,
            sight,
            rng,
            moves: sight.known(start + length - 1) < 1.0,
            successor: consumer::successor(world, home),
        }
    }

    /// Whether what would be seen is still seen.
    fn still(&mut self, thinned: f64) -> bool {
        thinned >= 1.0 || unit(&mut self.rng) < thinned
    }

    fn day(
        &mut self,
        world: &World,
        seen: Seen,
        day: YearDay,
        rate: f64,
        sink: &mut impl Sink,
    ) {
        let thinned = rate * self.sight.thinned(day);
        let (kind, expected) = if self.moves && self.home.presence.on(day) {
            (Kind::Moved, thinned * (1.0 - self.sight.known(day)))
        } else if day >= self.successor {
            (Kind::Successor, thinned)
        } else {
            return;
        };
        if unit(&mut self.rng) >= -(-expected).exp_m1() {
            return;
        }
        let originator = self.home.address(world.params.seed, day);
        let at = home_time(&mut self.rng);
        let servers = world.servers.range(kind);
        let flow = Flow { seen, at, day, originator, servers };
        sink.row(seen, row(world, &mut self.rng, flow, Outcome::Served));
    }
}

/// After the cut-off most clients of the United States ask in vain.
fn outcome(world: &World, country: usize, day: YearDay, rng: &mut Pcg64Mcg) -> Outcome {
    let draw = unit(rng);
    let cut = country == US && day >= world.cutoff;
    if cut && draw >= world.params.served_after_cutoff {
        Outcome::Refused
    } else {
        Outcome::Served
    }
}

/// Microseconds into the UTC day: office hours of the country, for relays any hour.
fn office_time(rng: &mut Pcg64Mcg, utc: i8, day: YearDay) -> i64 {
    let hour = 7.0 + 11.0 * unit(rng);
    let around_the_clock = calendar::is_weekend(day) || unit(rng) < 0.25;
    if around_the_clock {
        return home_time(rng);
    }
    micros((hour - f64::from(utc)).rem_euclid(24.0))
}

pub(crate) fn home_time(rng: &mut Pcg64Mcg) -> i64 {
    micros(24.0 * unit(rng))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "hours of a day in microseconds, far below 2^53"
)]
fn micros(hours: f64) -> i64 {
    (hours * MICROS_PER_HOUR as f64) as i64
}

/// When and between whom a flow is.
pub(crate) struct Flow {
    pub(crate) seen: Seen,
    /// Microseconds into the day.
    pub(crate) at: i64,
    pub(crate) day: YearDay,
    pub(crate) originator: u128,
    /// One of them.
    pub(crate) servers: Range<ServerIndex>,
}

/// The record of a flow.
pub(crate) fn row(
    world: &World,
    rng: &mut Pcg64Mcg,
    flow: Flow,
    outcome: Outcome,
) -> Row {
    let Flow { seen, at, day, originator, servers } = flow;
    let width = u32::from(servers.end - servers.start);
    let server =
        servers.start + u16::try_from(below(rng, width)).expect("a small range");
    let port = 1024 + u16::try_from(below(rng, 64_000)).expect("below 64000");
    let shape = match seen {
        Seen::Exchange => sampled(rng, outcome),
        Seen::Carrier => whole(rng, outcome),
    };
    Row {
        start: calendar::day(day).start().0 + at.clamp(0, MICROS_PER_DAY - 1),
        duration_micros: shape.duration_micros,
        originator,
        originator_port: port,
        server,
        sent: shape.sent,
        received: shape.received,
        flags: shape.flags,
        sampling: match seen {
            Seen::Exchange => detect::exchange_sampling(&world.params, day),
            Seen::Carrier => 1,
        },
    }
}

struct Shape {
    duration_micros: u32,
    sent: Volume,
    received: Volume,
    flags: u8,
}

/// One sampled packet of a flow, in one direction.
fn sampled(rng: &mut Pcg64Mcg, outcome: Outcome) -> Shape {
    let sent_share = if outcome == Outcome::Served { 0.3 } else { 0.8 };
    let sent = unit(rng) < sent_share;
    let large = below(rng, 100);
    let (sent, received) = match (sent, outcome) {
        (true, Outcome::Served) => (Some((52 + 5 * large, 1)), None),
        (false, Outcome::Served) => (None, Some((1420 + large % 80, 1))),
        (true, _) => (Some((52 + large % 12, 1)), None),
        (false, _) => (None, Some((40, 1))),
    };
    let flags = if outcome == Outcome::Served { MIDDLE } else { SYN };
    Shape { duration_micros: 0, sent, received, flags }
}

/// A flow seen whole, both ways.
fn whole(rng: &mut Pcg64Mcg, outcome: Outcome) -> Shape {
    let draw = below(rng, 1000);
    match outcome {
        Outcome::Served => {
            let received = 40 + 2 * draw;
            let sent = 8 + received / 2;
            Shape {
                duration_micros: 300_000 + 40_000 * draw,
                sent: Some((900 + 52 * sent, sent)),
                received: Some((1400 * received, received)),
                flags: WHOLE,
            }
        }
        Outcome::Refused => Shape {
            duration_micros: 40_000 + 100 * draw,
            sent: Some((517 + 52 * (3 + draw % 3), 3 + draw % 3)),
            received: Some((52 * (2 + draw % 2), 2 + draw % 2)),
            flags: REFUSED,
        },
        Outcome::SynOnly => Shape {
            duration_micros: 0,
            sent: Some((44, 1)),
            received: Some((0, 0)),
            flags: SYN,
        },
    }
}
