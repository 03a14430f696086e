//! The master's HTTP routes: one table, one file a resource. Files parse and render; the process decides nothing
//! either, it asks the core.

mod agents;
pub mod companions;
mod flags;
mod frameworks;
mod maintenance;
mod mutation;
mod operations;
pub mod operator;
mod quota;
mod redirect;
pub mod render;
pub mod roles;
pub mod scheduler;
mod state;
mod summary;
mod tasks;
mod webui;
mod weights;

use libprocess::builtin::healthy;
use libprocess::http::media::plain;
use libprocess::{Context, Request, Responder, Response, RouteOptions};
use mesos_master_core::{MaintenanceChange, Phase};
use mesos_proto::v0::mesos::offer::operation::Type as OperationType;

use crate::process::MasterProcess;

/// Realm of endpoints that only read.
const READ_ONLY: Option<&str> = Some("mesos-master-readonly");

/// Realm of endpoints that change something.
const READ_WRITE: Option<&str> = Some("mesos-master-readwrite");

/// Answers a request at any later time.
type Serve = fn(&mut MasterProcess, Request, Responder, &mut Context<MasterProcess>);
/// Renders a JSON document, or refuses.
type Read = fn(&MasterProcess, &Request) -> Result<String, Response>;

/// Answers a request at once.
type Decide = fn(&MasterProcess, &Request) -> Response;

enum Handler {
    /// Reads what the leader knows: 503 before it leads.
    Leader(Read),
    /// Reads what every master knows.
    Any(Read),
    /// Answers at once whatever the leader decides: 503 before it leads.
    Decide(Decide),
    /// Everything else.
    Serve(Serve),
}

/// One route of the process `master`.
struct Route {
    path: &'static str,
    realm: Option<&'static str>,
    help: &'static str,
    handler: Handler,
}

