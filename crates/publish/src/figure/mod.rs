//! Figures: data in, SVG out. Inside a page each is drawn twice, for a desktop and for a
//! phone; as a file it carries its title, its units and its source.
//!
//! **Invariant:** a figure says everything it shows in its table too.

mod canvas;
mod choices;
mod events;
mod flow;
mod forest;
mod heat;
mod line;
mod map;
mod multiples;
mod pairs;
mod png;
mod ranks;
mod scale;
mod slopes;
mod spans;
mod style;

pub(crate) use canvas::{append, escape};
pub(crate) use choices::{ChoiceSet, ChoicesChart};
pub(crate) use events::EventMark;
pub(crate) use flow::{Band, Flow, FlowChart, FlowWay};
pub(crate) use forest::{Column, Dot, ForestChart, ForestRow};
pub(crate) use heat::{HeatRow, HeatStrip};
pub(crate) use line::{LineChart, LinePanel, LineSeries, Under};
pub(crate) use map::{MapChart, MapPlace, is_mapped};
pub(crate) use multiples::{MultiplesChart, Panel};
pub(crate) use pairs::{PairChart, PairRow, PairStyle};
pub use png::DrawError;
pub(crate) use png::Painter;
pub(crate) use ranks::{RankColumn, RankGrid, RankLine};
pub(crate) use slopes::{SlopeChart, SlopeLine};
pub(crate) use spans::{Bar, SpanChart, SpanRow, Tone};
pub(crate) use style::variables;

use canvas::{Anchor, Canvas, px};
use scale::{balanced, wrap};

use crate::number::{percent, trimmed, whole};
use crate::tables::Table;

/// Width of a drawing on a desktop, in pixels.
const WIDE: f64 = 760.0;
/// Width of a drawing on a phone.
const NARROW: f64 = 350.0;
/// Margin around a figure in a file of its own.
const MARGIN: f64 = 28.0;

/// Something to show, with the words that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Name of its files: lower-case letters and hyphens.
    pub(crate) id: &'static str,
    /// What the data shows, as a sentence.
    pub(crate) title: String,
    /// What is drawn, in what unit, over which days.
    pub(crate) subtitle: String,
    /// What must stand beside a figure that compares two windows; else empty.
    pub(crate) caveat: String,
    /// Where the data is from, if not from this run.
    pub(crate) source: Option<String>,
    /// Definitions and limits, each a sentence.
    pub(crate) notes: Vec<String>,
    /// The drawing in words, for those who cannot see it.
    pub(crate) description: String,
    /// The drawing.
    pub(crate) chart: Chart,
    /// The same as numbers.
    pub(crate) table: Table,
}

/// The kinds of drawing.
#[derive(Clone, Debug)]
pub(crate) enum Chart {
    Lines(LineChart),
    Pairs(PairChart),
    Slopes(SlopeChart),
    Forest(ForestChart),
    Heat(HeatStrip),
    Ranks(RankGrid),
    Multiples(MultiplesChart),
    Spans(SpanChart),
    Map(MapChart),
    Flow(FlowChart),
    Choices(ChoicesChart),
}

impl Chart {
    fn draw(&self, width: f64) -> Canvas {
        match self {
            Self::Lines(chart) => chart.draw(width),
            Self::Pairs(chart) => chart.draw(width),
            Self::Slopes(chart) => chart.draw(width),
            Self::Forest(chart) => chart.draw(width),
            Self::Heat(chart) => chart.draw(width),
            Self::Ranks(chart) => chart.draw(width),
            Self::Multiples(chart) => chart.draw(width),
            Self::Spans(chart) => chart.draw(width),
            Self::Map(chart) => chart.draw(width),
            Self::Flow(chart) => chart.draw(width),
            Self::Choices(chart) => chart.draw(width),
        }
    }
}

impl Figure {
    /// Both drawings for a page; its style sheet shows the one that fits.
    pub(crate) fn inline(&self) -> String {
        [(WIDE, "wide"), (NARROW, "narrow")]
            .into_iter()
            .map(|(width, class)| {
                let canvas = self.chart.draw(width);
                let id = format!("{}-{class}", self.id);
                format!(
                    "<svg class=\"{class}\" viewBox=\"0 0 {} {}\" role=\"img\" \
                     aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title>\
                     <desc id=\"{id}-d\">{}</desc>{}</svg>\n",
                    px(canvas.width),
                    px(canvas.height),
                    escape(&self.title),
                    escape(&self.description),
                    canvas.body()
                )
            })
            .collect::<Vec<_>>()
            .concat()
    }

    /// A file of its own, on white, with `source` as its last line and `stamp` over what
    /// is not from another source.
    pub(crate) fn standalone(&self, source: &str, stamp: Option<&str>) -> String {
        let chart = self.chart.draw(WIDE);
        let mut sheet = Canvas::new(2.0f64.mul_add(MARGIN, WIDE), 0.0);
        let mut y = MARGIN;
        sheet.line((MARGIN, y), (MARGIN + 44.0, y), "rule");
        y += 10.0;
        if let Some(stamp) = stamp.filter(|_| self.source.is_none()) {
            sheet.text((MARGIN + WIDE, y + 5.0), Anchor::End, "tb", stamp);
        }
        for line in balanced(&self.title, WIDE, 20.0, true) {
            y += 26.0;
            sheet.text((MARGIN, y - 4.0), Anchor::Start, "th", &line);
        }
        for line in balanced(&self.subtitle, WIDE, 13.0, false) {
            y += 19.0;
            sheet.text((MARGIN, y), Anchor::Start, "tm", &line);
        }
        y += 20.0;
        sheet.place(MARGIN, y, &chart);
        y += chart.height + 12.0;
        let source = self.source.as_deref().unwrap_or(source);
        for line in wrap(&self.caveat, WIDE, 12.0, false) {
            y += 16.0;
            sheet.text((MARGIN, y), Anchor::Start, "tx", &line);
        }
        y += 4.0;
        for note in self.notes.iter().map(String::as_str).chain([source]) {
            for line in wrap(note, WIDE, 12.0, false) {
                y += 16.0;
                sheet.text((MARGIN, y), Anchor::Start, "ts", &line);
            }
            y += 4.0;
        }
        sheet.height = y + MARGIN - 8.0;
        self.file(&sheet)
    }

    fn file(&self, sheet: &Canvas) -> String {
        let (width, height) = (px(sheet.width), px(sheet.height.ceil()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"t d\">\n<title id=\"t\">{}</title>\n<desc \
             id=\"d\">{}</desc>\n<style>\n{}</style>\n<rect class=\"paper\" \
             width=\"{width}\" height=\"{height}\"/>\n{}\n</svg>\n",
            escape(&self.title),
            escape(&self.description),
            style::concrete(),
            sheet.body()
        )
    }
}

fn is_narrow(width: f64) -> bool {
    width < 500.0
}

/// The label of a tick, in one unit for the whole axis that ends at `end`.
fn tick_label(value: f64, end: f64, share: bool) -> String {
    match end {
        _ if share => percent(value),
        _ if value == 0.0 => "0".to_owned(),
        end if end >= 1e6 => format!("{}m", trimmed(value / 1e6, 2)),
        end if end >= 1e5 => format!("{}k", trimmed(value / 1e3, 1)),
        _ => whole(value),
    }
}
