//! The protobuf messages that masters, agents, executors and schedulers exchange over libprocess, as one type.
//!
//! A core receives and emits [`Message`] values and never sees bytes; shells call [`Message::decode`] with the name
//! from the request line and [`Message::encode`] before writing. Names are full type names, as on the wire.
//!
//! Source: shared facts, `messages_flow.tsv` and `libprocess_wire.md` section 2.

use mesos_proto::internal::wire::messages as internal;
use mesos_proto::v0::{authentication, scheduler};
use protobuf::Message as _;

/// A protobuf message with a name on the wire.
pub trait WireMessage: protobuf::MessageFull {
    /// Full type name, for example `mesos.internal.RegisterSlaveMessage`.
    const WIRE_NAME: &'static str;
}

macro_rules! messages {
    ($($(#[$meta:meta])* $variant:ident($type:ty) = $name:literal;)*) => {
        /// One message on the wire.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant(Box<$type>),
            )*
        }

        impl Message {
            /// Full type names of all messages, in declaration order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The full type name, as it stands in the request line.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Serializes the message. Missing required fields are our own mistake: they are written as they are,
            /// and the receiver drops the message.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$variant(message) => encode_partial(&**message),)*
                }
            }

            /// Parses the body of the message called `name`; `None` when no such message exists.
            ///
            /// # Errors
            ///
            /// Gives the parser's error for a body that is no such message or lacks required fields.
            #[must_use]
            pub fn decode(name: &str, body: &[u8]) -> Option<protobuf::Result<Self>> {
                match name {
                    $($name => Some(<$type>::parse_from_bytes(body).map(|message| Self::$variant(Box::new(message)))),)*
                    _ => None,
                }
            }
        }

        $(
            impl WireMessage for $type {
                const WIRE_NAME: &'static str = $name;
            }

            impl From<$type> for Message {
                fn from(message: $type) -> Self {
                    Self::$variant(Box::new(message))
                }
            }
        )*
    };
}

fn encode_partial<M: protobuf::Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(message.compute_size()).unwrap_or_default());
    {
        let mut output = protobuf::CodedOutputStream::vec(&mut bytes);
        message
            .write_to_with_cached_sizes(&mut output)
            .expect("writing to memory cannot fail");
        output.flush().expect("writing to memory cannot fail");
    }
    bytes
}

