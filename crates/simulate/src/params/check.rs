//! What makes no world.
//!
//! **Invariant:** each refusal names one parameter, its value and what it may be.

use super::{CourseShape, Params};
use crate::calendar;
use crate::country::COUNTRIES;
use crate::space::SCANNERS_MAX;
use crate::targets::{SECTORS_ELSEWHERE, US_SECTORS};
use crate::{Error, server};

type Range = (f64, f64, &'static str);

const POSITIVE: Range = (f64::MIN_POSITIVE, 1.0, "more than 0, at most 1");
const SHARE: Range = (0.0, 1.0, "from 0 to 1");
const HALF: Range = (0.0, 0.5, "from 0 to 0.5");
/// The plan of addresses has room for so many members.
const FEW: Range = (0.0, 0.2, "from 0 to 0.2");
const SEES: Range = (0.3, 1.0, "from 0.3 to 1");
const FALL: Range = (0.0, 0.95, "from 0 to 0.95");
const WEIGHT: Range = (0.0, 1e6, "from 0 to 1000000");
const HAZARD: Range = (0.05, 20.0, "from 0.05 to 20");
const DAYS: Range = (0.1, 366.0, "from 0.1 to 366 days");

impl Params {
    /// Refuses parameters that make no world.
    pub fn check(&self) -> Result<(), Error> {
        self.check_shares()?;
        self.check_counts()?;
        self.check_targets()?;
        self.check_members()?;
        for (name, shape) in [
            ("courses.steps", &self.courses.steps),
            ("courses.gradual", &self.courses.gradual),
            ("courses.spillover", &self.courses.spillover),
            ("courses.migrated", &self.courses.migrated),
        ] {
            check_course(name, shape)?;
        }
        server::all(&self.endpoints).map(|_| ())
    }

    fn check_shares(&self) -> Result<(), Error> {
        for (name, value, range) in [
            ("organisations", self.organisations, POSITIVE),
            ("eyeball", self.eyeball, POSITIVE),
            ("bystanders", self.bystanders, HALF),
            ("relapse", self.relapse, HALF),
            ("adopters_us", self.adopters_us, FEW),
            ("adopters_elsewhere", self.adopters_elsewhere, FEW),
            ("served_after_cutoff", self.served_after_cutoff, SHARE),
            ("cause.removal", self.cause.removal, SHARE),
            ("cause.churn", self.cause.churn, FALL),
            ("cause.thinned", self.cause.thinned, WEIGHT),
            ("cause.dark", self.cause.dark, WEIGHT),
            ("cause.moved", self.cause.moved, WEIGHT),
            ("families.us_parents", self.families.us_parents, HALF),
            ("families.parents", self.families.parents, HALF),
            ("substitution.share", self.substitution.share, SHARE),
            ("substitution.dual", self.substitution.dual, SHARE),
            ("substitution.successor_kept", self.substitution.successor_kept, SHARE),
            ("noise.one_off", self.noise.one_off, SHARE),
            ("exchange.sees", self.exchange.sees, SEES),
            ("carrier.sees", self.carrier.sees, SEES),
            ("registry.missing", self.registry.missing, SHARE),
            ("registry.wrong", self.registry.wrong, SHARE),
            ("registry.stale", self.registry.stale, SHARE),
            ("registry.provider_held", self.registry.provider_held, SHARE),
            ("registry (all together)", self.registry.sum(), HALF),
            ("courses.early", self.courses.early, SHARE),
        ] {
            within(name, value, range)?;
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Error> {
        let sampling = (1, 2_000, "from 1 to 2000");
        let scanners = SCANNERS_MAX;
        let few = "at most 200 together";
        let noise = &self.noise;
        let rented = noise
            .scanners
            .saturating_add(noise.sandboxes)
            .saturating_add(noise.vpn_exits);
        let rivals = u32::try_from(self.endpoints.rivals.len()).unwrap_or(u32::MAX);
        let substitution = &self.substitution;
        for (name, value, (lowest, highest, hint)) in [
            ("exchange.sampling", self.exchange.sampling, sampling),
            ("exchange.sampling_later", self.exchange.sampling_later, sampling),
            ("carrier.route_packets", self.carrier.route_packets, sampling),
            ("noise (rented addresses)", rented, (0, scanners, few)),
            ("cause.partners", self.cause.partners, (1, 400, "from 1 to 400")),
            (
                "substitution.rivals",
                substitution.rivals.into(),
                (1, rivals, "from 1 to the number of endpoints.rivals"),
            ),
            (
                "substitution.gap_days",
                substitution.gap_days.into(),
                (0, 100, "from 0 to 100"),
            ),
        ] {
            if !(lowest..=highest).contains(&value) {
                return Err(refused(name, &value, hint));
            }
        }
        Ok(())
    }

    fn check_targets(&self) -> Result<(), Error> {
        let t = &self.targets;
        let room = (100.0, 40_000.0, "from 100 to 40000");
        let addresses = (100_000.0, 1e8, "from 100000 to 100000000");
        within("targets.organisations_april", t.organisations_april, room)?;
        within("targets.addresses_april", t.addresses_april, addresses)?;
        within("targets.us_removal", t.us_removal, (0.05, 0.95, "from 0.05 to 0.95"))?;
        let left = (0.001, 0.95, "from 0.001 to 0.95");
        within("targets.us_consumers_left", t.us_consumers_left, left)?;
        let part = "more than 0, less than half of the whole";
        for (name, value, whole) in [
            ("targets.us_april", t.us_april, t.organisations_april),
            ("targets.us_government_april", t.us_government_april, t.us_april),
        ] {
            within(name, value, (f64::MIN_POSITIVE, whole / 2.0, part))?;
        }
        let fall = "more than a hundredth of April's, less than 95 % of it";
        let elsewhere = [
            t.organisations_april - t.us_april,
            t.organisations_november - t.us_november,
        ];
        for (name, november, april) in [
            ("targets.organisations_november", elsewhere[1], elsewhere[0]),
            ("targets.us_november", t.us_november, t.us_april),
            (
                "targets.us_government_november",
                t.us_government_november,
                t.us_government_april,
            ),
            ("targets.addresses_november", t.addresses_november, t.addresses_april),
        ] {
            within(name, november, (april / 100.0, april * 0.95, fall))?;
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), Error> {
        for (code, country) in &self.countries {
            if !COUNTRIES.iter().any(|c| c.code == code) {
                return Err(refused(
                    "countries",
                    &code,
                    "the codes that --print-params shows",
                ));
            }
            within("countries.*.weight", country.weight, WEIGHT)?;
            within("countries.*.consumers", country.consumers, WEIGHT)?;
            within("countries.*.hazard", country.hazard, HAZARD)?;
            if let Some(removal) = country.removal {
                within(
                    "countries.*.removal",
                    removal,
                    (0.05, 0.95, "from 0.05 to 0.95"),
                )?;
            }
            if !(-12..=14).contains(&country.utc) {
                return Err(refused(
                    "countries.*.utc",
                    &country.utc,
                    "from -12 to 14 hours",
                ));
            }
        }
        self.check_sectors()
    }

    fn check_sectors(&self) -> Result<(), Error> {
        for (name, found, all) in [
            ("countries", self.countries.len(), COUNTRIES.len()),
            ("us_sectors", self.us_sectors.len(), US_SECTORS.len()),
            (
                "sectors_elsewhere",
                self.sectors_elsewhere.len(),
                SECTORS_ELSEWHERE.len(),
            ),
        ] {
            if found < all {
                return Err(refused(name, &found, "each entry of --print-params"));
            }
        }
        let hint = "the sectors that --print-params shows";
        if let Some(id) =
            self.us_sectors.keys().find(|id| !US_SECTORS.iter().any(|s| s.id == **id))
        {
            return Err(refused("us_sectors", &id, hint));
        }
        let elsewhere = &self.sectors_elsewhere;
        if let Some(id) =
            elsewhere.keys().find(|id| !SECTORS_ELSEWHERE.iter().any(|s| s.0 == **id))
        {
            return Err(refused("sectors_elsewhere", &id, hint));
        }
        for sector in self.us_sectors.values() {
            within("us_sectors.*.share", sector.share, SHARE)?;
            within("us_sectors.*.hazard", sector.hazard, HAZARD)?;
        }
        for weight in elsewhere.values() {
            within("sectors_elsewhere.*", *weight, WEIGHT)?;
        }
        let sum = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>();
        let shares = sum(&mut self.us_sectors.values().map(|s| s.share));
        within("us_sectors (shares together)", shares, (0.999, 1.001, "1"))?;
        let some = (f64::MIN_POSITIVE, 1e9, "more than 0 together");
        within("sectors_elsewhere", sum(&mut elsewhere.values().copied()), some)?;
        let abroad = self.countries.iter().filter(|(code, _)| *code != "US");
        within("countries (weights)", sum(&mut abroad.map(|c| c.1.weight)), some)?;
        within(
            "countries (consumers)",
            sum(&mut self.countries.values().map(|c| c.consumers)),
            some,
        )
    }
}

fn check_course(name: &'static str, shape: &CourseShape) -> Result<(), Error> {
    within(name, shape.even, WEIGHT)?;
    for burst in &shape.bursts {
        within(name, burst.weight, WEIGHT)?;
        within(name, burst.days, DAYS)?;
        if calendar::year_day(burst.at).is_none() {
            return Err(refused(name, &burst.at, "steps in 2024"));
        }
    }
    let before_november = |b: &&super::Burst| {
        calendar::year_day(b.at).is_some_and(|d| {
            (calendar::MONTH_STARTS[calendar::APRIL]
                ..calendar::MONTH_STARTS[calendar::NOVEMBER])
                .contains(&d)
        })
    };
    let within_windows = shape.bursts.iter().filter(before_november);
    let rise = shape.even + within_windows.map(|b| b.weight).sum::<f64>();
    within(name, rise, (1e-3, 1e9, "some of it from April to October"))
}

fn within(
    name: &'static str,
    value: f64,
    (low, high, hint): Range,
) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(refused(name, &value, hint))
    }
}

fn refused(name: &'static str, value: &dyn ToString, hint: &'static str) -> Error {
    Error::Parameter { name, value: value.to_string(), hint }
}
