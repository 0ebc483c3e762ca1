//! A strip of weeks per vantage: how much of the time there was data.
//!
//! **Invariant:** a week without data is an empty frame, never the palest shade.

use tidegauge_model::{Month, Week};

use super::canvas::{Anchor, Canvas, append, px};
use super::is_narrow;
use super::scale::{fitted, names_width, text_width};
use crate::number::{month_short, place};

/// Rows of weeks.
#[derive(Clone, Debug)]
pub(crate) struct HeatStrip {
    pub(crate) weeks: Vec<Week>,
    pub(crate) rows: Vec<HeatRow>,
}

/// One vantage: for each week the share of hours with any flow, `None` if there was no
/// coverage at all.
#[derive(Clone, Debug)]
pub(crate) struct HeatRow {
    pub(crate) name: String,
    pub(crate) hours: Vec<Option<f64>>,
}

const HEAD: f64 = 24.0;

impl HeatStrip {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let limit = if narrow { 96.0 } else { 180.0 };
        let names = names_width(self.rows.iter().map(|r| r.name.as_str()), limit);
        let left = names + 12.0;
        let cell = (width - left) / place(self.weeks.len().max(1));
        let height = 20.0;
        let foot = HEAD + place(self.rows.len()) * height + 10.0;
        let mut canvas = Canvas::new(width, foot + if narrow { 40.0 } else { 20.0 });
        self.months(&mut canvas, left, cell, narrow);
        for (index, row) in self.rows.iter().enumerate() {
            let y = place(index).mul_add(height, HEAD);
            let name = fitted(&row.name, names, 12.0, false);
            canvas.text((left - 10.0, y + 14.0), Anchor::End, "tx", &name);
            row.draw(&mut canvas, left, y, cell, height);
        }
        key(&mut canvas, if narrow { 0.0 } else { left }, foot, width);
        canvas
    }

    fn months(&self, canvas: &mut Canvas, left: f64, cell: f64, narrow: bool) {
        let mut seen: Option<Month> = None;
        for (index, week) in self.weeks.iter().enumerate() {
            // A week is named by the month of its Thursday, as ISO 8601 does.
            let month = week.monday().plus(3).month();
            if seen.replace(month) == Some(month) {
                continue;
            }
            let name = month_short(month);
            let name = if narrow { name.get(..1).unwrap_or(name) } else { name };
            let at = (place(index).mul_add(cell, left), 14.0);
            if index > 0 && index + 2 >= self.weeks.len() {
                continue;
            }
            canvas.text(at, Anchor::Start, "ts", name);
        }
    }
}

/// Lower ends of the shades, as shares of the hours of a week.
const SHADES: [(f64, &str, &str); 4] = [
    (0.0, "h1", "under 50%"),
    (0.5, "h2", "50\u{2013}90%"),
    (0.9, "h3", "over 90%"),
    (0.999, "h4", "all hours"),
];

impl HeatRow {
    fn draw(&self, canvas: &mut Canvas, left: f64, top: f64, cell: f64, height: f64) {
        let gap = if cell > 7.0 { 1.5 } else { 0.8 };
        for class in ["h0", "h1", "h2", "h3", "h4"] {
            let mut d = String::new();
            for (index, hours) in self.hours.iter().enumerate() {
                if shade(*hours) != class {
                    continue;
                }
                let inset = if class == "h0" { 0.5 } else { 0.0 };
                let x = place(index).mul_add(cell, left) + inset;
                let wide = px(cell - gap - 2.0 * inset);
                let high = px(height - 3.0 - 2.0 * inset);
                let (x, y) = (px(x), px(top + inset));
                append(&mut d, format_args!("M{x} {y}h{wide}v{high}h-{wide}z"));
            }
            if !d.is_empty() {
                canvas.path(&d, class);
            }
        }
    }
}

fn shade(hours: Option<f64>) -> &'static str {
    let Some(hours) = hours else { return "h0" };
    SHADES.iter().rev().find(|s| hours >= s.0).map_or("h1", |s| s.1)
}

/// What the shades mean, on a second line where the first is full.
fn key(canvas: &mut Canvas, from: f64, y: f64, width: f64) {
    let (mut x, mut y) = (from, y);
    let shades = SHADES.iter().map(|s| (s.1, s.2));
    for (class, label) in std::iter::once(("h0", "no data")).chain(shades) {
        let wide = text_width(label, 12.0, false) + 16.0;
        if x + wide > width {
            (x, y) = (from, y + 20.0);
        }
        canvas.rect((x + 0.5, y + 0.5), (11.0, 11.0), class);
        canvas.text((x + 16.0, y + 10.5), Anchor::Start, "ts", label);
        x += wide + 16.0;
    }
}
