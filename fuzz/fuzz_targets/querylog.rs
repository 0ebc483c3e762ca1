//! Any bytes as the query log of a DNS server: no line tells more than one thing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::{Format, recognise};

fuzz_target!(|bytes: &[u8]| {
    recognise(bytes);
    let tally = decode(Format::QueryLog, bytes);
    assert!(tally.flows + tally.losses <= lines(bytes), "{tally:?}");
    assert_eq!((tally.answers, tally.resolutions), (0, 0), "only hosts ask here");
});
