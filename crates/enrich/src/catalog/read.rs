//! Reads the text files of `catalog/`.
//!
//! **Invariant:** whoever edits the catalog learns everything that is wrong with it at
//! once, by file and line; what has been read is sorted, free of contradictions, and every
//! pattern compiles.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use tidegauge_model::endpoint::{Port, UnknownWord};
use tidegauge_model::flow::canonical_host;
use tidegauge_model::{
    Confidence, Day, DayRange, Endpoint, EndpointId, Pattern, Prefix, ProductId,
    Protocol, Role, Weight, address,
};

use super::{Exclusion, Place, Product, pattern_kind, pattern_text};

/// Names under which strangers register names: an entry for one of them would match half
/// the internet. The common ones only; a single label is refused anyway.
const PUBLIC_SUFFIXES: &[&str] = &[
    "ac.uk",
    "akamai.net",
    "akamaiedge.net",
    "amazonaws.com",
    "azureedge.net",
    "azurewebsites.net",
    "cloudfront.net",
    "co.jp",
    "co.kr",
    "co.uk",
    "co.za",
    "com.au",
    "com.br",
    "com.cn",
    "com.mx",
    "com.tr",
    "com.tw",
    "com.ua",
    "edgekey.net",
    "edgesuite.net",
    "fastly.net",
    "github.io",
    "googleapis.com",
    "net.cn",
    "org.uk",
    "windows.net",
];

/// First day of entries without `valid_from`: 0001-01-01.
pub const ALWAYS_FROM: Day = Day(-719_162);
/// Last day of entries without `valid_to`: 9999-12-31.
const ALWAYS_TO: Day = Day(2_932_896);

/// Something wrong with a file of the catalog.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {fault}")]
pub struct CatalogError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

impl CatalogError {
    /// What to do about it, in a few words.
    pub fn hint(&self) -> &'static str {
        match &self.fault {
            Fault::Toml(_) => "catalog/README.md lists the keys and their forms",
            Fault::Word(_) => "use one of the words listed",
            Fault::Regex(_) => "test it with `tidegauge catalog explain`",
            Fault::RegexTogether(_) => {
                "write names as exact or suffix where that will do"
            }
            Fault::OpenRegex => "end it with `$`, or names of strangers match too",
            Fault::NoPattern => "give `pattern` the text that `match` speaks of",
            Fault::Host(_) => "write the name in lower case, without port or final dot",
            Fault::PublicSuffix(_) => "name the vendor's own domain below it",
            Fault::Prefix(_) => "write 192.0.2.0/24, 2001:db8::/32 or a lone address",
            Fault::Excluded { .. } => "drop the entry, or narrow the exclusion",
            Fault::Port(_) => "write it as 443/tcp or 123/udp",
            Fault::Validity { .. } => "swap `valid_from` and `valid_to`",
            Fault::Name(_) => "use lower-case letters, digits and `-`",
            Fault::ProductId { .. } => "rename the file or the product",
            Fault::DuplicateId { .. } => "give each entry its own name",
            Fault::DuplicatePattern { .. } => "merge the two, or date them apart",
            Fault::NotPrefix => "only addresses can be exclusive",
        }
    }
}

/// What can be wrong with a file of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not TOML, a key is missing or unknown, or a value has the wrong type.
    #[error("{0}")]
    Toml(String),
    /// A word outside its list.
    #[error("{0}")]
    Word(UnknownWord),
    /// A regular expression that does not compile.
    #[error("{0}")]
    Regex(regex::Error),
    /// The regular expressions are too large together.
    #[error("the regular expressions of the catalog together: {0}")]
    RegexTogether(regex::Error),
    /// A regular expression over names that does not end with `$`.
    #[error("the regular expression is open at its end")]
    OpenRegex,
    /// An empty pattern.
    #[error("the pattern is empty")]
    NoPattern,
    /// A host name that is none, or not in its one form.
    #[error("`{0}` is not a host name in its one form")]
    Host(String),
    /// A name under which strangers register names.
    #[error("strangers register names under `{0}`")]
    PublicSuffix(String),
    /// A prefix that is none.
    #[error("{0}")]
    Prefix(address::BadPrefix),
    /// An entry overlaps an exclusion.
    #[error("{prefix} overlaps {excluded}, which is excluded at {at}")]
    Excluded {
        /// Addresses of the entry.
        prefix: Prefix,
        /// Addresses of the exclusion.
        excluded: Prefix,
        /// File and line of the exclusion.
        at: String,
    },
    /// A port that is none.
    #[error("`{0}` is not a port and protocol")]
    Port(String),
    /// The entry ends before it begins.
    #[error("valid from {from} to {to}: the wrong way round")]
    Validity {
        /// First day.
        from: Day,
        /// Last day.
        to: Day,
    },
    /// A name or id with other characters than it may have.
    #[error("`{0}` cannot be part of an id")]
    Name(String),
    /// The product is not named as its file.
    #[error("product `{id}` is in a file called {stem}.toml")]
    ProductId {
        /// Id in the file.
        id: String,
        /// Name of the file, without its ending.
        stem: String,
    },
    /// Two entries, or two products, have the same id.
    #[error("`{id}` is also defined at {at}")]
    DuplicateId {
        /// The id.
        id: String,
        /// File and line of the other one.
        at: String,
    },
    /// Two entries claim the same thing on the same days and ports.
    #[error("{kind} `{text}` is also claimed at {at}")]
    DuplicatePattern {
        /// Kind of pattern.
        kind: &'static str,
        /// The pattern.
        text: String,
        /// File and line of the other one.
        at: String,
    },
    /// `exclusive` on something that is not a prefix.
    #[error("`exclusive` without a prefix")]
    NotPrefix,
}

