//! Any bytes as a file of nfcapd, and as a block of each layout and compression: the books
//! close, byte for byte and record for record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{LATEST, Tally};
use tidegauge_wire::nfcapd;

/// `LAYOUT_VERSION_1` and its compressions; those of `LAYOUT_VERSION_2` count from 0 to 4.
const FLAGS_1: [u32; 4] = [0, 1, 8, 0x10];

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let [choice, records, body @ ..] = bytes else { return };
    let (way, kind) = (usize::from(choice % 9), u16::from(choice / 9 % 4) + 1);
    let mut file = if let Some(flags) = FLAGS_1.get(way) {
        let mut header = vec![0x0c, 0xa5, 1, 0];
        header.extend(flags.to_le_bytes());
        header.resize(140 + 136, 0);
        header
    } else {
        let mut header = vec![0x0c, 0xa5, 2, 0];
        header.resize(40, 0);
        header[16] = choice % 9 - 4;
        header
    };
    file.extend(u32::from(*records).to_le_bytes());
    file.extend(u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
    file.extend(kind.to_le_bytes());
    file.extend([0, 0]);
    file.extend(body);
    read(&file);
});

fn read(mut bytes: &[u8]) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut tally = Tally::default();
    let told = nfcapd::read(&mut bytes, LATEST, &mut tally);
    let told = told.expect("bytes in memory can be read");
    assert_eq!(told.bytes, length, "all is read");
    assert_eq!(told.bytes, told.bytes_opened + told.bytes_lost, "{told:?}");
    assert_eq!(told.content, told.content_read + told.content_lost, "{told:?}");
    assert_eq!(usize::try_from(told.flows).ok(), Some(tally.flows));
    assert!(tally.losses > 0 || told.lost == 0, "{told:?}");
    // Nothing is gone in silence.
    let gone = told.bytes_lost + told.content_lost;
    assert!(tally.losses > 0 || gone == 0, "{told:?}");
}
