//! The agent's HTTP routes: one table, one file a resource.

pub mod executor;
pub mod streams;

use libprocess::http::StatusCode;
use libprocess::{Context, Request, Responder, Response, RouteOptions};

use crate::process::AgentProcess;

type Handler = fn(&mut AgentProcess, Request, Responder, &mut Context<AgentProcess>);

/// One route of the agent's process.
struct Route {
    path: &'static str,
    realm: Option<&'static str>,
    help: &'static str,
    handler: Handler,
}

/// Every route; the delegate rule makes each also reachable without the process' id.
const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/executor",
        realm: Some("mesos-agent-executor"),
        help: "Calls of executors; SUBSCRIBE answers with a stream of events.",
        handler: |agent, request, responder, context| agent.executor_api(&request, responder, context),
    },
    Route {
        path: "/health",
        realm: None,
        help: "Answers 200 while the agent serves.",
        handler: |_, _, responder, _| responder.send(Response::status(StatusCode::OK)),
    },
];

/// Installs all routes.
pub fn install(context: &mut Context<AgentProcess>) {
    for route in ROUTES {
        let options = RouteOptions {
            realm: route.realm.map(str::to_owned),
            methods: Vec::new(),
            help: route.help.to_owned(),
        };
        context.route(route.path, options, route.handler);
    }
}
