//! Who may see what: tokens and their clearance, the page to log in, and a record of who saw
//! what is internal.
//!
//! **Invariant:** without a known token nothing is answered but the page to log in, its
//! style and `/healthz`; a token is kept nowhere, only its digest; what a clearance does not reach
//! is answered by a router that has no way to it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt;

use super::answer::Problem;
use super::guard::{self, Limiter, RateLimit};
use super::selection::encoded;
use super::{healthz, icon, style};

/// The longest body of a form to log in.
const FORM_BYTES_MAX: usize = 4 << 10;
/// The front page.
const FRONT: &str = "/";
/// How long a browser stays logged in, in seconds: a working day.
const LOGIN_SECONDS: u32 = 12 * 60 * 60;

/// What the holder of a token may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clearance {
    /// What everybody may see: counts that passed the disclosure rule.
    Reader,
    /// Internal cells and organisations too.
    Analyst,
}

/// SHA-256 of a token. Tokens are 256 random bits, so that no slower digest is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// A token that is known.
#[derive(Clone, Debug)]
pub struct Token {
    /// Whose it is, for the record.
    pub name: String,
    /// What its holder may see.
    pub clearance: Clearance,
    /// Its digest.
    pub digest: Digest,
}

/// Something that is worth a record.
#[derive(Clone, Copy, Debug)]
pub enum Audited<'a> {
    /// Somebody saw something internal.
    Saw {
        /// Whose token it was.
        name: &'a str,
        /// The page or the route, without its query.
        path: &'a str,
    },
    /// Somebody logged in.
    Entered {
        /// Whose token it was.
        name: &'a str,
    },
    /// A token was not known.
    Refused,
}

/// Keeps the record.
pub type Record = Arc<dyn Fn(Audited<'_>) + Send + Sync>;

/// Who may see what.
#[derive(Clone)]
pub struct Access {
    /// Tokens that are known.
    pub tokens: Vec<Token>,
    /// Keeps the record.
    pub record: Record,
    /// How often one address may ask; guesses count too.
    pub limit: Option<RateLimit>,
    /// Readers come by HTTPS: browsers send the token by nothing else.
    pub secure: bool,
}

#[derive(Clone)]
struct Gate {
    access: Arc<Access>,
    public: Router,
    internal: Router,
}

/// Both routers behind tokens: readers get `public`, analysts `internal`.
pub fn gated(public: Router, internal: Router, access: Access) -> Router {
    let limiter = Arc::new(Limiter::new(access.limit.clone()));
    let gate = Gate { access: Arc::new(access), public, internal };
    Router::new()
        .route("/login", get(form).post(enter))
        .route("/logout", post(leave))
        .route("/healthz", get(healthz))
        .route("/assets/page.css", get(style))
        .route("/assets/icon.svg", get(icon))
        .fallback(pass)
        .layer(from_fn_with_state(limiter, guard::limited))
        .layer(from_fn(headed))
        .with_state(gate)
}

async fn headed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    guard::add_headers(response.headers_mut());
    response
}

/// Lets a holder of a token through to what its clearance reaches.
async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let shown = presented(request.headers(), gate.access.cookie());
    let Some(token) = shown.as_deref().and_then(|shown| gate.access.known(shown))
    else {
        if shown.is_some() {
            (gate.access.record)(Audited::Refused);
        }
        return stopped(request.method(), request.uri());
    };
    let path = request.uri().path().to_owned();
    let router = match token.clearance {
        Clearance::Reader => gate.public.clone(),
        Clearance::Analyst => gate.internal.clone(),
    };
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let saw = response.status().is_success() || response.status().is_redirection();
    if token.clearance == Clearance::Analyst && saw && !path.starts_with("/assets/") {
        (gate.access.record)(Audited::Saw { name: &token.name, path: &path });
    }
    response
}

/// Browsers are sent to the page to log in, programs get a problem.
fn stopped(method: &Method, uri: &Uri) -> Response {
    if uri.path().starts_with("/api/") || method != Method::GET {
        let problem = Problem {
            status: StatusCode::UNAUTHORIZED,
            error: "a token is needed".to_owned(),
            hint: "send `Authorization: Bearer TOKEN`".to_owned(),
        };
        let challenge = HeaderValue::from_static("Bearer");
        return ([(header::WWW_AUTHENTICATE, challenge)], problem).into_response();
    }
    let wanted = uri.path_and_query().map_or(FRONT, PathAndQuery::as_str);
    redirect(&login(wanted))
}

