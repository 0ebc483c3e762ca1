//! The lake behind the live pages; in `acts` what is found about acts, in `releases` what was
//! published, in `known` what counting rests on, in `organisation` and `findings` what the
//! operator's pages tell of one and of what is ours.
//!
//! **Invariant:** what is remembered is of one version of the sightings; what is released
//! in public is of populations that the operator chose, coarse tables first.

mod acts;
mod findings;
mod known;
mod organisation;
mod releases;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use tidegauge_census::Contacts;
use tidegauge_effect::removal::removal;
use tidegauge_effect::{Active, Bootstrap, Stratify, Windows};
use tidegauge_model::count::{Census, Dating, Dimension, Query, Release};
use tidegauge_model::estimate::{Estimate, ReleasedEstimate};
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{
    Country, Coverage, DayRange, Month, OrgId, PolicyId, ProductId, SectorId,
};
use tidegauge_publish::assessment::Assessed;
use tidegauge_publish::finding::{Export, Findings};
use tidegauge_publish::knowledge::Known;
use tidegauge_publish::organisation::{Dossier, Found};
use tidegauge_publish::publication::{Causes, Publication};
use tidegauge_publish::report::Expansion;
use tidegauge_publish::serve::{Answer, Comparison, Counts, CountsError, Scope};
use tidegauge_store::Table;
use tokio::sync::{Mutex, MutexGuard};

use self::acts::Acts;
pub(crate) use self::acts::{Waiting, assess_waiting};
pub(crate) use self::findings::Book;
use crate::opened::{Audience, Opened, disclosed};
use crate::settings::Settings;
use crate::verb::assess;
use crate::verb::report::Simulated;
use crate::{args, knowledge};

/// How many answers are kept: a page asks for a dozen, a few readers look at a few dozen
/// pages. Picked by hand, revisit.
const REMEMBERED_MAX: usize = 512;

/// The shortest period counted in public: the shortest month.
const WINDOW_DAYS_MIN: u32 = 28;

/// How many days more than the lake covers may be asked about: each month that is counted
/// takes time, also one without a sighting. Ten years.
const BEYOND_MAX: u32 = 3_653;

/// Answers pages from the lake, and remembers answers until the lake changes.
pub(crate) struct Live {
    opened: Arc<Opened>,
    remembered: Mutex<Remembered>,
    evidence: args::Evidence,
    audience: Mutex<Audience>,
    timeline: Timeline,
    expansion: Option<Expansion>,
    sector_names: Vec<(SectorId, String)>,
    acts: Acts,
    directory: organisation::Directory,
    book: Option<Book>,
    shelf: findings::Shelf,
    settings: Settings,
}

/// Answers by what was asked.
#[derive(Default)]
struct Remembered {
    version: i64,
    censuses: BTreeMap<String, Census>,
    panels: BTreeMap<String, Arc<Panel>>,
    contacts: Option<Arc<Contacts>>,
    /// The days covered, once there are some.
    covered: Option<DayRange>,
}

impl Live {
    /// Answers from an opened lake with one rule of evidence. Acts that readers ask for
    /// come out of what is returned beside it: see [`assess_waiting`].
    pub(crate) fn new(
        opened: Arc<Opened>,
        evidence: args::Evidence,
        settings: &Settings,
        simulated: Option<&Simulated>,
        book: Option<Book>,
    ) -> anyhow::Result<(Self, Waiting)> {
        let rules = knowledge::rules(settings)?;
        let (acts, waiting) = Acts::new();
        let live = Self {
            acts,
            directory: organisation::Directory::default(),
            book,
            shelf: findings::Shelf::default(),
            settings: settings.clone(),
            audience: Mutex::new(Audience::new(evidence.internal)),
            opened,
            remembered: Mutex::default(),
            evidence,
            timeline: knowledge::timeline(settings)?,
            expansion: simulated.map(|s| s.expansion.clone()),
            sector_names: rules
                .sectors
                .iter()
                .map(|s| (s.id.clone(), s.label.clone()))
                .collect(),
        };
        Ok((live, waiting))
    }

    /// The newest version of the lake, if it can be told.
    async fn newest(&self) -> Option<u64> {
        let snapshot = self.opened.lake.snapshot(Table::Sightings).await.ok()?;
        u64::try_from(snapshot.version).ok()
    }

