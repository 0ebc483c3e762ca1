//! Asks [`super::Counts`] for what figures are made of, and lays it out as a report.
//!
//! **Invariant:** what a rule refuses becomes a sentence in the place of the figure; what
//! fails is a failure of the page.

use std::collections::BTreeMap;

use tidegauge_model::count::{Dimension, Release};
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{DayRange, PolicyId, ProductId};

use super::answer::Problem;
use super::asked::Asked;
use super::figures::{COMPARE, SLOPES};
use super::selection::Selection;
use super::{CountsError, Scope, Shared};
use crate::act::About;
use crate::assessment::Assessment;
use crate::figure::Figure;
use crate::number::{day_long, days};
use crate::report::{Paired, Provenance, Report, Section};

/// What is wrong with an empty lake.
pub(super) const NOTHING_READ: &str = "nothing has been read yet";

/// A part of a report that must be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Months,
    Countries,
    Sectors,
    Estimates,
    Coverage,
}

/// What can be asked for, and whom to ask.
pub(super) struct Desk<'a> {
    pub(super) shared: &'a Shared,
    pub(super) scope: Scope,
    pub(super) days: DayRange,
}

/// A report with the parts that were asked for.
pub(super) struct Filled {
    pub(super) report: Report,
    /// Why a part is missing.
    pub(super) refused: BTreeMap<Part, String>,
}

/// Where a figure is, and how to cite it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) permalink: String,
    pub(super) download: String,
    pub(super) cite: String,
}

impl<'a> Desk<'a> {
    /// Fails on an empty lake, in words.
    pub(super) async fn open(shared: &'a Shared) -> Result<Self, Problem> {
        let scope = shared.counts.scope().await?;
        let days = scope.days.ok_or_else(|| {
            Problem::absent(
                NOTHING_READ,
                "there is no day of coverage, so there is nothing to count: ingest \
                 telemetry, then ask again",
            )
        })?;
        Ok(Self { shared, scope, days })
    }

    /// What was asked, with the rest from what is known.
    pub(super) fn selection(&self, asked: &Asked) -> Result<Selection, Problem> {
        Selection::read(asked, &self.scope, self.days)
    }

    /// What is shown unless something else is asked for.
    pub(super) fn usual(&self) -> Selection {
        Selection::default_of(&self.scope, self.days)
    }

    /// A report of `selection` with `parts` and nothing else.
    pub(super) async fn report(
        &self,
        selection: &Selection,
        parts: &[Part],
    ) -> Result<Filled, Problem> {
        let mut filled =
            Filled { report: self.blank(selection).await?, refused: BTreeMap::new() };
        for part in parts {
            match self.fill(&mut filled.report, selection, *part).await {
                Ok(()) => {}
                Err(CountsError::Refused { asked, hint }) => {
                    filled.refused.insert(*part, refused(&asked, &hint));
                }
                Err(failed) => return Err(failed.into()),
            }
        }
        Ok(filled)
    }

    async fn fill(
        &self,
        report: &mut Report,
        selection: &Selection,
        part: Part,
    ) -> Result<(), CountsError> {
        match part {
            Part::Months => {
                let query = selection.query(selection.period(), Dimension::Month);
                let months = self.shared.counts.release(&query).await?;
                report.months_frozen = Some(months);
            }
            Part::Countries => {
                let paired = self.paired(selection, Dimension::Country).await?;
                report.countries = Some(paired);
            }
            Part::Sectors => {
                let paired = self.paired(selection, Dimension::Sector).await?;
                report.sectors = Some(paired);
            }
            Part::Estimates => {
                if let Some(comparison) = selection.comparison() {
                    report.estimates =
                        self.shared.counts.estimates(&comparison).await?;
                    if report.estimates.is_empty() {
                        return Err(CountsError::Refused {
                            asked: "who left, where nobody was active before,"
                                .to_owned(),
                            hint: "choose an earlier month before".to_owned(),
                        });
                    }
                }
            }
            Part::Coverage => {
                report.coverage =
                    self.shared.counts.coverage(selection.period()).await?;
            }
        }
        Ok(())
    }

    /// The same question asked of both windows.
    pub(super) async fn paired(
        &self,
        selection: &Selection,
        by: Dimension,
    ) -> Result<Paired, CountsError> {
        let (before, after) = selection.windows();
        if after.first() <= before.last() {
            return Err(CountsError::Refused {
                asked: "a month beside itself".to_owned(),
                hint: "name a month before and a later one after, both covered"
                    .to_owned(),
            });
        }
        let (before, after) = (selection.query(before, by), selection.query(after, by));
        let before: Release = self.shared.counts.release(&before).await?;
        let after: Release = self.shared.counts.release(&after).await?;
        Ok(Paired { before, after })
    }

