//! A framework that measures how long it takes from wanting a task to its report.
//!
//! ```text
//! idle ──timer: REVIVE──▶ wanting ──offers: ACCEPT, DECLINE, SUPPRESS──▶ launched ──RUNNING──▶ running
//!   ▲                                                                        │                    │
//!   └────────────────────────────ended, timer set────────────────────────────┴────────────────────┘
//! ```

use std::time::Duration;

use libprocess_types::Time;
use mesos_proto::v0::mesos::{Offer, TaskState};

use super::calls::{self, Need};
use super::core::{Effect, REFUSE_LONG, decline_all};
use crate::record::Note;

/// How probes are made.
#[derive(Clone, Debug)]
pub struct ProbePlan {
    /// Pause between the end of one and the next.
    pub pause: Duration,
    /// What the task takes: processors.
    pub cpus: f64,
    /// What the task takes: memory in megabytes.
    pub mem_mb: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Idle,
    Wanting { since: Time },
    Launched { since: Time, offered: Duration },
    Running,
}

#[derive(Debug)]
pub(super) struct Probe {
    plan: ProbePlan,
    prefix: String,
    number: u64,
    stage: Stage,
}

impl Probe {
    pub(super) fn new(plan: ProbePlan, prefix: &str) -> Self {
        Self {
            plan,
            prefix: prefix.to_owned(),
            number: 0,
            stage: Stage::Idle,
        }
    }

    pub(super) fn subscribed(&mut self) -> Vec<Effect> {
        self.stage = Stage::Idle;
        vec![
            Effect::Call(Box::new(calls::suppress())),
            Effect::SetTimer(self.plan.pause),
        ]
    }

    pub(super) fn timer(&mut self, now: Time) -> Vec<Effect> {
        if self.stage != Stage::Idle {
            return Vec::new();
        }
        self.stage = Stage::Wanting { since: now };
        vec![Effect::Call(Box::new(calls::revive()))]
    }

    /// Uses the first offer with room, lets all others go.
    pub(super) fn offers(&mut self, now: Time, mut offers: Vec<Offer>) -> Vec<Effect> {
        let need = Need {
            cpus: self.plan.cpus,
            mem_mb: self.plan.mem_mb,
        };
        let fitting = offers.iter().position(|offer| calls::room(offer, need) > 0);
        let (Stage::Wanting { since }, Some(index)) = (self.stage, fitting) else {
            return vec![decline_all(&offers, REFUSE_LONG)];
        };
        let offer = offers.swap_remove(index);
        self.number += 1;
        let ids = std::iter::once(self.task_id());
        let tasks = calls::cut_tasks(&offer, need, None, ids, 1);
        self.stage = Stage::Launched {
            since,
            offered: now.saturating_since(since),
        };
        let mut effects = vec![
            Effect::Note(Note::Launched(tasks.len() as u64)),
            Effect::Call(Box::new(calls::accept(&offer, tasks, REFUSE_LONG))),
            Effect::Call(Box::new(calls::suppress())),
        ];
        if !offers.is_empty() {
            effects.push(decline_all(&offers, REFUSE_LONG));
        }
        effects
    }

    fn task_id(&self) -> String {
        format!("{}-{}", self.prefix, self.number)
    }

    pub(super) fn update(&mut self, now: Time, task_id: &str, state: TaskState) -> Vec<Effect> {
        if task_id != self.task_id() {
            return Vec::new();
        }
        match (self.stage, state) {
            (Stage::Launched { since, offered }, TaskState::TASK_RUNNING) => {
                self.stage = Stage::Running;
                let running = now.saturating_since(since);
                vec![Effect::Note(Note::Probed { offered, running })]
            }
            (Stage::Running, TaskState::TASK_RUNNING) | (Stage::Idle | Stage::Wanting { .. }, _) => Vec::new(),
            (Stage::Launched { .. } | Stage::Running, _) => {
                self.stage = Stage::Idle;
                vec![Effect::SetTimer(self.plan.pause)]
            }
        }
    }
}
