//! The report as Markdown: `CommonMark` with the tables of GitHub.
//!
//! **Invariant:** words of the data stay words: no character of theirs begins markup, a link
//! or a further line.

use super::closing::{self, Block, Part};
use super::figures::Section;
use super::{Paths, Report, STAMP, reading, story};
use crate::figure::{Figure, append};
use crate::tables::{Table, readable};

/// Rows of a table in the text; the file has all. Picked by hand: what fits on two screens.
const ROWS_MAX: usize = 50;

/// The whole text.
pub(super) fn text(report: &Report, sections: &[Section], source: &str) -> String {
    let mut blocks = opening(report);
    for section in sections {
        blocks.extend(section_blocks(section, source));
    }
    for part in closing::parts(report) {
        blocks.extend(part_blocks(&part));
    }
    blocks.retain(|block| !block.is_empty());
    format!("{}\n", blocks.join("\n\n"))
}

/// The stamp, the headline, the key numbers, the sentences and the windows.
fn opening(report: &Report) -> Vec<String> {
    let stamp = report.synthetic.as_ref();
    let keys: Vec<String> = story::keys(report).iter().map(key).collect();
    vec![
        stamp.map_or_else(String::new, |s| {
            format!("> **{STAMP}** {}", escaped(&s.sentence()))
        }),
        format!("# {}", escaped(&story::headline(report))),
        paragraph(&story::standfirst(report)),
        keys.join("\n"),
        paragraph(&story::sentences(report).join(" ")),
        paragraph(&format!(
            "{} {}",
            story::windows_sentence(report),
            reading::caveat_of_all(report)
        )),
    ]
}

fn key(key: &story::Key) -> String {
    let note = match key.note.as_str() {
        "" => String::new(),
        note => format!(" ({})", escaped(note)),
    };
    format!("* {}: **{}**{note}", escaped(&key.label), escaped(&key.figure))
}

fn section_blocks(section: &Section, source: &str) -> Vec<String> {
    match section {
        Section::Drawn(figure) => figure_blocks(figure, source),
        Section::Absent { title, why, .. } => {
            vec![format!("## {}", escaped(title)), paragraph(why)]
        }
    }
}

/// A figure with its words and the first of its numbers.
fn figure_blocks(figure: &Figure, source: &str) -> Vec<String> {
    let Paths { svg, csv, .. } = Paths::of(figure.id);
    let mut blocks = vec![
        format!("## {}", escaped(&figure.title)),
        paragraph(&figure.subtitle),
        format!("![{}]({svg})", escaped(&figure.description)),
    ];
    if !figure.caveat.is_empty() {
        blocks.push(format!("**{}**", escaped(&figure.caveat)));
    }
    blocks.extend(figure.notes.iter().map(|note| paragraph(note)));
    blocks.push(paragraph(figure.source.as_deref().unwrap_or(source)));
    let (shown, cut) = figure.table.first(ROWS_MAX);
    blocks.push(grid(&shown));
    blocks.extend(cut.map(|cut| format!("{cut}; [{csv}]({csv}) has all.")));
    blocks
}

fn part_blocks(part: &Part) -> Vec<String> {
    let title = format!("## {}", escaped(part.title));
    std::iter::once(title).chain(part.blocks.iter().map(block)).collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(words) => format!("### {}", escaped(words)),
        Block::Text(words) => paragraph(words),
        Block::Quote(rules) => {
            let rules: Vec<String> =
                rules.iter().map(|rule| format!("> {}", paragraph(rule))).collect();
            rules.join("\n>\n")
        }
        Block::Numbers { table, .. } => grid(table),
        Block::Words(pairs) | Block::Facts(pairs) => {
            let items = pairs.iter().map(|(name, value)| {
                format!("* **{}**: {}", escaped(name), escaped(value))
            });
            items.collect::<Vec<_>>().join("\n")
        }
        // JSON on one line: it begins with a brace, so it cannot end the fence.
        Block::Queries(pairs) => {
            let fences = pairs.iter().map(|(name, json)| {
                format!("{}:\n\n```json\n{json}\n```", escaped(name))
            });
            fences.collect::<Vec<_>>().join("\n\n")
        }
    }
}

/// A table; columns of numbers stand to the right.
fn grid(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> =
            cells.iter().map(|cell| escaped(&readable(cell))).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rules: Vec<&str> = table
        .numeric()
        .into_iter()
        .map(|numeric| if numeric { "---:" } else { "---" })
        .collect();
    let mut lines = vec![line(&table.header), format!("| {} |", rules.join(" | "))];
    lines.extend(table.rows.iter().map(|row| line(row)));
    lines.join("\n")
}

/// Text at the beginning of a line, where it could begin a list or a rule.
fn paragraph(text: &str) -> String {
    let text = escaped(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let item = digits > 0 && rest.starts_with(['.', ')']);
    let begins = digits == 0 && rest.starts_with(['-', '+', '=']);
    if item || begins { format!("{number}\\{rest}") } else { text }
}

/// Text on one line in which nothing is markup, neither of Markdown nor of HTML.
fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let is_address = word.contains("://") || word.to_lowercase().contains("www.");
        for c in word.chars() {
            match c {
                '&' => line.push_str("&amp;"),
                '<' => line.push_str("&lt;"),
                '>' => line.push_str("&gt;"),
                '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' => {
                    append(&mut line, format_args!("\\{c}"));
                }
                // Else GitHub makes a link of it.
                ':' | '.' if is_address => append(&mut line, format_args!("\\{c}")),
                c => line.push(c),
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        for (text, line) in [
            ("<script> & \"><img", "&lt;script&gt; &amp; \"&gt;&lt;img"),
            ("[a](b) *c* _d_ `e` ~f~", "\\[a\\](b) \\*c\\* \\_d\\_ \\`e\\` \\~f\\~"),
            ("a|b\\|c", "a\\|b\\\\\\|c"),
            ("a\r\n\n# b\u{2028}\tc", "a \\# b c"),
            (
                "https://x.org Www.x.org a@x.org",
                "https\\://x\\.org Www\\.x\\.org a\\@x.org",
            ),
        ] {
            assert_eq!(escaped(text), line);
        }
    }

    #[test]
    fn a_paragraph_cannot_become_a_list_or_a_rule() {
        for (text, line) in [
            ("1. a", "1\\. a"),
            ("22) a", "22\\) a"),
            (" - a", "\\- a"),
            ("---", "\\---"),
            ("22,014 a", "22,014 a"),
            ("2.5 a", "2\\.5 a"),
        ] {
            assert_eq!(paragraph(text), line);
        }
    }

    #[test]
    fn a_table_keeps_its_columns() {
        let mut table = Table::new(["na|me", "n"]);
        table.push(["a\nb|c", "22014"]);
        assert_eq!(
            grid(&table),
            "| na\\|me | n |\n| --- | ---: |\n| a b\\|c | 22,014 |"
        );
    }
}
