//! Any bytes as a flow log of AWS, Azure or Google: nothing panics, and no line, element or
//! tuple gives more than a flow or a loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::{Format, recognise};

fuzz_target!(|bytes: &[u8]| {
    let told = recognise(bytes);
    let (format, bytes) = match (told, bytes.split_first()) {
        (Some(format @ (Format::AwsFlow | Format::AzureFlow | Format::GoogleFlow)), _) => {
            (format, bytes)
        }
        (_, Some((kind, rest))) => (of(*kind), rest),
        (_, None) => return,
    };
    // Behind a blank line nothing is taken for compressed.
    let text = [b"\n", bytes].concat();
    let tally = decode(format, &text);
    let records = tally.flows + tally.losses;
    // The least record: a tuple, an element of an array, a message in a subscription.
    let most = match format {
        Format::AzureFlow => text.len(),
        _ => lines(&text) + text.iter().filter(|b| matches!(b, b'{' | b',' | b']')).count() + 2,
    };
    assert!(records <= most, "{format:?}: {tally:?} of {} bytes", text.len());
    assert_eq!((tally.answers, tally.resolutions), (0, 0));
    assert!(tally.repeated == 0 || format != Format::AwsFlow);
});

fn of(kind: u8) -> Format {
    match kind % 3 {
        0 => Format::AwsFlow,
        1 => Format::AzureFlow,
        _ => Format::GoogleFlow,
    }
}
