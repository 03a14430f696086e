//! The driver's rules as sequences of inputs and effects.

use std::time::Duration;

use libprocess_types::Upid;
use mesos::Message;
use mesos_proto::internal::wire::messages as wire;
use mesos_proto::v0::mesos::{FrameworkInfo, Offer, framework_info};

use super::super::core::{DriverConfig, Input, Timer};
use super::*;

const NOW: Time = Time::from_nanos(5_000_000_000);

fn master() -> Upid {
    "master@10.0.0.1:5050".parse().expect("valid")
}

fn agent() -> Upid {
    "slave(1)@10.0.0.2:5051".parse().expect("valid")
}

fn core() -> Core {
    let mut framework = FrameworkInfo::new();
    framework.set_user("root".into());
    framework.set_name("test".into());
    framework.set_failover_timeout(100.0);
    Core::new(DriverConfig::new(framework))
}

fn received(core: &mut Core, message: impl Into<Message>) -> Vec<Effect> {
    core.step(
        NOW,
        Input::MessageReceived {
            from: master(),
            message: message.into(),
        },
    )
}

fn connect(core: &mut Core) {
    core.step(NOW, Input::MasterDetected(Some(master())));
    let mut message = wire::FrameworkRegisteredMessage::new();
    message.framework_id.mut_or_insert_default().set_value("F".into());
    message.master_info.mut_or_insert_default().set_id("M".into());
    let effects = received(core, message);
    assert!(
        matches!(&effects[..], [Effect::Tell(Callback::Registered(id, _))] if id.value() == "F"),
        "{effects:?}"
    );
}

fn offer(core: &mut Core) {
    let mut message = wire::ResourceOffersMessage::new();
    let mut offer = Offer::new();
    offer.id.mut_or_insert_default().set_value("O1".into());
    offer.slave_id.mut_or_insert_default().set_value("A".into());
    message.offers.push(offer);
    message.pids.push(agent().to_string());
    assert!(matches!(
        &received(core, message)[..],
        [Effect::Tell(Callback::ResourceOffers(_))]
    ));
}

fn task() -> TaskInfo {
    let mut task = TaskInfo::new();
    task.task_id.mut_or_insert_default().set_value("T".into());
    task.slave_id.mut_or_insert_default().set_value("A".into());
    task
}

fn id<T: protobuf::Message>(text: &str) -> T {
    let mut bytes = vec![10, u8::try_from(text.len()).expect("short")];
    bytes.extend_from_slice(text.as_bytes());
    T::parse_from_bytes(&bytes).expect("ids hold one string with number 1")
}

fn update(uuid: &[u8]) -> wire::StatusUpdateMessage {
    let mut message = wire::StatusUpdateMessage::new();
    let update = message.update.mut_or_insert_default();
    update.framework_id = MessageField::some(id("F"));
    update.slave_id = MessageField::some(id("A"));
    update.set_timestamp(3.5);
    update.set_uuid(uuid.to_vec());
    let status = update.status.mut_or_insert_default();
    status.task_id = MessageField::some(id("T"));
    status.set_state(TaskState::TASK_RUNNING);
    message
}

fn sent_call(effects: &[Effect]) -> &Call {
    match effects {
        [
            Effect::Send {
                to,
                message: Message::SchedulerCall(call),
            },
            ..,
        ] if *to == master() => call,
        other => panic!("no call to the master: {other:?}"),
    }
}

