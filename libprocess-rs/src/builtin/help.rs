//! `/help`: which processes and endpoints this node has, as pages and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::open_to_all;
use crate::http::{Request, Response, StatusCode};
use crate::node::Node;
use crate::registry::RouteInfo;
use crate::{Context, Process};

const HELP: &str = "Shows this help: '/help' lists everything, '/help/ID' the endpoints of one process, \
                    '/help/ID/NAME' one endpoint. With 'format=json' the answer is JSON.";

/// What is shown for an endpoint without a text of its own.
const NO_TEXT: &str = "There is no description of this endpoint.";

/// The process `help`.
pub(super) struct Help;

impl Process for Help {
    fn initialize(&mut self, context: &mut Context<Self>) {
        context.route("", open_to_all(HELP), |_, request, responder, context| {
            responder.send(answer(context.node(), &request));
        });
    }
}

/// An endpoint as help shows it.
struct Endpoint {
    name: String,
    text: String,
}

/// A process as help shows it.
struct Entry {
    id: String,
    endpoints: Vec<Endpoint>,
}

fn answer(node: &Node, request: &Request) -> Response {
    let (id, name) = request
        .remainder
        .split_once('/')
        .unwrap_or((request.remainder.as_str(), ""));
    let mut entries = entries(node);
    if !id.is_empty() {
        entries.retain(|entry| entry.id == id);
    }
    if !name.is_empty() {
        for entry in &mut entries {
            entry
                .endpoints
                .retain(|endpoint| endpoint.name.trim_matches('/') == name.trim_matches('/'));
        }
        entries.retain(|entry| !entry.endpoints.is_empty());
    }
    if entries.is_empty() {
        return Response::text(
            StatusCode::NOT_FOUND,
            format!("There is no help for '{}'", request.remainder),
        );
    }
    if request.query.get("format").is_some_and(|format| format == "json") {
        return Response::ok_json(render_json(&entries).to_string());
    }
    let title = if id.is_empty() {
        "Help".to_owned()
    } else {
        format!("Help: {}", request.remainder)
    };
    Response::bytes(
        StatusCode::OK,
        "text/html; charset=utf-8",
        render_html(&title, &entries),
    )
}

fn entries(node: &Node) -> Vec<Entry> {
    let describe = |id: String| {
        let endpoints = node.routes(&id).iter().map(|route| describe(route)).collect();
        Entry { id, endpoints }
    };
    node.process_ids()
        .into_iter()
        .map(describe)
        .filter(|entry| !entry.endpoints.is_empty())
        .collect()
}

fn describe(route: &RouteInfo) -> Endpoint {
    let options = &route.options;
    let mut text = if options.help.is_empty() {
        NO_TEXT.to_owned()
    } else {
        options.help.clone()
    };
    if !options.methods.is_empty() {
        let methods: Vec<&str> = options.methods.iter().map(crate::http::Method::as_str).collect();
        text += &format!("\n\nMethods: {}.", methods.join(", "));
    }
    if let Some(realm) = &options.realm {
        text += &format!("\n\nAuthentication: realm '{realm}', when it is enabled.");
    }
    Endpoint {
        name: format!("/{}", route.name),
        text,
    }
}

fn render_json(entries: &[Entry]) -> Value {
    let endpoint = |endpoint: &Endpoint| json!({ "name": endpoint.name, "text": endpoint.text });
    let process = |entry: &Entry| {
        let endpoints: Vec<_> = entry.endpoints.iter().map(endpoint).collect();
        json!({ "id": entry.id, "endpoints": endpoints })
    };
    json!({ "processes": entries.iter().map(process).collect::<Vec<_>>() })
}

fn render_html(title: &str, entries: &[Entry]) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n"
    );
    for entry in entries {
        let id = escape(&entry.id);
        // Writing into a string does not fail.
        let _ = writeln!(page, "<h2><a href=\"/help/{id}\">{id}</a></h2>\n<dl>");
        for Endpoint { name, text } in &entry.endpoints {
            let (name, text) = (escape(name), escape(text).replace("\n\n", "<br>"));
            let path = format!("/{id}{name}");
            let path = path.trim_end_matches('/');
            let _ = writeln!(
                page,
                "<dt><a href=\"/help{path}\"><code>{path}</code></a></dt>\n<dd>{text}</dd>"
            );
        }
        page += "</dl>\n";
    }
    page + "</body></html>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let endpoint = Endpoint {
            name: "/snapshot".to_owned(),
            text: "Tells <all>.".to_owned(),
        };
        vec![Entry {
            id: "metrics".to_owned(),
            endpoints: vec![endpoint],
        }]
    }

    #[test]
    fn json_has_the_shape_of_the_facts() {
        assert_eq!(
            render_json(&entries()).to_string(),
            "{\"processes\":[{\"endpoints\":[{\"name\":\"/snapshot\",\"text\":\"Tells <all>.\"}],\"id\":\"metrics\"}]}"
        );
    }

    #[test]
    fn pages_are_escaped() {
        let page = render_html("Help: <x>", &entries());
        assert!(
            page.contains("<h1>Help: &lt;x&gt;</h1>") && page.contains("Tells &lt;all&gt;."),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"/help/metrics/snapshot\"><code>/metrics/snapshot</code></a>"),
            "{page}"
        );
    }
}
