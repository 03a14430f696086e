//! A file of scenarios: its header, and the lines of each scenario.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::parse::{Source, line};
use super::step::Line;
use super::words::WordError;

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line says nothing.
    #[error("{}:{number}: {error}: {text}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        number: usize,
        /// The line.
        text: String,
        /// What is wrong with it.
        error: WordError,
    },
    /// A line of the header that nobody knows.
    #[error("{}:{number}: a header line is one of cluster, master, agent NAME, needs and scenario: {text}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        number: usize,
        /// The line.
        text: String,
    },
}

/// What a scenario runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Flags of the master beyond those that the tests always use.
    pub master: Vec<String>,
    /// Names and flags of the agents; one called A when the file names none.
    pub agents: Vec<(String, Vec<String>)>,
    /// Whether the scenarios of the file run on one cluster at the same time.
    pub shared: bool,
    /// Whether the cluster has no agent at all.
    pub agentless: bool,
}

impl Setting {
    /// Whether any master with an ordinary agent will do.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.master.is_empty()
            && !self.agentless
            && self.agents.iter().all(|(name, flags)| name == "A" && flags.is_empty())
    }
}

/// One scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The sentence that names it.
    pub name: String,
    /// Area, which is the folder, and behaviour, which is the file.
    pub place: String,
    /// Its file.
    pub path: PathBuf,
    /// What it runs on.
    pub setting: Setting,
    /// Pitfalls of the protocol that it is about.
    pub pitfalls: Vec<String>,
    /// Why it cannot run against just any master, when it says so.
    pub needs: Option<String>,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Lines that are carried out at its end, whether it holds or not.
    pub afterwards: Vec<Line>,
}

/// Reads all files below a folder, sorted by path.
///
/// # Errors
///
/// Names the first file, or the first line, that cannot be used.
pub fn load(folder: &Path) -> Result<Vec<Scenario>, FileError> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = fs::read_dir(&next).map_err(|source| FileError::Read {
            path: next.clone(),
            source,
        })?;
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "txt") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|source| FileError::Read {
            path: path.clone(),
            source,
        })?;
        let place = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        scenarios.extend(parse(&path, &place.display().to_string(), &text)?);
    }
    Ok(scenarios)
}

/// Reads the text of one file.
///
/// # Errors
///
/// Names the first line that cannot be used.
pub fn parse(path: &Path, place: &str, text: &str) -> Result<Vec<Scenario>, FileError> {
    let mut setting = Setting::default();
    let mut needs = None;
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut afterwards = false;
    for source in sources(text) {
        let header = header(&source.text);
        if let Some(("scenario", name)) = header {
            afterwards = false;
            scenarios.push(Scenario {
                name: name.to_owned(),
                place: place.to_owned(),
                path: path.to_owned(),
                setting: setting.clone(),
                pitfalls: Vec::new(),
                needs: needs.clone(),
                lines: Vec::new(),
                afterwards: Vec::new(),
            });
            continue;
        }
        match (scenarios.last_mut(), header) {
            (None, Some(("needs", reason))) => needs = Some(reason.to_owned()),
            (None, Some((key, value))) if add_to(&mut setting, key, value) => {}
            (None, _) => {
                return Err(FileError::Header {
                    path: path.to_owned(),
                    number: source.number,
                    text: source.text,
                });
            }
            (Some(scenario), Some(("pitfall", names))) => {
                scenario.pitfalls = names.split_whitespace().map(str::to_owned).collect();
            }
            (Some(scenario), Some(("needs", reason))) => scenario.needs = Some(reason.to_owned()),
            (Some(_), _) if source.text == "afterwards" => afterwards = true,
            (Some(scenario), _) => {
                let line = line(&source).map_err(|error| FileError::Line {
                    path: path.to_owned(),
                    number: source.number,
                    text: source.text.clone(),
                    error,
                })?;
                if afterwards {
                    scenario.afterwards.push(line);
                } else {
                    scenario.lines.push(line);
                }
            }
        }
    }
    Ok(scenarios)
}

/// `key: value` where the key is one that headers have.
fn header(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let known = ["scenario", "pitfall", "needs", "master", "cluster"].contains(&key)
        || key.strip_prefix("agent ").is_some_and(|name| !name.contains(' '));
    known.then(|| (key, value.trim()))
}

fn add_to(setting: &mut Setting, key: &str, value: &str) -> bool {
    let flags = || value.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    match (key.split_once(' '), key, value) {
        (None, "master", _) => setting.master = flags(),
        (None, "cluster", "shared") => setting.shared = true,
        (None, "cluster", "without agents") => setting.agentless = true,
        (None, "cluster", "shared, without agents") => {
            setting.shared = true;
            setting.agentless = true;
        }
        (Some(("agent", name)), ..) => setting.agents.push((name.to_owned(), flags())),
        _ => return false,
    }
    true
}

/// Puts indented lines to the line above; leaves empty lines and comments out.
fn sources(text: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    let mut indent_of_block = 0;
    for (index, raw) in text.lines().enumerate() {
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        match sources.last_mut().filter(|_| indent > 0) {
            None => {
                sources.push(Source {
                    number: index + 1,
                    text: trimmed.to_owned(),
                    block: Vec::new(),
                });
                indent_of_block = 0;
            }
            Some(above) if !above.text.ends_with(':') => {
                above.text.push(' ');
                above.text.push_str(trimmed);
            }
            Some(above) => {
                if indent_of_block == 0 {
                    indent_of_block = indent;
                }
                match above.block.last_mut().filter(|_| indent > indent_of_block) {
                    Some(last) => {
                        last.push(' ');
                        last.push_str(trimmed);
                    }
                    None => above.block.push(trimmed.to_owned()),
                }
            }
        }
    }
    sources
}
