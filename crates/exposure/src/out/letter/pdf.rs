//! A letter as PDF: A4, tagged, so that screen readers find its headings, lists and cells.
//!
//! **Invariant:** every text is drawn with the faces that are given and no other, so that the same
//! letter gives the same bytes everywhere. What a face has no glyph for is written in ASCII.

use std::num::NonZeroU16;

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, SpanTag,
    TableHeaderScope, Tag, TagGroup, TagKind, TagTree,
};
use krilla::text::{Font, TextDirection};
use ttf_parser::Face as Measured;

use super::{Block, COLUMNS, Faces, Run, Unwritable};

/// A4 and its margins, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 57.0;
/// Between two blocks.
const SPACE: f32 = 7.0;
/// Of the text of a list.
const INDENT: f32 = 18.0;
/// Between the columns of a table, and how wide they are.
const GAP: f32 = 8.0;
const SHARES: [f32; COLUMNS] = [0.29, 0.22, 0.19, 0.30];
/// Lines of a row that are kept together.
const ROW_LINES_MAX: usize = 40;
/// Lines of a text that must fit below its heading, on the same sheet.
const KEPT_LINES: f32 = 2.0;
/// From one line to the next, in sizes of its type.
const LEADING: f32 = 1.4;

/// Type in which something is set.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Type {
    size: f32,
    bold: bool,
    grey: bool,
}

const BODY: Type = Type { size: 10.5, bold: false, grey: false };
const SMALL: Type = Type { size: 8.5, bold: false, grey: true };
const CELL: Type = Type { size: 8.5, bold: false, grey: false };
const HEAD: Type = Type { bold: true, ..CELL };

/// The letter as bytes of a PDF.
pub(super) fn page(
    title: &str,
    blocks: &[Block],
    faces: &Faces,
) -> Result<Vec<u8>, Unwritable> {
    let faces = Set::of(faces)?;
    let mut composer = Composer::new(&faces);
    composer.blocks(blocks);
    composer.written(title)
}

fn unwritable(reason: impl Into<String>) -> Unwritable {
    Unwritable { reason: reason.into() }
}

/// The faces, to draw and to measure with.
struct Set<'a> {
    regular: (Font, Measured<'a>),
    bold: (Font, Measured<'a>),
}

impl<'a> Set<'a> {
    fn of(faces: &'a Faces) -> Result<Self, Unwritable> {
        let face = |bytes: &'a [u8]| {
            let font = Font::new(bytes.to_vec().into(), 0);
            let measured = Measured::parse(bytes, 0).ok();
            font.zip(measured).ok_or_else(|| unwritable("a face is damaged"))
        };
        Ok(Self { regular: face(faces.regular)?, bold: face(faces.bold)? })
    }

    fn of_type(&self, of: Type) -> &(Font, Measured<'a>) {
        if of.bold { &self.bold } else { &self.regular }
    }

    /// The text with what the face has glyphs for.
    fn drawable(&self, text: &str, of: Type) -> String {
        let (_, face) = self.of_type(of);
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let c = if c.is_control() { ' ' } else { c };
            match face.glyph_index(c) {
                Some(_) => out.push(c),
                // Marks and what is not seen have no ASCII: what they stand on is enough.
                None => out.push_str(any_ascii::any_ascii_char(c)),
            }
        }
        out
    }

    fn draw(&self, surface: &mut Surface<'_>, piece: &Piece, y: f32) {
        let (font, _) = self.of_type(piece.of);
        let shade = if piece.of.grey { 68 } else { 26 };
        let paint = rgb::Color::new(shade, shade, shade).into();
        surface.set_fill(Some(Fill { paint, ..Fill::default() }));
        let (at, size) = (Point::from_xy(piece.x, y), piece.of.size);
        let left_to_right = TextDirection::LeftToRight;
        surface.draw_text(at, font.clone(), size, &piece.text, false, left_to_right);
    }

    /// How wide a text is.
    fn width(&self, text: &str, of: Type) -> f32 {
        text.chars().map(|c| self.advance(c, of)).sum()
    }

    fn advance(&self, c: char, of: Type) -> f32 {
        let (_, face) = self.of_type(of);
        let glyph = face.glyph_index(c);
        let units = glyph.and_then(|glyph| face.glyph_hor_advance(glyph)).unwrap_or(0);
        f32::from(units) * of.size / f32::from(face.units_per_em())
    }
}

