//! Containers that others launch through the agent's API: the process' part between calls and containerizer.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::http::StatusCode;
use libprocess::http::media::{MediaType, plain};
use libprocess::{Context, Responder, Response};
use mesos::ids::ContainerId;
use mesos_agent_core::Input;
use mesos_containerizer::{ContainerizerError, LaunchRequest, Recovered};
use mesos_proto::v0::mesos::ContainerStatus;
use mesos_proto::v1::agent::call::Type;

use crate::http::operator::containers::{self, ContainerCall, Users};
use crate::http::operator::parse::Call;
use crate::process::AgentProcess;

/// Requests whose answers containers have to give. An agent that ends tells them to ask again: executors wait for its
/// next life.
#[derive(Debug, Default)]
pub struct Callers {
    next: u64,
    waiting: BTreeMap<u64, Responder>,
}

impl Callers {
    /// Keeps a request; the key gives it back.
    fn keep(&mut self, responder: Responder) -> u64 {
        self.next += 1;
        // Those who have left in the meantime are not kept for an answer that may be far away.
        self.waiting.retain(|_, responder| !responder.is_closed());
        self.waiting.insert(self.next, responder);
        self.next
    }

    fn answer(&mut self, key: u64, response: Response) {
        if let Some(responder) = self.waiting.remove(&key) {
            responder.send(response);
        }
    }

    /// Answers everybody.
    pub fn dismiss(&mut self) {
        for responder in std::mem::take(&mut self.waiting).into_values() {
            responder.send(plain(503, "the agent is ending"));
        }
    }
}

impl AgentProcess {
    /// Answers a call about containers.
    pub(crate) fn container_call(&mut self, call: &Call, responder: Responder, context: &mut Context<Self>) {
        let config = self.core().config();
        let users = if config.switch_user {
            Users::Switched
        } else {
            Users::Ignored
        };
        match containers::read(call, users, &config.enforced_limits) {
            Ok(ContainerCall::Launch(id, request)) => self.launch_for_caller(id, *request, responder, context),
            Ok(ContainerCall::Session(id, request)) => self.open_session(id, *request, call, responder, context),
            Ok(ContainerCall::Wait(id)) => self.wait_for_caller(id, call.kind, call.media_type, responder, context),
            Ok(ContainerCall::Kill(id, signal)) => {
                let killed = self.containerizer().kill(id.clone(), signal);
                let key = self.callers.keep(responder);
                context.run_async(killed, move |agent, result, _| {
                    agent.callers.answer(key, containers::killed(&id, &result));
                });
            }
            Ok(ContainerCall::Remove(id)) => {
                let removed = self.containerizer().remove(id);
                let key = self.callers.keep(responder);
                context.run_async(removed, move |agent, result, _| {
                    agent.callers.answer(key, containers::removed(&result));
                });
            }
            Ok(ContainerCall::Attach(id)) => self.attach(&id, call, responder),
            Err(refusal) => responder.send(refusal),
        }
    }

    fn launch_for_caller(
        &mut self,
        container_id: ContainerId,
        request: LaunchRequest,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let key = self.callers.keep(responder);
        self.launch_nested(container_id, request, context, move |agent, result, _| {
            let response = match result {
                Ok(()) => Response::status(StatusCode::OK),
                Err(error) => containers::not_launched(&error),
            };
            agent.callers.answer(key, response);
        });
    }

    /// Launches a container, tells the core of it and then the caller.
    pub(crate) fn launch_nested(
        &mut self,
        container_id: ContainerId,
        request: LaunchRequest,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<(), ContainerizerError>, &mut Context<Self>) + 'static,
    ) {
        let key = self.pending.begin("launch", &container_id);
        let containerizer = Arc::clone(self.containerizer());
        let launched = containerizer.launch(container_id.clone(), request);
        let id = container_id.clone();
        let outcome = async move {
            launched.await?;
            // A container whose status cannot be told still runs, or has ended already.
            Ok(containerizer.status(id).await.ok())
        };
        context.run_async(outcome, move |agent, result: Result<_, ContainerizerError>, context| {
            agent.pending.end(key);
            let result = result.map(|status| {
                if let Some(status) = status {
                    agent.note_nested(container_id, status, context);
                }
            });
            then(agent, result, context);
        });
    }

    /// Tells the core of a nested container that runs, and later of its end.
    fn note_nested(&mut self, container_id: ContainerId, status: ContainerStatus, context: &mut Context<Self>) {
        let running = Input::NestedContainerRunning {
            container_id: container_id.clone(),
            status: Box::new(status),
        };
        self.apply(running, context);
        let ended = self.containerizer().wait(container_id.clone());
        context.run_async(ended, move |agent, _, context| {
            agent.apply(Input::NestedContainerEnded { container_id }, context);
        });
    }

    /// Tells the core of the nested containers that an earlier life of the agent left.
    pub(crate) fn note_recovered(&self, recovered: Recovered, context: &mut Context<Self>) {
        for container_id in recovered.containers.into_iter().filter(ContainerId::is_nested) {
            let status = self.containerizer().status(container_id.clone());
            context.run_async(status, move |agent, status, context| {
                if let Ok(status) = status {
                    agent.note_nested(container_id, status, context);
                }
            });
        }
    }

    fn wait_for_caller(
        &mut self,
        container_id: ContainerId,
        kind: Type,
        media_type: MediaType,
        responder: Responder,
        context: &mut Context<Self>,
    ) {
        let ended = self.containerizer().wait(container_id.clone());
        let key = self.callers.keep(responder);
        context.run_async(ended, move |agent, end, _| {
            let response = containers::ended(kind, &container_id, end.as_ref(), media_type);
            agent.callers.answer(key, response);
        });
    }
}
