//! Where a group went: one node, and a band to each of the ways it took (Sankey).
//!
//! **Invariant:** the bands are shares of one whole and fill it; what is not known is a band of
//! its own, drawn as an outline, never left out.

use super::canvas::{Anchor, Canvas, px};
use super::is_narrow;
use super::scale::wrap;
use crate::number::{percent, place};

/// Groups below each other, each with its ways.
#[derive(Clone, Debug)]
pub(crate) struct FlowChart {
    pub(crate) flows: Vec<Flow>,
}

/// A group and the ways it took.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Who they are: `129 organisations of the United States`.
    pub(crate) from: String,
    pub(crate) ways: Vec<FlowWay>,
}

/// A way, as a share of the group.
#[derive(Clone, Debug)]
pub(crate) struct FlowWay {
    pub(crate) band: Band,
    pub(crate) words: String,
    pub(crate) share: f64,
    /// Its interval, in words.
    pub(crate) range: String,
}

/// What a way is, by its look; its words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Band {
    /// Still with the product.
    Kept,
    /// With another.
    Other,
    /// With neither.
    Neither,
    /// Nothing is known.
    Unknown,
}

impl Band {
    fn class(self) -> &'static str {
        match self {
            Self::Kept => "h3",
            Self::Other => "area3",
            Self::Neither => "soft",
            Self::Unknown => "unknown",
        }
    }
}

/// Height of a whole group.
const WHOLE: f64 = 170.0;
/// Width of a node.
const NODE: f64 = 12.0;
/// Room that the words of a way need, in two lines.
const WORDS: f64 = 36.0;
const HEAD: f64 = 24.0;
const LINE: f64 = 15.0;

impl FlowChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let end = width * if narrow { 0.36 } else { 0.55 };
        let mut canvas = Canvas::new(width, 0.0);
        let mut top = 0.0;
        for flow in &self.flows {
            for (index, line) in wrap(&flow.from, width, 13.0, true).iter().enumerate()
            {
                let y = place(index).mul_add(LINE, top + 13.0);
                canvas.text((0.0, y), Anchor::Start, "tb", line);
                top += if index > 0 { LINE } else { 0.0 };
            }
            top += HEAD;
            top += flow.draw(&mut canvas, top, end) + 14.0;
        }
        canvas.height = top;
        canvas
    }
}

impl Flow {
    /// Draws from `top` on; how high it is.
    fn draw(&self, canvas: &mut Canvas, top: f64, end: f64) -> f64 {
        let slots: Vec<f64> =
            self.ways.iter().map(|way| (way.share * WHOLE).max(WORDS)).collect();
        let height = slots.iter().sum::<f64>();
        let mut from = top + (height - WHOLE).max(0.0) / 2.0;
        canvas.rect((0.0, from), (NODE, WHOLE), "f0");
        let mut slot = top;
        for (way, room) in self.ways.iter().zip(&slots) {
            let thick = way.share * WHOLE;
            let to = slot + (room - thick) / 2.0;
            let class = way.band.class();
            let words = format!("{}: {}{}", way.words, percent(way.share), way.range);
            canvas.named_path(&band((NODE, from), (end, to), thick), class, &words);
            canvas.rect((end, to), (NODE, thick.max(1.0)), class);
            way.label(canvas, (end + NODE + 8.0, slot + room / 2.0));
            from += thick;
            slot += room;
        }
        height
    }
}

impl FlowWay {
    fn label(&self, canvas: &mut Canvas, (x, middle): (f64, f64)) {
        let lead = percent(self.share);
        let room = canvas.width - x;
        let lines =
            wrap(&format!("{lead}{} {}", self.range, self.words), room, 12.0, false);
        let first = middle - LINE * (place(lines.len()) / 2.0) + 11.0;
        for (index, line) in lines.iter().enumerate() {
            let at = (x, place(index).mul_add(LINE, first));
            match line.strip_prefix(lead.as_str()).filter(|_| index == 0) {
                Some(rest) => canvas.lead(at, Anchor::Start, &lead, rest.trim_start()),
                None => canvas.text(at, Anchor::Start, "tx", line),
            }
        }
    }
}

/// A band of one thickness from left to right.
fn band(from: (f64, f64), to: (f64, f64), thick: f64) -> String {
    let middle = px(f64::midpoint(from.0, to.0));
    let [x0, x1] = [from.0, to.0].map(px);
    let [y0, y1, y2, y3] = [from.1, to.1, to.1 + thick, from.1 + thick].map(px);
    format!(
        "M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}V{y2}C{middle} {y2} {middle} {y3} \
         {x0} {y3}z"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_fill_the_whole_and_words_have_room() {
        let way = |share, words: &str| FlowWay {
            band: Band::Other,
            words: words.to_owned(),
            share,
            range: " (1–2%)".to_owned(),
        };
        let flow = Flow {
            from: "all <of them>".to_owned(),
            ways: vec![way(0.985, "one"), way(0.005, "two"), way(0.01, "three")],
        };
        for width in [760.0, 350.0] {
            let canvas = FlowChart { flows: vec![flow.clone()] }.draw(width);
            assert!(canvas.height > 0.985 * WHOLE + 2.0 * WORDS);
            assert!(canvas.body().contains("all &lt;of them&gt;"));
            assert_eq!(canvas.body().matches("<title>").count(), 3);
            let rects = canvas.body().split("<rect class=\"").skip(1);
            let heights = rects.filter(|r| r.starts_with("area3")).map(|r| {
                let height = r.split("height=\"").nth(1).unwrap().split('"').next();
                height.unwrap().parse::<f64>().unwrap()
            });
            // The thinnest is drawn a little thicker, so that it is seen.
            assert!((heights.sum::<f64>() - WHOLE).abs() < 0.5);
        }
    }
}
