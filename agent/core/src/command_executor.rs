//! The executor that the agent makes for a task which brings only a command.
//!
//! Source: the `executor_info` of ExecutorRegisteredMessage in the recorded exchanges `w3`, `w6` and `w8`; shared
//! facts, `constants.tsv` (`default_executor_cpus`, `default_executor_mem`).

use std::time::Duration;

use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;

use crate::config::AgentConfig;
use crate::resource_format::{allocation_role, scalar};

const EXECUTOR: &str = "mesos-executor";
const DEFAULT_EXECUTOR: &str = "mesos-default-executor";
/// Resources that a command executor gets on top of its task's.
const EXECUTOR_CPUS: f64 = 0.1;
const EXECUTOR_MEM_MB: f64 = 32.0;
/// Longer commands are cut in the executor's name, and how much of them stays.
const COMMAND_SHOWN_MAX: usize = 15;
const COMMAND_SHOWN_CUT: usize = 12;
/// Time an executor needs, beyond its task's kill grace period, to see the task's end and to report it.
const GRACE_PERIOD_MARGIN: Duration = Duration::from_secs(2);

/// Describes the executor of a command task. The task's resources must be allocated.
pub(crate) fn executor_for_command_task(
    config: &AgentConfig,
    framework: &pb::FrameworkInfo,
    task: &pb::TaskInfo,
) -> pb::ExecutorInfo {
    let task_id = task.task_id.value();
    let mut executor = pb::ExecutorInfo::new();
    executor
        .executor_id
        .mut_or_insert_default()
        .set_value(task_id.to_owned());
    executor.framework_id.clone_from(&framework.id);
    executor.container.clone_from(&task.container);
    executor.set_name(format!(
        "Command Executor (Task: {task_id}) (Command: {})",
        shown_command(&task.command)
    ));
    executor.set_source(task_id.to_owned());
    executor.labels.clone_from(&task.labels);
    executor.discovery.clone_from(&task.discovery);
    executor.command = MessageField::some(executor_command(config, framework, task));
    let grace_period = task
        .kill_policy
        .as_ref()
        .and_then(|policy| policy.grace_period.as_ref());
    if let Some(grace_period) = grace_period {
        let margin = i64::try_from(GRACE_PERIOD_MARGIN.as_nanos()).unwrap_or(i64::MAX);
        let nanoseconds = grace_period.nanoseconds().saturating_add(margin);
        executor
            .shutdown_grace_period
            .mut_or_insert_default()
            .set_nanoseconds(nanoseconds);
    }
    let role = allocation_role(&task.resources);
    executor.resources = vec![
        scalar("cpus", EXECUTOR_CPUS, role),
        scalar("mem", EXECUTOR_MEM_MB, role),
    ];
    executor
}

fn executor_command(config: &AgentConfig, framework: &pb::FrameworkInfo, task: &pb::TaskInfo) -> pb::CommandInfo {
    let mut command = pb::CommandInfo::new();
    command.uris.clone_from(&task.command.uris);
    command.environment.clone_from(&task.command.environment);
    command.user.clone_from(&task.command.user);
    command.set_shell(false);
    command.set_value(config.launcher_dir.join(EXECUTOR).display().to_string());
    command.arguments = vec![
        EXECUTOR.to_owned(),
        format!("--launcher_dir={}", config.launcher_dir.display()),
    ];
    let image = task
        .container
        .as_ref()
        .and_then(|container| container.mesos.as_ref()?.image.as_ref());
    if image.is_some() {
        command
            .arguments
            .push(format!("--sandbox_directory={}", config.sandbox_directory.display()));
        if config.switch_user {
            let user = task.command.user.as_deref().unwrap_or(framework.user());
            command.arguments.push(format!("--user={user}"));
        }
    }
    command
}

