//! Agents that are given up: unreachable ones, which may come back, and gone ones, which may not.
//!
//! Source: shared facts, `task_states.tsv`, `task_reasons.tsv`, `pitfalls.md` D5, D6, D30.

use mesos::ids::{AgentId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages::ShutdownMessage;
use mesos_proto::v0::mesos::task_status::Reason;
use mesos_proto::v0::mesos::{TaskState, TimeInfo};
use mesos_registrar::{Operation, OperationError, Outcome};

use crate::effect::{Change, Effect, Reply};
use crate::input::{MasterTimer, RequestId};
use crate::master::{Master, Pending};
use crate::model::is_terminal;
use crate::notify::Notice;
use crate::status::{self, Subject, Verdict};

/// How an agent leaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Departure {
    /// It may come back.
    Unreachable(TimeInfo),
    /// An operator said that it never does.
    Gone,
    /// It said farewell, or another took its address.
    Removed,
}

impl Master {
    pub(crate) fn is_leaving(&self, id: &AgentId) -> bool {
        self.leaving.contains(id)
    }

    /// The registry has the agent among the unreachable ones.
    pub(crate) fn agent_marked_unreachable(
        &mut self,
        id: &AgentId,
        since: TimeInfo,
        cause: &str,
        outcome: &Result<Outcome, OperationError>,
    ) {
        self.leaving.remove(id);
        if let Err(error) = outcome {
            return self.contradicted(id, error);
        }
        self.count("master/slave_unreachable_completed");
        self.count("master/slave_removals");
        self.count("master/slave_removals/reason_unhealthy");
        self.unreachable_agents.insert(id.clone(), since.clone());
        if self.recovered_agents.remove(id).is_some() {
            self.count("master/recovery_slave_removals");
            self.tell_agent_lost(id);
        } else {
            self.drop_agent(id, cause, &Departure::Unreachable(since));
        }
    }

    /// An operator declares an agent gone: answered when the registry has it.
    pub(crate) fn mark_gone(&mut self, request: RequestId, id: &AgentId) {
        let refused = if self.gone_agents.contains(id) {
            Some(Reply::empty(200))
        } else if self.is_leaving(id) {
            Some(Reply::text(
                503,
                format!("agent {id} is being removed or marked by another request"),
            ))
        } else if !self.agents.contains_key(id)
            && !self.recovered_agents.contains_key(id)
            && !self.unreachable_agents.contains(id)
        {
            Some(Reply::text(404, format!("agent {id} is not known")))
        } else {
            None
        };
        if let Some(reply) = refused {
            self.effects.push(Effect::Reply { request, reply });
            return;
        }
        self.store_gone(id, Some(request));
    }

    /// The registry has the agent among the gone ones.
    pub(crate) fn agent_marked_gone(
        &mut self,
        id: &AgentId,
        since: TimeInfo,
        request: Option<RequestId>,
        outcome: &Result<Outcome, OperationError>,
    ) {
        self.leaving.remove(id);
        if let Err(error) = outcome {
            if self.agents.contains_key(id) || self.recovered_agents.contains_key(id) {
                return self.contradicted(id, error);
            }
            // An unreachable agent was forgotten between the question and the write.
            if let Some(request) = request {
                let reply = Reply::text(404, format!("agent {id} was not marked gone: {error}"));
                self.effects.push(Effect::Reply { request, reply });
            }
            return;
        }
        self.plans.forget(id);
        self.gone_agents.insert(id.clone(), since);
        self.recovered_agents.remove(id);
        self.unreachable_agents.remove(id);
        self.end_unreachable_tasks_of_agent(id);
        if let Some(upid) = self.agents.get(id).map(|agent| agent.upid.clone()) {
            let mut message = ShutdownMessage::new();
            message.set_message("the agent was marked gone".to_owned());
            self.send(&upid, message);
            self.count("master/slave_removals");
            self.drop_agent(id, "the agent was marked gone", &Departure::Gone);
        }
        if let Some(request) = request {
            let reply = Reply::empty(200);
            self.effects.push(Effect::Reply { request, reply });
        }
    }

    /// Tasks that were unreachable end with their agent.
    fn end_unreachable_tasks_of_agent(&mut self, id: &AgentId) {
        let verdict = Verdict::new(
            TaskState::TASK_GONE_BY_OPERATOR,
            Reason::REASON_SLAVE_REMOVED_BY_OPERATOR,
            "the agent was marked gone",
        );
        for (framework_id, task_ids) in self.unreachable_tasks.remove(id).unwrap_or_default() {
            for task_id in task_ids {
                let Some(framework) = self.frameworks.get_mut(&framework_id) else {
                    break;
                };
                let Some(mut task) = framework.unreachable_tasks.remove(&task_id) else {
                    continue;
                };
                let aware = framework.capabilities.partition_aware;
                let told = Verdict {
                    state: status::for_capability(aware, verdict.state),
                    ..verdict.clone()
                };
                let update = status::update(self.now, &Subject::known(&task), &told);
                task.set_state(told.state);
                task.push_status(&update.status);
                framework.completed_tasks.push(std::sync::Arc::new(task));
                self.forward_own(&framework_id, update);
            }
        }
    }

