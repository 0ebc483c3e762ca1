//! Any bytes as a frame stream of dnstap, in pieces and at once: nothing panics, both tell
//! the same, and no frame tells more than the names that it can hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::{LATEST, Tally};
use tidegauge_model::vantage::Clients;
use tidegauge_wire::dns::dnstap::Stream;

fuzz_target!(|bytes: &[u8]| {
    let (clients, piece, bytes) = match bytes {
        [rest @ .., choice] if choice % 2 == 1 => {
            (Clients::Resolvers, usize::from(choice / 2) + 1, rest)
        }
        [rest @ .., choice] => (Clients::Hosts, usize::from(choice / 2) + 1, rest),
        [] => return,
    };
    let whole = hear(&[bytes], clients);
    let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
    assert_eq!(whole, hear(&pieces, clients));
    // A question has at least 5 bytes, a frame at least 4 for its length.
    let told = whole.flows + whole.resolutions + whole.losses;
    assert!(told <= 1 + bytes.len() / 4, "{whole:?} of {} bytes", bytes.len());
    if clients == Clients::Resolvers {
        assert_eq!((whole.flows, whole.answers), (0, 0), "a resolver is no client");
    }
});

fn hear(pieces: &[&[u8]], clients: Clients) -> Tally {
    let mut tally = Tally::default();
    let mut stream = Stream::new(clients);
    for piece in pieces {
        if stream.push(piece, LATEST, &mut tally).is_err() {
            break;
        }
    }
    stream.finish(&mut tally);
    tally
}
