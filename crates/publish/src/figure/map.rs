//! Countries on a flat map, shaded by a share.
//!
//! **Invariant:** a shade means the same share on every map, and a country without a value is
//! an outline, never the palest shade. Outlines are Natural Earth's (public domain), projected
//! beforehand by Equal Earth, in which areas compare: see `assets/world.py`.

use std::sync::LazyLock;

use super::canvas::{Anchor, Canvas, px};
use super::is_narrow;
use super::scale::text_width;

/// The outlines and how they were made.
const WORLD: &str = include_str!("../../assets/world.txt");

static OUTLINES: LazyLock<World> = LazyLock::new(|| World::read(WORLD));

/// A share for each of some countries.
#[derive(Clone, Debug)]
pub(crate) struct MapChart {
    pub(crate) places: Vec<MapPlace>,
}

/// A country with a value.
#[derive(Clone, Debug)]
pub(crate) struct MapPlace {
    /// ISO 3166-1 alpha-2.
    pub(crate) code: String,
    /// 0 to 1.
    pub(crate) share: f64,
    /// What it tells when it is pointed at.
    pub(crate) words: String,
}

/// Lower ends of the shades, and what they mean.
const SHADES: [(f64, &str, &str); 4] = [
    (0.0, "h1", "under 25%"),
    (0.25, "h2", "25\u{2013}50%"),
    (0.5, "h3", "50\u{2013}75%"),
    (0.75, "h4", "over 75%"),
];
/// Sides of a country that has no outline at this scale, in pixels.
const DOT: f64 = 3.0;
/// Room below the map for what the shades mean.
const KEY: f64 = 34.0;

impl MapChart {
    pub(crate) fn draw(&self, width: f64) -> Canvas {
        let world = &*OUTLINES;
        let scale = width / world.width;
        let height = world.height * scale;
        let narrow = is_narrow(width);
        let mut canvas =
            Canvas::new(width, height + KEY + if narrow { 18.0 } else { 0.0 });
        let mut rest = String::new();
        for (code, rings) in &world.shapes {
            let d = outline(rings, scale, narrow);
            match self.place(code) {
                Some(place) => {
                    let class = format!("land {}", shade(place.share));
                    // Too small for its outline at this size, not for its value.
                    if d.is_empty() {
                        canvas.named_dot(
                            first(rings, scale),
                            DOT,
                            &class,
                            &place.words,
                        );
                    } else {
                        canvas.named_path(&d, &class, &place.words);
                    }
                }
                None => rest.push_str(&d),
            }
        }
        canvas.path(&rest, "land none");
        for (code, at) in &world.dots {
            if let Some(place) = self.place(code) {
                let at = (at.0 * scale, at.1 * scale);
                let class = format!("land {}", shade(place.share));
                canvas.named_dot(at, DOT, &class, &place.words);
            }
        }
        key(&mut canvas, height + 12.0);
        canvas
    }

    fn place(&self, code: &str) -> Option<&MapPlace> {
        self.places.iter().find(|place| place.code == code)
    }
}

/// Whether a country is on the map at all.
pub(crate) fn is_mapped(code: &str) -> bool {
    let world = &*OUTLINES;
    world.shapes.iter().any(|(c, _)| c == code)
        || world.dots.iter().any(|(c, _)| c == code)
}

/// Where an outline begins.
fn first(rings: &[Ring], scale: f64) -> (f64, f64) {
    let (x, y) = rings.first().and_then(|ring| ring.first()).copied().unwrap_or((0, 0));
    (f64::from(x) * scale, f64::from(y) * scale)
}

fn shade(share: f64) -> &'static str {
    SHADES.iter().rev().find(|s| share >= s.0).map_or("h1", |s| s.1)
}

fn key(canvas: &mut Canvas, top: f64) {
    let (mut x, mut y) = (0.0, top);
    let shades = SHADES.iter().map(|s| (s.1, s.2));
    for (class, label) in shades.chain([("none", "no value shown")]) {
        let wide = text_width(label, 12.0, false) + 16.0;
        if x + wide > canvas.width {
            (x, y) = (0.0, y + 18.0);
        }
        canvas.rect((x + 0.5, y + 0.5), (11.0, 11.0), &format!("land {class}"));
        canvas.text((x + 16.0, y + 10.5), Anchor::Start, "ts", label);
        x += wide + 16.0;
    }
}

/// A ring: whole units, each point from the one before.
type Ring = Vec<(i32, i32)>;

/// The outlines of all countries.
struct World {
    width: f64,
    height: f64,
    shapes: Vec<(String, Vec<Ring>)>,
    dots: Vec<(String, (f64, f64))>,
}

