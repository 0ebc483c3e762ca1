//! Where telemetry was seen: `vantages/*.toml`.
//!
//! **Invariant:** unrelated captures are different vantages. A private address is a client
//! only together with its site, and belongs to the holder of the vantage.

use serde::Deserialize;

use crate::{
    Address, Client, Country, OrgId, Organisation, Prefix, SectorId, SiteId, VantageId,
};

/// A place of observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// Its name: the file's stem.
    pub id: VantageId,
    /// The network in which private addresses are unique.
    pub site: SiteId,
    /// Who runs the network; private clients are theirs.
    pub holder: Organisation,
    /// Prefixes that are private here beyond the usual ones.
    pub private: Vec<Prefix>,
    /// Whether clients are seen before or after address translation.
    pub position: Position,
    /// IANA time zone of timestamps without one; UTC unless told.
    pub time_zone: String,
    /// Exporters that feed it, and which of them lie about their sampling.
    pub exporters: Vec<Exporter>,
    /// Sampling that overrides what the telemetry claims: one packet in so many.
    pub sampling: Option<std::num::NonZeroU32>,
    /// Who asks the DNS server that is seen here.
    pub clients: Clients,
}

/// Who the addresses are that ask a DNS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// Machines that use what they ask for: the server is a recursive one for them.
    #[default]
    Hosts,
    /// Resolvers that ask for others: the server is authoritative, or forwarders stand
    /// before it. Their addresses are no clients.
    Resolvers,
}

/// Before or after address translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Inside: clients have their private addresses.
    #[default]
    Inside,
    /// Outside: many clients share a public address.
    Outside,
}

/// A device that sends flow records, or several whose addresses share a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// Its address, as the collector sees it.
    pub prefix: Prefix,
    /// Its name, for people.
    pub name: String,
    /// Its true sampling, if it lies about it: one packet in so many.
    pub sampling: Option<std::num::NonZeroU32>,
}

impl Vantage {
    /// A vantage that nobody has described: its holder and site have its own name, and
    /// the usual private prefixes are private.
    pub fn undescribed(id: VantageId) -> Self {
        let name = id.as_str();
        let holder = Organisation {
            id: OrgId::new(format!("vantage:{name}")),
            name: format!("holder of vantage {name}"),
            country: None,
            parent: None,
            sector: None,
            other_sectors: Vec::new(),
        };
        Self {
            site: SiteId::new(name),
            holder,
            private: Vec::new(),
            position: Position::Inside,
            time_zone: "UTC".to_owned(),
            exporters: Vec::new(),
            sampling: None,
            clients: Clients::default(),
            id,
        }
    }

    /// Reads the text of `vantages/<id>.toml`.
    pub fn read(id: VantageId, text: &str) -> Result<Self, BadVantage> {
        let file: File = toml::from_str(text).map_err(BadVantage::Toml)?;
        let mut vantage = Self::undescribed(id);
        if let Some(site) = file.site {
            vantage.site = SiteId::new(site);
        }
        if let Some(holder) = file.holder {
            vantage.holder = Organisation {
                id: OrgId::new(
                    holder.id.unwrap_or_else(|| format!("vantage:{}", vantage.id)),
                ),
                name: holder.name,
                country: holder.country,
                parent: holder.parent.map(OrgId::new),
                sector: holder.sector.map(SectorId::new),
                other_sectors: Vec::new(),
            };
        }
        vantage.private = file
            .private
            .iter()
            .map(|p| p.parse().map_err(BadVantage::Prefix))
            .collect::<Result<_, _>>()?;
        vantage.position = file.position;
        vantage.time_zone = file.time_zone.unwrap_or(vantage.time_zone);
        vantage.exporters =
            file.exporters.into_iter().map(exporter).collect::<Result<_, _>>()?;
        vantage.sampling = file.sampling;
        vantage.clients = file.clients;
        Ok(vantage)
    }

    /// Whether `address` is private here.
    pub fn is_private(&self, address: Address) -> bool {
        !address.is_global() || self.private.iter().any(|p| p.contains(address))
    }

    /// The sampling to believe where `exporter` announced this one: what is written here for
    /// the longest prefix around its address, else for the whole vantage, else its word.
    pub fn sampling(
        &self,
        exporter: Option<Address>,
        announced: std::num::NonZeroU32,
    ) -> std::num::NonZeroU32 {
        let of_exporter = exporter.and_then(|address| {
            let around = self.exporters.iter().filter(|e| e.prefix.contains(address));
            let nearest = around.filter(|e| e.sampling.is_some());
            nearest.max_by_key(|e| e.prefix.length())?.sampling
        });
        of_exporter.or(self.sampling).unwrap_or(announced)
    }

    /// The client that `address` stands for at this vantage.
    pub fn client(&self, address: Address) -> Client {
        let site = self.is_private(address).then(|| self.site.clone());
        Client { address, site }
    }
}

/// A vantage file that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BadVantage {
    /// The text is not TOML of the right shape.
    #[error("{0}")]
    Toml(toml::de::Error),
    /// A private prefix is wrong.
    #[error("in `private`: {0}")]
    Prefix(crate::address::BadPrefix),
    /// The address of an exporter is neither an address nor a prefix.
    #[error("in `exporters`: {0}")]
    Exporter(crate::address::BadPrefix),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    site: Option<String>,
    holder: Option<Holder>,
    #[serde(default)]
    private: Vec<String>,
    #[serde(default)]
    position: Position,
    time_zone: Option<String>,
    #[serde(default)]
    exporters: Vec<ExporterText>,
    sampling: Option<std::num::NonZeroU32>,
    #[serde(default)]
    clients: Clients,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExporterText {
    address: String,
    #[serde(default)]
    name: String,
    sampling: Option<std::num::NonZeroU32>,
}

/// An address stands for itself.
fn exporter(text: ExporterText) -> Result<Exporter, BadVantage> {
    let ExporterText { address, name, sampling } = text;
    let prefix = match address.parse::<Address>() {
        Ok(address) => Prefix::containing(address, 128),
        Err(_) => address.parse().map_err(BadVantage::Exporter)?,
    };
    Ok(Exporter { prefix, name, sampling })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    id: Option<String>,
    name: String,
    country: Option<Country>,
    parent: Option<String>,
    sector: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_client_is_scoped_to_its_site() {
        let text = r#"
            site = "berlin"
            private = ["198.51.100.0/24"]
            position = "inside"
            clients = "resolvers"
            [holder]
            name = "Example AG"
            country = "DE"
            sector = "manufacturing"
        "#;
        let vantage = Vantage::read("probe".into(), text).unwrap();
        let client = |a: &str| vantage.client(a.parse().unwrap()).site;
        assert_eq!(client("10.1.2.3"), Some("berlin".into()));
        assert_eq!(client("198.51.100.9"), Some("berlin".into()));
        assert_eq!(client("203.0.113.9"), None);
        assert_eq!(vantage.clients, Clients::Resolvers);
        assert_eq!(vantage.holder.country.unwrap().as_str(), "DE");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(Vantage::read("v".into(), "sights = 'berlin'").is_err());
    }
}
