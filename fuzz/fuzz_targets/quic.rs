//! Any bytes as datagrams of QUIC, in an otherwise good capture of one connection: each is
//! one packet of one flow, and what no key opens gives no name.
//!
//! The bytes are pieces, each behind a byte that says what it is and two for its length: the
//! frames of an Initial packet, which is then sealed as a client does it, or a datagram as it
//! is.
#![no_main]

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{Block, BlockCipherEncrypt};
use aes_gcm::{AeadInOut, Aes128Gcm, KeyInit, Nonce};
use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::decode;
use tidegauge_wire::Format;

/// The keys of the identifier 0x8394c8f03e515708 (RFC 9001, A.1).
const KEY: u128 = 0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d;
const IV: u128 = 0xfa04_4b2f_42a3_fd3b_46fb_255c;
const HEADER: u128 = 0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2;
const IDENTIFIER: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// The longest payload of an Initial packet that is sealed here.
const PAYLOAD_MAX: usize = 8000;

fuzz_target!(|bytes: &[u8]| {
    let (mut rest, mut datagrams) = (bytes, Vec::new());
    while let &[kind, l0, l1, ref behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([l0, l1])).min(behind.len());
        let (piece, behind) = behind.split_at(length.min(PAYLOAD_MAX));
        rest = behind;
        let number = kind >> 2;
        let datagram =
            if kind & 1 == 0 { initial(number, piece) } else { piece.to_vec() };
        datagrams.push((kind & 2 != 0, datagram));
    }
    let tally = decode(Format::Pcap, &capture(&datagrams));
    assert_eq!(tally.losses, 0, "{tally:?}");
    assert_eq!(tally.flows > 0, !datagrams.is_empty(), "{tally:?}");
    assert!(tally.flows <= 1 + datagrams.len(), "{tally:?}");
});

/// A sealed Initial packet of version 1 with these frames.
fn initial(number: u8, frames: &[u8]) -> Vec<u8> {
    let mut sealed = frames.to_vec();
    sealed.resize(frames.len().max(4), 0);
    let length = u16::try_from(1 + sealed.len() + 16).expect("short") | 0x4000;
    let mut packet = vec![0xc0, 0, 0, 0, 1, 8];
    packet.extend(IDENTIFIER);
    packet.extend([0, 0]);
    packet.extend(length.to_be_bytes());
    packet.push(number);
    let nonce = (IV ^ u128::from(number)).to_be_bytes();
    let nonce: [u8; 12] = *nonce.last_chunk().expect("sixteen bytes");
    let tag = Aes128Gcm::new(&KEY.to_be_bytes().into())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            &packet,
            sealed.as_mut_slice().into(),
        )
        .expect("short");
    sealed.extend(<[u8; 16]>::from(tag));
    let sample = sealed[3..].first_chunk::<16>().expect("a tag is there");
    let mut mask = Block::<Aes128>::from(*sample);
    Aes128::new(&HEADER.to_be_bytes().into()).encrypt_block(&mut mask);
    let last = packet.len() - 1;
    packet[0] ^= mask[0] & 0x0f;
    packet[last] ^= mask[1];
    packet.extend(sealed);
    packet
}

/// A capture of raw IP with these packets of UDP between 192.0.2.1:1023 and 192.0.2.7:443 (what
/// goes to a port above may be a report of NetFlow, which is no packet of this network);
/// those marked go back.
fn capture(datagrams: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Magic, version 2.4, zone, accuracy, snap length, link type 101: raw IP.
    bytes.extend(0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 4, 0, 101, 0, 0, 0]);
    for (back, payload) in datagrams {
        let short = |length: usize| u16::try_from(length).expect("short");
        let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 7]);
        let (from, to) = if *back { (server, client) } else { (client, server) };
        let ports = if *back { [443_u16, 1023] } else { [1023, 443] };
        let frame_length = u32::from(short(payload.len() + 28)).to_le_bytes();
        bytes.extend(1_517_336_042_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(frame_length);
        bytes.extend(frame_length);
        bytes.extend([0x45, 0]);
        bytes.extend(short(payload.len() + 28).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        bytes.extend(from);
        bytes.extend(to);
        bytes.extend(ports.map(u16::to_be_bytes).concat());
        bytes.extend(short(payload.len() + 8).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
    }
    bytes
}
