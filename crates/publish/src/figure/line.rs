//! Lines over time in stacked panels that share one time axis, with dotted event lines.
//!
//! **Invariant:** panels of counts begin at zero.

use tidegauge_model::DayRange;

use super::canvas::{Anchor, Canvas, append, polyline, px};
use super::events::{EventMark, Events};
use super::scale::{Days, Linear, fitted, spread, text_width, ticks};
use super::{is_narrow, tick_label};
use crate::number::{days as when, month_short, percent, short, whole};

/// Room for the axis of months.
const AXIS: f64 = 24.0;
/// Room for the name of a row of numbers, and for the numbers.
const UNDER: f64 = 38.0;
/// Room between two of its numbers.
const UNDER_GAP: f64 = 6.0;

/// Panels over one time axis.
#[derive(Clone, Debug)]
pub(crate) struct LineChart {
    pub(crate) period: DayRange,
    pub(crate) panels: Vec<LinePanel>,
    pub(crate) events: Vec<EventMark>,
    /// Windows drawn as a pale band, with their names.
    pub(crate) bands: Vec<(DayRange, String)>,
}

/// One panel.
#[derive(Clone, Debug)]
pub(crate) struct LinePanel {
    pub(crate) name: String,
    pub(crate) share: bool,
    pub(crate) series: Vec<LineSeries>,
    /// Numbers in a row below, such as those at risk.
    pub(crate) under: Option<Under>,
}

/// A row of numbers below a panel.
#[derive(Clone, Debug)]
pub(crate) struct Under {
    /// What they are.
    pub(crate) name: String,
    /// Each at the middle of its days.
    pub(crate) numbers: Vec<(DayRange, String)>,
}

/// One line: points at the middle of a period, absent where suppressed or unknown.
#[derive(Clone, Debug)]
pub(crate) struct LineSeries {
    pub(crate) name: String,
    /// 0 grey, 1 and 2 colours.
    pub(crate) tone: u8,
    pub(crate) points: Vec<(DayRange, Option<f64>)>,
    /// Low and high ends, where known.
    pub(crate) intervals: Vec<(DayRange, f64, f64)>,
}

impl LineChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let right = if narrow { 94.0 } else { 128.0 };
        let left = if narrow { 44.0 } else { 50.0 };
        let days = Days { domain: self.period, pixels: (left, width - right) };
        let panel_height = if narrow { 150.0 } else { 190.0 };
        let header = 30.0;
        let events = Events::placed(&self.events, &days, width, narrow);
        let top = events.height;
        let tall = |panel: &LinePanel| header + panel_height + panel.under_height();
        let bottom = top + self.panels.iter().map(tall).sum::<f64>();
        let key = events.key(width);
        let mut canvas = Canvas::new(width, bottom + AXIS + key.height);
        let under = self.panels.last().map_or(0.0, LinePanel::under_height);
        for (range, name) in &self.bands {
            let (x, end) =
                (days.start(range.first()), days.start(range.last().plus(1)));
            canvas.rect((x, top + 26.0), (end - x, bottom - top - 26.0), "band");
            if !narrow {
                let at = (days.middle(*range), bottom - under - 8.0);
                canvas.text(at, Anchor::Middle, "ts", name);
            }
        }
        events.lines(&mut canvas, bottom);
        let mut from = top;
        for panel in &self.panels {
            panel.draw(&mut canvas, &days, from + header, panel_height, width);
            from += tall(panel);
        }
        events.labels(&mut canvas);
        self.months(&mut canvas, &days, bottom, narrow);
        canvas.place(0.0, bottom + AXIS, &key);
        canvas
    }

    fn months(&self, canvas: &mut Canvas, days: &Days, bottom: f64, narrow: bool) {
        canvas.line((0.0, bottom), (days.pixels.1, bottom), "base");
        for month in self.period.months() {
            let name = month_short(month);
            let name = if narrow { name.get(..1).unwrap_or(name) } else { name };
            let at = (days.middle(DayRange::month(month)), bottom + 17.0);
            canvas.text(at, Anchor::Middle, "tm", name);
        }
    }
}

