//! Any bytes as the EVE log of Suricata: no line gives more than a flow or a loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::Format;

fuzz_target!(|bytes: &[u8]| {
    let tally = decode(Format::Eve, bytes);
    // Limits of the batch may be one loss more, without a line of its own.
    let records = tally.flows + tally.losses;
    assert!(records <= lines(bytes) + 1, "{tally:?} of {} lines", lines(bytes));
    assert!(tally.answers <= lines(bytes), "{tally:?}");
});
