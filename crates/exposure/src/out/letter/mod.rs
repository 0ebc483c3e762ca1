//! A letter to a supplier, as a page that opens from disk and as a PDF.
//!
//! ```text
//! masked dossiers ─► Block, Block, … ─┬─► html
//!                                     └─► pdf
//! ```
//!
//! **Invariant:** made from masked dossiers alone; both forms say the same, since both are made of
//! the same blocks. It says what was seen, never that a rule was broken.

mod html;
mod pdf;

use std::collections::BTreeSet;

use tidegauge_model::{Day, EndpointId, ProductId};

use crate::dossier::{About, Audience, Dossier, Sight, days, dossiers};
use crate::ledger::Ledger;
use crate::life::Combine;
use crate::life::confidence::HALF_LIFE_DAYS;
use crate::portfolio::{Kind, Portfolio};

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

/// One letter: the key of the row it is for, and its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Key of the row.
    pub subject: String,
    /// The page.
    pub html: String,
    /// The same as PDF.
    pub pdf: Vec<u8>,
}

/// A part of a letter, in whatever form.
enum Block {
    /// Of this level, from 1.
    Heading(u16, String),
    Text(Vec<Run>),
    List {
        ordered: bool,
        items: Vec<String>,
    },
    Table {
        head: [&'static str; COLUMNS],
        rows: Vec<[Vec<Run>; COLUMNS]>,
    },
    /// What belongs together; printed from the page it stays on one sheet.
    Section(Vec<Block>),
}

/// Columns of a table of evidence.
const COLUMNS: usize = 4;

/// Text of one weight.
enum Run {
    Plain(String),
    Small(String),
    /// A new line begins.
    Break,
}

/// The faces in which a PDF is set: the bytes of two files of TrueType.
#[derive(Clone, Copy, Debug)]
pub struct Faces {
    /// Of text.
    pub regular: &'static [u8],
    /// Of headings.
    pub bold: &'static [u8],
}

/// What products and servers are called, as a catalog has them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The name of a product for readers.
    pub product: &'a dyn Fn(&ProductId) -> String,
    /// What a server is to be looked for by in a log.
    pub server: &'a dyn Fn(&EndpointId) -> Option<String>,
}

/// A letter for each supplier that has something open, quiet or disputed. Fails where a PDF
/// cannot be written.
pub fn letters(
    masked: &Masked,
    sender: &Sender,
    names: Names<'_>,
    faces: &Faces,
) -> Result<Vec<Letter>, Unwritable> {
    let due = |d: &&Dossier| {
        use tidegauge_model::finding::FindingState as S;
        d.subject.kind == Kind::Supplier
            && !matches!(d.life.state, S::VerifiedRemoved | S::NotOurs)
    };
    let all: Vec<&Dossier> = masked.0.iter().filter(due).collect();
    let keys: BTreeSet<&str> = all.iter().map(|d| d.subject.key.as_str()).collect();
    let letter = |key: &str| {
        let theirs: Vec<&Dossier> =
            all.iter().copied().filter(|d| d.subject.key == key).collect();
        let about = &theirs.first()?.subject;
        let title = format!("Contacts seen from networks of {}", about.name);
        let blocks = blocks(&title, about, &theirs, sender, names);
        let html = html::page(&title, &blocks);
        let subject = key.to_owned();
        let pdf = pdf::page(&title, &blocks, faces);
        Some(pdf.map(|pdf| Letter { subject, html, pdf }))
    };
    keys.into_iter().filter_map(letter).collect()
}

/// A PDF could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the letter cannot be written as PDF: {reason}")]
pub struct Unwritable {
    reason: String,
}

fn plain(text: impl Into<String>) -> Run {
    Run::Plain(text.into())
}

fn small(text: impl Into<String>) -> Run {
    Run::Small(text.into())
}

fn blocks(
    title: &str,
    about: &About,
    dossiers: &[&Dossier],
    sender: &Sender,
    names: Names<'_>,
) -> Vec<Block> {
    let from = vec![plain(&sender.name), Run::Break, small(&sender.reply_to)];
    let mut blocks = vec![Block::Text(from)];
    if let Some(contact) = &about.contact {
        blocks
            .push(Block::Text(vec![plain(format!("To: {} ({contact})", about.name))]));
    }
    blocks.push(Block::Heading(1, title.to_owned()));
    if !about.through.is_empty() {
        let through = format!("We know of you through {}.", about.through.join(", "));
        blocks.push(Block::Text(vec![plain(through)]));
    }
    let as_of = dossiers.first().map_or(String::new(), |d| d.as_of.to_string());
    let observed = format!(
        "Up to {as_of}, the following contacts were seen between networks that we attribute to \
         you and servers of products that we watch. A contact is an observation. It does not \
         say that a rule was broken, and it may be wrong: please check it and tell us."
    );
    blocks.push(Block::Text(vec![plain(observed)]));
    blocks
        .extend(dossiers.iter().map(|dossier| Block::Section(finding(dossier, names))));
    blocks.push(Block::Heading(2, "What we ask of you".to_owned()));
    let asked = [
        "Check what is listed above against your own logs and inventory.",
        "Tell us what it was, and when it was or will be removed.",
        "If a network is not yours, say so: we keep the dispute with the finding.",
    ];
    blocks.push(Block::List { ordered: true, items: asked.map(str::to_owned).into() });
    let last = format!(
        "Networks are shown as /24 and /48. A confidence is halved every {HALF_LIFE_DAYS} days \
         without evidence and starts anew with a new contact."
    );
    blocks.push(Block::Text(vec![small(last)]));
    blocks
}

fn finding(dossier: &Dossier, names: Names<'_>) -> Vec<Block> {
    let life = &dossier.life;
    let product = (names.product)(&dossier.product);
    let state = life.state.as_str().replace('_', " ");
    let told = format!(
        "{}. First seen {}, last seen {}, on {}; confidence {}. ",
        capital(&life.why),
        life.first_seen,
        life.last_seen,
        days(life.days),
        life.confidence,
    );
    let reference = small(format!("Reference {}", dossier.id));
    let head = ["What", "When", "Network", "Why we think it is yours"];
    let rows = dossier.evidence.iter().map(|sight| row(sight, names)).collect();
    vec![
        Block::Heading(2, format!("{product}: {state}")),
        Block::Text(vec![plain(told), reference]),
        Block::Table { head, rows },
        Block::List { ordered: false, items: dossier.asked(&product) },
    ]
}

fn row(sight: &Sight, names: Names<'_>) -> [Vec<Run>; COLUMNS] {
    let contacts = match sight.contacts {
        1 => "1 contact".to_owned(),
        contacts => format!("{contacts} contacts"),
    };
    let what = format!(
        "{} ({}), recognised by {}, {contacts}",
        sight.signal, sight.endpoint, sight.grade
    );
    let mut what = vec![plain(what)];
    if let Some(server) = (names.server)(&sight.endpoint) {
        what.extend([Run::Break, small(server)]);
    }
    let (first, last) = (sight.first.day(), sight.last.day());
    let when = format!("{first} to {last}, {}", days(sight.days));
    let seen_at = small(format!("seen at {}", sight.vantage));
    [
        what,
        vec![plain(when)],
        vec![plain(format!("{} ", sight.network)), seen_at],
        vec![plain(&sight.matched)],
    ]
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}
