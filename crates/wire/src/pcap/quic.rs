//! The server name in the Initial packets of QUIC (RFC 9000, 9001, 9369).
//!
//! **Invariant:** a name is only told of a packet whose tag is right under the keys of a
//! client (RFC 9001, 5.2): chance bytes, a packet that is cut, and the server's own packets
//! give none. What is held is bounded by [`HELLO_BYTES_MAX`] and by what [`Pieces`] allows.
//!
//! The keys are made of the identifier that the client chose first, so one direction is
//! enough. Packets that are coalesced in a datagram are looked through; a hello may be spread
//! over several Initial packets in any order. After a Retry, or where another connection
//! begins between the same ends, the keys are made anew.
//!
//! What is left out: Google's QUIC before the standard (Q043 to T051), drafts before 22 and
//! versions nobody published; packet numbers that need those before them to be read (RFC
//! 9000, A.3): the first Initial packets of a client have none before them.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{Block, BlockCipherEncrypt};
use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use tidegauge_model::ServerName;

use super::dialogue::Reading;
use super::pieces::{Pieces, Put};
use super::tls;

/// The longest hello that is read: as in TLS over TCP, the record limit (RFC 8446, 5.1).
const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Initial packets of one flow that may fail to open. Picked by hand: those of the server
/// are tried too where it is not known which side it is, and it sends few.
const FAILURES_MAX: u8 = 32;
/// The longest connection identifier of the versions read (RFC 9000, 17.2).
const IDENTIFIER_MAX: usize = 20;
/// Length of the tag of AES-128-GCM (RFC 9001, 5.3).
const TAG: usize = 16;
/// Where the sample for header protection begins behind the packet number (RFC 9001, 5.4.2).
const SAMPLE_OFFSET: usize = 4;

const V1: u32 = 1;
const V2: u32 = 0x6b33_43cf;

/// RFC 9001, 5.2.
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
    0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
];
/// RFC 9369, 3.3.1.
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
    0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
];
/// draft-ietf-quic-tls-29, 5.2; the same until draft 32.
const SALT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
    0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
];
/// draft-ietf-quic-tls-23, 5.2; the same until draft 28.
const SALT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4,
    0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02,
];
/// draft-ietf-quic-tls-22, 5.2.
const SALT_22: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51,
    0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a,
];

/// The salt of a version that is read. 0xfaceb… are Facebook's names for drafts.
fn salt(version: u32) -> Option<&'static [u8; 20]> {
    match version {
        V1 | 0xff00_0021..=0xff00_0022 => Some(&SALT_V1),
        V2 => Some(&SALT_V2),
        0xff00_001d..=0xff00_0020 => Some(&SALT_29),
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Some(&SALT_23),
        0xff00_0016 | 0xface_b001 => Some(&SALT_22),
        _ => None,
    }
}

/// Whether a datagram begins with a packet of a long header (RFC 9000, 17.2) that this module
/// reads.
pub(super) fn begins(datagram: &[u8]) -> bool {
    let &[first, v0, v1, v2, v3, ..] = datagram else { return false };
    first & 0xc0 == 0xc0 && salt(u32::from_be_bytes([v0, v1, v2, v3])).is_some()
}

/// What the Initial packets of one flow said so far.
#[derive(Default)]
pub(super) struct Initials {
    /// The keys under which the last packet opened.
    keys: Option<Keys>,
    /// The hello, as far as it came, until it was read.
    hello: Pieces,
    /// It was read, or will not be.
    read: bool,
    failures: u8,
}

/// What a datagram showed.
pub(super) enum Shown {
    /// A client sent it, who opened the connection.
    Client,
    /// The same, and it asked for this server.
    Name(ServerName),
}

