//! What programs of others make of what we write: the lake by delta-rs, polars, `DuckDB` and Spark,
//! findings by the validator of STIX, documents by that of JSON Schema, views by pandas, `SQLAlchemy` and R, the interface by
//! Schemathesis.
//!
//! They are those of `xtask/python.txt` and of `xtask/src/tools.rs`; without them these tests say that they were skipped.

use std::path::Path;
use std::process::Command;

use crate::run::House;
use crate::served::Served;
use crate::whole_way::filled;

/// What a program in Python printed; `None` if a module that it needs is not there.
fn python(modules: &str, code: &str, arguments: &[&str]) -> Option<String> {
    // `cargo xtask test` installs them beside our program.
    let installed = Path::new(env!("CARGO_BIN_EXE_tidegauge")).join("../../python");
    // Some of them leave files where they run.
    let folder = tempfile::TempDir::new().unwrap();
    let run = |code: &str| {
        let mut command = Command::new("python3");
        command
            .current_dir(folder.path())
            .env("PYTHONPATH", &installed)
            .args(["-c", code])
            .args(arguments);
        command.output()
    };
    if !run(&format!("import {modules}")).is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: no python3 with {modules} here (xtask/python.txt)");
        return None;
    }
    let output = run(code).unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{words}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Months with sightings and contacts, by ourselves.
fn by_us(house: &House) -> String {
    let sql = "SELECT month, COUNT(*) AS sightings, SUM(contacts) AS contacts, \
               COUNT(DISTINCT ip_lo) AS low FROM sightings GROUP BY month ORDER BY month";
    let csv = house.done(&["--format", "csv", "sql", sql]);
    csv.split_once('\n').unwrap().1.to_owned()
}

/// Documents of many verbs, one of them with an act assessed in full.
/// What `exposure` and `report` write as files: the first with a word of somebody's.
fn written(house: &House) -> [String; 2] {
    let suppliers = "name,prefixes,tier\nAcme Ltd,198.18.3.0/24,1\n";
    let portfolio = house.file("suppliers.csv", suppliers);
    let exposure = ["exposure", "--portfolio", &portfolio, "--out", "found"];
    house.done(&exposure);
    let text = |path: &str| std::fs::read_to_string(house.path(path)).unwrap();
    let found: serde_json::Value =
        serde_json::from_str(&text("found/findings.json")).unwrap();
    let id = found["findings"][0]["id"].as_str().unwrap();
    house
        .done(&["exposure", "say", id, "disputed", "--who", "J. Doe", "--why", "sold"]);
    house.done(&exposure);
    let findings = text("found/findings.json");
    assert!(findings.contains("J. Doe"), "{findings}");
    house.done(&["report", "--out", "out", "--policy", "US-BIS-2024-updates"]);
    [findings, text("out/report.json")]
}

fn documents() -> Vec<String> {
    let house = filled();
    let written = written(&house);
    let act = ["--policy", "US-BIS-2024-updates"];
    let kaspersky = ["--product", "kaspersky"];
    house.done(&["lake", "key", "keys"]);
    let asked: Vec<Vec<&str>> = vec![
        [&["assess"][..], &act].concat(),
        [&["assess", "--internal", "--by", "country,sector"][..], &act].concat(),
        [
            &["census", "--by", "month,country,sector,kind,signal,vantage"][..],
            &kaspersky,
        ]
        .concat(),
        [&["census", "--internal", "--by", "week,product", "--on", "each-day"][..]]
            .concat(),
        [&["census", "--window", "2024-04", "--window", "2024-11"][..], &kaspersky]
            .concat(),
        [&["panel", "--internal"][..], &kaspersky].concat(),
        vec!["atlas", "lookup", "198.18.0.9", "--on", "2024-12-01"],
        vec!["atlas", "diff", "2024-01-01", "2024-10-01"],
        vec!["catalog", "list"],
        vec!["catalog", "check"],
        vec![
            "sql",
            "SELECT month, count(*) > 1 AS several FROM sightings GROUP BY month",
        ],
        vec!["releases", "list"],
        vec!["lake", "stat"],
        vec!["lake", "check"],
        vec!["lake", "upgrade"],
        vec!["lake", "compact"],
        vec!["lake", "retention", "--before", "2024-05-01", "--key", "keys"],
        vec!["lake", "forget", "--before", "2024-02-01"],
        vec!["lake", "vacuum", "--before", "2024-02-01"],
        vec!["ingest", "logs", "--vantage", "late"],
    ];
    let json = ["--format", "json"];
    let asked = asked.iter().map(|asked| house.done(&[&json[..], asked].concat()));
    asked.chain(written).collect()
}

