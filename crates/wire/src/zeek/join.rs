//! What a batch of logs says about each `uid`, put together.
//!
//! Logs come in any order and the parts of one connection lie in several of them, so the
//! names are held by `uid` while the connections pass by.
//!
//! **Invariant:** below the limits the flows made are the same for every order of inputs.
//! A connection reported open and later closed counts once; so does a row that is there
//! twice.
//!
//! Cost: 200 to 450 bytes a `uid` that names a server, as the table's size is a power of
//! two, plus the text of its request (host names are shared); 10 to 20 bytes a connection.
//! A `uid` is held as a 64-bit hash: among 2^22 of them the chance that any two agree is
//! one in two million.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead};
use std::sync::Arc;

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Answer, Flow, Instant, NameOrigin, Reason, ServerName};

use super::Log;
use super::conn::{self, Ends};
use super::named::{self, Named, answered, request_text};
use super::row::Row;
use crate::Sink;

/// The most `uid`s held at a time, named and open ones each: what a hash table of 2^22
/// slots holds before it doubles, 3.7 million or about 700 MiB. Rows of further ones are
/// lost. Picked by hand for a laptop, revisit.
pub const UIDS_MAX: usize = (1 << 22) / 8 * 7;

/// The most host names held of one `uid`: a proxy or resolver asked for more is lost from
/// there on. Picked by hand, revisit.
pub const HOSTS_PER_UID_MAX: usize = 1024;

/// The most connections remembered to tell a repeated row: what a hash table of 2^25 slots
/// holds before it doubles, 29 million or 300 MiB.
/// Further ones still count, but a repetition of them counts again; one loss says so.
/// Picked by hand for a laptop, revisit.
pub const CONNS_MAX: usize = (1 << 25) / 8 * 7;

/// The logs of one batch, joined by `uid`.
#[derive(Default)]
pub(crate) struct Join {
    uids: HashMap<u64, Uid, BuildHasherDefault<Hashed>>,
    open: HashMap<u64, Flow, BuildHasherDefault<Hashed>>,
    /// Each host name once, in its one form.
    hosts: HashSet<Arc<str>>,
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    repeated: u64,
    /// Whether the loss was emitted that says that repetitions are no longer seen.
    over: bool,
    limits: Limits,
}

/// The limits of a batch: the constants, but for tests.
struct Limits {
    uids: usize,
    hosts: usize,
    conns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { uids: UIDS_MAX, hosts: HOSTS_PER_UID_MAX, conns: CONNS_MAX }
    }
}

/// What the naming logs say of one `uid`.
struct Uid {
    ends: Ends,
    /// The time of the first row.
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
    /// Reads a log that names servers, or connections that are open.
    pub(crate) fn names(
        &mut self,
        log: Log,
        input: &mut dyn BufRead,
        latest: Instant,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let take = &mut |row: &Row<'_>, sink: &mut dyn Sink| match log {
            Log::OpenConn => self.open(row),
            Log::Dns => self.dns(row, sink),
            Log::Ssl | Log::Http => {
                let named = named::named(log, row)?;
                self.insert(&named).map(|_| named.at)
            }
            Log::Conn | Log::Other | Log::Headless => Err(Reason::ColumnMissing),
        };
        super::read(log, input, latest, sink, take)
    }

    /// Reads a log of connections and emits their flows.
    pub(crate) fn flows(
        &mut self,
        input: &mut dyn BufRead,
        latest: Instant,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let take = &mut |row: &Row<'_>, sink: &mut dyn Sink| self.conn(row, sink);
        super::read(Log::Conn, input, latest, sink, take)
    }

    /// Emits what is still held: connections never closed, names without a connection,
    /// and the further names of connections that had several.
    pub(crate) fn finish(&mut self, sink: &mut dyn Sink) {
        for key in sorted_keys(&self.open) {
            if let Some(flow) = self.open.remove(&key) {
                sink.flow(self.with_name(key, flow));
            }
        }
        for key in sorted_keys(&self.uids) {
            if let Some(uid) = self.uids.remove(&key) {
                uid.finish(sink);
            }
        }
        self.hosts.clear();
        self.seen.clear();
        self.over = false;
    }

    /// How many rows of connections repeated an earlier one in every value.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    fn conn(&mut self, row: &Row<'_>, sink: &mut dyn Sink) -> Result<Instant, Reason> {
        let uid = hash(row.uid.needed_text()?);
        let flow = conn::flow(row)?;
        let at = flow.start;
        self.open.remove(&uid);
        let row_hash = fingerprint(uid, &flow);
        if self.seen.contains(&row_hash) {
            self.repeated += 1;
            return Ok(at);
        }
        sink.flow(self.with_name(uid, flow));
        if self.seen.len() < self.limits.conns {
            self.seen.insert(row_hash);
        } else if !self.over {
            self.over = true;
            return Err(Reason::Limit);
        }
        Ok(at)
    }

    /// Holds an open connection: of several reports the one that saw most of it.
    fn open(&mut self, row: &Row<'_>) -> Result<Instant, Reason> {
        let uid = hash(row.uid.needed_text()?);
        let flow = conn::flow(row)?;
        let at = flow.start;
        let full = self.open.len() >= self.limits.uids;
        match self.open.entry(uid) {
            Entry::Occupied(mut held) => {
                if order(held.get()) < order(&flow) {
                    held.insert(flow);
                }
            }
            Entry::Vacant(_) if full => return Err(Reason::Limit),
            Entry::Vacant(free) => _ = free.insert(flow),
        }
        Ok(at)
    }

    fn dns(&mut self, row: &Row<'_>, sink: &mut dyn Sink) -> Result<Instant, Reason> {
        let named = named::named(Log::Dns, row)?;
        let answered = answered(row)?;
        let host = self.insert(&named)?;
        if let (Some(host), Some(answered)) = (host, answered) {
            sink.answer(Answer {
                client: named.ends.originator,
                host,
                addresses: answered.addresses,
                ttl_seconds: answered.ttl_seconds,
                at: answered.at,
            });
        }
        Ok(named.at)
    }

    /// Holds what a row names, and returns the host in its one form.
    fn insert(&mut self, named: &Named<'_>) -> Result<Option<Arc<str>>, Reason> {
        let full = self.uids.len() >= self.limits.uids;
        let uid = match self.uids.entry(hash(named.uid)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(_) if full => return Err(Reason::Limit),
            Entry::Vacant(free) => free.insert(Uid {
                ends: named.ends,
                at: named.at,
                hosts: Vec::new(),
                taken: false,
            }),
        };
        if (named.at, named.ends) < (uid.at, uid.ends) {
            (uid.at, uid.ends) = (named.at, named.ends);
        }
        let Some(host) = named.host.and_then(|text| interned(&mut self.hosts, text))
        else {
            return Ok(None);
        };
        uid.hear(named, &host, self.limits.hosts)?;
        Ok(Some(host))
    }

    fn with_name(&mut self, uid: u64, mut flow: Flow) -> Flow {
        if let Some(uid) = self.uids.get_mut(&uid) {
            uid.taken = true;
            flow.name = uid.hosts.iter().min().cloned().map(ServerName::from);
        }
        flow
    }
}

