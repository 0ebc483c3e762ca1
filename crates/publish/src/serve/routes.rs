//! Every route of the interface, in one table: the router, the document and the reference
//! page are made of it.
//!
//! **Invariant:** a route that is not in the table is not served under `/api`.

use axum::routing::{MethodRouter, get};

use super::param::{
    ACT_FIGURE, ANNOTATIONS, ASSESS, CENSUS, COVERAGE, FIGURE, FINDINGS, LISTED, NONE,
    Param, SEARCH, SERIES, SUMMARY, TIMELINE, VIEW, WHOLE,
};
use super::{Shared, api, healthz, openapi};

/// A route.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// What the name at the end of the path is; empty if there is none.
    pub(super) name: &'static str,
    pub(super) keys: &'static [Param],
    pub(super) reply: Reply,
    /// It is for the operator alone.
    pub(super) internal: bool,
    pub(super) open: fn() -> MethodRouter<Shared>,
}

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema, or the same rows as CSV.
    Rows(&'static str),
    /// JSON of this schema, CSV, SVG or PNG.
    Figure(&'static str),
    /// JSON of this schema, CSV, Parquet or Arrow.
    View(&'static str),
    /// A file in the form of another program.
    File,
    /// The document itself.
    Document,
    /// Words.
    Text,
}

impl Reply {
    /// Whether it is something that was counted, or is known.
    pub(super) fn has_figures(self) -> bool {
        match self {
            Self::Json(_) | Self::Rows(_) | Self::Figure(_) | Self::View(_) => true,
            Self::File | Self::Document | Self::Text => false,
        }
    }
}

/// All routes of the interface.
pub(super) const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/scope",
        summary: "Products, countries, sectors and days that can be asked for",
        name: "",
        keys: WHOLE,
        reply: Reply::Rows("Scope"),
        internal: false,
        open: || get(api::scope),
    },
    Route {
        path: "/api/v1/census",
        summary: "Distinct addresses and organisations",
        name: "",
        keys: CENSUS,
        reply: Reply::Rows("Census"),
        internal: false,
        open: || get(api::census),
    },
    Route {
        path: "/api/v1/assess",
        summary: "Cohort removal and net change between two windows",
        name: "",
        keys: ASSESS,
        reply: Reply::Rows("Assess"),
        internal: false,
        open: || get(api::assess),
    },
    Route {
        path: "/api/v1/series",
        summary: "A population month by month, for programs that draw series",
        name: "",
        keys: SERIES,
        reply: Reply::Rows("Series"),
        internal: false,
        open: || get(api::series),
    },
    Route {
        path: "/api/v1/summary",
        summary: "The sentences and the key numbers of a page",
        name: "",
        keys: SUMMARY,
        reply: Reply::Rows("Summary"),
        internal: false,
        open: || get(api::summary),
    },
    Route {
        path: "/api/v1/figures",
        summary: "The figures there are",
        name: "",
        keys: LISTED,
        reply: Reply::Rows("Figures"),
        internal: false,
        open: || get(api::figures),
    },
    Route {
        path: "/api/v1/figures/{id}",
        summary: "The numbers, the words or the drawing of a figure",
        name: "The name of a figure, as in /api/v1/figures.",
        keys: FIGURE,
        reply: Reply::Figure("Figure"),
        internal: false,
        open: || get(api::figure),
    },
    Route {
        path: "/api/v1/timeline",
        summary: "Dated acts of states and events of vendors",
        name: "",
        keys: TIMELINE,
        reply: Reply::Rows("Timeline"),
        internal: false,
        open: || get(api::timeline),
    },
    Route {
        path: "/api/v1/organisations",
        summary: "Organisations by name; for the operator alone",
        name: "",
        keys: SEARCH,
        reply: Reply::Rows("Organisations"),
        internal: true,
        open: || get(api::organisations),
    },
    Route {
        path: "/api/v1/organisations/{id}",
        summary: "What an organisation held and when it was in contact; for the operator alone",
        name: "The id of an organisation, as in /api/v1/organisations.",
        keys: NONE,
        reply: Reply::Json("Organisation"),
        internal: true,
        open: || get(api::organisation),
    },
    Route {
        path: "/api/v1/findings",
        summary: "Assets and suppliers in contact; for the operator alone",
        name: "",
        keys: FINDINGS,
        reply: Reply::Rows("Findings"),
        internal: true,
        open: || get(api::findings),
    },
    Route {
        path: "/api/v1/findings/{id}",
        summary: "A finding with all its evidence; for the operator alone",
        name: "The id of a finding, as in /api/v1/findings.",
        keys: NONE,
        reply: Reply::Json("Finding"),
        internal: true,
        open: || get(api::finding),
    },
    Route {
        path: "/api/v1/exports/{id}",
        summary: "All findings in a form that other programs take; for the operator alone",
        name: "csv, json, stix, misp, defectdojo, ecs or ocsf.",
        keys: NONE,
        reply: Reply::File,
        internal: true,
        open: || get(api::export),
    },
    Route {
        path: "/api/v1/policies",
        summary: "Every act",
        name: "",
        keys: LISTED,
        reply: Reply::Rows("Policies"),
        internal: false,
        open: || get(api::policies),
    },
    Route {
        path: "/api/v1/policies/{id}",
        summary: "One act and what was found about it",
        name: "The id of an act, as in /api/v1/policies.",
        keys: NONE,
        reply: Reply::Json("Policy"),
        internal: false,
        open: || get(api::policy),
    },
    Route {
        path: "/api/v1/policies/{id}/figure",
        summary: "The numbers, the words or the drawing of a figure of what was found about an act",
        name: "The id of an act, as in /api/v1/policies.",
        keys: ACT_FIGURE,
        reply: Reply::Figure("Figure"),
        internal: false,
        open: || get(api::act_figure),
    },
    Route {
        path: "/api/v1/annotations",
        summary: "Dated acts and events as marks for Grafana",
        name: "",
        keys: ANNOTATIONS,
        reply: Reply::Json("Annotations"),
        internal: false,
        open: || get(api::annotations),
    },
    Route {
        path: "/api/v1/releases",
        summary: "What was published",
        name: "",
        keys: LISTED,
        reply: Reply::Rows("Releases"),
        internal: false,
        open: || get(api::releases),
    },
    Route {
        path: "/api/v1/releases/{id}",
        summary: "The figures of a release as published, and what they are today",
        name: "The id of a release, as in /api/v1/releases.",
        keys: LISTED,
        reply: Reply::Rows("Release"),
        internal: false,
        open: || get(api::release),
    },
    Route {
        path: "/api/v1/releases/{id}/causes",
        summary: "Why figures of a release are other ones today; for the operator alone",
        name: "The id of a release, as in /api/v1/releases.",
        keys: NONE,
        reply: Reply::Json("Causes"),
        internal: true,
        open: || get(api::causes),
    },
    Route {
        path: "/api/v1/coverage",
        summary: "What each vantage saw on each day",
        name: "",
        keys: COVERAGE,
        reply: Reply::Rows("CoverageDays"),
        internal: false,
        open: || get(api::coverage),
    },
    Route {
        path: "/api/v1/knowledge",
        summary: "What counting rests on besides telemetry: tables of holders, the catalog",
        name: "",
        keys: LISTED,
        reply: Reply::Rows("Knowledge"),
        internal: false,
        open: || get(api::knowledge),
    },
    Route {
        path: "/api/v1/views",
        summary: "Tables for other programs, and what their columns say",
        name: "",
        keys: LISTED,
        reply: Reply::Rows("Views"),
        internal: false,
        open: || get(api::views),
    },
    Route {
        path: "/api/v1/views/{id}",
        summary: "The rows of a table for other programs",
        name: "The name of a view, as in /api/v1/views.",
        keys: VIEW,
        reply: Reply::View("View"),
        internal: false,
        open: || get(api::view),
    },
    Route {
        path: "/api/v1/openapi.json",
        summary: "This document",
        name: "",
        keys: NONE,
        reply: Reply::Document,
        internal: false,
        open: || get(openapi::served),
    },
    Route {
        path: "/healthz",
        summary: "Whether the server is alive",
        name: "",
        keys: NONE,
        reply: Reply::Text,
        internal: false,
        open: || get(healthz),
    },
];
