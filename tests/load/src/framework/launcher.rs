//! A framework that launches as many tasks as it may.

use std::collections::VecDeque;
use std::time::Duration;

use mesos_proto::v0::mesos::{Labels, Offer, OfferID, TaskState};

use super::calls::{self, Need};
use super::core::{Effect, REFUSE_LONG, decline_all};
use crate::record::Note;

/// How many tasks, and of which kind.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    /// Tasks in all; endless without.
    pub total: Option<u64>,
    /// Tasks that may be under way at once.
    pub at_once: u64,
    /// Most tasks that one offer is used for.
    pub per_offer: u64,
    /// What each task takes: processors.
    pub cpus: f64,
    /// What each task takes: memory in megabytes.
    pub mem_mb: f64,
    /// Labels of each task.
    pub labels: Option<Labels>,
}

/// Keeps offers while it has as many tasks under way as it may, and uses them when tasks end.
#[derive(Debug)]
pub(super) struct Launcher {
    plan: LaunchPlan,
    prefix: String,
    launched: u64,
    under_way: u64,
    held: VecDeque<Offer>,
    suppressed: bool,
}

impl Launcher {
    pub(super) fn new(plan: LaunchPlan, prefix: &str) -> Self {
        Self {
            plan,
            prefix: prefix.to_owned(),
            launched: 0,
            under_way: 0,
            held: VecDeque::new(),
            suppressed: false,
        }
    }

    fn left(&self) -> u64 {
        self.plan
            .total
            .map_or(u64::MAX, |total| total.saturating_sub(self.launched))
    }

    pub(super) fn offers(&mut self, offers: Vec<Offer>) -> Vec<Effect> {
        self.held.extend(offers);
        self.launch()
    }

    pub(super) fn rescinded(&mut self, id: &OfferID) {
        self.held.retain(|offer| *offer.id != *id);
    }

    /// Offers end with the connection.
    pub(super) fn disconnected(&mut self) {
        self.held.clear();
        self.suppressed = false;
    }

    /// A task under way ended; there is room for another.
    pub(super) fn update(&mut self, state: TaskState) -> Vec<Effect> {
        if state == TaskState::TASK_RUNNING {
            return Vec::new();
        }
        self.under_way = self.under_way.saturating_sub(1);
        self.launch()
    }

    fn launch(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.under_way < self.plan.at_once && self.left() > 0 {
            let Some(offer) = self.held.pop_front() else {
                return effects;
            };
            effects.extend(self.use_offer(&offer));
        }
        if self.left() == 0 {
            if !self.held.is_empty() {
                effects.push(decline_all(self.held.make_contiguous(), REFUSE_LONG));
                self.held.clear();
            }
            if !std::mem::replace(&mut self.suppressed, true) {
                effects.push(Effect::Call(Box::new(calls::suppress())));
            }
        }
        effects
    }

    fn use_offer(&mut self, offer: &Offer) -> Vec<Effect> {
        let need = Need {
            cpus: self.plan.cpus,
            mem_mb: self.plan.mem_mb,
        };
        let wanted = calls::room(offer, need)
            .min(self.plan.per_offer)
            .min(self.plan.at_once - self.under_way)
            .min(self.left());
        let numbers = self.launched..;
        let ids = numbers.map(|number| format!("{}-{number}", self.prefix));
        let tasks = calls::cut_tasks(offer, need, self.plan.labels.as_ref(), ids, wanted);
        if tasks.is_empty() {
            // Too small for a task: it comes again when more is free there.
            return vec![decline_all(std::slice::from_ref(offer), Duration::from_secs(1))];
        }
        let count = tasks.len() as u64;
        self.launched += count;
        self.under_way += count;
        vec![
            Effect::Note(Note::Launched(count)),
            Effect::Call(Box::new(calls::accept(offer, tasks, Duration::ZERO))),
        ]
    }
}
