//! A small office inside address translation, as Zeek would log it: a few days of
//! April and of November.
//!
//! The encoder knows the format from Zeek's documentation of its logs; it shares nothing
//! with any decoder.
//!
//! **Invariant:** every name in `ssl`, `http` and `dns` has its `conn` line with the same
//! `uid`; clients are private.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rand_pcg::Pcg64Mcg;
use tidegauge_model::Address;

use crate::calendar::{self, YearDay};
use crate::chance::{self, Purpose, below, unit};
use crate::country::COUNTRIES;
use crate::server::{Kind, Server, Servers};
use crate::sight::Sight;
use crate::world::World;
use crate::{Error, Params};

/// The vantage's name.
pub(crate) const ID: &str = "office";
/// Machines in the office.
const CLIENTS: u32 = 40;
/// Private /24 of the machines.
const NETWORK: &str = "10.20.1";
/// The office's resolver, inside as well.
const RESOLVER: &str = "10.20.0.53";

/// Where the office is.
const COUNTRY: &str = "NL";
/// Its machines with the product in April, and what is left of them in November where all
/// of a fall is people leaving (ours).
const WITH_PRODUCT: [f64; 2] = [14.0, 6.0];

/// A stretch of logs: folder, days, machines with the product.
struct Stretch {
    folder: &'static str,
    days: std::ops::Range<YearDay>,
    with_product: u32,
}

/// The logs of a world.
fn stretches(params: &Params) -> [Stretch; 2] {
    let [april, november] = WITH_PRODUCT;
    let cause = &params.cause;
    let left = (november / april).powf(cause.removal) * (1.0 - cause.churn);
    let with_product = chance::whole(april * left);
    [
        Stretch {
            folder: "2024-04",
            days: 99..102,
            with_product: chance::whole(april),
        },
        Stretch { folder: "2024-11", days: 316..319, with_product },
    ]
}

/// Writes the logs under `folder` and returns the files.
pub(crate) fn write(world: &World, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for stretch in &stretches(&world.params) {
        let folder = folder.join(stretch.folder);
        fs::create_dir_all(&folder)
            .map_err(|source| Error::Write { path: folder.clone(), source })?;
        for (name, text) in Logs::draw(world, stretch).files(stretch) {
            let path = folder.join(name);
            save(&path, &text)
                .map_err(|source| Error::Write { path: path.clone(), source })?;
            files.push(path);
        }
    }
    Ok(files)
}

/// Saves a log, compressed if its name says so.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    if path.extension().is_some_and(|e| e == "gz") {
        let file = fs::File::create(path)?;
        let mut gzip =
            flate2::write::GzEncoder::new(file, flate2::Compression::default());
        gzip.write_all(text.as_bytes())?;
        gzip.finish()?.flush()
    } else {
        fs::write(path, text)
    }
}

/// Lines with their time in microseconds.
type Lines = Vec<(i64, String)>;

#[derive(Default)]
struct Logs {
    conn: Lines,
    dns: Lines,
    ssl: Lines,
    http: Lines,
    connections: u64,
}

/// Which hosts of the product have moved.
struct Hosts<'a> {
    sight: Option<&'a Sight>,
    moves: Pcg64Mcg,
}

impl Hosts<'_> {
    fn now(&mut self, kind: Kind, day: YearDay) -> Kind {
        let known = self.sight.map_or(1.0, |s| s.known(day));
        let moved =
            kind == Kind::Update && known < 1.0 && unit(&mut self.moves) >= known;
        if moved { Kind::Moved } else { kind }
    }
}

/// Both ends of a connection and its name in the logs.
struct Connection {
    at: i64,
    uid: String,
    ends: String,
}

impl Logs {
    fn draw(world: &World, stretch: &Stretch) -> Self {
        let mut logs = Self::default();
        let office =
            |s: &&crate::calibrate::Stratum| COUNTRIES[s.country].code == COUNTRY;
        let sight = world.calibration.strata.iter().find(office).map(|s| &*s.sight);
        let seed = world.params.seed;
        for day in stretch.days.clone() {
            for client in 0..CLIENTS {
                let purpose = Purpose::Site;
                let rng = chance::stream(seed, purpose, client.into(), day.into());
                let product = client < stretch.with_product;
                let moves =
                    chance::stream(seed, Purpose::Names, client.into(), day.into());
                let hosts = Hosts { sight, moves };
                logs.client_day(rng, &world.servers, (client, day), product, hosts);
            }
        }
        logs
    }