impl Initials {
    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.hello.held()
    }

    /// Hears a datagram.
    pub(super) fn hear(&mut self, datagram: &[u8]) -> Option<Shown> {
        let (mut rest, mut shown) = (datagram, None);
        while let Some((packet, behind)) = Packet::split(rest) {
            rest = behind;
            if !packet.initial || self.failures >= FAILURES_MAX {
                continue;
            }
            let Some(payload) = self.open(&packet) else {
                self.failures += 1;
                continue;
            };
            match self.frames(&payload) {
                Some(name) => shown = Some(Shown::Name(name)),
                None => shown = shown.or(Some(Shown::Client)),
            }
        }
        shown
    }

    /// Takes the protection off: under the keys known, or under those of its identifier,
    /// with which another hello begins.
    fn open(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        if let Some(payload) = self.keys.as_ref().and_then(|keys| keys.open(packet)) {
            return Some(payload);
        }
        let keys = Keys::of_client(packet.version, packet.identifier)?;
        let payload = keys.open(packet)?;
        (self.keys, self.hello, self.read) = (Some(keys), Pieces::default(), false);
        Some(payload)
    }

    /// Reads the frames of an Initial packet (RFC 9000, 17.2.2: PADDING, PING, ACK, CRYPTO
    /// and `CONNECTION_CLOSE`; what follows the last is of no interest).
    fn frames(&mut self, payload: &[u8]) -> Option<ServerName> {
        let mut rest = payload;
        while let Some(crypto) = next_crypto(&mut rest) {
            let end = crypto.offset.saturating_add(crypto.bytes.len());
            if self.read {
                return None;
            }
            let full = end > HELLO_BYTES_MAX
                || self.hello.put(crypto.offset, crypto.bytes) == Put::Full;
            if full {
                self.end_hello();
                return None;
            }
        }
        if self.read {
            return None;
        }
        match tls::handshake(&self.hello.front()) {
            Reading::More => None,
            Reading::Nothing => {
                self.end_hello();
                None
            }
            Reading::Name(name) => {
                self.end_hello();
                Some(name)
            }
        }
    }

    fn end_hello(&mut self) {
        (self.hello, self.read) = (Pieces::default(), true);
    }
}

/// A CRYPTO frame (RFC 9000, 19.6).
struct Crypto<'a> {
    offset: usize,
    bytes: &'a [u8],
}

/// The next CRYPTO frame, if any comes before what is not read.
fn next_crypto<'a>(rest: &mut &'a [u8]) -> Option<Crypto<'a>> {
    loop {
        match number(rest)? {
            // PADDING (19.1) and PING (19.2).
            0 | 1 => {}
            // ACK (19.3): largest, delay, count of ranges, first range, ranges, ECN counts.
            kind @ (2 | 3) => {
                let (_, _, ranges, _) =
                    (number(rest)?, number(rest)?, number(rest)?, number(rest)?);
                // Each takes two bytes or more: the count is bounded by what is there.
                for _ in 0..ranges {
                    let _ = (number(rest)?, number(rest)?);
                }
                if kind == 3 {
                    let _ = (number(rest)?, number(rest)?, number(rest)?);
                }
            }
            6 => {
                let offset = usize::try_from(number(rest)?).ok()?;
                let length = usize::try_from(number(rest)?).ok()?;
                let (bytes, behind) = rest.split_at_checked(length)?;
                *rest = behind;
                return Some(Crypto { offset, bytes });
            }
            _ => return None,
        }
    }
}

/// Takes a number of variable length from the front (RFC 9000, 16).
fn number(rest: &mut &[u8]) -> Option<u64> {
    let &first = rest.first()?;
    let (bytes, behind) = rest.split_at_checked(1 << (first >> 6))?;
    *rest = behind;
    let value = bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
    // The two highest bits of the first byte are the length.
    Some(value & (u64::MAX >> (64 - 8 * bytes.len() + 2)))
}

/// Takes `count` bytes from the front.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(bytes)
}

/// A packet with a long header (RFC 9000, 17.2), protected.
///
///  | first u8 | version u32 | length u8, identifier | length u8, source identifier |
///  | Initial: token length, token | length | packet number 1-4 | payload … tag |
struct Packet<'a> {
    initial: bool,
    version: u32,
    /// The identifier of the destination.
    identifier: &'a [u8],
    /// From the first byte to the tag.
    bytes: &'a [u8],
    /// Where the packet number begins.
    number_at: usize,
}