/// A text at its place on a line.
#[derive(Clone, Debug)]
struct Piece {
    x: f32,
    text: String,
    of: Type,
}

/// A line: its texts, and how high it is.
#[derive(Clone, Debug, Default)]
struct Line {
    pieces: Vec<Piece>,
    height: f32,
}

/// What is drawn on a sheet, at a height from its top.
enum Mark {
    /// A text of the element of this number, or one that only repeats what is said elsewhere.
    Text(Piece, f32, Option<usize>),
    /// A rule from margin to margin.
    Rule(f32),
}

/// An element of the document's structure.
struct Element {
    tag: TagKind,
    /// The element that it is a part of.
    within: Option<usize>,
}

/// Fills sheets, one block after the other.
struct Composer<'a> {
    faces: &'a Set<'a>,
    sheets: Vec<Vec<Mark>>,
    /// Where the next line begins.
    y: f32,
    elements: Vec<Element>,
}

impl<'a> Composer<'a> {
    fn new(faces: &'a Set<'a>) -> Self {
        Self { faces, sheets: vec![Vec::new()], y: MARGIN, elements: Vec::new() }
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for (at, block) in (1..).zip(blocks) {
            match block {
                Block::Heading(level, text) => {
                    let kept = blocks.get(at).map_or(0.0, |next| self.opening(next));
                    self.heading(*level, text, kept);
                }
                Block::Text(runs) => {
                    let lines = self.lines(runs, BODY, WIDTH - 2.0 * MARGIN);
                    let of = self.element(Tag::P, None);
                    self.y += SPACE;
                    self.put(&lines, MARGIN, Some(of));
                }
                Block::List { ordered, items } => self.list(*ordered, items),
                Block::Table { head, rows } => {
                    self.room(self.opening(block));
                    self.table(*head, rows);
                }
                Block::Section(blocks) => self.blocks(blocks),
            }
        }
    }

    fn element(&mut self, tag: impl Into<TagKind>, within: Option<usize>) -> usize {
        self.elements.push(Element { tag: tag.into(), within });
        self.elements.len() - 1
    }

    /// The height of what must not be parted from the heading of a block.
    fn opening(&self, block: &Block) -> f32 {
        match block {
            Block::Heading(..) => 0.0,
            Block::Text(_) | Block::List { .. } => {
                SPACE + KEPT_LINES * BODY.size * LEADING
            }
            Block::Table { head, rows } => {
                let head = tallest(&self.columns(&named(*head), HEAD));
                let first = rows.first().map_or(0.0, |row| {
                    let lines = self.columns(row, CELL);
                    let part = lines.each_ref().map(|lines| part(lines, 0));
                    part.into_iter().map(height).fold(0.0, f32::max)
                });
                head + first + 3.0 * SPACE
            }
            Block::Section(blocks) => {
                blocks.first().map_or(0.0, |first| self.opening(first))
            }
        }
    }

    /// A heading, with so much of what it is the heading of.
    fn heading(&mut self, level: u16, text: &str, kept: f32) {
        let size = if level == 1 { 15.0 } else { 12.0 };
        let of = Type { size, bold: true, grey: false };
        let lines =
            self.lines(&[Run::Plain(text.to_owned())], of, WIDTH - 2.0 * MARGIN);
        self.y += 2.0 * SPACE;
        self.room(height(&lines) + kept);
        let level = NonZeroU16::new(level).unwrap_or(NonZeroU16::MIN);
        let element = self.element(Tag::Hn(level, Some(text.to_owned())), None);
        self.put(&lines, MARGIN, Some(element));
    }

    fn list(&mut self, ordered: bool, items: &[String]) {
        let numbering =
            if ordered { ListNumbering::Decimal } else { ListNumbering::Disc };
        let list = self.element(Tag::L(numbering), None);
        self.y += SPACE;
        for (number, item) in (1..).zip(items) {
            let item = [Run::Plain(item.clone())];
            let lines = self.lines(&item, BODY, WIDTH - 2.0 * MARGIN - INDENT);
            self.room(lines.first().map_or(0.0, |line| line.height));
            let part = self.element(Tag::LI, Some(list));
            let (label, body) = (
                self.element(Tag::Lbl, Some(part)),
                self.element(Tag::LBody, Some(part)),
            );
            let mark =
                if ordered { format!("{number}.") } else { "\u{2022}".to_owned() };
            let mark = self.lines(&[Run::Plain(mark)], BODY, INDENT);
            let top = self.y;
            self.put(&mark, MARGIN, Some(label));
            self.y = top;
            self.put(&lines, MARGIN + INDENT, Some(body));
        }
    }

