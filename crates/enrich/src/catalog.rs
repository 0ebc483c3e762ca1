//! What to look for: the products' servers, from the text files of `catalog/`.
//!
//! **Invariant:** which entry a flow belongs to depends only on the flow, its day and the
//! catalog, never on the order of files or entries. Addresses match only where they are
//! exclusive, and never where they are excluded.
//!
//! Precedence, most specific first: a request (`url`), a whole name (`exact`), a pattern
//! of names (`regex`), the longest `suffix`; then, only if no name matched, the longest
//! exclusive `prefix`. Among equals: fewer valid days, then the smaller id.
//!
//! The most specific entry settles what a host *is*. If its ports rule the flow out, only
//! less specific entries of the same product and role, and of no greater weight, are tried:
//! an odd port never turns an activation server into an update server because both lie
//! below one suffix.

mod check;
mod explain;
mod index;
mod read;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tidegauge_model::endpoint::Port;
use tidegauge_model::{Address, Day, Endpoint, Grade, Pattern, Prefix, ProductId};

pub use self::check::{Doubt, Warning};
pub use self::explain::{Explanation, Outcome, Subject, Verdict};
use self::index::Index;
pub use self::read::{ALWAYS_FROM, CatalogError, Fault};

/// Everything that is looked for, ready to match.
#[derive(Debug)]
pub struct Catalog {
    /// By id.
    products: Vec<Product>,
    /// By id.
    endpoints: Vec<Endpoint>,
    /// Where each endpoint is written, in the same order.
    places: Vec<Place>,
    exclusions: Vec<Exclusion>,
    index: Index,
}

/// A product whose use is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Stable id: the stem of its file.
    pub id: ProductId,
    /// Its name, for people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Whether it is a control: nearly every network contacts it and no policy touches it.
    pub control: bool,
    /// What a reader should know.
    pub note: String,
}

/// Addresses that never prove a contact, whatever else is said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The addresses.
    pub prefix: Prefix,
    /// Where this is known from.
    pub source: String,
    /// Why.
    pub note: String,
}

/// Where an entry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// What is known about a flow, as far as the catalog cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe<'a> {
    /// Name of the server, in the form of [`tidegauge_model::flow::canonical_host`].
    pub host: Option<&'a str>,
    /// Method and target of an HTTP request, `GET /index.xml`.
    pub request: Option<&'a str>,
    /// Address of the server; `None` if the responder is a proxy or a resolver.
    pub address: Option<Address>,
    /// Port of the server; `None` if it is not known, then any entry's ports will do.
    pub port: Option<Port>,
    /// UTC day of the first packet.
    pub day: Day,
}

