//! Any bytes as flows of Argus: no line gives more than a flow or a loss.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{decode, lines};
use tidegauge_wire::Format;

const HEADER: &[u8] = b"StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,\
TotPkts,TotBytes,SrcBytes\n";

fuzz_target!(|bytes: &[u8]| {
    // Files of others begin with their own header.
    let text = if bytes.starts_with(b"StartTime") {
        bytes.to_vec()
    } else {
        [HEADER, bytes].concat()
    };
    let tally = decode(Format::Argus, &text);
    assert!(tally.flows + tally.losses <= lines(&text), "{tally:?}");
    assert_eq!((tally.answers, tally.resolutions), (0, 0));
});
