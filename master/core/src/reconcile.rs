//! Task reconciliation: the master tells what it knows, without uuid, so that nobody acknowledges it.
//!
//! Explicit answers, first row that fits (for a framework that is not partition aware the last column reads LOST):
//!
//! | the task, or the named agent | answer |
//! |---|---|
//! | task is live | its state, as last told |
//! | agent, or any agent when none is named, has not come back since failover | silence |
//! | agent is registered | GONE |
//! | agent is unreachable | UNREACHABLE with the time |
//! | agent is gone | GONE_BY_OPERATOR |
//! | anything else | UNKNOWN |
//!
//! Source: shared facts, `pitfalls.md` D5, `task_states.tsv`, `task_reasons.tsv`.

use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::StatusUpdate;
use mesos_proto::v0::mesos::TaskState;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::scheduler::call::Reconcile;
use mesos_proto::v0::scheduler::call::reconcile::Task as ReconcileTask;

use crate::master::Master;
use crate::model::Task;
use crate::notify::{Acknowledgee, Notice};
use crate::status::{self, Subject, Verdict};

impl Master {
    /// Answers a reconciliation: of the named tasks, or of all when none is named.
    pub(crate) fn reconcile(&mut self, framework_id: &FrameworkId, reconcile: &Reconcile) {
        self.count("master/messages_reconcile_tasks");
        if !reconcile.tasks.is_empty() {
            for task in &reconcile.tasks {
                self.reconcile_explicitly(framework_id, task);
            }
            return;
        }
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let updates: Vec<StatusUpdate> = framework.tasks.values().map(|task| self.latest_state(task)).collect();
        for update in updates {
            self.answer(framework_id, update);
        }
    }

    /// Answers for one task; says nothing while its agent may still come back after failover of the master.
    pub(crate) fn reconcile_explicitly(&mut self, framework_id: &FrameworkId, asked: &ReconcileTask) {
        let task_id = TaskId::from(&*asked.task_id);
        let agent_id = asked.slave_id.as_ref().map(AgentId::from);
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        if let Some(task) = framework.tasks.get(&task_id) {
            let update = self.latest_state(task);
            return self.answer(framework_id, update);
        }
        let in_transition = match &agent_id {
            Some(agent_id) => self.recovered_agents.contains_key(agent_id),
            None => !self.recovered_agents.is_empty(),
        };
        if in_transition {
            tracing::info!(%framework_id, %task_id, "reconciliation waits for agents that have not come back");
            return;
        }
        let (state, message) = self.state_of_stranger(agent_id.as_ref());
        let state = status::for_capability(framework.capabilities.partition_aware, state);
        let subject = Subject {
            framework_id: framework_id.clone(),
            task_id,
            agent_id: agent_id.clone(),
            executor_id: None,
        };
        let mut update = status::update(
            self.now,
            &subject,
            &Verdict::new(state, Reason::REASON_RECONCILIATION, message),
        );
        if let Some(since) = agent_id.and_then(|agent_id| self.unreachable_agents.get(&agent_id)) {
            update = status::with_unreachable_time(update, since);
        }
        self.answer(framework_id, update);
    }

    /// What can be said of a task that the master does not have, from the agent that it is said to be on.
    fn state_of_stranger(&self, agent_id: Option<&AgentId>) -> (TaskState, &'static str) {
        match agent_id {
            Some(agent_id) if self.agents.contains_key(agent_id) => {
                (TaskState::TASK_GONE, "reconciliation: the agent does not have the task")
            }
            Some(agent_id) if self.unreachable_agents.contains(agent_id) => (
                TaskState::TASK_UNREACHABLE,
                "reconciliation: the task's agent is unreachable",
            ),
            Some(agent_id) if self.gone_agents.contains(agent_id) => (
                TaskState::TASK_GONE_BY_OPERATOR,
                "reconciliation: the task's agent is gone",
            ),
            Some(_) | None => (TaskState::TASK_UNKNOWN, "reconciliation: the task is not known"),
        }
    }

    fn latest_state(&self, task: &Task) -> StatusUpdate {
        let verdict = Verdict::new(
            status::told_state(task),
            Reason::REASON_RECONCILIATION,
            "reconciliation: latest state of the task",
        );
        status::with_latest_details(status::update(self.now, &Subject::known(task), &verdict), task)
    }

    fn answer(&mut self, framework_id: &FrameworkId, update: StatusUpdate) {
        self.notify(framework_id, Notice::Update(Box::new(update), Acknowledgee::Unset));
    }
}
