//! A letter as one page of HTML.
//!
//! **Invariant:** everything that comes from outside is escaped; the page loads nothing and runs
//! nothing.

use super::{Block, Run};

const STYLE: &str = "\
body{font:11pt/1.45 Georgia,serif;max-width:42em;margin:2em auto;padding:0 1em;\
color:#1a1a1a;background:#fff}h1{font-size:1.35em}h2{font-size:1.1em;margin-top:1.6em}\
table{border-collapse:collapse;width:100%;font:9pt/1.35 system-ui,sans-serif}\
th,td{text-align:left;vertical-align:top;border-bottom:1px solid #999;padding:.3em .4em;\
overflow-wrap:break-word}small{color:#444}section{break-inside:avoid-page}\
@page{size:A4;margin:20mm}@media print{body{margin:0;max-width:none;padding:0}}";

pub(super) fn page(title: &str, blocks: &[Block]) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{}</body>\n</html>\n",
        escape(title),
        written(blocks)
    )
}

fn written(blocks: &[Block]) -> String {
    blocks.iter().map(block).collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(level, text) => {
            format!("<h{level}>{}</h{level}>\n", escape(text))
        }
        Block::Text(runs) => format!("<p>{}</p>\n", text(runs)),
        Block::List { ordered, items } => {
            let tag = if *ordered { "ol" } else { "ul" };
            let items = items.iter().map(|item| format!("<li>{}</li>\n", escape(item)));
            format!("<{tag}>\n{}</{tag}>\n", items.collect::<String>())
        }
        Block::Table { head, rows } => {
            let head =
                head.map(|name| format!("<th scope=\"col\">{name}</th>")).concat();
            let rows = rows.iter().map(|row| {
                let cells =
                    row.each_ref().map(|cell| format!("<td>{}</td>", text(cell)));
                format!("<tr>{}</tr>\n", cells.concat())
            });
            format!(
                "<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{}</tbody>\n</table>\n",
                rows.collect::<String>()
            )
        }
        Block::Section(blocks) => format!("<section>\n{}</section>\n", written(blocks)),
    }
}

fn text(runs: &[Run]) -> String {
    let run = |run: &Run| match run {
        Run::Plain(text) => escape(text),
        Run::Small(text) => format!("<small>{}</small>", escape(text)),
        Run::Break => "<br>".to_owned(),
    };
    runs.iter().map(run).collect()
}

/// Text as it may stand anywhere in the page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
