//! The door for clients of `PostgreSQL`: what they read, what they are refused, and who is let
//! in; by the client of another project, and by `psql` where it is there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use futures::StreamExt;
use serde_json::Value;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::served::Served;
use crate::whole_way::filled;

const OPEN: [&str; 2] = ["--postgres", "127.0.0.1:0"];

/// A client that was let in, with the server's word for why not.
async fn entered(served: &Served, password: &str) -> Result<Client, String> {
    let (host, port) = served.door.as_deref().unwrap().split_once(':').unwrap();
    let config = format!(
        "host={host} port={port} user=reader dbname=tidegauge password='{password}'"
    );
    match tokio_postgres::connect(&config, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(client)
        }
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &tokio_postgres::Error) -> String {
    let told = error.as_db_error();
    told.map_or_else(
        || error.to_string(),
        |told| format!("{} {told}", told.code().code()),
    )
}

/// Rows as texts, by the simple protocol; null is `None`.
async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let answers = client.simple_query(sql).await.map_err(|error| words(&error))?;
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => {
            let cells = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
            Some(cells.collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

#[tokio::test]
async fn every_view_has_the_rows_of_the_interface() {
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let client = entered(&served, "").await.unwrap();
    let (status, body) = served.get("/api/v1/views", None);
    assert_eq!(status, 200, "{body}");
    let listed: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<&str> = listed["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["id"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"census_by_country") && names.contains(&"acts"),
        "{names:?}"
    );
    let mut suppressed = 0;
    for name in names {
        let (_, body) = served.get(&format!("/api/v1/views/{name}?limit=10000"), None);
        let view: Value = serde_json::from_str(&body).unwrap();
        let columns: Vec<&str> = view["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        let texts = |row: &Value| -> Vec<Option<String>> {
            let cell = |name: &&str| match &row[*name] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Bool(truth) => Some(if *truth { "t" } else { "f" }.to_owned()),
                other => Some(other.to_string()),
            };
            columns.iter().map(cell).collect()
        };
        let mut told: Vec<_> =
            view["rows"].as_array().unwrap().iter().map(texts).collect();
        let mut read =
            rows(&client, &format!("SELECT {} FROM {name}", columns.join(", ")))
                .await
                .unwrap();
        assert_eq!(read.len(), told.len(), "{name}");
        for rows in [&mut told, &mut read] {
            rows.iter_mut().flatten().for_each(alike);
            rows.sort();
        }
        assert_eq!(read, told, "{name}");
        if let Some(at) = columns.iter().position(|name| *name == "suppressed") {
            let withheld = read.iter().filter(|row| row[at].as_deref() == Some("t"));
            suppressed += withheld.count();
        }
    }
    assert!(suppressed > 0, "the rule withheld something");
}

/// How many tables a client made.
async fn made(client: &Client) -> String {
    let tables =
        "SELECT count(*) FROM information_schema.tables WHERE table_name = 't'";
    rows(client, tables).await.unwrap()[0][0].clone().unwrap()
}

/// Numbers that are not whole, as both write them.
fn alike(cell: &mut Option<String>) {
    if let Some(text) = cell
        && text.contains('.')
        && let Ok(number) = text.parse::<f64>()
    {
        *text = format!("{number:.9}");
    }
}

#[tokio::test]
async fn prepared_statements_take_parameters_and_columns_are_told() {
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let client = entered(&served, "").await.unwrap();
    let sql = "SELECT product, addresses_v4 FROM census_by_month \
               WHERE product = $1 AND NOT suppressed ORDER BY month";
    let prepared = client.prepare(sql).await.unwrap();
    let types: Vec<&str> =
        prepared.columns().iter().map(|c| c.type_().name()).collect();
    assert_eq!(types, ["text", "int8"]);
    let one = client.query(&prepared, &[&"kaspersky"]).await.unwrap();
    let simple = "SELECT addresses_v4 FROM census_by_month WHERE product = 'kaspersky' \
                  AND NOT suppressed ORDER BY month";
    let simple = rows(&client, simple).await.unwrap();
    let prepared: Vec<_> =
        one.iter().map(|row| vec![Some(row.get::<_, i64>(1).to_string())]).collect();
    assert!(!prepared.is_empty() && prepared == simple, "{prepared:?} {simple:?}");
    assert!(client.query(sql, &[&"nothing"]).await.unwrap().is_empty());

    let told = "SELECT d.description FROM pg_catalog.pg_class c \
                JOIN pg_catalog.pg_description d ON d.objoid = c.oid \
                WHERE c.relname = 'census_by_month' AND d.objsubid IN (0, 1) \
                ORDER BY d.objsubid";
    let told = rows(&client, told).await.unwrap();
    assert_eq!(told[1], [Some("Product, as in the catalog.".to_owned())]);
    assert!(told[0][0].as_ref().unwrap().contains("do not add up"), "{told:?}");
    // As SQLAlchemy lists schemas.
    let schemas = "SELECT nspname FROM pg_catalog.pg_namespace \
                   WHERE nspname NOT LIKE 'pg/_%' ESCAPE '/' ORDER BY nspname";
    let schemas = rows(&client, schemas).await.unwrap();
    assert!(schemas.contains(&vec![Some("public".to_owned())]), "{schemas:?}");
    assert!(!schemas.iter().flatten().flatten().any(|name| name.starts_with("pg_")));
}

#[tokio::test]
async fn whatever_is_not_reading_is_refused_and_the_next_query_works() {
    let house = filled();
    let served = Served::start(&house, &[&OPEN[..], &["--internal"]].concat());
    let client = entered(&served, "").await.unwrap();
    let out = house.path("out.csv");
    let copy = format!("COPY products TO '{}'", out.display());
    let secret = house.file("secret.csv", "a,b\n1,2\n");
    let outside = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{secret}'");
    let file = format!("SELECT * FROM '{secret}'");
    for (sql, code) in [
        ("CREATE TABLE t AS SELECT 1", "25006"),
        ("CREATE VIEW t AS SELECT 1", "25006"),
        ("SELECT 1 INTO t", "25006"),
        ("INSERT INTO products VALUES ('a', 'b')", "25006"),
        ("UPDATE products SET name = 'b'", "25006"),
        ("DELETE FROM lake.sightings", "25006"),
        ("DROP TABLE lake.sightings", "25006"),
        ("TRUNCATE lake.sightings", "25006"),
        ("PREPARE p AS SELECT 1", "25006"),
        ("SET datafusion.execution.batch_size = 1", "25006"),
        ("SET ROLE admin", "25006"),
        ("EXPLAIN ANALYZE SELECT 1 INTO t", "25006"),
        ("DECLARE c CURSOR FOR SELECT 1", "0A000"),
        ("FETCH 5 FROM c", "0A000"),
        (r"DECLARE c CURSOR FOR SELECT '\'' AS b, * INTO t FROM products --'", "0A000"),
        (&copy, "25006"),
        (&outside, ""),
        (&file, "42601"),
        ("SELECT * FROM read_csv('/etc/passwd')", "42601"),
        ("nonsense", ""),
    ] {
        let refused = rows(&client, sql).await.unwrap_err();
        assert!(refused.starts_with(code), "{sql}: {refused}");
        let prepared = words(&client.query(sql, &[]).await.unwrap_err());
        assert!(prepared.starts_with(code), "{sql}: {prepared}");
        assert_eq!(rows(&client, "SELECT 1").await.unwrap(), [[Some("1".to_owned())]]);
    }
    assert!(!out.exists());
    assert_eq!(made(&client).await, "0");
    for harmless in [
        "SET application_name = 'x'",
        "SET client_encoding = 'UTF8'",
        "SET statement_timeout = '18446744073709551615s'",
        "SET search_path = public",
    ] {
        assert!(rows(&client, harmless).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn texts_are_what_they_say() {
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let client = entered(&served, "").await.unwrap();
    for (sql, says) in [
        ("SELECT length('''''')", "2"),
        (r"SELECT length('\')", "1"),
        (r"SELECT '\''' AS a", r"\'"),
        // Printed and parsed again, the text would end at the backslash.
        (
            r"SELECT '\'' AS b, * INTO t FROM products --'",
            r"\' AS b, * INTO t FROM products --",
        ),
        ("SELECT 'a' LIKE 'a' ESCAPE '/'", "t"),
        ("SELECT 'a_' LIKE 'a/_' ESCAPE '/' AND NOT 'ab' LIKE 'a/_' ESCAPE '/'", "t"),
    ] {
        assert_eq!(
            rows(&client, sql).await.unwrap(),
            [[Some(says.to_owned())]],
            "{sql}"
        );
    }
    assert_eq!(made(&client).await, "0");
}

#[tokio::test]
async fn a_statement_that_is_too_much_ends_nothing_but_itself() {
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let chain = |first: &str, more: &str, times: usize| {
        format!("{first}{}", more.repeat(times))
    };
    let named = |n: usize| format!(", c{n} AS (SELECT * FROM c{})", n - 1);
    let tables: String = (1..180).map(named).collect();
    let long = [
        chain("SELECT 1", "+1", 990),
        chain("SELECT 'a'", "||'b'", 990),
        chain("SELECT name FROM products WHERE name='a'", " AND name='b'", 490),
        chain("SELECT name FROM products WHERE name='a'", " OR name='b'", 490),
        chain("SELECT 1", " UNION ALL SELECT 1", 660),
        chain("SELECT 1", " IS NULL", 990),
        chain("SELECT 1", "::int", 990),
        chain("SELECT ", "NOT ", 1_900) + "true",
        chain("SELECT ", "(", 900) + "1" + &")".repeat(900),
        chain("SELECT 'a' LIKE 'b' ESCAPE '/'", " OR 'a' LIKE 'b' ESCAPE '/'", 300),
        format!("WITH c0 AS (SELECT 1){tables} SELECT * FROM c179"),
    ];
    for sql in &long {
        let client = entered(&served, "").await.unwrap();
        // Whether it is answered or refused: the connection and the server live.
        let asked = rows(&client, sql).await;
        let prepared = client.query(sql, &[]).await.map_err(|error| words(&error));
        let lived = rows(&client, "SELECT 1").await;
        assert!(lived.is_ok(), "{sql:.60}: {:?} {:?}", asked.err(), prepared.err());
    }
    let client = entered(&served, "").await.unwrap();
    let longer = rows(&client, &chain("SELECT 1", "+1", 100_000)).await.unwrap_err();
    assert!(longer.starts_with("54001"), "{longer}");
    for greedy in [
        "SELECT length(repeat('x', 1000000000))",
        "SELECT length(lpad('x', 1000000000))",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT list_repeat(1, 1000000000)",
    ] {
        let refused = rows(&client, greedy).await.unwrap_err();
        assert!(refused.contains("Invalid function"), "{greedy}: {refused}");
    }
}

#[tokio::test]
async fn a_query_without_end_is_stopped_by_whoever_asked() {
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let client = entered(&served, "").await.unwrap();
    let stop = client.cancel_token();
    for endless in [
        "SELECT * FROM generate_series(1, 10000000000000)",
        "SELECT * FROM generate_series(1, 100000) UNION ALL \
         SELECT count(*) FROM generate_series(1, 10000000000000)",
    ] {
        let rows = client.simple_query_raw(endless).await.unwrap();
        let mut rows = std::pin::pin!(rows);
        // It is under way: there is a row.
        let row = |answer: &_| matches!(answer, SimpleQueryMessage::Row(_));
        while !row(&rows.next().await.unwrap().unwrap()) {}
        stop.cancel_query(NoTls).await.unwrap();
        let ended = loop {
            if let Err(error) = rows.next().await.unwrap() {
                break words(&error);
            }
        };
        assert!(ended.starts_with("57014"), "{ended}");
    }
    assert_eq!(rows(&client, "SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_decides_what_is_read_and_raw_tables_are_recorded() {
    let house = filled();
    let (reader, analyst) =
        (house.token("grafana", "reader"), house.token("alice", "analyst"));
    let gated = ["--tokens", "tokens.toml", "--audit", "audit.jsonl"];
    let served = Served::start(&house, &[&OPEN[..], &gated].concat());
    for wrong in ["", "guess"] {
        let refused = entered(&served, wrong).await.unwrap_err();
        assert!(refused.starts_with("28P01"), "{refused}");
    }
    let (reads, analyses) = (
        entered(&served, &reader).await.unwrap(),
        entered(&served, &analyst).await.unwrap(),
    );
    let raw = "SELECT count(*) FROM lake.sightings";
    for sql in [raw, "SELECT count(*) FROM lake.holders"] {
        assert!(rows(&reads, sql).await.is_err());
        assert!(reads.query(sql, &[]).await.is_err());
        let counted = rows(&analyses, sql).await.unwrap();
        assert_ne!(counted[0][0].as_deref(), Some("0"), "{sql}");
    }
    let tables =
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'lake'";
    assert_eq!(rows(&reads, tables).await.unwrap(), [[Some("0".to_owned())]]);
    let hidden = "SELECT count(*) FROM census_by_country WHERE suppressed";
    assert_ne!(rows(&reads, hidden).await.unwrap(), [[Some("0".to_owned())]]);
    assert_eq!(rows(&analyses, hidden).await.unwrap(), [[Some("0".to_owned())]]);

    let audit = std::fs::read_to_string(house.path("audit.jsonl")).unwrap();
    let events = |word: &str| -> Vec<Value> {
        let all =
            audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|event| event["event"] == word).collect()
    };
    assert_eq!(events("refused").len(), 2, "{audit}");
    assert_eq!(events("entered").len(), 2, "{audit}");
    let saw = events("saw");
    assert!(!saw.is_empty() && saw.iter().all(|e| e["name"] == "alice"), "{audit}");
    assert!(!audit.contains(&analyst) && !audit.contains(&reader));
}

#[tokio::test]
async fn other_machines_need_a_token_and_tls() {
    let house = filled();
    let listen = ["serve", "--listen", "127.0.0.1:0", "--postgres", "0.0.0.0:0"];
    let ended = house.run(&listen);
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("tokens and TLS are needed"), "{}", ended.words);
    house.token("a", "reader");
    let ended = house.run(&[&listen[..], &["--tokens", "tokens.toml"]].concat());
    assert_eq!(ended.code, 1);

    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let file = |name: &str| made.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("first.pem"), file("first.key"));
    let tls = ["--tls-certificate", &certificate, "--tls-key", &key];
    let gated = ["--postgres", "0.0.0.0:0", "--tokens", "tokens.toml"];
    let served = Served::start(&house, &[&gated[..], &tls].concat());
    let refused = entered(&served, "").await.unwrap_err();
    assert!(refused.starts_with("28000") && refused.contains("TLS alone"), "{refused}");
    // SSLRequest of the protocol: length 8, code 80877103.
    let mut stream = TcpStream::connect(served.door.as_deref().unwrap()).unwrap();
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
}

#[test]
fn psql_lists_views_and_reads_them() {
    let psql = Path::new("/usr/bin/psql");
    if !psql.exists() {
        eprintln!("SKIPPED: no psql here (postgresql-client)");
        return;
    }
    let house = filled();
    let served = Served::start(&house, &OPEN);
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(psql);
        let door = served.door.as_deref().unwrap();
        command.arg(format!("postgresql://reader@{door}/tidegauge"));
        let output =
            command.args(["--no-psqlrc", "-At"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = ask(&["-c", r"\dv"]);
    assert!(listed.contains("public|census_by_month|view"), "{listed}");
    let columns = ask(&["-c", r"\d acts"]);
    assert!(columns.contains("announced|date"), "{columns}");
    let rows = ask(&["-c", "SELECT act FROM acts"]);
    let counted = ask(&["-c", "SELECT count(*) FROM acts"]);
    assert_eq!(rows.lines().count().to_string(), counted.trim());
}
