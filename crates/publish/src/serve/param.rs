//! The keys that routes know: what each means, for those who ask and for the document of
//! the interface.
//!
//! **Invariant:** a key is described once. What a route takes, what it refuses and what
//! the document says of it come from here.

/// One key of a query or of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) form: Form,
    pub(super) required: bool,
}

/// How its value is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Any words.
    Text,
    /// A whole number between two ends.
    Number(u32, u32),
    /// `YYYY-MM-DD` or `YYYY-MM`.
    DayOrMonth,
    /// `YYYY-MM`.
    Month,
    /// `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DD..YYYY-MM-DD`.
    Window,
    /// A day, a month, or milliseconds since 1970, as Grafana has them.
    Moment,
    /// ISO 3166-1 alpha-2.
    Country,
    /// One of these.
    OneOf(&'static [&'static str]),
}

const fn key(name: &'static str, form: Form, about: &'static str) -> Param {
    Param { name, about, form, required: false }
}

const fn must(name: &'static str, form: Form, about: &'static str) -> Param {
    Param { name, about, form, required: true }
}

/// Forms of an answer that has rows.
pub(super) const TABLE_FORMS: &[&str] = &["json", "csv"];
/// Forms of a figure.
pub(super) const FIGURE_FORMS: &[&str] = &["json", "csv", "svg", "png"];
/// Forms of a view.
pub(super) const VIEW_FORMS: &[&str] = &["json", "csv", "parquet", "arrow"];
/// The most rows in one answer: a year of days of some thirty vantages.
pub(super) const ROWS_MAX: u32 = 10_000;
/// Rows unless the reader asks for more or fewer.
pub(super) const ROWS: u32 = 1_000;

/// The key by which the form of an answer is chosen.
pub(super) const FORMAT: &str = "format";

const FORM: Param =
    key(FORMAT, Form::OneOf(TABLE_FORMS), "Form of the answer; JSON if absent.");
const LIMIT: Param = key(
    "limit",
    Form::Number(1, ROWS_MAX),
    "The most rows in this answer; 1000 if absent.",
);
const OFFSET: Param = key(
    "offset",
    Form::Number(0, u32::MAX),
    "How many rows to skip; `next` of an answer has the address of those that follow.",
);
const PRODUCTS: Param = key(
    "product",
    Form::Text,
    "Products, as in the catalog; all if absent. Several are separated by commas.",
);
const COUNTRIES: Param = key(
    "country",
    Form::Text,
    "Countries by ISO 3166-1 alpha-2 code. Several are separated by commas.",
);
const SECTORS: Param =
    key("sector", Form::Text, "Sectors. Several are separated by commas.");
const FROM: Param =
    key("from", Form::DayOrMonth, "First day or month; the first with data if absent.");
const TO: Param =
    key("to", Form::DayOrMonth, "Last day or month; the last with data if absent.");

/// Keys of `/api/v1/organisations`.
pub(super) const SEARCH: &[Param] = &[
    key(
        "q",
        Form::Text,
        "Words of the name or of the id; all organisations if absent.",
    ),
    FORM,
    LIMIT,
    OFFSET,
];

/// Keys of `/api/v1/census`.
pub(super) const CENSUS: &[Param] = &[
    PRODUCTS,
    key(
        "by",
        Form::Text,
        "Dimensions of the cells: product, month, week, day, country, sector, kind, signal, \
         vantage. Several are separated by commas.",
    ),
    FROM,
    TO,
    key(
        "on",
        Form::Text,
        "Map of address holders: a day, or `each-day`; the first day if absent.",
    ),
    key("known", Form::DayOrMonth, "Forget what was learnt after this day."),
    COUNTRIES,
    SECTORS,
    key(
        "role",
        Form::Text,
        "Roles of servers that count as use. Several are separated by commas.",
    ),
    key("weight", Form::Text, "Least weight that counts as use."),
    key(
        "kind",
        Form::Text,
        "Networks in which an address stands for its organisation. Several are separated by \
         commas.",
    ),
    key(
        "active_days",
        Form::Number(1, 366),
        "Days with a sighting from which an organisation is active.",
    ),
    FORM,
    LIMIT,
    OFFSET,
];

/// Keys of `/api/v1/assess`.
pub(super) const ASSESS: &[Param] = &[
    must("product", Form::Text, "The product, as in the catalog."),
    must("before", Form::Window, "The window before."),
    must("after", Form::Window, "The window after, as long as the one before."),
    key(
        "by",
        Form::OneOf(&["country", "sector"]),
        "One estimate for each value besides the one for all.",
    ),
    COUNTRIES,
    SECTORS,
    FORM,
    LIMIT,
    OFFSET,
];

/// Keys of `/api/v1/timeline`.
pub(super) const TIMELINE: &[Param] = &[PRODUCTS, COUNTRIES, FROM, TO, FORM];

