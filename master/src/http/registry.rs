//! The process `registrar(1)`: `/registrar(1)/registry`, the registry as it is stored.

use libprocess::http::media::plain;
use libprocess::{Context, Process, ProcessRef, Response, RouteOptions};

use super::READ_ONLY;
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
            let registry = page.master.call(|master, _| master.registrar().registry().clone());
            context.run_async(registry, |_, registry, _| {
                responder.send(match registry {
                    Ok(registry) => Response::ok_json(mesos::json::to_string(&registry)),
                    Err(_) => plain(503, "the master's process is gone"),
                });
            });
        });
    }
}
