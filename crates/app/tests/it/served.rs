//! `tidegauge serve`: over a socket, with and without tokens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
};

use crate::run::House;
use crate::whole_way::filled;

/// A server that ends with the test.
pub(crate) struct Served {
    child: Child,
    words: BufReader<ChildStderr>,
    pub(crate) address: String,
    /// Where clients of `PostgreSQL` are let in, if they are.
    pub(crate) door: Option<String>,
}

impl Served {
    pub(crate) fn start(house: &House, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command.current_dir(house.path(".")).env_remove("TIDEGAUGE_LAKE");
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let words = BufReader::new(child.stderr.take().unwrap());
        let mut served = Self { child, words, address: String::new(), door: None };
        // The last that it says when all is open.
        let said = served.until("serving on http");
        let last = said.last().unwrap().split("://").nth(1).unwrap();
        served.address = last.trim().trim_end_matches('/').to_owned();
        let door = said.iter().find_map(|line| line.split_once("can read at "));
        let door = door.and_then(|(_, rest)| rest.split(',').next());
        served.door = door.map(str::to_owned);
        served
    }

    /// The lines of the log up to one with these words in it.
    fn until(&mut self, words: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| !line.contains(words)) {
            let mut line = String::new();
            let read = self.words.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "no `{words}`: {lines:?}");
            lines.push(line);
        }
        lines
    }

    /// Asks for a path; status and body.
    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let stream = TcpStream::connect(&self.address).unwrap();
        self.ask(stream, path, token).unwrap()
    }

    /// Asks by HTTPS, of a server that has this certificate.
    fn get_https(
        &self,
        path: &str,
        certificate: &Path,
    ) -> std::io::Result<(u16, String)> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let config =
            ClientConfig::builder_with_provider(ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = "127.0.0.1".try_into().unwrap();
        let client = ClientConnection::new(config.into(), name).unwrap();
        let stream = TcpStream::connect(&self.address)?;
        self.ask(StreamOwned::new(client, stream), path, None)
    }

    fn ask(
        &self,
        mut stream: impl Read + Write,
        path: &str,
        token: Option<&str>,
    ) -> std::io::Result<(u16, String)> {
        let token = token
            .map_or_else(String::new, |t| format!("authorization: Bearer {t}\r\n"));
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{token}\r\n",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        Ok((status, body.to_owned()))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn other_machines_need_a_token() {
    let house = filled();
    let ended = house.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("tokens are needed"), "{}", ended.words);
    assert!(ended.words.contains("serve token NAME"), "{}", ended.words);
    let ended = house.run(&["serve", "--tokens", "none.toml"]);
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("none.toml cannot be read"), "{}", ended.words);
}

