//! Executors introduce themselves: over libprocess with registration messages, or over the v1 API with SUBSCRIBE. Both
//! may come back after a restart of the agent and say what they still hold.
//!
//! Source: shared facts, `messages_flow.tsv` (RegisterExecutor, ReregisterExecutor), `executor_calls.tsv`, and the
//! recorded exchanges `w2`, `w3` and `w8`.

use std::collections::BTreeSet;

use libprocess_types::Upid;
use mesos::ids::{ExecutorId, FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::executor;
use mesos_proto::v0::mesos as pb;
use pb::task_status::Reason;
use protobuf::MessageField;
use tracing::{debug, info, warn};

use crate::agent::{Agent, AgentState};
use crate::checkpoint::{marker, text_file};
use crate::effect::Effect;
use crate::executor::{ExecutorConnection, ExecutorKey, ExecutorState};
use crate::executor_lifecycle::{report, shutdown_event};
use crate::framework::FrameworkState;
use crate::input::{AgentTimer, ExecutorStreamId, RequestId};
use crate::outbox::When;

impl Agent {
    /// A libprocess executor has started.
    pub(crate) fn register_executor(&mut self, from: &Upid, message: &internal::RegisterExecutorMessage) {
        let key = key_of(&message.framework_id, &message.executor_id);
        if self.state == AgentState::Recovering || !self.accepts_executors_of(&key) {
            self.turn_away(from, &key);
            return;
        }
        let Some(executor) = self.executor_mut(&key) else {
            self.turn_away(from, &key);
            return;
        };
        match executor.state {
            ExecutorState::Registering => {}
            ExecutorState::Running if executor.connection == ExecutorConnection::Libprocess(from.clone()) => {
                debug!(executor_id = %key.executor_id, "the executor is registered already");
                return;
            }
            ExecutorState::Running | ExecutorState::Terminating | ExecutorState::Terminated => {
                self.turn_away(from, &key);
                return;
            }
        }
        info!(executor_id = %key.executor_id, framework_id = %key.framework_id, upid = %from, "executor registered");
        self.connect_libprocess_executor(&key, from);
        if self.shut_down_if_idle(&key) {
            return;
        }
        self.send_executor_registered(&key, from);
        self.update_container(&key);
        self.deliver_queued_tasks(&key);
    }

    fn connect_libprocess_executor(&mut self, key: &ExecutorKey, from: &Upid) {
        let Some(executor) = self.executor_mut(key) else { return };
        executor.state = ExecutorState::Running;
        executor.connection = ExecutorConnection::Libprocess(from.clone());
        let container_id = executor.container_id.clone();
        let path = executor.paths.libprocess_pid();
        let checkpoint = executor.checkpoint;
        self.cancel_timer(AgentTimer::ExecutorRegistration { container_id });
        self.emit(Effect::Link(from.clone()));
        if checkpoint {
            self.write(text_file(path, &from.to_string()));
        }
    }

    fn send_executor_registered(&mut self, key: &ExecutorKey, to: &Upid) {
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.get(&key.executor_id) else {
            return;
        };
        let when = When::held_if(executor.checkpoint);
        let mut message = internal::ExecutorRegisteredMessage::new();
        message.executor_info = MessageField::some(executor.info.clone());
        message.framework_id = MessageField::some(key.framework_id.to_proto());
        message.framework_info = MessageField::some(framework.info.clone());
        message.slave_id.clone_from(&self.info.id);
        message.slave_info = MessageField::some(self.info.clone());
        self.send(when, to, message);
    }

    /// A libprocess executor is back after a restart of the agent.
    pub(crate) fn reregister_executor(&mut self, from: &Upid, message: &internal::ReregisterExecutorMessage) {
        let key = key_of(&message.framework_id, &message.executor_id);
        if !self.accepts_executors_of(&key) {
            self.turn_away(from, &key);
            return;
        }
        let Some(executor) = self.executor_mut(&key) else {
            self.turn_away(from, &key);
            return;
        };
        let known = executor.connection == ExecutorConnection::Libprocess(from.clone());
        match executor.state {
            ExecutorState::Registering => {}
            ExecutorState::Running if known => {}
            ExecutorState::Running | ExecutorState::Terminating | ExecutorState::Terminated => {
                self.turn_away(from, &key);
                return;
            }
        }
        info!(executor_id = %key.executor_id, framework_id = %key.framework_id, upid = %from, "executor is back");
        self.connect_libprocess_executor(&key, from);
        let mut answer = internal::ExecutorReregisteredMessage::new();
        answer.slave_id.clone_from(&self.info.id);
        answer.slave_info = MessageField::some(self.info.clone());
        self.send(When::Held, from, answer);
        for update in &message.updates {
            let origin = crate::status_updates::UpdateOrigin::Libprocess(from.clone());
            self.status_update(update.clone(), &origin);
        }
        self.update_container(&key);
        let held = message
            .tasks
            .iter()
            .map(|task| task.task_id.value().to_owned())
            .collect();
        self.drop_undelivered_tasks(&key, &held);
        if !self.shut_down_if_idle(&key) {
            self.deliver_queued_tasks(&key);
        }
    }

    /// Tasks that were sent to an executor which does not know them: the message got lost with the connection.
    fn drop_undelivered_tasks(&mut self, key: &ExecutorKey, held: &BTreeSet<String>) {
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.get(&key.executor_id) else {
            return;
        };
        let staged = executor
            .launched
            .values()
            .filter(|task| task.state() == pb::TaskState::TASK_STAGING);
        let lost = staged.map(|task| task.task_id.value()).filter(|id| !held.contains(*id));
        let lost: Vec<_> = lost.map(TaskId::from).collect();
        let state = framework.dropped_state();
        let told = report(
            state,
            Reason::REASON_SLAVE_RESTARTED,
            "the task was launched while the agent restarted",
        );
        for task_id in lost {
            info!(%task_id, executor_id = %key.executor_id, "the executor does not know a task that was sent to it");
            self.report_task(&key.framework_id, &task_id, Some(&key.executor_id), &told);
        }
    }

    /// Whether executors of a framework may register now.
    fn accepts_executors_of(&self, key: &ExecutorKey) -> bool {
        let running = |framework: &crate::framework::Framework| framework.state == FrameworkState::Running;
        self.state != AgentState::Terminating && self.frameworks.get(&key.framework_id).is_some_and(running)
    }

    fn turn_away(&mut self, upid: &Upid, key: &ExecutorKey) {
        warn!(executor_id = %key.executor_id, framework_id = %key.framework_id, %upid, "turning an executor away");
        self.send(When::Now, upid, internal::ShutdownExecutorMessage::new());
    }

    /// An executor calls over the v1 API.
    pub(crate) fn executor_call(&mut self, request: RequestId, stream: ExecutorStreamId, call: executor::Call) {
        use executor::call::Type;
        if self.state == AgentState::Recovering && !self.reconnecting {
            self.reply(request, 503, "the agent has not finished recovery");
            return;
        }
        if let Err(refusal) = check_call(&call) {
            self.reply(request, 400, &refusal);
            return;
        }
        if call.type_() == Type::HEARTBEAT {
            self.reply(request, 202, "");
            return;
        }
        if self.state == AgentState::Recovering && call.type_() != Type::SUBSCRIBE {
            self.reply(request, 503, "the agent has not finished recovery");
            return;
        }
        let key = key_of(&call.framework_id, &call.executor_id);
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            self.reply(
                request,
                400,
                &format!("framework '{}' has no work on this agent", key.framework_id),
            );
            return;
        };
        let Some(executor) = framework.executors.get(&key.executor_id) else {
            self.reply(
                request,
                400,
                &format!("executor '{}' is not known on this agent", key.executor_id),
            );
            return;
        };
        if executor.state == ExecutorState::Registering && call.type_() != Type::SUBSCRIBE {
            self.reply(request, 403, "the executor has not subscribed");
            return;
        }
        match call.type_() {
            Type::SUBSCRIBE => self.subscribe(&key, request, stream, &call.subscribe),
            Type::UPDATE => {
                self.status_update_call(&key, call.update.unwrap_or_default().status.unwrap_or_default());
                self.reply(request, 202, "");
            }
            Type::MESSAGE => {
                self.executor_message(&key, call.message.data().to_vec());
                self.reply(request, 202, "");
            }
            Type::HEARTBEAT => self.reply(request, 202, ""),
            Type::UNKNOWN => self.reply(request, 501, "the call type is not known"),
        }
    }

    fn subscribe(
        &mut self,
        key: &ExecutorKey,
        request: RequestId,
        stream: ExecutorStreamId,
        subscribe: &executor::call::Subscribe,
    ) {
        let state = self.executor_by(key).map(|executor| executor.state);
        let welcome = matches!(state, Some(ExecutorState::Registering | ExecutorState::Running));
        if !welcome || !self.accepts_executors_of(key) {
            warn!(executor_id = %key.executor_id, framework_id = %key.framework_id, "turning an executor away");
            self.emit(Effect::OpenStream { request, stream });
            self.emit(Effect::StreamEvent {
                stream,
                event: Box::new(shutdown_event()),
            });
            self.emit(Effect::CloseStream(stream));
            return;
        }
        info!(executor_id = %key.executor_id, framework_id = %key.framework_id, %stream, "executor subscribed");
        self.connect_http_executor(key, request, stream);
        for update in &subscribe.unacknowledged_updates {
            self.status_update_call(key, update.status.clone().unwrap_or_default());
        }
        let held = subscribe
            .unacknowledged_tasks
            .iter()
            .map(|task| task.task_id.value().to_owned())
            .collect();
        self.drop_undelivered_tasks(key, &held);
        if self.shut_down_if_idle(key) {
            return;
        }
        self.send_subscribed(key);
        self.update_container(key);
        self.deliver_queued_tasks(key);
        self.deliver_waiting_kills(key);
    }

    fn connect_http_executor(&mut self, key: &ExecutorKey, request: RequestId, stream: ExecutorStreamId) {
        self.drop_stream(key);
        let Some(executor) = self.executor_mut(key) else { return };
        executor.state = ExecutorState::Running;
        executor.connection = ExecutorConnection::Http(Some(stream));
        let container_id = executor.container_id.clone();
        let http_marker = executor.paths.http_marker();
        let checkpoint = executor.checkpoint;
        self.cancel_timer(AgentTimer::ExecutorRegistration { container_id });
        if checkpoint {
            self.write(marker(http_marker));
        }
        self.out
            .push(When::held_if(checkpoint), Effect::OpenStream { request, stream });
        self.set_timer(
            AgentTimer::ExecutorHeartbeat { stream },
            self.config.executor_heartbeat_interval,
        );
    }

    fn send_subscribed(&mut self, key: &ExecutorKey) {
        let Some(framework) = self.frameworks.get(&key.framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.get(&key.executor_id) else {
            return;
        };
        let mut event = executor::Event::new();
        event.set_type(executor::event::Type::SUBSCRIBED);
        let subscribed = event.subscribed.mut_or_insert_default();
        subscribed.executor_info = MessageField::some(executor.info.clone());
        subscribed.framework_info = MessageField::some(framework.info.clone());
        subscribed.slave_info = MessageField::some(self.info.clone());
        subscribed.container_id = MessageField::some(executor.container_id.to_proto());
        self.send_event(key, event);
    }

    /// The stream to a v1 executor broke. The executor may come back; if it ended, its container tells.
    pub(crate) fn executor_stream_closed(&mut self, stream: ExecutorStreamId) {
        self.cancel_timer(AgentTimer::ExecutorHeartbeat { stream });
        let executors = self
            .frameworks
            .values_mut()
            .flat_map(|framework| framework.executors.values_mut());
        for executor in executors {
            if executor.connection == ExecutorConnection::Http(Some(stream)) {
                info!(executor_id = %executor.id, framework_id = %executor.framework_id, "executor disconnected");
                executor.connection = ExecutorConnection::Http(None);
            }
        }
    }

    /// Keeps the connection of a v1 executor awake.
    pub(crate) fn send_executor_heartbeat(&mut self, stream: ExecutorStreamId) {
        let mut executors = self
            .frameworks
            .values()
            .flat_map(|framework| framework.executors.values());
        if executors.any(|executor| executor.connection == ExecutorConnection::Http(Some(stream))) {
            let mut event = executor::Event::new();
            event.set_type(executor::event::Type::HEARTBEAT);
            self.emit(Effect::StreamEvent {
                stream,
                event: Box::new(event),
            });
            self.set_timer(
                AgentTimer::ExecutorHeartbeat { stream },
                self.config.executor_heartbeat_interval,
            );
        }
    }

    fn reply(&mut self, request: RequestId, status: u16, body: &str) {
        self.emit(Effect::Reply {
            request,
            status,
            body: body.to_owned(),
        });
    }
}

pub(crate) fn key_of(framework: &pb::FrameworkID, executor: &pb::ExecutorID) -> ExecutorKey {
    ExecutorKey {
        framework_id: FrameworkId::from(framework),
        executor_id: ExecutorId::from(executor),
    }
}

/// What must hold for a call, whoever makes it.
fn check_call(call: &executor::Call) -> Result<(), String> {
    use executor::call::Type;
    let missing = |field: &str| Err(format!("the call lacks '{field}'"));
    if call.type_.is_none() {
        return missing("type");
    }
    if call.executor_id.is_none() {
        return missing("executor_id");
    }
    if call.framework_id.is_none() {
        return missing("framework_id");
    }
    match call.type_() {
        Type::SUBSCRIBE if call.subscribe.is_none() => missing("subscribe"),
        Type::MESSAGE if call.message.is_none() => missing("message"),
        Type::UPDATE => match call.update.as_ref() {
            None => missing("update"),
            Some(update) => check_update(call, &update.status),
        },
        Type::SUBSCRIBE | Type::MESSAGE | Type::HEARTBEAT | Type::UNKNOWN => Ok(()),
    }
}

fn check_update(call: &executor::Call, status: &pb::TaskStatus) -> Result<(), String> {
    if status.uuid().len() != 16 {
        return Err("'update.status.uuid' must have 16 bytes".to_owned());
    }
    let other = status
        .executor_id
        .as_ref()
        .filter(|id| id.value() != call.executor_id.value());
    if let Some(other) = other {
        let own = call.executor_id.value();
        return Err(format!(
            "'update.status.executor_id' is '{}', the call is of '{own}'",
            other.value()
        ));
    }
    if status.source() != pb::task_status::Source::SOURCE_EXECUTOR {
        return Err("'update.status.source' must be SOURCE_EXECUTOR".to_owned());
    }
    if status.state() == pb::TaskState::TASK_STAGING {
        return Err("'update.status.state' must not be TASK_STAGING".to_owned());
    }
    Ok(())
}
