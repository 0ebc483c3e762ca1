//! Agreement with a reference value, held against what the documentation says of it.
//!
//! **Invariant:** every name given here is a row of `docs/explanation/validation.md` with
//! the same tolerance, and no difference is larger than the row says: the table cannot say
//! more than the tests found. Differences near rounding move with the machine, so a row
//! may be exceeded tenfold.

use crate::anchors::assert_close;

const TABLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/explanation/validation.md");

/// How much a difference may be larger than the table's on another machine.
const SLACK: f64 = 10.0;

/// Fails unless `found` is within `relative` of `expected`, place by place, and the table
/// says so; prints the largest difference.
#[track_caller]
pub(crate) fn measured(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    let mut worst = 0.0f64;
    for (found, expected) in found.iter().zip(expected) {
        assert_close(what, *found, *expected, relative);
        let distance = (found - expected).abs();
        worst = worst.max(distance / expected.abs().max(f64::MIN_POSITIVE));
    }
    println!("MEASURED {what}: {worst:.1e} of {relative:.0e}");
    let Some([tolerance, difference]) = row(what) else {
        panic!("docs/explanation/validation.md has no row `{what}`")
    };
    assert!(
        (tolerance / relative - 1.0).abs() < 1e-9,
        "{what}: {tolerance} {relative}"
    );
    assert!(
        worst <= SLACK * difference,
        "{what}: {worst:.1e}, documented {difference:.1e}"
    );
}

/// Tolerance and difference of a row.
fn row(what: &str) -> Option<[f64; 2]> {
    fn cells(line: &str) -> Vec<&str> {
        line.split('|').map(str::trim).collect()
    }
    let table = std::fs::read_to_string(TABLE).unwrap();
    let row = table.lines().map(cells).find(|cells| cells.get(1) == Some(&what))?;
    let number = |place: usize| row.get(place)?.parse().ok();
    Some([number(5)?, number(6)?])
}
