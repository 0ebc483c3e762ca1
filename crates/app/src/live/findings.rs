//! What the ledger says of the operator's assets and suppliers, for the operator's pages.
//!
//! **Invariant:** what is shown follows from the ledger and the portfolio alone, as of the day
//! that `tidegauge exposure` last told of; both are read again when they change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tidegauge_exposure::chance::Chance;
use tidegauge_exposure::dossier::Audience;
use tidegauge_exposure::fact::{Quiet, Said as SaidFact};
use tidegauge_exposure::life::Move as Step;
use tidegauge_exposure::out::letter::Masked;
use tidegauge_exposure::portfolio::Kind;
use tidegauge_exposure::{Dossier, dossier, dossiers};
use tidegauge_model::Day;
use tidegauge_model::finding::FindingState;
use tidegauge_publish::finding::{
    About, Export, Exposure, Findings, Move, QuietWeek, Said, Sight, Silent,
};
use tidegauge_publish::serve::CountsError;
use tokio::sync::Mutex;

use super::{Live, failed};
use crate::journal;
use crate::verb::exposure;

/// Where findings come from.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    /// The list of assets and suppliers.
    pub(crate) portfolio: PathBuf,
    /// The ledger.
    pub(crate) ledger: PathBuf,
    /// Who publishes the event for MISP.
    pub(crate) sender: String,
}

/// What was read of a book, and of which files.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Option<(Stamp, Arc<Read>)>>);

/// By what a file is told from what it was; and the version of the lake.
type Stamp = ([Option<(u64, SystemTime)>; 2], Option<u64>);

/// A book as read.
struct Read {
    findings: Arc<Findings>,
    house: Vec<Dossier>,
    masked: Masked,
}

impl Live {
    /// All findings.
    pub(super) async fn exposures(&self) -> Result<Arc<Findings>, CountsError> {
        Ok(Arc::clone(&self.read().await?.findings))
    }

    /// All findings in a form.
    pub(super) async fn exported(&self, form: Export) -> Result<String, CountsError> {
        let read = self.read().await?;
        let sender = self.book.as_ref().map_or("", |book| book.sender.as_str());
        exposure::write::text(form, &read.house, &read.masked, sender).map_err(failed)
    }

    async fn read(&self) -> Result<Arc<Read>, CountsError> {
        self.operator_only()?;
        let book = self.book.as_ref().ok_or_else(|| CountsError::Refused {
            asked: "exposure without a portfolio".to_owned(),
            hint: "the operator names one: `tidegauge serve --portfolio FILE`"
                .to_owned(),
        })?;
        let stamp =
            ([stamp(&book.portfolio), stamp(&book.ledger)], self.newest().await);
        let mut shelf = self.shelf.0.lock().await;
        if let Some((_, read)) = shelf.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok(Arc::clone(read));
        }
        let read = Arc::new(self.opened_book(book).await.map_err(failed)?);
        *shelf = Some((stamp, Arc::clone(&read)));
        Ok(read)
    }

    async fn opened_book(&self, book: &Book) -> anyhow::Result<Read> {
        let portfolio = exposure::portfolio(&book.portfolio)?;
        let ledger = journal::read_ledger(&book.ledger)?;
        let as_of = ledger.as_of();
        let day = as_of.unwrap_or(Day(0));
        let combine = exposure::combine;
        let house = dossiers(&portfolio, &ledger, day, Audience::House, &combine);
        let silent = exposure::silent(&self.opened, &portfolio, &house).await?;
        let row = |(subject, kind, state): (String, Kind, FindingState)| {
            let kind = kind.as_str().to_owned();
            Silent { subject, kind, state }
        };
        let exposures: Result<Vec<Exposure>, serde_json::Error> =
            house.iter().map(|dossier| self.shown(dossier)).collect();
        Ok(Read {
            findings: Arc::new(Findings {
                as_of,
                exposures: exposures?,
                silent: silent.into_iter().map(row).collect(),
            }),
            masked: Masked::new(&portfolio, &ledger, day, &combine),
            house,
        })
    }

    fn shown(&self, dossier: &Dossier) -> Result<Exposure, serde_json::Error> {
        let (life, about) = (&dossier.life, &dossier.subject);
        let product = self.opened.catalog.product(dossier.product.as_str());
        Ok(Exposure {
            finding: dossier.row(),
            product_name: product
                .map_or_else(|| dossier.product.to_string(), |p| p.name.clone()),
            about: About {
                kind: about.kind.as_str().to_owned(),
                tier: about.tier,
                tags: about.tags.clone(),
                through: about.through.clone(),
                contact: about.contact.clone(),
                listed: about.listed,
            },
            since: life.since,
            why: life.why.clone(),
            moves: life.moves.iter().map(step).collect(),
            sights: dossier.evidence.iter().map(sight).collect(),
            quiet: dossier.quiet_weeks.iter().map(quiet).collect(),
            said: dossier.said.iter().map(said).collect(),
            next_steps: dossier.next_steps.clone(),
            document: serde_json::to_value(dossier)?,
        })
    }
}

fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let of = |file: Metadata| Some((file.len(), file.modified().ok()?));
    std::fs::metadata(path).ok().and_then(of)
}

fn step(step: &Step) -> Move {
    Move {
        on: step.on,
        to: step.to,
        by: step.by.as_str().to_owned(),
        said: step.said.clone(),
    }
}

fn sight(sight: &dossier::Sight) -> Sight {
    Sight {
        signal: sight.signal.to_string(),
        grade: sight.grade.to_string(),
        endpoint: format!("{} {}", sight.role, sight.endpoint),
        vantage: sight.vantage.clone(),
        network: sight.network,
        matched: sight.matched.clone(),
        organisation: sight.organisation.clone(),
        asn: sight.asn,
        first: sight.first.day(),
        last: sight.last.day(),
        days: sight.days,
        contacts: sight.contacts,
        probability: sight.probability.value(),
    }
}

fn quiet(quiet: &Quiet) -> QuietWeek {
    let why = || quiet.unknown.clone().unwrap_or_else(|| "not known".to_owned());
    QuietWeek {
        week: quiet.week,
        looked_days: quiet.looked_days,
        vantages: quiet.vantages.clone(),
        detection: quiet.detection.map(Chance::value).ok_or_else(why),
    }
}

fn said(said: &SaidFact) -> Said {
    Said {
        on: said.at.day(),
        who: said.who.clone(),
        verdict: said.verdict.as_str().to_owned(),
        why: said.why.clone(),
    }
}
