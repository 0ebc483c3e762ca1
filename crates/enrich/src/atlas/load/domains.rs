//! Domains and whose they are: the registry of `.gov`, and a list of universities.
//!
//! **Invariant:** a domain is lower case, without a dot at its end, of at least two
//! labels. What is told is of the organisation, so that an AS whose own website is below
//! the domain is of its sector; that a name is like another is no evidence.
//!
//! What is left out: people's addresses, cities.

use std::io::BufRead;

use serde_json::Value;
use tidegauge_model::observation::Field;
use tidegauge_model::{Country, Reason};

use super::columns::Columns;
use super::json::{Way, items};
use super::{Out, Said, value};
use crate::atlas::AtlasError;
use crate::atlas::row::Row;

/// Columns without which a row of `.gov` means nothing.
pub(super) const NEEDED: &[&[&str]] = &[&["domain name"]];
/// The list of universities is one array.
const WAYS: [Way; 1] = [&[]];

/// A domain of `.gov`: `Domain name`, `Domain type`, `Organization name`, ….
pub(super) fn gov(columns: &Columns, row: &Row) -> Result<[Said; 1], Reason> {
    let fields = columns.fields(row)?;
    let get = |name| columns.get(&fields, name).unwrap_or_default();
    let domain = domain(get("domain name")).ok_or(Reason::Value)?;
    // A district of schools is a government that teaches.
    let tag = if get("domain type").to_ascii_lowercase().starts_with("school") {
        "uni"
    } else {
        "gov"
    };
    Ok([Said::of_nothing(Field::Domain)
        .value(&domain)
        .with("name", get("organization name"))
        .with("country", "US")
        .with("tag", tag)])
}

/// Universities: `name`, `alpha_two_code`, and `domains`, each of which is told.
pub(super) fn universities(
    input: impl BufRead,
    out: &mut Out<'_>,
) -> Result<(), AtlasError> {
    items(input, &WAYS, out, &mut |_, item, out| {
        let text =
            |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let country: Country = value(text("alpha_two_code"))?;
        let domains = item.get("domains").and_then(Value::as_array);
        let mut bad = 0;
        for found in domains.ok_or(Reason::ColumnMissing)? {
            let Some(domain) = found.as_str().and_then(domain) else {
                bad += 1;
                continue;
            };
            let said = Said::of_nothing(Field::Domain)
                .value(&domain)
                .with("name", text("name").trim())
                .with("country", country.as_str());
            out.say(said.with("tag", "uni"));
        }
        if bad > 0 {
            out.lose_here(Reason::Value, bad);
        }
        Ok(())
    })
}

/// The one form of a domain; `None` where it is none.
pub(in crate::atlas) fn domain(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let sound = |label: &str| {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii();
        !label.is_empty() && label.len() <= 63 && label.chars().all(ok)
    };
    (text.contains('.') && text.len() <= 253 && text.split('.').all(sound))
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use tidegauge_model::Day;

    use super::super::{SourceKind, load};
    use super::*;

    fn read(kind: &SourceKind, text: &str) -> (Vec<[String; 3]>, Vec<Reason>) {
        let (mut said, mut losses) = (Vec::new(), Vec::new());
        load(
            kind,
            &"d".into(),
            Day(0),
            text.as_bytes(),
            |o| {
                let get = |key: &str| o.detail.get(key).cloned().unwrap_or_default();
                said.push([o.value.clone(), get("country"), get("tag")]);
            },
            |l| losses.push(l.reason),
        )
        .unwrap();
        (said, losses)
    }

    fn row(domain: &str, country: &str, tag: &str) -> [String; 3] {
        [domain.to_owned(), country.to_owned(), tag.to_owned()]
    }

    #[test]
    fn both_lists_are_read_and_bad_domains_are_losses() {
        let (said, losses) = read(
            &SourceKind::GovDomains,
            "Domain name,Domain type,Organization name,City\n\
             Example.GOV,City,\"City, of Example\",X\n\
             isd.gov,School district,ISD,X\nnodot,City,X,X\nx.gov,City\n",
        );
        assert_eq!(
            said,
            [row("example.gov", "US", "gov"), row("isd.gov", "US", "uni")]
        );
        assert_eq!(losses, [Reason::Value, Reason::ColumnCount]);
        let (said, losses) = read(
            &SourceKind::Universities,
            r#"[{"name": "U", "alpha_two_code": "BR", "domains": ["u.edu.br", "a b"]},
                {"name": "V", "alpha_two_code": "?", "domains": []}, {}]"#,
        );
        assert_eq!(said, [row("u.edu.br", "BR", "uni")]);
        assert_eq!(losses, [Reason::Value, Reason::Value, Reason::Value]);
        let kind = SourceKind::DomainTags { tag: "gov".to_owned() };
        let (said, losses) = read(&kind, "# list\ngov.example. # x\n-\n");
        assert_eq!(said, [row("gov.example", "", "gov")]);
        assert_eq!(losses, [Reason::Value]);
    }
}