#[test]
fn every_document_is_what_the_schema_says() {
    let house = House::new();
    let schema = house.file("schema.json", house.done(&["schema"]));
    let documents =
        house.file("documents.json", format!("[{}]", documents().join(",")));
    let code = r##"
import json, sys, jsonschema
schema, documents = (json.load(open(path)) for path in sys.argv[1:])
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
for document in documents:
    # Against the one that has its name: the reason is then not lost among five.
    of = document["name"] if document["name"] in schema["$defs"] else "rows"
    narrowed = {"$ref": "#/$defs/" + of, "$defs": schema["$defs"]}
    for wrong in kind(narrowed).iter_errors(document):
        print(document["name"], wrong.json_path, wrong.message[:300])
    kind(schema).validate(document)
assert not kind(schema).is_valid({**documents[0], "policy": None})
print(len(documents), "fit")
"##;
    let Some(told) = python("jsonschema", code, &[&schema, &documents]) else { return };
    assert_eq!(told, "22 fit\n");
}

#[test]
fn the_lake_is_read_by_delta_rs_polars_and_duckdb() {
    let house = filled();
    let code = r#"
import sys, duckdb, polars
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
sightings = table.to_pyarrow_dataset()
question = """SELECT month, count(*), sum(contacts)::BIGINT, count(DISTINCT ip_lo)
              FROM sightings GROUP BY month ORDER BY month"""
for row in duckdb.sql(question).fetchall():
    print(*row, sep=",")
print("--")
frame = polars.read_delta(sys.argv[1]).group_by("month").agg(
    polars.len(), polars.sum("contacts"), polars.n_unique("ip_lo").alias("low")
).sort("month")
for row in frame.iter_rows():
    print(*row, sep=",")
"#;
    let folder = house.path("lake/sightings");
    let folder = folder.to_str().unwrap();
    let modules = "deltalake, duckdb, polars, pyarrow.dataset";
    let Some(told) = python(modules, code, &[folder]) else { return };
    let ours = by_us(&house);
    assert!(ours.lines().count() > 1, "{ours}");
    let (duckdb, polars) = told.split_once("--\n").unwrap();
    assert_eq!((duckdb, polars), (&*ours, &*ours));
}

/// Spark has no reader of Delta of its own: it is told which files the newest version has.
#[test]
fn the_lake_is_read_by_spark() {
    let house = filled();
    let code = r#"
import sys
from deltalake import DeltaTable
from pyspark.sql import SparkSession, functions as f
settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2",
            "spark.driver.host": "127.0.0.1", "spark.sql.session.timeZone": "UTC"}
builder = SparkSession.builder.master("local[2]")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
files = DeltaTable(sys.argv[1]).file_uris()
sightings = spark.read.option("basePath", sys.argv[1]).parquet(*files)
rows = sightings.groupBy("month").agg(
    f.count("*"), f.sum("contacts"), f.countDistinct("ip_lo")).orderBy("month")
for row in rows.collect():
    print(*row, sep=",")
"#;
    let folder = house.path("lake/sightings");
    let modules = "deltalake, pyspark.sql, shutil; shutil.which('java').strip()";
    let Some(told) = python(modules, code, &[folder.to_str().unwrap()]) else { return };
    assert_eq!(told, by_us(&house));
}

#[test]
fn findings_are_valid_by_the_validator_of_stix() {
    let house = filled();
    let portfolio = house.file(
        "suppliers.csv",
        "name,prefixes,tier\nAcme,198.18.3.0/24,1\nOther,198.18.4.0/24,3\n",
    );
    let found = ["exposure", "--portfolio", &portfolio, "--out", "found"];
    house.done(&found);
    let file = house.path("found/stix.json");
    let code = r#"
import sys
from stix2validator import ValidationOptions, validate_file
found = validate_file(sys.argv[1], ValidationOptions(version="2.1", strict=False))
for one in found.object_results if hasattr(found, "object_results") else [found]:
    for error in one.errors or []:
        print(error)
print("valid" if found.is_valid else "invalid")
"#;
    let Some(told) = python("stix2validator", code, &[file.to_str().unwrap()]) else {
        return;
    };
    assert_eq!(told, "valid\n");
    assert!(std::fs::read_to_string(file).unwrap().contains("Acme"));
}

