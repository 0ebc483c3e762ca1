//! Bars over time, a row each: who held what, and when there was contact.
//!
//! **Invariant:** a day that is not in a bar is not drawn: an empty stretch means that
//! nothing was known or seen, and the words beside the figure say which.

use tidegauge_model::{DayRange, Month};

use super::canvas::{Anchor, Canvas};
use super::events::{EventMark, Events};
use super::is_narrow;
use super::scale::{Days, fitted, names_width};
use crate::number::{month_short, place};

/// Rows of bars over one axis of days.
#[derive(Clone, Debug)]
pub(crate) struct SpanChart {
    pub(crate) period: DayRange,
    pub(crate) rows: Vec<SpanRow>,
    pub(crate) events: Vec<EventMark>,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct SpanRow {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// One bar; `words` are what it tells when it is pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) days: DayRange,
    pub(crate) tone: Tone,
    pub(crate) words: String,
}

/// What a bar is, by its colour; its words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// What counts.
    Strong,
    /// What does not.
    Quiet,
}

const ROW: f64 = 22.0;
const AXIS: f64 = 40.0;
/// Room that the name of a month needs.
const MONTH: f64 = 30.0;

impl SpanChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let limit = if narrow { 120.0 } else { 230.0 };
        let names = names_width(self.rows.iter().map(|r| r.name.as_str()), limit);
        let days = Days { domain: self.period, pixels: (names + 12.0, width - 4.0) };
        let events = Events::placed(&self.events, &days, width, narrow);
        let top = events.height + 8.0;
        let bottom = place(self.rows.len()).mul_add(ROW, top);
        let key = events.key(width);
        let mut canvas = Canvas::new(width, bottom + AXIS + key.height);
        for (index, row) in self.rows.iter().enumerate() {
            let y = place(index).mul_add(ROW, top);
            let name = fitted(&row.name, names, 12.0, false);
            canvas.text((names + 2.0, y + 14.0), Anchor::End, "tx", &name);
            canvas.line(
                (days.pixels.0, y + ROW),
                (days.pixels.1, y + ROW),
                if index + 1 == self.rows.len() { "base" } else { "grid" },
            );
            row.draw(&mut canvas, &days, y);
        }
        events.lines(&mut canvas, bottom);
        events.labels(&mut canvas);
        self.axis(&mut canvas, &days, bottom);
        canvas.place(0.0, bottom + AXIS, &key);
        canvas
    }

    /// As many months as there is room for, and the years below.
    fn axis(&self, canvas: &mut Canvas, days: &Days, bottom: f64) {
        let months: Vec<Month> = self.period.months().collect();
        let room = (days.pixels.1 - days.pixels.0) / place(months.len().max(1));
        let every = [1, 2, 3, 6, 12].into_iter().find(|n| place(*n) * room >= MONTH);
        let every = every.unwrap_or(12);
        let mut year = None;
        for month in months {
            let first = month.first().max(self.period.first());
            let x = days.start(first);
            let number = usize::from(month.number().unsigned_abs()) - 1;
            if number.is_multiple_of(every) && days.pixels.1 - x >= MONTH {
                let at = (x, bottom + 16.0);
                canvas.text(at, Anchor::Start, "tm", month_short(month));
            }
            let new_year = year.replace(month.year()) != Some(month.year());
            if new_year && days.pixels.1 - x >= MONTH {
                let name = month.year().to_string();
                canvas.text((x, bottom + 32.0), Anchor::Start, "tb", &name);
            }
        }
    }
}

impl SpanRow {
    fn draw(&self, canvas: &mut Canvas, days: &Days, top: f64) {
        for bar in &self.bars {
            let (from, to) =
                (days.start(bar.days.first()), days.start(bar.days.last().plus(1)));
            let class = match bar.tone {
                Tone::Strong => "f1",
                Tone::Quiet => "soft",
            };
            canvas.named_rect(
                (from, top + 4.0),
                ((to - from - 0.8).max(1.0), ROW - 8.0),
                class,
                &bar.words,
            );
        }
    }
}