/// The command of the executor that runs task groups; it comes without one of its own.
pub(crate) fn default_executor_command(config: &AgentConfig, user: Option<&str>) -> pb::CommandInfo {
    let mut command = pb::CommandInfo::new();
    command.set_shell(false);
    command.set_value(config.launcher_dir.join(DEFAULT_EXECUTOR).display().to_string());
    command.arguments = vec![
        DEFAULT_EXECUTOR.to_owned(),
        format!("--launcher_dir={}", config.launcher_dir.display()),
    ];
    command.user = user.map(str::to_owned);
    command
}

fn shown_command(command: &pb::CommandInfo) -> String {
    match (command.shell(), command.value.as_deref()) {
        (true, None) => "NO COMMAND".to_owned(),
        (true, Some(value)) => format!("sh -c '{}'", cut(value)),
        (false, None) => "NO EXECUTABLE".to_owned(),
        (false, Some(value)) => format!("[{}]", cut(&format!("{value}, {}", command.arguments.join(", ")))),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= COMMAND_SHOWN_MAX {
        return text.to_owned();
    }
    let end = (0..=COMMAND_SHOWN_CUT)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AgentConfig {
        let pid = "slave(1)@127.0.0.1:5051".parse().unwrap();
        AgentConfig::new(pid, pb::SlaveInfo::new(), "/w".into())
    }

    fn task(command: &str) -> pb::TaskInfo {
        let mut task = pb::TaskInfo::new();
        task.task_id.mut_or_insert_default().set_value("t".to_owned());
        task.command.mut_or_insert_default().set_value(command.to_owned());
        task.resources = vec![scalar("cpus", 1.0, Some("r"))];
        task
    }

    #[test]
    fn names_show_as_much_of_the_command_as_recorded() {
        let name = |task: &pb::TaskInfo| {
            executor_for_command_task(&config(), &pb::FrameworkInfo::new(), task)
                .name()
                .to_owned()
        };
        assert_eq!(
            name(&task("echo x")),
            "Command Executor (Task: t) (Command: sh -c 'echo x')"
        );
        assert_eq!(
            name(&task("echo hello; sleep 1")),
            "Command Executor (Task: t) (Command: sh -c 'echo hello; ...')"
        );
        let mut plain = task("/bin/echo");
        plain.command.mut_or_insert_default().set_shell(false);
        plain.command.mut_or_insert_default().arguments = vec!["e".to_owned()];
        assert_eq!(name(&plain), "Command Executor (Task: t) (Command: [/bin/echo, e])");
        assert_eq!(cut("ééééééééé"), "éééééé...");
    }

    #[test]
    fn executors_take_what_they_need_from_the_task() {
        let mut described = task("x");
        described.command.mut_or_insert_default().set_user("u".to_owned());
        let policy = described.kill_policy.mut_or_insert_default();
        policy
            .grace_period
            .mut_or_insert_default()
            .set_nanoseconds(3_000_000_000);
        let executor = executor_for_command_task(&config(), &pb::FrameworkInfo::new(), &described);
        assert_eq!(executor.executor_id.value(), "t");
        assert_eq!(executor.command.user(), "u");
        assert_eq!(
            executor.command.arguments,
            ["mesos-executor", "--launcher_dir=/usr/libexec/mesos"]
        );
        assert_eq!(executor.shutdown_grace_period.nanoseconds(), 5_000_000_000);
        assert_eq!(
            executor.resources,
            vec![scalar("cpus", 0.1, Some("r")), scalar("mem", 32.0, Some("r"))]
        );
    }

    #[test]
    fn images_tell_the_executor_about_sandbox_and_user() {
        let mut described = task("x");
        described
            .container
            .mut_or_insert_default()
            .mesos
            .mut_or_insert_default()
            .image
            .mut_or_insert_default();
        let mut framework = pb::FrameworkInfo::new();
        framework.set_user("f".to_owned());
        let executor = executor_for_command_task(&config(), &framework, &described);
        assert_eq!(
            executor.command.arguments[2..],
            ["--sandbox_directory=/mnt/mesos/sandbox", "--user=f"]
        );
    }
}