impl Catalog {
    /// Reads the files of a catalog: name and text of each. On failure, everything that is
    /// wrong with them, by file and line.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<CatalogError>> {
        let read::Entries { products, endpoints, exclusions } = read::entries(files)?;
        let (endpoints, places): (Vec<_>, Vec<_>) = endpoints.into_iter().unzip();
        let index = Index::new(&endpoints).map_err(|error| {
            let first = places.first().cloned();
            let place = first.unwrap_or(Place { file: String::new(), line: 1 });
            vec![place.error(Fault::RegexTogether(error))]
        })?;
        Ok(Self { products, endpoints, places, exclusions, index })
    }

    /// The catalog that is built into the binary.
    pub fn built_in() -> Self {
        Self::read(crate::built_in::CATALOG.iter().copied())
            .expect("the built-in catalog is read by a test")
    }

    /// Every entry, by id.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Every product, by id.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// Every exclusion, by prefix.
    pub fn exclusions(&self) -> &[Exclusion] {
        &self.exclusions
    }

    /// The product with this id.
    pub fn product(&self, id: &str) -> Option<&Product> {
        let at = self.products.binary_search_by(|p| p.id.as_str().cmp(id)).ok()?;
        self.products.get(at)
    }

    /// The entry with this id.
    pub fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        let at = self.endpoints.binary_search_by(|e| e.id.as_str().cmp(id)).ok()?;
        self.endpoints.get(at)
    }

    /// The entry that the flow belongs to, and how it was recognised: by name, or by an
    /// exclusive address. A name that matches nothing does not rule an exclusive address
    /// out: nobody else is served there, so the name is one the catalog does not have yet.
    pub fn find(&self, probe: &Probe<'_>) -> Option<(&Endpoint, Grade)> {
        let (at, grade) = self.find_at(probe)?;
        self.endpoints.get(at).map(|endpoint| (endpoint, grade))
    }

    /// As [`Self::find`], with the position in [`Self::endpoints`].
    pub(crate) fn find_at(&self, probe: &Probe<'_>) -> Option<(usize, Grade)> {
        let named = probe.host.and_then(|host| {
            self.settle(probe, |visit| {
                self.index.by_name(host, probe.request, visit);
            })
        });
        if let Some(at) = named {
            return Some((at, Grade::Name));
        }
        let address = probe.address?;
        let at = self.settle(probe, |visit| self.index.by_address(address, visit))?;
        Some((at, Grade::Address))
    }

    /// The entries that could match the name, on some day and port, best first.
    pub(crate) fn candidates(&self, host: &str) -> Vec<usize> {
        let mut found = Vec::new();
        self.index.by_name(host, None, &mut |at| {
            found.push(at);
            true
        });
        found
    }

    /// As [`Self::find_at`] of a probe without a request, whose name has these candidates.
    pub(crate) fn find_among(
        &self,
        probe: &Probe<'_>,
        candidates: &[usize],
    ) -> Option<(usize, Grade)> {
        let named = self.settle(probe, |visit| {
            _ = candidates.iter().all(|at| visit(*at));
        });
        match named {
            Some(at) => Some((at, Grade::Name)),
            None => self.find_at(&Probe { host: None, ..*probe }),
        }
    }

    /// Whether any entry could match the name, on some day and port.
    pub fn knows(&self, host: &str) -> bool {
        let mut known = false;
        self.index.by_name(host, None, &mut |_| {
            known = true;
            false
        });
        known
    }

    /// Whether any entry could match the address without a name, on some day and port.
    pub fn knows_address(&self, address: Address) -> bool {
        let mut known = false;
        self.index.by_address(address, &mut |_| {
            known = true;
            false
        });
        known
    }

    /// SHA-256, in hexadecimal, of what the catalog says: comments, layout and the order
    /// of files do not change it.
    pub fn version(&self) -> String {
        let mut text = String::new();
        for product in &self.products {
            push_line(&mut text, &format!("{product:?}"));
        }
        for endpoint in &self.endpoints {
            push_line(&mut text, &format!("{endpoint:?}"));
        }
        for exclusion in &self.exclusions {
            push_line(&mut text, &format!("{exclusion:?}"));
        }
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text.as_bytes()) {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        }
        hex
    }

    /// The first candidate, most specific first, that holds on the day and port; see the
    /// module's head for what an unfit port settles.
    fn settle(
        &self,
        probe: &Probe<'_>,
        candidates: impl FnOnce(&mut dyn FnMut(usize) -> bool),
    ) -> Option<usize> {
        let mut found = None;
        let mut settled: Option<&Endpoint> = None;
        candidates(&mut |at| {
            let Some(endpoint) = self.endpoints.get(at) else { return true };
            let ruled_out = settled.is_some_and(|s| !stands_in(endpoint, s));
            if ruled_out || !endpoint.valid.contains(probe.day) {
                return true;
            }
            if port_fits(endpoint, probe.port) {
                found = Some(at);
                return false;
            }
            settled.get_or_insert(endpoint);
            true
        });
        found
    }
}

/// Whether a flow that the ports of `specific` rule out may belong to `general`.
fn stands_in(general: &Endpoint, specific: &Endpoint) -> bool {
    general.product == specific.product
        && general.role == specific.role
        && general.weight <= specific.weight
}

fn port_fits(endpoint: &Endpoint, port: Option<Port>) -> bool {
    endpoint.ports.is_empty() || port.is_none_or(|port| endpoint.ports.contains(&port))
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The word of a pattern's kind, as in the files.
fn pattern_kind(pattern: &Pattern) -> &'static str {
    match pattern {
        Pattern::Exact(_) => "exact",
        Pattern::Suffix(_) => "suffix",
        Pattern::Regex(_) => "regex",
        Pattern::Url(_) => "url",
        Pattern::Prefix(_) => "prefix",
    }
}

/// The text of a pattern, as in the files.
fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text)
        | Pattern::Suffix(text)
        | Pattern::Regex(text)
        | Pattern::Url(text) => text.clone(),
        Pattern::Prefix(prefix) => prefix.to_string(),
    }
}
