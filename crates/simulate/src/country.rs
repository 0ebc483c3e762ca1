//! The countries of the world: size, course of removal, consumers, clock, words.
//!
//! **Invariant:** everything here that is not in `targets.rs` is an assumption of ours:
//! plausible, not measured. Weights are relative; counts are made from them so that the
//! published totals hold.

/// How removals spread over the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Course {
    /// Follows the dated steps of the United States.
    Steps,
    /// Evenly, as old warnings and habits work on.
    Gradual,
    /// Partly evenly, partly after the steps abroad.
    Spillover,
}

/// Cohort removal from April to November.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Removal {
    /// Published, or assumed where the country has a reason to differ.
    Fixed(f64),
    /// Solved so that the world's total holds; relative hazard.
    Rest(f64),
}

/// A country.
pub(crate) struct Country {
    pub(crate) code: &'static str,
    /// Organisations in April, relative.
    pub(crate) weight: f64,
    /// Consumer addresses in April, relative.
    pub(crate) consumers: f64,
    pub(crate) removal: Removal,
    pub(crate) course: Course,
    /// Offset of office hours from UTC, in hours.
    pub(crate) utc: i8,
    /// What companies append to their names.
    pub(crate) form: &'static str,
}

const fn c(
    code: &'static str,
    weight: f64,
    consumers: f64,
    removal: Removal,
    course: Course,
    utc: i8,
    form: &'static str,
) -> Country {
    Country { code, weight, consumers, removal, course, utc, form }
}

use Course::{Gradual, Spillover, Steps};
use Removal::{Fixed, Rest};

/// Index of the United States in [`COUNTRIES`].
pub(crate) const US: usize = 0;

