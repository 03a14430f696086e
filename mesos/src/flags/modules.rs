//! `--modules`: libraries with modules that Apache Mesos loads. A library cannot be loaded here; some of the modules
//! that come with Apache Mesos are built in, and go by the same names and parameters.
//!
//! Source: `mesos/module/module.proto` and shared facts, `flags_agent.tsv` (`modules`, `resource_estimator`,
//! `qos_controller`).

use std::collections::BTreeMap;

use mesos_proto::v0::module::Modules;
use serde_json::Value;

/// The resource estimator that always lends the same.
pub const FIXED_RESOURCE_ESTIMATOR: &str = "org_apache_mesos_FixedResourceEstimator";
/// The quality-of-service controller that goes by the machine's load.
pub const LOAD_QOS_CONTROLLER: &str = "org_apache_mesos_LoadQoSController";

const BUILT_IN: [&str; 2] = [FIXED_RESOURCE_ESTIMATOR, LOAD_QOS_CONTROLLER];

/// Parameters of modules, by the module's name.
pub type ModuleParameters = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the flag's value. Files of libraries are not looked at: what they should give is built in.
///
/// # Errors
///
/// Names the first module that is not built in, stands there twice or has a parameter twice.
pub fn parse(json: &Value) -> Result<ModuleParameters, String> {
    let modules: Modules = crate::json::from_value(json).map_err(|error| error.to_string())?;
    let mut found = ModuleParameters::new();
    for module in modules.libraries.iter().flat_map(|library| &library.modules) {
        let name = module.name();
        if !BUILT_IN.contains(&name) {
            return Err(format!(
                "module `{name}`: modules written for Apache Mesos cannot be loaded; built in are {}",
                BUILT_IN.join(" and ")
            ));
        }
        let mut parameters = BTreeMap::new();
        for parameter in &module.parameters {
            let (key, value) = (parameter.key().to_owned(), parameter.value().to_owned());
            if parameters.insert(key, value).is_some() {
                return Err(format!("module `{name}` has the parameter `{}` twice", parameter.key()));
            }
        }
        if found.insert(name.to_owned(), parameters).is_some() {
            return Err(format!("module `{name}` stands there twice"));
        }
    }
    Ok(found)
}

pub(super) fn check(text: &str) -> Result<(), String> {
    let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    parse(&json).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(modules: &str) -> Result<ModuleParameters, String> {
        let text = format!(r#"{{"libraries":[{{"file":"/x.so","modules":[{modules}]}}]}}"#);
        parse(&serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn built_in_modules_have_parameters_and_others_are_refused() {
        let fixed = r#"{"name":"org_apache_mesos_FixedResourceEstimator",
            "parameters":[{"key":"resources","value":"cpus:1"}]}"#;
        let found = read(fixed).expect("built in");
        assert_eq!(found[FIXED_RESOURCE_ESTIMATOR]["resources"], "cpus:1");
        assert!(read("").expect("none").is_empty());
        for (modules, reason) in [
            (
                r#"{"name":"com_example_Estimator"}"#.to_owned(),
                "cannot be loaded; built in are",
            ),
            (format!("{fixed},{fixed}"), "stands there twice"),
            (
                fixed.replace("]}", r#",{"key":"resources","value":"mem:1"}]}"#),
                "has the parameter `resources` twice",
            ),
        ] {
            let error = read(&modules).expect_err("refused");
            assert!(error.contains(reason), "{error}");
        }
        assert!(check("[]").is_err());
    }
}
