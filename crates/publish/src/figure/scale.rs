//! Scales from data to pixels, ticks at round numbers, and the width of text.
//!
//! **Invariant:** the domain of a scale of counts begins at zero, unless it is of their
//! logarithms.

use tidegauge_model::{Day, DayRange};

use crate::number::place;

/// Maps a range of values to a range of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) domain: (f64, f64),
    pub(crate) pixels: (f64, f64),
}

impl Linear {
    pub(crate) fn at(&self, value: f64) -> f64 {
        let span = self.domain.1 - self.domain.0;
        let share = if span > 0.0 { (value - self.domain.0) / span } else { 0.0 };
        share.mul_add(self.pixels.1 - self.pixels.0, self.pixels.0)
    }
}

/// Maps days to pixels; a day is placed at its noon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days {
    pub(crate) domain: DayRange,
    pub(crate) pixels: (f64, f64),
}

impl Days {
    /// The pixel of the noon of `day`.
    pub(crate) fn at(&self, day: Day) -> f64 {
        self.offset(f64::from(day.0 - self.domain.first().0) + 0.5)
    }

    /// The pixel of the first instant of `day`.
    pub(crate) fn start(&self, day: Day) -> f64 {
        self.offset(f64::from(day.0 - self.domain.first().0))
    }

    /// The pixel of the middle of `days`.
    pub(crate) fn middle(&self, days: DayRange) -> f64 {
        f64::midpoint(self.start(days.first()), self.start(days.last().plus(1)))
    }

    fn offset(&self, days: f64) -> f64 {
        let share = days / f64::from(self.domain.length_days());
        share.mul_add(self.pixels.1 - self.pixels.0, self.pixels.0)
    }
}

/// Ticks at 1, 2, 2.5 or 5 times a power of ten that cover `low` to `high`: at most
/// about `count` of them, zero among them if it lies between.
pub(crate) fn ticks(low: f64, high: f64, count: u32) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite()) || high <= low {
        return vec![0.0, 1.0];
    }
    let step = step((high - low) / f64::from(count.max(1)));
    let first = (low / step).floor();
    let last = (high / step - 1e-9).ceil();
    let mut ticks = Vec::new();
    let mut at = first;
    while at <= last && ticks.len() < 50 {
        ticks.push(at * step);
        at += 1.0;
    }
    ticks
}

/// The factor 2.5, which needs a power of at least ten to give whole numbers.
const QUARTER: std::ops::Range<f64> = 2.4..2.6;

fn step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    // Counts have no tick between whole numbers of a step of 2.5.
    let fits =
        |f: &&f64| **f * power >= raw * 0.999 && !(QUARTER.contains(*f) && power < 2.0);
    power * factors.iter().find(fits).copied().unwrap_or(10.0)
}

/// Width of a column that holds `names` in small type, at most `limit`.
pub(crate) fn names_width<'a>(names: impl Iterator<Item = &'a str>, limit: f64) -> f64 {
    names.map(|name| text_width(name, 12.0, false)).fold(0.0, f64::max).min(limit)
}

/// Moves positions apart until each is at least `gap` below the one before, staying
/// within `limits` if there is room. Returns them in the order given.
pub(crate) fn spread(wanted: &[f64], gap: f64, limits: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut placed = wanted.to_vec();
    let mut floor = limits.0;
    for &index in &order {
        placed[index] = placed[index].max(floor);
        floor = placed[index] + gap;
    }
    let mut ceiling = limits.1;
    for &index in order.iter().rev() {
        placed[index] = placed[index].min(ceiling);
        ceiling = placed[index] - gap;
    }
    placed
}

/// How wide `text` is in pixels, in the face of the figures.
pub(crate) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    let widths = if bold { &BOLD } else { &REGULAR };
    let width = |c: char| {
        let index = (c as usize).wrapping_sub(0x20);
        widths.get(index).copied().unwrap_or(OTHER)
    };
    let total: u32 = text.chars().map(|c| u32::from(width(c))).sum();
    f64::from(total) * size / 1000.0
}