/// All countries. The order is part of the plan of addresses: append only.
pub(crate) const COUNTRIES: &[Country] = &[
    c("US", 2540.0, 850.0, Fixed(0.587), Steps, -6, "Inc."),
    c("DE", 1950.0, 620.0, Fixed(0.69), Gradual, 1, "GmbH"),
    c("IT", 1480.0, 420.0, Fixed(0.65), Spillover, 1, "S.r.l."),
    c("BR", 1350.0, 610.0, Rest(0.92), Spillover, -3, "Ltda."),
    c("RU", 1300.0, 900.0, Fixed(0.52), Gradual, 3, "OOO"),
    c("FR", 1250.0, 480.0, Rest(1.02), Spillover, 1, "SAS"),
    c("GB", 1150.0, 210.0, Fixed(0.70), Spillover, 0, "Ltd"),
    c("IN", 1000.0, 460.0, Rest(0.95), Spillover, 5, "Pvt Ltd"),
    c("ES", 900.0, 280.0, Rest(1.0), Spillover, 1, "S.L."),
    c("TR", 640.0, 190.0, Rest(0.95), Gradual, 3, "A.S."),
    c("MX", 620.0, 210.0, Rest(0.95), Spillover, -6, "S.A. de C.V."),
    c("PL", 600.0, 130.0, Rest(1.15), Gradual, 1, "sp. z o.o."),
    c("NL", 430.0, 90.0, Rest(1.1), Spillover, 1, "B.V."),
    c("CH", 420.0, 90.0, Rest(1.0), Gradual, 1, "AG"),
    c("CN", 400.0, 160.0, Rest(0.85), Gradual, 8, "Co., Ltd"),
    c("AT", 380.0, 90.0, Rest(1.05), Gradual, 1, "GmbH"),
    c("JP", 360.0, 100.0, Rest(0.95), Spillover, 9, "K.K."),
    c("CA", 350.0, 110.0, Rest(1.15), Spillover, -5, "Inc."),
    c("VN", 340.0, 140.0, Rest(0.9), Gradual, 7, "JSC"),
    c("ID", 330.0, 110.0, Rest(0.9), Gradual, 7, "PT"),
    c("CZ", 300.0, 60.0, Rest(1.1), Gradual, 1, "s.r.o."),
    c("AR", 300.0, 90.0, Rest(0.95), Spillover, -3, "S.A."),
    c("ZA", 290.0, 60.0, Rest(0.95), Spillover, 2, "(Pty) Ltd"),
    c("CO", 280.0, 70.0, Rest(0.95), Spillover, -5, "S.A.S."),
    c("AU", 270.0, 60.0, Rest(1.05), Spillover, 10, "Pty Ltd"),
    c("BE", 270.0, 70.0, Rest(1.05), Spillover, 1, "BV"),
    c("TH", 260.0, 80.0, Rest(0.9), Gradual, 7, "Co., Ltd"),
    c("MY", 260.0, 70.0, Rest(0.9), Gradual, 8, "Sdn Bhd"),
    c("AE", 250.0, 50.0, Rest(0.9), Spillover, 4, "LLC"),
    c("SA", 240.0, 70.0, Rest(0.9), Spillover, 3, "LLC"),
    c("KZ", 240.0, 90.0, Rest(0.75), Gradual, 5, "LLP"),
    c("RO", 230.0, 50.0, Rest(1.15), Gradual, 2, "S.R.L."),
    c("HU", 220.0, 40.0, Rest(1.05), Gradual, 1, "Kft."),
    c("PT", 210.0, 50.0, Rest(1.0), Spillover, 0, "Lda."),
    c("GR", 190.0, 40.0, Rest(1.0), Gradual, 2, "A.E."),
    c("CL", 190.0, 50.0, Rest(0.95), Spillover, -4, "SpA"),
    c("PE", 180.0, 50.0, Rest(0.95), Spillover, -5, "S.A.C."),
    c("EG", 170.0, 60.0, Rest(0.9), Gradual, 2, "S.A.E."),
    c("KR", 170.0, 40.0, Rest(0.95), Spillover, 9, "Co., Ltd"),
    c("SE", 160.0, 40.0, Rest(1.15), Gradual, 1, "AB"),
    c("SG", 150.0, 20.0, Rest(1.0), Spillover, 8, "Pte Ltd"),
    c("BG", 140.0, 30.0, Rest(1.05), Gradual, 2, "OOD"),
    c("TW", 140.0, 40.0, Rest(1.1), Spillover, 8, "Co., Ltd"),
    c("BY", 140.0, 60.0, Rest(0.7), Gradual, 3, "OOO"),
    c("HK", 130.0, 20.0, Rest(0.95), Spillover, 8, "Ltd"),
    c("PH", 130.0, 40.0, Rest(0.9), Spillover, 8, "Inc."),
    c("RS", 120.0, 30.0, Rest(0.9), Gradual, 1, "d.o.o."),
    c("MA", 110.0, 40.0, Rest(0.9), Gradual, 1, "SARL"),
    c("DK", 100.0, 20.0, Rest(1.15), Gradual, 1, "ApS"),
    c("EC", 100.0, 30.0, Rest(0.95), Spillover, -5, "S.A."),
    c("IE", 100.0, 15.0, Rest(1.1), Spillover, 0, "Ltd"),
    c("SK", 100.0, 20.0, Rest(1.05), Gradual, 1, "s.r.o."),
    c("NO", 90.0, 20.0, Rest(1.15), Gradual, 1, "AS"),
    c("FI", 90.0, 20.0, Rest(1.15), Gradual, 2, "Oy"),
    c("HR", 90.0, 20.0, Rest(1.05), Gradual, 1, "d.o.o."),
    c("IL", 90.0, 20.0, Rest(1.05), Spillover, 2, "Ltd"),
    c("NG", 90.0, 20.0, Rest(0.9), Gradual, 1, "Ltd"),
    c("KE", 80.0, 15.0, Rest(0.9), Gradual, 3, "Ltd"),
    c("NZ", 70.0, 15.0, Rest(1.05), Spillover, 12, "Ltd"),
    c("SI", 60.0, 15.0, Rest(1.05), Gradual, 1, "d.o.o."),
    c("UA", 50.0, 20.0, Rest(1.2), Gradual, 2, "TOV"),
    c("LT", 40.0, 10.0, Rest(1.3), Gradual, 2, "UAB"),
    c("LV", 40.0, 10.0, Rest(1.3), Gradual, 2, "SIA"),
    c("EE", 30.0, 8.0, Rest(1.3), Gradual, 2, "OU"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_united_states_lead_and_each_country_stands_once() {
        assert_eq!(COUNTRIES[US].code, "US");
        assert!(COUNTRIES.iter().skip(1).all(|c| c.weight < COUNTRIES[US].weight));
        let mut codes: Vec<_> = COUNTRIES.iter().map(|c| c.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), COUNTRIES.len());
    }
}
