//! What the tasks of an ended executor are told.
//!
//! Source: shared facts, `task_reasons.tsv`. What a limit or the agent itself decided counts before the bare end of
//! the process; what the containerizer says counts before what the agent planned.

use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;

use crate::executor::PendingTermination;
use crate::input::ContainerTermination;
use crate::status_updates::TaskReport;

/// State, reason and message for each unfinished task, and the resources whose limit was broken.
pub(crate) fn termination_report(
    pending: Option<&PendingTermination>,
    termination: &ContainerTermination,
) -> (TaskReport, Vec<pb::Resource>) {
    let state = termination
        .state
        .or_else(|| pending?.state)
        .unwrap_or(pb::TaskState::TASK_FAILED);
    let reason = termination
        .reason
        .or_else(|| pending?.reason)
        .unwrap_or(Reason::REASON_EXECUTOR_TERMINATED);
    let planned = pending.and_then(|pending| pending.message.clone());
    let messages: Vec<_> = planned.into_iter().chain(termination.message.clone()).collect();
    let message = if messages.is_empty() {
        exit_message(termination.status)
    } else {
        messages.join("; ")
    };
    (
        TaskReport { state, reason, message },
        termination.limited_resources.clone(),
    )
}

/// Says what a wait status says.
fn exit_message(status: Option<i32>) -> String {
    let Some(status) = status else {
        return "the executor ended".to_owned();
    };
    let signal = status & 0x7f;
    if signal == 0 {
        return format!("the executor exited with status {}", (status >> 8) & 0xff);
    }
    match signal_name(signal) {
        Some(name) => format!("the executor was ended by signal {name}"),
        None => format!("the executor was ended by signal {signal}"),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 13] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == signal)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_end_fails_the_tasks_and_names_the_status() {
        let messages = [
            (None, "the executor ended"),
            (Some(0), "the executor exited with status 0"),
            (Some(256), "the executor exited with status 1"),
            (Some(9), "the executor was ended by signal SIGKILL"),
            (Some(64), "the executor was ended by signal 64"),
        ];
        for (status, message) in messages {
            let termination = ContainerTermination {
                status,
                ..ContainerTermination::default()
            };
            let (report, limited) = termination_report(None, &termination);
            assert_eq!(report.state, pb::TaskState::TASK_FAILED);
            assert_eq!(report.reason, Reason::REASON_EXECUTOR_TERMINATED);
            assert_eq!(report.message, message);
            assert!(limited.is_empty());
        }
    }

    #[test]
    fn the_containerizer_counts_before_the_plan() {
        let pending = PendingTermination {
            state: Some(pb::TaskState::TASK_GONE),
            reason: Some(Reason::REASON_EXECUTOR_REREGISTRATION_TIMEOUT),
            message: Some("late".to_owned()),
        };
        let limit = ContainerTermination {
            reason: Some(Reason::REASON_CONTAINER_LIMITATION_MEMORY),
            message: Some("too much memory".to_owned()),
            limited_resources: vec![pb::Resource::new()],
            ..ContainerTermination::default()
        };
        let (report, limited) = termination_report(Some(&pending), &limit);
        assert_eq!(report.state, pb::TaskState::TASK_GONE);
        assert_eq!(report.reason, Reason::REASON_CONTAINER_LIMITATION_MEMORY);
        assert_eq!(report.message, "late; too much memory");
        assert_eq!(limited.len(), 1);
    }
}
