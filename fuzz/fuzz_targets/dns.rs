//! Any bytes as a DNS message from port 53, in an otherwise good capture of one packet:
//! the packet is always one flow, and a flow more for each further name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::decode;
use tidegauge_wire::Format;

/// The longest payload of UDP in an IPv4 packet, in bytes.
const PAYLOAD_MAX: usize = 65_535 - 28;

fuzz_target!(|bytes: &[u8]| {
    let payload = &bytes[..bytes.len().min(PAYLOAD_MAX)];
    let tally = decode(Format::Pcap, &capture(payload));
    assert_eq!(tally.losses, 0, "{tally:?}");
    assert!(tally.flows >= 1, "{tally:?}");
});

/// A capture of raw IP with one UDP packet from 192.0.2.53:53 to 192.0.2.1:1025.
fn capture(payload: &[u8]) -> Vec<u8> {
    let short = |length: usize| u16::try_from(length).expect("at most PAYLOAD_MAX + 28");
    let udp_length = short(payload.len() + 8);
    let ip_length = short(payload.len() + 28);
    let frame_length = u32::from(ip_length).to_le_bytes();

    let mut bytes = Vec::with_capacity(payload.len() + 68);
    // Magic, version 2.4, zone, accuracy, snap length, link type 101: raw IP.
    bytes.extend(0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 4, 0, 101, 0, 0, 0]);
    // One record: seconds, microseconds, length captured, length on the wire.
    bytes.extend(1_517_336_042_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(frame_length);
    bytes.extend(frame_length);
    // IPv4 without options; UDP without a checksum.
    bytes.extend([0x45, 0]);
    bytes.extend(ip_length.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 53, 192, 0, 2, 1]);
    bytes.extend(53_u16.to_be_bytes());
    bytes.extend(1025_u16.to_be_bytes());
    bytes.extend(udp_length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}
