//! What `tidegauge sql` answers: the files of `slt/`, asked of a small lake.
//!
//! They are in the form of `SQLite`'s logic tests, which many engines share. `UPDATE=1` writes the
//! answers into them; read the difference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tidegauge_model::{Attribution, Client, Day, DayRange, NetworkKind, OrgId, Tenure};

use crate::world::{Table, World, block_on, client, organisation, sighting};
use crate::{Counter, Error};

/// Over a month's end: an address that changes hands, one of IPv6, one that is private, and one
/// that nobody holds.
fn world() -> World {
    let day = |text: &str| text.parse::<Day>().unwrap();
    let own = |id: &str, country: &str, from: &str, to: &str| Tenure {
        days: DayRange::new(day(from), day(to)).unwrap(),
        attribution: Attribution {
            organisation: Some(OrgId::new(id)),
            kind: NetworkKind::Own,
            org_country: Some(country.parse().unwrap()),
            ..Attribution::UNATTRIBUTED
        },
    };
    let moved = client("198.51.100.1", None);
    let six = client("2001:db8:0:1::1", None);
    let private = |site| client("10.0.0.1", Some(site));
    let nobodys = client("203.0.113.7", None);
    let tenures: BTreeMap<Client, Vec<Tenure>> = BTreeMap::from([
        (
            moved.clone(),
            vec![
                own("first", "DE", "2024-01-01", "2024-04-03"),
                own("second", "US", "2024-04-04", "2024-12-31"),
            ],
        ),
        (six.clone(), vec![own("first", "DE", "2024-01-01", "2024-12-31")]),
    ]);
    let organisations = [("first", Some("health")), ("second", None)];
    let organisations = organisations.map(|(id, sector)| {
        (OrgId::new(id), organisation(id, Some("DE"), sector, &[], None))
    });
    let seen = |client: &Client, endpoint: &str, on: &str| {
        sighting(client, endpoint, day(on), "east")
    };
    World {
        sightings: vec![
            seen(&moved, "red/update", "2024-04-02"),
            seen(&moved, "red/update", "2024-04-03"),
            seen(&moved, "red/web", "2024-04-05"),
            seen(&six, "red/update", "2024-03-31"),
            seen(&six, "red/update", "2024-04-01"),
            seen(&private("north"), "blue/update", "2024-04-01"),
            seen(&private("south"), "clock/time", "2024-04-01"),
            seen(&nobodys, "clock/time", "2024-04-06"),
        ],
        coverage: Vec::new(),
        table: Table { tenures, organisations: organisations.into() },
    }
}

/// The operator's tables, for the runner.
struct Asked(Counter);

#[async_trait]
impl AsyncDB for Asked {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let batches = self.0.sql(sql).await?;
        let types = batches.first().map_or_else(Vec::new, types);
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(rows).collect() })
    }

    async fn shutdown(&mut self) {}
}

fn types(batch: &RecordBatch) -> Vec<DefaultColumnType> {
    let kind = |kind: &DataType| match kind {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    };
    batch.schema().fields().iter().map(|field| kind(field.data_type())).collect()
}

fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let value = |column: &dyn Array, row| {
        if column.is_null(row) {
            return "NULL".to_owned();
        }
        array_value_to_string(column, row).unwrap()
    };
    let row = |row| batch.columns().iter().map(|column| value(column, row)).collect();
    (0..batch.num_rows()).map(row).collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn files_of_questions_are_answered() {
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        block_on(async {
            let stored = world().store(2).await;
            let counter = stored.counter.clone();
            let mut runner = Runner::new(|| async { Ok(Asked(counter.clone())) });
            runner.with_column_validator(sqllogictest::strict_column_validator);
            if std::env::var_os("UPDATE").is_some() {
                let validate = sqllogictest::default_validator;
                let types = sqllogictest::strict_column_validator;
                let normal = sqllogictest::default_normalizer;
                runner
                    .update_test_file(&file, " ", validate, normal, types)
                    .await
                    .unwrap();
            } else {
                runner.run_file_async(&file).await.unwrap();
            }
        });
    }
}
