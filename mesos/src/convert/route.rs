//! For each message type, whether its bytes can stay as they are and, if not, where the exceptions are in it.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};

use protobuf::reflect::{MessageDescriptor, RuntimeFieldType, RuntimeType};

use super::exceptions::{EXCEPTIONS, Handler};
use crate::wire::{MalformedWire, WireFields, WireValue, put_nested};

/// What converting one message type takes.
pub(super) enum Route {
    /// Nothing: the bytes agree, here and in all messages inside.
    AsIs,
    /// This message is an exception.
    ByHand(Handler),
    /// Fields with these numbers hold messages with exceptions in them.
    Inside(Vec<(u32, MessageLink)>),
}

/// A message type whose route is looked up when it is first needed, for types may contain themselves.
pub(super) struct MessageLink {
    descriptor: MessageDescriptor,
    route: OnceLock<&'static Route>,
}

impl Route {
    fn new(descriptor: &MessageDescriptor) -> Self {
        if let Some(handler) = handler(descriptor.full_name()) {
            return Self::ByHand(handler);
        }
        let links: Vec<_> = descriptor
            .fields()
            .filter_map(|field| {
                let message = message_inside(&field.runtime_field_type())?;
                let number = u32::try_from(field.number()).ok()?;
                has_exception(&message, &mut Vec::new()).then(|| {
                    (
                        number,
                        MessageLink {
                            descriptor: message,
                            route: OnceLock::new(),
                        },
                    )
                })
            })
            .collect();
        if links.is_empty() {
            Self::AsIs
        } else {
            Self::Inside(links)
        }
    }

    /// Appends what the bytes of a message of this type become.
    pub(super) fn convert(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MalformedWire> {
        let links = match self {
            Self::AsIs => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Self::ByHand(handler) => return handler(bytes, out),
            Self::Inside(links) => links,
        };
        for field in WireFields::new(bytes) {
            let field = field?;
            match (links.iter().find(|(number, _)| *number == field.number), field.value) {
                (Some((number, link)), WireValue::Bytes(inside)) => {
                    let route = link.route.get_or_init(|| route(&link.descriptor));
                    put_nested(out, *number, |out| route.convert(inside, out))?;
                }
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }
}

fn handler(name: &str) -> Option<Handler> {
    EXCEPTIONS
        .iter()
        .find(|exception| exception.from == name)
        .map(|exception| exception.handler)
}

/// The message type that a field holds. Maps are left alone: none holds an exception, which a test makes sure of.
fn message_inside(kind: &RuntimeFieldType) -> Option<MessageDescriptor> {
    match kind {
        RuntimeFieldType::Singular(RuntimeType::Message(message))
        | RuntimeFieldType::Repeated(RuntimeType::Message(message)) => Some(message.clone()),
        _ => None,
    }
}

fn has_exception(descriptor: &MessageDescriptor, seen: &mut Vec<String>) -> bool {
    let name = descriptor.full_name();
    if handler(name).is_some() {
        return true;
    }
    if seen.iter().any(|earlier| earlier == name) {
        return false;
    }
    seen.push(name.to_owned());
    descriptor
        .fields()
        .filter_map(|field| message_inside(&field.runtime_field_type()))
        .any(|message| has_exception(&message, seen))
}

static ROUTES: LazyLock<RwLock<HashMap<String, &'static Route>>> = LazyLock::new(RwLock::default);

/// The route of a message type, worked out when it is asked for the first time. Routes live as long as the process;
/// there is at most one a type.
pub(super) fn route(descriptor: &MessageDescriptor) -> &'static Route {
    let name = descriptor.full_name();
    if let Some(route) = ROUTES.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return route;
    }
    let made = Route::new(descriptor);
    ROUTES
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(name.to_owned())
        .or_insert_with(|| Box::leak(Box::new(made)))
}
