//! Answers that are kept while the lake does not change, and the tags by which a reader's
//! program knows that it has the newest already.
//!
//! **Invariant:** an answer is kept only under the version of the lake that it was made
//! from, only if it succeeded, and within a bound of bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Shared;
use super::answer::Problem;
use super::part::{Part, content_range, part};

/// How much is kept: some five hundred pages. Picked by hand, revisit.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// The largest answer there is: ten thousand rows of JSON are some 5 MB.
const BODY_BYTES_MAX: usize = 32 << 20;
/// The one unit in which a part can be asked for.
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// Hexadecimal digits of a tag: 64 bits are far more than one version has answers.
const TAG_BYTES: usize = 8;

/// Says that an answer will soon be another one though the lake is the same.
#[derive(Clone, Copy, Debug)]
struct Fleeting;

/// Marks an answer that must not be kept.
pub(super) fn fleeting(mut response: Response) -> Response {
    response.extensions_mut().insert(Fleeting);
    response
}

/// Answers by address.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    version: u64,
    bytes: usize,
    by_address: BTreeMap<String, Arc<Answer>>,
}

#[derive(Debug)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Kept {
    fn find(&self, version: u64, address: &str) -> Option<Arc<Answer>> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = answers.version == version;
        same.then(|| answers.by_address.get(address).cloned()).flatten()
    }

    fn keep(&self, version: u64, address: String, answer: Arc<Answer>) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = answer.body.len() + address.len();
        if answers.version != version || answers.bytes + size > KEPT_BYTES_MAX {
            *answers = Answers { version, ..Answers::default() };
        }
        if size <= KEPT_BYTES_MAX
            && answers.by_address.insert(address, answer).is_none()
        {
            answers.bytes += size;
        }
    }
}

/// Answers from what is kept, or asks and keeps; tags every answer that succeeded.
pub(super) async fn tagged(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let bare = request.method() == Method::HEAD;
    if bare {
        *request.method_mut() = Method::GET;
    } else if request.method() != Method::GET {
        return next.run(request).await;
    }
    let asked = request.headers().clone();
    let address = request.uri().to_string();
    let version = shared.counts.version().await;
    let known = version.and_then(|version| shared.kept.find(version, &address));
    let answer = match known {
        Some(answer) => answer,
        None => match fresh(&shared, version, address, request, next).await {
            Ok(answer) => answer,
            Err(other) => return other,
        },
    };
    respond(&answer, &asked, bare)
}

/// Asks; what did not succeed goes back as it is.
async fn fresh(
    shared: &Shared,
    version: Option<u64>,
    address: String,
    request: Request,
    next: Next,
) -> Result<Arc<Answer>, Response> {
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return Err(response);
    }
    let passing = response.extensions().get::<Fleeting>().is_some();
    // A file of all findings can be larger than anything that is kept: it passes untagged.
    let size = response.body().size_hint().exact().unwrap_or(0);
    if passing && usize::try_from(size).is_ok_and(|size| size > BODY_BYTES_MAX) {
        return Err(response);
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", digest(&body))) {
        parts.headers.insert(header::ETAG, tag);
    }
    let answer = Arc::new(Answer { headers: parts.headers, body });
    if let Some(version) = version.filter(|_| !passing) {
        shared.kept.keep(version, address, Arc::clone(&answer));
    }
    Ok(answer)
}

fn respond(answer: &Answer, asked: &HeaderMap, bare: bool) -> Response {
    let tag = answer.headers.get(header::ETAG);
    let (body, length) = (&answer.body, answer.body.len());
    // A part of what is not sent at all is nothing (RFC 9110, 14.2).
    let of = if bare { Part::Whole } else { part(asked, tag, length) };
    let same = asked.get(header::IF_NONE_MATCH).is_some_and(|w| is_among(tag, w));
    let mut range = None;
    let (status, body) = match of {
        _ if same => (StatusCode::NOT_MODIFIED, Body::empty()),
        Part::Whole if bare => (StatusCode::OK, Body::empty()),
        Part::Whole => (StatusCode::OK, Body::from(body.clone())),
        Part::Bytes(bytes) => {
            range = Some(content_range(Some(&bytes), length));
            (StatusCode::PARTIAL_CONTENT, Body::from(body.slice(bytes)))
        }
        Part::Beyond => return beyond(length),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    *headers = answer.headers.clone();
    headers.insert(header::ACCEPT_RANGES, BYTES);
    if let Some(range) = range {
        headers.insert(header::CONTENT_RANGE, range);
    }
    if bare && !same {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// That an answer is shorter than where the part begins that was asked for.
fn beyond(length: usize) -> Response {
    let problem = Problem {
        status: StatusCode::RANGE_NOT_SATISFIABLE,
        error: format!("the answer has {length} bytes, and `Range` begins behind them"),
        hint: "ask without `Range`, or for the last bytes: `bytes=-1000`".to_owned(),
    };
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, BYTES);
    headers.insert(header::CONTENT_RANGE, content_range(None, length));
    response
}

/// Whether a tag is one of those that a reader has.
fn is_among(tag: Option<&HeaderValue>, had: &HeaderValue) -> bool {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let (Some(tag), Some(had)) = (tag.and_then(text), text(had)) else { return false };
    let mut had = had.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    had.any(|had| had == tag || had == "*")
}

fn digest(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let digits = digest.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: usize) -> Arc<Answer> {
        Arc::new(Answer { headers: HeaderMap::new(), body: vec![0; bytes].into() })
    }

    #[test]
    fn another_version_forgets_the_answers_of_the_one_before() {
        let kept = Kept::default();
        kept.keep(1, "/a".to_owned(), answer(10));
        assert!(kept.find(1, "/a").is_some());
        assert!(kept.find(2, "/a").is_none());
        kept.keep(2, "/b".to_owned(), answer(10));
        assert!(kept.find(1, "/a").is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = Kept::default();
        for number in 0..100 {
            kept.keep(1, format!("/{number}"), answer(1 << 20));
        }
        assert!(kept.0.lock().unwrap().bytes <= KEPT_BYTES_MAX);
        assert!(kept.find(1, "/99").is_some());
    }
}
