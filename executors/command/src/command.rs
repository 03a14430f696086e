//! The processes of the task.
//!
//! The executor adopts what the command leaves behind, so that all its descendants, and they alone, are the task's.

use std::collections::BTreeMap;

use mesos::convert;
use mesos_containerizer::children::KILL_PATIENCE;
use mesos_containerizer::process_tree::{self, TreeError};
use mesos_containerizer::{SecretError, overlay_environment};
use mesos_proto::v0::mesos as v0;
use mesos_proto::v1::mesos::TaskInfo;
use nix::sys::signal::Signal;

/// Variables that are the executor's alone.
const OWN_VARIABLES: [&str; 1] = ["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"];

/// The executor's own variables, without those that are nobody else's.
pub fn own_environment(own: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    own.into_iter()
        .filter(|(name, _)| !OWN_VARIABLES.contains(&name.as_str()))
        .collect()
}

/// The environment of a task: the executor's own, then what isolators want, then the task's, then its role.
///
/// # Errors
///
/// Names a secret that cannot be resolved.
pub fn environment(
    own: impl IntoIterator<Item = (String, String)>,
    isolators: &v0::Environment,
    task: &TaskInfo,
) -> Result<BTreeMap<String, String>, SecretError> {
    let mut environment = own_environment(own);
    let mut of_isolators = v0::CommandInfo::new();
    of_isolators.environment = Some(isolators.clone()).into();
    overlay_environment(&mut environment, &of_isolators)?;
    overlay_environment(&mut environment, &command_of(task))?;
    let role = task
        .resources
        .first()
        .map(|resource| resource.allocation_info.role().to_owned());
    environment.insert("MESOS_ALLOCATION_ROLE".to_owned(), role.unwrap_or_default());
    Ok(environment)
}

/// The command of a task.
pub fn command_of(task: &TaskInfo) -> v0::CommandInfo {
    convert::devolve(task.command.get_or_default())
}

/// Asks all processes of the task to end.
///
/// # Errors
///
/// Says when they cannot be found.
pub fn terminate_all() -> Result<(), TreeError> {
    process_tree::signal_all(process_tree::descendants_of_caller, Signal::SIGTERM).map(|_| ())
}

/// Kills all processes of the task.
///
/// # Errors
///
/// Says when they cannot be found, or do not go.
pub fn kill_all() -> Result<(), TreeError> {
    process_tree::kill_all(process_tree::descendants_of_caller, KILL_PATIENCE)
}

#[cfg(test)]
mod tests {
    use mesos_proto::v1::mesos::{Resource, environment::Variable};

    use super::*;

    #[test]
    fn the_tasks_own_variables_win_and_the_token_stays_secret() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = [
            pair("A", "own"),
            pair("B", "own"),
            pair("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t"),
        ];
        let mut isolators = v0::Environment::new();
        for name in ["B", "C"] {
            let mut variable = v0::environment::Variable::new();
            variable.set_name(name.to_owned());
            variable.set_value("isolator".to_owned());
            isolators.variables.push(variable);
        }
        let mut task = TaskInfo::new();
        let mut variable = Variable::new();
        variable.set_name("C".to_owned());
        variable.set_value("task".to_owned());
        task.command
            .mut_or_insert_default()
            .environment
            .mut_or_insert_default()
            .variables
            .push(variable);
        let mut resource = Resource::new();
        resource
            .allocation_info
            .mut_or_insert_default()
            .set_role("web".to_owned());
        task.resources.push(resource);
        let expected = [
            pair("A", "own"),
            pair("B", "isolator"),
            pair("C", "task"),
            pair("MESOS_ALLOCATION_ROLE", "web"),
        ];
        assert_eq!(environment(own, &isolators, &task), Ok(BTreeMap::from(expected)));
    }
}
