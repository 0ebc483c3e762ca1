//! The figures that compare: populations of one scale, beside each other by month and as
//! lines from one window to the other.
//!
//! **Invariant:** no count is added to another, and what a rule hides is named as hidden.
//! What changed is told of windows of equal length.

use tidegauge_model::count::{Counts, Dimension, Release};
use tidegauge_model::{Country, DayRange, ProductId};

use super::answer::Problem;
use super::desk::{Desk, refused};
use super::figures::{COMPARE, SLOPES};
use super::selection::{Selection, What};
use super::{CountsError, Scope};
use crate::country;
use crate::figure::{Chart, Figure, MultiplesChart, Panel, SlopeChart, SlopeLine};
use crate::number::{change, counted, days, percent, real, windows};
use crate::report::{self, Cell, Section, section_of};
use crate::tables::{SUPPRESSED, Table};

/// How many are compared unless the reader chooses.
const COMPARED: usize = 6;
/// Why a count is not shown.
const HIDDEN: &str = "suppressed: too few organisations stand behind it, or behind another \
                      number that could be worked out from it.";
/// What stands beside a comparison of counts.
const CAVEAT: &str = "Visibility not separated from usage.";

/// What is compared, counted in both windows.
pub(super) struct Compared<'a> {
    desk: &'a Desk<'a>,
    selection: &'a Selection,
    populations: Vec<Population>,
    /// Why nothing was counted in the windows, if a rule forbids it.
    refused: Option<String>,
}

/// One country or product.
struct Population {
    id: String,
    name: String,
    /// It alone.
    selection: Selection,
    before: Cell,
    after: Cell,
}

/// One population by month.
struct Line<'a> {
    of: &'a Population,
    months: Vec<(DayRange, Option<Counts>)>,
}

impl<'a> Compared<'a> {
    /// Counts what the reader chose, or those with most organisations before.
    pub(super) async fn ask(
        desk: &'a Desk<'a>,
        selection: &'a Selection,
    ) -> Result<Self, Problem> {
        let dimension = selection.what.dimension();
        let (paired, refused) = match desk.paired(&selection.of_all(), dimension).await
        {
            Ok(paired) => (Some(paired), None),
            Err(CountsError::Refused { asked, hint }) => {
                (None, Some(refused(&asked, &hint)))
            }
            Err(failed) => return Err(failed.into()),
        };
        let column =
            |release: &Release| report::column(release, dimension).unwrap_or_default();
        let (before, after) =
            paired.map(|p| (column(&p.before), column(&p.after))).unwrap_or_default();
        let chosen = match selection.of.as_slice() {
            [] => largest(&before, desk, selection),
            of => of.to_vec(),
        };
        let populations = chosen.into_iter().map(|id| {
            let (name, alone) =
                narrowed(&desk.scope, selection, &id).ok_or_else(|| {
                    Problem::asked(
                        format!("`{id}` was not seen"),
                        format!(
                            "choose among those listed at /{}",
                            selection.what.as_str()
                        ),
                    )
                })?;
            let cell = |column: &report::Column| column.get(&Some(id.clone())).copied();
            let (before, after) = (cell(&before), cell(&after));
            Ok(Population { id, name, selection: alone, before, after })
        });
        let populations = populations.collect::<Result<Vec<_>, Problem>>()?;
        Ok(Self { desk, selection, populations, refused })
    }

    /// Whether this one is compared.
    pub(super) fn has(&self, id: &str) -> bool {
        self.populations.iter().any(|p| p.id == id)
    }

    /// The figure of the windows, or why there is none.
    pub(super) fn slopes(&self) -> Section {
        let title = format!("Before and after: {}", self.selection.what.as_str());
        section_of(SLOPES, title, self.slope_figure())
    }

    fn slope_figure(&self) -> Result<Figure, String> {
        let (before, after) = self.selection.windows();
        let mut changed = self.changed();
        changed.retain(|(_, population, _)| population.ends().is_some());
        let notes = self.undrawn();
        let (Some(least), Some(most)) = (changed.first(), changed.last()) else {
            return Err(nothing(notes));
        };
        let tone = |p: &Population| match (p.id == least.1.id, p.id == most.1.id) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        let lines = changed.iter().map(|(_, p, (before, after))| SlopeLine {
            name: p.name.clone(),
            before: *before,
            after: *after,
            tone: tone(p),
        });
        let mut table = Table::new([
            "name",
            "active organisations before",
            "active organisations after",
            "change",
        ]);
        for p in &self.populations {
            let cells =
                [p.before, p.after].map(|cell| report::active_cell(cell.as_ref()));
            let [before, after] = cells;
            let moved = report::change_cell(p.before.as_ref(), p.after.as_ref());
            table.push([p.name.clone(), before, after, moved]);
        }
        Ok(Figure {
            id: SLOPES,
            title: self.extremes(&changed),
            subtitle: format!(
                "Active organisations, {}, {}. Logarithmic scale: lines that are equally \
                 steep changed by the same share.",
                self.whose(),
                report::windows_long(before, after)
            ),
            caveat: CAVEAT.to_owned(),
            source: None,
            notes,
            description:
                "A line for each from the window before to the window after; the \
                          table has the values."
                    .to_owned(),
            chart: Chart::Slopes(SlopeChart {
                windows: (report::window_short(before), report::window_short(after)),
                lines: lines.collect(),
            }),
            table,
        })
    }