    fn table(&mut self, head: [&str; COLUMNS], rows: &[[Vec<Run>; COLUMNS]]) {
        let table = self.element(Tag::Table, None);
        self.y += SPACE;
        let head = self.columns(&named(head), HEAD);
        let row = self.element(Tag::TR, Some(table));
        let tags = [(); COLUMNS]
            .map(|()| self.element(Tag::TH(TableHeaderScope::Column), Some(row)));
        self.side_by_side(head.each_ref().map(Vec::as_slice), tags.map(Some));
        self.row_end();
        for row in rows {
            self.row(row, &head, table);
        }
    }

    /// Cells, each in lines of its column.
    fn columns(&self, cells: &[Vec<Run>; COLUMNS], of: Type) -> [Vec<Line>; COLUMNS] {
        let mut widths = SHARES.into_iter().map(column_width);
        cells.each_ref().map(|cell| {
            let width = widths.next().unwrap_or(WIDTH);
            self.lines(cell, of, width)
        })
    }

    /// A row, under the head again where it begins a sheet.
    fn row(
        &mut self,
        cells: &[Vec<Run>; COLUMNS],
        head: &[Vec<Line>; COLUMNS],
        table: usize,
    ) {
        let cells = self.columns(cells, CELL);
        let row = self.element(Tag::TR, Some(table));
        let tags = [(); COLUMNS].map(|()| Some(self.element(Tag::TD, Some(row))));
        let longest = cells.iter().map(Vec::len).max().unwrap_or(0);
        for from in (0..longest).step_by(ROW_LINES_MAX) {
            let parts = cells.each_ref().map(|lines| part(lines, from));
            let height = parts.into_iter().map(height).fold(0.0, f32::max);
            if self.room(height + SPACE) {
                // Said once to who listens, and seen on each sheet.
                self.side_by_side(head.each_ref().map(Vec::as_slice), [None; COLUMNS]);
                self.row_end();
            }
            self.side_by_side(parts, tags);
        }
        self.row_end();
    }

    fn row_end(&mut self) {
        self.y += SPACE / 2.0;
        self.mark(Mark::Rule(self.y));
        self.y += SPACE / 2.0;
    }

    /// Lines of cells, which together fit onto the sheet.
    fn side_by_side(
        &mut self,
        cells: [&[Line]; COLUMNS],
        tags: [Option<usize>; COLUMNS],
    ) {
        let (top, mut x, mut end) = (self.y, MARGIN, self.y);
        for ((lines, tag), share) in cells.into_iter().zip(tags).zip(SHARES) {
            self.y = top;
            self.put(lines, x, tag);
            end = end.max(top + height(lines));
            x += column_width(share) + GAP;
        }
        self.y = end;
    }

