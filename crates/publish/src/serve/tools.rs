//! The interface as tools for assistants: each route that answers with figures, under the name
//! of its operation, its keys as arguments.
//!
//! **Invariant:** a tool is its route, asked in this process: it can do no more, it refuses
//! what the route refuses, and it shows what passed the disclosure rule. An answer fits into a
//! conversation, or it is refused with a hint.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::openapi::{operation_id, schema};
use super::param::FORMAT;
use super::routes::{ROUTES, Route};
use crate::figure::append;

/// The key by which more or fewer rows are asked for.
const LIMIT: &str = "limit";
/// Rows of an answer unless more are asked for.
const ROWS: u32 = 100;
/// Bytes of an answer: some twenty thousand words, a part of what an assistant can read.
const ANSWER_BYTES_MAX: usize = 128 << 10;
/// Bytes of an answer that are read at all, to say how long it was.
const READ_BYTES_MAX: usize = 16 << 20;

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it tells.
    pub description: String,
    /// JSON Schema of its arguments.
    pub arguments: Map<String, Value>,
}

/// All tools: those for the operator alone only if `internal`.
pub fn tools(internal: bool) -> Vec<Tool> {
    routes().filter(|route| internal || !route.internal).map(tool).collect()
}

/// Asks a tool of `router`: the answer, or why there is none.
pub async fn call(
    router: Router,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<String, String> {
    let route = routes().find(|route| operation_id(route.path) == name);
    let route = route.ok_or_else(|| format!("there is no tool `{name}`"))?;
    let request = Request::get(address(route, arguments)?).body(Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status();
    let body = to_bytes(response.into_body(), READ_BYTES_MAX).await;
    let body = body.map_err(|error| error.to_string())?;
    if body.len() > ANSWER_BYTES_MAX {
        return Err(format!(
            "the answer has {} bytes, and {ANSWER_BYTES_MAX} are sent at most\nhint: ask for \
             fewer rows, a shorter period or fewer dimensions",
            body.len()
        ));
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(text) } else { Err(text) }
}

/// The routes that answer with figures.
fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.reply.has_figures())
}

fn tool(route: &Route) -> Tool {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if !route.name.is_empty() {
        let id = json!({ "type": "string", "minLength": 1, "description": route.name });
        properties.insert("id".to_owned(), id);
        required.push("id");
    }
    // Assistants read JSON: the one form that every route has.
    for key in route.keys.iter().filter(|key| key.name != FORMAT) {
        let mut schema = schema(key);
        schema["description"] = if key.name == LIMIT {
            format!("The most rows in this answer; {ROWS} if absent.").into()
        } else {
            key.about.into()
        };
        properties.insert(key.name.to_owned(), schema);
        if key.required {
            required.push(key.name);
        }
    }
    let arguments = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let Value::Object(arguments) = arguments else {
        unreachable!("an object was made")
    };
    Tool {
        name: operation_id(route.path),
        description: format!("{}.", route.summary),
        arguments,
    }
}

/// The path and query that `arguments` ask for.
fn address(route: &Route, arguments: &Map<String, Value>) -> Result<String, String> {
    let mut path = route.path.to_owned();
    let mut keys = Vec::new();
    for (name, value) in arguments {
        let value = match value {
            Value::String(text) => encoded(text),
            Value::Number(number) => encoded(&number.to_string()),
            Value::Null => continue,
            other => {
                return Err(format!("`{name}` is text or a number, not {other}"));
            }
        };
        if name == "id" && path.contains("{id}") {
            path = path.replace("{id}", &value);
        } else {
            keys.push(format!("{}={value}", encoded(name)));
        }
    }
    if path.contains("{id}") {
        return Err(format!("`id` is needed: {}", route.name));
    }
    let limited = route.keys.iter().any(|key| key.name == LIMIT);
    if limited && !arguments.contains_key(LIMIT) {
        keys.push(format!("{LIMIT}={ROWS}"));
    }
    Ok(if keys.is_empty() { path } else { format!("{path}?{}", keys.join("&")) })
}

/// Percent-encoded but for what no part of an address gives a meaning to (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            append(&mut out, format_args!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_what_it_takes() {
        let all = tools(true);
        let names: Vec<_> = all.iter().map(|t| t.name.as_str()).collect();
        for name in ["census", "assess", "policies_id", "organisations_id", "coverage"]
        {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        for tool in &all {
            assert!(tool.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(!tool.description.is_empty());
            assert_eq!(tool.arguments["type"], "object");
            assert!(tool.arguments["properties"].get("format").is_none());
        }
        let public = tools(false);
        assert!(public.iter().all(|t| !t.name.contains("organisation")), "{public:?}");
    }

    #[test]
    fn what_is_asked_for_is_one_address() {
        let route =
            |name: &str| routes().find(|r| operation_id(r.path) == name).unwrap();
        let arguments = |value: Value| value.as_object().unwrap().clone();
        let asked = address(
            route("census"),
            &arguments(
                json!({ "by": "country,sector", "product": "a&b=#", "limit": 5 }),
            ),
        );
        assert_eq!(
            asked.unwrap(),
            "/api/v1/census?by=country%2Csector&limit=5&product=a%26b%3D%23"
        );
        let asked =
            address(route("policies_id"), &arguments(json!({ "id": "../x?y" })));
        assert_eq!(asked.unwrap(), "/api/v1/policies/..%2Fx%3Fy");
        assert_eq!(address(route("scope"), &Map::new()).unwrap(), "/api/v1/scope");
        assert_eq!(
            address(route("figures"), &Map::new()).unwrap(),
            "/api/v1/figures?limit=100"
        );
        assert!(
            address(route("policies_id"), &Map::new()).unwrap_err().contains("`id`")
        );
        let list = arguments(json!({ "by": ["country"] }));
        assert!(address(route("census"), &list).unwrap_err().contains("`by`"));
    }
}