/// What the files say: products and exclusions sorted, endpoints by id.
pub(super) struct Entries {
    pub(super) products: Vec<Product>,
    pub(super) endpoints: Vec<(Endpoint, Place)>,
    pub(super) exclusions: Vec<Exclusion>,
}

/// Reads all files, or says everything that is wrong with them.
pub(super) fn entries<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Entries, Vec<CatalogError>> {
    let mut draft = Draft::default();
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_unstable();
    for (name, text) in files {
        File { name, text, draft: &mut draft }.read();
    }
    draft.refuse_contradictions();
    draft.errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if draft.errors.is_empty() { Ok(draft.sorted()) } else { Err(draft.errors) }
}

/// What has been read so far, good and bad.
#[derive(Default)]
struct Draft {
    products: Vec<(Product, Place)>,
    endpoints: Vec<(Endpoint, Place)>,
    exclusions: Vec<(Exclusion, Place)>,
    errors: Vec<CatalogError>,
}

impl Draft {
    /// Finds what is wrong between entries, each of which is right by itself.
    fn refuse_contradictions(&mut self) {
        let mut errors = Vec::new();
        let ids = self.endpoints.iter().map(|(e, at)| (e.id.as_str(), at));
        errors.extend(duplicates(ids));
        errors.extend(duplicates(
            self.products.iter().map(|(p, at)| (p.id.as_str(), at)),
        ));
        errors.extend(self.duplicate_patterns());
        for (endpoint, place) in &self.endpoints {
            let Pattern::Prefix(prefix) = endpoint.pattern else { continue };
            let clash = self.exclusions.iter().find(|(e, _)| overlap(e.prefix, prefix));
            if let Some((exclusion, at)) = clash {
                let excluded = exclusion.prefix;
                let fault = Fault::Excluded { prefix, excluded, at: at.to_string() };
                errors.push(place.error(fault));
            }
        }
        self.errors.append(&mut errors);
    }

    fn duplicate_patterns(&self) -> Vec<CatalogError> {
        let mut seen: BTreeMap<_, Vec<(&Endpoint, &Place)>> = BTreeMap::new();
        let mut errors = Vec::new();
        for (endpoint, place) in &self.endpoints {
            let kind = pattern_kind(&endpoint.pattern);
            let text = pattern_text(&endpoint.pattern);
            let earlier = seen.entry((kind, text.clone())).or_default();
            if let Some((_, at)) = earlier.iter().find(|(e, _)| clash(e, endpoint)) {
                let fault = Fault::DuplicatePattern { kind, text, at: at.to_string() };
                errors.push(place.error(fault));
            }
            earlier.push((endpoint, place));
        }
        errors
    }

    fn sorted(mut self) -> Entries {
        let mut products: Vec<_> = self.products.into_iter().map(|(p, _)| p).collect();
        products.sort_by(|a, b| a.id.cmp(&b.id));
        self.endpoints.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let mut exclusions: Vec<_> =
            self.exclusions.into_iter().map(|(e, _)| e).collect();
        exclusions.sort_by_key(|e| e.prefix);
        Entries { products, endpoints: self.endpoints, exclusions }
    }
}

fn duplicates<'p>(
    ids: impl Iterator<Item = (&'p str, &'p Place)>,
) -> Vec<CatalogError> {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut errors = Vec::new();
    for (id, place) in ids {
        if let Some(at) = seen.get(id) {
            let fault = Fault::DuplicateId { id: id.to_owned(), at: at.to_string() };
            errors.push(place.error(fault));
        } else {
            seen.insert(id, place);
        }
    }
    errors
}

/// Whether two entries with the same pattern can both want one flow.
fn clash(a: &Endpoint, b: &Endpoint) -> bool {
    let days = a.valid.first() <= b.valid.last() && b.valid.first() <= a.valid.last();
    let ports = a.ports.is_empty()
        || b.ports.is_empty()
        || a.ports.iter().any(|port| b.ports.contains(port));
    days && ports
}