#[test]
fn https_goes_on_while_certificates_are_renewed() {
    let house = filled();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let install = |name: &str| {
        for kind in ["key", "pem"] {
            let file = std::fs::read(made.join(format!("{name}.{kind}"))).unwrap();
            house.file(&format!("own.{kind}"), file);
        }
    };
    install("first");
    let tls = ["--tls-certificate", "own.pem", "--tls-key", "own.key"];
    let mut served = Served::start(&house, &tls);
    let first = made.join("first.pem");
    let second = made.join("second.pem");
    // Says nothing, and keeps nobody waiting.
    let silent = TcpStream::connect(&served.address).unwrap();
    assert_eq!(served.get_https("/healthz", &first).unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(served.get_https("/api/v1/scope", &first).unwrap().0, 200);
    let mut plain = TcpStream::connect(&served.address).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP"), "nothing is served in the clear");

    install("second");
    assert_eq!(served.get_https("/healthz", &second).unwrap().0, 200);
    assert!(served.get_https("/healthz", &first).is_err(), "the first is gone");
    house.file("own.pem", "no certificate");
    assert_eq!(served.get_https("/healthz", &second).unwrap().0, 200);
    let said = served.until("the certificate before stays");
    assert!(said.last().unwrap().contains("own.pem"), "{said:?}");
    drop(silent);
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_once() {
    let house = filled();
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let file = |name: &str| made.join(name).to_str().unwrap().to_owned();
    let ended = |certificate: &str, key: &str| {
        let tls = ["--tls-certificate", certificate, "--tls-key", key];
        house.run(&[&["serve", "--listen", "127.0.0.1:0"][..], &tls].concat()).words
    };
    let other = ended(&file("first.pem"), &file("second.key"));
    assert!(other.contains("do not go together"), "{other}");
    let none = ended(&file("first.key"), &file("first.key"));
    assert!(none.contains("has no certificate"), "{none}");
    let absent = ended("absent.pem", &file("first.key"));
    assert!(absent.contains("absent.pem (PEM is wanted)"), "{absent}");
}

#[test]
fn a_clearance_decides_and_who_saw_what_is_internal_is_written_down() {
    let house = filled();
    let (reader, analyst) =
        (house.token("grafana", "reader"), house.token("alice", "analyst"));
    let audit = ["--tokens", "tokens.toml", "--audit", "audit.jsonl"];
    let served = Served::start(&house, &audit);
    let organisation = "/api/v1/organisations/org-3";
    assert_eq!(served.get("/", None).0, 303);
    assert_eq!(served.get(organisation, None).0, 401);
    assert_eq!(served.get(organisation, Some(&reader)).0, 403);
    assert_eq!(served.get("/api/v1/scope", Some(&reader)).0, 200);
    let (status, body) = served.get(organisation, Some(&analyst));
    assert_eq!(status, 200, "{body}");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["organisation"]["name"], "Organisation 3");
    assert_eq!(told["holdings"][0]["first"], "198.18.3.0");
    let kaspersky = |c: &&Value| c["product"] == "kaspersky";
    let contact = told["contacts"].as_array().unwrap().iter().find(kaspersky).unwrap();
    let days: u64 = contact["weeks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|week| week[1].as_u64().unwrap())
        .sum();
    assert_eq!(days, 4, "two days of April and two of November");

    let audit = std::fs::read_to_string(house.path("audit.jsonl")).unwrap();
    let events: Vec<Value> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1, "{audit}");
    assert_eq!(events[0]["name"], "alice");
    assert_eq!(events[0]["path"], organisation);
    assert!(!audit.contains(&analyst) && !audit.contains(&reader));
}

#[test]
fn analysts_see_what_the_ledger_says_as_soon_as_it_says_it() {
    let house = filled();
    house.file(
        "ours.csv",
        "name,kind,prefixes,tier\n\
         Own <office>,asset,198.18.0.0/24,1\n\
         Supplier,supplier,198.18.3.0/24,2\n\
         Elsewhere,supplier,192.0.2.0/24,\n",
    );
    let refused = house.run(&["serve", "--portfolio", "ours.csv"]);
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("--internal"), "{}", refused.words);
    let tokens = (house.token("grafana", "reader"), house.token("alice", "analyst"));
    let (reader, analyst) = (Some(&*tokens.0), Some(&*tokens.1));
    let served =
        Served::start(&house, &["--tokens", "tokens.toml", "--portfolio", "ours.csv"]);
    let (status, page) = served.get("/exposure", analyst);
    assert_eq!(status, 200);
    assert!(page.contains("Nothing is known yet") && !page.contains("Elsewhere"));
    house.done(&["exposure", "--portfolio", "ours.csv", "--product", "kaspersky"]);

    for path in ["/exposure", "/api/v1/findings", "/api/v1/exports/csv"] {
        assert_eq!(served.get(path, reader).0, 403, "{path}");
        assert_eq!(served.get(path, analyst).0, 200, "{path}");
    }
    let (_, page) = served.get("/exposure", analyst);
    assert!(page.contains("Own &lt;office&gt;</a>"), "{page}");
    assert!(page.contains("no vantage ever saw its networks"), "{page}");
    let (_, told) = served.get("/api/v1/findings", analyst);
    let told: Value = serde_json::from_str(&told).unwrap();
    let rows = told["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["state"]), (2, &"open".into()), "{told}");
    assert_eq!(rows[0]["subject"], "Own <office>", "the first tier first");
    assert_eq!(told["silent"][0]["state"], "not_visible");

    let id = rows[1]["id"].as_str().unwrap();
    let path = format!("/exposure/{id}");
    let (_, before) = served.get(&path, analyst);
    assert!(before.contains("198.18.3.0/24") && !before.contains("198.18.3.1"));
    let said = ["exposure", "say", id, "disputed", "--who", "J. Doe", "--why", "sold"];
    house.done(&said);
    let (_, after) = served.get(&path, analyst);
    assert!(after.contains("disputed since") && after.contains("J. Doe"), "{after}");

    // To the byte what the command writes.
    let out = ["exposure", "--portfolio", "ours.csv", "--product", "kaspersky"];
    house.done(&[&out[..], &["--out", "found"]].concat());
    let forms = [
        ("csv", "findings.csv"),
        ("json", "findings.json"),
        ("stix", "stix.json"),
        ("misp", "misp.json"),
        ("defectdojo", "defectdojo.json"),
        ("ecs", "ecs.ndjson"),
        ("ocsf", "ocsf.ndjson"),
    ];
    for (form, file) in forms {
        let (_, served) = served.get(&format!("/api/v1/exports/{form}"), analyst);
        let written = std::fs::read_to_string(house.path("found").join(file)).unwrap();
        assert!(served == written && !written.is_empty(), "{form}");
    }
}

#[test]
fn an_act_is_assessed_in_the_background() {
    let house = filled();
    let mut served = Served::start(&house, &["--internal", "--active-days", "1"]);
    let path = "/api/v1/policies/US-BIS-2024-updates";
    let (status, body) = served.get(path, None);
    assert_eq!(status, 200);
    assert!(body.contains("\"state\":\"working\""), "{body:.300}");
    served.until("US-BIS-2024-updates: assessed");
    let (_, body) = served.get(path, None);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["state"], "ready");
    // What the command says of the same lake.
    let asked = ["--format", "json", "assess", "--internal", "--active-days", "1"];
    let said: Value = serde_json::from_str(&house.done(&asked)).unwrap();
    assert_eq!(told["assessment"]["verdict"], said["verdict"]);
    assert_eq!(told["assessment"]["questions"], said["questions"]);
    assert!(served.get("/policies/US-BIS-2024-updates", None).1.contains("Evidence"));
}

