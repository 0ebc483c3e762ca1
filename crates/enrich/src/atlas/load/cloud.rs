//! Ranges that providers of servers and content publish as their own.
//!
//! **Invariant:** a prefix that a document names several times, for several services or
//! regions, is one observation with all of them: which of two rows for one prefix decides
//! is never a matter of spelling.
//!
//! What is left out: who rents the servers, which nobody publishes; the country of a
//! region, which its name does not tell for certain.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use serde_json::Value;
use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Country, NetworkKind, Reason, Shared};

use super::json::{Way, items};
use super::{Out, Said, block, value};
use crate::atlas::AtlasError;
use crate::atlas::row::Row;

/// Whose document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's `ip-ranges.json`.
    Aws,
    /// Google's `cloud.json` (rented out) and `goog.json` (all that is Google's).
    Google,
    /// Microsoft's `ServiceTags_*.json`.
    Azure,
    /// Oracle's `public_ip_ranges.json`.
    Oracle,
    /// Fastly's `public-ip-list`.
    Fastly,
    /// Cloudflare's `ips-v4` and `ips-v6`: a prefix a line.
    Cloudflare,
}

impl Cloud {
    /// Every document that is known.
    pub const ALL: [Self; 6] = [
        Self::Aws,
        Self::Google,
        Self::Azure,
        Self::Oracle,
        Self::Fastly,
        Self::Cloudflare,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Google => "google",
            Self::Azure => "azure",
            Self::Oracle => "oracle",
            Self::Fastly => "fastly",
            Self::Cloudflare => "cloudflare",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aws => "Amazon Web Services",
            Self::Google => "Google",
            Self::Azure => "Microsoft",
            Self::Oracle => "Oracle",
            Self::Fastly => "Fastly",
            Self::Cloudflare => "Cloudflare",
        }
    }

    /// The arrays that hold the ranges.
    fn ways(self) -> &'static [Way] {
        match self {
            Self::Aws => &[&["prefixes"], &["ipv6_prefixes"]],
            Self::Google => &[&["prefixes"]],
            Self::Azure => &[&["values"]],
            Self::Oracle => &[&["regions"]],
            Self::Fastly => &[&["addresses"], &["ipv6_addresses"]],
            Self::Cloudflare => &[],
        }
    }

    /// Whether what it publishes is a network of relays whatever the service.
    fn relays_only(self) -> bool {
        matches!(self, Self::Fastly | Self::Cloudflare)
    }
}

impl FromStr for Cloud {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|cloud| cloud.word() == word).ok_or(())
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Services whose addresses relay the traffic of many: those of AWS, and of Azure by
/// `systemService`. Google's document has no service for what it does not rent out, its
/// own front ends.
const RELAY_SERVICES: [&str; 5] = [
    "CLOUDFRONT",
    "CLOUDFRONT_ORIGIN_FACING",
    "GLOBALACCELERATOR",
    "AzureFrontDoor",
    GOOGLE_OWN,
];
/// What stands for Google's own services, which its document does not name.
const GOOGLE_OWN: &str = "Google";

/// Services and regions of one prefix.
#[derive(Default)]
struct Uses {
    services: BTreeSet<String>,
    regions: BTreeSet<String>,
}

/// The prefixes of a document. The largest names some 100,000; they are in memory until
/// its end.
type Found = BTreeMap<(Address, Address), Uses>;

/// Reads a document of JSON.
pub(super) fn document(
    cloud: Cloud,
    input: impl BufRead,
    out: &mut Out<'_>,
) -> Result<(), AtlasError> {
    let mut found = Found::new();
    let mut repeated: u64 = 0;
    items(input, cloud.ways(), out, &mut |_, item, out| {
        let said = ranges(cloud, item)?;
        for (range, service, region) in said.good {
            let uses = found.entry(range).or_default();
            repeated += 1;
            let add = |set: &mut BTreeSet<String>, text: &str| {
                if !text.is_empty() {
                    set.insert(text.to_owned());
                }
            };
            add(&mut uses.services, service);
            add(&mut uses.regions, region);
        }
        if said.bad > 0 {
            out.lose_here(Reason::Value, said.bad);
        }
        Ok(())
    })?;
    // Its items said nothing by themselves; the ranges in them do.
    let distinct = u64::try_from(found.len()).unwrap_or(u64::MAX);
    out.loaded.passed = 0;
    out.loaded.merged = repeated.saturating_sub(distinct);
    for ((first, last), uses) in found {
        let join =
            |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(";");
        let relays = cloud.relays_only()
            || uses.services.iter().any(|s| RELAY_SERVICES.contains(&s.as_str()));
        let said = provider(&cloud.to_string(), cloud.name(), relays)
            .with("service", &join(uses.services))
            .with("region", &join(uses.regions));
        out.say(said.over(first, last));
    }
    Ok(())
}