fn overlap(a: Prefix, b: Prefix) -> bool {
    a.contains(b.first()) || b.contains(a.first())
}

impl Place {
    pub(super) fn error(&self, fault: Fault) -> CatalogError {
        CatalogError { file: self.file.clone(), line: self.line, fault }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One file on its way into the draft.
struct File<'t, 'd> {
    name: &'t str,
    text: &'t str,
    draft: &'d mut Draft,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductText {
    id: Spanned<String>,
    name: String,
    vendor: String,
    #[serde(default)]
    control: bool,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointText {
    name: Spanned<String>,
    role: Spanned<String>,
    #[serde(rename = "match")]
    kind: Spanned<String>,
    pattern: Spanned<String>,
    #[serde(default)]
    ports: Vec<Spanned<String>>,
    valid_from: Option<Spanned<Day>>,
    valid_to: Option<Day>,
    #[serde(default)]
    exclusive: Option<Spanned<bool>>,
    weight: Spanned<String>,
    #[serde(default)]
    source: String,
    confidence: Spanned<String>,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExclusionText {
    prefix: Spanned<String>,
    source: String,
    #[serde(default)]
    note: String,
}

impl File<'_, '_> {
    fn read(mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.refuse(error.span(), Fault::Toml(first_line(error.message())));
        }
        let mut product = None;
        let (mut endpoints, mut exclusions) = (Vec::new(), Vec::new());
        for (key, value) in table.into_inner() {
            let span = key.span();
            match (&**key.get_ref(), value.get_ref()) {
                ("product", _) => {
                    product = self.table::<ProductText>(value);
                }
                ("endpoint", DeValue::Array(items)) => {
                    endpoints.extend(items.iter().cloned());
                }
                ("exclude", DeValue::Array(items)) => {
                    exclusions.extend(items.iter().cloned());
                }
                ("endpoint" | "exclude", _) => {
                    let what =
                        format!("write [[{}]], with two brackets", key.get_ref());
                    self.refuse(Some(span), Fault::Toml(what));
                }
                (other, _) => {
                    let what = format!(
                        "unknown table `{other}`: product, endpoint or exclude"
                    );
                    self.refuse(Some(span), Fault::Toml(what));
                }
            }
        }
        for item in exclusions {
            self.exclusion(item);
        }
        // A name may come with the folder it was read from.
        let stem = std::path::Path::new(self.name).file_stem();
        let stem = stem.map_or(Cow::Borrowed(self.name), |s| s.to_string_lossy());
        let stem = stem.into_owned();
        match product {
            Some(text) => self.product(text, &stem),
            None => self.refuse(None, Fault::Toml("no [product] here".to_owned())),
        }
        for item in endpoints {
            self.endpoint(&stem, item);
        }
    }

    fn product(&mut self, text: ProductText, stem: &str) {
        let id = text.id.get_ref();
        let place = self.place(Some(text.id.span()));
        if id != stem {
            let fault = Fault::ProductId { id: id.clone(), stem: stem.to_owned() };
            self.draft.errors.push(place.error(fault));
            return;
        }
        if !is_id(id) {
            self.draft.errors.push(place.error(Fault::Name(id.clone())));
            return;
        }
        let product = Product {
            id: ProductId::new(id),
            name: text.name,
            vendor: text.vendor,
            control: text.control,
            note: text.note,
        };
        self.draft.products.push((product, place));
    }

    fn exclusion(&mut self, item: Spanned<DeValue<'_>>) {
        let Some(text) = self.table::<ExclusionText>(item) else { return };
        let place = self.place(Some(text.prefix.span()));
        match text.prefix.get_ref().parse() {
            Ok(prefix) => {
                let exclusion =
                    Exclusion { prefix, source: text.source, note: text.note };
                self.draft.exclusions.push((exclusion, place));
            }
            Err(bad) => self.draft.errors.push(place.error(Fault::Prefix(bad))),
        }
    }

    fn endpoint(&mut self, product: &str, item: Spanned<DeValue<'_>>) {
        let place = self.place(Some(item.span()));
        let Some(text) = self.table::<EndpointText>(item) else { return };
        let id = is_id(text.name.get_ref())
            .then(|| EndpointId::new(format!("{product}/{}", text.name.get_ref())));
        if id.is_none() {
            let name = text.name.get_ref().clone();
            self.refuse(Some(text.name.span()), Fault::Name(name));
        }
        let role = self.word::<Role>(&text.role);
        let weight = self.word::<Weight>(&text.weight);
        let confidence = self.word::<Confidence>(&text.confidence);
        let pattern = self.pattern(&text.kind, &text.pattern);
        let ports = self.ports(&text.ports);
        let valid = self.valid(text.valid_from.as_ref(), text.valid_to);
        let exclusive = text.exclusive.as_ref().is_some_and(|e| *e.get_ref());
        let is_prefix = text.kind.get_ref() == "prefix";
        if let Some(exclusive) = text.exclusive.filter(|_| !is_prefix) {
            self.refuse(Some(exclusive.span()), Fault::NotPrefix);
        }
        if let (Some(id), Some(role), Some(weight), Some(confidence)) =
            (id, role, weight, confidence)
            && let (Some(pattern), Some(valid)) = (pattern, valid)
        {
            let endpoint = Endpoint {
                id,
                product: ProductId::new(product),
                role,
                pattern,
                ports,
                valid,
                exclusive,
                weight,
                source: text.source,
                confidence,
                note: text.note,
            };
            self.draft.endpoints.push((endpoint, place));
        }
    }

    fn pattern(
        &mut self,
        kind: &Spanned<String>,
        text: &Spanned<String>,
    ) -> Option<Pattern> {
        let pattern = match kind.get_ref().as_str() {
            "exact" => host(text.get_ref()).map(Pattern::Exact),
            "suffix" => suffix(text.get_ref()).map(Pattern::Suffix),
            "regex" => regex(text.get_ref(), true).map(Pattern::Regex),
            "url" => regex(text.get_ref(), false).map(Pattern::Url),
            "prefix" => {
                text.get_ref().parse().map(Pattern::Prefix).map_err(Fault::Prefix)
            }
            other => {
                let what = format!(
                    "`{other}` is not one of exact, suffix, regex, url, prefix"
                );
                self.refuse(Some(kind.span()), Fault::Toml(what));
                return None;
            }
        };
        pattern.map_err(|fault| self.refuse(Some(text.span()), fault)).ok()
    }

    fn ports(&mut self, texts: &[Spanned<String>]) -> Vec<Port> {
        let mut ports = Vec::new();
        for text in texts {
            match port(text.get_ref()) {
                Some(port) => ports.push(port),
                None => {
                    self.refuse(Some(text.span()), Fault::Port(text.get_ref().clone()));
                }
            }
        }
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn valid(
        &mut self,
        from: Option<&Spanned<Day>>,
        to: Option<Day>,
    ) -> Option<DayRange> {
        let first = from.map_or(ALWAYS_FROM, |day| *day.get_ref());
        let last = to.unwrap_or(ALWAYS_TO);
        let range = DayRange::new(first, last);
        if range.is_none() {
            let fault = Fault::Validity { from: first, to: last };
            self.refuse(from.map(Spanned::span), fault);
        }
        range
    }

    fn word<W: std::str::FromStr<Err = UnknownWord>>(
        &mut self,
        text: &Spanned<String>,
    ) -> Option<W> {
        let word = text.get_ref().parse();
        word.map_err(|bad| self.refuse(Some(text.span()), Fault::Word(bad))).ok()
    }

    fn table<'i, T: Deserialize<'i>>(
        &mut self,
        value: Spanned<DeValue<'i>>,
    ) -> Option<T> {
        let around = value.span();
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|error| {
                let span = error.span().unwrap_or(around);
                self.refuse(Some(span), Fault::Toml(first_line(error.message())));
            })
            .ok()
    }

    fn refuse(&mut self, span: Option<Range<usize>>, fault: Fault) {
        let error = self.place(span).error(fault);
        self.draft.errors.push(error);
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let before = span.and_then(|span| self.text.as_bytes().get(..span.start));
        let line = before.map_or(0, |text| text.split(|b| *b == b'\n').count() - 1);
        Place { file: self.name.to_owned(), line: line + 1 }
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = |b: u8| plain(b) || b == b'-' || b == b'_';
    text.bytes().next().is_some_and(plain) && text.bytes().all(inner)
}

fn host(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::NoPattern);
    }
    canonical_host(text)
        .filter(|host| host == text && !host.starts_with('.'))
        .ok_or_else(|| Fault::Host(text.to_owned()))
}

fn suffix(text: &str) -> Result<String, Fault> {
    let host = host(text)?;
    if !host.contains('.') || PUBLIC_SUFFIXES.contains(&host.as_str()) {
        return Err(Fault::PublicSuffix(host));
    }
    Ok(host)
}

fn regex(text: &str, over_names: bool) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::NoPattern);
    }
    regex::Regex::new(text).map_err(Fault::Regex)?;
    if over_names && !text.ends_with('$') {
        return Err(Fault::OpenRegex);
    }
    Ok(text.to_owned())
}

fn port(text: &str) -> Option<Port> {
    let (number, protocol) = text.split_once('/')?;
    let protocol = match protocol {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        _ => return None,
    };
    Some(Port { number: number.parse().ok()?, protocol })
}
