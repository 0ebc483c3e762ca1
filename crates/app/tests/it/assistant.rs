//! `tidegauge mcp`: an assistant asks over standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::House;
use crate::whole_way::filled;

/// Says `asked` to a server and returns its answers, one for each that has an id.
fn conversation(house: &House, more: &[&str], asked: &[Value]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command.current_dir(house.path(".")).env_remove("TIDEGAUGE_LAKE").arg("mcp");
    command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut answers = Vec::new();
    for message in asked {
        writeln!(input, "{message}").unwrap();
        if message.get("id").is_none() {
            continue;
        }
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "no answer to {message}");
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], message["id"], "{answer}");
        answers.push(answer);
    }
    drop(input);
    assert!(child.wait().unwrap().success(), "it ends with its input");
    answers
}

fn opening() -> Vec<Value> {
    let own = json!({ "name": "test", "version": "1" });
    let begins = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": own,
    });
    vec![
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": begins }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ]
}

fn call(id: u32, name: &str, arguments: &Value) -> Value {
    let asked = json!({ "name": name, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": asked })
}

/// What a tool said, and whether that is why it says nothing.
fn said(answer: &Value) -> (String, bool) {
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    (text, result["isError"] == true)
}

#[test]
fn tools_are_the_routes_and_hide_what_they_hide() {
    let house = filled();
    let april = json!({ "product": "kaspersky", "by": "country", "from": "2024-04", "to": "2024-04" });
    let november = json!({ "product": "kaspersky", "by": "country", "from": "2024-11", "to": "2024-11" });
    let mut asked = opening();
    asked.extend([
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        call(2, "census", &april),
        call(3, "census", &november),
        call(4, "census", &json!({ "by": "colour" })),
        call(5, "organisations", &json!({})),
        call(6, "policies_id", &json!({ "id": "US-BIS-2024-updates" })),
    ]);
    let answers = conversation(&house, &[], &asked);
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "tidegauge");
    let tools = answers[1]["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"census") && names.contains(&"policies_id"), "{names:?}");
    assert!(!names.contains(&"organisations"), "the operator's are not offered");
    assert!(tools.iter().all(|t| t["annotations"]["readOnlyHint"] == true));

    let (text, failed) = said(&answers[2]);
    assert!(!failed, "{text}");
    assert!(text.contains("\"organisations_active\":30"), "{text}");
    let (text, _) = said(&answers[3]);
    let census: Value = serde_json::from_str(&text).unwrap();
    let rows = census["rows"].as_array().unwrap();
    let germany = rows.iter().find(|row| row["key"]["country"] == "DE").unwrap();
    assert_eq!(germany["suppressed"], true, "three are too few: {text}");
    assert!(germany["counts"].is_null(), "{text}");
    let (text, failed) = said(&answers[4]);
    assert!(failed && text.contains("colour"), "{text}");
    assert!(answers[5]["error"]["message"].as_str().unwrap().contains("no tool"));
    let (text, failed) = said(&answers[6]);
    assert!(!failed && text.contains("US-BIS-2024-updates"), "{text}");
}

#[test]
fn the_operator_s_assistant_may_ask_for_organisations() {
    let house = filled();
    let mut asked = opening();
    asked.push(call(1, "organisations_id", &json!({ "id": "org-3" })));
    let answers = conversation(&house, &["--internal"], &asked);
    let (text, failed) = said(&answers[1]);
    assert!(!failed && text.contains("Organisation 3"), "{text}");
}

#[test]
fn the_operator_s_assistant_may_ask_for_findings() {
    let house = filled();
    house.file(
        "ours.csv",
        "id,name,kind,prefixes\nhq,Head office,asset,198.18.3.0/24\n",
    );
    let exposure = ["exposure", "--portfolio", "ours.csv", "--product", "kaspersky"];
    house.done(&exposure);
    let mut asked = opening();
    asked.push(call(1, "findings", &json!({})));
    let portfolio = ["--portfolio", "ours.csv"];
    let answers =
        conversation(&house, &[&["--internal"][..], &portfolio].concat(), &asked);
    let (text, failed) = said(&answers[1]);
    assert!(!failed && text.contains("Head office"), "{text}");
    let refused = house.run(&[&["mcp"][..], &portfolio].concat());
    assert!(
        refused.code == 1 && refused.words.contains("--internal"),
        "{}",
        refused.words
    );
}
