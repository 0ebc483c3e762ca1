//! Dotted lines at days, with their labels in rows above the panels of a figure. Where
//! sources give several days for an event, all of them are shaded, and the line stands at
//! the first.
//!
//! **Invariant:** no label overlaps another, and no line is drawn over one.

use tidegauge_model::DayRange;

use super::canvas::{Anchor, Canvas};
use super::scale::{Days, text_width, wrap};
use crate::number::{days_short, place};

/// Height of the row of one event label.
const EVENT_ROW: f64 = 18.0;

/// Narrowest shade, in pixels: what is drawn must be seen.
const SHADE_MIN: f64 = 4.0;

/// A dotted line at a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventMark {
    /// One day, or all on which it may have been.
    pub(crate) days: DayRange,
    pub(crate) label: String,
}

/// Event lines with their labels in rows above the panels; on a phone, letters there and
/// a key below.
pub(super) struct Events {
    marks: Vec<Placed>,
    /// Room above the panels that the labels take.
    pub(super) height: f64,
    narrow: bool,
}

struct Placed {
    x: f64,
    /// Both ends of the shade of an event of several days.
    shade: Option<(f64, f64)>,
    row: usize,
    left: bool,
    date: String,
    label: String,
    letter: String,
}

impl Placed {
    fn text(&self) -> String {
        format!("{} {}", self.date, self.label)
    }

    /// Width of what is drawn, with room around it.
    fn width(&self, narrow: bool) -> f64 {
        if narrow {
            text_width(&self.letter, 13.0, true) + 8.0
        } else {
            text_width(&self.date, 12.0, true)
                + text_width(&format!(" {}", self.label), 12.0, false)
                + 12.0
        }
    }
}

impl Events {
    pub(super) fn placed(
        events: &[EventMark],
        days: &Days,
        width: f64,
        narrow: bool,
    ) -> Self {
        let mut sorted: Vec<&EventMark> =
            events.iter().filter(|e| days.domain.contains(e.days.first())).collect();
        sorted.sort_by_key(|e| (e.days.first(), &e.label));
        let mut marks: Vec<Placed> = Vec::new();
        for (index, event) in sorted.into_iter().enumerate() {
            let x = days.at(event.days.first());
            let date = days_short(event.days);
            let label = event.label.clone();
            let letter = letter(index);
            let shade = shade(event.days, days);
            let mut mark =
                Placed { x, shade, row: 0, left: false, date, label, letter };
            mark.left = !narrow && x + mark.width(narrow) > width;
            marks.push(mark);
        }
        let rows = assign_rows(&mut marks, narrow);
        let height = if marks.is_empty() { 0.0 } else { place(rows) * EVENT_ROW + 4.0 };
        Self { marks, height, narrow }
    }

    fn row_y(row: usize) -> f64 {
        place(row).mul_add(EVENT_ROW, 13.0)
    }

    pub(super) fn lines(&self, canvas: &mut Canvas, bottom: f64) {
        for mark in &self.marks {
            let from = if self.narrow { 4.0 } else { -9.0 };
            let y = Self::row_y(mark.row) + from;
            if let Some((start, end)) = mark.shade {
                canvas.rect((start, y), (end - start, bottom - y), "range");
            }
            canvas.line((mark.x, y), (mark.x, bottom), "event");
        }
    }

    pub(super) fn labels(&self, canvas: &mut Canvas) {
        for mark in &self.marks {
            let y = Self::row_y(mark.row);
            if self.narrow {
                canvas.text((mark.x, y), Anchor::Middle, "halo", &mark.letter);
                canvas.text((mark.x, y), Anchor::Middle, "tb", &mark.letter);
                continue;
            }
            let (x, anchor) = if mark.left {
                (mark.x - 5.0, Anchor::End)
            } else {
                (mark.x + 5.0, Anchor::Start)
            };
            let at = (x, y);
            canvas.text(at, anchor, "halo", &mark.text());
            canvas.lead(at, anchor, &mark.date, &mark.label);
        }
    }

    /// What the letters mean, on a phone.
    pub(super) fn key(&self, width: f64) -> Canvas {
        let mut canvas = Canvas::new(width, 0.0);
        if !self.narrow {
            return canvas;
        }
        let mut y = 6.0;
        for mark in &self.marks {
            y += 17.0;
            canvas.text((0.0, y), Anchor::Start, "tb", &mark.letter);
            for (index, line) in
                wrap(&mark.text(), width - 20.0, 12.0, false).iter().enumerate()
            {
                y += if index == 0 { 0.0 } else { 15.0 };
                canvas.text((18.0, y), Anchor::Start, "tx", line);
            }
        }
        canvas.height = if self.marks.is_empty() { 0.0 } else { y + 8.0 };
        canvas
    }
}

