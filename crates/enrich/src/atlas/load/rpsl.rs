//! What the registries hold of ranges, AS, organisations and routes: dumps of their
//! databases in RPSL (RFC 2622, 2), whole or split by class.
//!
//! **Invariant:** an object is one observation (an `aut-num` two: its name and whose it is),
//! or one loss, or of a class that says nothing here (persons, maintainers, sets), or one
//! of the placeholders that cover what another registry gave away; those are counted by
//! themselves. Where objects overlap, the narrower wins when the atlas is built.
//!
//! Comments (`#`) are cut off, but not from names, which hold that sign now and then.
//! Lines that are not UTF-8 are read as Windows-1252: RIPE dumps ISO 8859-1, others what
//! their members wrote.
//!
//! What is left out: people, addresses, policies, history. The name of a network is never
//! read for what kind of network it is.

use std::borrow::Cow;
use std::io::BufRead;
use std::net::Ipv4Addr;

use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Country, Prefix, Reason};

use super::{Out, Said, range, value};
use crate::atlas::AtlasError;
use crate::atlas::row::{Next, Row, Rows};

/// Bytes of what is kept of an object at most; picked by hand, so that an object without
/// end cannot fill the memory.
const OBJECT_BYTES_MAX: usize = 64 * 1024;

/// Attributes that are kept, and whether `#` begins a comment in them.
const KEPT: [(&str, bool); 15] = [
    ("inetnum", true),
    ("inet6num", true),
    ("organisation", true),
    ("aut-num", true),
    ("route", true),
    ("route6", true),
    ("netname", true),
    ("as-name", true),
    ("org-name", false),
    ("descr", false),
    ("owner", false),
    ("ownerid", true),
    ("org", true),
    ("origin", true),
    ("status", true),
];
/// Kept in every class, for all.
const COUNTRY: &str = "country";
const SOURCE: &str = "source";

/// Names of networks that stand for what a registry did not give away itself.
const PLACEHOLDERS: [&str; 8] = [
    "NON-RIPE-NCC-MANAGED-ADDRESS-BLOCK",
    "IANA-BLK",
    "IANA-BLOCK",
    "IANA-RSVD",
    "IANA-RESERVED",
    "ERX-NETBLOCK",
    "ROOT",
    "NON-ALLOCATED",
];
/// Parts of such names.
const PLACEHOLDER_PARTS: [&str; 4] =
    ["IANA-NETBLOCK", "-CIDR-BLOCK", "NOT-MANAGED-BY", "STUB-"];

/// Reads a dump.
pub(super) fn file(input: impl BufRead, out: &mut Out<'_>) -> Result<(), AtlasError> {
    let mut rows = Rows::western(input);
    let mut object = Object::default();
    loop {
        let next = rows.next().map_err(|error| AtlasError::Read {
            table: out.source.clone(),
            line: rows.line() + 1,
            error,
        })?;
        match next {
            Next::Row(row) => object.add(&row),
            Next::Lost(row, reason) => object.spoil(&row, reason),
            Next::Blank => object.close(out),
            Next::End => {
                object.close(out);
                return Ok(());
            }
        }
    }
}

/// An object as far as it was read.
#[derive(Default)]
struct Object {
    /// Where it began: byte and line.
    here: Option<(u64, u64)>,
    /// Class and key: the first attribute, whatever it is.
    class: String,
    attributes: Vec<(&'static str, String)>,
    /// Whether the attribute that a continuation would belong to is kept.
    keeping: bool,
    bytes: usize,
    trouble: Option<Reason>,
}

impl Object {
    fn add(&mut self, row: &Row) {
        let text = row.text();
        if text.starts_with(['#', '%']) {
            return;
        }
        if self.here.is_none() {
            self.here = Some((row.offset, row.line));
        }
        if let Some(more) = text.strip_prefix([' ', '\t', '+']) {
            self.continued(more);
            return;
        }
        let Some((name, text)) = text.split_once(':') else {
            self.trouble.get_or_insert(Reason::Syntax);
            return;
        };
        let name = name.trim().to_ascii_lowercase();
        if self.class.is_empty() {
            self.class.clone_from(&name);
        }
        let kept = kept(&name);
        self.keeping = kept.is_some();
        if let Some(name) = kept {
            let text = without_comment(name, text).trim().to_owned();
            self.grow(name.len() + text.len());
            self.attributes.push((name, text));
        }
    }

