//! What stands before every route: headers for browsers, who may ask from another site,
//! and how often one address may ask.
//!
//! **Invariant:** the memory of who asked is bounded; no address is written anywhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Problem;
use super::{Readers, Shared};

/// What browsers are told about every answer: load nothing from elsewhere, show it in no
/// frame, guess no type, keep no copy without asking whether it is still the newest.
const GUARDS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; font-src data:; \
         img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Adds the headers, where an answer has none of its own of that name.
pub(super) fn add_headers(headers: &mut HeaderMap) {
    for (name, value) in GUARDS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Adds the headers, and those for other sites that the operator named.
pub(super) async fn guarded(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let path_is_open = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    add_headers(response.headers_mut());
    let named = !shared.settings.origins.is_empty();
    if named && path_is_open {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    }
    let allowed = |origin: &HeaderValue| {
        let known = |o: &String| o.as_bytes() == origin.as_bytes();
        path_is_open && shared.settings.origins.iter().any(known)
    };
    if let Some(origin) = origin.filter(allowed) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    response
}

/// Refuses a request that came by a name which is not this machine's, if only this machine
/// may ask: a page elsewhere could have a name of its own pointed here, and its script then
/// read what is answered (DNS rebinding). Browsers always say by which name they came.
pub(super) async fn from_here(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let named = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    if shared.settings.readers == Readers::Here && !named.is_none_or(is_here) {
        let problem = Problem {
            status: StatusCode::MISDIRECTED_REQUEST,
            error: "these pages are for this machine alone".to_owned(),
            hint: "ask for localhost or 127.0.0.1; `--site` names another address"
                .to_owned(),
        };
        return problem.into_response();
    }
    next.run(request).await
}

/// Whether a host, with or without a port, is this machine by its own name or address.
fn is_here(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How many addresses are remembered. With more at once, those that asked least lately are
/// forgotten, which is to their advantage.
const ADDRESSES_MAX: usize = 16_384;

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How often one address may ask.
#[derive(Clone)]
pub struct RateLimit {
    /// Requests a minute, and as many at once.
    pub per_minute: u32,
    /// Reads the time.
    pub clock: Clock,
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit")
            .field("per_minute", &self.per_minute)
            .finish_non_exhaustive()
    }
}

/// A limit and who asked how often.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    limit: Option<RateLimit>,
    buckets: Buckets,
}

impl Limiter {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, buckets: Buckets::default() }
    }
}

/// What each address may still ask.
#[derive(Debug, Default)]
struct Buckets(Mutex<BTreeMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Buckets {
    /// Takes one request from what `address` may ask; else how many seconds to wait.
    fn take(&self, address: IpAddr, per_minute: u32, now: Instant) -> Result<(), u64> {
        let full = f64::from(per_minute.max(1));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            let oldest = buckets.iter().min_by_key(|(_, b)| b.at).map(|(a, _)| *a);
            oldest.map(|oldest| buckets.remove(&oldest));
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: full, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (passed * full / 60.0 + bucket.left).min(full);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        // The time until one whole request is there again, a minute at most.
        let missing =
            std::time::Duration::from_secs_f64((1.0 - bucket.left) * 60.0 / full);
        Err(missing.as_secs() + 1)
    }
}

/// Addresses of one household or host are one: an IPv6 /64.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Lets through as many requests of an address as the operator allows.
pub(super) async fn limited(
    State(limiter): State<Arc<Limiter>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(limit) = &limiter.limit else { return next.run(request).await };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address =
        peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| household(peer.0.ip()));
    match limiter.buckets.take(address, limit.per_minute, (limit.clock)()) {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let problem = Problem {
                status: StatusCode::TOO_MANY_REQUESTS,
                error: format!("more than {} requests a minute", limit.per_minute),
                hint: format!("wait {seconds} s"),
            };
            let mut response = problem.into_response();
            let wait = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_may_ask_again_when_time_has_passed() {
        let (buckets, begun) = (Buckets::default(), Instant::now());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(buckets.take(address, 2, begun), Ok(()));
        assert_eq!(buckets.take(address, 2, begun), Ok(()));
        assert_eq!(buckets.take(address, 2, begun), Err(31));
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert_eq!(buckets.take(other, 2, begun), Ok(()));
        let later = begun + Duration::from_secs(31);
        assert_eq!(buckets.take(address, 2, later), Ok(()));
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for number in 0..20_000 {
            let address = std::net::Ipv4Addr::from_bits(number).into();
            assert_eq!(buckets.take(address, 1, now), Ok(()));
        }
        assert_eq!(buckets.0.lock().unwrap().len(), ADDRESSES_MAX);
    }

    #[test]
    fn only_names_of_this_machine_are_here() {
        for here in
            ["localhost", "LocalHost:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:1"]
        {
            assert!(is_here(here.as_bytes()), "{here}");
        }
        for there in
            ["example.org", "localhost.example.org:80", "192.0.2.1", "", "::1.x"]
        {
            assert!(!is_here(there.as_bytes()), "{there}");
        }
        assert!(!is_here(&[0xff]));
    }

    #[test]
    fn a_household_is_one_asker() {
        let of = |text: &str| household(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
