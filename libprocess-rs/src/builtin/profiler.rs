//! `/profiler/*` and `/memory-profiler/*`: both would need libraries that this program does not contain, and say so.

use super::readwrite;
use crate::http::{Response, StatusCode};
use crate::{Context, Process};

const PROFILER_HELP: &str = "Controls a processor profiler. Not supported: this program contains none.";
const MEMORY_HELP: &str = "Controls a heap profiler. Not supported: this program contains none.";
const NOT_ENABLED: &str = "The processor profiler is not enabled. LIBPROCESS_ENABLE_PROFILER=1 in the environment \
                           would ask for it, but this program contains no profiler; use 'perf record' instead.\n";
const NOT_SUPPORTED: &str =
    "LIBPROCESS_ENABLE_PROFILER is set, but this program contains no profiler; use 'perf record' instead.\n";
const NO_HEAP_PROFILER: &str =
    "Memory profiling is not supported: it needs the allocator jemalloc, which this program is not built with.\n";

/// The process `profiler`.
pub(super) struct Profiler;

impl Process for Profiler {
    fn initialize(&mut self, context: &mut Context<Self>) {
        for name in ["start", "stop"] {
            let options = readwrite(context.node(), PROFILER_HELP);
            context.route(name, options, |_, _, responder, context| {
                responder.send(if context.node().config().enable_profiler {
                    Response::text(StatusCode::NOT_IMPLEMENTED, NOT_SUPPORTED)
                } else {
                    Response::text(StatusCode::BAD_REQUEST, NOT_ENABLED)
                });
            });
        }
    }
}

/// The process `memory-profiler`.
pub(super) struct MemoryProfiler;

impl Process for MemoryProfiler {
    fn initialize(&mut self, context: &mut Context<Self>) {
        for name in [
            "start",
            "stop",
            "state",
            "statistics",
            "download/raw",
            "download/text",
            "download/graph",
        ] {
            let options = readwrite(context.node(), MEMORY_HELP);
            context.route(name, options, |_, _, responder, _| {
                responder.send(Response::text(StatusCode::NOT_IMPLEMENTED, NO_HEAP_PROFILER));
            });
        }
    }
}