#[test]
fn subscribe_is_repeated_with_a_growing_bound_until_registered() {
    let mut core = core();
    let effects = core.step(NOW, Input::MasterDetected(Some(master())));
    let [
        Effect::Link(linked),
        Effect::Send {
            message: Message::SchedulerCall(call),
            ..
        },
        Effect::SetTimer { timer, after },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((linked, call.type_()), (&master(), call::Type::SUBSCRIBE));
    assert!(!call.subscribe.force(), "a new framework takes nothing over");
    assert!(*after < Duration::from_secs(4));
    for _ in 0..5 {
        let effects = core.step(NOW, Input::TimerElapsed(*timer));
        let Some(Effect::SetTimer { after, .. }) = effects.last() else {
            panic!("{effects:?}")
        };
        assert!(
            *after < Duration::from_secs(10),
            "a tenth of the failover timeout bounds the delay"
        );
    }
    let mut registered = wire::FrameworkRegisteredMessage::new();
    registered.framework_id = MessageField::some(id("F"));
    received(&mut core, registered.clone());
    assert!(core.step(NOW, Input::TimerElapsed(*timer)).is_empty());
    assert!(
        received(&mut core, registered).is_empty(),
        "an answer to a repeated subscription changes nothing"
    );
}

#[test]
fn a_framework_with_an_id_takes_over_once_and_then_no_more() {
    let mut framework = FrameworkInfo::new();
    framework.id = MessageField::some(id("F"));
    let mut core = Core::new(DriverConfig::new(framework));
    let effects = core.step(NOW, Input::MasterDetected(Some(master())));
    assert!(sent_call(&effects[1..]).subscribe.force());
    received(&mut core, {
        let mut message = wire::FrameworkReregisteredMessage::new();
        message.framework_id = MessageField::some(id("F"));
        message
    });
    let effects = core.step(NOW, Input::Exited(master()));
    let [
        Effect::Tell(Callback::Disconnected),
        Effect::SetTimer {
            timer: timer @ Timer::Subscribe(_),
            ..
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    let effects = core.step(NOW, Input::TimerElapsed(*timer));
    assert!(matches!(&effects[0], Effect::Link(to) if *to == master()));
    assert!(!sent_call(&effects[1..]).subscribe.force());
}

#[test]
fn updates_are_acknowledged_after_the_callback_when_they_carry_a_uuid() {
    let mut core = core();
    connect(&mut core);
    let effects = received(&mut core, update(b"0123456789abcdef"));
    let [
        Effect::Tell(Callback::StatusUpdate(status)),
        Effect::AcknowledgeImplicitly { to, message },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (status.uuid(), status.slave_id.value()),
        (&b"0123456789abcdef"[..], "A")
    );
    assert!((status.timestamp() - 3.5).abs() < f64::EPSILON);
    let Message::SchedulerCall(call) = message else {
        panic!("{message:?}")
    };
    assert_eq!(
        (to, call.type_(), call.acknowledge.task_id.value()),
        (&master(), call::Type::ACKNOWLEDGE, "T")
    );
    assert_eq!(
        received(&mut core, update(b"")).len(),
        1,
        "updates made by the master want no acknowledgement"
    );
}

#[test]
fn explicit_acknowledgements_are_the_frameworks_affair() {
    let mut core = core();
    core.config.implicit_acknowledgements = false;
    connect(&mut core);
    let effects = received(&mut core, update(b"0123456789abcdef"));
    let [Effect::Tell(Callback::StatusUpdate(status))] = &effects[..] else {
        panic!("{effects:?}")
    };
    let effects = core.step(NOW, Input::Called(ApiCall::AcknowledgeStatusUpdate(status.clone())));
    assert_eq!(sent_call(&effects).type_(), call::Type::ACKNOWLEDGE);
    let mut without = status.clone();
    without.uuid = None;
    assert!(
        core.step(NOW, Input::Called(ApiCall::AcknowledgeStatusUpdate(without)))
            .is_empty()
    );
}

#[test]
fn messages_go_directly_to_the_agent_once_a_task_runs_there() {
    let mut core = core();
    connect(&mut core);
    offer(&mut core);
    let message = || Input::Called(ApiCall::SendFrameworkMessage(id("E"), id("A"), b"hi".to_vec()));
    assert_eq!(sent_call(&core.step(NOW, message())).type_(), call::Type::MESSAGE);
    let launch = ApiCall::LaunchTasks(vec![id("O1")], vec![task()], Filters::new());
    assert_eq!(
        sent_call(&core.step(NOW, Input::Called(launch))).type_(),
        call::Type::ACCEPT
    );
    let effects = core.step(NOW, message());
    assert!(matches!(&effects[..], [Effect::Send { to, message: Message::FrameworkToExecutor(_) }] if *to == agent()));
    let mut lost = wire::LostSlaveMessage::new();
    lost.slave_id = MessageField::some(id("A"));
    received(&mut core, lost);
    assert_eq!(sent_call(&core.step(NOW, message())).type_(), call::Type::MESSAGE);
}

#[test]
fn a_launch_without_a_master_is_answered_by_the_driver() {
    for (aware, expected) in [(false, TaskState::TASK_LOST), (true, TaskState::TASK_DROPPED)] {
        let mut core = core();
        if aware {
            let mut capability = framework_info::Capability::new();
            capability.set_type(framework_info::capability::Type::PARTITION_AWARE);
            core.config.framework.capabilities.push(capability);
        }
        let launch = ApiCall::LaunchTasks(vec![id("O1")], vec![task()], Filters::new());
        let effects = core.step(NOW, Input::Called(launch));
        let [Effect::Tell(Callback::StatusUpdate(status))] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(
            (status.state(), status.reason()),
            (expected, task_status::Reason::REASON_MASTER_DISCONNECTED)
        );
    }
}

#[test]
fn an_error_aborts_the_driver_and_stop_still_tears_nothing_down() {
    let mut core = core();
    connect(&mut core);
    let mut error = wire::FrameworkErrorMessage::new();
    error.set_message("Framework failed over".into());
    let effects = received(&mut core, error);
    assert!(matches!(
        &effects[..],
        [
            Effect::Send {
                message: Message::DeactivateFramework(_),
                ..
            },
            Effect::Tell(Callback::Error(_))
        ]
    ));
    assert!(received(&mut core, update(b"0123456789abcdef")).is_empty());
    assert!(
        core.step(NOW, Input::Called(ApiCall::Stop { failover: false }))
            .is_empty()
    );
}

#[test]
fn a_registration_from_before_the_masters_end_does_not_connect() {
    let mut core = core();
    connect(&mut core);
    let effects = core.step(NOW, Input::Exited(master()));
    let [Effect::Tell(Callback::Disconnected), Effect::SetTimer { timer, .. }] = effects[..] else {
        panic!("{effects:?}");
    };
    let mut late = wire::FrameworkRegisteredMessage::new();
    late.framework_id.mut_or_insert_default().set_value("F".into());
    assert_eq!(received(&mut core, late.clone()), []);
    core.step(NOW, Input::TimerElapsed(timer));
    assert!(matches!(
        &received(&mut core, late)[..],
        [Effect::Tell(Callback::Registered(..))]
    ));
}

#[test]
fn strangers_and_late_messages_are_ignored() {
    let mut core = core();
    connect(&mut core);
    let stranger = "master@10.9.9.9:5050".parse().expect("valid");
    let effects = core.step(
        NOW,
        Input::MessageReceived {
            from: stranger,
            message: update(b"0123456789abcdef").into(),
        },
    );
    assert!(effects.is_empty());
    let effects = core.step(NOW, Input::Called(ApiCall::Stop { failover: false }));
    assert_eq!(sent_call(&effects).type_(), call::Type::TEARDOWN);
    assert!(received(&mut core, update(b"0123456789abcdef")).is_empty());
}