    fn continued(&mut self, more: &str) {
        if self.class.is_empty() {
            self.trouble.get_or_insert(Reason::Syntax);
        }
        let Some((name, text)) = self.attributes.last_mut().filter(|_| self.keeping)
        else {
            return;
        };
        let more = without_comment(name, more).trim();
        if !more.is_empty() {
            text.push(' ');
            text.push_str(more);
        }
        let grown = more.len() + 1;
        self.grow(grown);
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > OBJECT_BYTES_MAX {
            self.attributes.clear();
            self.trouble.get_or_insert(Reason::Limit);
        }
    }

    /// A line of it cannot be read.
    fn spoil(&mut self, row: &Row, reason: Reason) {
        self.here.get_or_insert((row.offset, row.line));
        self.trouble.get_or_insert(reason);
    }

    /// The object has ended: makes something of it, and begins the next.
    fn close(&mut self, out: &mut Out<'_>) {
        let object = std::mem::take(self);
        let Some((offset, line)) = object.here else { return };
        out.here = (offset, Some(line));
        match object.trouble {
            // What is wrong with a person or a set costs nothing.
            Some(_) if !object.class.is_empty() && kept(&object.class).is_none() => {
                out.loaded.passed += 1;
            }
            Some(reason) => out.lose_here(reason, 1),
            None if object.placeholder() => out.loaded.placeholders += 1,
            None => out.take(|out| object.read(out)),
        }
    }

    /// The first that is not empty.
    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(other, text)| *other == name && !text.is_empty())
            .map(|(_, text)| text.as_str())
    }

    fn read(&self, out: &mut Out<'_>) -> Result<(), Reason> {
        let key = self.attributes.first().map_or("", |(_, text)| text.as_str());
        match self.class.as_str() {
            "inetnum" | "inet6num" => out.say(self.of_range(key)?),
            "organisation" => out.say(self.organisation(key)?),
            "aut-num" => self.of_as(key)?.into_iter().for_each(|said| out.say(said)),
            "route" | "route6" => out.say(self.route(key)?),
            _ => {}
        }
        Ok(())
    }

    /// Whether it covers what others gave away: by its name, or because it is everything.
    fn placeholder(&self) -> bool {
        if !matches!(self.class.as_str(), "inetnum" | "inet6num") {
            return false;
        }
        let name = self.get("netname").unwrap_or_default().to_ascii_uppercase();
        let key = self.attributes.first().map_or("", |(_, key)| key.as_str());
        let everything = block_of(key).is_ok_and(|(first, last)| {
            let ends = (first.bits(), last.bits());
            let v4 = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
            let v4 = (Address::from(v4.0).bits(), Address::from(v4.1).bits());
            ends == (0, u128::MAX) || ends == v4
        });
        everything
            || PLACEHOLDERS.contains(&name.as_str())
            || PLACEHOLDER_PARTS.iter().any(|part| name.contains(part))
    }

    fn of_range(&self, key: &str) -> Result<Said, Reason> {
        let (first, last) = block_of(key)?;
        if first.is_v4() != (self.class == "inetnum") {
            return Err(Reason::Value);
        }
        Ok(self
            .registered(Said::of_range(Field::Registration, first, last))?
            .with("net", self.get("netname").unwrap_or_default())
            .with("status", &self.get("status").unwrap_or_default().to_uppercase()))
    }

    fn of_as(&self, key: &str) -> Result<Vec<Said>, Reason> {
        let asn: Asn = value(key)?;
        let name = self.get("as-name").unwrap_or_default();
        let mut named = Said::of_as(Field::AsName, asn).value(name);
        if let Some(country) = self.country()? {
            named = named.with("country", country.as_str());
        }
        let registered = self.registered(Said::of_as(Field::Registration, asn))?;
        Ok(vec![named, registered])
    }

    /// Whose it is: handle and registry, name and country as far as they stand here.
    fn registered(&self, said: Said) -> Result<Said, Reason> {
        let handle = self.get("org").or(self.get("ownerid")).unwrap_or_default();
        let name = self.get("owner").or(self.get("descr")).unwrap_or_default();
        let said = said.value(&handle.to_uppercase()).with("name", name);
        let said = said.with("registry", &self.registry());
        Ok(match self.country()? {
            Some(country) => said.with("country", country.as_str()),
            None => said,
        })
    }

    fn organisation(&self, key: &str) -> Result<Said, Reason> {
        if key.is_empty() {
            return Err(Reason::Value);
        }
        let said = Said::of_nothing(Field::Organisation)
            .value(&key.to_uppercase())
            .with("name", self.get("org-name").unwrap_or_default())
            .with("registry", &self.registry());
        Ok(match self.country()? {
            Some(country) => said.with("country", country.as_str()),
            None => said,
        })
    }

    fn route(&self, key: &str) -> Result<Said, Reason> {
        let prefix: Prefix = value(key)?;
        let origin: Asn = value(self.get("origin").ok_or(Reason::ColumnMissing)?)?;
        if prefix.first().is_v4() != (self.class == "route") {
            return Err(Reason::Value);
        }
        Ok(Said::of_range(Field::Route, prefix.first(), prefix.last())
            .by_as(origin)
            .with("registry", &self.registry()))
    }

    fn registry(&self) -> String {
        self.get(SOURCE).unwrap_or_default().to_uppercase()
    }

    /// The first country that is one: `EU` and `AP` are regions, `ZZ` is nowhere.
    fn country(&self) -> Result<Option<Country>, Reason> {
        let Some(text) = self.get(COUNTRY) else { return Ok(None) };
        let country: Country = value(text)?;
        Ok(Some(country).filter(|c| !matches!(c.as_str(), "EU" | "AP" | "ZZ")))
    }
}

