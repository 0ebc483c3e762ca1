//! The flows of one month, drawn for every member, household and scanner.
//!
//! Each member's month has its own stream of chance. Only what a vantage sees is drawn:
//! the contacts of the two-hour schedule that nobody sees are never made.
//!
//! **Invariant:** a flow begins on the day for which it was drawn; what a member shows that
//! is no contact is seen by the rule of contacts, and does not depend on them.

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

/// Flows of an organisation on a weekday that are no contact, as each vantage in reach
/// shows them with its first rate: with the rhythm of the week 1.2 a week (ours: most
/// organisations show some in most weeks, and tables stay as small as the product's).
const OTHERS: f64 = 0.222;
/// What they are to, and the share of each: three in four to a control product.
const OTHER_KINDS: [(Kind, f64); 3] =
    [(Kind::Windows, 0.45), (Kind::Control, 0.30), (Kind::Other, 0.25)];
/// Chance that each further relay of an organisation is seen on a contact day.
const FURTHER_RELAY: f64 = 0.4;
/// Further relays drawn per contact day at most.
const FURTHER_RELAYS: u32 = 3;
/// Chance of a flow to the reputation service beside an update.
const REPUTATION: f64 = 0.04;
/// Flows of a household in a month that are no contact, as its vantage shows them with
/// its first rate (ours).
const HOUSEHOLD_OTHERS: f64 = 0.4;
/// Mean length of a month of 2024.
const MONTH_DAYS: f64 = 30.5;

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

    /// Share of a packet that it sees on a day.
    pub(crate) fn rate(self, world: &World, day: YearDay) -> f64 {
        match self {
            Self::Exchange => world.rates.exchange(day),
            Self::Carrier => world.rates.carrier(day),
        }
    }

    /// The same beside what it sees before its sampling changes: numbers of flows that are
    /// no contact are told by that.
    fn relative(self, world: &World, day: YearDay) -> f64 {
        let first = match self {
            Self::Exchange => world.params.exchange.sampling,
            Self::Carrier => world.params.carrier.route_packets,
        };
        self.rate(world, day) * f64::from(first)
    }
}

/// Chance to see one or more of the flows or packets of which so many are expected to be
/// seen.
fn any(expected: f64) -> f64 {
    -(-expected).exp_m1()
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
    members(world, month, sink);
    for group in &world.calibration.consumers {
        for household in consumer::households(&world.params, group) {
            household_month(world, month, group, &household, sink);
            household_others(world, month, group, &household, sink);
        }
    }
    noise::month(world, month, sink);
}

