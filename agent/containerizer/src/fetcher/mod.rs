//! The fetcher: puts the files that a command names into its sandbox before the command runs.
//!
//! Each URI is copied or downloaded, then unpacked when it is an archive and unpacking was not refused, or made
//! executable when that was asked for. The caller may run it in the agent ([`fetch`]) or as the program
//! `mesos-fetcher` ([`run_from_environment`]). Nothing is cached: URIs that ask for the cache are fetched afresh.
//!
//! Source: shared facts, `containerizer_isolators.tsv` rows `fetcher`.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesos_proto::v0::mesos::command_info::URI;
use thiserror::Error;

mod archive;
mod download;
mod fetcher_info;
mod owner;

pub use archive::{ArchiveError, ArchiveKind};
pub use download::DownloadError;
pub use fetcher_info::{FetcherInfoError, run_from_environment};

/// Mode of files that were asked to be executable.
const EXECUTABLE_MODE: u32 = 0o755;

/// Longest stall of a download unless told otherwise.
pub const STALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// What to fetch, and where to.
#[derive(Clone, Debug)]
pub struct FetchRequest<'a> {
    /// The URIs in order.
    pub uris: &'a [URI],
    /// Folder that the files go to.
    pub sandbox: &'a Path,
    /// Folder that relative URIs start from.
    pub frameworks_home: Option<&'a Path>,
    /// Account that gets the files: user id and group id.
    pub owner: Option<(u32, u32)>,
    /// A download that brings nothing for this long fails.
    pub stall_timeout: Duration,
}

/// Why a URI could not be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The URI names no file.
    #[error("URI '{0}' names no file")]
    NoName(String),
    /// No way to fetch such a URI is built in.
    #[error("URI '{uri}' has the scheme '{scheme}'; supported: a path, file, http, https")]
    Scheme {
        /// The URI.
        uri: String,
        /// What stands before the colon.
        scheme: String,
    },
    /// A relative path, and nothing to start it from.
    #[error("URI '{0}' is a relative path, and the agent has no frameworks_home")]
    Relative(String),
    /// The name in the sandbox would be outside of it.
    #[error("URI '{uri}' asks for the output file '{output}', which is not inside the sandbox")]
    Output {
        /// The URI.
        uri: String,
        /// What it asks for.
        output: String,
    },
    /// A file on this host cannot be copied.
    #[error("failed to copy URI '{uri}' to '{}'", to.display())]
    Copy {
        /// The URI.
        uri: String,
        /// The file in the sandbox.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A download failed.
    #[error("failed to download URI '{uri}'")]
    Download {
        /// The URI.
        uri: String,
        /// The cause.
        source: DownloadError,
    },
    /// The archive cannot be unpacked.
    #[error("failed to extract '{}', fetched from URI '{uri}'", archive.display())]
    Extract {
        /// The URI.
        uri: String,
        /// The fetched file.
        archive: PathBuf,
        /// The cause.
        source: ArchiveError,
    },
    /// The file cannot be made executable or given to the task's user.
    #[error("failed to change mode or owner of what was fetched from URI '{uri}'")]
    Access {
        /// The URI.
        uri: String,
        /// The cause.
        source: io::Error,
    },
    /// The container was destroyed meanwhile.
    #[error("fetching was given up")]
    Cancelled,
    /// The program's instructions are bad.
    #[error("failed to read the fetcher's instructions")]
    Instructions(#[from] FetcherInfoError),
}

/// Where a URI points to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A file on this host.
    Local(PathBuf),
    /// A resource of a web server.
    Http,
}

/// Fetches all URIs in order; gives the files and archives as they stand in the sandbox.
///
/// `cancelled` is looked at between files and during downloads.
///
/// # Errors
///
/// Gives the first failure; files that were fetched before it stay.
pub fn fetch(request: &FetchRequest<'_>, cancelled: &AtomicBool) -> Result<Vec<PathBuf>, FetchError> {
    let mut fetched = Vec::with_capacity(request.uris.len());
    for uri in request.uris {
        if cancelled.load(Ordering::Relaxed) {
            return Err(FetchError::Cancelled);
        }
        if uri.cache() {
            tracing::info!(uri = uri.value(), "the fetcher keeps no cache yet: fetching afresh");
        }
        fetched.push(fetch_one(request, uri, cancelled)?);
    }
    Ok(fetched)
}

