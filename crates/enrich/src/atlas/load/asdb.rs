//! What AS do: the classes of `ASdb`, in the scheme that its authors call `NAICSlite`.
//!
//! **Invariant:** every class of a row is a tag, `asdb:LAYER 1` and `asdb:LAYER 1/LAYER 2`,
//! as the source spells it; what they mean stands in `sectors/tags.toml`. A class is what a
//! machine made of a website: it tells a sector, and never that a network is one
//! organisation's own.
//!
//! What is left out: rows and classes that say nothing (`Unknown`).

use tidegauge_model::observation::Field;
use tidegauge_model::{Asn, Reason};

use super::columns::Columns;
use super::{Said, value};
use crate::atlas::row::Row;

/// Columns without which a row means nothing.
pub(super) const NEEDED: &[&[&str]] = &[&["asn"], &["category 1 - layer 1"]];
/// Classes of a row at most. The editions known have three; picked by hand above it.
const CLASSES_MAX: usize = 16;
/// What stands where a class is not known.
const NOTHING: [&str; 4] = ["unknown", "other", "nan", "none"];

/// Reads one row.
pub(super) fn categories(columns: &Columns, row: &Row) -> Result<Vec<Said>, Reason> {
    let fields = columns.fields(row)?;
    let get = |name: &str| {
        let said = |text: &&str| !NOTHING.contains(&text.to_ascii_lowercase().as_str());
        columns.get(&fields, name).filter(said)
    };
    let asn: Asn = value(columns.get(&fields, "asn").ok_or(Reason::Value)?)?;
    let mut tags: Vec<String> = Vec::new();
    for at in 1..=CLASSES_MAX {
        let Some(upper) = get(&format!("category {at} - layer 1")) else { continue };
        let lower = get(&format!("category {at} - layer 2"));
        let lower = lower.map(|lower| format!("asdb:{upper}/{lower}"));
        for tag in [Some(format!("asdb:{upper}")), lower].into_iter().flatten() {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    Ok(tags.iter().map(|tag| Said::of_as(Field::AsTag, asn).value(tag)).collect())
}

#[cfg(test)]
mod tests {
    use tidegauge_model::{Day, Loss};

    use super::super::{SourceKind, load};

    #[test]
    fn every_class_of_a_row_is_a_tag_and_unknown_is_none() {
        let text = "ASN,Category 1 - Layer 1,Category 1 - Layer 2,\
            Category 2 - Layer 1,Category 2 - Layer 2\n\
            AS64496,\"Media, Publishing, and Broadcasting\",Print Media,\
            \"Media, Publishing, and Broadcasting\",Other\n\
            AS64497,Manufacturing,,,\nAS64498,Unknown,,,\nASX,Manufacturing,,,\n\
            AS64499,Manufacturing\n";
        let (mut said, mut losses) = (Vec::new(), Vec::new());
        let loaded = load(
            &SourceKind::AsDb,
            &"asdb".into(),
            Day(0),
            text.as_bytes(),
            |o| said.push((o.asn.unwrap().0, o.value)),
            |l: Loss| losses.push(l.line.unwrap()),
        )
        .unwrap();
        let of = |asn: u32, tag: &str| (asn, tag.to_owned());
        assert_eq!(
            said,
            [
                of(64_496, "asdb:Media, Publishing, and Broadcasting"),
                of(64_496, "asdb:Media, Publishing, and Broadcasting/Print Media"),
                of(64_497, "asdb:Manufacturing"),
            ]
        );
        assert_eq!((losses, loaded.passed), (vec![5, 6], 2), "the header, an unknown");
    }
}
