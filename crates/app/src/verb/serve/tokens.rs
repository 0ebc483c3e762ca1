//! The file of tokens: a name, a clearance and a digest each; and a new token.
//!
//! **Invariant:** a token is printed once, when it is made, and is in no file and no log.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tidegauge_publish::serve::{Clearance, Digest, Token};

use crate::{args, secret};

/// The file as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    clearance: args::Clearance,
    /// SHA-256 of the token, 64 hexadecimal digits.
    sha256: String,
}

/// Reads the tokens that are known.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Token>> {
    let hint =
        "hint: `tidegauge serve token NAME --clearance reader --tokens FILE` makes one";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read ({hint})", path.display()))?;
    let written: Written = toml::from_str(&text)
        .with_context(|| format!("{} ({hint})", path.display()))?;
    ensure!(!written.token.is_empty(), "{} has no token ({hint})", path.display());
    let known = written.token.iter().map(|entry| {
        let digest = bytes(&entry.sha256).with_context(|| {
            format!("{}: sha256 of `{}` is no digest", path.display(), entry.name)
        })?;
        let clearance = match entry.clearance {
            args::Clearance::Reader => Clearance::Reader,
            args::Clearance::Analyst => Clearance::Analyst,
        };
        Ok(Token { name: entry.name.clone(), clearance, digest: Digest(digest) })
    });
    known.collect()
}

/// Makes a token, adds its digest to the file and gives it back.
pub(super) fn add(asked: &args::NewToken) -> anyhow::Result<String> {
    let path = &asked.tokens;
    let mut written = match std::fs::read_to_string(path) {
        Ok(text) => {
            toml::from_str(&text).with_context(|| path.display().to_string())?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Written::default()
        }
        Err(error) => {
            return Err(error).with_context(|| path.display().to_string());
        }
    };
    if written.token.iter().any(|entry| entry.name == asked.name) {
        bail!(
            "{} has a token of `{}` (hint: take another name, or delete its entry to \
             revoke it)",
            path.display(),
            asked.name
        );
    }
    let token = fresh()?;
    written.token.push(Entry {
        name: asked.name.clone(),
        clearance: asked.clearance,
        sha256: hexadecimal(&Digest::of(&token).0),
    });
    let text = toml::to_string(&written)?;
    secret::write(path, &text)?;
    Ok(token)
}

/// `tg_` and 256 random bits.
fn fresh() -> anyhow::Result<String> {
    Ok(format!("tg_{}", hexadecimal(&secret::random()?)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = text.chars().map(digit).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_made_is_known_and_is_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens.toml");
        let asked = |name: &str, clearance| args::NewToken {
            name: name.to_owned(),
            clearance,
            tokens: tokens.clone(),
        };
        let first = add(&asked("grafana", args::Clearance::Reader)).unwrap();
        let second = add(&asked("alice", args::Clearance::Analyst)).unwrap();
        assert!(first != second && first.len() == 67, "{first}");
        let text = std::fs::read_to_string(&tokens).unwrap();
        assert!(!text.contains(&first) && !text.contains(&second));
        let known = read(&tokens).unwrap();
        let found = |token: &str| known.iter().find(|t| t.digest == Digest::of(token));
        assert_eq!(found(&first).map(|t| t.clearance), Some(Clearance::Reader));
        assert_eq!(found(&second).map(|t| t.clearance), Some(Clearance::Analyst));
        assert!(
            add(&asked("alice", args::Clearance::Reader)).is_err(),
            "a name is taken once"
        );
    }

    #[test]
    fn a_file_that_knows_nobody_or_a_digest_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let entry = |digest: &str| {
            format!(
                "[[token]]\nname = \"a\"\nclearance = \"reader\"\nsha256 = \"{digest}\"\n"
            )
        };
        let fifo = "0".repeat(65);
        for text in
            ["", &entry("12"), &entry(&"g".repeat(64)), &entry(&fifo), "token = 1"]
        {
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
        std::fs::write(&path, entry(&"a".repeat(64))).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
    }
}
