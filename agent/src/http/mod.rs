//! The agent's HTTP routes: one table, one file a resource. Files parse and render; the core decides.

pub mod body;
pub mod executor;
pub mod operator;
pub mod provider;
pub mod records;
pub mod state;
pub mod throttle;
pub mod usage;
pub mod webui;

use std::sync::Arc;

use libprocess::http::StatusCode;
use libprocess::http::media::plain;
use libprocess::{Context, Request, Responder, Response, RouteOptions};
use mesos_agent_core::AgentState;

use crate::process::AgentProcess;

/// Realm of what only reads.
pub const READONLY_REALM: &str = "mesos-agent-readonly";
/// Realm of what changes something.
pub const READWRITE_REALM: &str = "mesos-agent-readwrite";
/// Measurements of all containers that are made in a second.
///
/// Source: shared facts, `endpoints.tsv`.
pub const STATISTICS_PER_SECOND: u32 = 2;

type Handler = fn(&mut AgentProcess, &Request, Responder, &mut Context<AgentProcess>);

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
        path: "",
        realm: None,
        help: "The web page of this agent.",
        handler: |_, request, responder, _| responder.send(webui::page(request)),
    },
    Route {
        path: "/assets",
        realm: None,
        help: "Files that the web page refers to.",
        handler: |_, request, responder, _| responder.send(webui::file(&request.remainder)),
    },
    Route {
        path: "/api/v1",
        realm: Some(READWRITE_REALM),
        help: "Calls of operators, in JSON or protobuf.",
        handler: |agent, request, responder, context| {
            if request.remainder.is_empty() {
                operator::handle(agent, request, responder, context);
            } else {
                responder.send(plain(404, "there is nothing at this path"));
            }
        },
    },
    Route {
        path: "/api/v1/resource_provider",
        realm: Some("mesos-agent-resource-provider"),
        help: "Calls of resource providers, which this agent does not support.",
        handler: |_, request, responder, _| responder.send(provider::answer(request)),
    },
    Route {
        path: "/api/v1/executor",
        realm: Some("mesos-agent-executor"),
        help: "Calls of executors; SUBSCRIBE answers with a stream of events.",
        handler: |agent, request, responder, context| agent.executor_api(request, responder, context),
    },
    Route {
        path: "/health",
        realm: None,
        help: "Answers 200 while the agent serves.",
        handler: |_, _, responder, _| responder.send(Response::status(StatusCode::OK)),
    },
    Route {
        path: "/state",
        realm: Some(READONLY_REALM),
        help: "All that this agent knows: resources, frameworks, executors, tasks.",
        handler: |agent, _, responder, _| responder.send(state(agent)),
    },
    Route {
        path: "/flags",
        realm: Some(READONLY_REALM),
        help: "The flags that this agent runs with.",
        handler: |agent, _, responder, _| responder.send(Response::ok_json(state::render_flags(agent.identity()))),
    },
    Route {
        path: "/containers",
        realm: Some(READONLY_REALM),
        help: "The containers of executors with their processes and what they use; select with container_id, \
               framework_id or executor_id.",
        handler: containers,
    },
    Route {
        path: "/monitor/statistics",
        realm: Some(READONLY_REALM),
        help: "What the containers of executors use. Answered at most twice a second; further requests wait.",
        handler: statistics,
    },
    Route {
        path: "/containerizer/debug",
        realm: Some(READONLY_REALM),
        help: "What the containerizer was asked to do and has not done yet.",
        handler: |agent, _, responder, _| responder.send(Response::ok_json(agent.pending.render())),
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
        context.route(route.path, options, |agent, request, responder, context| {
            (route.handler)(agent, &request, responder, context);
        });
    }
}

/// The answer to give while checkpoints are read, if they are.
#[must_use]
pub fn refuse_while_recovering(agent: &AgentProcess) -> Option<Response> {
    let recovers = agent.core().state() == AgentState::Recovering;
    recovers.then(|| plain(503, "the agent has not finished recovery"))
}

fn state(agent: &AgentProcess) -> Response {
    refuse_while_recovering(agent).unwrap_or_else(|| Response::ok_json(state::render(agent.core(), agent.identity())))
}

fn containers(agent: &mut AgentProcess, request: &Request, responder: Responder, context: &mut Context<AgentProcess>) {
    let mut containers = usage::executors(agent.core());
    usage::select(&mut containers, request);
    let measured = usage::measure(Arc::clone(agent.containerizer()), containers);
    context.run_async(measured, |_, measured, _| {
        responder.send(Response::ok_json(usage::render_containers(&measured)));
    });
}

fn statistics(agent: &mut AgentProcess, _: &Request, responder: Responder, context: &mut Context<AgentProcess>) {
    let Some(wait) = agent.statistics_throttle.wait(context.now()) else {
        return responder.send(plain(503, "too many requests wait for statistics"));
    };
    context.delay(wait, move |agent: &mut AgentProcess, context| {
        if responder.is_closed() {
            return;
        }
        let containers = usage::executors(agent.core());
        let measured = usage::measure(Arc::clone(agent.containerizer()), containers);
        context.run_async(measured, |_, measured, _| {
            responder.send(Response::ok_json(usage::render_statistics(&measured)));
        });
    });
}