/// Breaks `text` into lines no wider than `width` pixels.
pub(crate) fn wrap(text: &str, width: f64, size: f64, bold: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line)
                if text_width(&format!("{line} {word}"), size, bold) <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Breaks `text` into as few lines as fit `width`, of about equal length.
pub(crate) fn balanced(text: &str, width: f64, size: f64, bold: bool) -> Vec<String> {
    let lines = wrap(text, width, size, bold);
    let fewest = lines.len();
    let mut best = lines;
    let mut narrower = width;
    while fewest > 1 && narrower > width / 2.0 {
        narrower -= 10.0;
        let lines = wrap(text, narrower, size, bold);
        if lines.len() > fewest {
            break;
        }
        best = lines;
    }
    best
}

/// Cuts `text` to `width` pixels, with an ellipsis if anything was cut.
pub(crate) fn fitted(text: &str, width: f64, size: f64, bold: bool) -> String {
    if text_width(text, size, bold) <= width {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while !kept.is_empty() && text_width(&format!("{kept}…"), size, bold) > width {
        kept.pop();
    }
    format!("{}…", kept.trim_end())
}

/// Evenly spaced positions: the middle of the `index`th of rows of `height`.
pub(crate) fn row(index: usize, height: f64) -> f64 {
    (place(index) + 0.5) * height
}

/// Width of a character that is not in the tables, in thousandths of the size.
const OTHER: u16 = 620;

/// Advance widths of `' '..='~'` in thousandths of the size, read from
/// `assets/public-sans-regular.ttf`.
const REGULAR: [u16; 95] = [
    243, 251, 426, 603, 658, 904, 708, 248, 302, 309, 394, 554, 242, 378, 225, 350,
    645, 645, 645, 645, 645, 645, 645, 645, 645, 645, 226, 240, 546, 554, 546, 521,
    831, 710, 670, 688, 694, 620, 594, 733, 766, 283, 388, 682, 578, 886, 754, 734,
    636, 748, 676, 670, 594, 700, 672, 954, 688, 607, 637, 303, 350, 303, 473, 518,
    218, 553, 596, 544, 596, 566, 396, 622, 576, 248, 262, 562, 303, 865, 577, 566,
    596, 596, 391, 506, 389, 580, 504, 780, 564, 535, 480, 328, 263, 332, 568,
];

/// The same for `assets/public-sans-bold.ttf`.
const BOLD: [u16; 95] = [
    226, 282, 480, 616, 680, 939, 784, 261, 333, 336, 473, 588, 277, 393, 270, 381,
    665, 665, 665, 665, 665, 665, 665, 665, 665, 665, 270, 278, 578, 588, 578, 534,
    828, 726, 684, 718, 720, 634, 614, 759, 770, 308, 402, 717, 578, 918, 782, 760,
    652, 773, 696, 692, 616, 724, 704, 968, 717, 668, 670, 337, 381, 337, 484, 553,
    264, 566, 608, 547, 608, 576, 396, 628, 592, 267, 288, 580, 329, 896, 593, 576,
    607, 607, 412, 527, 416, 595, 520, 788, 588, 563, 496, 384, 268, 384, 612,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        assert_eq!(ticks(0.0, 7.03e6, 4), [0.0, 2e6, 4e6, 6e6, 8e6]);
        assert_eq!(ticks(0.0, 22_014.0, 4).last(), Some(&30_000.0));
        assert_eq!(ticks(-0.1, 0.9, 5).first(), Some(&-0.2));
        assert_eq!(ticks(0.0, 0.0, 4), [0.0, 1.0]);
        assert_eq!(ticks(0.0, f64::NAN, 4), [0.0, 1.0]);
    }

    #[test]
    fn labels_are_spread_but_stay_inside() {
        assert_eq!(spread(&[10.0, 12.0], 20.0, (0.0, 100.0)), [10.0, 30.0]);
        assert_eq!(spread(&[99.0, 98.0], 20.0, (0.0, 100.0)), [100.0, 80.0]);
    }

    #[test]
    fn wrapped_lines_fit() {
        let lines = wrap("visibility is not separated from usage", 90.0, 13.0, false);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|l| text_width(l, 13.0, false) <= 90.0));
        assert!(fitted("Kazakhstan", 40.0, 13.0, false).ends_with('…'));
    }
}
