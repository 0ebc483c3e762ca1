//! DNS messages (RFC 1035): the names asked for, and the addresses answered.
//!
//! **Invariant:** records are believed one by one, in order; the first that cannot be read
//! ends the reading, and what came before stands. A message cut by a fragment or a snap
//! length still teaches what it holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname};
use tidegauge_model::flow::canonical_host;
use tidegauge_model::resolution::client_network;
use tidegauge_model::{Address, NameOrigin, Prefix, ServerName};

/// CNAMEs followed: BIND's `max-query-restarts` is 11, Unbound's is 12.
const CHAIN_MAX: usize = 16;

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Saying {
    /// It asks; questions whose name cannot be a host name are not among them.
    Questions(Vec<ServerName>),
    /// It answers a question, with an address or without. The question is repeated in the
    /// answer, which tells it where the query itself was not captured.
    Reply {
        /// The question, if its name can be a host name.
        asked: Option<ServerName>,
        /// What it was answered with.
        resolution: Option<Resolved>,
    },
}

/// The addresses of a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The name asked for.
    pub host: Arc<str>,
    /// In the order of the message.
    pub addresses: Vec<Address>,
    /// The shortest of the chain.
    pub ttl_seconds: u32,
}

/// Reads a message, or `None` if the bytes are none or it is not a plain query.
pub fn read(bytes: &[u8]) -> Option<Saying> {
    let message = Message::from_octets(bytes).ok()?;
    let header = message.header();
    // The smallest check that tells a message from noise: a query that asks something.
    let counts = message.header_counts();
    if header.opcode() != Opcode::QUERY || (!header.qr() && counts.qdcount() == 0) {
        return None;
    }
    let mut names = Vec::new();
    for question in message.question() {
        let Ok(question) = question else { break };
        let host = question.qname().to_string();
        if let Some(name) = ServerName::new(&host, NameOrigin::DnsQuestion)
            && matches!(question.qclass(), Class::IN | Class::ANY)
        {
            names.push(name);
        }
    }
    if !header.qr() {
        return Some(Saying::Questions(names));
    }
    let asked = names.into_iter().next();
    let resolution = asked
        .as_ref()
        .filter(|_| header.rcode() == Rcode::NOERROR)
        .and_then(|name| resolution(&message, Arc::clone(&name.host)));
    Some(Saying::Reply { asked, resolution })
}

/// The network of the client, where the sender of the message tells it (RFC 7871, 6).
pub fn client_subnet(bytes: &[u8]) -> Option<Prefix> {
    let options = Message::from_octets(bytes).ok()?.opt()?;
    let subnet = options.opt().client_subnet()?;
    client_network(subnet.addr().into(), subnet.source_prefix_len())
}

/// Whether this is a whole message of DNS that asks for no host: a notice or an update (RFC
/// 1035, 4.1.1: OPCODE), a query without a question (RFC 7873, 5.4), or one about a name that
/// cannot be a host's.
pub fn asks_for_no_host(bytes: &[u8]) -> bool {
    let Ok(message) = Message::from_octets(bytes) else { return false };
    message.header().opcode() != Opcode::QUERY
        || message.question().all(|question| question.is_ok())
}

/// The identifier that a query and its answer share (RFC 1035, 4.1.1).
pub fn id(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|id| u16::from_be_bytes(*id))
}

/// One record of the answer that matters here.
struct Record {
    owner: String,
    ttl_seconds: u32,
    data: Data,
}

enum Data {
    Alias(String),
    Address(Address),
}

/// Follows the chain of CNAMEs from `host` to its addresses.
fn resolution(message: &Message<&[u8]>, host: Arc<str>) -> Option<Resolved> {
    let records = records(message);
    let mut ttl_seconds = u32::MAX;
    let mut chain = vec![host.to_string()];
    while chain.len() <= CHAIN_MAX
        && let Some(end) = chain.last()
        && let Some((target, ttl)) = records.iter().find_map(|r| match &r.data {
            Data::Alias(target) if r.owner == *end => Some((target, r.ttl_seconds)),
            Data::Alias(_) | Data::Address(_) => None,
        })
        && !chain.contains(target)
    {
        ttl_seconds = ttl_seconds.min(ttl);
        chain.push(target.clone());
    }
    let end = chain.last()?;
    let (mut addresses, mut seen) = (Vec::new(), BTreeSet::new());
    for record in records.iter().filter(|r| r.owner == *end) {
        if let Data::Address(address) = record.data {
            ttl_seconds = ttl_seconds.min(record.ttl_seconds);
            if seen.insert(address) {
                addresses.push(address);
            }
        }
    }
    (!addresses.is_empty()).then_some(Resolved { host, addresses, ttl_seconds })
}