/// The page to log in, which goes on to `wanted`.
fn login(wanted: &str) -> String {
    if wanted == FRONT {
        return "/login".to_owned();
    }
    format!("/login?to={}", encoded(wanted))
}

/// Where an address of the page to log in goes on to: a page of ours, the front page if it
/// names none. `//host` and `/\host` would be others'.
fn wanted(uri: &Uri) -> String {
    let named = Query::<Vec<(String, String)>>::try_from_uri(uri).ok();
    let mut named = named.into_iter().flat_map(|Query(pairs)| pairs);
    let to = named.find(|(key, _)| key == "to").map(|(_, to)| to);
    let plain = |to: &String| {
        to.starts_with('/')
            && !to.starts_with("//")
            && to.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    to.filter(plain).unwrap_or_else(|| FRONT.to_owned())
}

fn redirect(to: &str) -> Response {
    let location = HeaderValue::try_from(to);
    let location = location.unwrap_or_else(|_| HeaderValue::from_static(FRONT));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

async fn form(uri: Uri) -> Response {
    login_page(StatusCode::OK, "", &wanted(&uri))
}

fn login_page(status: StatusCode, said: &str, wanted: &str) -> Response {
    let action = login(wanted);
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Log in · Tidegauge</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/page.css\">\n\
         <link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n</head>\n\
         <body>\n<header class=\"top\"><p class=\"kicker\">Tidegauge</p></header>\n\
         <main id=\"main\">\n<h1>Log in</h1>\n{said}<form method=\"post\" \
         action=\"{action}\" class=\"find\"><label>Token <input type=\"password\" \
         name=\"token\" autocomplete=\"current-password\" required></label> \
         <button>Log in</button></form>\n<p>The operator of these pages \
         gives out tokens.</p>\n</main>\n</body>\n</html>\n"
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], page).into_response()
}

/// Takes a token from the form and gives it to the browser to keep.
async fn enter(State(gate): State<Gate>, request: Request) -> Response {
    let wanted = wanted(request.uri());
    let body = to_bytes(request.into_body(), FORM_BYTES_MAX).await;
    let body = body.unwrap_or_else(|_| Bytes::new());
    let shown = field(&body, "token");
    let Some(token) = shown.as_deref().and_then(|shown| gate.access.known(shown))
    else {
        (gate.access.record)(Audited::Refused);
        let said = "<p class=\"error\" role=\"alert\">This token is not known.</p>\n";
        return login_page(StatusCode::UNAUTHORIZED, said, &wanted);
    };
    (gate.access.record)(Audited::Entered { name: &token.name });
    let kept = shown.unwrap_or_default();
    set_cookie(gate.access.cookie_text(&kept, LOGIN_SECONDS), &wanted)
}

/// Makes the browser forget its token.
async fn leave(State(gate): State<Gate>) -> Response {
    set_cookie(gate.access.cookie_text("", 0), FRONT)
}

fn set_cookie(text: String, to: &str) -> Response {
    let mut response = redirect(to);
    if let Ok(cookie) = HeaderValue::try_from(text) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

impl Access {
    fn known(&self, shown: &str) -> Option<&Token> {
        let digest = Digest::of(shown);
        self.tokens.iter().find(|token| token.digest == digest)
    }

    /// With `__Host-` a browser takes it by HTTPS alone, from this host alone.
    fn cookie(&self) -> &'static str {
        if self.secure { "__Host-tidegauge" } else { "tidegauge" }
    }

    fn cookie_text(&self, value: &str, seconds: u32) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
            self.cookie()
        )
    }
}

/// The token that comes with a request.
fn presented(headers: &HeaderMap, cookie: &str) -> Option<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    // The scheme's name has no case (RFC 9110, 11.1).
    let bearer = bearer
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim());
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut kept = cookies.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == cookie).then_some(value)
    });
    bearer.or_else(|| kept.next()).map(str::to_owned)
}

/// A field of a form whose value needs no escapes; tokens need none.
fn field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!value.is_empty() && value.chars().all(plain)).then(|| value.to_owned())
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("tokens", &self.tokens.len())
            .field("limit", &self.limit)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}
