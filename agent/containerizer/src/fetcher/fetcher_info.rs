//! The instructions of the program `mesos-fetcher`: `mesos.fetcher.FetcherInfo` as JSON in the environment.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mesos_proto::v0::mesos::command_info::URI;
use nix::unistd::User;
use serde::Deserialize;
use thiserror::Error;

use super::{FetchError, FetchRequest, STALL_TIMEOUT_DEFAULT, fetch, instructions};

/// Why the instructions cannot be followed.
#[derive(Debug, Error)]
pub enum FetcherInfoError {
    /// The variable is missing.
    #[error("the environment variable MESOS_FETCHER_INFO is not set")]
    Missing,
    /// The variable is no such JSON.
    #[error("MESOS_FETCHER_INFO is no valid FetcherInfo")]
    Json(#[from] serde_json::Error),
    /// The account does not exist.
    #[error("user '{0}' of MESOS_FETCHER_INFO does not exist on this host")]
    User(String),
}

#[derive(Deserialize)]
struct Info {
    sandbox_directory: PathBuf,
    #[serde(default)]
    items: Vec<Item>,
    user: Option<String>,
    frameworks_home: Option<PathBuf>,
    stall_timeout: Option<Stall>,
}

#[derive(Deserialize)]
struct Item {
    uri: ItemUri,
    action: Action,
}

/// Without a cache every action means the same: fetch it now. Unknown ones are refused all the same.
#[derive(Deserialize)]
enum Action {
    #[serde(rename = "BYPASS_CACHE", alias = "DOWNLOAD_AND_CACHE", alias = "RETRIEVE_FROM_CACHE")]
    Fetch,
}

#[derive(Deserialize)]
struct ItemUri {
    value: String,
    executable: Option<bool>,
    extract: Option<bool>,
    cache: Option<bool>,
    output_file: Option<String>,
}

#[derive(Deserialize)]
struct Stall {
    nanoseconds: i64,
}

impl ItemUri {
    fn into_proto(self) -> URI {
        let mut uri = URI::new();
        uri.set_value(self.value);
        uri.executable = self.executable;
        uri.extract = self.extract;
        uri.cache = self.cache;
        uri.output_file = self.output_file;
        uri
    }
}

/// Fetches what the environment asks for; gives the fetched files.
///
/// # Errors
///
/// Says what is wrong with the instructions, or which URI failed and why.
pub fn run_from_environment() -> Result<Vec<PathBuf>, FetchError> {
    run(&instructions()?)
}

pub(super) fn run(text: &str) -> Result<Vec<PathBuf>, FetchError> {
    let info: Info = serde_json::from_str(text).map_err(FetcherInfoError::from)?;
    let owner = info.user.as_deref().map(owner_of).transpose()?;
    let stall_timeout = info
        .stall_timeout
        .and_then(|stall| u64::try_from(stall.nanoseconds).ok())
        .map_or(STALL_TIMEOUT_DEFAULT, Duration::from_nanos);
    let fetchable = |Item {
                         uri,
                         action: Action::Fetch,
                     }| uri.into_proto();
    let uris: Vec<URI> = info.items.into_iter().map(fetchable).collect();
    let request = FetchRequest {
        uris: &uris,
        sandbox: &info.sandbox_directory,
        frameworks_home: info.frameworks_home.as_deref().map(Path::new),
        owner,
        stall_timeout,
    };
    fetch(&request, &AtomicBool::new(false))
}

fn owner_of(name: &str) -> Result<(u32, u32), FetcherInfoError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok((user.uid.as_raw(), user.gid.as_raw())),
        Ok(None) | Err(_) => Err(FetcherInfoError::User(name.to_owned())),
    }
}
