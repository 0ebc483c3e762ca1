//! What a batch of logs says about each connection, put together.
//!
//! Sensors write a connection in several records that share an identifier (`uid` of Zeek,
//! `flow_id` of Suricata). They come in any order and lie in several inputs, so the names
//! are held by the [`key`] of that identifier while the connections pass by.
//!
//! **Invariant:** below the limits the flows made are the same for every order of inputs.
//! A connection reported open and later closed counts once; so does a record that is there
//! twice.
//!
//! Cost: 200 to 450 bytes a key that names a server, as the table's size is a power of
//! two, plus the text of its request (host names are shared); 10 to 20 bytes a connection.
//! A key is a 64-bit hash: among 2^22 of them the chance that any two agree is one in two
//! million.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{
    Address, Answer, Flow, Instant, Loss, NameOrigin, Protocol, Reason, ServerName,
    Volume,
};

use crate::{Sink, protocol};

/// The most keys held at a time, named and open ones each: what a hash table of 2^22
/// slots holds before it doubles, 3.7 million or about 700 MiB. Records of further ones are
/// lost. Picked by hand for a laptop, revisit.
pub const KEYS_MAX: usize = (1 << 22) / 8 * 7;

/// The most host names held of one key: a proxy or resolver asked for more is lost from
/// there on. Picked by hand, revisit.
pub const HOSTS_PER_KEY_MAX: usize = 1024;

/// The most connections remembered to tell a repeated record: what a hash table of 2^25 slots
/// holds before it doubles, 29 million or 300 MiB.
/// Further ones still count, but a repetition of them counts again; one loss says so.
/// Picked by hand for a laptop, revisit.
pub const CONNS_MAX: usize = (1 << 25) / 8 * 7;

/// Connections that are looked up together: more than the memory of a machine answers at a
/// time, and few enough to stay in the nearest cache.
const CLOSED_MAX: usize = 32;

/// The longest method and target kept of a request, in bytes: patterns of URLs look at
/// host and path, and trackers put kilobytes behind them. Picked by hand, revisit.
pub const REQUEST_BYTES_MAX: usize = 1024;

/// The key of a connection's identifier: the same for all its records, and only theirs.
pub(crate) fn key(identifier: impl Hash) -> u64 {
    let mut hasher = Mixed::default();
    identifier.hash(&mut hasher);
    hasher.finish()
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ends {
    pub(crate) originator: Address,
    pub(crate) responder: Address,
    pub(crate) originator_port: u16,
    pub(crate) responder_port: u16,
    pub(crate) protocol: Protocol,
}

impl Ends {
    /// The ends that a record tells, each an address and a port. What stands in place of
    /// the ports of a protocol without ports (type and code of ICMP) is none.
    pub(crate) fn new(
        (originator, originator_port): (Address, u16),
        (responder, responder_port): (Address, u16),
        protocol: Protocol,
    ) -> Result<Self, Reason> {
        let icmp = matches!(protocol, protocol::ICMP | protocol::ICMP_V6);
        let ip = originator.ip();
        if ip.is_multicast() || ip == std::net::Ipv4Addr::BROADCAST {
            return Err(Reason::Address);
        }
        let port = |port| if icmp { 0 } else { port };
        Ok(Self {
            originator,
            responder,
            originator_port: port(originator_port),
            responder_port: port(responder_port),
            protocol,
        })
    }

    /// The same, told from the other end.
    pub(crate) fn turned(self) -> Result<Self, Reason> {
        Self::new(
            (self.responder, self.responder_port),
            (self.originator, self.originator_port),
            self.protocol,
        )
    }

    /// A flow between them of which nothing more is known than when it was seen.
    pub(crate) fn flow(self, at: Instant) -> Flow {
        Flow {
            originator: self.originator,
            responder: self.responder,
            originator_port: self.originator_port,
            responder_port: self.responder_port,
            protocol: self.protocol,
            start: at,
            end: at,
            sent: None,
            received: None,
            tcp_flags: None,
            sampling: NonZeroU32::MIN,
            name: None,
            exporter: None,
        }
    }
}

/// One record that names a server, or shows that two ends spoke.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<'a> {
    /// Of the connection.
    pub(crate) key: u64,
    pub(crate) ends: Ends,
    pub(crate) at: Instant,
    /// As written in the record: not yet in its one form.
    pub(crate) host: Option<&'a str>,
    pub(crate) origin: NameOrigin,
    /// Method and target of a request.
    pub(crate) request: Option<(&'a str, &'a str)>,
}

