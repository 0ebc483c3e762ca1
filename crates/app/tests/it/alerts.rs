//! `tidegauge watch`, to a mail server that speaks over a socket.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::run::House;
use crate::whole_way::{count, filled};

/// What a mail server was told, line by line.
type Told = Vec<String>;

/// A mail server for one mail at this address, that answers the recipient so.
fn mail_server(at: &str, recipient: &'static str) -> (String, JoinHandle<Told>) {
    let listener = TcpListener::bind((at, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || speak(&listener.accept().unwrap().0, recipient);
    (address, std::thread::spawn(serve))
}

/// This machine, with which mail may be spoken of in the clear.
const HERE: &str = "127.0.0.1";
/// An address that is none of those which the rules know as this machine.
const ELSEWHERE: &str = "127.0.0.2";

/// RFC 5321, as far as one mail needs it.
fn speak(stream: &TcpStream, recipient: &str) -> Told {
    let mut out = stream;
    let mut say = |line: &str| write!(out, "{line}\r\n").unwrap();
    let mut told = Told::new();
    say("220 mail.example ESMTP");
    let mut in_data = false;
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        told.push(line.clone());
        match line.split([' ', ':']).next().unwrap() {
            "." if in_data => {
                in_data = false;
                say("250 queued");
            }
            _ if in_data => {}
            "EHLO" => say("250-mail.example\r\n250 AUTH PLAIN"),
            "AUTH" => say("235 welcome"),
            "RCPT" => say(recipient),
            "DATA" => {
                in_data = true;
                say("354 go on");
            }
            "QUIT" => {
                say("221 bye");
                break;
            }
            _ => say("250 ok"),
        }
    }
    told
}

/// A house with two findings, and rules that mail them to a server.
fn house(address: &str) -> House {
    let house = filled();
    house.file(
        "ours.csv",
        "name,prefixes\nStayer,198.18.0.0/24\nLeaver,198.18.41.0/24\n",
    );
    house.file(
        "rules.toml",
        format!(
            "schema_version = 1\n\
             [[channel]]\nname = \"post\"\nkind = \"mail\"\nfrom = \"gauge@example.org\"\n\
             to = [\"soc@example.org\"]\nserver = \"smtp://{address}\"\n\
             login_env = \"TIDEGAUGE_TEST_LOGIN\"\n\
             [[rule]]\nname = \"all\"\non = [\"new\"]\nchannels = [\"post\"]\ndigest = true\n"
        ),
    );
    house.done(&["exposure", "--portfolio", "ours.csv", "--product", "kaspersky"]);
    house
}

const WATCH: &[&str] = &["--format", "json", "watch", "--rules", "rules.toml"];
const LOGIN: (&str, &str) = ("TIDEGAUGE_TEST_LOGIN", "gauge:se:cret");

#[test]
fn a_mail_is_given_to_its_server_once() {
    let (address, server) = mail_server(HERE, "250 ok");
    let house = house(&address);
    let without = house.run(WATCH);
    assert_eq!(without.code, 2, "{}", without.words);
    assert!(without.words.contains("no TIDEGAUGE_TEST_LOGIN"), "{}", without.words);
    let ended = house.run_with(WATCH, &[LOGIN]);
    assert_eq!(ended.code, 0, "{}", ended.words);
    let told = server.join().unwrap();
    let login = STANDARD.encode("\0gauge\0se:cret");
    for line in [
        &format!("AUTH PLAIN {login}"),
        "MAIL FROM:<gauge@example.org>",
        "RCPT TO:<soc@example.org>",
        "To: soc@example.org",
    ] {
        assert!(told.iter().any(|said| said == line), "{line}: {told:?}");
    }
    let from = told.iter().position(String::is_empty).unwrap();
    let body: String = told[from..]
        .iter()
        .take_while(|line| *line != ".")
        .map(String::as_str)
        .collect();
    let body = String::from_utf8(STANDARD.decode(body).unwrap()).unwrap();
    assert!(body.contains("Stayer") && body.contains("Leaver"), "{body}");
    assert!(!ended.words.contains("se:cret"), "{}", ended.words);
    // Nobody listens any more, and nothing is left to be told.
    let again = house.run_with(WATCH, &[LOGIN]);
    assert_eq!(again.code, 0, "{}", again.words);
}

#[test]
fn a_mail_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = house(&listener.local_addr().unwrap().to_string());
    let ended = house.run_with(WATCH, &[LOGIN]);
    assert_eq!(ended.code, 3, "{}", ended.words);
    assert!(ended.words.contains("no answer in 15 s"), "{}", ended.words);
    assert!(ended.out.contains("to be tried again"), "{}", ended.out);
}

#[test]
fn what_a_mail_server_refuses_for_good_is_not_tried_again() {
    let (address, server) = mail_server(HERE, "550 nobody of that name");
    let house = house(&address);
    let ended = house.run_with(WATCH, &[LOGIN]);
    assert_eq!(ended.code, 3, "{}", ended.words);
    assert!(ended.words.contains("550"), "{}", ended.words);
    assert!(!server.join().unwrap().contains(&"DATA".to_owned()));
    let rows: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(count(rows, ("what", "refused"), "count"), 1);
}

#[test]
fn neither_a_login_nor_a_mail_goes_to_a_server_without_tls() {
    let (address, server) = mail_server(ELSEWHERE, "250 ok");
    let house = house(&address);
    let ended = house.run_with(WATCH, &[LOGIN]);
    assert_eq!(ended.code, 3, "{}", ended.words);
    assert!(ended.words.contains("STARTTLS"), "{}", ended.words);
    assert!(ended.out.contains("to be tried again"), "{}", ended.out);
    let told = server.join().unwrap();
    assert!(told.iter().any(|said| said.starts_with("EHLO")), "{told:?}");
    for said in &told {
        assert!(!said.starts_with("AUTH") && !said.starts_with("MAIL"), "{told:?}");
    }
}