/// Where the days of an event are shaded: from its line to the end of the last of them.
fn shade(of: DayRange, days: &Days) -> Option<(f64, f64)> {
    let last = of.last().min(days.domain.last());
    let start = days.at(of.first());
    (last > of.first())
        .then(|| (start, days.start(last.plus(1)).max(start + SHADE_MIN)))
}

/// Gives each label the lowest row in which its box is free and its line crosses no
/// label below, if there is one; returns how many rows there are.
fn assign_rows(marks: &mut [Placed], narrow: bool) -> usize {
    let extent = |m: &Placed| {
        let wide = m.width(narrow);
        match (narrow, m.left) {
            (true, _) => (m.x - wide / 2.0, m.x + wide / 2.0),
            (false, true) => (m.x - wide, m.x),
            (false, false) => (m.x, m.x + wide),
        }
    };
    // Counted from the panel upwards; turned round at the end.
    let mut boxes: Vec<(usize, f64, f64, f64)> = Vec::new();
    let mut order: Vec<usize> = (0..marks.len()).rev().collect();
    // A label to the left lies over the lines of earlier events, so it stands above them,
    // and above an earlier label to the left.
    order.sort_by_key(|&at| if marks[at].left { at + 1 } else { 0 });
    for at in order {
        let mark = &mut marks[at];
        let (from, to) = extent(mark);
        let clear = |row: usize, strict: bool| {
            boxes.iter().all(|&(other, left, right, x)| {
                let overlap = other == row && from < right && left < to;
                let crosses_me = other > row && from < x && x < to;
                let crosses_it = other < row && left < mark.x && mark.x < right;
                !(overlap || crosses_me || (strict && crosses_it))
            })
        };
        // Where every row has its line cross a label, that label is drawn over the line.
        let free = [true, false]
            .into_iter()
            .find_map(|strict| (0..=boxes.len()).find(|row| clear(*row, strict)));
        mark.row = free.unwrap_or(boxes.len());
        boxes.push((mark.row, from, to, mark.x));
    }
    let rows = marks.iter().map(|m| m.row + 1).max().unwrap_or(0);
    for mark in marks {
        mark.row = rows - 1 - mark.row;
    }
    rows
}

/// `A` to `Z`, then `27` and so on.
fn letter(index: usize) -> String {
    u8::try_from(index)
        .ok()
        .filter(|i| *i < 26)
        .map_or_else(|| (index + 1).to_string(), |i| char::from(b'A' + i).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(x: f64, text: &str) -> Placed {
        Placed {
            x,
            shade: None,
            row: 0,
            left: false,
            date: "1 Jan".to_owned(),
            label: text.to_owned(),
            letter: "A".to_owned(),
        }
    }

    #[test]
    fn labels_that_would_overlap_get_rows_of_their_own() {
        let mut marks =
            [mark(0.0, "long label here"), mark(10.0, "another"), mark(300.0, "far")];
        let rows = assign_rows(&mut marks, false);
        assert_eq!(rows, 2);
        assert_eq!(marks.map(|m| m.row), [0, 1, 1]);
    }

    #[test]
    fn an_event_of_several_days_is_shaded_over_them() {
        let range = |from: &str, to: &str| {
            DayRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
        };
        let period = range("2024-09-01", "2024-09-30");
        let days = Days { domain: period, pixels: (0.0, 300.0) };
        let event = |days| EventMark { days, label: "x".to_owned() };
        let all = [
            event(range("2024-09-03", "2024-09-03")),
            event(range("2024-09-17", "2024-09-19")),
            event(range("2024-09-29", "2024-10-04")),
        ];
        let placed = Events::placed(&all, &days, 300.0, true);
        let shades: Vec<_> = placed.marks.iter().map(|m| m.shade).collect();
        assert_eq!(shades, [None, Some((165.0, 190.0)), Some((285.0, 300.0))]);
        assert_eq!(placed.marks[1].date, "17–19 Sep");
        assert_eq!(placed.marks[2].date, "29 Sep–4 Oct");
    }

    #[test]
    fn a_label_to_the_left_stands_above_the_lines_that_it_lies_over() {
        let mut marks = [
            mark(500.0, "first event"),
            mark(560.0, "second event"),
            mark(690.0, "a third event with a long label"),
            mark(745.0, "the last event"),
        ];
        for mark in &mut marks[2..] {
            mark.left = true;
        }
        let rows = assign_rows(&mut marks, false);
        assert!(marks[2].row < marks[0].row && marks[3].row < marks[2].row);
        assert_eq!(rows, 4);
    }

    #[test]
    fn the_earlier_of_two_near_events_stands_higher_so_that_no_line_crosses_a_label() {
        let mut marks = [mark(0.0, "first event"), mark(20.0, "second event")];
        assign_rows(&mut marks, false);
        assert!(marks[0].row < marks[1].row);
    }
}