    /// What is remembered of the newest version of the lake.
    async fn memory(&self) -> Result<MutexGuard<'_, Remembered>, CountsError> {
        let snapshot =
            self.opened.lake.snapshot(Table::Sightings).await.map_err(failed)?;
        let mut memory = self.remembered.lock().await;
        let full = memory.censuses.len() + memory.panels.len() > REMEMBERED_MAX;
        if memory.version != snapshot.version || full {
            *memory = Remembered { version: snapshot.version, ..Remembered::default() };
        }
        Ok(memory)
    }

    /// The days that the lake covers by now: it may be filled while pages are served.
    async fn covered(&self) -> Result<Option<DayRange>, CountsError> {
        let (version, known) = {
            let memory = self.memory().await?;
            (memory.version, memory.covered)
        };
        if known.is_some() {
            return Ok(known);
        }
        let covered = self.opened.covered().await.map_err(failed)?;
        let mut memory = self.memory().await?;
        // Of a lake that grew meanwhile it may be too short.
        if memory.version == version {
            memory.covered = covered;
        }
        Ok(covered)
    }

    async fn census(&self, query: &Query) -> Result<Census, CountsError> {
        let key = format!("{query:?}");
        if let Some(census) = self.memory().await?.censuses.get(&key) {
            return Ok(census.clone());
        }
        let census = self.opened.counter.census(query).await.map_err(failed)?;
        self.memory().await?.censuses.insert(key, census.clone());
        Ok(census)
    }

    /// Refuses products that the catalog does not have: what is misspelt would count as none.
    fn in_catalog(&self, products: &[ProductId]) -> Result<(), CountsError> {
        let catalog = &self.opened.catalog;
        if products.iter().all(|p| catalog.product(p.as_str()).is_some()) {
            return Ok(());
        }
        let known: Vec<&str> =
            catalog.products().iter().map(|p| p.id.as_str()).collect();
        Err(CountsError::Refused {
            asked: "a product that the catalog does not have".to_owned(),
            hint: format!("known are {}", known.join(", ")),
        })
    }

    /// Refuses what, in public, would open a way around the rule: populations that a
    /// reader can choose freely can be subtracted from each other.
    async fn allowed(&self, query: &Query) -> Result<(), CountsError> {
        self.in_catalog(&query.products)?;
        let covered = self.covered().await?;
        bounded(query.days, covered)?;
        if self.evidence.internal {
            return Ok(());
        }
        let refused = |asked: &str, hint: &str| {
            Err(CountsError::Refused { asked: asked.to_owned(), hint: hint.to_owned() })
        };
        let begins = query.days.first().month().first() == query.days.first();
        if !begins || query.days.length_days() < WINDOW_DAYS_MIN {
            return refused(
                "a period of days",
                "from the first of a month, four weeks or longer",
            );
        }
        if query.countries.len() > 1 || query.sectors.len() > 1 {
            return refused(
                "several countries or sectors at once",
                "ask for one, or split by it",
            );
        }
        let last = query.days.last();
        let covered = covered.is_some_and(|covered| last == covered.last());
        let whole = last == DayRange::month(last.month()).last();
        let one_month = last.month() == query.days.first().month();
        if !(whole || covered || one_month) {
            return refused(
                "a period that ends within a month",
                "to the last of a month",
            );
        }
        let own = self.opened.query(&self.evidence, query.days).map_err(failed)?;
        if query.known.is_some() && query.known != own.known {
            return refused("what was known on another day", "leave `known` away");
        }
        let same = own.roles == query.roles
            && own.weight_min == query.weight_min
            && own.organisation_kinds == query.organisation_kinds
            && own.active_days_min == query.active_days_min;
        if !same {
            return refused(
                "another rule of evidence",
                "leave role, weight, kind and active_days away",
            );
        }
        Ok(())
    }

    /// Releases a query after those that a page always shows of the same population, so
    /// that the order in which readers ask decides nothing; and only if the value it is
    /// filtered by is shown where it is not filtered.
    async fn released(&self, query: &Query) -> Result<Release, CountsError> {
        self.allowed(query).await?;
        if let ([_], _) | (_, [_]) = (&query.countries[..], &query.sectors[..]) {
            self.shown_unfiltered(query).await?;
        }
        for by in [Dimension::Month, Dimension::Country, Dimension::Sector] {
            let always = Query { by: vec![by], ..query.clone() };
            match self.publish(&always).await {
                // A table that nobody can see stands in nobody's way.
                Err(CountsError::Refused { asked, hint }) => {
                    tracing::debug!("left out: {asked}: {hint}");
                }
                shown => drop(shown?),
            }
        }
        self.publish(query).await
    }

    async fn shown_unfiltered(&self, query: &Query) -> Result<(), CountsError> {
        let country =
            query.countries.first().map(|c| (Dimension::Country, c.to_string()));
        let sector = query.sectors.first().map(|s| (Dimension::Sector, s.to_string()));
        for (dimension, value) in country.into_iter().chain(sector) {
            let mut slice = Query { by: vec![dimension], ..query.clone() };
            match dimension {
                Dimension::Country => slice.countries.clear(),
                _ => slice.sectors.clear(),
            }
            let table = self.publish(&slice).await?;
            let hidden = table.rows().iter().any(|row| {
                row.key.first() == Some(&Some(value.clone())) && row.counts.is_none()
            });
            if hidden && !self.evidence.internal {
                return Err(CountsError::Refused {
                    asked: format!("{dimension} {value} in this period"),
                    hint: "too few organisations to show; ask for a longer period"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    async fn publish(&self, query: &Query) -> Result<Release, CountsError> {
        let census = self.census(query).await?;
        let mut audience = self.audience.lock().await;
        let released = audience.release(&self.opened, census).await.map_err(failed)?;
        released.map_err(|withheld| CountsError::Refused {
            asked: "this table beside those always shown".to_owned(),
            hint: withheld.to_string().replace("\nhint: ", "; "),
        })
    }

    async fn panel(
        &self,
        product: &ProductId,
        days: DayRange,
    ) -> Result<Arc<Panel>, CountsError> {
        let query = self.opened.query(&self.evidence, days).map_err(failed)?;
        let key = format!("{product} {query:?}");
        if let Some(panel) = self.memory().await?.panels.get(&key) {
            return Ok(Arc::clone(panel));
        }
        let panel = self.opened.counter.panel(product, &query).await.map_err(failed)?;
        let panel = Arc::new(panel);
        self.memory().await?.panels.insert(key, Arc::clone(&panel));
        Ok(panel)
    }

    /// The weeks in which each organisation was in contact, on all covered days.
    async fn contacts(&self, covered: DayRange) -> Result<Arc<Contacts>, CountsError> {
        if let Some(contacts) = &self.memory().await?.contacts {
            return Ok(Arc::clone(contacts));
        }
        let query = self.opened.query(&self.evidence, covered).map_err(failed)?;
        let contacts = self.opened.counter.contacts(&query).await.map_err(failed)?;
        let contacts = Arc::new(contacts);
        self.memory().await?.contacts = Some(Arc::clone(&contacts));
        Ok(contacts)
    }

    async fn estimated(
        &self,
        asked: &Comparison,
    ) -> Result<Vec<ReleasedEstimate>, CountsError> {
        let [product] = asked.products.as_slice() else {
            return Err(CountsError::Refused {
                asked: "a comparison of several products at once".to_owned(),
                hint: "name one product".to_owned(),
            });
        };
        self.in_catalog(&asked.products)?;
        let windows = Windows::new(asked.before(), asked.after()).map_err(failed)?;
        let days = DayRange::new(windows.before().first(), windows.after().last());
        let days = days.ok_or_else(|| CountsError::Refused {
            asked: "a window that ends before it begins".to_owned(),
            hint: "swap the windows".to_owned(),
        })?;
        // Before anything is counted: of a span of centuries the panel alone takes minutes.
        bounded(days, self.covered().await?)?;
        let queries = self.of_windows(asked, windows)?;
        for query in &queries {
            self.allowed(query).await?;
        }
        self.opened
            .require_covered(&[windows.before(), windows.after()])
            .await
            .map_err(|error| CountsError::Refused {
                asked: "this comparison".to_owned(),
                hint: error.to_string(),
            })?;
        let mut panel = Panel::clone(&*self.panel(product, days).await?);
        panel.histories.retain(|history| {
            let in_country = asked.countries.is_empty()
                || history.country.is_some_and(|c| asked.countries.contains(&c));
            let in_sector = asked.sectors.is_empty()
                || history.sector.as_ref().is_some_and(|s| asked.sectors.contains(s));
            in_country && in_sector
        });
        let mut split = vec![Stratify::All];
        match asked.by {
            Some(Dimension::Country) => split.push(Stratify::Country),
            Some(Dimension::Sector) => split.push(Stratify::Sector),
            _ => {}
        }
        let active = Active { days_min: self.evidence.active_days };
        let of =
            |stratify| removal(&panel, windows, active, stratify, Bootstrap::default());
        let estimates: Vec<Estimate> = split.into_iter().flat_map(of).collect();
        let mut tables = Vec::new();
        for query in queries {
            for by in [Dimension::Country, Dimension::Sector] {
                tables.push(
                    self.released(&Query { by: vec![by], ..query.clone() }).await?,
                );
            }
        }
        self.told_of_all(asked, windows, active).await?;
        Ok(disclosed(self.evidence.internal, estimates, &tables))
    }

    /// What is asked of each window: with one map of holders for both, as the figures beside
    /// have it. The same table by another map would tell what the first one hides.
    fn of_windows(
        &self,
        asked: &Comparison,
        windows: Windows,
    ) -> Result<[Query; 2], CountsError> {
        let on = Dating::Frozen(windows.before().first());
        let query = |window| {
            let own = self.opened.query(&self.evidence, window).map_err(failed)?;
            Ok(Query {
                products: asked.products.clone(),
                countries: asked.countries.clone(),
                sectors: asked.sectors.clone(),
                on,
                ..own
            })
        };
        Ok([query(windows.before())?, query(windows.after())?])
    }

    /// Refuses estimates of one country or sector that are hidden where all are shown.
    async fn told_of_all(
        &self,
        asked: &Comparison,
        windows: Windows,
        active: Active,
    ) -> Result<(), CountsError> {
        let country = asked.countries.first().map(|c| ("country", c.to_string()));
        let sector = asked.sectors.first().map(|s| ("sector", s.to_string()));
        let Some([product]) =
            asked.products.first_chunk::<1>().filter(|_| !self.evidence.internal)
        else {
            return Ok(());
        };
        let days = DayRange::new(windows.before().first(), windows.after().last());
        for (of, value) in country.into_iter().chain(sector) {
            let Some(days) = days else { continue };
            let panel = self.panel(product, days).await?;
            let by = if of == "country" { Stratify::Country } else { Stratify::Sector };
            let split = [Stratify::All, by];
            let all = split.into_iter().flat_map(|by| {
                removal(&panel, windows, active, by, Bootstrap::default())
            });
            let released = disclosed(false, all, &[]);
            let stratum = vec![(of.to_owned(), value.clone())];
            let hidden =
                released.iter().any(|e| e.stratum() == stratum && e.shown().is_none());
            if hidden {
                return Err(CountsError::Refused {
                    asked: format!("{of} {value} in this comparison"),
                    hint: "too few organisations to show; ask for longer windows"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    async fn scoped(&self) -> Result<Scope, CountsError> {
        let Some(days) = self.covered().await? else {
            return Ok(Scope {
                products: vec![],
                countries: vec![],
                sectors: vec![],
                days: None,
                compared: None,
                acts: vec![],
            });
        };
        let query = Query {
            by: vec![Dimension::Product, Dimension::Country, Dimension::Sector],
            ..self.opened.query(&self.evidence, days).map_err(failed)?
        };
        let census = self.census(&query).await?;
        let values = |index: usize| -> BTreeSet<String> {
            census
                .cells
                .iter()
                .filter_map(|cell| cell.key.get(index).cloned().flatten())
                .collect()
        };
        let name = |id: &String| {
            let known = self.opened.catalog.product(id);
            (ProductId::new(id), known.map_or_else(|| id.clone(), |p| p.name.clone()))
        };
        let countries =
            values(1).iter().filter_map(|c| c.parse::<Country>().ok()).collect();
        let sectors = values(2);
        let named =
            self.sector_names.iter().filter(|(id, _)| sectors.contains(id.as_str()));
        let mut products: Vec<(ProductId, String)> =
            values(0).iter().map(name).collect();
        products.sort_by_key(|(id, _)| self.rank(id));
        let acts = self.acts(days);
        let first = products.first().map(|(id, _)| id);
        let of_first = |act: &&(PolicyId, Month, Month)| {
            let policy = self.timeline.policy(act.0.as_str());
            policy.is_some_and(|p| Some(&p.product) == first)
        };
        let last = acts.iter().filter(of_first).max_by_key(|(.., after)| *after);
        Ok(Scope {
            compared: last.map(|(_, before, after)| (*before, *after)),
            acts,
            products,
            countries,
            sectors: named.cloned().collect(),
            days: Some(days),
        })
    }
}

impl Live {
    /// Products that somebody acted on come first, controls last.
    fn rank(&self, product: &ProductId) -> (bool, bool) {
        let acted = self.timeline.policies.iter().any(|p| p.product == *product);
        let control =
            self.opened.catalog.product(product.as_str()).is_some_and(|p| p.control);
        (control, !acted)
    }

    /// The acts whose windows were covered, with the months of both.
    fn acts(&self, covered: DayRange) -> Vec<(PolicyId, Month, Month)> {
        let act = |policy: &PolicyEvent| {
            let windows = assess::windows(&args::Compared::default(), policy).ok()?;
            let (before, after) = (windows.before(), windows.after());
            let inside =
                covered.contains(before.first()) && covered.contains(after.last());
            let months = (before.first().month(), after.first().month());
            inside.then(|| (policy.id.clone(), months.0, months.1))
        };
        self.timeline.policies.iter().filter_map(act).collect()
    }
}

impl Counts for Live {
    fn release<'a>(&'a self, query: &'a Query) -> Answer<'a, Release> {
        Box::pin(self.released(query))
    }

    fn estimates<'a>(
        &'a self,
        asked: &'a Comparison,
    ) -> Answer<'a, Vec<ReleasedEstimate>> {
        Box::pin(self.estimated(asked))
    }

    fn coverage(&self, days: DayRange) -> Answer<'_, Vec<Coverage>> {
        Box::pin(async move { self.opened.lake.coverage(days).await.map_err(failed) })
    }

    fn timeline(&self) -> Answer<'_, Timeline> {
        Box::pin(async { Ok(self.timeline.clone()) })
    }

    fn knowledge(&self) -> Answer<'_, Vec<Known>> {
        Box::pin(async { Ok(known::parts(&self.opened, self.covered().await?)) })
    }

    fn assessment<'a>(&'a self, policy: &'a PolicyId) -> Answer<'a, Assessed> {
        Box::pin(async { Ok(self.acts.of(policy, self.version().await)) })
    }

    fn organisations<'a>(&'a self, words: &'a str) -> Answer<'a, Found> {
        Box::pin(self.find(words))
    }

    fn organisation<'a>(&'a self, id: &'a OrgId) -> Answer<'a, Option<Dossier>> {
        Box::pin(self.dossier(id))
    }

    fn releases(&self) -> Answer<'_, Vec<Publication>> {
        Box::pin(self.publications())
    }

    fn causes<'a>(&'a self, release: &'a str) -> Answer<'a, Causes> {
        Box::pin(self.why(release))
    }

    fn findings(&self) -> Answer<'_, Arc<Findings>> {
        Box::pin(self.exposures())
    }

    fn findings_as(&self, form: Export) -> Answer<'_, String> {
        Box::pin(self.exported(form))
    }

    fn version(&self) -> Pin<Box<dyn Future<Output = Option<u64>> + Send + '_>> {
        Box::pin(self.newest())
    }

    fn expansion(&self) -> Option<Expansion> {
        self.expansion.clone()
    }

    fn scope(&self) -> Answer<'_, Scope> {
        Box::pin(self.scoped())
    }
}

/// Refuses periods far longer than what the lake covers.
fn bounded(days: DayRange, covered: Option<DayRange>) -> Result<(), CountsError> {
    let Some(covered) = covered else { return Ok(()) };
    if days.length_days() <= covered.length_days().saturating_add(BEYOND_MAX) {
        return Ok(());
    }
    Err(CountsError::Refused {
        asked: format!("a period of {} days", days.length_days()),
        hint: format!("the lake covers {covered}"),
    })
}

/// Readers get only "the count failed"; the operator gets the cause.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CountsError {
    let error = error.into();
    tracing::error!("{error}");
    CountsError::Failed(error)
}
