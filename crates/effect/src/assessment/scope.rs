//! Whom an act addresses: a country, or one sector of it.
//!
//! **Invariant:** an act that leaves private organisations alone is never taken for one on
//! the country: it is an act on its public bodies, which are the sector [`PUBLIC`].

use tidegauge_model::panel::Panel;
use tidegauge_model::policy::{ActKind, PolicyEvent};
use tidegauge_model::{Country, SectorId};

use super::Refused;

/// The sector of public bodies.
pub(super) const PUBLIC: &str = "government";

/// The sector that an act addresses, if it is one alone; refused if it addresses no user.
pub(super) fn sector(act: &PolicyEvent) -> Result<Option<SectorId>, Refused> {
    if act.private_sector != "no" {
        return Ok(None);
    }
    if act.kind == ActKind::Sanction {
        let words = format!("it addresses no organisation that uses it: {}", act.scope);
        return Err(Refused::by("no-user-addressed", words));
    }
    Ok(Some(SectorId::from(PUBLIC)))
}

/// The histories of a sector.
pub(super) fn narrowed(panel: &Panel, to: &SectorId) -> Panel {
    let of = panel.histories.iter().filter(|h| h.sector.as_ref() == Some(to));
    Panel {
        product: panel.product.clone(),
        days: panel.days,
        histories: of.cloned().collect(),
    }
}

/// A country, or a sector of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) country: Country,
    pub(super) sector: Option<SectorId>,
}

impl Group {
    pub(super) fn holds(
        &self,
        country: Option<Country>,
        sector: Option<&SectorId>,
    ) -> bool {
        let in_sector = || self.sector.as_ref().is_none_or(|own| sector == Some(own));
        country == Some(self.country) && in_sector()
    }

    /// Whether an organisation may be in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let apart = match (&self.sector, &other.sector) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        self.country == other.country && !apart
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.sector {
            Some(sector) => write!(f, "{} {sector}", self.country),
            None => write!(f, "{}", self.country),
        }
    }
}
