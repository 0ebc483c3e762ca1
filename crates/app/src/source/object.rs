//! Inputs in object stores: `s3://BUCKET/KEY`, `gs://…`, `az://…`, `http(s)://…`.
//!
//! **Invariant:** an object is fetched once a run, into a temporary file; one that cannot be
//! read is named and loses nothing else. A URL that ends in a slash is a folder: all objects
//! below it, sorted.
//!
//! Credentials, regions and endpoints come from the environment, in the variables that the
//! tools of each store use (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`,
//! `AZURE_STORAGE_ACCOUNT_NAME`, …).

use std::io::{self, Write};
use std::path::Path;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempPath;
use url::Url;

use super::Unreadable;
use crate::clock;

/// Schemes of URLs that are inputs.
const SCHEMES: [&str; 8] = ["s3", "s3a", "gs", "az", "azure", "abfs", "http", "https"];

/// Whether what was typed is such a URL and not a path.
pub(crate) fn is_url(path: &Path) -> bool {
    let scheme = path.to_str().and_then(|text| text.split_once("://"));
    scheme.is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// Every object at or below the URL, with its name for people.
pub(super) async fn fetch(url: &str) -> (Vec<(String, TempPath)>, Vec<Unreadable>) {
    let unreadable =
        |name: &str, error: io::Error| Unreadable { name: name.to_owned(), error };
    let (store, found) = match list(url).await {
        Ok(found) => found,
        Err(error) => return (Vec::new(), vec![unreadable(url, error)]),
    };
    let (mut objects, mut failed) = (Vec::new(), Vec::new());
    for (name, location) in found {
        match download(&*store, &location).await {
            Ok(kept) => objects.push((name, kept)),
            Err(error) => failed.push(unreadable(&name, error)),
        }
    }
    (objects, failed)
}

type Found = Vec<(String, object_store::path::Path)>;

/// The store, and the places of the objects in it.
async fn list(text: &str) -> io::Result<(Box<dyn ObjectStore>, Found)> {
    let url = Url::parse(text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    // Whoever types `http` asks for it; the stores themselves refuse it unless told.
    let plain = (url.scheme() == "http").then(|| ("allow_http".into(), "true".into()));
    let options = clock::environment().chain(plain);
    let (store, path) =
        object_store::parse_url_opts(&url, options).map_err(io::Error::from)?;
    if !text.ends_with('/') {
        return Ok((store, vec![(text.to_owned(), path)]));
    }
    let listed: Vec<_> = store.list(Some(&path)).try_collect().await?;
    let name = |location: &object_store::path::Path| {
        let below = location.as_ref().strip_prefix(path.as_ref());
        format!("{text}{}", below.unwrap_or(location.as_ref()).trim_start_matches('/'))
    };
    let mut found: Found =
        listed.into_iter().map(|meta| (name(&meta.location), meta.location)).collect();
    found.sort();
    Ok((store, found))
}

async fn download(
    store: &dyn ObjectStore,
    location: &object_store::path::Path,
) -> io::Result<TempPath> {
    let mut bytes = store.get(location).await?.into_stream();
    let mut kept = tempfile::NamedTempFile::new()?;
    while let Some(chunk) = bytes.try_next().await? {
        kept.write_all(&chunk)?;
    }
    kept.flush()?;
    Ok(kept.into_temp_path())
}