/// Every route; the delegate rule makes each also reachable without `/master`.
const ROUTES: &[Route] = &[
    Route {
        path: "/",
        realm: None,
        help: "The web page.",
        handler: Handler::Serve(|_, request, responder, _| responder.send(webui::index(&request))),
    },
    Route {
        path: "/assets",
        realm: None,
        help: "Static files of the web page.",
        handler: Handler::Serve(|_, request, responder, _| responder.send(webui::assets(&request))),
    },
    Route {
        path: "/api/v1/scheduler",
        realm: Some("mesos-master-scheduler"),
        help: "Calls of frameworks; SUBSCRIBE answers with a stream of events.",
        handler: Handler::Serve(|master, request, responder, context| {
            master.scheduler_api(&request, responder, context);
        }),
    },
    Route {
        path: "/health",
        realm: None,
        help: "Answers 200 while the master serves.",
        handler: Handler::Serve(|_, _, responder, _| healthy(responder)),
    },
    Route {
        path: "/redirect",
        realm: None,
        help: "Leads to the leading master.",
        handler: Handler::Serve(|master, request, responder, _| {
            responder.send(redirect::respond(master.core(), &request));
        }),
    },
    Route {
        path: "/flags",
        realm: READ_ONLY,
        help: "The flags of this master.",
        handler: Handler::Any(|master, _| Ok(flags::render(master.identity()))),
    },
    Route {
        path: "/state",
        realm: READ_ONLY,
        help: "Agents, frameworks and tasks, everything that the master knows.",
        handler: Handler::Leader(|master, _| Ok(state::render(master.core(), master.identity()))),
    },
    Route {
        path: "/state-summary",
        realm: READ_ONLY,
        help: "Agents and frameworks with counts of tasks.",
        handler: Handler::Leader(|master, _| Ok(summary::render(master.core(), master.identity()))),
    },
    Route {
        path: "/slaves",
        realm: READ_ONLY,
        help: "Agents with their resources; slave_id selects one.",
        handler: Handler::Leader(|master, request| Ok(agents::render(master.core(), request))),
    },
    Route {
        path: "/frameworks",
        realm: READ_ONLY,
        help: "Frameworks with their tasks; framework_id selects one.",
        handler: Handler::Leader(|master, request| Ok(frameworks::render(master.core(), request))),
    },
    Route {
        path: "/tasks",
        realm: READ_ONLY,
        help: "Tasks by time of their first update: limit, offset, order (asc or desc), framework_id, task_id.",
        handler: Handler::Leader(|master, request| Ok(tasks::render(master.core(), &tasks::Page::parse(request)?))),
    },
    Route {
        path: "/roles",
        realm: READ_ONLY,
        help: "Roles with weight, quota and resources.",
        handler: Handler::Leader(|master, _| Ok(roles::render(master.core()))),
    },
    Route {
        path: "/api/v1",
        realm: READ_WRITE,
        help: "Calls of operators.",
        handler: Handler::Serve(|master, request, responder, context| {
            operator::serve(master, &request, responder, context);
        }),
    },
    Route {
        path: "/teardown",
        realm: READ_WRITE,
        help: "Ends a framework: POST a form with frameworkId.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => mutation::teardown(master, &request, responder, context),
        }),
    },
    Route {
        path: "/weights",
        realm: READ_WRITE,
        help: "Weights of roles.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => weights::serve(master, &request, responder, context),
        }),
    },
    Route {
        path: "/quota",
        realm: READ_WRITE,
        help: "Quota of roles.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => quota::serve(master, &request, responder, context),
        }),
    },
    Route {
        path: "/maintenance/schedule",
        realm: READ_WRITE,
        help: "The maintenance schedule.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => maintenance::schedule(master, &request, responder, context),
        }),
    },
    Route {
        path: "/maintenance/status",
        realm: READ_ONLY,
        help: "Machines in maintenance.",
        handler: Handler::Decide(maintenance::status),
    },
    Route {
        path: "/machine/down",
        realm: READ_WRITE,
        help: "Brings machines down for maintenance.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => maintenance::machines(master, &request, MaintenanceChange::Start, responder, context),
        }),
    },
    Route {
        path: "/machine/up",
        realm: READ_WRITE,
        help: "Brings machines up for maintenance.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => maintenance::machines(master, &request, MaintenanceChange::Stop, responder, context),
        }),
    },
    Route {
        path: "/reserve",
        realm: READ_WRITE,
        help: "Reserves resources of an agent: POST a form with slaveId, resources and, to replace a reservation, \
               source.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => operations::serve(master, &request, responder, context, OperationType::RESERVE),
        }),
    },
    Route {
        path: "/unreserve",
        realm: READ_WRITE,
        help: "Gives reserved resources of an agent back: POST a form with slaveId and resources.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => operations::serve(master, &request, responder, context, OperationType::UNRESERVE),
        }),
    },
    Route {
        path: "/create-volumes",
        realm: READ_WRITE,
        help: "Makes persistent volumes on an agent: POST a form with slaveId and volumes.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => operations::serve(master, &request, responder, context, OperationType::CREATE),
        }),
    },
    Route {
        path: "/destroy-volumes",
        realm: READ_WRITE,
        help: "Destroys persistent volumes of an agent: POST a form with slaveId and volumes.",
        handler: Handler::Serve(|master, request, responder, context| match recovering(master) {
            Some(refusal) => responder.send(refusal),
            None => operations::serve(master, &request, responder, context, OperationType::DESTROY),
        }),
    },
];

/// Installs all routes.
pub fn install(context: &mut Context<MasterProcess>) {
    for route in ROUTES {
        let options = RouteOptions {
            realm: route.realm.map(str::to_owned),
            methods: Vec::new(),
            help: route.help.to_owned(),
        };
        match route.handler {
            Handler::Serve(serve) => context.route(route.path, options, serve),
            Handler::Decide(decide) => context.route(route.path, options, move |master, request, responder, _| {
                responder.send(recovering(master).unwrap_or_else(|| decide(master, &request)));
            }),
            Handler::Any(read) => context.route(route.path, options, move |master, request, responder, _| {
                responder.send(read(master, &request).map_or_else(|refusal| refusal, Response::ok_json));
            }),
            Handler::Leader(read) => context.route(route.path, options, move |master, request, responder, _| {
                responder.send(match recovering(master) {
                    Some(refusal) => refusal,
                    None => read(master, &request).map_or_else(|refusal| refusal, Response::ok_json),
                });
            }),
        }
    }
}

/// The refusal that everybody gets before the registry was read.
fn recovering(master: &MasterProcess) -> Option<Response> {
    (master.core().phase() == Phase::Recovering).then(|| plain(503, "the master has not finished recovery"))
}