    /// What changed from window to window, the deepest fall first.
    fn changed(&self) -> Vec<(f64, &Population, (f64, f64))> {
        let mut changed: Vec<_> = self
            .populations
            .iter()
            .filter_map(|p| {
                let (before, after) = p.windows()?;
                Some((after / before - 1.0, p, (before, after)))
            })
            .collect();
        changed.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
        changed
    }

    /// Those of which there is no line, each with the reason.
    fn undrawn(&self) -> Vec<String> {
        if let Some(why) = &self.refused {
            return vec![why.clone()];
        }
        let undrawn = self.populations.iter().filter(|p| p.ends().is_none());
        undrawn
            .map(|p| match (p.before, p.after) {
                (Some(None), _) | (_, Some(None)) => format!("{}: {HIDDEN}", p.name),
                _ => format!(
                    "{}: none in one of the windows; a line to none has no end on this scale.",
                    p.name
                ),
            })
            .collect()
    }

    /// Both ends of the order, in a sentence.
    fn extremes(&self, changed: &[(f64, &Population, (f64, f64))]) -> String {
        let moved = |at: &(f64, &Population, (f64, f64))| {
            let name = match self.selection.what {
                What::Countries => country::in_sentence(&at.1.id),
                What::Products => at.1.name.clone(),
            };
            (name, change(at.2.0, at.2.1))
        };
        let words = match changed {
            [] => String::new(),
            [one] => {
                let (name, share) = moved(one);
                format!("{name} changed by {share}")
            }
            [least, between @ .., most] => {
                let ((first, down), (last, up)) = (moved(least), moved(most));
                let others = match between.len() {
                    0 => String::new(),
                    1 => "; one other lies between".to_owned(),
                    n => format!("; {n} others lie between"),
                };
                format!("{first} changed by {down}, {last} by {up}{others}")
            }
        };
        report::sentence(&words)
    }

    /// The figure by month, or why there is none.
    pub(super) async fn multiples(&self) -> Result<Section, Problem> {
        let mut lines = Vec::new();
        let mut hidden: Vec<String> = Vec::new();
        for of in &self.populations {
            let one = &of.selection;
            let query = one.query(one.period(), Dimension::Month);
            match self.desk.shared.counts.release(&query).await {
                Ok(release) => {
                    let months = report::months(&release).unwrap_or_default();
                    lines.push(Line { of, months });
                }
                Err(CountsError::Refused { asked, hint }) => {
                    hidden.push(format!("{}: {}", of.name, refused(&asked, &hint)));
                }
                Err(failed) => return Err(failed.into()),
            }
        }
        let title = format!("Comparison of {}", self.selection.what.as_str());
        Ok(section_of(COMPARE, title, self.multiples_figure(&lines, hidden)))
    }

    fn multiples_figure(
        &self,
        lines: &[Line<'_>],
        hidden: Vec<String>,
    ) -> Result<Figure, String> {
        let (before, after) = self.selection.windows();
        let base_month = DayRange::month(self.selection.before);
        // Of a month that was covered in part no share can be told.
        let whole = |month| report::is_whole(month, self.desk.days);
        let changed = self.changed();
        if changed.is_empty() {
            let why = self.refused.iter().cloned().chain(hidden);
            return Err(nothing(why.collect()));
        }
        let mut panels: Vec<Panel> = Vec::new();
        let mut table = Table::new([
            "name",
            "month",
            "active organisations",
            "share of the month before",
        ]);
        for line in lines {
            let base =
                line.active(base_month).filter(|b| *b > 0.0 && whole(base_month));
            let share = |c: &Option<Counts>| {
                Some(real(c.as_ref()?.organisations_active) / base?)
            };
            line.list(&mut table, share);
            panels.push(Panel {
                name: line.of.name.clone(),
                note: match line.of.windows() {
                    Some((then, now)) => change(then, now),
                    None => "not shown".to_owned(),
                },
                points: line
                    .months
                    .iter()
                    .map(|(month, c)| (*month, share(c).filter(|_| whole(*month))))
                    .collect(),
            });
        }
        Ok(Figure {
            id: COMPARE,
            title: title(self.selection, &changed),
            subtitle: format!(
                "Active organisations by calendar month as a share of {}, {}. The figure \
                 beside each name is the change between {}.",
                days(base_month),
                self.whose(),
                windows(before, after)
            ),
            caveat: CAVEAT.to_owned(),
            source: None,
            notes: hidden,
            description: "A panel for each; the table has the values.".to_owned(),
            chart: Chart::Multiples(MultiplesChart {
                period: self.selection.period(),
                windows: (base_month, DayRange::month(self.selection.after)),
                panels,
            }),
            table,
        })
    }

    /// What all that is compared has in common.
    fn whose(&self) -> String {
        match self.selection.what {
            What::Countries => self.selection.product_name(&self.desk.scope),
            What::Products => self.selection.place(&self.desk.scope),
        }
    }
}

impl Population {
    /// Active organisations in both windows, if they may be shown and there were some before.
    fn windows(&self) -> Option<(f64, f64)> {
        let before = real(self.before??.organisations_active);
        let after = match self.after {
            None => 0.0,
            Some(counts) => real(counts?.organisations_active),
        };
        (before > 0.0).then_some((before, after))
    }

