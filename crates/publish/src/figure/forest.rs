//! Estimates with their intervals: a dot on a line, two quantities side by side.
//!
//! **Invariant:** both columns have one scale.

use super::canvas::{Anchor, Canvas};
use super::is_narrow;
use super::scale::{Linear, fitted, row, text_width, ticks};
use crate::number::{percent, percent_span, place};

/// Rows with an estimate in each of two columns.
#[derive(Clone, Debug)]
pub(crate) struct ForestChart {
    pub(crate) columns: (String, String),
    pub(crate) rows: Vec<ForestRow>,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct ForestRow {
    pub(crate) name: String,
    /// All units together: drawn bold, ruled off.
    pub(crate) total: bool,
    pub(crate) left: Column,
    pub(crate) right: Column,
}

/// What stands in a column of a row: an estimate, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Column {
    Dot(Dot),
    Words(&'static str),
}

impl Column {
    fn dot(self) -> Option<Dot> {
        match self {
            Self::Dot(dot) => Some(dot),
            Self::Words(_) => None,
        }
    }
}

/// An estimate and its interval, as shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dot {
    pub(crate) value: f64,
    pub(crate) interval: Option<(f64, f64)>,
}

/// The lowest end of the scale, a doubling: below it only figures tell how far it goes.
const LOWEST: f64 = -1.0;
const HEAD: f64 = 46.0;
/// Room that `100%` in bold needs, and a gap.
const FIGURE_ROOM: f64 = 44.0;
/// Room for an interval beside its figure.
const SPAN_ROOM: f64 = 62.0;
/// Room that the label of a tick needs.
const TICK_ROOM: f64 = 40.0;

impl ForestChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let names = self
            .rows
            .iter()
            .map(|r| text_width(&r.name, 13.0, r.total))
            .fold(0.0, f64::max)
            .min(170.0);
        let left = if narrow { 0.0 } else { names + 22.0 };
        let gap = if narrow { 18.0 } else { 30.0 };
        let column = (width - left - gap) / 2.0;
        let row_height = if narrow { 50.0 } else { 30.0 };
        let body = place(self.rows.len()) * row_height;
        let mut canvas = Canvas::new(width, HEAD + body + 8.0);
        let columns =
            [(left, &self.columns.0, "1"), (left + column + gap, &self.columns.1, "2")];
        for (index, (x, name, tone)) in columns.into_iter().enumerate() {
            let room = if narrow { 0.0 } else { 112.0 };
            let scale = self.scale(x, x + column - room);
            canvas.text((x, 13.0), Anchor::Start, &format!("t{tone}"), name);
            axis(&mut canvas, &scale, (x - gap / 2.0, x + column));
            for at in 0..self.rows.len() {
                let y = HEAD + row(at, row_height);
                let lines =
                    if narrow { (y + 4.0, y + 22.0) } else { (y - 15.0, y + 15.0) };
                grid(&mut canvas, &scale, lines);
            }
            for (at, entry) in self.rows.iter().enumerate() {
                let y = HEAD + row(at, row_height) + if narrow { 13.0 } else { 0.0 };
                let cell = if index == 0 { entry.left } else { entry.right };
                draw_cell(&mut canvas, &scale, cell, y, tone, narrow, x + column);
            }
        }
        // On a phone the name and the figure of the first column share a line.
        let room = if narrow { column - FIGURE_ROOM } else { left - 22.0 };
        self.names(&mut canvas, left, room, row_height, narrow);
        canvas
    }

    fn scale(&self, from: f64, to: f64) -> Linear {
        let cells = self.rows.iter().flat_map(|r| [r.left, r.right]);
        let dots = cells.filter_map(Column::dot);
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for dot in dots {
            let (from, to) = dot.interval.unwrap_or((dot.value, dot.value));
            low = low.min(from).min(dot.value);
            high = high.max(to).max(dot.value);
        }
        let steps = ticks(low.max(LOWEST), high.max(0.1), 5);
        let ends = (
            steps.first().copied().unwrap_or(0.0),
            steps.last().copied().unwrap_or(1.0).min(1.0),
        );
        Linear { domain: ends, pixels: (from + 6.0, to - 6.0) }
    }

    fn names(
        &self,
        canvas: &mut Canvas,
        left: f64,
        room: f64,
        row_height: f64,
        narrow: bool,
    ) {
        for (index, entry) in self.rows.iter().enumerate() {
            let y = HEAD + row(index, row_height);
            let class = if entry.total { "tb" } else { "t" };
            if narrow {
                let name = fitted(&entry.name, room, 13.0, entry.total);
                canvas.text((0.0, y - 8.0), Anchor::Start, class, &name);
            } else {
                let name = fitted(&entry.name, room, 13.0, entry.total);
                canvas.text((left - 12.0, y + 4.5), Anchor::End, class, &name);
            }
        }
    }
}

