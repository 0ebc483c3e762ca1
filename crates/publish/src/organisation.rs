//! An organisation as the operator sees it: what it held, and when it was in contact.
//!
//! **Invariant:** nothing here passes the disclosure rule, so it is for the operator's own
//! pages alone.

use serde::Serialize;
use tidegauge_model::{
    Address, Country, DayRange, NetworkKind, OrgId, Organisation, Prefix, ProductId,
    SectorId, Shared,
};

/// Organisations that were looked for.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The first of them, by name.
    pub organisations: Vec<Organisation>,
    /// How many there are.
    pub total: usize,
}

/// All that is known of one organisation.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// Who it is.
    pub organisation: Organisation,
    /// Others that are counted with it, under its parent or as siblings.
    pub family: Vec<OrgId>,
    /// The days that are told of.
    pub days: DayRange,
    /// What it held on them, in the order of addresses.
    pub holdings: Vec<Holding>,
    /// When it was in contact, a product each.
    pub contacts: Vec<Contact>,
}

/// A range of addresses that the organisation held for some days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holding {
    /// First address.
    pub first: Address,
    /// Last address.
    pub last: Address,
    /// The days.
    pub days: DayRange,
    /// What kind of network it was.
    pub kind: NetworkKind,
    /// Whether it was shared with others.
    pub shared: Shared,
    /// Where it was used.
    pub country: Option<Country>,
    /// 0 (a guess) to 1 (the user's own table).
    pub confidence: f32,
}

/// Weeks in contact with one product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contact {
    /// The product.
    pub product: ProductId,
    /// Its name for readers.
    pub name: String,
    /// Weeks with a sighting that counts as use: the days of each inside the data, and on
    /// how many of them there was one.
    pub weeks: Vec<(DayRange, u32)>,
}

/// What a list of organisations says of each.
pub(crate) fn sector(organisation: &Organisation) -> &str {
    organisation.sector.as_ref().map_or("", SectorId::as_str)
}

impl Holding {
    /// The range as one prefix if it is one, else by its two ends.
    pub fn range(&self) -> String {
        if self.first == self.last {
            return self.first.to_string();
        }
        let same = (self.first.bits() ^ self.last.bits()).leading_zeros();
        let prefix = Prefix::containing(self.first, u8::try_from(same).unwrap_or(128));
        if (prefix.first(), prefix.last()) == (self.first, self.last) {
            prefix.to_string()
        } else {
            format!("{} – {}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> String {
        let month = "2024-04".parse().expect("a month");
        Holding {
            first: first.parse().expect("an address"),
            last: last.parse().expect("an address"),
            days: DayRange::month(month),
            kind: NetworkKind::Own,
            shared: Shared::No,
            country: None,
            confidence: 1.0,
        }
        .range()
    }

    #[test]
    fn a_range_is_written_as_a_prefix_only_if_it_is_one() {
        assert_eq!(range("192.0.2.0", "192.0.2.255"), "192.0.2.0/24");
        assert_eq!(range("192.0.2.7", "192.0.2.7"), "192.0.2.7");
        assert_eq!(range("192.0.2.1", "192.0.2.2"), "192.0.2.1 – 192.0.2.2");
        assert_eq!(range("192.0.2.0", "192.0.2.254"), "192.0.2.0 – 192.0.2.254");
        assert_eq!(range("0.0.0.0", "255.255.255.255"), "0.0.0.0/0");
        assert_eq!(
            range("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            "2001:db8::/32"
        );
    }
}
