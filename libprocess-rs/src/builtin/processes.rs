//! `/__processes__`: who lives in this node, and what waits for them.

use serde_json::{Value, json};

use super::open_to_all;
use crate::http::Response;
use crate::mailbox::QueuedEvents;
use crate::node::Node;
use crate::{Context, Process};

const HELP: &str = "Lists the processes of this node with the events that wait for them, as a JSON array.";

/// Events of one kind that are listed one by one; what goes beyond is not told.
const EVENTS_LISTED_MAX: usize = 100;

/// The process `__processes__`.
pub(super) struct Processes;

impl Process for Processes {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.route("", open_to_all(HELP), |_, _, responder, context| {
            responder.send(Response::ok_json(list(context.node()).to_string()));
        });
    }
}

fn list(node: &Node) -> Value {
    let describe = |id: String| {
        let events = node.queued_events(&id).map(events_of).unwrap_or_default();
        json!({ "id": id, "events": events })
    };
    node.process_ids().into_iter().map(describe).collect()
}

fn events_of(queued: QueuedEvents) -> Vec<Value> {
    let kinds = [
        ("MESSAGE", queued.messages),
        ("DISPATCH", queued.dispatches),
        ("HTTP", queued.http_requests),
        ("EXITED", queued.exits),
        ("TERMINATE", queued.terminations),
    ];
    let listed = kinds
        .into_iter()
        .flat_map(|(kind, count)| std::iter::repeat_n(kind, count.min(EVENTS_LISTED_MAX)));
    listed.map(|kind| json!({ "type": kind })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_events_are_listed_up_to_a_bound() {
        let queued = QueuedEvents {
            messages: 1_000_000,
            http_requests: 1,
            ..QueuedEvents::default()
        };
        let events = events_of(queued);
        assert_eq!(events.len(), EVENTS_LISTED_MAX + 1);
        assert_eq!(events.last(), Some(&json!({ "type": "HTTP" })));
    }
}
