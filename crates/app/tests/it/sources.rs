//! Inputs that are not plain files: archives, compressed in every way, and object stores.

use std::collections::HashMap;
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

/// A key of a bucket, and what lies there.
type Object = (&'static str, Vec<u8>);
type Objects = Vec<Object>;

/// A store that speaks as much of three protocols as reading needs: `GetObject` and
/// `ListObjectsV2` of Amazon S3, which the XML API of Google Cloud Storage shares, and
/// `Get Blob` and `List Blobs` of Azure, whose container stands in the same place.
async fn serve(objects: Objects) -> SocketAddr {
    let list = async |State(objects): State<Objects>,
                      Query(query): Query<HashMap<String, String>>| {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        let below = objects.iter().filter(|(key, _)| key.starts_with(&prefix));
        if query.get("comp").is_some_and(|comp| comp == "list") {
            listed_by_azure(below)
        } else {
            listed_by_amazon(below)
        }
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

fn listed_by_amazon<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let mut listed = String::new();
    for (key, bytes) in objects {
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
}

fn listed_by_azure<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let mut listed = String::new();
    for (key, bytes) in objects {
        write!(
            listed,
            "<Blob><Name>{key}</Name><Properties>\
             <Last-Modified>Mon, 01 Apr 2024 00:00:00 GMT</Last-Modified>\
             <Content-Length>{}</Content-Length>\
             <Content-Type>text/plain</Content-Type><Etag>1</Etag></Properties></Blob>",
            bytes.len()
        )
        .unwrap();
    }
    format!(
        "<EnumerationResults><Blobs>{listed}</Blobs><NextMarker/></EnumerationResults>"
    )
}

/// What the environment says of a store at `address`, for each scheme.
fn environment(scheme: &str, address: SocketAddr) -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    let url = format!("http://{address}");
    match scheme {
        "s3" => vec![
            ("AWS_ENDPOINT", url),
            ("AWS_ALLOW_HTTP", own("true")),
            ("AWS_SKIP_SIGNATURE", own("true")),
            ("AWS_REGION", own("eu-central-1")),
        ],
        "gs" => vec![
            ("GOOGLE_BASE_URL", url),
            ("GOOGLE_ALLOW_HTTP", own("true")),
            ("GOOGLE_SKIP_SIGNATURE", own("true")),
        ],
        "az" => vec![
            ("AZURE_STORAGE_ACCOUNT_NAME", own("sensors")),
            ("AZURE_STORAGE_ENDPOINT", url),
            ("AZURE_ALLOW_HTTP", own("true")),
            ("AZURE_SKIP_SIGNATURE", own("true")),
        ],
        _ => Vec::new(),
    }
}

/// Two logs, one of them compressed, and one that nobody asks for.
fn stored() -> Objects {
    let mut compressed =
        bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    compressed.write_all(second().as_bytes()).unwrap();
    vec![
        ("2024/conn.log", CONN.as_bytes().to_vec()),
        ("2024/later/conn.log.bz2", compressed.finish().unwrap()),
        ("2023/conn.log", b"never asked for".to_vec()),
    ]
}

/// Ingests URLs of one scheme into the lake of `house`: rows and words.
fn ingest(
    house: &House,
    environment: &[(&'static str, String)],
    urls: &[String],
) -> (Vec<serde_json::Value>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command
        .current_dir(house.path("."))
        .env_remove("TIDEGAUGE_LAKE")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(["--format", "json", "ingest", "--vantage", "v"])
        .args(urls);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words}"));
    (document["rows"].as_array().unwrap().clone(), words)
}

fn store() -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let address = runtime.block_on(serve(stored()));
    (runtime, address)
}

#[test]
fn objects_below_a_url_are_inputs_and_a_missing_one_is_named() {
    let (_runtime, address) = store();
    for scheme in ["s3", "gs", "az"] {
        let house = House::new();
        let environment = environment(scheme, address);
        let url = |below: &str| format!("{scheme}://sensor/{below}");
        let (rows, words) = ingest(&house, &environment, &[url("2024/")]);
        assert_eq!(count(&rows, "contacts"), 2, "{scheme} {rows:?}\n{words}");
        let urls = [url("2024/conn.log"), url("gone.log")];
        let (rows, words) = ingest(&house, &environment, &urls);
        assert_eq!(count(&rows, "inputs known already"), 1, "{scheme} {rows:?}");
        assert_eq!(count(&rows, "inputs unreadable"), 1, "{scheme} {rows:?}");
        assert!(words.contains(&url("gone.log")), "{scheme} {words}");
    }
}

#[test]
fn a_file_of_a_web_server_is_an_input() {
    let (_runtime, address) = store();
    let house = House::new();
    let url = format!("http://{address}/sensor/2024/conn.log");
    let (rows, words) = ingest(&house, &[], &[url]);
    assert_eq!(count(&rows, "contacts"), 1, "{rows:?}\n{words}");
}

#[test]
fn a_parquet_log_of_aws_tells_what_its_text_tells() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../store/tests/data/aws");
    let told = |name: &str| {
        let house = House::new();
        let path = data.join(name);
        let arguments =
            ["ingest", path.to_str().unwrap(), "--vantage", "v", "--loss-max", "1"];
        let rows = house.rows(&arguments);
        let coverage = "SELECT * FROM coverage";
        let sightings = "SELECT * FROM sightings ORDER BY 1, 2, 3, 4, 5";
        (rows, [coverage, sightings].map(|query| house.done(&["sql", query])))
    };
    let text = told("flow.log");
    let count = |what: &str| {
        let row = text.0.iter().find(|row| row["what"] == what);
        row.map(|row| row["count"].as_u64().unwrap())
    };
    assert_eq!(count("inputs aws_flow"), Some(1), "{:?}", text.0);
    // Four of traffic; one skipped, one whose end is before its start; `NODATA` is nothing.
    assert_eq!((count("flows"), count("contacts")), (Some(4), Some(3)), "{:?}", text.0);
    assert_eq!(
        (count("lost gap"), count("lost time")),
        (Some(1), Some(1)),
        "{:?}",
        text.0
    );
    for name in ["flow.parquet", "flow.plain.parquet"] {
        assert_eq!(told(name), text, "{name}");
    }
}
