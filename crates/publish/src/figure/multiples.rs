//! Small multiples: one little panel a population, all of one scale.
//!
//! **Invariant:** every panel has the same axes, from zero; a month without a value breaks
//! the line.

use tidegauge_model::DayRange;

use super::canvas::{Anchor, Canvas, polyline};
use super::scale::{Days, Linear, fitted, text_width, ticks};
use super::{is_narrow, tick_label};
use crate::number::{month_short, percent, place};

/// Panels of one scale.
#[derive(Clone, Debug)]
pub(crate) struct MultiplesChart {
    pub(crate) period: DayRange,
    /// The months compared, drawn as bands.
    pub(crate) windows: (DayRange, DayRange),
    pub(crate) panels: Vec<Panel>,
}

/// One panel.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// What stands beside the name.
    pub(crate) note: String,
    /// Share of the month before, absent where suppressed.
    pub(crate) points: Vec<(DayRange, Option<f64>)>,
}

const HEIGHT: f64 = 96.0;
const HEAD: f64 = 22.0;
const FOOT: f64 = 30.0;
const GAP: f64 = 26.0;
/// Room for the labels of the scale, left of each panel.
const SCALE: f64 = 40.0;

impl MultiplesChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let columns = if is_narrow(width) { 1 } else { 3 };
        let column = (width - GAP * (place(columns) - 1.0)) / place(columns);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let row = HEAD + HEIGHT + FOOT;
        let mut canvas = Canvas::new(width, place(rows) * row);
        let values =
            self.panels.iter().flat_map(|p| p.points.iter().filter_map(|p| p.1));
        let high = values.fold(1.0, f64::max);
        for (index, panel) in self.panels.iter().enumerate() {
            let left = place(index % columns) * (column + GAP);
            let top = place(index / columns) * row;
            self.panel(&mut canvas, panel, (left, top), column, high);
        }
        canvas
    }

    fn panel(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        (left, top): (f64, f64),
        width: f64,
        high: f64,
    ) {
        let days = Days { domain: self.period, pixels: (left + SCALE, left + width) };
        let steps = ticks(0.0, high, 3);
        let last = steps.last().copied().unwrap_or(1.0);
        let (from, to) = (top + HEAD + HEIGHT, top + HEAD + 8.0);
        let y = Linear { domain: (0.0, last), pixels: (from, to) };
        let note = text_width(&panel.note, 13.0, true);
        let name = fitted(&panel.name, width - note - 12.0, 13.0, true);
        canvas.text((left, top + 14.0), Anchor::Start, "tb", &name);
        canvas.text((left + width, top + 14.0), Anchor::End, "t1", &panel.note);
        for window in [self.windows.0, self.windows.1] {
            let start = days.start(window.first());
            let end = days.start(window.last().plus(1));
            canvas.rect((start, to), (end - start, from - to), "band");
        }
        for tick in &steps {
            let at = y.at(*tick);
            let class = if *tick == 0.0 { "base" } else { "grid" };
            canvas.line((left + SCALE, at), (left + width, at), class);
            let label = tick_label(*tick, last, true);
            canvas.text((left + SCALE - 6.0, at + 4.0), Anchor::End, "ts", &label);
        }
        let points: Vec<Option<(f64, f64)>> = panel
            .points
            .iter()
            .map(|(month, value)| Some((days.middle(*month), y.at((*value)?))))
            .collect();
        canvas.path(&polyline(points.iter().copied()), "l1");
        for ((month, value), point) in panel.points.iter().zip(points) {
            if let (Some(value), Some(point)) = (value, point) {
                let words =
                    format!("{}: {}", crate::number::days(*month), percent(*value));
                canvas.named_dot(point, 2.4, "f1", &words);
            }
        }
        let months = [self.period.first(), self.period.last()].map(|d| d.month());
        let name = |m| format!("{} {}", month_short(m), m.year());
        let at = from + 16.0;
        canvas.text((left + SCALE, at), Anchor::Start, "ts", &name(months[0]));
        canvas.text((left + width, at), Anchor::End, "ts", &name(months[1]));
    }
}