impl<'a> Packet<'a> {
    /// The packet at the front of a datagram, and what follows it. None where packets without
    /// a length follow: a short header, a Retry, a negotiation of versions.
    fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if !begins(datagram) {
            return None;
        }
        let (&[first, v0, v1, v2, v3], mut rest) = datagram.split_first_chunk::<5>()?;
        let version = u32::from_be_bytes([v0, v1, v2, v3]);
        // Types: Initial, 0-RTT, Handshake, Retry; in version 2 one later (RFC 9369, 3.2).
        let kind = first >> 4 & 3;
        let kind = if version == V2 { kind.wrapping_sub(1) & 3 } else { kind };
        if kind == 3 {
            return None;
        }
        let length = usize::from(*take(&mut rest, 1)?.first()?);
        let identifier =
            take(&mut rest, length).filter(|id| id.len() <= IDENTIFIER_MAX)?;
        let length = usize::from(*take(&mut rest, 1)?.first()?);
        take(&mut rest, length)?;
        if kind == 0 {
            let token = usize::try_from(number(&mut rest)?).ok()?;
            take(&mut rest, token)?;
        }
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let number_at = datagram.len() - rest.len();
        let (bytes, behind) =
            datagram.split_at_checked(number_at.checked_add(length)?)?;
        let initial = kind == 0;
        Some((Self { initial, version, identifier, bytes, number_at }, behind))
    }
}

/// What protects the Initial packets of a client.
struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    /// For the header.
    header: [u8; 16],
}

impl Keys {
    /// Makes them of the identifier that the client chose (RFC 9001, 5.2; RFC 9369, 3.3).
    fn of_client(version: u32, identifier: &[u8]) -> Option<Self> {
        let initial = Hkdf::<Sha256>::new(Some(salt(version)?), identifier);
        let client: [u8; 32] = expand(&initial, b"client in")?;
        let client = Hkdf::<Sha256>::from_prk(&client).ok()?;
        let labels: [&[u8]; 3] = if version == V2 {
            [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"]
        } else {
            [b"quic key", b"quic iv", b"quic hp"]
        };
        let [key, iv, header] = labels;
        Some(Self {
            key: expand(&client, key)?,
            iv: expand(&client, iv)?,
            header: expand(&client, header)?,
        })
    }

    /// The payload of a packet, if it was made with these keys (RFC 9001, 5.3 and 5.4).
    fn open(&self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let (before, from_number) = packet.bytes.split_at_checked(packet.number_at)?;
        let sample = from_number.get(SAMPLE_OFFSET..)?.first_chunk::<16>()?;
        let mut mask = Block::<Aes128>::from(*sample);
        Aes128::new(&self.header.into()).encrypt_block(&mut mask);
        let mask: [u8; 16] = mask.into();
        let (&mask_first, mask_number) = mask.split_first()?;

        // The header as it was before protection: what the tag covers too.
        let mut header = before.to_vec();
        let first = header.first_mut()?;
        *first ^= mask_first & 0x0f;
        let number_length = usize::from(*first & 3) + 1;
        let (number, sealed) = from_number.split_at_checked(number_length)?;
        let number: Vec<u8> =
            number.iter().zip(mask_number).map(|(n, m)| n ^ m).collect();
        header.extend_from_slice(&number);

        let mut nonce = self.iv;
        for (place, byte) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *place ^= byte;
        }
        let (sealed, tag) = sealed.split_last_chunk::<TAG>()?;
        let mut payload = sealed.to_vec();
        Aes128Gcm::new(&self.key.into())
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                &header,
                payload.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        Some(payload)
    }
}