/// What an item says: range, service and region, and how many ranges cannot be read.
#[derive(Default)]
struct Ranges<'a> {
    good: Vec<((Address, Address), &'a str, &'a str)>,
    bad: u64,
}

impl<'a> Ranges<'a> {
    fn add(&mut self, prefix: Option<&Value>, service: &'a str, region: &'a str) {
        match prefix.and_then(Value::as_str).map(block) {
            Some(Ok(range)) => self.good.push((range, service, region)),
            _ => self.bad += 1,
        }
    }
}

fn ranges(cloud: Cloud, item: &Value) -> Result<Ranges<'_>, Reason> {
    let mut said = Ranges::default();
    let str_of = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    match cloud {
        Cloud::Aws => {
            let prefix = item.get("ip_prefix").or(item.get("ipv6_prefix"));
            said.add(prefix, str_of("service"), str_of("region"));
        }
        Cloud::Google => {
            let prefix = item.get("ipv4Prefix").or(item.get("ipv6Prefix"));
            let service = Some(str_of("service")).filter(|s| !s.is_empty());
            said.add(prefix, service.unwrap_or(GOOGLE_OWN), str_of("scope"));
        }
        Cloud::Azure => {
            let of = item.get("properties").ok_or(Reason::ColumnMissing)?;
            let get = |key| of.get(key).and_then(Value::as_str).unwrap_or_default();
            let prefixes = of.get("addressPrefixes").and_then(Value::as_array);
            for prefix in prefixes.ok_or(Reason::ColumnMissing)? {
                said.add(Some(prefix), get("systemService"), get("region"));
            }
        }
        Cloud::Oracle => {
            let cidrs = item.get("cidrs").and_then(Value::as_array);
            for of in cidrs.ok_or(Reason::ColumnMissing)? {
                let tags = of.get("tags").and_then(Value::as_array);
                let tag = tags.and_then(|tags| tags.first()).and_then(Value::as_str);
                said.add(of.get("cidr"), tag.unwrap_or_default(), str_of("region"));
            }
        }
        Cloud::Fastly => said.add(Some(item), "", ""),
        Cloud::Cloudflare => {}
    }
    if said.good.is_empty() && said.bad == 1 { Err(Reason::Value) } else { Ok(said) }
}

/// A prefix a line, or a geofeed (RFC 8805): `prefix,country,region,city,postal code`.
pub(super) fn line(
    id: &str,
    cloud: Option<Cloud>,
    row: &Row,
) -> Result<Option<Said>, Reason> {
    if row.text().starts_with('#') {
        return Ok(None);
    }
    let fields = row.fields();
    let field = |at: usize| fields.get(at).map_or("", |field| field.trim());
    let (first, last) = block(field(0))?;
    let relays = cloud.is_some_and(Cloud::relays_only);
    let name = match cloud {
        Some(cloud) => cloud.name(),
        None => id,
    };
    let mut said = provider(id, name, relays);
    if !field(1).is_empty() {
        said = said.with("addr_country", value::<Country>(field(1))?.as_str());
    }
    Ok(Some(said.with("region", field(2)).over(first, last)))
}

fn provider(id: &str, name: &str, relays: bool) -> Said {
    let shared = if relays { Shared::Cdn } else { Shared::No };
    Said::of_nothing(Field::Provider)
        .value(&format!("provider:{id}"))
        .with("name", name)
        .with("kind", NetworkKind::Hosting.as_str())
        .with("shared", shared.as_str())
}
