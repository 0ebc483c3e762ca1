//! Secrets: random bytes, and files that hold them.
//!
//! **Invariant:** a file is written whole or not at all, and nobody but its owner may read it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Bytes of a secret: as hard to guess as a key of 256 bits.
pub(crate) const BYTES: usize = 32;

/// As many random bytes, from the system.
pub(crate) fn random() -> anyhow::Result<[u8; BYTES]> {
    let mut random = [0; BYTES];
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut random))
        .with_context(|| format!("{source} cannot be read"))?;
    Ok(random)
}

/// Writes a file in place of an older one.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    // Whole or not at all: a file that is cut would be of no use to anybody.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