/// HKDF-Expand-Label without context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> Option<[u8; N]> {
    const PREFIX: &[u8] = b"tls13 ";
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let parts: [&[u8]; 5] = [&length, &label_length, PREFIX, label, &[0]];
    let mut made = [0; N];
    secret.expand_multi_info(&parts, &mut made).ok()?;
    Some(made)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        };
        digits.chunks(2).map(byte).collect()
    }

    /// The CRYPTO frame of RFC 9001, A.2, and of RFC 9369, A.2.
    fn sample_crypto() -> Vec<u8> {
        hex("060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
             04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
             616d706c652e636f6dff01000100000a00080006001d00170018001000070005
             04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
             baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
             0d0010000e0403050306030203080408050806002d00020101001c0002400100
             3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
             75300901100f088394c8f03e51570806048000ffff")
    }

    const SAMPLE_IDENTIFIER: &str = "8394c8f03e515708";

    /// Seals a packet under `keys`; `header` is as before protection and ends with the number.
    fn seal(
        keys: &Keys,
        header: &[u8],
        number_length: usize,
        payload: &[u8],
    ) -> Vec<u8> {
        let number = &header[header.len() - number_length..];
        let mut nonce = keys.iv;
        for (place, byte) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *place ^= byte;
        }
        let mut sealed = payload.to_vec();
        let tag = Aes128Gcm::new(&keys.key.into())
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                header,
                sealed.as_mut_slice().into(),
            )
            .unwrap();
        let tag: [u8; TAG] = tag.into();
        sealed.extend(tag);
        let sample =
            sealed[SAMPLE_OFFSET - number_length..].first_chunk::<16>().unwrap();
        let mut mask = Block::<Aes128>::from(*sample);
        Aes128::new(&keys.header.into()).encrypt_block(&mut mask);
        let mut packet = header.to_vec();
        packet[0] ^= mask[0] & 0x0f;
        let at = packet.len() - number_length;
        for (byte, mask) in packet[at..].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        packet.extend(sealed);
        packet
    }

    /// An Initial packet of version 1 with these frames, its number in two bytes.
    fn initial(
        keys_of: &[u8],
        identifier: &[u8],
        number: u8,
        frames: &[u8],
    ) -> Vec<u8> {
        let keys = Keys::of_client(V1, keys_of).unwrap();
        let mut payload = frames.to_vec();
        payload.resize(frames.len().max(20), 0);
        let length = u16::try_from(2 + payload.len() + TAG).unwrap() | 0x4000;
        let mut header =
            vec![0xc1, 0, 0, 0, 1, u8::try_from(identifier.len()).unwrap()];
        header.extend(identifier);
        header.extend([0, 0]);
        header.extend(length.to_be_bytes());
        header.extend([0, number]);
        seal(&keys, &header, 2, &payload)
    }

    fn crypto(offset: u16, bytes: &[u8]) -> Vec<u8> {
        let varint = |n: u16| (n | 0x4000).to_be_bytes();
        let length = varint(u16::try_from(bytes.len()).unwrap());
        [&[6][..], &varint(offset), &length, bytes].concat()
    }

    fn host(shown: Option<Shown>) -> Option<String> {
        match shown {
            Some(Shown::Name(name)) => Some(name.host.to_string()),
            Some(Shown::Client) | None => None,
        }
    }

    #[test]
    fn keys_are_those_of_the_appendices() {
        let of = |version| {
            let keys = Keys::of_client(version, &hex(SAMPLE_IDENTIFIER)).unwrap();
            (keys.key.to_vec(), keys.iv.to_vec(), keys.header.to_vec())
        };
        let keys = |key, iv, header| (hex(key), hex(iv), hex(header));
        assert_eq!(
            of(V1),
            keys(
                "1f369613dd76d5467730efcbe3b1a22d",
                "fa044b2f42a3fd3b46fb255c",
                "9f50449e04a0e810283a1e9933adedd2",
            )
        );
        assert_eq!(
            of(V2),
            keys(
                "8b1a0bc121284290a29e0971b5cd045d",
                "91f73e2351d8fa91660e909f",
                "45b95e15235d6f45a6b19cbcb0294ba9",
            )
        );
    }

    /// The whole protected packets are not written out here: their first 32 bytes and their
    /// tag are, and a tag is right for no other packet.
    #[test]
    fn the_packets_of_the_appendices_give_their_name() {
        let cases = [
            (
                V1,
                "c300000001088394c8f03e5157080000449e00000002",
                "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
                "e221af44860018ab0856972e194cd934",
            ),
            (
                V2,
                "d36b3343cf088394c8f03e5157080000449e00000002",
                "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
                "a18b2faa745b6fe189cf772a9f84cbfc",
            ),
        ];
        for (version, header, begins_with, tag) in cases {
            let keys = Keys::of_client(version, &hex(SAMPLE_IDENTIFIER)).unwrap();
            let mut payload = sample_crypto();
            payload.resize(1162, 0);
            let packet = seal(&keys, &hex(header), 4, &payload);
            assert_eq!((packet.len(), &packet[..32]), (1200, &*hex(begins_with)));
            assert_eq!(packet[1184..], hex(tag));
            let told = host(Initials::default().hear(&packet));
            assert_eq!(told.as_deref(), Some("example.com"), "{version:#x}");
            // Any other bit, and it is no packet of this client.
            for at in [0, 6, 20, 600, 1199] {
                let mut other = packet.clone();
                other[at] ^= 1;
                assert!(Initials::default().hear(&other).is_none(), "{at}");
            }
            for end in [0, 1, 5, 30, 1199] {
                assert!(Initials::default().hear(&packet[..end]).is_none(), "{end}");
            }
        }
    }

    #[test]
    fn the_server_of_the_appendices_is_no_client() {
        let packet =
            hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
            5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46
            c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06ed
            bb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee");
        assert!(begins(&packet) && Initials::default().hear(&packet).is_none());
    }

    #[test]
    fn a_hello_in_pieces_over_coalesced_packets_gives_its_name() {
        let hello = sample_crypto().split_off(4);
        let first = b"chosen..";
        let parts = |ranges: &[(usize, usize)]| {
            let frames = ranges.iter().map(|&(from, to)| {
                crypto(u16::try_from(from).unwrap(), &hello[from..to])
            });
            // A PING and an ACK of two ranges stand before.
            [vec![1, 2, 9, 0, 1, 0, 0, 0], frames.flatten().collect()].concat()
        };
        let one = initial(first, first, 0, &parts(&[(200, 241), (60, 70), (61, 64)]));
        // The client answers to the identifier that the server chose, under the same keys.
        let two = initial(first, b"servers", 1, &parts(&[(0, 30)]));
        let three = initial(first, b"servers", 2, &parts(&[(30, 60), (70, 200)]));
        // 0-RTT between two Initial packets (RFC 9000, 12.2).
        let early = [&[0xd0, 0, 0, 0, 1, 0, 0, 5][..], &[7; 5]].concat();
        let mut initials = Initials::default();
        assert!(matches!(initials.hear(&one), Some(Shown::Client)));
        let told = initials.hear(&[two, early, three.clone()].concat());
        assert_eq!(host(told).as_deref(), Some("example.com"));
        assert!(matches!(initials.hear(&three), Some(Shown::Client)));
        // Another connection between the same ends.
        let again = initial(b"another", b"another", 0, &parts(&[(0, 241)]));
        assert_eq!(host(initials.hear(&again)).as_deref(), Some("example.com"));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut initials = Initials::default();
        for number in 0..60 {
            let offset = u16::from(number) * 260 + 4;
            let frames: Vec<u8> =
                (0..9).flat_map(|n| crypto(offset + 2 * n, &[7])).collect();
            initials.hear(&initial(b"x", b"x", number, &frames));
        }
        assert!(initials.held() < 60_000, "{}", initials.held());
        initials.hear(&initial(b"x", b"x", 61, &crypto(16_383, &[7; 2])));
        assert_eq!((initials.held(), initials.read), (size_of::<Initials>(), true));
    }

    proptest! {
        #[test]
        fn no_frames_panic(payload: Vec<u8>) {
            let mut initials = Initials::default();
            initials.hear(&initial(b"x", b"x", 0, &payload));
            prop_assert!(initials.held() < 2 * HELLO_BYTES_MAX);
        }

        #[test]
        fn no_bytes_behind_a_version_panic(
            version in prop::sample::select(vec![V1, V2, 0xff00_001d]),
            first in 0xc0u8..,
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let datagram = [&[first][..], &version.to_be_bytes(), &rest].concat();
            prop_assert!(Initials::default().hear(&datagram).is_none());
        }
    }
}
