//! A world: everything that is decided before the first flow is drawn.

use std::collections::BTreeMap;

use crate::calendar::{self, DAYS, YearDay};
use crate::calibrate::{Calibration, Stratum};
use crate::country::COUNTRIES;
use crate::detect::Rates;
use crate::organisation::{self, Entry, Organisation, PREFIXES_MAX, Part};
use crate::server::{self, Servers};
use crate::{Error, Params};

/// The members of a world and what decides about their traffic.
pub(crate) struct World {
    pub(crate) params: Params,
    pub(crate) calibration: Calibration,
    pub(crate) rates: Rates,
    /// In the order of their numbers.
    pub(crate) organisations: Vec<Organisation>,
    pub(crate) servers: Servers,
    /// Offset of office hours from UTC by country, in hours.
    pub(crate) utc: Vec<i8>,
    /// First day on which the vendor serves few in the United States.
    pub(crate) cutoff: YearDay,
    /// For each organisation and holding, the identity that the first snapshot of the
    /// registry names: an organisation's place, or for its former identity that place
    /// after all others.
    pub(crate) said: Vec<[Option<usize>; PREFIXES_MAX]>,
}

impl World {
    /// Solves the targets and makes the members.
    pub(crate) fn new(params: &Params) -> Result<Self, Error> {
        params.check()?;
        let calibration = Calibration::solve(params);
        organisation::check_room(&calibration.strata)?;
        Self::solved(params, calibration)
    }

    /// Makes the members of a world that was solved for these parameters, whatever their
    /// seed.
    pub(crate) fn solved(
        params: &Params,
        calibration: Calibration,
    ) -> Result<Self, Error> {
        let organisations = organisation::organisations(params, &calibration.strata);
        let said = said(&organisations);
        Ok(Self {
            params: params.clone(),
            rates: Rates::new(params),
            calibration,
            organisations,
            servers: server::all(&params.endpoints)?,
            utc: (0..COUNTRIES.len()).map(|c| params.country(c).utc).collect(),
            cutoff: calendar::year_day(params.cutoff).unwrap_or(DAYS),
            said,
        })
    }

    /// The stratum of an organisation.
    pub(crate) fn stratum(&self, organisation: &Organisation) -> &Stratum {
        &self.calibration.strata[organisation.stratum]
    }

    /// Organisations by number.
    pub(crate) fn places(&self) -> BTreeMap<u64, usize> {
        self.organisations.iter().enumerate().map(|(i, o)| (o.number, i)).collect()
    }
}

/// The places of each country's bystanders: wrong rows name one of them.
pub(crate) fn bystanders(organisations: &[Organisation]) -> Vec<Vec<usize>> {
    let mut by_country = vec![Vec::new(); COUNTRIES.len()];
    for (place, organisation) in organisations.iter().enumerate() {
        if organisation.part == Part::Bystander {
            by_country[organisation.country].push(place);
        }
    }
    by_country
}

/// The place that a wrong row names, or nobody if the world is too small to have one.
pub(crate) fn wrong_holder(bystanders: &[usize], draw: u32) -> Option<usize> {
    let count = u32::try_from(bystanders.len()).ok().filter(|n| *n > 0)?;
    bystanders.get((draw % count) as usize).copied()
}

fn said(organisations: &[Organisation]) -> Vec<[Option<usize>; PREFIXES_MAX]> {
    let bystanders = bystanders(organisations);
    let said = |(place, organisation): (usize, &Organisation)| {
        let mut row = [None; PREFIXES_MAX];
        for (slot, holding) in row.iter_mut().zip(&organisation.holdings) {
            *slot = match holding.entry {
                Entry::Right => Some(place),
                Entry::Stale { .. } => Some(organisations.len() + place),
                Entry::Missing { .. } | Entry::ProviderHeld => None,
                Entry::Wrong { draw } => {
                    wrong_holder(&bystanders[organisation.country], draw)
                }
            };
        }
        row
    };
    organisations.iter().enumerate().map(said).collect()
}