    /// Begins a new sheet where this one has no room for so much more; tells whether it did.
    fn room(&mut self, height: f32) -> bool {
        let empty = self.sheets.last().is_none_or(Vec::is_empty);
        let full = self.y + height > HEIGHT - MARGIN && !empty;
        if full {
            self.sheets.push(Vec::new());
            self.y = MARGIN;
        }
        full
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.push(mark);
        }
    }

    fn put(&mut self, lines: &[Line], x: f32, of: Option<usize>) {
        for line in lines {
            self.room(line.height);
            let base = self.y + line.height / LEADING;
            for piece in &line.pieces {
                let piece = Piece { x: x + piece.x, ..piece.clone() };
                self.mark(Mark::Text(piece, base, of));
            }
            self.y += line.height;
        }
    }

    /// Text in lines of at most this width, broken between words; a longer word is cut.
    fn lines(&self, runs: &[Run], of: Type, width: f32) -> Vec<Line> {
        let empty = Line { pieces: Vec::new(), height: of.size * LEADING };
        let mut lines = vec![empty.clone()];
        let mut x = 0.0;
        for run in runs {
            let (text, of) = match run {
                Run::Plain(text) => (text, of),
                Run::Small(text) => (text, SMALL),
                Run::Break => {
                    lines.push(empty.clone());
                    x = 0.0;
                    continue;
                }
            };
            let text = self.faces.drawable(text, of);
            for word in text.split_inclusive(' ') {
                for part in self.cut(word, of, width) {
                    let wide = self.faces.width(part.trim_end(), of);
                    if x > 0.0 && x + wide > width {
                        lines.push(empty.clone());
                        x = 0.0;
                    }
                    let Some(line) = lines.last_mut() else { continue };
                    line.add(x, part, of);
                    x += self.faces.width(part, of);
                }
            }
        }
        lines
    }

    /// A word in parts that each fit into a line.
    fn cut<'t>(&self, word: &'t str, of: Type, width: f32) -> Vec<&'t str> {
        let mut parts = Vec::new();
        let (mut from, mut wide) = (0, 0.0);
        for (at, c) in word.char_indices() {
            let advance = self.faces.advance(c, of);
            if at > from && c != ' ' && wide + advance > width {
                parts.extend(word.get(from..at));
                (from, wide) = (at, 0.0);
            }
            wide += advance;
        }
        parts.extend(word.get(from..));
        parts
    }

    /// The sheets, drawn, with the structure of what is on them.
    fn written(self, title: &str) -> Result<Vec<u8>, Unwritable> {
        let Self { faces, sheets, elements, .. } = self;
        let mut document = Document::new();
        let mut drawn: Vec<Vec<Identifier>> =
            elements.iter().map(|_| Vec::new()).collect();
        let count = sheets.len();
        for (number, sheet) in (1..).zip(sheets) {
            let size = PageSettings::from_wh(WIDTH, HEIGHT);
            let size = size.ok_or_else(|| unwritable("a sheet without size"))?;
            let mut page = document.start_page_with(size);
            let mut surface = page.surface();
            for mark in &sheet {
                match mark {
                    Mark::Text(piece, y, None) => {
                        artifact(&mut surface, |s| faces.draw(s, piece, *y));
                    }
                    Mark::Text(piece, y, Some(of)) => {
                        let tag = ContentTag::Span(SpanTag::empty());
                        let id = surface.start_tagged(tag);
                        faces.draw(&mut surface, piece, *y);
                        surface.end_tagged();
                        if let Some(drawn) = drawn.get_mut(*of) {
                            drawn.push(id);
                        }
                    }
                    Mark::Rule(y) => artifact(&mut surface, |s| rule(s, *y)),
                }
            }
            let text = format!("{number} of {count}");
            let piece = Piece { x: MARGIN, text, of: SMALL };
            artifact(&mut surface, |s| faces.draw(s, &piece, HEIGHT - MARGIN / 2.0));
            surface.finish();
            page.finish();
        }
        document.set_tag_tree(tree(&elements, drawn));
        let about = Metadata::new().title(title.to_owned()).language("en".to_owned());
        document.set_metadata(about);
        document.finish().map_err(|error| unwritable(format!("{error:?}")))
    }
}

impl Line {
    /// Adds a text, to the last one if it is of the same type.
    fn add(&mut self, x: f32, text: &str, of: Type) {
        match self.pieces.last_mut() {
            Some(last) if last.of == of => last.text.push_str(text),
            _ => self.pieces.push(Piece { x, text: text.to_owned(), of }),
        }
    }
}

fn named(head: [&str; COLUMNS]) -> [Vec<Run>; COLUMNS] {
    head.map(|name| vec![Run::Plain(name.to_owned())])
}

/// The lines of a cell that are kept together, from this one on.
fn part(lines: &[Line], from: usize) -> &[Line] {
    let to = lines.len().min(from + ROW_LINES_MAX);
    lines.get(from..to).unwrap_or_default()
}

fn height(lines: &[Line]) -> f32 {
    lines.iter().map(|line| line.height).sum()
}

/// Height of the longest of some cells.
fn tallest(cells: &[Vec<Line>; COLUMNS]) -> f32 {
    cells.iter().map(|lines| height(lines)).fold(0.0, f32::max)
}

fn column_width(share: f32) -> f32 {
    share * (WIDTH - 2.0 * MARGIN) - GAP
}

/// Draws what is no part of the text.
fn artifact(surface: &mut Surface<'_>, draw: impl FnOnce(&mut Surface<'_>)) {
    surface
        .start_tagged(ContentTag::Artifact(Artifact::new(ArtifactType::Other, None)));
    draw(surface);
    surface.end_tagged();
}

