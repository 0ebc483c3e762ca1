//! Any bytes as the EVE log of Suricata: no line gives more than a flow or a loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::Format;

fuzz_target!(|bytes: &[u8]| {
    // Behind a blank line nothing is taken for compressed: a kilobyte of zstd can be a
    // hundred megabytes of blank lines, which takes its time and shows nothing.
    let text = [b"\n", bytes].concat();
    let tally = decode(Format::Eve, &text);
    // Limits of the batch may be one loss more, without a line of its own.
    let records = tally.flows + tally.losses;
    // The elements of an array stand anywhere.
    let elements = text.iter().filter(|b| matches!(b, b'{' | b',' | b']')).count();
    let array = text.contains(&b'[');
    let most = lines(&text) + if array { elements + 1 } else { 0 };
    assert!(records <= most + 1, "{tally:?} of {most} lines and elements");
    assert!(tally.answers <= most, "{tally:?}");
});
