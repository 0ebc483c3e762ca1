//! Which records each pass of a [`crate::Decoder`] hands on, for formats whose two passes
//! read the same bytes in the same way.
//!
//! **Invariant:** what one filter keeps back the other lets through, so that the two passes
//! together tell each record once.

use tidegauge_model::{Answer, Flow, Loss, Resolution};

use crate::Sink;

/// Lets answers through: the pass of names.
pub(crate) struct AnswersOnly<'s>(pub(crate) &'s mut dyn Sink);

impl Sink for AnswersOnly<'_> {
    fn flow(&mut self, _: Flow) {}
    fn answer(&mut self, answer: Answer) {
        self.0.answer(answer);
    }
    fn resolution(&mut self, _: Resolution) {}
    fn loss(&mut self, _: Loss) {}
}

/// Lets everything but answers through: the pass of flows.
pub(crate) struct FlowsAndLosses<'s>(pub(crate) &'s mut dyn Sink);

impl Sink for FlowsAndLosses<'_> {
    fn flow(&mut self, flow: Flow) {
        self.0.flow(flow);
    }
    fn answer(&mut self, _: Answer) {}
    fn resolution(&mut self, resolution: Resolution) {
        self.0.resolution(resolution);
    }
    fn loss(&mut self, loss: Loss) {
        self.0.loss(loss);
    }
}
