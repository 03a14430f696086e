//! The modules that `--resource_estimator` and `--qos_controller` name, with their parameters from `--modules`.

use std::collections::BTreeMap;

use mesos::flags::Flags;
use mesos::flags::modules::{self, FIXED_RESOURCE_ESTIMATOR, LOAD_QOS_CONTROLLER, ModuleParameters};
use mesos::resources::Resources;
use mesos_agent_core::{QosController, ResourceEstimator};
use mesos_node::SettingsError;

/// What the flags ask for.
///
/// # Errors
///
/// Names the flag, the module and the parameter that cannot be used.
pub fn read(flags: &Flags) -> Result<(Option<ResourceEstimator>, Option<QosController>), SettingsError> {
    let parameters = match flags.json("modules") {
        Some(json) => {
            let wrong = |reason| SettingsError::new("modules", &json.to_string(), reason);
            let parameters = modules::parse(json).map_err(wrong)?;
            for name in parameters.keys() {
                tracing::info!(module = name, "the module is built in, its library is not loaded");
            }
            parameters
        }
        None => ModuleParameters::new(),
    };
    let estimator = match flags.text("resource_estimator") {
        Some(name) => Some(estimator(name, &parameters).map_err(|reason| wrong("resource_estimator", name, reason))?),
        None => None,
    };
    let controller = match flags.text("qos_controller") {
        Some(name) => Some(controller(name, &parameters).map_err(|reason| wrong("qos_controller", name, reason))?),
        None => None,
    };
    Ok((estimator, controller))
}

fn wrong(flag: &'static str, name: &str, reason: String) -> SettingsError {
    SettingsError::new(flag, name, reason)
}

/// The parameters of a module; nothing else than `known` may be among them.
fn parameters_of<'a>(
    name: &str,
    expected: &str,
    all: &'a ModuleParameters,
    known: &[&str],
) -> Result<&'a BTreeMap<String, String>, String> {
    if name != expected {
        return Err(format!(
            "modules written for Apache Mesos cannot be loaded; only {expected} is built in"
        ));
    }
    let parameters = all.get(name).ok_or("the flag --modules does not name it")?;
    match parameters.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!(
            "it has the parameter `{key}` in --modules; known are {}",
            known.join(" and ")
        )),
        None => Ok(parameters),
    }
}

fn estimator(name: &str, all: &ModuleParameters) -> Result<ResourceEstimator, String> {
    let parameters = parameters_of(name, FIXED_RESOURCE_ESTIMATOR, all, &["resources"])?;
    let text = parameters
        .get("resources")
        .ok_or("its parameter `resources` is missing in --modules")?;
    let resources = Resources::parse(text, mesos::roles::DEFAULT_ROLE).map_err(|error| {
        format!(
            "its parameter `resources` cannot be read: {}",
            mesos_node::describe(&error)
        )
    })?;
    Ok(ResourceEstimator::fixed(&resources))
}

fn controller(name: &str, all: &ModuleParameters) -> Result<QosController, String> {
    const FIVE: &str = "load_threshold_5min";
    const FIFTEEN: &str = "load_threshold_15min";
    let parameters = parameters_of(name, LOAD_QOS_CONTROLLER, all, &[FIVE, FIFTEEN])?;
    let threshold = |key: &str| match parameters.get(key).map(|text| (text, text.parse::<f64>())) {
        None => Ok(None),
        Some((_, Ok(number))) if number.is_finite() => Ok(Some(number)),
        Some((text, _)) => Err(format!("its parameter `{key}` is `{text}`, which is no number")),
    };
    let (five_minutes, fifteen_minutes) = (threshold(FIVE)?, threshold(FIFTEEN)?);
    if five_minutes.is_none() && fifteen_minutes.is_none() {
        return Err(format!("it needs the parameter `{FIVE}` or `{FIFTEEN}` in --modules"));
    }
    Ok(QosController::Load {
        five_minutes,
        fifteen_minutes,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use mesos::flags::Outcome;
    use mesos::flags::agent::FLAGS;

    use super::*;

    fn flags(arguments: &[&str]) -> Flags {
        let needed = ["--master=127.0.0.1:5050", "--work_dir=/w"];
        let all = needed.iter().chain(arguments).map(OsString::from);
        match FLAGS.read(all, []).expect("valid flags") {
            Outcome::Run(flags) => flags,
            other => panic!("{other:?}"),
        }
    }

    fn modules(name: &str, parameters: &[(&str, &str)]) -> String {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(key, value)| format!(r#"{{"key":"{key}","value":"{value}"}}"#))
            .collect();
        let parameters = parameters.join(",");
        format!(r#"--modules={{"libraries":[{{"modules":[{{"name":"{name}","parameters":[{parameters}]}}]}}]}}"#)
    }

    #[test]
    fn the_built_in_modules_are_read() {
        let modules = modules(FIXED_RESOURCE_ESTIMATOR, &[("resources", "cpus:2;mem:512")]);
        let (estimator, controller) = read(&flags(&[
            &modules,
            "--resource_estimator=org_apache_mesos_FixedResourceEstimator",
        ]))
        .expect("built in");
        let resources = Resources::parse("cpus:2;mem:512", "*").expect("resources");
        assert_eq!(estimator, Some(ResourceEstimator::fixed(&resources)));
        assert_eq!(controller, None);
        let modules = self::modules(LOAD_QOS_CONTROLLER, &[("load_threshold_5min", "1.5")]);
        let (estimator, controller) = read(&flags(&[
            &modules,
            "--qos_controller=org_apache_mesos_LoadQoSController",
        ]))
        .expect("built in");
        assert_eq!(estimator, None);
        assert_eq!(
            controller,
            Some(QosController::Load {
                five_minutes: Some(1.5),
                fifteen_minutes: None
            })
        );
        assert_eq!(read(&flags(&[])).expect("nothing"), (None, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let estimator = "--resource_estimator=org_apache_mesos_FixedResourceEstimator";
        let controller = "--qos_controller=org_apache_mesos_LoadQoSController";
        let rows = [
            (String::new(), "--resource_estimator=other", "cannot be loaded"),
            (String::new(), "--qos_controller=other", "cannot be loaded"),
            (String::new(), estimator, "--modules does not name it"),
            (
                modules(FIXED_RESOURCE_ESTIMATOR, &[]),
                estimator,
                "`resources` is missing",
            ),
            (
                modules(FIXED_RESOURCE_ESTIMATOR, &[("resources", "cpus")]),
                estimator,
                "cannot be read",
            ),
            (
                modules(FIXED_RESOURCE_ESTIMATOR, &[("resource", "cpus:1")]),
                estimator,
                "`resource`",
            ),
            (modules(LOAD_QOS_CONTROLLER, &[]), controller, "needs the parameter"),
            (
                modules(LOAD_QOS_CONTROLLER, &[("load_threshold_15min", "much")]),
                controller,
                "no number",
            ),
        ];
        for (modules, flag, reason) in rows {
            let arguments: Vec<&str> = [modules.as_str(), flag]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect();
            let error = read(&flags(&arguments)).expect_err("refused").to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