    async fn blank(&self, selection: &Selection) -> Result<Report, CountsError> {
        let (before, after) = selection.windows();
        let counts = &self.shared.counts;
        let settings = &self.shared.settings;
        Ok(Report {
            product: selection.product.clone().unwrap_or_else(|| "all".into()),
            product_name: selection.product_name(&self.scope),
            focus: selection
                .country
                .unwrap_or_else(|| "ZZ".parse().expect("two letters")),
            period: selection.period(),
            covered: self.days,
            before,
            after,
            synthetic: settings.synthetic.clone(),
            expansion: counts.expansion(),
            months_frozen: None,
            months_each_day: None,
            countries: None,
            sectors: None,
            government: None,
            estimates: Vec::new(),
            correction: None,
            retention: Vec::new(),
            coverage: Vec::new(),
            timeline: self.timeline(selection.product.as_ref()).await?,
            sector_names: self.scope.sectors.iter().cloned().collect(),
            rank_panel: None,
            provenance: Provenance {
                program: settings.program.clone(),
                ..Provenance::default()
            },
        })
    }

    /// Acts and events about a product, or about all.
    async fn timeline(
        &self,
        product: Option<&ProductId>,
    ) -> Result<Timeline, CountsError> {
        let mut timeline = self.shared.counts.timeline().await?;
        if let Some(product) = product {
            timeline.policies.retain(|p| p.product == *product);
            timeline.vendor.retain(|v| v.product == *product);
        }
        Ok(timeline)
    }

    /// What figures of an act say beside what was found about it.
    pub(super) async fn about(
        &self,
        act: &PolicyEvent,
        found: &Assessment,
    ) -> Result<About, Problem> {
        Ok(About {
            product: self.scope.product_name(&act.product),
            country: act.country,
            before: found.before,
            after: found.after,
            timeline: self.timeline(Some(&act.product)).await?,
        })
    }

    /// The last line of figures.
    pub(super) fn source(&self) -> String {
        let settings = &self.shared.settings;
        let kind = match &settings.synthetic {
            Some(world) => format!("synthetic data, world {}", world.world),
            None => "network telemetry".to_owned(),
        };
        format!("Source: {}; {kind}.", settings.program)
    }

    /// A figure as a file of its own.
    pub(super) fn standalone(&self, figure: &Figure) -> String {
        let stamp = self.shared.settings.synthetic.as_ref().map(|_| "SYNTHETIC DATA");
        figure.standalone(&self.source(), stamp)
    }

    /// Where a figure is, and how to cite it.
    pub(super) fn place(&self, id: &str, selection: &Selection, title: &str) -> Place {
        let query = match id {
            COMPARE | SLOPES => selection.compare_string(),
            _ => selection.query_string(),
        };
        let permalink = format!("/figures/{id}?{query}");
        Place {
            download: format!("/api/v1/figures/{id}?{query}"),
            cite: self.cite(title, &selection.in_words(&self.scope), &permalink),
            permalink,
        }
    }

    /// The same of a figure of what was found about an act.
    pub(super) fn place_of_act(&self, act: &PolicyId, figure: &Figure) -> Place {
        let id = figure.id;
        let permalink = format!("/policies/{act}#{id}");
        Place {
            download: format!("/api/v1/policies/{act}/figure?figure={id}"),
            cite: self.cite(&figure.title, act.as_str(), &permalink),
            permalink,
        }
    }

    fn cite(&self, title: &str, of: &str, permalink: &str) -> String {
        let settings = &self.shared.settings;
        format!(
            "{}, “{title}” ({of}; {}data to {}), {}{permalink}",
            settings.program,
            settings.synthetic.as_ref().map_or("", |_| "synthetic data, "),
            day_long(self.days.last()),
            settings.site.as_deref().unwrap_or_default(),
        )
    }
}

impl Section {
    /// What it shows, in a sentence.
    pub(super) fn title(&self) -> &str {
        match self {
            Self::Drawn(figure) => &figure.title,
            Self::Absent { title, .. } => title,
        }
    }
}

/// Why there is no figure, for its place on the page.
pub(super) fn refused(asked: &str, hint: &str) -> String {
    format!("Not shown: {asked} cannot be counted. Hint: {hint}.")
}

/// That windows were cut, if they were.
pub(super) fn cut_sentence(selection: &Selection) -> Option<String> {
    let (before, after) = selection.windows();
    selection.is_cut().then(|| {
        format!(
            "The months are not equally long, or not covered whole: compared are {} and {}, \
             {} days each.",
            days(before),
            days(after),
            before.length_days()
        )
    })
}