/// What DNS answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) addresses: Vec<Address>,
    pub(crate) ttl_seconds: u32,
    /// When the answer was seen.
    pub(crate) at: Instant,
}

/// The host that a request asks for: the target of CONNECT, else `Host`, else that of an
/// absolute target, as proxies are asked (RFC 9112, 3.2).
pub(crate) fn requested<'a>(
    method: Option<&str>,
    target: Option<&'a str>,
    host: Option<&'a str>,
) -> (Option<&'a str>, NameOrigin) {
    if method == Some("CONNECT") {
        return (target.or(host), NameOrigin::ConnectTarget);
    }
    let authority = target.and_then(|target| target.strip_prefix("http://"));
    let authority = authority.and_then(|rest| rest.split(['/', '?']).next());
    (host.or(authority), NameOrigin::HttpHost)
}

/// The connections of one batch, joined by key.
#[derive(Default)]
pub(crate) struct Join {
    keys: HashMap<u64, Spoken, BuildHasherDefault<Hashed>>,
    open: HashMap<u64, Flow, BuildHasherDefault<Hashed>>,
    /// Each host name once, in its one form.
    hosts: HashSet<Arc<str>>,
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    /// Connections that ended and are not looked up yet.
    closed: Vec<Closed>,
    repeated: u64,
    /// Whether the loss was emitted that says that repetitions are no longer seen.
    over: bool,
    limits: Limits,
}

/// The limits of a batch: the constants, but for tests.
struct Limits {
    keys: usize,
    hosts: usize,
    conns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keys: KEYS_MAX, hosts: HOSTS_PER_KEY_MAX, conns: CONNS_MAX }
    }
}

/// A connection that ended.
struct Closed {
    key: u64,
    /// See [`fingerprint`].
    print: u64,
    /// Whether a record names the key.
    named: bool,
    flow: Flow,
}

/// What the naming records say of one connection.
struct Spoken {
    ends: Ends,
    /// The time of the first record.
    at: Instant,
    /// Each host once, in no order.
    hosts: Vec<Asked>,
    /// Whether a connection has taken the first name.
    taken: bool,
}

/// A host asked for, as it was first. Ordered by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    at: Instant,
    origin: NameOrigin,
    host: Arc<str>,
    request: Option<Arc<str>>,
}

impl Join {
    /// Emits what is still held: connections never closed, names without a connection,
    /// and the further names of connections that had several.
    pub(crate) fn finish(&mut self, sink: &mut dyn Sink) {
        if let Err(reason) = self.settle(sink) {
            sink.loss(Loss::at(0, reason));
        }
        for key in sorted_keys(&self.open) {
            if let Some(flow) = self.open.remove(&key) {
                sink.flow(self.with_name(key, flow));
            }
        }
        // Nearly all have told what they had.
        self.keys.retain(|_, spoken| !spoken.taken || spoken.hosts.len() > 1);
        for key in sorted_keys(&self.keys) {
            if let Some(spoken) = self.keys.remove(&key) {
                spoken.finish(sink);
            }
        }
        self.hosts.clear();
        self.seen.clear();
        self.over = false;
    }

    /// How many records of connections repeated an earlier one in every value.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Takes a connection that ended. It is emitted, unless it is there already, with some
    /// others or by [`Self::settle`].
    pub(crate) fn closed(
        &mut self,
        key: u64,
        flow: Flow,
        sink: &mut dyn Sink,
    ) -> Result<(), Reason> {
        let print = fingerprint(key, &flow);
        self.closed.push(Closed { key, print, named: false, flow });
        if self.closed.len() < CLOSED_MAX {
            return Ok(());
        }
        self.settle(sink)
    }

