//! The figures that are served: one list, for pages, permalinks and the API.
//!
//! **Invariant:** a figure is made of nothing but its selection, so that its address
//! always shows the same thing of the same lake.

use super::answer::Problem;
use super::compare::Compared;
use super::desk::{Desk, Part};
use super::selection::Selection;
use crate::report::{self, Section};

/// A kind of figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) parts: &'static [Part],
}

/// All of them, in the order of the pages.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        id: "over-time",
        title: "Addresses and organisations over time",
        parts: &[Part::Months],
    },
    Kind {
        id: "countries",
        title: "Organisations by country",
        parts: &[Part::Countries],
    },
    Kind {
        id: "removal",
        title: "Removal and net change, with intervals",
        parts: &[Part::Estimates],
    },
    Kind { id: "map", title: "Removal on a map", parts: &[Part::Estimates] },
    Kind { id: "sectors", title: "Organisations by sector", parts: &[Part::Sectors] },
    Kind { id: "coverage", title: "What was looked at", parts: &[Part::Coverage] },
    Kind { id: COMPARE, title: "Countries or products beside each other", parts: &[] },
    Kind { id: SLOPES, title: "Countries or products, before and after", parts: &[] },
];

/// The figures that ask about several populations: by month, and from window to window.
pub(super) const COMPARE: &str = "compare";
pub(super) const SLOPES: &str = "slopes";

/// The kind of this name.
pub(super) fn kind(id: &str) -> Result<&'static Kind, Problem> {
    KINDS.iter().find(|kind| kind.id == id).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.id).collect();
        Problem::absent(
            "there is no figure of this name",
            format!("known are {}", known.join(", ")),
        )
    })
}

/// One figure.
pub(super) async fn section(
    desk: &Desk<'_>,
    kind: &Kind,
    selection: &Selection,
) -> Result<Section, Problem> {
    match kind.id {
        COMPARE => return Compared::ask(desk, selection).await?.multiples().await,
        SLOPES => return Ok(Compared::ask(desk, selection).await?.slopes()),
        _ => {}
    }
    let mut made = sections(desk, &[kind.id], selection).await?.sections;
    made.pop().ok_or_else(|| Problem::absent("there is no figure of this name", ""))
}

/// Figures of one selection and the report they were made from.
pub(super) struct Made {
    pub(super) report: report::Report,
    pub(super) sections: Vec<Section>,
}

/// Several figures of one selection, asking for what they share once.
pub(super) async fn sections(
    desk: &Desk<'_>,
    ids: &[&str],
    selection: &Selection,
) -> Result<Made, Problem> {
    let kinds: Vec<&Kind> = KINDS.iter().filter(|k| ids.contains(&k.id)).collect();
    let mut parts: Vec<Part> = kinds.iter().flat_map(|k| k.parts).copied().collect();
    parts.sort_unstable();
    parts.dedup();
    let made = desk.report(selection, &parts).await?;
    let section = |kind: &&Kind| {
        let refused = kind.parts.iter().find_map(|part| made.refused.get(part));
        match refused {
            Some(why) => Some(Section::Absent {
                id: kind.id,
                title: kind.title.to_owned(),
                why: why.clone(),
            }),
            None => report::section(&made.report, kind.id),
        }
    };
    let sections = kinds.iter().filter_map(section).collect();
    Ok(Made { sections, report: made.report })
}
