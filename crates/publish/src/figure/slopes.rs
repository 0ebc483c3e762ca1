//! Before and after as lines between two axes: who fell faster, however large or small.
//!
//! **Invariant:** the scale is logarithmic, so that lines of the same slope changed by the
//! same share; it spans at least a factor of ten, so that no small change looks like a
//! large one. A line is drawn of what is above zero in both windows.

use super::canvas::{Anchor, Canvas};
use super::is_narrow;
use super::scale::{Linear, fitted, spread, text_width};
use crate::number::{change, place, short, whole};

/// Lines from one window to another.
#[derive(Clone, Debug)]
pub(crate) struct SlopeChart {
    /// Short names of the two windows: `Apr 2024`.
    pub(crate) windows: (String, String),
    pub(crate) lines: Vec<SlopeLine>,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct SlopeLine {
    pub(crate) name: String,
    /// Above zero.
    pub(crate) before: f64,
    /// Above zero.
    pub(crate) after: f64,
    /// 0 grey, 1 and 2 colours.
    pub(crate) tone: u8,
}

/// The least factor between both ends of the scale. Picked by hand.
const FACTOR_MIN: f64 = 10.0;
/// Height of the line that names the two windows.
const HEAD: f64 = 30.0;
/// Between the middles of two labels of one side.
const LABEL: f64 = 19.0;
/// Least height of the axes.
const HEIGHT_MIN: f64 = 250.0;
/// Between an axis and its labels, crossed by what leads to a label that had to move.
const LEAD: f64 = 18.0;

/// Where things are.
struct Frame {
    /// Pixels of the two axes.
    axes: (f64, f64),
    /// Where the names at both ends stand: beside the longest number.
    names: (f64, f64),
    /// Logarithms to pixels.
    y: Linear,
    width: f64,
    narrow: bool,
}

impl Frame {
    fn at(&self, value: f64) -> f64 {
        self.y.at(value.ln())
    }
}

impl SlopeChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let height = (place(self.lines.len()) * LABEL).max(HEIGHT_MIN);
        let named = |limit| {
            let names = self.lines.iter().map(|l| text_width(&l.name, 13.0, true));
            names.fold(0.0, f64::max).min(limit)
        };
        let (left, right) = if narrow {
            (62.0, 110.0 + named(84.0))
        } else {
            (200.0, 124.0 + named(150.0))
        };
        let numbers = |number: fn(&SlopeLine) -> String| {
            let widths = self.lines.iter().map(|l| text_width(&number(l), 13.0, true));
            LEAD + widths.fold(0.0, f64::max) + 8.0
        };
        let axes = (left, width - right);
        let frame = Frame {
            axes,
            names: (
                axes.0 - numbers(SlopeLine::number_before),
                axes.1 + numbers(SlopeLine::number_after),
            ),
            y: Linear { domain: self.domain(), pixels: (HEAD + height, HEAD + 12.0) },
            width,
            narrow,
        };
        let mut canvas = Canvas::new(width, HEAD + height + 14.0);
        self.axes(&mut canvas, &frame);
        // Grey lines lie below coloured ones.
        for coloured in [false, true] {
            for line in self.lines.iter().filter(|l| (l.tone > 0) == coloured) {
                line.draw(&mut canvas, &frame);
            }
        }
        self.labels(&mut canvas, &frame);
        canvas
    }

    /// Logarithms of the ends of the scale.
    fn domain(&self) -> (f64, f64) {
        let values = || self.lines.iter().flat_map(|l| [l.before, l.after]);
        let low = values().fold(f64::INFINITY, f64::min).ln();
        let high = values().fold(1.0, f64::max).ln();
        let lacking = (FACTOR_MIN.ln() - (high - low)).max(0.0) / 2.0;
        (low - lacking, high + lacking)
    }

    fn axes(&self, canvas: &mut Canvas, frame: &Frame) {
        let (foot, top) = (frame.y.pixels.0 + 10.0, HEAD);
        let (first, second) = frame.axes;
        canvas.line((first, top), (first, foot), "base");
        canvas.line((second, top), (second, foot), "base");
        // Days in the place of a month are long: they stay inside.
        let wide = |name: &str| text_width(name, 13.0, false);
        let from = (first - wide(&self.windows.0)).max(0.0);
        let behind = from + wide(&self.windows.0) + 12.0;
        let to = second.min(frame.width - wide(&self.windows.1)).max(behind);
        let at = HEAD - 10.0;
        canvas.text((from, at), Anchor::Start, "tm", &self.windows.0);
        canvas.text((to, at), Anchor::Start, "tm", &self.windows.1);
    }

    /// What stands at both ends of each line, moved apart where they would overlap.
    fn labels(&self, canvas: &mut Canvas, frame: &Frame) {
        let limits = (HEAD + 12.0, frame.y.pixels.0 + 4.0);
        let placed = |end: fn(&SlopeLine) -> f64| {
            let wanted: Vec<f64> =
                self.lines.iter().map(|line| frame.at(end(line))).collect();
            spread(&wanted, LABEL, limits)
        };
        let (left, right) = (placed(|l| l.before), placed(|l| l.after));
        for (line, (before, after)) in
            self.lines.iter().zip(left.into_iter().zip(right))
        {
            line.label_before(canvas, frame, before);
            line.label_after(canvas, frame, after);
        }
    }
}

