//! Pages of processes that C++ Mesos has and that live inside the master's process here: `registrar(1)` with the
//! registry as it is stored, `allocator` with the offer constraints of frameworks.

use libprocess::http::media::plain;
use libprocess::{Context, Process, ProcessRef, Response, RouteOptions};
use mesos::json::write_object;
use mesos_master_core::Master;

use super::READ_ONLY;
use super::render::sorted_json;
use crate::process::MasterProcess;

/// Serves the registry, which the master's process keeps.
pub struct RegistryPage {
    master: ProcessRef<MasterProcess>,
}

impl RegistryPage {
    /// Serves the registry of this master.
    #[must_use]
    pub const fn new(master: ProcessRef<MasterProcess>) -> Self {
        Self { master }
    }
}

impl Process for RegistryPage {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let options = RouteOptions {
            realm: READ_ONLY.map(str::to_owned),
            methods: Vec::new(),
            help: "The registry as it is stored.".to_owned(),
        };
        context.route("registry", options, |page: &mut Self, _, responder, context| {
            let stored = page.master.call(|master, _| master.registry.when_stored());
            let registry = async move { stored.await.ok()?.await.ok() };
            context.run_async(registry, |_, registry, _| {
                responder.send(match registry {
                    Some(registry) => Response::ok_json(sorted_json(&registry)),
                    None => plain(503, "the master's process is gone"),
                });
            });
        });
    }
}

/// Serves the offer constraints of frameworks.
pub struct ConstraintsPage {
    master: ProcessRef<MasterProcess>,
}

impl ConstraintsPage {
    /// Serves the constraints that this master knows.
    #[must_use]
    pub const fn new(master: ProcessRef<MasterProcess>) -> Self {
        Self { master }
    }
}

impl Process for ConstraintsPage {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let options = RouteOptions {
            realm: READ_ONLY.map(str::to_owned),
            methods: Vec::new(),
            help: "The offer constraints of frameworks, by framework id.".to_owned(),
        };
        context.route(
            "offer_constraints_debug",
            options,
            |page: &mut Self, _, responder, context| {
                let constraints = page.master.call(|master, _| constraints(master.core()));
                context.run_async(constraints, |_, constraints, _| {
                    responder.send(
                        constraints.map_or_else(|_| plain(503, "the master's process is gone"), Response::ok_json),
                    );
                });
            },
        );
    }
}

fn constraints(core: &Master) -> String {
    let mut json = String::new();
    write_object(&mut json, |object| {
        for framework in core.frameworks().values() {
            object.message_if_set(framework.id().as_str(), framework.offer_constraints());
        }
    });
    json
}
