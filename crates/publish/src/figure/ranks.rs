//! Positions of host names in a public list, one small panel each: the product's hosts
//! beside those of products that no act addressed.
//!
//! **Invariant:** a position is a tier, drawn as steps; nothing is drawn between two
//! snapshots but the older of them.

use tidegauge_model::{Day, DayRange};

use super::canvas::{Anchor, Canvas};
use super::events::EventMark;
use super::is_narrow;
use super::line::steps;
use super::scale::{Days, Linear, fitted, spread, wrap};
use crate::number::{days as in_words, place};

/// Two columns of panels.
#[derive(Clone, Debug)]
pub(crate) struct RankGrid {
    pub(crate) days: DayRange,
    /// Names of the tiers, best first, and of what is outside them.
    pub(crate) tiers: Vec<String>,
    pub(crate) columns: [RankColumn; 2],
    pub(crate) events: Vec<EventMark>,
}

/// One column of panels.
#[derive(Clone, Debug)]
pub(crate) struct RankColumn {
    pub(crate) name: String,
    pub(crate) tone: u8,
    pub(crate) hosts: Vec<RankLine>,
}

/// One host: level 0 is the best tier; the level after the last tier is "outside".
#[derive(Clone, Debug)]
pub(crate) struct RankLine {
    pub(crate) host: String,
    pub(crate) note: String,
    pub(crate) levels: Vec<(Day, u8)>,
}

const PANEL: f64 = 58.0;
const NAME: f64 = 26.0;
const HEAD: f64 = 34.0;
const LABELS: f64 = 62.0;

impl RankGrid {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let gap = 26.0;
        // The first column has the labels of the tiers too; the panels are equally wide.
        let column = if narrow { width } else { (width - gap - LABELS) / 2.0 };
        let drawn: Vec<Canvas> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, c)| match (narrow, index) {
                (true, _) => self.column(c, column, true),
                (false, 0) => self.column(c, column + LABELS, true),
                (false, _) => self.column(c, column, false),
            })
            .collect();
        let tallest = drawn.iter().map(|c| c.height).fold(0.0, f64::max);
        let stacked: f64 = drawn.iter().map(|c| c.height + 18.0).sum();
        let key = self.key(width);
        let height = if narrow { stacked } else { tallest };
        let mut canvas = Canvas::new(width, height + key.height);
        let mut y = 0.0;
        for (index, part) in drawn.iter().enumerate() {
            let x = if narrow { 0.0 } else { place(index) * (column + LABELS + gap) };
            canvas.place(x, y, part);
            y += if narrow { part.height + 18.0 } else { 0.0 };
        }
        canvas.place(0.0, height, &key);
        canvas
    }

    fn column(&self, column: &RankColumn, width: f64, labels: bool) -> Canvas {
        let left = if labels { LABELS } else { 0.0 };
        let days = Days { domain: self.days, pixels: (left, width) };
        let body = place(column.hosts.len()) * (PANEL + NAME);
        let mut canvas = Canvas::new(width, HEAD + body + 22.0);
        let class = format!("t{}", column.tone);
        canvas.text((left, 13.0), Anchor::Start, &class, &column.name);
        let wanted: Vec<f64> =
            self.events.iter().map(|e| days.at(e.days.first())).collect();
        let placed = spread(&wanted, 11.0, (left, width));
        for (index, (x, label_x)) in wanted.iter().zip(placed).enumerate() {
            canvas.line((*x, HEAD - 2.0), (*x, HEAD + body), "event");
            let at = (label_x, HEAD - 5.0);
            canvas.text(at, Anchor::Middle, "tb", &(index + 1).to_string());
        }
        for (index, host) in column.hosts.iter().enumerate() {
            let top = place(index).mul_add(PANEL + NAME, HEAD);
            self.panel(&mut canvas, &days, host, column.tone, top, labels);
        }
        self.years(&mut canvas, &days, HEAD + body);
        canvas
    }

    fn panel(
        &self,
        canvas: &mut Canvas,
        days: &Days,
        host: &RankLine,
        tone: u8,
        top: f64,
        labels: bool,
    ) {
        let worst = place(self.tiers.len().saturating_sub(1)).max(1.0);
        let y = Linear {
            domain: (0.0, worst),
            pixels: (top + NAME, top + NAME + PANEL - 12.0),
        };
        let room = days.pixels.1 - days.pixels.0;
        let name = format!("{} ({})", host.host, host.note);
        let name = fitted(&name, room, 12.0, false);
        canvas.text((days.pixels.0, top + 15.0), Anchor::Start, "halo", &name);
        canvas.text((days.pixels.0, top + 15.0), Anchor::Start, "tx", &name);
        for (level, tier) in self.tiers.iter().enumerate() {
            let at = y.at(place(level));
            canvas.line((days.pixels.0, at), (days.pixels.1, at), "grid");
            let ends = level == 0 || level + 1 == self.tiers.len();
            if labels && ends {
                let at = (days.pixels.0 - 7.0, at + 4.0);
                canvas.text(at, Anchor::End, "ts", tier);
            }
        }
        let points: Vec<(f64, f64)> = host
            .levels
            .iter()
            .map(|(day, level)| (days.at(*day), y.at(f64::from(*level))))
            .collect();
        let last = points.last().map_or(days.pixels.0, |p| p.0);
        canvas.path(&steps(&points, last), &format!("l{tone} thin"));
    }

    fn years(&self, canvas: &mut Canvas, days: &Days, y: f64) {
        let (first, last) =
            (self.days.first().date().year(), self.days.last().date().year());
        for year in first..=last {
            let Some(start) = Day::from_date(year, 1, 1) else { continue };
            if !self.days.contains(start) {
                continue;
            }
            let x = days.start(start);
            canvas.line((x, y), (x, y + 5.0), "base");
            if x + 28.0 <= days.pixels.1 {
                canvas.text(
                    (x + 3.0, y + 14.0),
                    Anchor::Start,
                    "ts",
                    &year.to_string(),
                );
            }
        }
        canvas.line((days.pixels.0, y), (days.pixels.1, y), "base");
    }

    fn key(&self, width: f64) -> Canvas {
        let mut canvas = Canvas::new(width, 0.0);
        let mut y = 4.0;
        for (index, event) in self.events.iter().enumerate() {
            y += 17.0;
            canvas.text((0.0, y), Anchor::Start, "tb", &(index + 1).to_string());
            let text = format!("{}: {}", in_words(event.days), event.label);
            for (at, line) in wrap(&text, width - 20.0, 12.0, false).iter().enumerate()
            {
                y += if at == 0 { 0.0 } else { 15.0 };
                canvas.text((18.0, y), Anchor::Start, "tx", line);
            }
        }
        canvas.height = if self.events.is_empty() { 0.0 } else { y + 8.0 };
        canvas
    }
}
