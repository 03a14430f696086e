//! The master's HTTP routes: one table, one file a resource. Files parse and render; the process decides nothing either,
//! it asks the core.

pub mod scheduler;
pub mod streams;

use libprocess::http::StatusCode;
use libprocess::http::media::plain;
use libprocess::{Context, Request, Responder, Response, RouteOptions};

use crate::process::MasterProcess;

type Handler = fn(&mut MasterProcess, Request, Responder, &mut Context<MasterProcess>);

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
        path: "/api/v1/scheduler",
        realm: Some("mesos-master-scheduler"),
        help: "Calls of frameworks; SUBSCRIBE answers with a stream of events.",
        handler: |master, request, responder, context| master.scheduler_api(&request, responder, context),
    },
    Route {
        path: "/health",
        realm: None,
        help: "Answers 200 while the master serves.",
        handler: |_, _, responder, _| responder.send(Response::status(StatusCode::OK)),
    },
    Route {
        path: "/redirect",
        realm: None,
        help: "Leads to the leading master.",
        handler: |master, request, responder, _| responder.send(redirect(master, &request)),
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
        context.route(route.path, options, route.handler);
    }
}

fn redirect(master: &MasterProcess, request: &Request) -> Response {
    if !request.remainder.is_empty() {
        return plain(404, "");
    }
    let address = &master.core().info().address;
    let location = format!("//{}:{}", address.hostname(), address.port());
    Response::status(StatusCode::TEMPORARY_REDIRECT).with_header("Location", &location)
}