impl World {
    /// Reads `size W H`, `shape CODE X Y DX DY … | X Y …` and `dot CODE X Y`, one a line.
    fn read(text: &str) -> Self {
        let mut world = Self { width: 1.0, height: 1.0, shapes: vec![], dots: vec![] };
        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("size"), Some(width)) => {
                    let height = words.next().unwrap_or_default();
                    world.width = width.parse().unwrap_or(1.0);
                    world.height = height.parse().unwrap_or(1.0);
                }
                (Some("shape"), Some(code)) => {
                    let rest: Vec<&str> = words.collect();
                    let rings = rest.split(|word| *word == "|").map(ring).collect();
                    world.shapes.push((code.to_owned(), rings));
                }
                (Some("dot"), Some(code)) => {
                    let at: Vec<f64> = words.filter_map(|w| w.parse().ok()).collect();
                    if let [x, y] = at[..] {
                        world.dots.push((code.to_owned(), (x, y)));
                    }
                }
                _ => {}
            }
        }
        world
    }
}

fn ring(words: &[&str]) -> Ring {
    let number = |word: &&str| word.parse().unwrap_or(0);
    let pairs = words.chunks_exact(2);
    pairs.filter_map(|p| Some((number(p.first()?), number(p.get(1)?)))).collect()
}

/// Rings as a path, on half pixels, or on whole ones on a phone; what is smaller than these
/// steps is left out.
fn outline(rings: &[Ring], scale: f64, narrow: bool) -> String {
    let steps = if narrow { 1.0 } else { 2.0 };
    let on_grid = |units: i32| (f64::from(units) * scale * steps).round() / steps;
    let mut d = String::new();
    for ring in rings {
        let (mut x, mut y) = (0, 0);
        let mut points: Vec<(f64, f64)> = Vec::with_capacity(ring.len());
        for (dx, dy) in ring {
            (x, y) = (x + dx, y + dy);
            let point = (on_grid(x), on_grid(y));
            if points.last() != Some(&point) {
                points.push(point);
            }
        }
        if points.len() < 4 {
            continue;
        }
        let mut before = (0.0, 0.0);
        for (index, point) in points.iter().enumerate() {
            let (dx, dy) = (point.0 - before.0, point.1 - before.1);
            match index {
                0 => d.push('M'),
                1 => d.push('l'),
                _ => {}
            }
            step(&mut d, dx, index < 2);
            step(&mut d, dy, false);
            before = *point;
        }
        d.push('z');
    }
    d
}

/// A number of a path, as short as it can be: a sign or a letter sets it apart, else a space.
fn step(d: &mut String, by: f64, begins: bool) {
    let text = px(by);
    let text = match text.strip_prefix("-0.") {
        Some(rest) => format!("-.{rest}"),
        None => text.strip_prefix("0.").map_or(text.clone(), |rest| format!(".{rest}")),
    };
    if !begins && !text.starts_with('-') {
        d.push(' ');
    }
    d.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outline_is_read_closed_and_on_the_sheet() {
        let world = &*OUTLINES;
        assert!(world.shapes.len() > 170 && world.dots.len() > 40);
        for (code, rings) in &world.shapes {
            assert!(!rings.is_empty(), "{code}");
            for ring in rings {
                let (mut x, mut y) = (0, 0);
                for (dx, dy) in ring {
                    (x, y) = (x + dx, y + dy);
                    let inside = (0.0..=world.width).contains(&f64::from(x))
                        && (0.0..=world.height).contains(&f64::from(y));
                    assert!(inside, "{code}: {x} {y}");
                }
                assert_eq!(ring.first(), Some(&(x, y)), "{code} is closed");
            }
        }
        for code in ["US", "DE", "SG", "MT", "XK", "TW"] {
            assert!(is_mapped(code), "{code}");
        }
        assert!(!is_mapped("ZZ"));
    }

    #[test]
    fn a_country_with_a_value_is_shaded_and_one_without_is_not() {
        let place = |code: &str, share| MapPlace {
            code: code.to_owned(),
            share,
            words: format!("<{code}>"),
        };
        let places = vec![place("DE", 0.69), place("SG", 0.0), place("LU", 0.3)];
        let chart = MapChart { places };
        // Luxembourg is a dot on a phone.
        for (width, shaded) in [(760.0, 2), (350.0, 1)] {
            let canvas = chart.draw(width);
            assert!(canvas.body().contains("<path class=\"land h3\""));
            assert!(canvas.body().contains("&lt;DE&gt;"));
            // Those with a value tell it, and no other country is shaded.
            assert_eq!(canvas.body().matches("<title>").count(), 3);
            assert_eq!(canvas.body().matches("<path class=\"land h").count(), shaded);
            assert!(canvas.body().contains("<circle class=\"land h1\""));
            assert!(canvas.body().len() < 60_000, "{}", canvas.body().len());
        }
    }
}
