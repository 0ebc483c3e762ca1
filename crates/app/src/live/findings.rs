//! What the ledger says of the operator's assets and suppliers, for the operator's pages.
//!
//! **Invariant:** what is shown follows from the ledger and the portfolio alone, as of the day
//! that `tidegauge exposure` last told of; both are read again when they change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tidegauge_enrich::catalog::Catalog;
use tidegauge_exposure::chance::Chance;
use tidegauge_exposure::dossier::Audience;
use tidegauge_exposure::fact::{Quiet, Said as SaidFact};
use tidegauge_exposure::life::Move as Step;
use tidegauge_exposure::out::letter::Masked;
use tidegauge_exposure::{Dossier, Portfolio, dossier, dossiers};
use tidegauge_model::Day;
use tidegauge_publish::finding::{
    About, Export, Exposure, Findings, Move, QuietWeek, Said, Sight, Silent,
};
use tidegauge_publish::serve::CountsError;
use tokio::sync::Mutex;

use super::{Live, failed};
use crate::verb::exposure;
use crate::{clock, journal};

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

/// What was read of a book: of these files, and of this version of the lake.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Shelved>);

#[derive(Default)]
struct Shelved {
    read: Option<(Stamp, Arc<Read>)>,
    /// Rows without a finding depend on what was looked at, too.
    silent: Option<(Stamp, Option<u64>, Arc<[Silent]>)>,
}

/// By what files are told from what they were.
type Stamp = [Option<(u64, SystemTime)>; 2];

/// A book as read.
struct Read {
    as_of: Option<Day>,
    portfolio: Portfolio,
    house: Vec<Dossier>,
    masked: Masked,
    exposures: Arc<[Exposure]>,
}

impl Live {
    /// All findings.
    pub(super) async fn exposures(&self) -> Result<Arc<Findings>, CountsError> {
        let (stamp, read) = self.read().await?;
        let version = self.newest().await;
        let mut shelf = self.shelf.0.lock().await;
        let same = |of: &&(Stamp, Option<u64>, Arc<[Silent]>)| {
            (of.0, of.1) == (stamp, version)
        };
        let known = shelf.silent.as_ref().filter(same).map(|of| Arc::clone(&of.2));
        let silent = if let Some(silent) = known {
            silent
        } else {
            let found = exposure::silent(&self.opened, &read.portfolio, &read.house);
            let silent: Arc<[Silent]> = found.await.map_err(failed)?.into();
            shelf.silent = Some((stamp, version, Arc::clone(&silent)));
            silent
        };
        let exposures = Arc::clone(&read.exposures);
        Ok(Arc::new(Findings { as_of: read.as_of, exposures, silent }))
    }

    /// All findings in a form.
    pub(super) async fn exported(&self, form: Export) -> Result<String, CountsError> {
        let (_, read) = self.read().await?;
        let sender = self.book.as_ref().map_or("", |book| book.sender.as_str());
        exposure::write::text(form, &read.house, &read.masked, sender).map_err(failed)
    }

    async fn read(&self) -> Result<(Stamp, Arc<Read>), CountsError> {
        self.operator_only()?;
        let book = self.book.as_ref().ok_or_else(|| CountsError::Refused {
            asked: "exposure without a portfolio".to_owned(),
            hint: "the operator names one: `tidegauge serve --portfolio FILE`"
                .to_owned(),
        })?;
        let stamp = [stamp(&book.portfolio), stamp(&book.ledger)];
        let mut shelf = self.shelf.0.lock().await;
        if let Some((_, read)) = shelf.read.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok((stamp, Arc::clone(read)));
        }
        // A large ledger takes seconds, in which others are answered.
        let read = tokio::task::block_in_place(|| self.open_book(book));
        let read = Arc::new(read.map_err(failed)?);
        shelf.read = Some((stamp, Arc::clone(&read)));
        Ok((stamp, read))
    }

    fn open_book(&self, book: &Book) -> anyhow::Result<Read> {
        let portfolio = exposure::portfolio(&book.portfolio)?;
        let ledger = journal::read_ledger(&book.ledger)?;
        let as_of = ledger.as_of();
        let day = as_of.unwrap_or_else(clock::today);
        let combine = exposure::combine;
        let house = dossiers(&portfolio, &ledger, day, Audience::House, &combine);
        let masked = Masked::new(&portfolio, &ledger, day, &combine);
        let exposures: Result<Arc<[Exposure]>, serde_json::Error> =
            house.iter().map(|dossier| self.shown(dossier)).collect();
        Ok(Read { as_of, portfolio, house, masked, exposures: exposures? })
    }

    fn shown(&self, dossier: &Dossier) -> Result<Exposure, serde_json::Error> {
        let (life, about) = (&dossier.life, &dossier.subject);
        let catalog = &self.opened.catalog;
        Ok(Exposure {
            finding: dossier.row(),
            product_name: exposure::write::product_name(catalog, &dossier.product),
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
            sights: dossier.evidence.iter().map(|s| sight(s, catalog)).collect(),
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

fn sight(sight: &dossier::Sight, catalog: &Catalog) -> Sight {
    let server = exposure::write::server(catalog, &sight.endpoint);
    let server = server.map(|words| format!(" ({words})")).unwrap_or_default();
    Sight {
        signal: sight.signal.to_string(),
        grade: sight.grade.to_string(),
        endpoint: format!("{} {}{server}", sight.role, sight.endpoint),
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