impl LinePanel {
    fn draw(
        &self,
        canvas: &mut Canvas,
        days: &Days,
        top: f64,
        height: f64,
        width: f64,
    ) {
        let values = self.series.iter().flat_map(|s| {
            let highs = s.intervals.iter().map(|i| i.2);
            s.points.iter().filter_map(|p| p.1).chain(highs)
        });
        let high = values.fold(0.0, f64::max);
        let steps = if self.share && high > 0.5 {
            vec![0.0, 0.25, 0.5, 0.75, 1.0]
        } else {
            ticks(0.0, high, 4)
        };
        let top_tick = steps.last().copied().unwrap_or(1.0);
        let y = Linear { domain: (0.0, top_tick), pixels: (top + height, top + 22.0) };
        canvas.text((0.0, top - 8.0), Anchor::Start, "halo", &self.name);
        canvas.text((0.0, top - 8.0), Anchor::Start, "tb", &self.name);
        for tick in &steps {
            let at = y.at(*tick);
            let class = if *tick == 0.0 { "base" } else { "grid" };
            canvas.line((0.0, at), (days.pixels.1, at), class);
            canvas.text(
                (0.0, at - 4.0),
                Anchor::Start,
                "ts",
                &tick_label(*tick, top_tick, self.share),
            );
        }
        for series in &self.series {
            series.draw(canvas, days, &y, self.share);
        }
        self.ends(canvas, days, &y, width);
        if let Some(under) = &self.under {
            under.draw(canvas, days, top + height);
        }
    }

    fn under_height(&self) -> f64 {
        if self.under.is_some() { UNDER } else { 0.0 }
    }

    /// Names each line at its end, in its colour.
    fn ends(&self, canvas: &mut Canvas, days: &Days, y: &Linear, width: f64) {
        let ends: Vec<(&LineSeries, f64, f64, f64)> = self
            .series
            .iter()
            .filter_map(|s| {
                let (range, value) =
                    s.points.iter().rev().find_map(|p| Some((p.0, p.1?)))?;
                Some((s, days.middle(range), y.at(value), value))
            })
            .collect();
        let room = width - days.pixels.1 - 8.0;
        let wanted: Vec<f64> = ends.iter().map(|e| e.2).collect();
        let placed = spread(&wanted, 34.0, (y.pixels.1, y.pixels.0 - 14.0));
        for ((series, _, _, value), at) in ends.iter().zip(placed) {
            let x = days.pixels.1 + 8.0;
            let text = if self.share { percent(*value) } else { short(*value) };
            let class = format!("t{}", series.tone);
            canvas.text((x, at + 4.0), Anchor::Start, &class, &text);
            let name = fitted(&series.name, room, 12.0, false);
            canvas.text((x, at + 18.0), Anchor::Start, "ts", &name);
        }
    }
}

impl Under {
    /// The numbers for which there is room, each at its days.
    fn draw(&self, canvas: &mut Canvas, days: &Days, top: f64) {
        canvas.text((0.0, top + 15.0), Anchor::Start, "halo", &self.name);
        canvas.text((0.0, top + 15.0), Anchor::Start, "ts", &self.name);
        let mut free = 0.0;
        for (range, number) in &self.numbers {
            let half = text_width(number, 12.0, false) / 2.0;
            let middle = days.middle(*range);
            if middle - half >= free {
                let at = (middle, top + 31.0);
                canvas.text(at, Anchor::Middle, "halo", number);
                canvas.text(at, Anchor::Middle, "ts", number);
                free = middle + half + UNDER_GAP;
            }
        }
    }
}

impl LineSeries {
    fn draw(&self, canvas: &mut Canvas, days: &Days, y: &Linear, share: bool) {
        if self.intervals.len() > 1 {
            let high = self.intervals.iter().map(|i| (days.middle(i.0), y.at(i.2)));
            let low =
                self.intervals.iter().rev().map(|i| (days.middle(i.0), y.at(i.1)));
            let d = polyline(high.chain(low).map(Some));
            canvas.path(&format!("{d}Z"), &format!("area{}", self.tone.max(1)));
        }
        let points: Vec<Option<(f64, f64)>> = self
            .points
            .iter()
            .map(|(range, value)| Some((days.middle(*range), y.at((*value)?))))
            .collect();
        canvas.path(&polyline(points.iter().copied()), &format!("l{}", self.tone));
        for ((range, value), point) in self.points.iter().zip(points) {
            if let (Some(value), Some(point)) = (value, point) {
                let value = if share { percent(*value) } else { whole(*value) };
                let words = format!("{}, {}: {value}", self.name, when(*range));
                canvas.named_dot(point, 2.6, &format!("f{}", self.tone), &words);
            }
        }
    }
}

/// Where steps of a line go: used by the panel of ranks too.
pub(super) fn steps(points: &[(f64, f64)], last_x: f64) -> String {
    let mut d = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 {
            append(&mut d, format_args!("M{} {}", px(*x), px(*y)));
        } else {
            append(&mut d, format_args!("H{}V{}", px(*x), px(*y)));
        }
    }
    if !points.is_empty() {
        append(&mut d, format_args!("H{}", px(last_x)));
    }
    d
}