/// The readable records of the answer section with an address or an alias.
fn records(message: &Message<&[u8]>) -> Vec<Record> {
    let mut records = Vec::new();
    let Ok(answer) = message.answer() else { return records };
    for record in answer {
        let Ok(record) = record else { break };
        if record.class() != Class::IN {
            continue;
        }
        let address = |ip: std::net::IpAddr| Data::Address(ip.into());
        let data = if let Ok(Some(a)) = record.to_record::<A>() {
            address(a.data().addr().into())
        } else if let Ok(Some(aaaa)) = record.to_record::<Aaaa>() {
            address(aaaa.data().addr().into())
        } else if let Ok(Some(alias)) = record.to_record::<Cname<ParsedName<_>>>() {
            match canonical_host(&alias.data().cname().to_string()) {
                Some(target) => Data::Alias(target),
                None => continue,
            }
        } else {
            continue;
        };
        let Some(owner) = canonical_host(&record.owner().to_string()) else { continue };
        records.push(Record { owner, ttl_seconds: record.ttl().as_secs(), data });
    }
    records
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use domain::base::{MessageBuilder, Name, Ttl};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name<Vec<u8>> {
        text.parse().unwrap()
    }

    /// A reply about `www.Example.com`, its records in the wrong order.
    fn reply() -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_qr(true);
        builder.push((name("www.Example.com"), Rtype::A)).unwrap();
        let mut builder = builder.answer();
        let second = |seconds| Ttl::from_secs(seconds);
        let address = |last| A::from_octets(192, 0, 2, last);
        builder.push((name("edge.example.net"), second(60), address(1))).unwrap();
        builder.push((name("edge.example.net"), second(50), address(2))).unwrap();
        builder.push((name("other.example.net"), second(5), address(3))).unwrap();
        let alias = Cname::new(name("edge.example.net"));
        builder.push((name("cdn.example.net"), second(40), alias)).unwrap();
        let alias = Cname::new(name("cdn.example.net"));
        builder.push((name("www.example.com"), second(300), alias)).unwrap();
        builder.finish()
    }

    #[test]
    fn the_chain_is_followed_and_its_shortest_time_kept() {
        let Some(Saying::Reply { resolution: Some(resolution), .. }) = read(&reply())
        else {
            panic!("a reply with addresses")
        };
        assert_eq!(&*resolution.host, "www.example.com");
        let told: Vec<_> =
            resolution.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(resolution.ttl_seconds, 40);
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_qr(true);
        builder.push((name("a.example"), Rtype::A)).unwrap();
        let mut builder = builder.answer();
        for (owner, target) in [("a.example", "b.example"), ("b.example", "a.example")]
        {
            let alias = Cname::new(name(target));
            builder.push((name(owner), Ttl::from_secs(1), alias)).unwrap();
        }
        let reply = read(&builder.finish());
        assert!(matches!(reply, Some(Saying::Reply { resolution: None, .. })));
    }

    #[test]
    fn a_query_tells_its_question() {
        let mut builder = MessageBuilder::new_vec().question();
        builder.push((name("Upd.Example.COM"), Rtype::AAAA)).unwrap();
        let Some(Saying::Questions(names)) = read(&builder.finish()) else {
            panic!("a query")
        };
        let hosts: Vec<_> = names.iter().map(|n| &*n.host).collect();
        assert_eq!(hosts, ["upd.example.com"]);
    }

    #[test]
    fn a_cut_reply_tells_what_it_still_holds() {
        let whole = reply();
        for end in 0..whole.len() {
            // The alias of the name asked for comes last: without it nothing is known.
            let part = read(whole.get(..end).unwrap());
            assert!(
                matches!(part, None | Some(Saying::Reply { resolution: None, .. })),
                "{end}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            answer: bool,
        ) {
            if let [_, _, flags, ..] = bytes.as_mut_slice() {
                *flags = if answer { 0x80 } else { 0 };
            }
            read(&bytes);
        }

        #[test]
        fn a_damaged_reply_is_read_without_panic(at in 0..reply().len(), value: u8) {
            let mut bytes = reply();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            read(&bytes);
        }
    }
}