    /// Emits the connections that ended and were not there already. To be asked for at the
    /// end of an input.
    pub(crate) fn settle(&mut self, sink: &mut dyn Sink) -> Result<(), Reason> {
        let mut closed = std::mem::take(&mut self.closed);
        // A look-up waits for memory. All are looked up before anything depends on one of
        // them, so that they wait together.
        let known = closed.iter().filter(|one| self.seen.contains(&one.print)).count();
        let room = self.limits.conns.saturating_sub(self.seen.len());
        self.seen.reserve((closed.len() - known).min(room));
        if !self.keys.is_empty() {
            for one in &mut closed {
                one.named = self.keys.contains_key(&one.key);
            }
        }
        let mut result = Ok(());
        for one in closed.drain(..) {
            result = self.emit(one, sink).and(result);
        }
        self.closed = closed;
        result
    }

    fn emit(&mut self, closed: Closed, sink: &mut dyn Sink) -> Result<(), Reason> {
        let Closed { key, print, named, flow } = closed;
        if !self.open.is_empty() {
            self.open.remove(&key);
        }
        let full = self.seen.len() >= self.limits.conns;
        let new =
            if full { !self.seen.contains(&print) } else { self.seen.insert(print) };
        if !new {
            self.repeated += 1;
            return Ok(());
        }
        sink.flow(if named { self.with_name(key, flow) } else { flow });
        if full && !self.over {
            self.over = true;
            return Err(Reason::Limit);
        }
        Ok(())
    }

    /// Holds an open connection: of several reports the one that saw most of it.
    pub(crate) fn open(&mut self, key: u64, flow: Flow) -> Result<(), Reason> {
        let full = self.open.len() >= self.limits.keys;
        match self.open.entry(key) {
            Entry::Occupied(mut held) => {
                if order(held.get()) < order(&flow) {
                    held.insert(flow);
                }
            }
            Entry::Vacant(_) if full => return Err(Reason::Limit),
            Entry::Vacant(free) => _ = free.insert(flow),
        }
        Ok(())
    }

    /// Holds what a record names, and emits what DNS answered to that question.
    pub(crate) fn hear(
        &mut self,
        named: &Named<'_>,
        answered: Option<Answered>,
        sink: &mut dyn Sink,
    ) -> Result<(), Reason> {
        let host = self.insert(named)?;
        if let (Some(host), Some(answered)) = (host, answered) {
            sink.answer(Answer {
                client: named.ends.originator,
                host,
                addresses: answered.addresses,
                ttl_seconds: answered.ttl_seconds,
                at: answered.at,
            });
        }
        Ok(())
    }

    /// Holds what a record names, and returns the host in its one form.
    fn insert(&mut self, named: &Named<'_>) -> Result<Option<Arc<str>>, Reason> {
        let full = self.keys.len() >= self.limits.keys;
        let spoken = match self.keys.entry(named.key) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(_) if full => return Err(Reason::Limit),
            Entry::Vacant(free) => free.insert(Spoken {
                ends: named.ends,
                at: named.at,
                hosts: Vec::new(),
                taken: false,
            }),
        };
        if (named.at, named.ends) < (spoken.at, spoken.ends) {
            (spoken.at, spoken.ends) = (named.at, named.ends);
        }
        let Some(host) = named.host.and_then(|text| interned(&mut self.hosts, text))
        else {
            return Ok(None);
        };
        spoken.hear(named, &host, self.limits.hosts)?;
        Ok(Some(host))
    }

    fn with_name(&mut self, key: u64, mut flow: Flow) -> Flow {
        if let Some(spoken) = self.keys.get_mut(&key) {
            spoken.taken = true;
            flow.name = spoken.hosts.iter().min().cloned().map(ServerName::from);
        }
        flow
    }
}

impl Spoken {
    /// Emits the names that no connection has taken.
    fn finish(mut self, sink: &mut dyn Sink) {
        if self.hosts.is_empty() && !self.taken {
            sink.flow(self.ends.flow(self.at));
        }
        self.hosts.sort();
        for asked in self.hosts.into_iter().skip(usize::from(self.taken)) {
            let mut flow = self.ends.flow(asked.at);
            flow.name = Some(asked.into());
            sink.flow(flow);
        }
    }

