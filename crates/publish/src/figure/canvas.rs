//! A piece of SVG under construction: shapes with classes, text with known width.
//!
//! **Invariant:** every text is escaped here; colours are classes, never literals.

use std::fmt::Write as _;

/// Escapes text for XML and HTML, in content and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML 1.0 has no form for other control characters.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Adds formatted text at the end.
pub(crate) fn append(text: &mut String, addition: std::fmt::Arguments<'_>) {
    text.write_fmt(addition).expect("writing to a string cannot fail");
}

/// Where a text stands relative to its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A coordinate with one decimal and no trailing zero.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Shapes drawn so far and the size they need.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    pub(crate) width: f64,
    pub(crate) height: f64,
    body: String,
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// The shapes as SVG elements.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// Puts another canvas at an offset.
    pub(crate) fn place(&mut self, x: f64, y: f64, inner: &Self) {
        self.push(format_args!(
            "<g transform=\"translate({} {})\">{}</g>",
            px(x),
            px(y),
            inner.body
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let d = format!("M{} {}L{} {}", px(from.0), px(from.1), px(to.0), px(to.1));
        self.path(&d, class);
    }

    pub(crate) fn path(&mut self, d: &str, class: &str) {
        self.push(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
    }

    /// A path that tells what it stands for when it is pointed at.
    pub(crate) fn named_path(&mut self, d: &str, class: &str, words: &str) {
        self.push(format_args!(
            "<path class=\"{class}\" d=\"{d}\"><title>{}</title></path>",
            escape(words)
        ));
    }

    pub(crate) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str) {
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            px(at.0),
            px(at.1),
            px(size.0.max(0.0)),
            px(size.1.max(0.0))
        ));
    }

    /// A bar that tells what it stands for when it is pointed at.
    pub(crate) fn named_rect(
        &mut self,
        at: (f64, f64),
        size: (f64, f64),
        class: &str,
        words: &str,
    ) {
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">\
             <title>{}</title></rect>",
            px(at.0),
            px(at.1),
            px(size.0.max(0.0)),
            px(size.1.max(0.0)),
            escape(words)
        ));
    }

    pub(crate) fn dot(&mut self, at: (f64, f64), radius: f64, class: &str) {
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            px(at.0),
            px(at.1),
            px(radius)
        ));
    }

    /// A dot that tells what it stands for when it is pointed at.
    pub(crate) fn named_dot(
        &mut self,
        at: (f64, f64),
        radius: f64,
        class: &str,
        words: &str,
    ) {
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"><title>{}</title></circle>",
            px(at.0),
            px(at.1),
            px(radius),
            escape(words)
        ));
    }

    pub(crate) fn text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        class: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            px(at.0),
            px(at.1),
            escape(text)
        ));
    }

    /// A bold lead and what follows it, on one line.
    pub(crate) fn lead(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        lead: &str,
        text: &str,
    ) {
        let anchor = if anchor == Anchor::End { " text-anchor=\"end\"" } else { "" };
        self.push(format_args!(
            "<text class=\"tx\" x=\"{}\" y=\"{}\"{anchor}><tspan class=\"b\">{}</tspan> \
             {}</text>",
            px(at.0),
            px(at.1),
            escape(lead),
            escape(text)
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        append(&mut self.body, element);
    }
}

/// A polyline through `points`, broken where a point is absent.
pub(crate) fn polyline(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut d = String::new();
    let mut pen_up = true;
    for point in points {
        if let Some((x, y)) = point {
            d.push(if pen_up { 'M' } else { 'L' });
            append(&mut d, format_args!("{} {}", px(x), px(y)));
        }
        pen_up = point.is_none();
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text((0.0, 0.0), Anchor::Start, "t", "</text><script>\u{1}\"");
        assert!(!canvas.body().contains("<script>"));
        assert!(!canvas.body().contains('\u{1}'));
    }

    #[test]
    fn a_missing_point_breaks_the_line() {
        let points = [Some((0.0, 0.0)), Some((1.0, 1.0)), None, Some((3.0, -0.01))];
        assert_eq!(polyline(points.into_iter()), "M0 0L1 1M3 0");
    }
}
