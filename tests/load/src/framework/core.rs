//! The rules that all emulated frameworks share: being subscribed and acknowledging.

use std::time::Duration;

use libprocess_types::Time;
use mesos_proto::v0::mesos::{FrameworkInfo, Offer, OfferID, TaskState, TaskStatus};
use mesos_proto::v0::scheduler::Call;
use protobuf::MessageField;

use super::Policy;
use super::calls;
use super::launcher::Launcher;
use super::probe::Probe;
use crate::record::Note;

/// Longest refusal: to the end of every run.
pub(super) const REFUSE_LONG: Duration = Duration::from_secs(86_400);

/// What a master tells a framework, whichever way.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameworkEvent {
    /// The framework is subscribed under this id.
    Subscribed(String),
    /// Offers.
    Offers(Vec<Offer>),
    /// An offer is withdrawn.
    Rescinded(OfferID),
    /// A task's status.
    Update(Box<TaskStatus>),
    /// The framework must stop.
    Error(String),
    /// Something that needs no answer.
    Other,
}

/// Everything that can happen to a framework.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameworkInput {
    /// A master leads.
    MasterFound,
    /// The connection broke.
    Disconnected,
    /// The master tells something.
    Event(FrameworkEvent),
    /// The framework's only timer ran out.
    TimerElapsed,
}

/// Everything that a framework wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Subscribes.
    Subscribe(Box<Call>),
    /// Makes a call; the framework's id is in it.
    Call(Box<Call>),
    /// Sets the timer.
    SetTimer(Duration),
    /// Counts something.
    Note(Note),
}

#[derive(Debug)]
enum Behaviour {
    Launcher(Box<Launcher>),
    Probe(Box<Probe>),
    Decline(Duration),
    Hoard,
    Suppress,
}

/// An emulated framework.
#[derive(Debug)]
pub struct FrameworkCore {
    info: FrameworkInfo,
    behaviour: Behaviour,
    subscribed: bool,
}

impl FrameworkCore {
    /// A framework that is not subscribed yet. Ids of its tasks begin with `task_prefix`.
    #[must_use]
    pub fn new(info: FrameworkInfo, policy: Policy, task_prefix: &str) -> Self {
        let behaviour = match policy {
            Policy::Launch(plan) => Behaviour::Launcher(Box::new(Launcher::new(plan, task_prefix))),
            Policy::Probe(plan) => Behaviour::Probe(Box::new(Probe::new(plan, task_prefix))),
            Policy::Decline(refuse) => Behaviour::Decline(refuse),
            Policy::Hoard => Behaviour::Hoard,
            Policy::Suppress => Behaviour::Suppress,
        };
        Self {
            info,
            behaviour,
            subscribed: false,
        }
    }

    /// Whether it is subscribed.
    #[must_use]
    pub const fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Takes one input and gives what is to be done, in order.
    pub fn step(&mut self, now: Time, input: FrameworkInput) -> Vec<Effect> {
        let mut effects = match input {
            FrameworkInput::MasterFound => vec![Effect::Subscribe(Box::new(calls::subscribe(&self.info)))],
            FrameworkInput::Disconnected => {
                self.subscribed = false;
                if let Behaviour::Launcher(launcher) = &mut self.behaviour {
                    launcher.disconnected();
                }
                Vec::new()
            }
            FrameworkInput::Event(event) => self.event(now, event),
            FrameworkInput::TimerElapsed => match &mut self.behaviour {
                Behaviour::Probe(probe) if self.subscribed => probe.timer(now),
                _ => Vec::new(),
            },
        };
        for effect in &mut effects {
            if let Effect::Call(call) = effect {
                call.framework_id.clone_from(&self.info.id);
            }
        }
        effects
    }

    fn event(&mut self, now: Time, event: FrameworkEvent) -> Vec<Effect> {
        match event {
            FrameworkEvent::Subscribed(id) => self.on_subscribed(id),
            FrameworkEvent::Offers(offers) => {
                let mut effects = vec![Effect::Note(Note::Offers(offers.len() as u64))];
                effects.extend(self.offers(now, offers));
                effects
            }
            FrameworkEvent::Rescinded(offer) => {
                if let Behaviour::Launcher(launcher) = &mut self.behaviour {
                    launcher.rescinded(&offer);
                }
                vec![Effect::Note(Note::Rescinded(1))]
            }
            FrameworkEvent::Update(status) => self.update(now, *status),
            FrameworkEvent::Error(text) => {
                vec![Effect::Note(Note::Problem(format!("a framework was refused: {text}")))]
            }
            FrameworkEvent::Other => Vec::new(),
        }
    }

    fn on_subscribed(&mut self, id: String) -> Vec<Effect> {
        self.info.id.mut_or_insert_default().set_value(id);
        self.subscribed = true;
        let mut effects = vec![Effect::Note(Note::Subscribed)];
        match &mut self.behaviour {
            Behaviour::Suppress => effects.push(Effect::Call(Box::new(calls::suppress()))),
            Behaviour::Probe(probe) => effects.extend(probe.subscribed()),
            Behaviour::Launcher(_) | Behaviour::Decline(_) | Behaviour::Hoard => {}
        }
        effects
    }

    fn offers(&mut self, now: Time, offers: Vec<Offer>) -> Vec<Effect> {
        match &mut self.behaviour {
            Behaviour::Launcher(launcher) => launcher.offers(offers),
            Behaviour::Probe(probe) => probe.offers(now, offers),
            Behaviour::Decline(refuse) => vec![decline_all(&offers, *refuse)],
            Behaviour::Suppress => vec![decline_all(&offers, REFUSE_LONG)],
            Behaviour::Hoard => Vec::new(),
        }
    }

    fn update(&mut self, now: Time, status: TaskStatus) -> Vec<Effect> {
        let (state, task_id) = (status.state(), status.task_id.value().to_owned());
        let mut effects: Vec<Effect> = calls::acknowledge(status)
            .into_iter()
            .map(|call| Effect::Call(Box::new(call)))
            .collect();
        effects.push(Effect::Note(match state {
            TaskState::TASK_RUNNING => Note::Running,
            TaskState::TASK_FINISHED => Note::Finished,
            TaskState::TASK_STAGING | TaskState::TASK_STARTING | TaskState::TASK_KILLING => return effects,
            TaskState::TASK_KILLED => Note::Failed("TASK_KILLED"),
            TaskState::TASK_ERROR => Note::Failed("TASK_ERROR"),
            TaskState::TASK_LOST | TaskState::TASK_DROPPED => Note::Failed("TASK_LOST or TASK_DROPPED"),
            _ => Note::Failed("another state"),
        }));
        match &mut self.behaviour {
            Behaviour::Launcher(launcher) => effects.extend(launcher.update(state)),
            Behaviour::Probe(probe) => effects.extend(probe.update(now, &task_id, state)),
            Behaviour::Decline(_) | Behaviour::Hoard | Behaviour::Suppress => {}
        }
        effects
    }
}

/// Declines offers in one call.
pub(super) fn decline_all(offers: &[Offer], refuse: Duration) -> Effect {
    let ids = offers
        .iter()
        .map(|offer| offer.id.clone())
        .filter_map(MessageField::into_option);
    Effect::Call(Box::new(calls::decline(ids.collect(), refuse)))
}
