//! `/version`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::open_to_all;
use crate::http::Response;
use crate::{Context, Process};

const HELP: &str = "Tells the version of this program and how it was built, as a JSON object.";

/// What `/version` tells about a program. What is absent is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionInfo {
    /// The version that clients compare, `X.Y.Z`.
    pub version: String,
    /// When the program was built, for people.
    pub build_date: Option<String>,
    /// When the program was built, in seconds since the Unix epoch.
    pub build_time: Option<f64>,
    /// Who built it.
    pub build_user: Option<String>,
    /// The commit it was built from.
    pub git_sha: Option<String>,
    /// The branch it was built from.
    pub git_branch: Option<String>,
    /// The tag it was built from.
    pub git_tag: Option<String>,
    /// Further fields.
    pub extra: BTreeMap<String, String>,
}

impl Default for VersionInfo {
    /// This crate's version and nothing about its build.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build_date: None,
            build_time: None,
            build_user: None,
            git_sha: None,
            git_branch: None,
            git_tag: None,
            extra: BTreeMap::new(),
        }
    }
}

impl VersionInfo {
    /// The fields as a JSON object, keys in order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields: Map<String, Value> = self
            .extra
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
        for (key, value) in [
            ("build_date", &self.build_date),
            ("build_user", &self.build_user),
            ("git_sha", &self.git_sha),
            ("git_branch", &self.git_branch),
            ("git_tag", &self.git_tag),
        ] {
            if let Some(value) = value {
                fields.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        if let Some(build_time) = self.build_time {
            fields.insert("build_time".to_owned(), Value::from(build_time));
        }
        fields.insert("version".to_owned(), Value::from(self.version.as_str()));
        Value::Object(fields)
    }
}

/// The process `version`.
pub(super) struct Version;

impl Process for Version {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.route("", open_to_all(HELP), |_, _, responder, context| {
            responder.send(Response::ok_json(context.node().config().version.to_json().to_string()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_recorded_names_and_types() {
        let info = VersionInfo {
            version: "1.11.0".to_owned(),
            build_date: Some("2026-11-20 11:12:54 UTC".to_owned()),
            build_time: Some(1_795_173_174.0),
            build_user: Some("root".to_owned()),
            git_sha: Some("c1b42f7".to_owned()),
            extra: BTreeMap::from([("implementation".to_owned(), "x 0.1.0".to_owned())]),
            ..VersionInfo::default()
        };
        assert_eq!(
            info.to_json().to_string(),
            "{\"build_date\":\"2026-11-20 11:12:54 UTC\",\"build_time\":1795173174.0,\"build_user\":\"root\",\
             \"git_sha\":\"c1b42f7\",\"implementation\":\"x 0.1.0\",\"version\":\"1.11.0\"}"
        );
    }
}
