//! Where input comes from: files, folders, archives, object stores, standard input.
//!
//! **Invariant:** inputs come in one order whatever the file system says; what cannot be
//! opened is named and loses nothing else. An input is its decompressed bytes: the same file
//! alone, in an archive or from a bucket is the same input. What is not a file on this
//! machine (standard input, members of archives, objects) is kept in a temporary file for
//! as long as the run needs it, because every input is read more than once.

mod archive;
mod object;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempPath;
use tidegauge_store::fingerprint::{Fingerprint, Hashing};
use tidegauge_wire::{Format, Inflate};

pub(crate) use self::object::is_url;

/// What a source holds, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A format that `wire` decodes.
    Telemetry(Format),
    /// Parquet flows, to be imported with a mapping.
    Parquet,
    /// Text with separated columns, to be imported with a mapping.
    Csv,
    /// No bytes.
    Empty,
    /// A compressed stream of which nothing can be read.
    Damaged,
    /// None of these.
    Unknown,
}

/// One input.
#[derive(Debug)]
pub(crate) struct Source {
    /// Name for people: the path, or `-`.
    pub(crate) name: String,
    /// Where the bytes are.
    pub(crate) path: PathBuf,
    /// Size on disk, for progress.
    pub(crate) bytes: u64,
    /// What it holds.
    pub(crate) kind: Kind,
    /// SHA-256 of the decompressed bytes.
    pub(crate) fingerprint: Fingerprint,
    /// Keeps a temporary file while it is needed.
    _spool: Option<TempPath>,
}

/// A path that could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) name: String,
    pub(crate) error: io::Error,
}

/// Every file of `paths`, folders walked, in order of path, without repeats.
pub(crate) fn files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Unreadable>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        walk(path, &mut found, &mut unreadable);
    }
    found.sort();
    found.dedup();
    (found, unreadable)
}

fn walk(path: &Path, found: &mut Vec<PathBuf>, unreadable: &mut Vec<Unreadable>) {
    if path.as_os_str() == "-" || is_url(path) || !path.is_dir() {
        found.push(path.to_owned());
        return;
    }
    let listed =
        std::fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match listed {
        Ok(entries) => {
            for entry in &entries {
                walk_entry(entry, found, unreadable);
            }
        }
        Err(error) => {
            unreadable.push(Unreadable { name: path.display().to_string(), error });
        }
    }
}

/// What was named is read, whatever it is; what was only met on the way is read if it is a
/// regular file, or a link to one. Links to folders may lead in circles, and reading a
/// pipe may never end.
fn walk_entry(
    entry: &std::fs::DirEntry,
    found: &mut Vec<PathBuf>,
    unreadable: &mut Vec<Unreadable>,
) {
    let path = entry.path();
    if entry.file_name().to_string_lossy().starts_with('.') {
        return;
    }
    match entry.file_type() {
        Ok(kind) if kind.is_dir() => walk(&path, found, unreadable),
        Ok(kind) if kind.is_file() || (kind.is_symlink() && path.is_file()) => {
            found.push(path);
        }
        Ok(_) => {
            tracing::warn!("{}: neither a file nor a folder; left out", path.display());
        }
        Err(error) => {
            unreadable.push(Unreadable { name: path.display().to_string(), error });
        }
    }
}

/// Opens what is at `path`: one input, or each member of an archive, or each object below a
/// URL. `mapped` says that a mapping for columns is at hand, without which text is no CSV.
pub(crate) async fn open(path: &Path, mapped: bool) -> (Vec<Source>, Vec<Unreadable>) {
    let name = path.display().to_string();
    if is_url(path) {
        let (objects, mut unreadable) = object::fetch(&name).await;
        let mut sources = Vec::new();
        for (name, spool) in objects {
            let (found, failed) =
                unpack(name, spool.to_path_buf(), Some(spool), mapped);
            sources.extend(found);
            unreadable.extend(failed);
        }
        return (sources, unreadable);
    }
    if path.as_os_str() != "-" {
        return unpack(name, path.to_owned(), None, mapped);
    }
    match spool(&mut io::stdin().lock()) {
        Ok(spool) => unpack(name, spool.to_path_buf(), Some(spool), mapped),
        Err(error) => (Vec::new(), vec![Unreadable { name, error }]),
    }
}