    fn client_day(
        &mut self,
        mut rng: Pcg64Mcg,
        servers: &Servers,
        (client, day): (u32, YearDay),
        product: bool,
        mut hosts: Hosts<'_>,
    ) {
        let rng = &mut rng;
        let mut kinds = vec![Kind::Windows, Kind::Control, Kind::Other];
        if product {
            // Every two hours of a working day.
            kinds.extend([Kind::Update; 5]);
        }
        for (turn, kind) in (0u32..).zip(kinds) {
            let kind = hosts.now(kind, day);
            let range = servers.range(kind);
            let width = u32::from(range.end - range.start);
            let place = u32::from(range.start) + below(rng, width);
            let minute = 7 * 60 + (turn * 120 + below(rng, 60)) % 660;
            let micros =
                i64::from(minute) * 60_000_000 + i64::from(below(rng, 60_000_000));
            let at = calendar::day(day).start().0 + micros;
            self.visit(rng, &servers.all()[place as usize], client, at);
        }
    }

    /// Look-up, connection, and what was said in it.
    fn visit(&mut self, rng: &mut Pcg64Mcg, server: &Server, client: u32, at: i64) {
        let address = Address::from_bits(server.address);
        if let Some(name) = &server.name {
            self.look_up(rng, client, at - 40_000, name, address);
        }
        let responder = format!("{address}\t{}", server.port);
        let connection = self.connection(rng, client, at, &responder);
        let served = 3_000 + below(rng, 400_000);
        let seconds = 0.2 + 3.0 * unit(rng);
        let sent = 900 + below(rng, 700);
        let (out, back) = (8 + served / 2_900, 6 + served / 1_400);
        let service = if server.port == 443 { "ssl" } else { "http" };
        let line = format!(
            "{}\t{}\t{}\ttcp\t{service}\t{seconds:.6}\t{sent}\t{served}\tSF\tT\tF\t0\tShADadFf\t{out}\t{}\t{back}\t{}\t-",
            stamp(at),
            connection.uid,
            connection.ends,
            sent + 40 * out,
            served + 40 * back,
        );
        self.conn.push((at, line));
        match (&server.name, server.port) {
            (Some(name), 443) => self.ssl(&connection, name),
            (Some(name), _) => self.http(&connection, name, served),
            (None, _) => {}
        }
    }

    fn connection(
        &mut self,
        rng: &mut Pcg64Mcg,
        client: u32,
        at: i64,
        responder: &str,
    ) -> Connection {
        self.connections += 1;
        let port = 49_152 + below(rng, 16_000);
        // As Zeek: C, then letters and digits of a unique number.
        let uid =
            format!("C{}", base62(chance::mix(self.connections ^ at.unsigned_abs())));
        let ends = format!("{NETWORK}.{}\t{port}\t{responder}", 10 + client);
        Connection { at, uid, ends }
    }

    fn look_up(
        &mut self,
        rng: &mut Pcg64Mcg,
        client: u32,
        at: i64,
        name: &str,
        address: Address,
    ) {
        let connection = self.connection(rng, client, at, &format!("{RESOLVER}\t53"));
        let Connection { uid, ends, .. } = &connection;
        let (time, id) = (stamp(at), below(rng, 65_536));
        self.conn.push((
            at,
            format!(
                "{time}\t{uid}\t{ends}\tudp\tdns\t0.002000\t45\t61\tSF\tT\tT\t0\tDd\t1\t73\t1\t89\t-"
            ),
        ));
        self.dns.push((
            at,
            format!(
                "{time}\t{uid}\t{ends}\tudp\t{id}\t0.002000\t{name}\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t{address}\t300.000000\tF"
            ),
        ));
    }

    fn ssl(&mut self, connection: &Connection, name: &str) {
        let at = connection.at + 20_000;
        let line = format!(
            "{}\t{}\t{}\tTLSv13\tTLS_AES_256_GCM_SHA384\tx25519\t{name}\tF\t-\th2\tT",
            stamp(at),
            connection.uid,
            connection.ends,
        );
        self.ssl.push((at, line));
    }