/// Keys of `/api/v1/annotations`.
pub(super) const ANNOTATIONS: &[Param] = &[
    PRODUCTS,
    COUNTRIES,
    key("from", Form::Moment, "First day, month or millisecond since 1970."),
    key("to", Form::Moment, "Last day, month or millisecond since 1970."),
];

/// Keys of `/api/v1/coverage`.
pub(super) const COVERAGE: &[Param] = &[
    key(
        "vantage",
        Form::Text,
        "Vantages; all if absent. Several are separated by commas.",
    ),
    FROM,
    TO,
    FORM,
    LIMIT,
    OFFSET,
];

/// Keys of a listing that cannot be narrowed.
pub(super) const LISTED: &[Param] = &[FORM, LIMIT, OFFSET];

/// Keys of a document that has no rows to page through.
pub(super) const WHOLE: &[Param] = &[FORM];

const PRODUCT: Param = key(
    "product",
    Form::Text,
    "Product, as in the catalog; the first that somebody acted on if absent.",
);
const COUNTRY: Param = key("country", Form::Country, "Only organisations of it.");
const SECTOR: Param = key("sector", Form::Text, "Only organisations of it.");
const FIRST: Param =
    key("from", Form::Month, "First month drawn; the first with data if absent.");
const LAST: Param =
    key("to", Form::Month, "Last month drawn; the last with data if absent.");
const BEFORE: Param = key("before", Form::Month, "The month before.");
const AFTER: Param = key(
    "after",
    Form::Month,
    "The month after. Both are cut to as many days as the shorter has.",
);
const WHAT: Param = key(
    "what",
    Form::OneOf(&["countries", "products"]),
    "What is compared, in the figure that compares.",
);
const OF: Param = key(
    "of",
    Form::Text,
    "Which of them; the largest if absent. May be repeated, or separated by commas.",
);

/// Keys that say which numbers a page shows.
pub(super) const SELECTION: &[Param] =
    &[PRODUCT, COUNTRY, SECTOR, FIRST, LAST, BEFORE, AFTER];

/// Keys of the page and of the figure that compare.
pub(super) const COMPARE: &[Param] =
    &[PRODUCT, COUNTRY, SECTOR, FIRST, LAST, BEFORE, AFTER, WHAT, OF];

/// Keys of `/api/v1/figures/{id}`.
pub(super) const FIGURE: &[Param] = &[
    PRODUCT,
    COUNTRY,
    SECTOR,
    FIRST,
    LAST,
    BEFORE,
    AFTER,
    WHAT,
    OF,
    key("format", Form::OneOf(FIGURE_FORMS), "Form of the answer; JSON if absent."),
    LIMIT,
    OFFSET,
];

/// Figures of what was found about an act.
pub(super) const ACT_FIGURES: &[&str] = &["survival", "substitution", "choices"];

/// Keys of `/api/v1/policies/{id}/figure`.
pub(super) const ACT_FIGURE: &[Param] = &[
    must("figure", Form::OneOf(ACT_FIGURES), "Which figure of the act's page."),
    key("format", Form::OneOf(FIGURE_FORMS), "Form of the answer; JSON if absent."),
    LIMIT,
    OFFSET,
];

/// Keys of `/api/v1/summary`.
pub(super) const SUMMARY: &[Param] =
    &[PRODUCT, COUNTRY, SECTOR, FIRST, LAST, BEFORE, AFTER, FORM];

/// Keys of `/api/v1/series`.
pub(super) const SERIES: &[Param] =
    &[PRODUCT, COUNTRY, SECTOR, FIRST, LAST, FORM, LIMIT, OFFSET];

/// Keys of `/api/v1/views/{id}`.
pub(super) const VIEW: &[Param] = &[
    key(
        "product",
        Form::Text,
        "Only rows of these products, as in the catalog, where the view has such. Several are \
         separated by commas.",
    ),
    key(
        FORMAT,
        Form::OneOf(VIEW_FORMS),
        "Form of the answer; JSON if absent. Parquet and Arrow have all rows in one answer.",
    ),
    LIMIT,
    OFFSET,
];

/// The states that a finding can have.
pub(super) const STATES: &[&str] =
    &["open", "quiet", "verified_removed", "reappeared", "disputed", "not_ours"];
const STATE: Param =
    key("state", Form::OneOf(STATES), "Only findings that stand so; all if absent.");
const OF_PRODUCTS: Param = key(
    "product",
    Form::Text,
    "Only findings about these products, as in the catalog. Several are separated by commas.",
);
const NAMED: Param =
    key("q", Form::Text, "Words of the name or of a tag of the row; all if absent.");

/// Keys of the page that lists findings.
pub(super) const FINDINGS_PAGE: &[Param] = &[STATE, OF_PRODUCTS, NAMED];

/// Keys of `/api/v1/findings`.
pub(super) const FINDINGS: &[Param] = &[STATE, OF_PRODUCTS, NAMED, FORM, LIMIT, OFFSET];

/// Keys of an address that takes none.
pub(super) const NONE: &[Param] = &[];
