//! Any bytes as a capture: nothing panics, and each flow and answer is well formed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::decode;
use tidegauge_wire::{Format, recognise};

fuzz_target!(|bytes: &[u8]| {
    let format = recognise(bytes).filter(|f| matches!(f, Format::Pcap | Format::Pcapng));
    let tally = decode(format.unwrap_or(Format::Pcap), bytes);
    // A frame has at least the 12 bytes of a pcapng block, a flow at least one frame; a
    // frame may ask for several names, each at least 4 bytes long.
    assert!(tally.flows <= 1 + bytes.len() / 4, "{tally:?} of {} bytes", bytes.len());
});