/// The name as it is kept.
fn kept(name: &str) -> Option<&'static str> {
    let named = KEPT.iter().map(|(kept, _)| *kept).chain([COUNTRY, SOURCE]);
    named.into_iter().find(|kept| *kept == name)
}

fn without_comment<'a>(name: &str, text: &'a str) -> &'a str {
    let free = KEPT.iter().any(|(kept, comments)| *kept == name && !comments);
    if free { text } else { text.split('#').next().unwrap_or_default() }
}

/// `192.0.2.0 - 192.0.2.255`, `2001:db8::/32`, or as LACNIC shortens it, `200.0/16`.
fn block_of(key: &str) -> Result<(Address, Address), Reason> {
    if let Some((first, last)) = key.split_once('-') {
        return range(first, last);
    }
    let prefix: Prefix = value(&whole(key))?;
    Ok((prefix.first(), prefix.last()))
}

/// A prefix of IPv4 with all four parts.
fn whole(key: &str) -> Cow<'_, str> {
    let Some((base, length)) = key.split_once('/') else { return Cow::Borrowed(key) };
    let parts = base.trim().split('.').count();
    if base.contains(':') || parts >= 4 {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("{}{}/{}", base.trim(), ".0".repeat(4 - parts), length.trim()))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use tidegauge_model::{Day, Loss, Observation};

    use super::super::{Loaded, SourceKind, load};
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Observation>, Vec<Loss>, Loaded) {
        let (mut observations, mut losses) = (Vec::new(), Vec::new());
        let loaded = load(
            &SourceKind::Rpsl,
            &"rpsl".into(),
            Day(20_000),
            bytes,
            |o| observations.push(o),
            |l| losses.push(l),
        );
        (observations, losses, loaded.unwrap())
    }

    fn detail<'a>(observation: &'a Observation, key: &str) -> &'a str {
        observation.detail.get(key).map_or("", String::as_str)
    }

    #[test]
    fn ranges_are_read_with_holder_status_and_registry() {
        let text = b"#\n# a dump\n#\n\n\
            inetnum:        192.0.2.0 - 192.0.2.255   # documentation\n\
            netname:        EXAMPLE-NET\n\
            descr:          M\xfcller & S\xf6hne\n\
            \t              GmbH #1\n\
            +\n\
            descr:          Second line\n\
            country:        DE # and others\n\
            country:        FR\n\
            org:            org-ex1-ripe\n\
            remarks:        inetnum: 10.0.0.0 - 10.255.255.255\n\
            status:         assigned pi\n\
            source:         RIPE # Filtered\n\n\
            inet6num:       2001:db8::/32\n\
            netname:        EXAMPLE-V6\n\
            descr:          M\xc3\xbcller\n\
            country:        EU\n\
            status:         ALLOCATED-BY-RIR\n\
            source:         AFRINIC\n\n\n\
            inetnum:        198.51/16\n\
            status:         allocated\n\
            owner:          Ejemplo S.A.\n\
            ownerid:        AR-EJSA-LACNIC\n\
            source:         LACNIC\n";
        let (observations, losses, loaded) = read(text);
        assert_eq!((losses, loaded.passed), (vec![], 0));
        let [pi, v6, lacnic] = observations.as_slice() else {
            panic!("{observations:?}")
        };
        assert_eq!(pi.value, "ORG-EX1-RIPE");
        assert_eq!(pi.range.unwrap().1.to_string(), "192.0.2.255");
        assert_eq!(detail(pi, "name"), "Müller & Söhne GmbH #1");
        assert_eq!(detail(pi, "country"), "DE");
        assert_eq!(detail(pi, "status"), "ASSIGNED PI");
        assert_eq!(detail(pi, "registry"), "RIPE");
        assert_eq!(detail(pi, "net"), "EXAMPLE-NET");
        assert_eq!((detail(v6, "name"), detail(v6, "country")), ("Müller", ""));
        assert_eq!(v6.value, "", "nobody is named");
        let (first, last) = lacnic.range.unwrap();
        let range = (first.to_string(), last.to_string());
        assert_eq!(range, ("198.51.0.0".to_owned(), "198.51.255.255".to_owned()));
        assert_eq!(
            (lacnic.value.as_str(), detail(lacnic, "name")),
            ("AR-EJSA-LACNIC", "Ejemplo S.A.")
        );
    }

    #[test]
    fn organisations_numbers_and_routes_are_read() {
        let text = "organisation: ORG-EX1-RIPE\norg-name: C# House Ltd\ncountry: GB\n\
            org-type: LIR\naddress: somewhere\nsource: RIPE\n\n\
            aut-num: AS64496\nas-name: EXAMPLE-AS\norg: ORG-EX1-RIPE\n\
            import: from AS1 accept ANY\nsource: RIPE\n\n\
            route: 192.0.2.0/24\norigin: AS64496 # us\nsource: RIPE-NONAUTH\n\n\
            route6: 2001:db8::/32\ndescr: x\norigin: AS64497\nsource: RIPE\n\n\
            person: Somebody\nnic-hdl: X1-RIPE\nno colon here\nsource: RIPE\n\n\
            as-set: AS-EXAMPLE\nmembers: AS1,\n AS2\nsource: RIPE";
        let (observations, losses, loaded) = read(text.as_bytes());
        let said: Vec<_> = observations
            .iter()
            .map(|o| (o.field, o.asn.map_or(0, |a| a.0), o.value.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (Field::Organisation, 0, "ORG-EX1-RIPE"),
                (Field::AsName, 64_496, "EXAMPLE-AS"),
                (Field::Registration, 64_496, "ORG-EX1-RIPE"),
                (Field::Route, 64_496, ""),
                (Field::Route, 64_497, ""),
            ]
        );
        assert_eq!(detail(&observations[0], "name"), "C# House Ltd");
        assert_eq!(detail(&observations[3], "registry"), "RIPE-NONAUTH");
        assert_eq!((losses, loaded.passed), (vec![], 2), "a person and a set");
    }

    #[test]
    fn placeholders_are_counted_and_say_nothing() {
        let text = "inetnum: 0.0.0.0 - 255.255.255.255\nnetname: WHOLE\nsource: RIPE\n\n\
            inet6num: ::/0\nnetname: ALL6\nsource: RIPE\n\n\
            inetnum: 6.0.0.0 - 13.115.255.255\n\
            netname: NON-RIPE-NCC-MANAGED-ADDRESS-BLOCK\nsource: RIPE\n\n\
            inetnum: 24.132.0.0 - 24.132.255.255\nnetname: iana-netblock-24\n\
            source: APNIC\n\n\
            inet6num: ::/48\nnetname: SMALL\nsource: RIPE\n";
        let (observations, losses, loaded) = read(text.as_bytes());
        assert_eq!((observations.len(), losses.len()), (1, 0));
        assert_eq!(loaded.placeholders, 4);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_one_loss_at_its_first_line() {
        let text = format!(
            "inetnum: 192.0.2.255 - 192.0.2.0\nsource: RIPE\n\n\
             inetnum: 192.0.2.0 - 192.0.2.255\nno colon\nanother\n\n\
             inet6num: 192.0.2.0/24\n\nroute: 192.0.2.0/24\nsource: X\n\n\
             route: 192.0.2.1/24\norigin: AS1\n\n aut-num: AS1\n\n\
             aut-num: AS-X\n\ninetnum: 192.0.2.0 - 192.0.2.255\ncountry: XXX\n\n\
             aut-num: AS5\ndescr: {}\n{}",
            "y".repeat(50_000),
            "+zzzzzzzzz\n".repeat(4_000)
        );
        let (observations, losses, loaded) = read(text.as_bytes());
        let lost: Vec<_> = losses.iter().map(|l| (l.line.unwrap(), l.reason)).collect();
        assert_eq!(
            lost,
            [
                (1, Reason::Value),
                (4, Reason::Syntax),
                (8, Reason::Value),
                (10, Reason::ColumnMissing),
                (13, Reason::Value),
                (16, Reason::Syntax),
                (18, Reason::Value),
                (20, Reason::Value),
                (23, Reason::Limit),
            ]
        );
        assert_eq!((observations.len(), loaded.passed), (0, 0));
    }
}
