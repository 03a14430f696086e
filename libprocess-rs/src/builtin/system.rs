//! `/system/stats.json` and the metrics `system/*`: load, processors and memory of the machine.

use nix::sys::sysinfo::{SysInfo, sysinfo};
use serde_json::json;

use super::open_to_all;
use crate::http::{Response, StatusCode};
use crate::node::Node;
use crate::{Context, Process};

const HELP: &str = "Tells load averages, processors and memory of this machine, as a JSON object.";

/// The process `system`.
pub(super) struct System;

impl Process for System {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.route("stats.json", open_to_all(HELP), |_, _, responder, _| {
            responder.send(match sysinfo() {
                Ok(info) => Response::ok_json(stats(&info)),
                Err(error) => Response::text(StatusCode::INTERNAL_SERVER_ERROR, format!("No statistics: {error}")),
            });
        });
    }
}

fn stats(info: &SysInfo) -> String {
    let (load_1, load_5, load_15) = info.load_average();
    json!({
        "avg_load_1min": load_1,
        "avg_load_5min": load_5,
        "avg_load_15min": load_15,
        "cpus_total": processors(),
        "mem_total_bytes": info.ram_total(),
        "mem_free_bytes": info.ram_unused(),
    })
    .to_string()
}

fn processors() -> u32 {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Registers the machine's gauges.
pub(super) fn register_metrics(node: &Node) {
    type Reading = fn(&SysInfo) -> f64;
    let readings: [(&str, Reading); 5] = [
        ("system/load_1min", |info| info.load_average().0),
        ("system/load_5min", |info| info.load_average().1),
        ("system/load_15min", |info| info.load_average().2),
        ("system/mem_total_bytes", |info| to_float(info.ram_total())),
        ("system/mem_free_bytes", |info| to_float(info.ram_unused())),
    ];
    for (name, reading) in readings {
        // Numbers that cannot be read are left out of snapshots, as every number that is not finite.
        node.metrics()
            .pull_gauge(name, move || sysinfo().map_or(f64::NAN, |info| reading(&info)));
    }
    node.metrics()
        .pull_gauge("system/cpus_total", || f64::from(processors()));
}

#[expect(clippy::cast_precision_loss, reason = "machines have less than 2^53 bytes")]
fn to_float(bytes: u64) -> f64 {
    bytes as f64
}