    /// Removes an agent on its own request or because another took its address: the registry first.
    pub(crate) fn remove_agent(&mut self, id: &AgentId, cause: &str, counter: Option<&'static str>) {
        if self.is_leaving(id) || !self.agents.contains_key(id) {
            tracing::debug!(agent_id = %id, "agent is already leaving");
            return;
        }
        self.leaving.insert(id.clone());
        let operation = Operation::RemoveAgent(id.clone());
        self.store(
            vec![operation],
            Pending::Remove {
                agent_id: id.clone(),
                cause: cause.to_owned(),
                counter,
            },
        );
    }

    /// The registry has forgotten the agent.
    pub(crate) fn agent_removed(
        &mut self,
        id: &AgentId,
        cause: &str,
        counter: Option<&'static str>,
        outcome: &Result<Outcome, OperationError>,
    ) {
        self.leaving.remove(id);
        if let Err(error) = outcome {
            return self.contradicted(id, error);
        }
        self.plans.forget(id);
        self.count("master/slave_removals");
        if let Some(counter) = counter {
            self.count(counter);
        }
        self.drop_agent(id, &format!("agent removed: {cause}"), &Departure::Removed);
    }

    /// The registry refuses what the model says must be possible: one of them is wrong, and the registry is the one
    /// that survives. The master ends and begins again from it, instead of serving agents that the registry does not
    /// have.
    pub(crate) fn contradicted(&mut self, id: &AgentId, error: &OperationError) {
        let reason = format!("the registry contradicts this master about agent {id}: {error}");
        self.effects.push(Effect::Abort(reason));
    }

    /// Takes a registered agent out of the model: its tasks are told lost, its offers withdrawn, everybody is told.
    fn drop_agent(&mut self, id: &AgentId, cause: &str, departure: &Departure) {
        let Some(agent) = self.agents.get(id) else { return };
        tracing::info!(agent_id = %id, cause, ?departure, "agent dropped");
        let (upid, observer) = (agent.upid.clone(), agent.observer);
        let offers: Vec<_> = agent.offers.iter().cloned().collect();
        let executors: Vec<_> = agent
            .executors
            .iter()
            .flat_map(|(framework_id, executors)| {
                executors
                    .keys()
                    .map(|executor| (framework_id.clone(), executor.clone()))
            })
            .collect();
        let tasks: Vec<(FrameworkId, TaskId)> = agent
            .tasks
            .iter()
            .flat_map(|(framework_id, tasks)| tasks.iter().map(|task| (framework_id.clone(), task.clone())))
            .collect();
        self.allocator.remove_agent(self.now, id);
        self.leave_operations(id, departure);
        for (framework_id, task_id) in tasks {
            self.lose_task(&framework_id, &task_id, cause, departure);
        }
        for (framework_id, executor_id) in executors {
            self.remove_executor(id, &framework_id, &executor_id);
        }
        for offer_id in offers {
            self.rescind_offer(&offer_id);
        }
        self.rescind_inverse_offers_of_agent(id);
        self.agents.remove(id);
        if self.agent_upids.get(&upid) == Some(id) {
            self.agent_upids.remove(&upid);
        }
        self.removed_agents.insert(id.clone(), ());
        self.stop_observer(observer);
        self.cancel_timer(MasterTimer::AgentReturn(id.clone()));
        self.tell_agent_lost(id);
        self.publish(Change::AgentRemoved(id.clone()));
    }

    /// Tells that a task went away with its agent.
    fn lose_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId, cause: &str, departure: &Departure) {
        let Some(framework) = self.frameworks.get(framework_id) else {
            return;
        };
        let Some(task) = framework.tasks.get(task_id) else {
            return;
        };
        let aware = framework.capabilities.partition_aware;
        let (state, reason) = match departure {
            Departure::Unreachable(_) => (TaskState::TASK_UNREACHABLE, Reason::REASON_SLAVE_REMOVED),
            Departure::Gone => (
                TaskState::TASK_GONE_BY_OPERATOR,
                Reason::REASON_SLAVE_REMOVED_BY_OPERATOR,
            ),
            Departure::Removed => (TaskState::TASK_LOST, Reason::REASON_SLAVE_REMOVED),
        };
        let verdict = Verdict::new(status::for_capability(aware, state), reason, cause);
        let mut update = status::update(self.now, &Subject::known(task), &verdict);
        if let Departure::Unreachable(since) = departure {
            update = status::with_unreachable_time(update, since);
        }
        // The end of a task may be known here and not to its framework yet. A framework that was told of it is not
        // told another end.
        let ended = task.is_terminal();
        let told_of_end = task.told_state().is_some_and(is_terminal);
        self.update_task(framework_id, task_id, &update);
        match departure {
            Departure::Unreachable(_) if !ended => self.remove_unreachable_task(framework_id, task_id),
            Departure::Unreachable(_) | Departure::Gone | Departure::Removed => {
                self.remove_task(framework_id, task_id);
            }
        }
        if !told_of_end {
            self.forward_own(framework_id, update);
        }
    }

    /// Tells all frameworks that an agent is lost.
    pub(crate) fn tell_agent_lost(&mut self, id: &AgentId) {
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework_id in frameworks {
            self.notify(&framework_id, Notice::AgentLost(id.clone()));
        }
    }
}