/// The input in a file, or those in it if it is an archive.
fn unpack(
    name: String,
    path: PathBuf,
    spool: Option<TempPath>,
    mapped: bool,
) -> (Vec<Source>, Vec<Unreadable>) {
    let members = match archive::members(&path) {
        Ok(None) => {
            return match Source::at(name.clone(), path, spool, mapped) {
                Ok(source) => (vec![source], Vec::new()),
                Err(error) => (Vec::new(), vec![Unreadable { name, error }]),
            };
        }
        Ok(Some(members)) => members,
        Err(error) => return (Vec::new(), vec![Unreadable { name, error }]),
    };
    let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
    for (member, spool) in members.whole {
        let name = format!("{name}/{member}");
        match Source::at(name.clone(), spool.to_path_buf(), Some(spool), mapped) {
            Ok(source) => sources.push(source),
            Err(error) => unreadable.push(Unreadable { name, error }),
        }
    }
    unreadable.extend(members.damage.map(|error| Unreadable { name, error }));
    (sources, unreadable)
}

impl Source {
    fn at(
        name: String,
        path: PathBuf,
        spool: Option<TempPath>,
        mapped: bool,
    ) -> io::Result<Self> {
        let file = File::open(&path)?;
        let bytes = file.metadata()?.len();
        let mut input = Inflate::new(file);
        let kind = match recognise(input.head()?, mapped) {
            Kind::Empty if input.damage().is_some() => Kind::Damaged,
            kind => kind,
        };
        let mut hashing = Hashing::new(input);
        io::copy(&mut hashing, &mut io::sink())?;
        let fingerprint = hashing.fingerprint();
        Ok(Self { name, path, bytes, kind, fingerprint, _spool: spool })
    }

    /// Whether there is anything in it to read.
    pub(crate) fn has_bytes(&self) -> bool {
        !matches!(self.kind, Kind::Empty | Kind::Damaged)
    }

    /// The decompressed bytes, from the start.
    pub(crate) fn read(&self) -> anyhow::Result<Inflate<BufReader<File>>> {
        let file =
            File::open(&self.path).with_context(|| format!("opening {}", self.name))?;
        Ok(Inflate::new(BufReader::new(file)))
    }
}

fn recognise(head: &[u8], mapped: bool) -> Kind {
    if head.is_empty() {
        Kind::Empty
    } else if head.starts_with(b"PAR1") {
        Kind::Parquet
    } else if let Some(format) = tidegauge_wire::recognise(head) {
        Kind::Telemetry(format)
    } else if mapped && std::str::from_utf8(head.get(..256).unwrap_or(head)).is_ok() {
        Kind::Csv
    } else {
        Kind::Unknown
    }
}

/// Keeps bytes in a temporary file. The file is not held open: an archive may have more
/// members than a program may open files.
fn spool(input: &mut dyn Read) -> io::Result<TempPath> {
    let mut spool = tempfile::NamedTempFile::new()?;
    io::copy(input, &mut spool)?;
    spool.flush()?;
    Ok(spool.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.log", "a/z.log", ".hidden", "a/.git/x"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let twice = [folder.path().to_owned(), folder.path().join("b.log")];
        let (found, unreadable) = files(&twice);
        let names: Vec<_> =
            found.iter().map(|p| p.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a/z.log"), Path::new("b.log")]);
        assert!(unreadable.is_empty());
    }

    #[test]
    fn content_decides_not_the_name() {
        assert_eq!(recognise(b"", false), Kind::Empty);
        assert_eq!(recognise(b"PAR1....", false), Kind::Parquet);
        assert_eq!(recognise(b"a,b\n1,2\n", true), Kind::Csv);
        assert_eq!(recognise(b"a,b\n1,2\n", false), Kind::Unknown);
    }
}