    /// Keeps a host that is new, or was asked for earlier than was known.
    fn hear(
        &mut self,
        named: &Named<'_>,
        host: &Arc<str>,
        hosts_max: usize,
    ) -> Result<(), Reason> {
        let known = self.hosts.iter().position(|asked| Arc::ptr_eq(&asked.host, host));
        let known = known.and_then(|at| self.hosts.get_mut(at));
        if known.as_ref().is_some_and(|asked| asked.at < named.at) {
            return Ok(());
        }
        let asked = Asked {
            at: named.at,
            origin: named.origin,
            host: Arc::clone(host),
            request: named.request.map(|request| Arc::from(request_text(request))),
        };
        if let Some(known) = known {
            if asked < *known {
                *known = asked;
            }
            return Ok(());
        }
        if self.hosts.len() >= hosts_max {
            return Err(Reason::Limit);
        }
        if self.hosts.is_empty() {
            // Nearly every connection has one host.
            self.hosts.reserve_exact(1);
        }
        self.hosts.push(asked);
        Ok(())
    }
}

/// So that what is left comes out the same way every run.
fn sorted_keys<V>(of: &HashMap<u64, V, BuildHasherDefault<Hashed>>) -> Vec<u64> {
    let mut keys: Vec<u64> = of.keys().copied().collect();
    keys.sort_unstable();
    keys
}

impl From<Asked> for ServerName {
    fn from(asked: Asked) -> Self {
        Self { host: asked.host, origin: asked.origin, request: asked.request }
    }
}

/// The one shared copy of a host name in its one form.
fn interned(hosts: &mut HashSet<Arc<str>>, text: &str) -> Option<Arc<str>> {
    // A name that is held is in its one form already.
    if let Some(host) = hosts.get(text) {
        return Some(Arc::clone(host));
    }
    let host = canonical_host(text)?;
    if let Some(host) = hosts.get(host.as_str()) {
        return Some(Arc::clone(host));
    }
    let host: Arc<str> = Arc::from(host);
    hosts.insert(Arc::clone(&host));
    Some(host)
}

/// Orders reports of one open connection: the later it was still seen, the better; the
/// rest only so that the order of inputs does not matter.
fn order(flow: &Flow) -> (Instant, [Option<(u64, u64)>; 2], u64) {
    let volume =
        |volume: Option<Volume>| volume.map(|volume| (volume.packets, volume.bytes));
    (flow.end, [volume(flow.sent), volume(flow.received)], fingerprint(0, flow))
}

/// Equal for records of one connection that agree in every value.
fn fingerprint(key: u64, flow: &Flow) -> u64 {
    let halves = |address: Address| {
        let bits = address.bits();
        [bits >> 64, bits & u128::from(u64::MAX)].map(|h| u64::try_from(h).unwrap_or(0))
    };
    let volume = |v: Option<Volume>| v.map_or((0, 0), |v| (v.bytes, v.packets));
    let told = [flow.sent.is_some(), flow.received.is_some(), flow.tcp_flags.is_some()];
    let told = told.iter().fold(0, |all, one| all << 1 | u64::from(*one));
    let ports = [flow.originator_port, flow.responder_port].map(u64::from);
    let small = [u64::from(flow.protocol.0), u64::from(flow.tcp_flags.unwrap_or(0))];
    let [originator, responder] = [flow.originator, flow.responder].map(halves);
    let mut hasher = Mixed::default();
    let rest = ports[0] << 48 | ports[1] << 32 | small[0] << 24 | small[1] << 16 | told;
    hasher.mix_two((key, rest));
    hasher.mix_two((flow.start.0.cast_unsigned(), flow.end.0.cast_unsigned()));
    hasher.mix_two(originator.into());
    hasher.mix_two(responder.into());
    hasher.mix_two(volume(flow.sent));
    hasher.mix_two(volume(flow.received));
    hasher.finish()
}

/// Method and target as one text, cut at [`REQUEST_BYTES_MAX`].
fn request_text((method, target): (&str, &str)) -> String {
    let mut text = String::with_capacity(
        (method.len() + 1 + target.len()).min(2 * REQUEST_BYTES_MAX),
    );
    for part in [method, " ", target] {
        let left = REQUEST_BYTES_MAX - text.len();
        text.push_str(part.get(..part.floor_char_boundary(left)).unwrap_or(part));
    }
    text
}

