//! Operations: reservations, volumes and disks, asked for by frameworks with their offers or by operators.
//!
//! Source: shared facts, `messages_flow.tsv`, `scheduler_calls.tsv`, `operator_calls.tsv`, `pitfalls.md` D1, D2, golden
//! `wire/w14_persistent_volume.jsonl`.

mod acknowledge;
mod agent;
mod apply;
mod counts;
mod invariants;
mod kind;
mod offered;
mod operator;
mod orphans;
mod providers;
mod reconcile;
mod refusal;
mod speculation;
mod state;
mod status;
mod updates;
mod validate;

pub use counts::OperationCounts;
pub(crate) use kind::once;
pub(crate) use updates::REMEMBERED_ACKNOWLEDGEMENTS;
