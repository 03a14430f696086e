//! Histories of a stream, generated and compared with a simple model.

use mesos::ids::{FrameworkId, TaskId};
use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::mesos as pb;
use proptest::prelude::*;

use super::*;
use crate::status_update_stream::{StatusUpdateStreams, StreamKey, log_records};

fn key(task: u8) -> StreamKey {
    StreamKey {
        framework_id: FrameworkId::new("F"),
        task_id: TaskId::new(format!("t{task}")),
    }
}

fn update(task: u8, number: u8, state: pb::TaskState) -> internal::StatusUpdate {
    let mut update = internal::StatusUpdate::new();
    update.framework_id.mut_or_insert_default().set_value("F".to_owned());
    update.set_uuid(uuid(task, number));
    let status = update.status.mut_or_insert_default();
    status.task_id.mut_or_insert_default().set_value(format!("t{task}"));
    status.set_state(state);
    update
}

fn uuid(task: u8, number: u8) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes[0] = task;
    bytes[1] = number;
    bytes
}

#[derive(Clone, Debug)]
enum Action {
    Receive { task: u8, number: u8 },
    Acknowledge { task: u8, number: u8 },
    Retry { task: u8 },
    Pause,
    Resume,
    Restart,
}

/// Updates 0 to 4 of a task are running, 5 and 6 are ends.
fn state(number: u8) -> pb::TaskState {
    if number < 5 {
        pb::TaskState::TASK_RUNNING
    } else {
        pb::TaskState::TASK_FINISHED
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..3_u8, 0..7_u8).prop_map(|(task, number)| Action::Receive { task, number }),
        6 => (0..3_u8, 0..7_u8).prop_map(|(task, number)| Action::Acknowledge { task, number }),
        2 => (0..3_u8).prop_map(|task| Action::Retry { task }),
        1 => Just(Action::Pause),
        2 => Just(Action::Resume),
        1 => Just(Action::Restart),
    ]
}

/// What must be true of everything that is sent, and a log of each task.
#[derive(Default)]
struct Model {
    accepted: BTreeMap<u8, Vec<u8>>,
    acknowledged: BTreeMap<u8, Vec<u8>>,
    logs: BTreeMap<u8, Vec<internal::StatusUpdateRecord>>,
    /// Updates of earlier tasks with the same id.
    earlier: BTreeSet<(u8, u8)>,
}

impl Model {
    fn sent(&self, update: &internal::StatusUpdate) {
        let (task, number) = (update.uuid()[0], update.uuid()[1]);
        let acknowledged = self.acknowledged.get(&task).map(Vec::as_slice).unwrap_or_default();
        assert!(
            !acknowledged.contains(&number),
            "update {number} of task {task} was acknowledged before"
        );
        let head = self.accepted[&task]
            .iter()
            .find(|number| !acknowledged.contains(number));
        assert_eq!(head, Some(&number), "the oldest update that waits goes first");
    }

    fn record(&mut self, task: u8, number: u8, kind: internal::status_update_record::Type) {
        let mut record = internal::StatusUpdateRecord::new();
        record.set_type(kind);
        match kind {
            internal::status_update_record::Type::UPDATE => {
                record.update = Some(update(task, number, state(number))).into();
            }
            internal::status_update_record::Type::ACK => record.set_uuid(uuid(task, number)),
        }
        self.logs.entry(task).or_default().push(record);
    }

    fn restarted(&self) -> StatusUpdateStreams {
        let mut streams = StatusUpdateStreams::default();
        for (task, records) in &self.logs {
            streams.replay(&key(*task), &log_records(records), PathBuf::from("log"));
        }
        streams
    }
}

