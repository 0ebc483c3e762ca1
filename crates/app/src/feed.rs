//! From a decoder to an observer: the sink between `wire` and `enrich`.
//!
//! **Invariant:** every flow, answer, resolution and loss reaches the observer; the first losses of an
//! input are also told to the user, with file and place. Sightings leave in pieces, so that no
//! more of them are held than a piece has.

use tidegauge_enrich::contact::Observer;
use tidegauge_model::{Answer, Flow, Loss, Resolution, Sighting};
use tidegauge_wire::Sink;
use tokio::sync::mpsc::Sender;

/// How many losses of one input are told one by one; the others are only counted.
const TOLD_PER_INPUT: u64 = 3;

/// Where sightings go before everything is read.
pub(crate) struct Pieces {
    /// Sightings of a piece.
    pub(crate) of: usize,
    pub(crate) to: Sender<Vec<Sighting>>,
}

/// Feeds an observer, and remembers what to tell.
pub(crate) struct Feed<'a> {
    observer: Observer<'a>,
    pieces: Pieces,
    input: String,
    told: u64,
    /// Records used, over all inputs.
    pub(crate) flows: u64,
    /// Pieces lost, over all inputs.
    pub(crate) losses: u64,
    losses_of_input: u64,
    flows_of_input: u64,
}

impl<'a> Feed<'a> {
    /// Runs on a thread of its own: it waits where nobody takes the pieces.
    pub(crate) fn new(observer: Observer<'a>, pieces: Pieces) -> Self {
        let input = String::new();
        Self {
            observer,
            pieces,
            input,
            told: 0,
            flows: 0,
            losses: 0,
            losses_of_input: 0,
            flows_of_input: 0,
        }
    }

    /// From now on, records come from the input of this name.
    pub(crate) fn begin(&mut self, input: &str) {
        self.summarise();
        input.clone_into(&mut self.input);
        self.told = 0;
        self.losses_of_input = 0;
        self.flows_of_input = 0;
    }

    /// A row that cannot match the catalog: it counts for coverage alone.
    pub(crate) fn other(
        &mut self,
        originator: tidegauge_model::Address,
        start: tidegauge_model::Instant,
        sampling: std::num::NonZeroU32,
    ) {
        self.flows += 1;
        self.flows_of_input += 1;
        self.observer.other(originator, start, sampling);
    }

    /// Whether a flow without a name to this address can be a contact.
    pub(crate) fn may_match(&self, responder: tidegauge_model::Address) -> bool {
        self.observer.may_match(responder)
    }

    /// Whether something of this input was lost and nothing could be used.
    pub(crate) fn lost_all(&self) -> bool {
        self.losses_of_input > 0 && self.flows_of_input == 0
    }

    /// Whether nobody takes the pieces any more, so that reading on is in vain.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.pieces.to.is_closed()
    }

    /// The observer, with everything it was fed that has not left in pieces.
    pub(crate) fn finish(self) -> Observer<'a> {
        self.summarise();
        self.observer
    }

    fn summarise(&self) {
        if self.losses_of_input > self.told {
            let more = self.losses_of_input - self.told;
            tracing::warn!("{}: {more} more pieces of input were lost", self.input);
        }
    }
}

impl Sink for Feed<'_> {
    fn flow(&mut self, flow: Flow) {
        self.flows += 1;
        self.flows_of_input += 1;
        self.observer.flow(&flow);
        if let Some(piece) = self.observer.piece(self.pieces.of) {
            // Whoever took them no longer does: see `is_cut_off`.
            _ = self.pieces.to.blocking_send(piece);
        }
    }

    fn answer(&mut self, answer: Answer) {
        self.observer.answer(&answer);
    }

    fn resolution(&mut self, resolution: Resolution) {
        self.flows += 1;
        self.flows_of_input += 1;
        self.observer.resolution(&resolution);
    }

    fn loss(&mut self, loss: Loss) {
        self.losses += loss.count;
        self.losses_of_input += loss.count;
        if self.told < TOLD_PER_INPUT {
            self.told += 1;
            let place = match loss.line {
                Some(line) => format!("line {line}"),
                None => format!("byte {}", loss.offset),
            };
            tracing::warn!(
                "{}: {place}: lost ({}): {}",
                self.input,
                loss.reason,
                hint(loss.reason)
            );
        }
        self.observer.loss(&loss);
    }
}

/// What a user can do about a loss.
fn hint(reason: tidegauge_model::Reason) -> &'static str {
    use tidegauge_model::Reason as R;
    match reason {
        R::Truncated => {
            "the input ends inside a record; copy it again if it should not"
        }
        R::Compression => "the compressed stream is damaged from here on",
        R::ColumnCount => "the line has not the columns that #fields announced",
        R::ColumnMissing => "a column that every record needs is not in the header",
        R::Value => "a value is not of its column's type",
        R::Syntax => "this is not text in the format of the file",
        R::Time => {
            "the time is before 1990 or in the future: is the sensor's clock right?"
        }
        R::Length => "a length field contradicts the bytes that are there",
        R::LinkType => "this link layer or tunnel is not read",
        R::Fragment => "a fragment whose first part was not captured",
        R::Format => "the format is not recognised; see `tidegauge ingest --help`",
        R::Limit => "a limit was reached; ingest in smaller pieces",
        R::Snapped => "the capture cut this packet short; raise its snap length",
        R::Address => "the originator cannot be a client",
        R::Template => {
            "no template for this data came; exporters repeat theirs, so start earlier"
        }
        R::Gap => "the exporter sent more than came here; is a buffer or a link full?",
    }
}