/// Hashes by multiplying to 128 bits and folding the halves, as wyhash does: a third of the
/// time of the standard library's, the same in every run and on every machine, and not made
/// to withstand who chooses what is hashed. Identifiers are chosen by sensors.
struct Mixed(u64);

impl Mixed {
    /// Odd, with half of its bits set, as good as any (digits of the golden ratio).
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(&mut self, word: u64) {
        self.mix_two((word, word.rotate_left(32)));
    }

    fn mix_two(&mut self, (one, other): (u64, u64)) {
        let product = u128::from(self.0 ^ one) * u128::from(Self::FACTOR ^ other);
        let [high, low] = [product >> 64, product & u128::from(u64::MAX)];
        let fold = |half: u128| u64::try_from(half).unwrap_or(0);
        self.0 = (fold(high) ^ fold(low)).wrapping_add(Self::FACTOR);
    }
}

impl Default for Mixed {
    fn default() -> Self {
        // Digits of pi, so that a first word of zeros is mixed too.
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Hasher for Mixed {
    /// One to one, so that nothing told apart is lost here (the last step of `MurmurHash3`,
    /// `fmix64`).
    fn finish(&self) -> u64 {
        let factors = [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53];
        let step = |word: u64, factor| (word ^ (word >> 33)).wrapping_mul(factor);
        let last = factors.into_iter().fold(self.0, step);
        last ^ (last >> 33)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(last));
        }
        self.mix(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_i64(&mut self, word: i64) {
        self.mix(word.cast_unsigned());
    }

    fn write_u128(&mut self, word: u128) {
        self.write(&word.to_le_bytes());
    }
}

/// A key that is a hash already is its own hash.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<Flow>);

    impl Sink for Seen {
        fn flow(&mut self, flow: Flow) {
            self.0.push(flow);
        }

        fn answer(&mut self, _: Answer) {}

        fn loss(&mut self, _: Loss) {}
    }

    const AT: Instant = Instant(1_517_336_042_500_000);

    fn named(key: u64, host: &str) -> Named<'_> {
        let end = |text: &str, port| (text.parse().unwrap(), port);
        let ends = (end("10.0.0.1", 1), end("192.0.2.1", 443));
        let ends = Ends::new(ends.0, ends.1, Protocol::TCP).unwrap();
        let (origin, request) = (NameOrigin::TlsSni, None);
        Named { key, ends, at: AT, host: Some(host), origin, request }
    }

    fn join(limits: Limits) -> Join {
        Join { limits, ..Join::default() }
    }

    #[test]
    fn identifiers_that_look_alike_have_keys_of_their_own() {
        let mut keys = HashSet::new();
        for i in 0u32..1 << 18 {
            assert!(keys.insert(key(format!("C{i}"))), "{i}");
            assert!(keys.insert(key(("flow_id", u64::from(i) << 32))), "{i}");
            assert!(keys.insert(key((i, u128::from(i) << 96, 7u16))), "{i}");
        }
        // Each bit of the hash is set in half of them: tables look at the first and last.
        for bit in 0..64 {
            let set = keys.iter().filter(|key| (*key >> bit) & 1 == 1).count();
            assert!(set.abs_diff(keys.len() / 2) < keys.len() / 100, "{bit}: {set}");
        }
    }

