//! Views: the same rows in every form, and nothing that a rule withheld.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::Value;
use tidegauge_publish::serve::router;
use tidegauge_publish::serve::views::{PRODUCT, VIEWS, View};
use tower::ServiceExt;

use arrow::array::Array;
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;

use crate::made::{GOOD, Made, settings};
use crate::serve::{call, json};

/// A body that is no text, with its kind.
async fn file(uri: &str) -> (String, Vec<u8>) {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let answer = router(Arc::new(GOOD), settings()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{uri}");
    let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = to_bytes(answer.into_body(), 8 << 20).await.unwrap();
    (kind, body.to_vec())
}

/// The rows as one batch, by Arrow; by Parquet they must be the same.
async fn batch(view: &View, more: &str) -> RecordBatch {
    let uri =
        |format: &str| format!("/api/v1/views/{}?format={format}{more}", view.name);
    let (kind, bytes) = file(&uri("arrow")).await;
    assert_eq!(kind, "application/vnd.apache.arrow.stream");
    let reader = StreamReader::try_new(&bytes[..], None).unwrap();
    let streamed: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let (kind, bytes) = file(&uri("parquet")).await;
    assert_eq!(kind, "application/vnd.apache.parquet");
    let reader = ParquetRecordBatchReader::try_new(bytes::Bytes::from(bytes), 8_192);
    let stored: Vec<RecordBatch> = reader.unwrap().map(Result::unwrap).collect();
    let rows = |batches: &[RecordBatch]| {
        arrow::compute::concat_batches(&view.schema(), batches).unwrap()
    };
    assert_eq!(rows(&streamed), rows(&stored), "{}", view.name);
    assert_eq!(streamed[0].schema(), view.schema(), "{}: comments too", view.name);
    rows(&streamed)
}

#[tokio::test]
async fn every_view_has_the_same_rows_in_every_form() {
    for view in VIEWS {
        let (status, body) =
            json(&format!("/api/v1/views/{}?limit=10000", view.name)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let rows = body["rows"].as_array().unwrap();
        assert!(!rows.is_empty() && body["next"].is_null(), "{}", view.name);
        let batch = batch(view, "").await;
        assert_eq!(batch.num_rows(), rows.len(), "{}", view.name);
        for (at, column) in view.columns.iter().enumerate() {
            let null = |row: &Value| row[column.name].is_null();
            let nulls = rows.iter().filter(|row| null(row)).count();
            assert_eq!(batch.column(at).null_count(), nulls, "{}", column.name);
        }
        let (_, csv) =
            call(GOOD, Method::GET, &format!("/api/v1/views/{}?format=csv", view.name))
                .await;
        let header: Vec<&str> = view.columns.iter().map(|c| c.name).collect();
        assert!(csv.starts_with(&header.join(",")), "{csv:.200}");
    }
}

#[tokio::test]
async fn what_a_rule_withheld_is_null_and_says_so() {
    let (_, body) = json("/api/v1/views/census_by_country?product=kaspersky").await;
    let rows = body["rows"].as_array().unwrap();
    let hidden: Vec<&Value> = rows.iter().filter(|r| r["suppressed"] == true).collect();
    assert!(!hidden.is_empty() && hidden.len() < rows.len());
    for row in &hidden {
        assert!(row["organisations"].is_null() && row["contacts"].is_null(), "{row}");
    }
    let (_, csv) = call(
        GOOD,
        Method::GET,
        "/api/v1/views/census_by_country?product=kaspersky&format=csv",
    )
    .await;
    assert_eq!(csv.matches(",true,").count(), hidden.len());
    assert!(csv.contains("suppressed,suppressed"));
}

#[tokio::test]
async fn rows_of_one_product_can_be_asked_for() {
    let view = VIEWS.iter().find(|view| view.name == "census_by_month").unwrap();
    let all = batch(view, "").await;
    let one = batch(view, "&product=eset").await;
    assert!(one.num_rows() > 0 && one.num_rows() < all.num_rows());
    let none = batch(view, "&product=nothing").await;
    assert_eq!(none.num_rows(), 0);
    assert!(view.by_product() && view.columns[0].name == PRODUCT);
}

#[tokio::test]
async fn what_is_not_there_and_what_fails_is_told() {
    let (status, body) = json("/api/v1/views/sightings").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["hint"].as_str().unwrap().contains("census_by_month"), "{body}");
    let broken = Made { broken: true, ..GOOD };
    let uri = "/api/v1/views/census_by_month?format=parquet";
    let (answer, body) = call(broken, Method::GET, uri).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.contains("secret"), "{body}");
    let empty = Made { empty: true, ..GOOD };
    for view in VIEWS {
        let uri = format!("/api/v1/views/{}", view.name);
        let made = Made { ..empty };
        let (answer, body) = call(made, Method::GET, &uri).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}: {body}", view.name);
    }
}