messages! {
    SchedulerCall(scheduler::Call) = "mesos.scheduler.Call";
    SchedulerEvent(scheduler::Event) = "mesos.scheduler.Event";
    SubmitSchedulerRequest(internal::SubmitSchedulerRequest) = "mesos.internal.SubmitSchedulerRequest";
    SubmitSchedulerResponse(internal::SubmitSchedulerResponse) = "mesos.internal.SubmitSchedulerResponse";
    RegisterFramework(internal::RegisterFrameworkMessage) = "mesos.internal.RegisterFrameworkMessage";
    ReregisterFramework(internal::ReregisterFrameworkMessage) = "mesos.internal.ReregisterFrameworkMessage";
    FrameworkRegistered(internal::FrameworkRegisteredMessage) = "mesos.internal.FrameworkRegisteredMessage";
    FrameworkReregistered(internal::FrameworkReregisteredMessage) = "mesos.internal.FrameworkReregisteredMessage";
    FrameworkError(internal::FrameworkErrorMessage) = "mesos.internal.FrameworkErrorMessage";
    UnregisterFramework(internal::UnregisterFrameworkMessage) = "mesos.internal.UnregisterFrameworkMessage";
    DeactivateFramework(internal::DeactivateFrameworkMessage) = "mesos.internal.DeactivateFrameworkMessage";
    ResourceRequest(internal::ResourceRequestMessage) = "mesos.internal.ResourceRequestMessage";
    ResourceOffers(internal::ResourceOffersMessage) = "mesos.internal.ResourceOffersMessage";
    InverseOffers(internal::InverseOffersMessage) = "mesos.internal.InverseOffersMessage";
    RescindResourceOffer(internal::RescindResourceOfferMessage) = "mesos.internal.RescindResourceOfferMessage";
    RescindInverseOffer(internal::RescindInverseOfferMessage) = "mesos.internal.RescindInverseOfferMessage";
    LaunchTasks(internal::LaunchTasksMessage) = "mesos.internal.LaunchTasksMessage";
    ReviveOffers(internal::ReviveOffersMessage) = "mesos.internal.ReviveOffersMessage";
    KillTask(internal::KillTaskMessage) = "mesos.internal.KillTaskMessage";
    ReconcileTasks(internal::ReconcileTasksMessage) = "mesos.internal.ReconcileTasksMessage";
    RunTask(internal::RunTaskMessage) = "mesos.internal.RunTaskMessage";
    RunTaskGroup(internal::RunTaskGroupMessage) = "mesos.internal.RunTaskGroupMessage";
    FrameworkToExecutor(internal::FrameworkToExecutorMessage) = "mesos.internal.FrameworkToExecutorMessage";
    ExecutorToFramework(internal::ExecutorToFrameworkMessage) = "mesos.internal.ExecutorToFrameworkMessage";
    StatusUpdate(internal::StatusUpdateMessage) = "mesos.internal.StatusUpdateMessage";
    StatusUpdateAcknowledgement(internal::StatusUpdateAcknowledgementMessage) =
        "mesos.internal.StatusUpdateAcknowledgementMessage";
    LostSlave(internal::LostSlaveMessage) = "mesos.internal.LostSlaveMessage";
    ExitedExecutor(internal::ExitedExecutorMessage) = "mesos.internal.ExitedExecutorMessage";
    RegisterSlave(internal::RegisterSlaveMessage) = "mesos.internal.RegisterSlaveMessage";
    ReregisterSlave(internal::ReregisterSlaveMessage) = "mesos.internal.ReregisterSlaveMessage";
    SlaveRegistered(internal::SlaveRegisteredMessage) = "mesos.internal.SlaveRegisteredMessage";
    SlaveReregistered(internal::SlaveReregisteredMessage) = "mesos.internal.SlaveReregisteredMessage";
    UnregisterSlave(internal::UnregisterSlaveMessage) = "mesos.internal.UnregisterSlaveMessage";
    UpdateSlave(internal::UpdateSlaveMessage) = "mesos.internal.UpdateSlaveMessage";
    PingSlave(internal::PingSlaveMessage) = "mesos.internal.PingSlaveMessage";
    PongSlave(internal::PongSlaveMessage) = "mesos.internal.PongSlaveMessage";
    Shutdown(internal::ShutdownMessage) = "mesos.internal.ShutdownMessage";
    DrainSlave(internal::DrainSlaveMessage) = "mesos.internal.DrainSlaveMessage";
    ShutdownFramework(internal::ShutdownFrameworkMessage) = "mesos.internal.ShutdownFrameworkMessage";
    ShutdownExecutor(internal::ShutdownExecutorMessage) = "mesos.internal.ShutdownExecutorMessage";
    UpdateFramework(internal::UpdateFrameworkMessage) = "mesos.internal.UpdateFrameworkMessage";
    CheckpointResources(internal::CheckpointResourcesMessage) = "mesos.internal.CheckpointResourcesMessage";
    ApplyOperation(internal::ApplyOperationMessage) = "mesos.internal.ApplyOperationMessage";
    UpdateOperationStatus(internal::UpdateOperationStatusMessage) = "mesos.internal.UpdateOperationStatusMessage";
    AcknowledgeOperationStatus(internal::AcknowledgeOperationStatusMessage) =
        "mesos.internal.AcknowledgeOperationStatusMessage";
    ReconcileOperations(internal::ReconcileOperationsMessage) = "mesos.internal.ReconcileOperationsMessage";
    RegisterExecutor(internal::RegisterExecutorMessage) = "mesos.internal.RegisterExecutorMessage";
    ExecutorRegistered(internal::ExecutorRegisteredMessage) = "mesos.internal.ExecutorRegisteredMessage";
    ReconnectExecutor(internal::ReconnectExecutorMessage) = "mesos.internal.ReconnectExecutorMessage";
    ReregisterExecutor(internal::ReregisterExecutorMessage) = "mesos.internal.ReregisterExecutorMessage";
    ExecutorReregistered(internal::ExecutorReregisteredMessage) = "mesos.internal.ExecutorReregisteredMessage";
    Authenticate(authentication::AuthenticateMessage) = "mesos.internal.AuthenticateMessage";
    AuthenticationMechanisms(authentication::AuthenticationMechanismsMessage) =
        "mesos.internal.AuthenticationMechanismsMessage";
    AuthenticationStart(authentication::AuthenticationStartMessage) = "mesos.internal.AuthenticationStartMessage";
    AuthenticationStep(authentication::AuthenticationStepMessage) = "mesos.internal.AuthenticationStepMessage";
    AuthenticationCompleted(authentication::AuthenticationCompletedMessage) =
        "mesos.internal.AuthenticationCompletedMessage";
    AuthenticationFailed(authentication::AuthenticationFailedMessage) = "mesos.internal.AuthenticationFailedMessage";
    AuthenticationError(authentication::AuthenticationErrorMessage) = "mesos.internal.AuthenticationErrorMessage";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_the_full_name_of_its_type() {
        let mut ping = internal::PingSlaveMessage::new();
        ping.set_connected(true);
        let message = Message::from(ping);
        assert_eq!(message.name(), "mesos.internal.PingSlaveMessage");
        let bytes = message.encode();
        assert_eq!(
            Message::decode(message.name(), &bytes).expect("known").expect("valid"),
            message
        );
        assert!(Message::decode("mesos.internal.NoSuchMessage", &bytes).is_none());
    }

    #[test]
    fn a_body_without_required_fields_is_an_error() {
        assert!(
            Message::decode("mesos.internal.RegisterSlaveMessage", b"")
                .expect("known")
                .is_err()
        );
    }
}