fn fetch_one(request: &FetchRequest<'_>, uri: &URI, cancelled: &AtomicBool) -> Result<PathBuf, FetchError> {
    let value = uri.value().trim();
    let source = source_of(value, request.frameworks_home)?;
    let path = request.sandbox.join(output_name(uri)?);
    let copy_error = |source| FetchError::Copy {
        uri: value.to_owned(),
        to: path.clone(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(copy_error)?;
    }
    match source {
        Source::Local(from) => copy(&from, &path).map_err(copy_error)?,
        Source::Http => download::download(value, &path, request.stall_timeout, cancelled).map_err(|source| {
            FetchError::Download {
                uri: value.to_owned(),
                source,
            }
        })?,
    }
    let access_error = |source| FetchError::Access {
        uri: value.to_owned(),
        source,
    };
    if uri.executable() {
        fs::set_permissions(&path, fs::Permissions::from_mode(EXECUTABLE_MODE)).map_err(access_error)?;
    } else if uri.extract()
        && let Some(kind) = ArchiveKind::of(&path)
    {
        // Next to the archive itself, which may stand in a folder of the sandbox.
        let folder = path.parent().unwrap_or(request.sandbox);
        archive::extract(kind, &path, folder).map_err(|source| FetchError::Extract {
            uri: value.to_owned(),
            archive: path.clone(),
            source,
        })?;
    }
    if let Some((uid, gid)) = request.owner {
        owner::give_all(request.sandbox, uid, gid).map_err(access_error)?;
    }
    Ok(path)
}

/// Copies a file, or a whole folder as the original does it for local paths.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn source_of(value: &str, frameworks_home: Option<&Path>) -> Result<Source, FetchError> {
    let Some((scheme, rest)) = value.split_once("://") else {
        let path = Path::new(value);
        if path.is_absolute() {
            return Ok(Source::Local(path.to_owned()));
        }
        let home = frameworks_home.filter(|home| !home.as_os_str().is_empty());
        return match home {
            Some(home) => Ok(Source::Local(home.join(path))),
            None => Err(FetchError::Relative(value.to_owned())),
        };
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if path.starts_with('/') {
                Ok(Source::Local(PathBuf::from(path)))
            } else {
                Err(FetchError::Relative(value.to_owned()))
            }
        }
        "http" | "https" => Ok(Source::Http),
        _ => Err(FetchError::Scheme {
            uri: value.to_owned(),
            scheme: scheme.to_owned(),
        }),
    }
}

/// Name of the file below the sandbox: the output file when one is asked for, else the URI's last segment.
fn output_name(uri: &URI) -> Result<PathBuf, FetchError> {
    let value = uri.value().trim();
    if !uri.output_file().is_empty() {
        let output = Path::new(uri.output_file());
        return if output.components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(output.to_owned())
        } else {
            Err(FetchError::Output {
                uri: value.to_owned(),
                output: uri.output_file().to_owned(),
            })
        };
    }
    let path = match value.split_once("://") {
        // Without a path there is only a host name, which is no file name.
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => value.trim_end_matches('/'),
    };
    match path.rsplit('/').next() {
        None | Some("" | "." | "..") => Err(FetchError::NoName(value.to_owned())),
        Some(name) => Ok(PathBuf::from(name)),
    }
}

/// Whether fetching `uris` needs any work; lets the caller skip a thread.
#[must_use]
pub fn is_needed(uris: &[URI]) -> bool {
    !uris.is_empty()
}

/// The variable that carries the instructions of `mesos-fetcher`.
const FETCHER_INFO: &str = "MESOS_FETCHER_INFO";

fn instructions() -> Result<String, FetcherInfoError> {
    env::var(FETCHER_INFO).map_err(|_| FetcherInfoError::Missing)
}

#[cfg(test)]
mod tests;