/// Draws the flows of the organisations alone: each one's, then what it comes to.
pub(crate) fn members(world: &World, month: usize, sink: &mut impl Sink) {
    for (place, organisation) in world.organisations.iter().enumerate() {
        let mut drawn = Drawn::new(world, month, organisation, sink);
        drawn.contacts();
        let days = drawn.days;
        drawn.visible();
        let moved = drawn.moved();
        drawn.rival();
        sink.organisation(place, days, moved);
    }
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
                let still = self.sight.product(day);
                let chance = if one_off {
                    // Seen for sure while nothing of the first sight is lost.
                    self.relative(seen, day) * still
                } else {
                    any(self.packets(day) * self.rate(seen, day) * still)
                };
                if draw < chance {
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
                if on && draw < any(packets) {
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
                if draw < any(packets) {
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

    /// Flows that are no contact, seen by the same rule as contacts: whether an
    /// organisation's network can be seen does not depend on the product, and what is lost
    /// of the sight of one is lost of the other.
    fn visible(&mut self) {
        let (start, length) = calendar::month(self.month);
        let mut rng = self.own_stream(Purpose::Other);
        for day in start..start + length {
            let others = OTHERS * detect::rhythm(day) * self.sight.thinned(day);
            for seen in Seen::ALL {
                let others = others * self.relative(seen, day);
                for (kind, share) in OTHER_KINDS {
                    // As many draws for what is not seen.
                    let draw = unit(&mut rng);
                    let details = chance::branch(&mut rng);
                    if draw < any(others * share) {
                        self.other(details, seen, day, kind);
                    }
                }
            }
        }
    }

    /// Whether its traffic crosses a vantage, and anybody looks at its networks there.
    fn in_sight(&self, seen: Seen, day: YearDay) -> bool {
        let reach = self.organisation.reach;
        let crosses = match seen {
            Seen::Exchange => reach.exchange,
            Seen::Carrier => reach.carrier,
        };
        crosses && day < self.organisation.dark()
    }

    /// Seen share of a packet.
    fn rate(&self, seen: Seen, day: YearDay) -> f64 {
        if self.in_sight(seen, day) { seen.rate(self.world, day) } else { 0.0 }
    }

    /// Seen share of what the vantage saw with its first rate.
    fn relative(&self, seen: Seen, day: YearDay) -> f64 {
        if self.in_sight(seen, day) { seen.relative(self.world, day) } else { 0.0 }
    }

    fn other(&mut self, mut rng: Pcg64Mcg, seen: Seen, day: YearDay, kind: Kind) {
        let kind = match kind {
            Kind::Windows if !self.organisation.windows => Kind::Control,
            kind => kind,
        };
        let place = below(&mut rng, 64);
        let holding = place as usize % self.organisation.holdings.len();
        let address = self.organisation.holdings[holding].block.host(100 + place);
        let utc = self.world.utc[self.organisation.country];
        let at = office_time(&mut rng, utc, day);
        let servers = self.world.servers.range(kind);
        let flow = Flow { seen, at, day, originator: address, servers };
        self.sink.row(seen, row(self.world, &mut rng, flow, Outcome::Served));
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
    let mut beside = Beside::new(world, month, group, home);
    for day in start..start + length {
        let draw = unit(&mut rng);
        let rate =
            if day < home.dark { world.rates.seen(home.reach, day) } else { 0.0 };
        let known = rate * group.sight.product(day);
        beside.day(world, seen, day, rate, sink);
        if !home.presence.on(day) || draw >= any(known) {
            continue;
        }
        let address = home.address(seed, day);
        sink.address(address, false);
        let outcome = outcome(world, home.country, day, &mut rng);
        let at = home_time(&mut rng);
        let servers = world.servers.range(Kind::Update);
        let flow = Flow { seen, at, day, originator: address, servers };
        sink.row(seen, row(world, &mut rng, flow, outcome));
    }
}

/// A household's flows that are no contact, seen by the same rule as contacts.
fn household_others(
    world: &World,
    month: usize,
    group: &Consumers,
    home: &Household,
    sink: &mut impl Sink,
) {
    let seed = world.params.seed;
    // Parts up to 12 are months of the organisation with this number.
    let mut rng = chance::stream(seed, Purpose::Other, home.number, 13 + month as u64);
    let (start, length) = calendar::month(month);
    let seen = if home.reach.exchange { Seen::Exchange } else { Seen::Carrier };
    for day in start..start + length {
        let draw = unit(&mut rng);
        let mut rng = chance::branch(&mut rng);
        if day >= home.dark {
            break;
        }
        let still = seen.relative(world, day) * group.sight.thinned(day);
        if draw >= any(HOUSEHOLD_OTHERS / MONTH_DAYS * still) {
            continue;
        }
        let at = home_time(&mut rng);
        let servers = world.servers.range(Kind::Other);
        let originator = home.address(seed, day);
        let flow = Flow { seen, at, day, originator, servers };
        sink.row(seen, row(world, &mut rng, flow, Outcome::Served));
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
        if unit(&mut self.rng) >= any(expected) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::calendar::DAYS;
    use crate::detect::Rates;
    use crate::{Params, Story};

    /// 1 August: sampling changes.
    const CHANGE: YearDay = 213;

    /// A world in which nothing is lost of anybody's sight.
    fn clear(seed: u64, eyeball: f64) -> World {
        let world = Params::of(Story::E);
        World::new(&Params { organisations: 0.02, eyeball, seed, ..world }).unwrap()
    }

    fn with_sampling_later(mut world: World, sampling: u32) -> World {
        world.params.exchange.sampling_later = sampling;
        world.rates = Rates::new(&world.params);
        world
    }

    /// The flows of each organisation; `open` are those of nobody yet.
    #[derive(Default)]
    struct Panel {
        rows: Vec<Vec<(Seen, Row)>>,
        open: Vec<(Seen, Row)>,
    }

    impl Sink for Panel {
        fn row(&mut self, seen: Seen, row: Row) {
            self.open.push((seen, row));
        }

        fn organisation(&mut self, place: usize, _: Days, _: u32) {
            self.rows[place].append(&mut self.open);
        }

        fn address(&mut self, _: u128, _: bool) {}
    }

    fn year(world: &World) -> Panel {
        let rows = vec![Vec::new(); world.organisations.len()];
        let mut panel = Panel { rows, ..Panel::default() };
        for number in 0..12 {
            month(world, number, &mut panel);
            // Of households and noise.
            panel.open.clear();
        }
        panel
    }

    /// Days on which something was seen, among days on which it could have been.
    #[derive(Clone, Copy, Debug, Default)]
    struct Share {
        seen: f64,
        looked: f64,
    }

    impl Share {
        fn enter(&mut self, seen: bool) {
            self.seen += f64::from(u8::from(seen));
            self.looked += 1.0;
        }

        /// Logarithm of the sightings expected of a day, and its variance (to first order).
        fn log_expected(self) -> (f64, f64) {
            let share = self.seen / self.looked;
            let expected = -(-share).ln_1p();
            let variance = share / (1.0 - share) / self.looked;
            (expected.ln(), variance / expected.powi(2))
        }

        /// That so many times as much is expected as of `before`: within four standard
        /// errors, which are small enough to tell it from no change.
        fn is_times(self, before: Self, factor: f64) {
            let [(after, var_after), (before, var_before)] =
                [self, before].map(Self::log_expected);
            let error = (var_after + var_before).sqrt();
            let off = after - before - factor.ln();
            assert!(off.abs() < 4.0 * error, "{off:+.4}, {error:.4} of {factor}");
            // One from five in six.
            let told = factor.ln().abs().max(1.2f64.ln());
            assert!(8.0 * error < told, "{error:.4} cannot tell {factor}");
        }
    }

    /// Weekdays with a control product, at a vantage, before and after sampling changes.
    fn controls(world: &World, panel: &Panel, at: Seen) -> [Share; 2] {
        let mut shares = [Share::default(); 2];
        for (organisation, rows) in world.organisations.iter().zip(&panel.rows) {
            let reach = organisation.reach;
            let crosses =
                if at == Seen::Exchange { reach.exchange } else { reach.carrier };
            if !crosses || organisation.dark() < DAYS {
                continue;
            }
            let is_control = |row: &Row| {
                [Kind::Windows, Kind::Control].contains(&world.servers.kind(row.server))
            };
            let first = calendar::day(0).start().0;
            let days: BTreeSet<i64> = rows
                .iter()
                .filter(|(seen, row)| *seen == at && is_control(row))
                .map(|(_, row)| (row.start - first) / MICROS_PER_DAY)
                .collect();
            for day in (0..DAYS).filter(|day| !calendar::is_weekend(*day)) {
                if at.rate(world, day) > 0.0 {
                    let after = usize::from(day >= CHANGE);
                    shares[after].enter(days.contains(&i64::from(day)));
                }
            }
        }
        shares
    }

    #[test]
    fn coarser_sampling_thins_control_products_as_it_thins_contacts() {
        for (seed, later) in [(1, 1200), (2, 3000), (3, 500)] {
            let world = with_sampling_later(clear(seed, 0.001), later);
            let panel = year(&world);
            let [before, after] = controls(&world, &panel, Seen::Exchange);
            after.is_times(before, 1000.0 / f64::from(later));
            let [before, after] = controls(&world, &panel, Seen::Carrier);
            after.is_times(before, 1.0);
        }
    }

    #[test]
    fn what_is_lost_of_sight_is_lost_of_control_products() {
        let mut world = clear(4, 0.001);
        let before = Seen::ALL.map(|at| controls(&world, &year(&world), at)[0]);
        for stratum in &mut world.calibration.strata {
            stratum.sight = Arc::new(Sight::even(0.4));
        }
        for (at, before) in Seen::ALL.into_iter().zip(before) {
            controls(&world, &year(&world), at)[0].is_times(before, 0.4);
        }
    }

    #[test]
    fn households_show_what_is_no_contact_by_the_sampling() {
        let world = with_sampling_later(clear(5, 0.1), 3000);
        let mut shares = [[Share::default(); 2]; 2];
        for group in &world.calibration.consumers {
            for home in consumer::households(&world.params, group) {
                let mut panel = Panel::default();
                for month in 0..12 {
                    household_others(&world, month, group, &home, &mut panel);
                }
                let at = usize::from(home.reach.carrier);
                let lit = |day: &YearDay| Seen::ALL[at].rate(&world, *day) > 0.0;
                for (after, days) in [0..CHANGE, CHANGE..DAYS].into_iter().enumerate() {
                    let change = calendar::day(CHANGE).start().0;
                    let is_in = |row: &Row| (row.start >= change) == (after == 1);
                    let seen = panel.open.iter().filter(|(_, row)| is_in(row)).count();
                    let looked = days.filter(lit).count();
                    for place in 0..looked {
                        shares[at][after].enter(place < seen);
                    }
                }
            }
        }
        let [[before, after], [carrier_before, carrier_after]] = shares;
        after.is_times(before, 1.0 / 3.0);
        carrier_after.is_times(carrier_before, 1.0);
    }

    #[test]
    fn what_is_still_seen_with_other_sampling_is_as_it_was() {
        type Key = (i64, u128, u16, ServerIndex, Volume, Volume);
        let flows = |world: &World| -> [BTreeSet<Key>; 2] {
            let mut flows = [BTreeSet::new(), BTreeSet::new()];
            let kinds = [Kind::Windows, Kind::Control, Kind::Other];
            for (seen, row) in year(world).rows.iter().flatten() {
                if kinds.contains(&world.servers.kind(row.server)) {
                    let ends = (row.start, row.originator, row.originator_port);
                    let key =
                        (ends.0, ends.1, ends.2, row.server, row.sent, row.received);
                    flows[*seen as usize].insert(key);
                }
            }
            flows
        };
        let world = clear(6, 0.001);
        let fine = flows(&world);
        let coarse = flows(&with_sampling_later(world, 4000));
        assert!(coarse[1] == fine[1]);
        assert!(coarse[0].is_subset(&fine[0]));
        let change = calendar::day(CHANGE).start().0;
        let until =
            |flows: &BTreeSet<Key>| flows.iter().filter(|f| f.0 < change).count();
        assert_eq!(until(&coarse[0]), until(&fine[0]));
        assert!(coarse[0].len() < fine[0].len());
    }
}
