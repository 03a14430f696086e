//! Reads the source tree for the checks in `tests/`: manifests, source files and documents of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Folder that holds the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace holds this crate")
}

/// All files below the root whose name ends with `suffix`, without build output and hidden folders, sorted.
#[must_use]
pub fn files(suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a listed entry can be read").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Text of one file.
#[must_use]
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// One crate's manifest, as far as the checks need it.
#[derive(Debug)]
pub struct Manifest {
    /// Folder of the manifest, relative to the root.
    pub folder: String,
    /// Package name.
    pub name: String,
    /// Names under `[dependencies]`.
    pub dependencies: Vec<String>,
    /// Whether the crate inherits the lints of the workspace.
    pub inherits_lints: bool,
}

/// Every crate manifest of the workspace.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let root = root();
    files("Cargo.toml")
        .into_iter()
        .filter(|path| path.parent() != Some(root.as_path()))
        .map(|path| parse_manifest(&root, &path))
        .collect()
}

fn parse_manifest(root: &Path, path: &Path) -> Manifest {
    let folder = path
        .parent()
        .expect("a file has a folder")
        .strip_prefix(root)
        .expect("files are below the root");
    let mut manifest = Manifest {
        folder: folder.display().to_string(),
        name: String::new(),
        dependencies: Vec::new(),
        inherits_lints: false,
    };
    let mut section = String::new();
    for line in text(path).lines() {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            header.trim_matches('[').clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().split('.').next().unwrap_or_default().to_owned();
            match (section.as_str(), key.as_str()) {
                ("package", "name") => value.trim().trim_matches('"').clone_into(&mut manifest.name),
                ("dependencies", _) => manifest.dependencies.push(key),
                ("lints", "workspace") => manifest.inherits_lints = value.trim() == "true",
                _ => {}
            }
        }
    }
    manifest
}
