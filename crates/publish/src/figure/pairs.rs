//! Before and after, a row each: as dots joined by a line, or as bars.
//!
//! **Invariant:** both windows are on one scale that begins at zero.

use super::canvas::{Anchor, Canvas};
use super::is_narrow;
use super::scale::{Linear, fitted, row, text_width};
use crate::number::{change, place, short};

/// How rows are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairStyle {
    Dots,
    Bars,
}

/// Rows with a value before and one after.
#[derive(Clone, Debug)]
pub(crate) struct PairChart {
    pub(crate) style: PairStyle,
    /// Short names of the two windows: `Apr 2024`.
    pub(crate) windows: (String, String),
    pub(crate) rows: Vec<PairRow>,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct PairRow {
    pub(crate) name: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
}

/// Height of the line that names the two windows.
const HEAD: f64 = 26.0;

struct Frame {
    x: Linear,
    top: f64,
    row_height: f64,
    name_above: bool,
    change_x: f64,
}

impl PairChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let names = self
            .rows
            .iter()
            .map(|r| text_width(&r.name, 13.0, false))
            .fold(0.0, f64::max)
            .min(190.0);
        let left = if narrow { 0.0 } else { names + 14.0 };
        let high = self.rows.iter().map(|r| r.before.max(r.after)).fold(0.0, f64::max);
        let pad = if self.style == PairStyle::Dots { 44.0 } else { 0.0 };
        let right = width - if self.style == PairStyle::Dots { 104.0 } else { 150.0 };
        let frame = Frame {
            x: Linear { domain: (0.0, high.max(1.0)), pixels: (left + pad, right) },
            top: HEAD,
            row_height: match (narrow, self.style) {
                (true, _) => 42.0,
                (false, PairStyle::Dots) => 27.0,
                (false, PairStyle::Bars) => 31.0,
            },
            name_above: narrow,
            change_x: width,
        };
        let body = place(self.rows.len()) * frame.row_height;
        let mut canvas = Canvas::new(width, HEAD + body + 4.0);
        canvas.text((width, 13.0), Anchor::End, "ts", "change");
        if !narrow {
            let zero = frame.x.at(0.0);
            canvas.line((zero, HEAD), (zero, HEAD + body), "base");
        }
        self.key(&mut canvas, &frame);
        for (index, pair) in self.rows.iter().enumerate() {
            self.row(&mut canvas, &frame, index, pair, left);
        }
        canvas
    }

    /// Names the two windows where the eye begins.
    fn key(&self, canvas: &mut Canvas, frame: &Frame) {
        let mut x = if frame.name_above { 5.0 } else { frame.x.pixels.0 + 5.0 };
        for (name, class, text) in
            [(&self.windows.0, "f0", "t0"), (&self.windows.1, "f1", "t1")]
        {
            match self.style {
                PairStyle::Dots => canvas.dot((x, 9.0), 5.0, class),
                PairStyle::Bars => canvas.rect(
                    (x - 5.0, 4.0),
                    (10.0, 10.0),
                    if class == "f0" { "soft" } else { class },
                ),
            }
            canvas.text((x + 10.0, 13.0), Anchor::Start, text, name);
            x += text_width(name, 13.0, true) + 34.0;
        }
    }

    fn row(
        &self,
        canvas: &mut Canvas,
        frame: &Frame,
        index: usize,
        pair: &PairRow,
        left: f64,
    ) {
        let middle = frame.top + row(index, frame.row_height);
        let y = if frame.name_above { middle + 9.0 } else { middle };
        if frame.name_above {
            let name = fitted(&pair.name, frame.x.pixels.1, 13.0, false);
            canvas.text((0.0, middle - 6.0), Anchor::Start, "t", &name);
        } else {
            let name = fitted(&pair.name, left - 14.0, 13.0, false);
            canvas.text((left - 10.0, y + 4.5), Anchor::End, "t", &name);
        }
        if frame.name_above {
            // Only beside the marks: a line down the whole chart would cross the names.
            let zero = frame.x.at(0.0);
            if self.style == PairStyle::Bars || clears(pair, frame, zero) {
                canvas.line((zero, y - 9.0), (zero, y + 9.0), "base");
            }
        }
        match self.style {
            PairStyle::Dots => dots(canvas, frame, pair, y),
            PairStyle::Bars => bars(canvas, frame, pair, y),
        }
        let text = change(pair.before, pair.after);
        canvas.text((frame.change_x, y + 4.5), Anchor::End, "tb", &text);
    }
}

/// Whether the label left of the lower dot stays right of the zero line.
fn clears(pair: &PairRow, frame: &Frame, zero: f64) -> bool {
    let low = pair.before.min(pair.after);
    frame.x.at(low) - 14.0 - text_width(&short(low), 13.0, true) > zero
}

fn dots(canvas: &mut Canvas, frame: &Frame, pair: &PairRow, y: f64) {
    let (before, after) = (frame.x.at(pair.before), frame.x.at(pair.after));
    canvas.line((before, y), (after, y), "link");
    canvas.dot((before, y), 5.0, "f0");
    canvas.dot((after, y), 5.5, "f1");
    let falls = pair.after <= pair.before;
    let (low, high) = if falls { (after, before) } else { (before, after) };
    let (low_text, high_text) = if falls {
        (("t1", pair.after), ("t0", pair.before))
    } else {
        (("t0", pair.before), ("t1", pair.after))
    };
    let at = y + 4.5;
    let (low_at, high_at) = ((low - 10.0, at), (high + 10.0, at));
    canvas.text(low_at, Anchor::End, "halo", &short(low_text.1));
    canvas.text(low_at, Anchor::End, low_text.0, &short(low_text.1));
    canvas.text(high_at, Anchor::Start, high_text.0, &short(high_text.1));
}

fn bars(canvas: &mut Canvas, frame: &Frame, pair: &PairRow, y: f64) {
    let zero = frame.x.at(0.0);
    let (before, after) = (frame.x.at(pair.before), frame.x.at(pair.after));
    canvas.rect((zero, y - 9.0), (before - zero, 18.0), "soft");
    canvas.rect((zero, y - 4.5), (after - zero, 9.0), "f1");
    let end = before.max(after) + 7.0;
    let (then, now) = (short(pair.before), short(pair.after));
    canvas.text((end, y + 4.5), Anchor::Start, "t0", &then);
    let x = end + text_width(&then, 13.0, true) + 9.0;
    canvas.text((x, y + 4.5), Anchor::Start, "t1", &now);
}
