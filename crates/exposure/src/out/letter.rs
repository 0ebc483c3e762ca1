//! A letter to a supplier: one HTML page that opens from disk and prints.
//!
//! **Invariant:** made from masked dossiers alone; everything that comes from outside is
//! escaped; the page loads nothing and runs nothing. It says what was seen, never that a
//! rule was broken.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tidegauge_model::Day;

use crate::dossier::{About, Audience, Dossier, Sight, days, dossiers};
use crate::ledger::Ledger;
use crate::life::Combine;
use crate::life::confidence::HALF_LIFE_DAYS;
use crate::portfolio::Portfolio;

/// Dossiers fit for others.
#[derive(Clone, Debug)]
pub struct Masked(Vec<Dossier>);

impl Masked {
    /// Every finding of the ledger, masked.
    pub fn new(
        portfolio: &Portfolio,
        ledger: &Ledger,
        as_of: Day,
        combine: Combine<'_>,
    ) -> Self {
        Self(dossiers(portfolio, ledger, as_of, Audience::Others, combine))
    }

    /// The dossiers.
    pub fn dossiers(&self) -> &[Dossier] {
        &self.0
    }
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Name of the organisation.
    pub name: String,
    /// Where an answer goes.
    pub reply_to: String,
}

/// One letter: the key of the row it is for, and the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Key of the row.
    pub subject: String,
    /// The page.
    pub html: String,
}

/// A letter for each row that has something open, quiet or disputed.
pub fn letters(masked: &Masked, sender: &Sender) -> Vec<Letter> {
    let due = |d: &&Dossier| {
        use tidegauge_model::finding::FindingState as S;
        !matches!(d.life.state, S::VerifiedRemoved | S::NotOurs)
    };
    let all: Vec<&Dossier> = masked.0.iter().filter(due).collect();
    let keys: BTreeSet<&str> = all.iter().map(|d| d.subject.key.as_str()).collect();
    let letter = |key: &str| {
        let theirs: Vec<&Dossier> =
            all.iter().copied().filter(|d| d.subject.key == key).collect();
        let about = &theirs.first()?.subject;
        Some(Letter { subject: key.to_owned(), html: page(about, &theirs, sender) })
    };
    keys.into_iter().filter_map(letter).collect()
}

const STYLE: &str = "\
body{font:11pt/1.45 Georgia,serif;max-width:42em;margin:2em auto;padding:0 1em;\
color:#1a1a1a;background:#fff}h1{font-size:1.35em}h2{font-size:1.1em;margin-top:1.6em}\
table{border-collapse:collapse;width:100%;font:9pt/1.35 system-ui,sans-serif}\
th,td{text-align:left;vertical-align:top;border-bottom:1px solid #999;padding:.3em .4em;\
overflow-wrap:break-word}small{color:#444}section{break-inside:avoid-page}\
@page{size:A4;margin:20mm}@media print{body{margin:0;max-width:none;padding:0}}";

fn page(about: &About, dossiers: &[&Dossier], sender: &Sender) -> String {
    let mut body = String::new();
    for dossier in dossiers {
        body.push_str(&finding(dossier));
    }
    let as_of = dossiers.first().map_or(String::new(), |d| d.as_of.to_string());
    let through = if about.through.is_empty() {
        String::new()
    } else {
        format!(
            "<p>We know of you through {}.</p>\n",
            escape(&about.through.join(", "))
        )
    };
    let contact = about.contact.as_deref().map_or(String::new(), |contact| {
        format!("<p>To: {} ({})</p>\n", escape(&about.name), escape(contact))
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n<title>Contacts seen from networks of {name}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<p>{from}<br><small>{reply}</small></p>\n\
         {contact}<h1>Contacts seen from networks of {name}</h1>\n{through}\
         <p>Up to {as_of}, the following contacts were seen between networks that we \
         attribute to you and servers of products that we watch. A contact is an \
         observation. It does not say that a rule was broken, and it may be wrong: please \
         check it and tell us.</p>\n{body}\
         <h2>What we ask of you</h2>\n<ol>\n<li>Check what is listed above against your \
         own logs and inventory.</li>\n<li>Tell us what it was, and when it was or will be \
         removed.</li>\n<li>If a network is not yours, say so: we keep the dispute with the \
         finding.</li>\n</ol>\n<p><small>Networks are shown as /24 and /48. A confidence is \
         halved every {HALF_LIFE_DAYS} days without evidence and starts anew with a new \
         contact.</small></p>\n</body>\n</html>\n",
        name = escape(&about.name),
        from = escape(&sender.name),
        reply = escape(&sender.reply_to),
    )
}

fn finding(dossier: &Dossier) -> String {
    let life = &dossier.life;
    let mut html = format!(
        "<section>\n<h2>{}: {}</h2>\n<p>{}. First seen {}, last seen {}, on {}; \
         confidence {}. <small>Reference {}</small></p>\n<table>\n<thead><tr>\
         <th scope=\"col\">What</th><th scope=\"col\">When</th>\
         <th scope=\"col\">Network</th><th scope=\"col\">Why we think it is yours</th>\
         </tr></thead>\n<tbody>\n",
        escape(dossier.product.as_str()),
        escape(&life.state.as_str().replace('_', " ")),
        escape(&capital(&life.why)),
        life.first_seen,
        life.last_seen,
        days(life.days),
        life.confidence,
        dossier.id,
    );
    for sight in &dossier.evidence {
        html.push_str(&row(sight));
    }
    html.push_str("</tbody>\n</table>\n<ul>\n");
    for step in dossier.asked() {
        _ = writeln!(html, "<li>{}</li>", escape(&step));
    }
    html.push_str("</ul>\n</section>\n");
    html
}

fn row(sight: &Sight) -> String {
    format!(
        "<tr><td>{} ({}), recognised by {}, {} contacts</td><td>{} to {}, {}</td>\
         <td>{} <small>seen at {}</small></td><td>{}</td></tr>\n",
        escape(sight.signal.as_str()),
        escape(sight.endpoint.as_str()),
        escape(sight.grade.as_str()),
        sight.contacts,
        sight.first.day(),
        sight.last.day(),
        days(sight.days),
        sight.network,
        escape(sight.vantage.as_str()),
        escape(&sight.matched),
    )
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

/// Text as it may stand anywhere in the page.
pub(crate) fn escape(text: &str) -> String {
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