#[test]
fn a_letter_as_pdf_says_what_its_page_says() {
    let house = filled();
    let portfolio =
        house.file("suppliers.csv", "name,prefixes,tier\nAcme Ltd,198.18.3.0/24,1\n");
    house.done(&["exposure", "--portfolio", &portfolio, "--out", "found"]);
    let code = r#"
import html, pathlib, re, sys
from pypdf import PdfReader
pages = sorted(pathlib.Path(sys.argv[1]).glob("*.html"))
for page in pages:
    pdf = PdfReader(page.with_suffix(".pdf"))
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and root["/StructTreeRoot"] and root["/Lang"] == "en"
    text = "".join(sheet.extract_text() for sheet in pdf.pages)
    body = page.read_text().split("<body>")[1]
    said = html.unescape(re.sub(r"<[^>]*>", " ", body))
    whole = re.sub(r"\s", "", text)
    missing = [word for word in said.split() if len(word) < 20 and word not in whole]
    assert not missing, missing
    print(len(said.split()) > 100, "Acme Ltd" in text, pdf.metadata.title)
"#;
    let letters = house.path("found/letters");
    let Some(told) = python("pypdf", code, &[letters.to_str().unwrap()]) else {
        return;
    };
    assert_eq!(told, "True True Contacts seen from networks of Acme Ltd\n");
}

#[test]
fn the_guide_s_examples_read_a_view() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/how-to/read-from-other-programs.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```python\n").skip(1);
    let examples: Vec<&str> = blocks
        .map(|block| block.split("```").next().unwrap())
        .filter(|example| !example.contains("TOKEN"))
        .collect();
    assert_eq!(examples.len(), 3);
    let house = filled();
    let served = Served::start(&house, &[]);
    for example in examples {
        let example = example.replace("127.0.0.1:8080", &served.address);
        let modules = "pandas, polars, pyarrow";
        let Some(told) = python(modules, &example, &[]) else { return };
        assert!(told.contains("2024-04-01"), "{told}");
    }
}

#[test]
fn an_answer_in_sql_keeps_its_columns_without_rows_and_its_types() {
    let house = filled();
    let ask = |format: &str, of: &str| {
        let sql =
            format!("SELECT day, ip_lo, contacts / 2.0 AS half FROM sightings {of}");
        house.command(&["--format", format, "sql", &sql]).output().unwrap().stdout
    };
    assert_eq!(ask("csv", "WHERE false"), b"day,ip_lo,half\n");
    let some = String::from_utf8(ask("csv", "LIMIT 1")).unwrap();
    let cells: Vec<&str> = some.lines().nth(1).unwrap().split(',').collect();
    assert!(
        cells[1].parse::<i64>().is_ok() && cells[2].parse::<f64>().is_ok(),
        "{some}"
    );
    for of in ["WHERE false", "LIMIT 1"] {
        let file = house.path("answer.parquet");
        std::fs::write(&file, ask("parquet", of)).unwrap();
        let code = "import sys, pyarrow.parquet\n\
                    print(pyarrow.parquet.read_schema(sys.argv[1]).types)";
        let Some(told) = python("pyarrow", code, &[file.to_str().unwrap()]) else {
            return;
        };
        assert_eq!(
            told.trim(),
            "[DataType(date32[day]), DataType(int64), DataType(double)]"
        );
    }
}

