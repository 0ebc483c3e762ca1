//! Secrets: random bytes, and files that hold them.
//!
//! **Invariant:** a file is written whole or not at all, and nobody but its owner may read it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
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
    let told = || format!("writing {}", path.display());
    let folder = folder(path);
    // Beside it, by a name that nobody else has: whole or not at all.
    let mut beside = tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)
        .with_context(told)?;
    let mut write = || -> std::io::Result<()> {
        beside.write_all(text.as_bytes())?;
        beside.as_file().sync_all()
    };
    write().with_context(told)?;
    beside.persist(path).with_context(told)?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(told)
}

/// The folder that a file is in, or is to be in.
pub(crate) fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Whether nobody but its owner may read a file that is there.
pub(crate) fn is_private(path: &Path) -> bool {
    // The last six bits are those of its group and of all others.
    let is = |file: std::fs::Metadata| file.permissions().mode().trailing_zeros() >= 6;
    std::fs::metadata(path).is_ok_and(is)
}
