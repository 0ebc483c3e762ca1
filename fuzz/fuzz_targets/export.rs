//! Any bytes as export: as a file of messages, and as datagrams that share one state. The
//! books close: each record is a flow, an event or lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{LATEST, Tally, decode};
use tidegauge_model::Address;
use tidegauge_wire::Format;
use tidegauge_wire::export::Exports;

fuzz_target!(|bytes: &[u8]| {
    decode(Format::Export, bytes);

    let mut exports = Exports::new();
    let mut tally = Tally::default();
    for datagram in datagrams(bytes) {
        exports.datagram(Address::from_bits(7), 4_739, LATEST, datagram, &mut tally);
    }
    let mut restored = Exports::new();
    restored.restore(exports.state());
    assert_eq!(restored.state(), exports.state());
    exports.finish(&mut tally);
    let all = exports.statistics();
    let flows: u64 = all.iter().map(|one| one.tally.flows).sum();
    assert_eq!(usize::try_from(flows).ok(), Some(tally.flows));
    for one in all {
        let told = one.tally.flows + one.tally.events + one.tally.lost;
        assert!(one.tally.records <= told, "{one:?}");
        assert_eq!(one.tally.held, 0, "{one:?}");
    }
});

/// Datagrams, each behind its length in two bytes; what is left is the last one.
fn datagrams(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (datagram, after) = rest.split_at(length);
        all.push(datagram);
        bytes = after;
    }
    all
}
