//! What the two sides of a TCP connection tell of names.
//!
//! **Invariant:** only the beginning of a message is held, never more than
//! [`MESSAGE_BYTES_MAX`] a side beside what [`Stream`] holds back; DNS messages, whose length
//! is known, up to 65,535 bytes.
//!
//! A request or a hello is looked for wherever a segment begins with one, not only at the
//! start of the connection: captures begin in the middle, connections are kept alive, and
//! mail servers change to TLS half-way.

use tidegauge_model::{Protocol, ServerName};

use super::packet::{Packet, Segment};
use super::stream::{Run, Stream};
use super::{http, tls};
use crate::dns::{DNS_PORT, message as dns};

/// The longest hello or request head that is read: the record limit of TLS (RFC 8446, 5.1),
/// and above what common servers accept as a head (8 KiB).
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// SYN, as in the TCP header.
const SYN: u8 = tidegauge_model::flow::tcp_flag::SYN;

/// What the start of a message says.
pub(super) enum Reading {
    /// This name.
    Name(ServerName),
    /// Nothing yet.
    More,
    /// Nothing, whatever follows.
    Nothing,
}

/// What was heard of a side.
pub(super) enum Heard {
    /// It asked for a server.
    Name(ServerName),
    /// It sent a DNS message.
    Dns(dns::Saying),
    /// It opened the connection.
    Opening,
}

/// Both sides of a connection.
pub(super) struct Dialogue {
    sides: [Side; 2],
    /// Whether it is DNS by its port.
    dns: bool,
}

#[derive(Default)]
struct Side {
    stream: Stream,
    /// The message being collected.
    message: Vec<u8>,
    /// Bytes of DNS are missing: where the next message begins is unknown.
    lost: bool,
}

impl Dialogue {
    /// Nothing heard yet.
    pub(super) fn new(dns: bool) -> Self {
        Self { sides: [Side::default(), Side::default()], dns }
    }

    /// How many bytes are held for both sides.
    pub(super) fn held(&self) -> usize {
        self.sides.iter().map(|side| side.stream.held() + side.message.capacity()).sum()
    }

    /// Hears a segment of one side: 0 or 1, as in `sides`.
    pub(super) fn hear(
        &mut self,
        second: bool,
        segment: Segment,
        payload: &[u8],
    ) -> Vec<Heard> {
        let mut heard = Vec::new();
        let [first, other] = &mut self.sides;
        let side = if second { other } else { first };
        let Segment { flags, mut sequence, length } = segment;
        if flags & SYN != 0 {
            side.stream.begin(sequence);
            // Data may come with the SYN (RFC 7413); it counts from behind it.
            sequence = sequence.wrapping_add(1);
        }
        if length > 0 {
            let Side { stream, message, lost } = side;
            stream.push(sequence, length, payload, &mut |run| {
                take(run, self.dns, message, lost, &mut heard);
            });
        }
        heard
    }

    /// The end: hears what was held back behind missing segments. The second of each pair
    /// tells the side.
    pub(super) fn finish(&mut self) -> Vec<(Heard, bool)> {
        let mut heard = Vec::new();
        for (side, second) in self.sides.iter_mut().zip([false, true]) {
            let mut of_side = Vec::new();
            let Side { stream, message, lost } = side;
            stream.finish(&mut |run| take(run, self.dns, message, lost, &mut of_side));
            heard.extend(of_side.into_iter().map(|h| (h, second)));
        }
        heard
    }
}

/// The name that one packet asks for by itself: it begins a hello, a request, or is a question
/// of DNS. What goes on in further packets is not read.
pub(super) fn name_in(packet: &Packet<'_>) -> Option<ServerName> {
    let bytes = packet.payload;
    if packet.protocol == Protocol::UDP && packet.destination_port == DNS_PORT {
        let Some(dns::Saying::Questions(names)) = dns::read(bytes) else {
            return None;
        };
        return names.into_iter().next();
    }
    if packet.protocol != Protocol::TCP {
        return None;
    }
    let (mut message, mut heard) = (Vec::new(), Vec::new());
    request_or_hello(bytes, &mut message, &mut heard);
    heard.into_iter().find_map(|heard| match heard {
        Heard::Name(name) => Some(name),
        Heard::Dns(_) | Heard::Opening => None,
    })
}

/// Takes the next bytes of a side.
fn take(
    run: Run<'_>,
    dns: bool,
    message: &mut Vec<u8>,
    lost: &mut bool,
    heard: &mut Vec<Heard>,
) {
    match run {
        Run::Gap => {
            *message = Vec::new();
            *lost = true;
        }
        Run::Bytes(bytes) if dns => {
            if !*lost {
                message.extend_from_slice(bytes);
                *lost = !dns_messages(message, heard);
            }
        }
        Run::Bytes(bytes) => request_or_hello(bytes, message, heard),
    }
}

/// Looks for a name at the start of `bytes`, or goes on with `message`.
fn request_or_hello(bytes: &[u8], message: &mut Vec<u8>, heard: &mut Vec<Heard>) {
    let whole: &[u8] = if message.is_empty() {
        bytes
    } else {
        message.extend_from_slice(bytes);
        message
    };
    let reading = if tls::begins(whole) {
        tls::read(whole)
    } else if http::begins(whole) {
        http::read(whole)
    } else {
        Reading::Nothing
    };
    match reading {
        Reading::More if whole.len() < MESSAGE_BYTES_MAX => {
            if message.is_empty() {
                message.extend_from_slice(bytes);
            }
        }
        Reading::More | Reading::Nothing => *message = Vec::new(),
        Reading::Name(name) => {
            *message = Vec::new();
            heard.push(Heard::Name(name));
        }
    }
}

/// Takes whole DNS messages from the front (RFC 1035, 4.2.2: length u16, message …). False
/// if one of them is none, which means that this is not DNS or began in the middle.
fn dns_messages(held: &mut Vec<u8>, heard: &mut Vec<Heard>) -> bool {
    let mut rest: &[u8] = held;
    let mut good = true;
    while let Some((&length, behind)) = rest.split_first_chunk::<2>()
        && let Some((message, behind)) =
            behind.split_at_checked(usize::from(u16::from_be_bytes(length)))
    {
        rest = behind;
        match dns::read(message) {
            Some(saying) => heard.push(Heard::Dns(saying)),
            None => good = false,
        }
    }
    let read = held.len() - rest.len();
    if good {
        held.drain(..read);
    } else {
        *held = Vec::new();
    }
    good
}