#[test]
fn a_server_follows_a_lake_that_is_filled_meanwhile() {
    let house = filled();
    let served = Served::start(&house, &["--internal"]);
    let last = || {
        let (_, scope) = served.get("/api/v1/scope", None);
        let scope: Value = serde_json::from_str(&scope).unwrap();
        scope["days"]["last"].as_str().unwrap().to_owned()
    };
    assert_eq!(last(), "2024-11-06");
    let months = |to: &str| {
        let path = format!("/api/v1/figures/over-time?from=2024-04&to={to}");
        served.get(&path, None).0
    };
    assert_eq!((months("2024-11"), months("2024-12")), (200, 400));
    // A day on which somebody looked, and on which nobody was in contact any more.
    house.file(
        "december/conn.log",
        "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\t\
         id.resp_p\tproto\tduration\torig_bytes\tresp_bytes\thistory\torig_pkts\t\
         orig_ip_bytes\tresp_pkts\tresp_ip_bytes\n\
         1733400000.5\tC1\t198.18.3.9\t40000\t203.0.113.9\t443\ttcp\t1.0\t900\t90000\t\
         ShADadFf\t12\t1500\t70\t93000\n",
    );
    house.done(&["ingest", "december", "--vantage", "probe"]);
    assert_eq!(last(), "2024-12-05");
    assert_eq!(months("2024-12"), 200);
}

#[test]
fn what_the_catalog_does_not_have_and_what_has_no_end_is_refused() {
    let house = filled();
    let served = Served::start(&house, &["--internal"]);
    let windows = "before=2024-04&after=2024-11";
    for (path, status) in [
        ("/explore?product=nope", 400),
        ("/api/v1/figures/removal?product=nope", 400),
        (&*format!("/api/v1/assess?product=nope&{windows}"), 422),
        ("/api/v1/census?product=nope", 422),
        ("/api/v1/census?from=0001-01&to=9999-12", 422),
        (
            "/api/v1/assess?product=kaspersky&before=0001-01-01..2024-06-30&\
             after=2024-07-01..4047-12-29",
            422,
        ),
        ("/api/v1/census?from=2020-01&to=2026-12", 200),
    ] {
        let (told, body) = served.get(path, None);
        assert_eq!(told, status, "{path}: {body:.300}");
    }
}
