//! Any bytes as a Zeek log: no line gives more than a flow or a loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::zeek::Log;
use tidegauge_wire::{Format, Inflate, recognise};

fuzz_target!(|bytes: &[u8]| {
    let mut input = Inflate::new(bytes);
    let recognised = input.head().ok().and_then(recognise);
    let (format, bytes) = match (recognised, bytes.split_first()) {
        (Some(format @ Format::Zeek(_)), _) => (format, bytes),
        (_, Some((kind, rest))) => (Format::Zeek(log(*kind)), rest),
        (_, None) => return,
    };
    let tally = decode(format, bytes);
    let records = tally.flows + tally.losses;
    assert!(records <= lines(bytes), "{tally:?} of {} lines", lines(bytes));
});

fn log(kind: u8) -> Log {
    match kind % 8 {
        0 => Log::Conn,
        1 => Log::OpenConn,
        2 => Log::Dns,
        3 => Log::Ssl,
        4 => Log::Http,
        5 => Log::Headless,
        6 => Log::Mixed,
        _ => Log::Other,
    }
}
