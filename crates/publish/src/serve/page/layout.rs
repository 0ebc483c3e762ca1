//! The layout of every page: banner, navigation, the way to it, its body, its foot.
//!
//! **Invariant:** no style and no script stands in a page: its policy forbids both.

use crate::figure::escape;
use crate::report;
use crate::serve::{Readers, Settings};

/// A page.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// Its name in the browser.
    pub(super) title: String,
    /// The entry of the navigation it belongs to; empty for none.
    pub(super) here: &'static str,
    /// The pages above it.
    pub(super) crumbs: Vec<Crumb>,
    /// Its HTML.
    pub(super) body: String,
    /// It will be another one soon though the lake is the same.
    pub(super) passing: bool,
}

/// A page above another.
#[derive(Clone, Debug)]
pub(super) struct Crumb {
    address: String,
    name: String,
}

impl Crumb {
    pub(super) fn new(address: &str, name: &str) -> Self {
        Self { address: address.to_owned(), name: name.to_owned() }
    }
}

/// Entries of the navigation.
const ENTRIES: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/products", "Products"),
    ("/countries", "Countries"),
    ("/sectors", "Sectors"),
    ("/policies", "Policies"),
    ("/compare", "Compare"),
    ("/explore", "Explore"),
    ("/quality", "Data quality"),
    ("/releases", "Releases"),
    ("/methods", "Methods"),
    ("/about", "About the data"),
];

/// The entries that only the operator's own pages have.
const INTERNAL: &[(&str, &str)] = &[("/organisations", "Organisations")];
/// The entry that they have where there is a portfolio.
const FINDINGS: &[(&str, &str)] = &[("/exposure", "Exposure")];

impl Page {
    pub(super) fn html(&self, settings: &Settings) -> String {
        let title = match self.title.as_str() {
            "" => "Tidegauge".to_owned(),
            title => format!("{} · Tidegauge", escape(title)),
        };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"/assets/page.css\">\n\
             <link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n\
             <script src=\"/assets/page.js\" defer></script>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">Skip to the content</a>\n{}\
             <header class=\"top\"><p class=\"kicker\"><a href=\"/\">Tidegauge</a></p>\n{}</header>\n\
             <main id=\"main\" tabindex=\"-1\">\n{}{}</main>\n{}</body>\n</html>\n",
            report::banner(settings.synthetic.as_ref()),
            self.navigation(settings),
            self.way(),
            self.body,
            foot(settings)
        )
    }

    fn navigation(&self, settings: &Settings) -> String {
        let internal = if settings.internal { INTERNAL } else { &[] };
        let findings =
            if settings.internal && settings.findings { FINDINGS } else { &[] };
        let entries: Vec<String> = ENTRIES
            .iter()
            .chain(internal)
            .chain(findings)
            .map(|(address, name)| {
                let here =
                    if *address == self.here { " aria-current=\"page\"" } else { "" };
                format!("<li><a href=\"{address}\"{here}>{name}</a></li>")
            })
            .collect();
        format!(
            "<nav class=\"site\" aria-label=\"Pages\"><ul>{}</ul></nav>",
            entries.concat()
        )
    }

    /// The pages above this one, and this one.
    fn way(&self) -> String {
        if self.crumbs.is_empty() {
            return String::new();
        }
        let steps: Vec<String> = self
            .crumbs
            .iter()
            .map(|crumb| {
                let (address, name) = (escape(&crumb.address), escape(&crumb.name));
                format!("<li><a href=\"{address}\">{name}</a></li>")
            })
            .collect();
        format!(
            "<nav class=\"way\" aria-label=\"You are here\"><ol>{}<li \
             aria-current=\"page\">{}</li></ol></nav>\n",
            steps.concat(),
            escape(&self.title)
        )
    }
}

/// By which a reader makes the browser forget the token.
const LEAVE: &str = "<form method=\"post\" action=\"/logout\" class=\"leave\"><button>Log \
    out</button></form>";

fn foot(settings: &Settings) -> String {
    format!(
        "<footer><p>{}. Every number on these pages: <a href=\"/api/v1/openapi.json\">the \
         API</a>. A contact is a fact; that its absence means the product was removed is \
         not. <a href=\"/methods\">How it is counted</a>.</p>{}</footer>\n",
        escape(&settings.program),
        if settings.readers == Readers::Known { LEAVE } else { "" }
    )
}
