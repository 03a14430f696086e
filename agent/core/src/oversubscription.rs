//! Oversubscription: resources that the agent lends beyond what it has, and taking them back.
//!
//! A resource estimator says how much may be lent; the master hears of it, with what is lent already, and offers it as
//! revocable. A quality-of-service controller says when the machine is too busy; then executors that hold something
//! revocable are killed.
//!
//! Source: shared facts, `flags_agent.tsv` (`resource_estimator`, `qos_controller` and their intervals),
//! `task_reasons.tsv` (REASON_CONTAINER_PREEMPTED) and `messages_flow.tsv` (UpdateSlave).

use std::time::Duration;

use mesos::resources::{Resource, Resources};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use tracing::{info, warn};

use crate::agent::{Agent, AgentState};
use crate::effect::Effect;
use crate::executor::{Executor, ExecutorKey, ExecutorState, PendingTermination};
use crate::framework::{Framework, FrameworkState};
use crate::input::AgentTimer;
use crate::outbox::When;

/// Shortest pause between two looks at the load, whatever is configured: the kernel itself counts every five seconds.
const CORRECTION_PAUSE_MIN: Duration = Duration::from_secs(1);

/// How much may be lent.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceEstimator {
    /// Always these resources in all, whether lent already or not. Every one is marked revocable.
    Fixed(Resources),
}

impl ResourceEstimator {
    /// The estimator that always lends `resources` in all.
    #[must_use]
    pub fn fixed(resources: &Resources) -> Self {
        Self::Fixed(resources.iter().map(Resource::with_revocable).collect())
    }

    /// What may be lent beyond what is lent.
    fn lendable(&self, lent: &Resources) -> Resources {
        match self {
            Self::Fixed(total) => total - lent,
        }
    }
}

/// When lent resources are taken back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QosController {
    /// When the load average of the machine is above a threshold; at least one is set.
    Load {
        /// Bound of the average over five minutes.
        five_minutes: Option<f64>,
        /// Bound of the average over fifteen minutes.
        fifteen_minutes: Option<f64>,
    },
}

/// The load averages of the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadAverage {
    /// Over five minutes.
    pub five_minutes: f64,
    /// Over fifteen minutes.
    pub fifteen_minutes: f64,
}

impl QosController {
    fn is_exceeded(&self, load: LoadAverage) -> bool {
        let Self::Load {
            five_minutes,
            fifteen_minutes,
        } = self;
        five_minutes.is_some_and(|bound| load.five_minutes > bound)
            || fifteen_minutes.is_some_and(|bound| load.fifteen_minutes > bound)
    }
}

impl Agent {
    /// What is lent to frameworks and what may be lent, as the master was told last; nothing without an estimator.
    #[must_use]
    pub const fn oversubscribed_resources(&self) -> Option<&Resources> {
        self.oversubscribed.as_ref()
    }

    /// Starts estimator and controller, where there are any.
    pub(crate) fn start_oversubscription(&mut self) {
        self.estimate_oversubscription();
        if self.config.qos_controller.is_some() {
            self.emit(Effect::MeasureLoad);
        }
    }

    /// Revocable resources in use, without their allocation.
    pub(crate) fn lent_resources(&self) -> Resources {
        let used = self.frameworks.values().flat_map(Framework::used_resources);
        let read = used.filter_map(|message| Resource::from_protobuf(&message).ok());
        let revocable = read.filter(Resource::is_revocable);
        revocable.map(|resource| resource.with_allocation(None)).collect()
    }

    /// What may be in use of revocable resources at most.
    pub(crate) fn lending_limit(&self) -> Resources {
        let lent = self.lent_resources();
        match &self.config.resource_estimator {
            Some(estimator) => &lent + &estimator.lendable(&lent),
            None => lent,
        }
    }

    /// Estimates anew, and tells the master when that gives something new.
    pub(crate) fn estimate_oversubscription(&mut self) {
        if self.config.resource_estimator.is_none() {
            return;
        }
        let estimate = self.lending_limit();
        let changed = self.oversubscribed.as_ref() != Some(&estimate);
        if changed {
            info!(resources = %estimate, "oversubscribed resources changed");
            self.oversubscribed = Some(estimate);
            self.send_oversubscription();
        }
        let after = self.config.oversubscribed_resources_interval;
        self.set_timer(AgentTimer::Oversubscription, after);
    }

    fn send_oversubscription(&mut self) {
        if self.state != AgentState::Running {
            return;
        }
        let Some(master) = self.master.clone() else { return };
        let mut message = internal::UpdateSlaveMessage::new();
        message.slave_id.clone_from(&self.info.id);
        self.fill_oversubscription(&mut message);
        self.send(When::Held, &master, message);
    }

    /// Adds the estimate to what the master is told of the agent.
    pub(crate) fn fill_oversubscription(&self, message: &mut internal::UpdateSlaveMessage) {
        message.set_update_oversubscribed_resources(self.oversubscribed.is_some());
        if let Some(oversubscribed) = &self.oversubscribed {
            message.oversubscribed_resources = oversubscribed.to_protobuf();
        }
    }

    /// It is time to look at the load again.
    pub(crate) fn look_at_load(&mut self) {
        self.emit(Effect::MeasureLoad);
    }

    /// The load averages, or why they are not known.
    pub(crate) fn load_measured(&mut self, load: Result<LoadAverage, String>) {
        let Some(controller) = self.config.qos_controller else {
            return;
        };
        let after = self.config.qos_correction_interval_min.max(CORRECTION_PAUSE_MIN);
        self.set_timer(AgentTimer::QosCorrection, after);
        match load {
            Err(error) => warn!(error, "the load of the machine cannot be measured"),
            Ok(load) if controller.is_exceeded(load) => {
                info!(?load, "the machine is too busy for revocable resources");
                self.preempt_executors();
            }
            Ok(_) => {}
        }
    }

    /// Kills the executors that hold something revocable.
    fn preempt_executors(&mut self) {
        if matches!(self.state, AgentState::Recovering | AgentState::Terminating) {
            return;
        }
        let running = self.frameworks.values();
        let running = running.filter(|framework| framework.state == FrameworkState::Running);
        let executors = running.flat_map(Framework::executors);
        let preempted: Vec<_> = executors
            .filter(|known| is_preemptible(known))
            .map(Executor::key)
            .collect();
        for key in preempted {
            self.preempt(&key);
        }
    }

    fn preempt(&mut self, key: &ExecutorKey) {
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            return;
        };
        info!(framework_id = %key.framework_id, executor_id = %key.executor_id, "preempting an executor");
        let pending = PendingTermination {
            state: Some(framework.gone_state()),
            reason: Some(Reason::REASON_CONTAINER_PREEMPTED),
            message: Some("the machine is too busy for the revocable resources that the executor held".to_owned()),
        };
        self.counters.executors_preempted += 1;
        self.destroy_executor(key, pending);
    }
}

fn is_preemptible(executor: &Executor) -> bool {
    let alive = matches!(executor.state, ExecutorState::Registering | ExecutorState::Running);
    alive
        && executor
            .used_resources()
            .iter()
            .any(|resource| resource.revocable.is_some())
}