fn rule(surface: &mut Surface<'_>, y: f32) {
    let mut path = PathBuilder::new();
    path.move_to(MARGIN, y);
    path.line_to(WIDTH - MARGIN, y);
    surface.set_fill(None);
    let paint = rgb::Color::new(153, 153, 153).into();
    surface.set_stroke(Some(Stroke { paint, width: 0.5, ..Stroke::default() }));
    if let Some(path) = path.finish() {
        surface.draw_path(&path);
    }
    surface.set_stroke(None);
}

/// The structure: each element with its parts, or with what was drawn of it, in their order.
fn tree(elements: &[Element], drawn: Vec<Vec<Identifier>>) -> TagTree {
    let mut tree = TagTree::new();
    let groups = elements.iter().zip(drawn).map(|(element, drawn)| {
        let drawn = drawn.into_iter().map(Into::into).collect();
        TagGroup::with_children(element.tag.clone(), drawn)
    });
    let groups: Vec<TagGroup> = groups.collect();
    // Parts have higher numbers than what they are parts of: from the last on they are whole.
    let mut whole: Vec<TagGroup> = Vec::new();
    let mut parts: Vec<Vec<TagGroup>> = elements.iter().map(|_| Vec::new()).collect();
    let all = groups.into_iter().zip(elements).enumerate().rev();
    for (at, (mut group, element)) in all {
        let own = parts.get_mut(at).map(std::mem::take).unwrap_or_default();
        group.children.extend(own.into_iter().rev().map(Into::into));
        match element.within.and_then(|within| parts.get_mut(within)) {
            Some(parts) => parts.push(group),
            None => whole.push(group),
        }
    }
    for group in whole.into_iter().rev() {
        tree.push(group);
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::FACES;

    /// A table of so many rows, each as long as its number says.
    fn table(rows: usize, words: usize) -> Block {
        let cell = |row: usize| vec![Run::Plain(format!("row{row} ").repeat(words))];
        Block::Table {
            head: ["First", "Second", "Third", "Fourth"],
            rows: (0..rows)
                .map(|row| [cell(row), Vec::new(), Vec::new(), cell(row)])
                .collect(),
        }
    }

    fn sheets(blocks: &[Block], look: impl Fn(&[Vec<Mark>], &[Element])) {
        let faces = Set::of(&FACES).unwrap();
        let mut composer = Composer::new(&faces);
        composer.blocks(blocks);
        look(&composer.sheets, &composer.elements);
        composer.written("A table").unwrap();
    }

    fn heads(sheet: &[Mark]) -> Vec<bool> {
        let tagged = |mark: &Mark| match mark {
            Mark::Text(piece, _, of) if piece.text == "First" => Some(of.is_some()),
            _ => None,
        };
        sheet.iter().filter_map(tagged).collect()
    }

    #[test]
    fn the_head_of_a_table_stands_on_each_sheet_and_is_told_once() {
        for (rows, words) in [(120, 1), (9, 150), (1, 900)] {
            sheets(&[table(rows, words)], |sheets, elements| {
                assert!(sheets.len() > 1, "{rows} rows");
                for (number, sheet) in sheets.iter().enumerate() {
                    assert_eq!(
                        heads(sheet),
                        [number == 0],
                        "sheet {number}, {rows} rows"
                    );
                    let lowest = sheet.iter().map(|mark| match mark {
                        Mark::Text(_, y, _) | Mark::Rule(y) => *y,
                    });
                    assert!(lowest.fold(0.0, f32::max) <= HEIGHT - MARGIN + SPACE);
                }
                let told = elements.iter().filter(|e| matches!(e.tag, TagKind::TH(_)));
                assert_eq!(told.count(), COLUMNS);
            });
        }
    }

    #[test]
    fn neither_a_heading_nor_a_head_ends_a_sheet() {
        let text = |lines| {
            let word = || [Run::Plain("word".to_owned()), Run::Break];
            Block::Text(std::iter::repeat_with(word).take(lines).flatten().collect())
        };
        for lines in 30..60 {
            let blocks =
                [text(lines), Block::Heading(2, "Heading".to_owned()), table(3, 12)];
            sheets(&blocks, |sheets, _| {
                let with = |words: &str| {
                    sheets.iter().position(|sheet| {
                        sheet.iter().any(|mark| {
                            matches!(mark, Mark::Text(p, ..) if p.text.trim() == words
                                || p.text.starts_with(&format!("{words} ")))
                        })
                    })
                };
                assert_eq!(with("Heading"), with("First"), "{lines} lines");
                assert_eq!(with("First"), with("row0"), "{lines} lines");
            });
        }
    }
}