    fn http(&mut self, connection: &Connection, name: &str, length: u32) {
        let at = connection.at + 20_000;
        let line = format!(
            "{}\t{}\t{}\t1\tGET\t{name}\t/index.xml\t-\t1.1\t-\t-\t0\t{length}\t200\tOK",
            stamp(at),
            connection.uid,
            connection.ends,
        );
        self.http.push((at, line));
    }

    fn files(self, stretch: &Stretch) -> [(&'static str, String); 4] {
        let text =
            |path, fields, types, lines| log(path, fields, types, lines, &stretch.days);
        [
            ("conn.log", text("conn", CONN.0, CONN.1, self.conn)),
            ("dns.log", text("dns", DNS.0, DNS.1, self.dns)),
            ("ssl.log", text("ssl", SSL.0, SSL.1, self.ssl)),
            ("http.log.gz", text("http", HTTP.0, HTTP.1, self.http)),
        ]
    }
}

const CONN: (&str, &str) = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
    "time string addr port addr port enum string interval count count string bool bool count string count count count count set[string]",
);
const DNS: (&str, &str) = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected",
    "time string addr port addr port enum count interval string count string count string count string bool bool bool bool count vector[string] vector[interval] bool",
);
const SSL: (&str, &str) = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version cipher curve server_name resumed last_alert next_protocol established",
    "time string addr port addr port string string string string bool string string bool",
);
const HTTP: (&str, &str) = (
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri referrer version user_agent origin request_body_len response_body_len status_code status_msg",
    "time string addr port addr port count string string string string string string string count count count string",
);

fn log(
    path: &str,
    fields: &str,
    types: &str,
    mut lines: Lines,
    days: &std::ops::Range<YearDay>,
) -> String {
    lines.sort();
    let date = |day| format!("{}-00-00-00", calendar::day(day));
    let mut text = String::from(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n",
    );
    let tabs = |words: &str| words.replace(' ', "\t");
    let heading = write!(
        text,
        "#path\t{path}\n#open\t{}\n#fields\t{}\n#types\t{}\n",
        date(days.start),
        tabs(fields),
        tabs(types)
    );
    heading.expect("writing to memory");
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    writeln!(text, "#close\t{}", date(days.end)).expect("writing to memory");
    text
}

fn stamp(micros: i64) -> String {
    format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

fn base62(mut number: u64) -> String {
    const DIGITS: &[u8; 62] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::new();
    while number > 0 {
        let digit = usize::try_from(number % 62).expect("below 62");
        text.push(char::from(DIGITS[digit]));
        number /= 62;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> World {
        World::new(&Params { organisations: 0.001, ..Params::default() }).unwrap()
    }

    #[test]
    fn the_office_keeps_the_product_where_nobody_leaves() {
        let with = |story| stretches(&Params::of(story)).map(|s| s.with_product);
        assert_eq!(with(crate::Story::A), [14, 6]);
        assert_eq!(with(crate::Story::E), [14, 14]);
        assert_eq!(with(crate::Story::F), [14, 9]);
    }

    #[test]
    fn every_line_has_the_fields_that_its_header_names() {
        let world = small();
        for stretch in &stretches(&world.params) {
            let logs = Logs::draw(&world, stretch);
            for (name, text) in logs.files(stretch) {
                let fields = text.lines().find(|l| l.starts_with("#fields")).unwrap();
                let types = text.lines().find(|l| l.starts_with("#types")).unwrap();
                let width = fields.split('\t').count();
                assert_eq!(types.split('\t').count(), width, "{name}");
                let lines: Vec<_> =
                    text.lines().filter(|l| !l.starts_with('#')).collect();
                assert!(lines.len() > 50, "{name}: {}", lines.len());
                for line in lines {
                    assert_eq!(line.split('\t').count(), width - 1, "{name}: {line}");
                }
            }
        }
    }

    #[test]
    fn names_can_be_joined_by_uid() {
        let world = small();
        let logs = Logs::draw(&world, &stretches(&world.params)[0]);
        let uid = |line: &str| line.split('\t').nth(1).unwrap().to_owned();
        let known: std::collections::BTreeSet<_> =
            logs.conn.iter().map(|(_, l)| uid(l)).collect();
        assert_eq!(known.len(), logs.conn.len());
        for (_, line) in logs.ssl.iter().chain(&logs.dns).chain(&logs.http) {
            assert!(known.contains(&uid(line)), "{line}");
        }
    }
}