/// Ticks that lie in the domain.
fn inside(scale: &Linear) -> Vec<f64> {
    let mut all = ticks(scale.domain.0, scale.domain.1, 5);
    all.retain(|t| *t <= scale.domain.1 + 1e-9);
    all
}

/// Labels of ticks, as many as there is room for, zero among them; none leaves the column.
fn axis(canvas: &mut Canvas, scale: &Linear, (from, to): (f64, f64)) {
    let all = inside(scale);
    let apart = match all.as_slice() {
        [first, second, ..] => scale.at(*second) - scale.at(*first),
        _ => return,
    };
    let stride = (TICK_ROOM / apart).ceil().max(1.0);
    for tick in &all {
        let steps = tick / (all[1] - all[0]);
        let off = (steps / stride).round().mul_add(-stride, steps).abs();
        if off < 1e-6 {
            let label = percent(*tick);
            let half = text_width(&label, 12.0, false) / 2.0;
            let x = scale.at(*tick).min(to - half).max(from.max(0.0) + half);
            canvas.text((x, HEAD - 13.0), Anchor::Middle, "ts", &label);
        }
    }
}

fn grid(canvas: &mut Canvas, scale: &Linear, (from, to): (f64, f64)) {
    for tick in inside(scale) {
        let x = scale.at(tick);
        let class = if tick.abs() < 1e-9 { "base" } else { "grid" };
        canvas.line((x, from), (x, to), class);
    }
}

fn draw_cell(
    canvas: &mut Canvas,
    scale: &Linear,
    cell: Column,
    y: f64,
    tone: &str,
    narrow: bool,
    end: f64,
) {
    let dot = match cell {
        Column::Dot(dot) => dot,
        Column::Words(words) => {
            let at = (scale.pixels.0 + 6.0, y + 4.5);
            canvas.text(at, Anchor::Start, "ts", words);
            return;
        }
    };
    let floor = scale.domain.0;
    if let Some((low, high)) = dot.interval {
        let class = format!("l{tone} thin");
        let ends = (scale.at(low.max(floor)), scale.at(high.max(floor)));
        canvas.line((ends.0, y), (ends.1, y), &class);
        for (value, at) in [(low, ends.0), (high, ends.1)] {
            if value >= floor {
                canvas.line((at, y - 4.0), (at, y + 4.0), &class);
            }
        }
    }
    let x = scale.at(dot.value);
    if dot.value < floor {
        let at = (scale.pixels.0, y + 4.5);
        canvas.text(at, Anchor::Start, &format!("t{tone}"), "\u{2039}");
    } else if tone == "2" {
        canvas.dot((x, y), 4.4, "hollow");
    } else {
        canvas.dot((x, y), 4.8, "f1");
    }
    let value = percent(dot.value);
    let span = dot.interval.map(|(low, high)| percent_span(low, high));
    if narrow {
        let at = (end, y - 21.0);
        let text = span.map_or(value.clone(), |s| format!("{value} ({s})"));
        let class = format!("t{tone}");
        // The left column shares its line with the row's name, so only the value fits.
        let text = if tone == "1" { value } else { text };
        canvas.text(at, Anchor::End, &class, &text);
    } else {
        let span = span.unwrap_or_default();
        // As wide as `58–66%`, or as wide as it is.
        let from = end - text_width(&span, 12.0, false).max(SPAN_ROOM);
        canvas.text((from - 6.0, y + 4.5), Anchor::End, &format!("t{tone}"), &value);
        if !span.is_empty() {
            canvas.text((from, y + 4.5), Anchor::Start, "ts", &span);
        }
    }
}
