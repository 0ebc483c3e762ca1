//! What all fuzz targets do with bytes: decode them as one batch, and count.
//!
//! **Invariant:** everything a decoder emits is looked at, so that no part of it is left
//! out of a run.

use std::io::BufRead;

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Answer, Flow, Instant, Loss, Resolution};
use tidegauge_wire::{Decoder, Format, Inflate, Sink};

/// 2026-01-01T00:00:00Z: when the inputs are taken to be read.
pub const LATEST: Instant = Instant(1_767_225_600_000_000);

/// How much of each came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Flows.
    pub flows: usize,
    /// Answers of DNS.
    pub answers: usize,
    /// Look-ups without a client.
    pub resolutions: usize,
    /// Losses.
    pub losses: usize,
    /// Rows that repeated an earlier one.
    pub repeated: u64,
}

impl Sink for Tally {
    fn flow(&mut self, flow: Flow) {
        assert!(flow.start <= flow.end, "a flow ends before it begins: {flow:?}");
        if let Some(name) = &flow.name {
            let host = canonical_host(&name.host);
            assert_eq!(host.as_deref(), Some(&*name.host), "a host has one form");
        }
        self.flows += 1;
    }

    fn answer(&mut self, answer: Answer) {
        assert!(!answer.addresses.is_empty(), "an answer teaches nothing: {answer:?}");
        self.answers += 1;
    }

    fn resolution(&mut self, resolution: Resolution) {
        assert!(resolution.first <= resolution.last && resolution.count > 0);
        if let Some(network) = resolution.client {
            // 96 bits before an IPv4 address, then 24; or 56 of IPv6.
            let kept = if network.first().is_v4() { 96 + 24 } else { 56 };
            assert!(network.length() <= kept, "an address: {resolution:?}");
        }
        self.resolutions += 1;
    }

    fn loss(&mut self, _: Loss) {
        self.losses += 1;
    }
}

/// Decodes `bytes` as an input of `format`, both passes.
pub fn decode(format: Format, bytes: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut decoder = Decoder::new(LATEST);
    let in_memory = "bytes in memory can be read";
    let mut input = Inflate::new(bytes);
    decoder.names(format, &mut input, &mut tally).expect(in_memory);
    let mut input = Inflate::new(bytes);
    decoder.flows(format, &mut input, &mut tally).expect(in_memory);
    decoder.finish(&mut tally);
    tally.repeated = decoder.repeated();
    tally
}

/// The lines of the decompressed `bytes`.
pub fn lines(bytes: &[u8]) -> usize {
    let mut input = Inflate::new(bytes);
    let mut lines = 0;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        lines += 1;
        line.clear();
    }
    lines
}