impl SlopeLine {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame) {
        let from = (frame.axes.0, frame.at(self.before));
        let to = (frame.axes.1, frame.at(self.after));
        canvas.line(from, to, &format!("l{}", self.tone));
        for (at, value) in [(from, self.before), (to, self.after)] {
            let words = format!("{}: {}", self.name, whole(value));
            canvas.named_dot(at, 4.0, &format!("f{}", self.tone), &words);
        }
    }

    fn number_before(&self) -> String {
        short(self.before)
    }

    fn number_after(&self) -> String {
        format!("{} {}", change(self.before, self.after), short(self.after))
    }

    fn label_before(&self, canvas: &mut Canvas, frame: &Frame, y: f64) {
        let axis = frame.axes.0;
        canvas.line((axis - 6.0, frame.at(self.before)), (axis - LEAD + 3.0, y), "h0");
        let (x, y) = (axis - LEAD, y + 4.5);
        let class = format!("t{}", self.tone);
        canvas.text((x, y), Anchor::End, &class, &self.number_before());
        if !frame.narrow {
            let x = frame.names.0;
            let name = fitted(&self.name, x, 13.0, false);
            canvas.text((x, y), Anchor::End, "t", &name);
        }
    }

    fn label_after(&self, canvas: &mut Canvas, frame: &Frame, y: f64) {
        let axis = frame.axes.1;
        canvas.line((axis + 6.0, frame.at(self.after)), (axis + LEAD - 3.0, y), "h0");
        let (x, y) = (axis + LEAD, y + 4.5);
        let class = format!("t{}", self.tone);
        canvas.text((x, y), Anchor::Start, &class, &self.number_after());
        let x = frame.names.1;
        let name = fitted(&self.name, frame.width - x, 13.0, false);
        canvas.text((x, y), Anchor::Start, "t", &name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(before: f64, after: f64) -> SlopeLine {
        SlopeLine { name: "A".to_owned(), before, after, tone: 0 }
    }

    fn ends(chart: &SlopeChart) -> Vec<(f64, f64)> {
        let y = Linear { domain: chart.domain(), pixels: (400.0, 0.0) };
        chart.lines.iter().map(|l| (y.at(l.before.ln()), y.at(l.after.ln()))).collect()
    }

    fn chart(lines: Vec<SlopeLine>) -> SlopeChart {
        SlopeChart { windows: ("Apr".to_owned(), "Nov".to_owned()), lines }
    }

    #[test]
    fn the_same_change_has_the_same_slope_whatever_the_size() {
        let ends = ends(&chart(vec![line(22_000.0, 11_000.0), line(40.0, 20.0)]));
        let falls: Vec<f64> =
            ends.iter().map(|(before, after)| after - before).collect();
        assert!((falls[0] - falls[1]).abs() < 1e-9 && falls[0] > 0.0, "{falls:?}");
    }

    #[test]
    fn a_small_change_does_not_fill_the_figure() {
        let ends = ends(&chart(vec![line(100.0, 96.0)]));
        assert!((ends[0].1 - ends[0].0).abs() < 0.02 * 400.0, "{ends:?}");
        assert!(chart(Vec::new()).draw(760.0).height > 0.0);
    }
}