    #[test]
    fn a_record_that_differs_in_any_value_has_a_fingerprint_of_its_own() {
        let base = named(1, "").ends.flow(AT);
        let volume = |bytes, packets| Some(Volume { bytes, packets });
        let mut flows = vec![base.clone()];
        let mut vary = |change: &dyn Fn(&mut Flow)| {
            let mut flow = base.clone();
            change(&mut flow);
            flows.push(flow);
        };
        vary(&|flow| flow.start.0 += 1);
        vary(&|flow| flow.end.0 += 1);
        vary(&|flow| std::mem::swap(&mut flow.originator, &mut flow.responder));
        vary(&|flow| flow.originator_port += 1);
        vary(&|flow| flow.responder_port += 1);
        vary(&|flow| flow.protocol = Protocol::UDP);
        vary(&|flow| flow.tcp_flags = Some(0));
        vary(&|flow| flow.tcp_flags = Some(1));
        for (bytes, packets) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1)] {
            vary(&|flow| flow.sent = volume(bytes, packets));
            vary(&|flow| flow.received = volume(bytes, packets));
        }
        let prints: HashSet<u64> = flows.iter().map(|f| fingerprint(1, f)).collect();
        assert_eq!(prints.len(), flows.len());
        assert!(!prints.contains(&fingerprint(2, &base)));
    }

    #[test]
    fn names_over_a_limit_are_lost_and_the_rest_is_kept() {
        let mut seen = Seen::default();
        let mut join = join(Limits { keys: 1, hosts: 2, conns: 0 });
        for (key, host, told) in [
            (1, "a.example", Ok(())),
            (1, "b.example", Ok(())),
            (1, "c.example", Err(Reason::Limit)),
            (1, "A.example.", Ok(())),
            (2, "a.example", Err(Reason::Limit)),
        ] {
            assert_eq!(join.hear(&named(key, host), None, &mut seen), told, "{host}");
        }
        let flow = named(1, "").ends.flow(AT);
        assert_eq!(join.open(1, flow.clone()), Ok(()));
        assert_eq!(join.open(2, flow), Err(Reason::Limit));
        join.finish(&mut seen);
        // The open connection with its name, and the further name.
        assert_eq!(seen.0.len(), 2);
    }

    #[test]
    fn connections_past_the_limit_count_and_one_loss_says_so() {
        let mut seen = Seen::default();
        let mut join = join(Limits { keys: 1, hosts: 1, conns: 1 });
        let flow = named(1, "").ends.flow(AT);
        let told = [1, 1, 2, 2, 1].map(|key| {
            join.closed(key, flow.clone(), &mut seen)
                .and_then(|()| join.settle(&mut seen))
        });
        assert_eq!(told, [Ok(()), Ok(()), Err(Reason::Limit), Ok(()), Ok(())]);
        assert_eq!((seen.0.len(), join.repeated()), (3, 2));
    }

    #[test]
    fn connections_that_are_looked_up_together_are_told_apart() {
        let mut seen = Seen::default();
        let mut join = join(Limits { keys: 1, hosts: 1, conns: 40 });
        let flow = named(1, "").ends.flow(AT);
        let mut losses = 0;
        // Each key twice, in one group or in two.
        for key in (0..50).chain(0..50) {
            losses += usize::from(join.closed(key, flow.clone(), &mut seen).is_err());
        }
        assert!(seen.0.len() < 50 + 10, "some wait");
        losses += usize::from(join.settle(&mut seen).is_err());
        // Ten of the fifty were not remembered.
        assert_eq!((losses, seen.0.len(), join.repeated()), (1, 60, 40));
    }

    #[test]
    fn icmp_has_no_ports_and_multicast_opens_nothing() {
        let end = |text: &str, port| (text.parse().unwrap(), port);
        let (one, two) = (end("10.0.0.1", 8), end("224.0.0.251", 3));
        let ends = Ends::new(one, two, protocol::ICMP).unwrap();
        assert_eq!((ends.originator_port, ends.responder_port), (0, 0));
        assert_eq!(Ends::new(two, one, Protocol::UDP), Err(Reason::Address));
    }

    #[test]
    fn a_proxy_is_asked_for_the_target() {
        let connect =
            requested(Some("CONNECT"), Some("www.example.com:443"), Some("p"));
        assert_eq!(connect, (Some("www.example.com:443"), NameOrigin::ConnectTarget));
        let absolute =
            requested(Some("GET"), Some("http://example.com/a?b=http://c"), None);
        assert_eq!(absolute, (Some("example.com"), NameOrigin::HttpHost));
        assert_eq!(requested(None, None, None), (None, NameOrigin::HttpHost));
    }

    #[test]
    fn long_requests_are_cut_between_characters() {
        assert_eq!(request_text(("GET", "/a")), "GET /a");
        let text = request_text(("GET", &"ä".repeat(REQUEST_BYTES_MAX)));
        assert_eq!(text.len(), REQUEST_BYTES_MAX);
        let text = request_text(("GETS", &"ä".repeat(REQUEST_BYTES_MAX)));
        assert_eq!(text.len(), REQUEST_BYTES_MAX - 1);
    }
}
