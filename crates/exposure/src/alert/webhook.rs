//! Signed JSON, as Standard Webhooks 1.0 has it, so that receivers check it with a library
//! they have.
//!
//! **Invariant:** the signature covers key, time and body. A secret is never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tidegauge_model::Instant;

use super::message::Change;
use crate::id::Id;

/// Version of the payload's shape.
pub const SCHEMA_VERSION: u32 = 1;
/// Least length of a secret, as Standard Webhooks asks.
pub const SECRET_BYTES_MIN: usize = 24;

/// What both sides know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that cannot be used. It is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// What follows `whsec_` is no base64.
    #[error("what follows `whsec_` is not base64")]
    Base64,
    /// Too short.
    #[error("shorter than {SECRET_BYTES_MIN} bytes")]
    Short,
}

impl Secret {
    /// `whsec_` and base64, or any text of 24 bytes or more.
    pub fn read(text: &str) -> Result<Self, BadSecret> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(coded) => STANDARD.decode(coded).map_err(|_| BadSecret::Base64)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            Err(BadSecret::Short)
        } else {
            Ok(Self(bytes))
        }
    }
}

/// The headers of an attempt at `now`. The key is the same at every attempt, so a receiver
/// that has it already does nothing.
pub fn headers(
    secret: &Secret,
    key: &str,
    now: Instant,
    body: &str,
) -> [(&'static str, String); 4] {
    let seconds = now.0.div_euclid(1_000_000);
    [
        ("idempotency-key", key.to_owned()),
        ("webhook-id", key.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature(secret, key, seconds, body)),
    ]
}

/// `v1,` and the HMAC-SHA256 of `key.time.body`.
fn signature(secret: &Secret, key: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0)
        .expect("HMAC takes keys of every length");
    mac.update(format!("{key}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

pub(super) fn body(key: Id, changes: &[Change<'_>], digest: bool) -> String {
    let data: Vec<_> = changes.iter().map(Change::json).collect();
    let kind = match changes {
        [one] if !digest => format!("finding.{}", one.on.as_str()),
        _ => "finding.digest".to_owned(),
    };
    let value = json!({
        "schema_version": SCHEMA_VERSION,
        "type": kind,
        "id": key,
        "data": data,
    });
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_alike() {
        // The example of the libraries of Standard Webhooks.
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_long_and_never_printed() {
        assert_eq!(Secret::read("short"), Err(BadSecret::Short));
        assert_eq!(Secret::read("whsec_?"), Err(BadSecret::Base64));
        let secret = Secret::read("a long secret that nobody guesses").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