    /// The same if there is a line between them on a logarithmic scale.
    fn ends(&self) -> Option<(f64, f64)> {
        self.windows().filter(|(_, after)| *after > 0.0)
    }
}

/// Why there is no figure.
fn nothing(why: Vec<String>) -> String {
    let lead = "No population has a count in both windows that may be shown.";
    [vec![lead.to_owned()], why].concat().join(" ")
}

/// Those with most organisations before.
fn largest(
    before: &report::Column,
    desk: &Desk<'_>,
    selection: &Selection,
) -> Vec<String> {
    let mut found: Vec<(u64, &String)> = before
        .iter()
        .filter_map(|(value, counts)| {
            Some(((*counts)?.organisations_active, value.as_ref()?))
        })
        .filter(|(_, id)| narrowed(&desk.scope, selection, id).is_some())
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().take(COMPARED).map(|(_, id)| id.clone()).collect()
}

/// The selection of one country or product, and its name; `None` if it was not seen.
fn narrowed(
    scope: &Scope,
    selection: &Selection,
    id: &str,
) -> Option<(String, Selection)> {
    let mut one = selection.clone();
    match selection.what {
        What::Countries => {
            let code: Country = id.parse().ok()?;
            one.country = Some(*scope.countries.iter().find(|c| **c == code)?);
            Some((country::name(id), one))
        }
        What::Products => {
            let (product, name): &(ProductId, String) =
                scope.products.iter().find(|p| p.0.as_str() == id)?;
            one.product = Some(product.clone());
            Some((name.clone(), one))
        }
    }
}

impl Line<'_> {
    /// Active organisations of a month, where they may be shown.
    fn active(&self, month: DayRange) -> Option<f64> {
        let found = self.months.iter().find(|m| m.0 == month).and_then(|m| m.1)?;
        Some(real(found.organisations_active))
    }

    /// Writes its months into a table.
    fn list(&self, table: &mut Table, share: impl Fn(&Option<Counts>) -> Option<f64>) {
        for (month, counts) in &self.months {
            table.push([
                self.of.name.clone(),
                month.first().month().to_string(),
                counts.map_or_else(
                    || SUPPRESSED.to_owned(),
                    |c| c.organisations_active.to_string(),
                ),
                share(counts).map_or_else(|| "n/a".to_owned(), percent),
            ]);
        }
    }
}

fn title(selection: &Selection, changed: &[(f64, &Population, (f64, f64))]) -> String {
    let (one, many) = match selection.what {
        What::Countries => ("country", "countries"),
        What::Products => ("product", "products"),
    };
    let (Some(least), Some(most)) = (changed.first(), changed.last()) else {
        return String::new();
    };
    let signed = |at: &(f64, &Population, (f64, f64))| change(at.2.0, at.2.1);
    let number = u64::try_from(changed.len()).unwrap_or(u64::MAX);
    if number == 1 {
        return format!("{}: {}", least.1.name, signed(least));
    }
    format!(
        "Among {}, the change lies between {} ({}) and {} ({})",
        counted(number, one, many),
        signed(least),
        least.1.name,
        signed(most),
        most.1.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(before: Cell, after: Cell) -> Population {
        let days = DayRange::month("2024-04".parse().expect("a month"));
        let scope = Scope {
            products: Vec::new(),
            countries: Vec::new(),
            sectors: Vec::new(),
            days: Some(days),
            compared: None,
            acts: Vec::new(),
        };
        let selection = Selection::default_of(&scope, days);
        Population {
            id: "A".to_owned(),
            name: "A".to_owned(),
            selection,
            before,
            after,
        }
    }

    #[test]
    fn who_left_to_the_last_is_counted_and_has_no_line() {
        let active =
            |n| Some(Some(Counts { organisations_active: n, ..Counts::default() }));
        for none in [None, active(0)] {
            let gone = population(active(40), none);
            assert_eq!(gone.windows(), Some((40.0, 0.0)));
            assert_eq!(gone.ends(), None);
        }
        let hidden = population(active(40), Some(None));
        assert_eq!((hidden.windows(), hidden.ends()), (None, None));
        assert_eq!(population(None, active(40)).windows(), None, "no share of nothing");
        assert_eq!(population(active(40), active(10)).ends(), Some((40.0, 10.0)));
    }
}
