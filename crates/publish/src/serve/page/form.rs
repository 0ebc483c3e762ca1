//! The form with which a reader chooses another selection.

use crate::country;
use crate::figure::escape;
use crate::number::month_year;
use crate::serve::desk::Desk;
use crate::serve::selection::Selection;
use tidegauge_model::{Country, ProductId, SectorId};

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Product,
    Country,
    Sector,
    Months,
    Windows,
}

/// A form that leads to `action`, without the fields that the page itself decides.
pub(super) fn form(
    action: &str,
    desk: &Desk<'_>,
    selection: &Selection,
    fields: &[Field],
) -> String {
    let fields: Vec<String> =
        fields.iter().map(|field| one(*field, desk, selection)).collect();
    format!(
        "<form class=\"ask\" method=\"get\" action=\"{}\">{}<button>Show</button></form>\n",
        escape(action),
        fields.concat()
    )
}

fn one(field: Field, desk: &Desk<'_>, selection: &Selection) -> String {
    let scope = &desk.scope;
    let months = || desk.days.months().map(|m| (m.to_string(), month_year(m)));
    let month = |key: &str, label: &str, chosen: tidegauge_model::Month| {
        select(key, label, None, months(), &chosen.to_string())
    };
    match field {
        Field::Product => {
            let all = scope.products.iter();
            let all = all.map(|(id, name)| (id.to_string(), name.clone()));
            let chosen = selection.product.as_ref().map_or("", ProductId::as_str);
            select("product", "Product", None, all, chosen)
        }
        Field::Country => {
            let named = |c: &Country| (c.to_string(), country::name(c.as_str()));
            let mut all: Vec<(String, String)> =
                scope.countries.iter().map(named).collect();
            all.sort_by(|a, b| a.1.cmp(&b.1));
            let chosen = selection.country.as_ref().map_or("", Country::as_str);
            select("country", "Country", Some("All countries"), all.into_iter(), chosen)
        }
        Field::Sector => {
            let all = scope.sectors.iter();
            let all = all.map(|(id, name)| (id.to_string(), name.clone()));
            let chosen = selection.sector.as_ref().map_or("", SectorId::as_str);
            select("sector", "Sector", Some("All sectors"), all, chosen)
        }
        Field::Months => [
            month("from", "First month", selection.from),
            month("to", "Last month", selection.to),
        ]
        .concat(),
        Field::Windows => [
            month("before", "Month before", selection.before),
            month("after", "Month after", selection.after),
        ]
        .concat(),
    }
}

pub(super) fn select(
    key: &str,
    label: &str,
    all: Option<&str>,
    options: impl Iterator<Item = (String, String)>,
    chosen: &str,
) -> String {
    let all = all.map(|text| (String::new(), text.to_owned()));
    let options: Vec<String> = all
        .into_iter()
        .chain(options)
        .map(|(value, text)| {
            let selected = if value == chosen { " selected" } else { "" };
            format!(
                "<option value=\"{}\"{selected}>{}</option>",
                escape(&value),
                escape(&text)
            )
        })
        .collect();
    format!(
        "<label>{}<select name=\"{key}\">{}</select></label>",
        escape(label),
        options.concat()
    )
}
