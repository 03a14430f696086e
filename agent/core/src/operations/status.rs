//! Statuses of operations on their way to the master: recorded, sent, repeated until acknowledged, forgotten.
//!
//! Order on the disk: the operation's end is committed with its resources, then recorded in the operation's own log,
//! then sent. An acknowledgement is recorded, the operation leaves the checkpoint, its log goes.
//!
//! Source: shared facts, `messages_flow.tsv` (UpdateOperationStatus, AcknowledgeOperationStatus) and `disk_layout.md`
//! section 2 (`operation.updates`).

use libprocess_types::Upid;
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use protobuf::MessageField;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::is_terminal;
use crate::agent::{Agent, AgentState};
use crate::checkpoint::synced_record;
use crate::effect::CheckpointWrite;
use crate::input::AgentTimer;
use crate::outbox::When;
use crate::update_streams::{LogRecord, RETRY_MIN, Received, StreamedUpdate, UpdateStreams};

/// All streams of operation statuses of an agent.
pub(crate) type OperationStreams = UpdateStreams<Uuid, internal::UpdateOperationStatusMessage>;

impl StreamedUpdate for internal::UpdateOperationStatusMessage {
    fn uuid(&self) -> &[u8] {
        self.status.uuid.value()
    }

    fn is_terminal(&self) -> bool {
        is_terminal(self.status.state())
    }
}

/// The records of an `operation.updates` file.
pub(super) fn log_records(
    records: &[internal::UpdateOperationStatusRecord],
) -> Vec<LogRecord<internal::UpdateOperationStatusMessage>> {
    use internal::update_operation_status_record::Type;
    let read = records.iter().filter_map(|record| match record.type_() {
        Type::UPDATE => record.update.clone().into_option().map(LogRecord::Update),
        Type::ACK => Some(LogRecord::Acknowledgement(record.uuid.value().to_vec())),
    });
    read.collect()
}

fn retry_timer(uuid: &Uuid) -> AgentTimer {
    AgentTimer::OperationStatusRetry { operation_uuid: *uuid }
}

impl Agent {
    /// Gives an operation its last status, commits that with what the operation changed, and tells the master.
    pub(super) fn conclude_operation(&mut self, uuid: &Uuid, mut status: pb::OperationStatus) {
        let status_uuid = self.random.uuid().into_bytes().to_vec();
        status.uuid.mut_or_insert_default().set_value(status_uuid);
        let Some(operation) = self.operations.known.get_mut(uuid) else {
            return;
        };
        operation.latest_status = MessageField::some(status.clone());
        operation.statuses.push(status);
        self.commit_resources();
        self.stream_latest_status(uuid);
    }

    /// Hands the latest status of an operation to its stream.
    pub(super) fn stream_latest_status(&mut self, uuid: &Uuid) {
        let (Some(agent), Some(operation)) = (self.id.clone(), self.operations.known.get(uuid)) else {
            return;
        };
        let mut update = internal::UpdateOperationStatusMessage::new();
        update.framework_id.clone_from(&operation.framework_id);
        update.slave_id.clone_from(&self.info.id);
        update.status.clone_from(&operation.latest_status);
        update.operation_uuid.clone_from(&operation.uuid);
        let log = self.paths.operation_updates(&agent, uuid);
        match self.operations.streams.receive(uuid, update.clone(), Some(log)) {
            Received::New { log, send } => {
                if let Some(log) = log {
                    let mut entry = internal::UpdateOperationStatusRecord::new();
                    entry.set_type(internal::update_operation_status_record::Type::UPDATE);
                    entry.update = MessageField::some(update.clone());
                    self.write(synced_record(log, &entry));
                }
                if send {
                    self.send_operation_status(uuid, update);
                    self.set_timer(retry_timer(uuid), RETRY_MIN);
                }
            }
            Received::Duplicate => debug!(operation_uuid = %uuid, "an operation's status is recorded already"),
        }
    }

    fn send_operation_status(&mut self, uuid: &Uuid, mut update: internal::UpdateOperationStatusMessage) {
        let Some(master) = self.master.clone().filter(|_| self.state == AgentState::Running) else {
            return;
        };
        let newest = self.operations.streams.pending(uuid).last();
        update.latest_status = newest.map_or_else(|| update.status.clone(), |newest| newest.status.clone());
        self.send(When::Held, &master, update);
    }

    pub(crate) fn pause_operation_statuses(&mut self) {
        for uuid in self.operations.streams.pause() {
            self.cancel_timer(retry_timer(&uuid));
        }
    }

    pub(crate) fn resume_operation_statuses(&mut self) {
        for (uuid, update) in self.operations.streams.resume() {
            self.send_operation_status(&uuid, update);
            self.set_timer(retry_timer(&uuid), RETRY_MIN);
        }
    }

    /// Nobody acknowledged a status in time.
    pub(crate) fn operation_status_unacknowledged(&mut self, uuid: &Uuid) {
        if let Some((update, pause)) = self.operations.streams.retry(uuid) {
            info!(operation_uuid = %uuid, "sending an operation's status again");
            self.send_operation_status(uuid, update);
            self.set_timer(retry_timer(uuid), pause);
        }
    }

    /// The framework, or the master in its place, has handled a status.
    pub(crate) fn operation_status_acknowledged(
        &mut self,
        from: &Upid,
        message: &internal::AcknowledgeOperationStatusMessage,
    ) {
        if !self.is_master(from, "operation acknowledgement") || self.state != AgentState::Running {
            return;
        }
        let Ok(uuid) = Uuid::from_slice(message.operation_uuid.value()) else {
            warn!("ignoring an acknowledgement of an operation whose UUID has not 16 bytes");
            return;
        };
        let status_uuid = message.status_uuid.value();
        let acknowledged = match self.operations.streams.acknowledge(&uuid, status_uuid) {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                debug!(operation_uuid = %uuid, %error, "ignoring an acknowledgement");
                return;
            }
        };
        if let Some(log) = acknowledged.log {
            let mut entry = internal::UpdateOperationStatusRecord::new();
            entry.set_type(internal::update_operation_status_record::Type::ACK);
            entry.uuid.mut_or_insert_default().set_value(status_uuid.to_vec());
            self.write(synced_record(log, &entry));
        }
        match acknowledged.next {
            Some(next) => {
                self.send_operation_status(&uuid, next);
                self.set_timer(retry_timer(&uuid), RETRY_MIN);
            }
            None => self.cancel_timer(retry_timer(&uuid)),
        }
        if acknowledged.closed {
            self.forget_operation(&uuid);
        }
    }

    /// The end of an operation is acknowledged: it leaves the checkpoint, and its log goes.
    pub(super) fn forget_operation(&mut self, uuid: &Uuid) {
        self.operations.known.shift_remove(uuid);
        self.commit_resources();
        if let Some(agent) = self.id.clone() {
            let path = self.paths.operation(&agent, uuid);
            self.write(CheckpointWrite::Remove { path });
        }
        self.end_drain_if_done();
    }
}