#[test]
fn the_guide_s_questions_in_sql_are_answered() {
    let guide =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/how-to/ask-in-sql.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```sql\n").skip(1);
    let questions = blocks.map(|block| block.split("```").next().unwrap());
    let house = filled();
    let answers: Vec<String> = questions
        .map(|question| house.done(&["--format", "csv", "sql", question]))
        .collect();
    let [by_country, of_one, plan] = answers.as_slice() else { panic!("{answers:?}") };
    // 42 organisations of April, as the view has them.
    let rows = by_country.lines().skip(1);
    let organisations: u64 =
        rows.map(|row| row.rsplit(',').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(organisations, 42, "{by_country}");
    assert!(of_one.lines().count() > 1, "{of_one}");
    assert!(plan.contains("AttributedExec"), "{plan}");
    let aggregates = plan.lines().filter(|line| line.contains("Aggregate"));
    assert!(aggregates.into_iter().all(|line| !line.contains("DISTINCT")), "{plan}");
}

/// Version 2 asks for columns in a way that the engine cannot run; Superset uses 1.4.
#[cfg(feature = "postgres")]
const OLD_SQLALCHEMY: &str =
    "psycopg2, sqlalchemy; sqlalchemy.__version__.index('1.4.')";

#[cfg(feature = "postgres")]
#[test]
fn sqlalchemy_lists_views_with_their_columns_and_comments() {
    let house = filled();
    let served = Served::start(&house, &["--postgres", "127.0.0.1:0"]);
    let code = r#"
import sys, sqlalchemy
engine = sqlalchemy.create_engine(f"postgresql+psycopg2://reader@{sys.argv[1]}/tidegauge")
with engine.connect() as connection:
    seen = sqlalchemy.inspect(connection)
    print(seen.get_schema_names(), sorted(seen.get_view_names()))
    print(seen.get_table_comment("census_by_month")["text"])
    month = next(c for c in seen.get_columns("census_by_month") if c["name"] == "month")
    print(month["type"], month["comment"])
    asked = sqlalchemy.text("SELECT count(*) FROM census_by_month WHERE product = :p")
    print(connection.execute(asked, {"p": "kaspersky"}).scalar())
"#;
    let door = served.door.as_deref().unwrap();
    let Some(told) = python(OLD_SQLALCHEMY, code, &[door]) else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("['public'] ['acts', 'census_by_country'"), "{told}");
    assert!(lines[1].contains("do not add up over months"), "{told}");
    assert_eq!(lines[2], "DATE First day of the month, UTC.");
    assert_ne!(lines[3], "0");
}

#[test]
fn the_guide_s_example_in_r_reads_a_view() {
    if !Path::new("/usr/bin/Rscript").exists() {
        eprintln!("SKIPPED: no Rscript here (r-base-core)");
        return;
    }
    let guide = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/how-to/read-from-other-programs.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let example = guide.split("```r\n").nth(1).unwrap().split("```").next().unwrap();
    let house = filled();
    let served = Served::start(&house, &[]);
    let example = example.replace("127.0.0.1:8080", &served.address);
    let output = Command::new("Rscript").args(["-e", &example]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let told = String::from_utf8(output.stdout).unwrap();
    // As the same view in another form has it: 42 organisations of April.
    let april = told.lines().find(|line| line.contains("2024-04")).unwrap();
    assert_eq!(april.split_whitespace().nth(2), Some("42"), "{told}");
}

/// Questions that another program makes up of the document of the interface: none fails, and
/// every answer has the status, the type and the shape that the document says.
#[test]
fn the_interface_is_what_its_document_says_to_schemathesis() {
    let house = filled();
    let portfolio = house.file(
        "ours.csv",
        "name,prefixes,tier\nAcme,198.18.3.0/24,1\nOwn,198.18.4.0/24,\n",
    );
    house.done(&["exposure", "--portfolio", &portfolio]);
    house.done(&["report", "--out", "out"]);
    let served = Served::start(
        &house,
        &["--internal", "--rate", "0", "--portfolio", &portfolio],
    );
    let code = r#"
import sys
from schemathesis.cli import schemathesis
checks = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance",
]
schemathesis([
    "run", f"http://{sys.argv[1]}/api/v1/openapi.json", "--no-color", "--max-examples", "10",
    "--checks", ",".join(checks), "--generation-deterministic",
    "--phases", "examples,coverage,fuzzing", "--request-timeout", "60",
])
"#;
    let Some(told) = python("schemathesis.cli", code, &[&served.address]) else {
        return;
    };
    let passed = told.lines().find(|line| line.contains("generated,")).unwrap();
    assert!(passed.ends_with("passed"), "{told}");
    let cases: u64 = passed.trim().split(' ').next().unwrap().parse().unwrap();
    assert!(cases > 500, "{told}");
}
