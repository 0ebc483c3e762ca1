//! Inputs that are not plain files: archives, compressed in every way, and object stores.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::run::House;

/// One connection to a watched server that needs no name.
const CONN: &str = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tproto\tduration\torig_pkts\torig_ip_bytes\t\
                    resp_pkts\tresp_ip_bytes\n\
                    1712059200.5\tC1\t198.18.1.9\t40000\t77.74.176.9\t443\ttcp\t1.0\t12\t1500\t\
                    70\t93000\n";

fn second() -> String {
    CONN.replace("198.18.1.9", "198.18.2.9").replace("\tC1\t", "\tC2\t")
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len()).unwrap());
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn count(rows: &[serde_json::Value], what: &str) -> i64 {
    let row = rows.iter().find(|row| row["what"] == what);
    row.map_or(0, |row| row["count"].as_i64().unwrap())
}

#[test]
fn the_same_file_alone_and_in_an_archive_is_one_input() {
    let house = House::new();
    let second = second();
    let bytes = archive(&[
        ("logs/conn.log", CONN.as_bytes()),
        ("logs/later/conn.log", second.as_bytes()),
        ("logs/notes.txt", b"not telemetry"),
    ]);
    let path = house.file("logs.tar", &bytes);
    let rows = house.rows(&["ingest", &path, "--vantage", "v", "--loss-max", "1"]);
    assert_eq!(count(&rows, "contacts"), 2, "{rows:?}");
    assert_eq!(count(&rows, "lost format"), 1);
    let alone = house.file("conn.log", CONN);
    let rows = house.rows(&["ingest", &alone, "--vantage", "v"]);
    assert_eq!(count(&rows, "inputs known already"), 1, "{rows:?}");
}

#[test]
fn an_archive_that_is_cut_gives_its_whole_members_and_says_so() {
    let house = House::new();
    let second = second();
    let bytes = archive(&[("a.log", CONN.as_bytes()), ("b.log", second.as_bytes())]);
    let path = house.file("cut.tar", &bytes[..bytes.len() / 2 + 100]);
    let ended = house.run(&["ingest", &path, "--vantage", "v"]);
    assert_eq!(ended.code, 3, "{}", ended.words);
    assert!(
        ended.words.contains("the archive is damaged after a.log"),
        "{}",
        ended.words
    );
    assert!(ended.out.contains("contacts"), "{}", ended.out);
}

/// What the buckets of a store hold.
type Objects = Vec<(&'static str, Vec<u8>)>;

/// A store that speaks as much of the S3 protocol as reading needs: `GetObject`,
/// `ListObjectsV2` (Amazon S3 API reference).
async fn serve(objects: Objects) -> SocketAddr {
    let list = async |State(objects): State<Objects>,
                      Query(query): Query<
        std::collections::HashMap<String, String>,
    >| {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        let mut listed = String::new();
        for (key, bytes) in objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            write!(
                listed,
                "<Contents><Key>{key}</Key><LastModified>2024-04-01T00:00:00.000Z\
                 </LastModified><Size>{}</Size></Contents>",
                bytes.len()
            )
            .unwrap();
        }
        format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        )
    };
    let object = async |State(objects): State<Objects>,
                        Path((_, key)): Path<(String, String)>| {
        let Some((_, bytes)) = objects.into_iter().find(|(known, _)| *known == key)
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let dated =
            [("last-modified", "Mon, 01 Apr 2024 00:00:00 GMT"), ("etag", "\"1\"")];
        (dated, bytes).into_response()
    };
    let router = Router::new()
        .route("/{bucket}", get(list))
        .route("/{bucket}/{*key}", get(object))
        .with_state(objects);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[test]
fn objects_below_a_url_are_inputs_and_a_missing_one_is_named() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut compressed =
        bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    compressed.write_all(second().as_bytes()).unwrap();
    let objects = vec![
        ("2024/conn.log", CONN.as_bytes().to_vec()),
        ("2024/later/conn.log.bz2", compressed.finish().unwrap()),
        ("2023/conn.log", b"never asked for".to_vec()),
    ];
    let address = runtime.block_on(serve(objects));
    let house = House::new();
    let ingest = |urls: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command
            .current_dir(house.path("."))
            .env_remove("TIDEGAUGE_LAKE")
            .env("AWS_ENDPOINT", format!("http://{address}"))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_SKIP_SIGNATURE", "true")
            .env("AWS_REGION", "eu-central-1")
            .args(["--format", "json", "ingest", "--vantage", "v"])
            .args(urls);
        let output = command.output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{words}"));
        (document["rows"].as_array().unwrap().clone(), words)
    };
    let (rows, words) = ingest(&["s3://sensor/2024/"]);
    assert_eq!(count(&rows, "contacts"), 2, "{rows:?}\n{words}");
    let (rows, words) = ingest(&["s3://sensor/2024/conn.log", "s3://sensor/gone.log"]);
    assert_eq!(count(&rows, "inputs known already"), 1, "{rows:?}");
    assert_eq!(count(&rows, "inputs unreadable"), 1, "{rows:?}");
    assert!(words.contains("s3://sensor/gone.log"), "{words}");
}
