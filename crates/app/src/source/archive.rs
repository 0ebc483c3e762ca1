//! Archives of tar, compressed or not: each regular member is an input of its own.
//!
//! **Invariant:** names of members are for people alone: nothing is written where they say. A
//! member is whole or not there; where the archive is damaged, what came before counts.
//!
//! What is left out: links, sparse files (their holes could fill a disk), archives in archives.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::path::Path;

use tempfile::TempPath;
use tidegauge_wire::Inflate;

/// Where the format is named in the header of the first member, and how (POSIX ustar and pax,
/// GNU).
const MAGIC_AT: usize = 257;
const MAGIC: &[u8] = b"ustar";

/// What is in an archive.
pub(super) struct Members {
    /// The name of each member in the archive, and where its bytes are kept.
    pub(super) whole: Vec<(String, TempPath)>,
    /// Why not all of it could be read.
    pub(super) damage: Option<io::Error>,
}

/// The members of the archive at `path`, sorted by name; `None` if it is none.
pub(super) fn members(path: &Path) -> io::Result<Option<Members>> {
    let mut input = Inflate::new(BufReader::new(File::open(path)?));
    let is_archive =
        input.head()?.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(MAGIC));
    if !is_archive {
        return Ok(None);
    }
    let mut archive = tar::Archive::new(&mut input);
    let mut whole = Vec::new();
    let mut damage = None;
    for entry in archive.entries()? {
        match entry.and_then(|entry| member(entry)) {
            Ok(found) => whole.extend(found),
            Err(error) => {
                let last =
                    whole.last().map_or("its start", |(name, _): &(String, _)| name);
                let what = format!("the archive is damaged after {last}: {error}");
                damage = Some(io::Error::new(ErrorKind::InvalidData, what));
                break;
            }
        }
    }
    if damage.is_none() && input.damage().is_some() {
        let what = "the compressed archive is damaged behind its last whole member";
        damage = Some(io::Error::new(ErrorKind::InvalidData, what));
    }
    whole.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Some(Members { whole, damage }))
}

/// A regular member; none if it is something else.
fn member(
    mut entry: tar::Entry<'_, impl io::Read>,
) -> io::Result<Option<(String, TempPath)>> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let kind = entry.header().entry_type();
    if kind.is_gnu_sparse() {
        tracing::warn!("{name}: a sparse file in an archive; left out");
    }
    let hidden = name.split('/').any(|part| part.starts_with('.') && part.len() > 2);
    if !(kind.is_file() || kind.is_contiguous()) || hidden {
        return Ok(None);
    }
    let size = entry.size();
    let kept = super::spool(&mut entry)?;
    if std::fs::metadata(&kept)?.len() < size {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((name, kept)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Name and content.
    type Member = (String, Vec<u8>);

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(u64::try_from(bytes.len()).unwrap());
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> Option<(Vec<Member>, bool)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let found = members(file.path()).unwrap()?;
        let whole = found.whole.into_iter();
        let whole = whole.map(|(name, kept)| (name, std::fs::read(&kept).unwrap()));
        Some((whole.collect(), found.damage.is_some()))
    }

    #[test]
    fn members_come_sorted_and_hidden_ones_are_left_out() {
        let bytes =
            archive(&[("b/conn.log", b"two"), ("a.log", b"one"), (".git/x", b"no")]);
        let expected = vec![
            ("a.log".into(), b"one".to_vec()),
            ("b/conn.log".into(), b"two".to_vec()),
        ];
        assert_eq!(read(&bytes), Some((expected, false)));
        assert!(read(b"no archive").is_none());
    }

    #[test]
    fn an_archive_that_is_cut_gives_what_was_whole() {
        let text = [b'x'; 2_000];
        let bytes = archive(&[("a", &text), ("b", &text)]);
        let one = 512 + 2_048;
        for length in [one + 100, one + 512 + 700] {
            let (whole, damaged) = read(&bytes[..length]).unwrap();
            assert_eq!(whole, [("a".to_owned(), text.to_vec())], "{length}");
            assert!(damaged, "{length}");
        }
    }
}
