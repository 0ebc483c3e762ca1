//! One figure under every set of choices, in order of size, over what was chosen: a
//! specification curve (Simonsohn, Simmons and Nelson 2020).
//!
//! **Invariant:** every set has a column, also one under which there is no figure.

use super::canvas::{Anchor, Canvas};
use super::scale::{Linear, fitted, names_width, spread, ticks};
use super::{is_narrow, tick_label};
use crate::number::{percent, place};

/// Columns of dots over rows of marks.
#[derive(Clone, Debug)]
pub(crate) struct ChoicesChart {
    /// Of whom each value of a set is, with its tone: 0 grey, 1 and 2 colours.
    pub(crate) groups: Vec<(String, u8)>,
    /// In the order in which they are drawn.
    pub(crate) sets: Vec<ChoiceSet>,
    /// Name of each choice, and its values.
    pub(crate) choices: Vec<(String, Vec<String>)>,
}

/// One set of choices.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceSet {
    /// The share of each group.
    pub(crate) values: Vec<Option<f64>>,
    /// Of each choice the place of its value.
    pub(crate) chosen: Vec<Option<usize>>,
    /// Whether it is the one that the other figures of the page are made with.
    pub(crate) asked: bool,
    /// The choices in words.
    pub(crate) words: String,
}

/// Room above the dots, for the name of the set that was asked for.
const HEAD: f64 = 22.0;
/// Height of the dots.
const TALL: f64 = 170.0;
/// Height of the line that names a choice.
const NAME: f64 = 26.0;
/// Height of a value's row.
const ROW: f64 = 17.0;

struct Frame {
    left: f64,
    column: f64,
    right: f64,
    y: Linear,
}

impl Frame {
    fn x(&self, index: usize) -> f64 {
        (place(index) + 0.5).mul_add(self.column, self.left)
    }
}

impl ChoicesChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let narrow = is_narrow(width);
        let values = self.choices.iter().flat_map(|(_, values)| values);
        let names =
            names_width(values.map(String::as_str), if narrow { 76.0 } else { 150.0 });
        let right = width - if narrow { 98.0 } else { 110.0 };
        let left = names.max(36.0) + 12.0;
        let all = || self.sets.iter().flat_map(|s| &s.values).flatten().copied();
        let (low, high) = (
            all().fold(f64::INFINITY, f64::min),
            all().fold(f64::NEG_INFINITY, f64::max),
        );
        let steps = ticks(low, high, 4);
        let ends = (steps.first().copied(), steps.last().copied());
        let domain = (ends.0.unwrap_or(0.0), ends.1.unwrap_or(1.0));
        let frame = Frame {
            left,
            column: (right - left) / place(self.sets.len().max(1)),
            right,
            y: Linear { domain, pixels: (HEAD + TALL, HEAD + 8.0) },
        };
        let rows =
            |(_, values): &(String, Vec<String>)| NAME + ROW * place(values.len());
        let height =
            HEAD + TALL + 10.0 + self.choices.iter().map(rows).sum::<f64>() + 6.0;
        let mut canvas = Canvas::new(width, height);
        for tick in &steps {
            let at = frame.y.at(*tick);
            canvas.line((left, at), (right, at), "grid");
            let label = tick_label(*tick, domain.1, true);
            canvas.text((left - 8.0, at + 4.0), Anchor::End, "ts", &label);
        }
        self.asked(&mut canvas, &frame, height - 6.0);
        self.dots(&mut canvas, &frame);
        self.ends(&mut canvas, &frame, width);
        self.chosen(&mut canvas, &frame, names);
        canvas
    }

    /// A line through the set that was asked for, with a name.
    fn asked(&self, canvas: &mut Canvas, frame: &Frame, bottom: f64) {
        let Some(index) = self.sets.iter().position(|set| set.asked) else { return };
        let x = frame.x(index);
        canvas.line((x, HEAD - 6.0), (x, bottom), "event");
        let anchor = match x {
            x if x < frame.left + 60.0 => Anchor::Start,
            x if x > frame.right - 60.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        canvas.text((x, HEAD - 10.0), anchor, "tx", "as assessed");
    }

    fn dots(&self, canvas: &mut Canvas, frame: &Frame) {
        for (index, set) in self.sets.iter().enumerate() {
            for ((name, tone), value) in self.groups.iter().zip(&set.values) {
                let Some(value) = value else { continue };
                let radius = if set.asked { 4.2 } else { 2.6 };
                let at = (frame.x(index), frame.y.at(*value));
                let words = format!("{name}, {}: {}", set.words, percent(*value));
                canvas.named_dot(at, radius, &format!("f{tone}"), &words);
            }
        }
    }

    /// Names each group beside its last dot, in its colour.
    fn ends(&self, canvas: &mut Canvas, frame: &Frame, width: f64) {
        let last = |group: usize| {
            self.sets
                .iter()
                .rev()
                .find_map(|set| set.values.get(group).copied().flatten())
        };
        let groups: Vec<(&(String, u8), f64)> = self
            .groups
            .iter()
            .enumerate()
            .filter_map(|(i, group)| Some((group, last(i)?)))
            .collect();
        let wanted: Vec<f64> =
            groups.iter().map(|(_, value)| frame.y.at(*value)).collect();
        let placed = spread(&wanted, 18.0, (frame.y.pixels.1, frame.y.pixels.0));
        for (((name, tone), _), at) in groups.iter().zip(placed) {
            let room = width - frame.right - 8.0;
            let name = fitted(name, room, 13.0, true);
            canvas.text(
                (frame.right + 8.0, at + 4.0),
                Anchor::Start,
                &format!("t{tone}"),
                &name,
            );
        }
    }

    /// Under each column marks of what was chosen.
    fn chosen(&self, canvas: &mut Canvas, frame: &Frame, names: f64) {
        let mut y = HEAD + TALL + 10.0;
        let wide = (frame.column * 0.72).min(9.0);
        for (choice, (name, values)) in self.choices.iter().enumerate() {
            canvas.text((0.0, y + 18.0), Anchor::Start, "tb", name);
            y += NAME;
            for (value, label) in values.iter().enumerate() {
                let label = fitted(label, names, 12.0, false);
                canvas.text((frame.left - 8.0, y + 12.0), Anchor::End, "ts", &label);
                canvas.line((frame.left, y + 8.0), (frame.right, y + 8.0), "grid");
                for (index, set) in self.sets.iter().enumerate() {
                    if set.chosen.get(choice).copied().flatten() == Some(value) {
                        let at = (frame.x(index) - wide / 2.0, y + 3.0);
                        let class = if set.asked { "f1" } else { "f0" };
                        canvas.rect(at, (wide, 10.0), class);
                    }
                }
                y += ROW;
            }
        }
    }
}
