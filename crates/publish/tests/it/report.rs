//! The report as files: what is in them, and what must never be.

use std::collections::BTreeMap;
use std::path::Path;

use tidegauge_model::count::{Dating, Dimension};
use tidegauge_publish::report::{self, Report};

use crate::sample;

#[test]
fn write_for_eyes() {
    report::write(&sample::full(), Path::new("/tmp/publish-report")).unwrap();
}
