//! A batch of texts, decoded as a caller would.

use std::io::BufRead;

use tidegauge_model::{Answer, Flow, Instant, Loss, Reason, Resolution};
use tidegauge_wire::{Decoder, Format, Inflate, Sink, recognise};

/// 2026-01-01T00:00:00Z: when the tests believe they read.
pub(crate) const LATEST: Instant = Instant(1_767_225_600_000_000);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) flows: Vec<Flow>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) resolutions: Vec<Resolution>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) repeated: u64,
    /// What each input was recognised as.
    pub(crate) formats: Vec<Option<Format>>,
}

impl Sink for Batch {
    fn flow(&mut self, flow: Flow) {
        assert!(flow.start <= flow.end);
        self.flows.push(flow);
    }

    fn answer(&mut self, answer: Answer) {
        assert!(!answer.addresses.is_empty());
        self.answers.push(answer);
    }

    fn resolution(&mut self, resolution: Resolution) {
        assert!(resolution.first <= resolution.last && resolution.count > 0);
        self.resolutions.push(resolution);
    }

    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

impl Batch {
    /// Decodes `inputs`: recognised by content, names first, then flows.
    pub(crate) fn decode<I: AsRef<[u8]>>(inputs: &[I]) -> Self {
        Self::decode_by(Decoder::new(LATEST), inputs)
    }

    /// The same, by a decoder with settings of its own.
    pub(crate) fn decode_by<I: AsRef<[u8]>>(
        mut decoder: Decoder,
        inputs: &[I],
    ) -> Self {
        let mut batch = Self::default();
        for input in inputs {
            let mut input = Inflate::new(input.as_ref());
            let format = recognise(input.head().unwrap());
            batch.formats.push(format);
            match format {
                Some(format) => {
                    decoder.names(format, &mut input, &mut batch).unwrap();
                    if !format.has_flows() && format.has_names() {
                        batch.losses.extend(input.damage());
                    }
                    assert!(!format.has_names() || at_end(&mut input));
                }
                None => batch.losses.push(unrecognised()),
            }
        }
        for (place, input) in inputs.iter().enumerate() {
            let Some(format) = batch.formats[place].filter(|f| f.has_flows()) else {
                continue;
            };
            let mut input = Inflate::new(input.as_ref());
            decoder.flows(format, &mut input, &mut batch).unwrap();
            assert!(at_end(&mut input));
            batch.losses.extend(input.damage());
        }
        decoder.finish(&mut batch);
        batch.repeated = decoder.repeated();
        batch
    }

    /// The same, as text that does not depend on the order of records.
    pub(crate) fn sorted(&self) -> [Vec<String>; 3] {
        fn lines<T: std::fmt::Debug>(records: &[T]) -> Vec<String> {
            let mut lines: Vec<_> = records.iter().map(|r| format!("{r:?}")).collect();
            lines.sort();
            lines
        }
        [lines(&self.flows), lines(&self.answers), lines(&self.losses)]
    }

    pub(crate) fn reasons(&self) -> Vec<(Option<u64>, Reason)> {
        self.losses.iter().map(|loss| (loss.line, loss.reason)).collect()
    }

    /// The host of each flow, or nothing, in order of the alphabet.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = self
            .flows
            .iter()
            .map(|flow| flow.name.as_ref().map_or("", |name| &name.host))
            .collect();
        hosts.sort_unstable();
        hosts
    }
}

fn at_end(input: &mut impl BufRead) -> bool {
    input.fill_buf().unwrap().is_empty()
}

fn unrecognised() -> Loss {
    Loss {
        offset: 0,
        line: None,
        reason: Reason::Format,
        day: None,
        count: 1,
        exporter: None,
    }
}
