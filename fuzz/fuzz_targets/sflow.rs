//! Any bytes as the body of a datagram of sFlow version 5: `export` seldom comes so far, as
//! a version is four bytes of its choice. The books close.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{LATEST, Tally};
use tidegauge_model::Address;
use tidegauge_wire::export::Exports;

/// The version, as every datagram begins.
const FIVE: [u8; 4] = 5u32.to_be_bytes();

fuzz_target!(|bytes: &[u8]| {
    // Captures come whole, other inputs without the version.
    let body = bytes.strip_prefix(&FIVE).unwrap_or(bytes);
    let datagram = [&FIVE, body].concat();
    let mut exports = Exports::new();
    let mut tally = Tally::default();
    for _ in 0..2 {
        exports.datagram(Address::from_bits(7), 6_343, LATEST, &datagram, &mut tally);
    }
    exports.finish(&mut tally);
    let all = exports.statistics();
    let flows: u64 = all.iter().map(|one| one.tally.flows).sum();
    assert_eq!(usize::try_from(flows).ok(), Some(tally.flows));
    for one in all {
        let told = one.tally.flows + one.tally.events + one.tally.lost;
        assert!(one.tally.records <= told, "{one:?}");
    }
});
