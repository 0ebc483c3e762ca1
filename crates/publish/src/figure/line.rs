//! Lines over time in stacked panels that share one time axis, with dotted event lines.
//!
//! **Invariant:** panels of counts begin at zero; the labels of events do not overlap.

use tidegauge_model::{Day, DayRange};

use super::canvas::{Anchor, Canvas, append, polyline, px};
use super::scale::{Days, Linear, fitted, spread, text_width, ticks, wrap};
use super::{is_narrow, tick_label};
use crate::number::{
    day_short, days as when, month_short, percent, place, short, whole,
};

/// Height of the row of one event label.
const EVENT_ROW: f64 = 18.0;
/// Room for the axis of months.
const AXIS: f64 = 24.0;

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

/// A dotted line at a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventMark {
    pub(crate) day: Day,
    pub(crate) label: String,
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
        let bottom = top + place(self.panels.len()) * (panel_height + header);
        let key = events.key(width);
        let mut canvas = Canvas::new(width, bottom + AXIS + key.height);
        for (range, name) in &self.bands {
            let (x, end) =
                (days.start(range.first()), days.start(range.last().plus(1)));
            canvas.rect((x, top + 26.0), (end - x, bottom - top - 26.0), "band");
            if !narrow {
                let at = (days.middle(*range), bottom - 8.0);
                canvas.text(at, Anchor::Middle, "ts", name);
            }
        }
        events.lines(&mut canvas, top, bottom);
        for (index, panel) in self.panels.iter().enumerate() {
            let from = place(index).mul_add(panel_height + header, top);
            panel.draw(&mut canvas, &days, from + header, panel_height, width);
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

/// Event lines with their labels in rows above the panels; on a phone, letters there and
/// a key below.
struct Events {
    marks: Vec<Placed>,
    height: f64,
    narrow: bool,
}

struct Placed {
    x: f64,
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
    fn placed(events: &[EventMark], days: &Days, width: f64, narrow: bool) -> Self {
        let mut sorted: Vec<&EventMark> =
            events.iter().filter(|e| days.domain.contains(e.day)).collect();
        sorted.sort_by(|a, b| (a.day, &a.label).cmp(&(b.day, &b.label)));
        let mut marks: Vec<Placed> = Vec::new();
        for (index, event) in sorted.into_iter().enumerate() {
            let x = days.at(event.day);
            let date = day_short(event.day);
            let label = event.label.clone();
            let mut mark =
                Placed { x, row: 0, left: false, date, label, letter: letter(index) };
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

    fn lines(&self, canvas: &mut Canvas, _top: f64, bottom: f64) {
        for mark in &self.marks {
            let from = if self.narrow { 4.0 } else { -9.0 };
            let y = Self::row_y(mark.row) + from;
            canvas.line((mark.x, y), (mark.x, bottom), "event");
        }
    }

    fn labels(&self, canvas: &mut Canvas) {
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
    fn key(&self, width: f64) -> Canvas {
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

/// Gives each label the lowest row in which its box is free and its line crosses no
/// label below; returns how many rows there are.
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
    for mark in marks.iter_mut().rev() {
        let (from, to) = extent(mark);
        let clear = |row: usize| {
            boxes.iter().all(|&(other, left, right, x)| {
                let overlap = other == row && from < right && left < to;
                let crosses_me = other > row && from < x && x < to;
                let crosses_it = other < row && left < mark.x && mark.x < right;
                !(overlap || crosses_me || crosses_it)
            })
        };
        let free = (0..=boxes.len()).find(|row| clear(*row));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(x: f64, text: &str) -> Placed {
        Placed {
            x,
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
    fn the_earlier_of_two_near_events_stands_higher_so_that_no_line_crosses_a_label() {
        let mut marks = [mark(0.0, "first event"), mark(20.0, "second event")];
        assign_rows(&mut marks, false);
        assert!(marks[0].row < marks[1].row);
    }
}