fn play(streams: &mut StatusUpdateStreams, model: &mut Model, action: &Action) {
    use internal::status_update_record::Type;
    match *action {
        Action::Receive { task, number } => {
            let update = update(task, number, state(number));
            let ended = model
                .accepted
                .get(&task)
                .is_some_and(|known| known.iter().any(|number| *number >= 5));
            let known = model.accepted.get(&task).is_some_and(|known| known.contains(&number));
            let closed = model
                .acknowledged
                .get(&task)
                .is_some_and(|known| known.iter().any(|number| *number >= 5));
            match streams.receive(&key(task), update.clone(), Some(PathBuf::from("log"))) {
                Received::New { send, .. } => {
                    // Task ids may be used again after their end; agents tell updates of a late executor apart.
                    assert!(!known && !model.earlier.contains(&(task, number)) && (!ended || closed));
                    if closed {
                        let accepted = model.accepted.remove(&task).unwrap_or_default();
                        model.earlier.extend(accepted.into_iter().map(|number| (task, number)));
                        model.acknowledged.remove(&task);
                        model.logs.remove(&task);
                    }
                    model.accepted.entry(task).or_default().push(number);
                    model.record(task, number, Type::UPDATE);
                    if send {
                        model.sent(&update);
                    }
                }
                Received::Duplicate => assert!(known || ended || model.earlier.contains(&(task, number))),
            }
        }
        Action::Acknowledge { task, number } => {
            if let Ok(acknowledged) = streams.acknowledge(&key(task), &uuid(task, number)) {
                model.acknowledged.entry(task).or_default().push(number);
                model.record(task, number, Type::ACK);
                assert_eq!(acknowledged.closed, number >= 5);
                if let Some(next) = acknowledged.next {
                    model.sent(&next);
                }
            }
        }
        Action::Retry { task } => {
            if let Some((update, pause)) = streams.retry(&key(task)) {
                assert!((RETRY_MIN..=RETRY_MAX).contains(&pause));
                model.sent(&update);
            }
        }
        Action::Pause => drop(streams.pause()),
        Action::Resume => streams.resume().iter().for_each(|(_, update)| model.sent(update)),
        Action::Restart => {
            // What came before a task with the same id is not on the disk any more.
            model.earlier.clear();
            *streams = model.restarted();
        }
    }
}

proptest! {
    #[test]
    fn updates_keep_their_order_and_are_never_sent_after_their_acknowledgement(
        actions in prop::collection::vec(action(), 1..200)
    ) {
        let mut streams = StatusUpdateStreams::default();
        let mut model = Model::default();
        for action in actions {
            play(&mut streams, &mut model, &action);
        }
        // Whatever happened: with a master that acknowledges, every task that has an end gets to it, once.
        for (key, head) in streams.resume() {
            let mut head = Some(head);
            let mut ends = 0;
            while let Some(update) = head {
                model.sent(&update);
                let uuid = update.uuid().to_vec();
                ends += usize::from(uuid[1] >= 5);
                let acknowledged = streams.acknowledge(&key, &uuid).expect("the update that was sent");
                model.acknowledged.entry(uuid[0]).or_default().push(uuid[1]);
                prop_assert_eq!(streams.acknowledge(&key, &uuid).is_err(), true);
                head = acknowledged.next;
            }
            prop_assert!(ends <= 1);
        }
    }
}

#[test]
fn a_stream_closes_with_the_acknowledgement_of_its_end() {
    let mut streams = StatusUpdateStreams::default();
    streams.resume();
    streams.receive(&key(1), update(1, 5, pb::TaskState::TASK_FINISHED), None);
    assert_eq!(streams.open().count(), 1);
    assert_eq!(
        streams.acknowledge(&key(1), &uuid(1, 4)),
        Err(AcknowledgementError::Unexpected)
    );
    let closed = Acknowledged {
        log: None,
        next: None,
        closed: true,
    };
    assert_eq!(streams.acknowledge(&key(1), &uuid(1, 5)), Ok(closed));
    assert_eq!(
        streams.acknowledge(&key(1), &uuid(1, 5)),
        Err(AcknowledgementError::Duplicate)
    );
    assert_eq!(
        streams.acknowledge(&key(2), &uuid(2, 5)),
        Err(AcknowledgementError::UnknownStream)
    );
    assert_eq!(streams.open().count(), 0);
    let again = update(1, 5, pb::TaskState::TASK_FINISHED);
    assert_eq!(streams.receive(&key(1), again, None), Received::Duplicate);
}

#[test]
fn memory_of_closed_streams_is_bounded() {
    let mut streams = StatusUpdateStreams::default();
    for number in 0..u32::try_from(REMEMBERED).expect("small") + 10 {
        let mut update = update(1, 5, pb::TaskState::TASK_FINISHED);
        let mut uuid = vec![9; 16];
        uuid[..4].copy_from_slice(&number.to_be_bytes());
        update.set_uuid(uuid.clone());
        streams.receive(&key(1), update, None);
        streams.acknowledge(&key(1), &uuid).expect("the head");
    }
    assert_eq!(streams.remembered.members.len(), REMEMBERED);
    assert_eq!(streams.remembered.order.len(), REMEMBERED);
}
