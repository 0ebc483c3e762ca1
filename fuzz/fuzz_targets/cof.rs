//! Any bytes as passive DNS in the common output format: no line tells more than one thing,
//! and none tells of a client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::{Format, recognise};

fuzz_target!(|bytes: &[u8]| {
    recognise(bytes);
    let tally = decode(Format::PassiveDns, bytes);
    assert!(tally.resolutions + tally.losses <= lines(bytes), "{tally:?}");
    assert_eq!((tally.flows, tally.answers), (0, 0));
});