impl Uid {
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
            // Nearly every `uid` has one host.
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
    let volume = |volume: Option<tidegauge_model::Volume>| {
        volume.map(|volume| (volume.packets, volume.bytes))
    };
    (flow.end, [volume(flow.sent), volume(flow.received)], fingerprint(0, flow))
}

/// Equal for rows of one connection that agree in every value.
fn fingerprint(uid: u64, flow: &Flow) -> u64 {
    let volume = |v: Option<tidegauge_model::Volume>| v.map(|v| (v.bytes, v.packets));
    let mut hasher = DefaultHasher::new();
    (uid, flow.start, flow.end, flow.originator, flow.responder).hash(&mut hasher);
    (flow.originator_port, flow.responder_port, flow.protocol).hash(&mut hasher);
    (volume(flow.sent), volume(flow.received), flow.tcp_flags).hash(&mut hasher);
    hasher.finish()
}

fn hash(uid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish()
}

/// A key that is a hash already is its own hash.
#[derive(Default)]
struct Hashed(u64);

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
    use tidegauge_model::Loss;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<Flow>, Vec<Reason>);

    impl Sink for Seen {
        fn flow(&mut self, flow: Flow) {
            self.0.push(flow);
        }

        fn answer(&mut self, _: Answer) {}

        fn loss(&mut self, loss: Loss) {
            self.1.push(loss.reason);
        }
    }

    const LATEST: Instant = Instant(1_767_225_600_000_000);

    fn line(uid: &str, rest: &str) -> String {
        format!(
            r#"{{"ts":1517336042.5,"uid":"{uid}","id.orig_h":"10.0.0.1","id.orig_p":1,
               "id.resp_h":"192.0.2.1","id.resp_p":443,"proto":"tcp",{rest}}}"#
        )
        .replace('\n', " ")
            + "\n"
    }

    fn join(limits: Limits) -> Join {
        Join { limits, ..Join::default() }
    }

    #[test]
    fn names_over_a_limit_are_lost_and_the_rest_is_kept() {
        let mut seen = Seen::default();
        let mut join = join(Limits { uids: 1, hosts: 2, conns: 0 });
        let hosts = ["a.example", "b.example", "c.example", "a.example"];
        let text: String = hosts
            .map(|host| line("C1", &format!(r#""server_name":"{host}""#)))
            .concat()
            + &line("C2", r#""server_name":"a.example""#);
        join.names(Log::Ssl, &mut text.as_bytes(), LATEST, &mut seen).unwrap();
        assert_eq!(seen.1, [Reason::Limit, Reason::Limit]);
        let text = line("C1", r#""orig_pkts":1"#) + &line("C2", r#""orig_pkts":1"#);
        join.names(Log::OpenConn, &mut text.as_bytes(), LATEST, &mut seen).unwrap();
        assert_eq!(seen.1.len(), 3);
        join.finish(&mut seen);
        // The open connection with its name, and the further name.
        assert_eq!(seen.0.len(), 2);
    }

    #[test]
    fn connections_past_the_limit_count_and_one_loss_says_so() {
        let mut seen = Seen::default();
        let mut join = join(Limits { uids: 1, hosts: 1, conns: 1 });
        let text = ["C1", "C1", "C2", "C2", "C1"]
            .map(|uid| line(uid, r#""orig_pkts":1"#))
            .concat();
        join.flows(&mut text.as_bytes(), LATEST, &mut seen).unwrap();
        assert_eq!((seen.0.len(), join.repeated()), (3, 2));
        assert_eq!(seen.1, [Reason::Limit]);
    }
}
