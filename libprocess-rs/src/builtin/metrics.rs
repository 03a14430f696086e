//! `/metrics/snapshot` in JSON and `/metrics` in the text format of Prometheus.

use std::time::Duration;

use libprocess_types::Time;

use super::readonly;
use crate::config::parse_duration;
use crate::http::{Request, Responder, Response, StatusCode};
use crate::metrics::{Snapshot, prometheus_text, snapshot_json};
use crate::{Context, Process};

const SNAPSHOT_HELP: &str = "Tells all metrics as one flat JSON object of names and numbers. With 'timeout', a \
                             duration such as '5secs', metrics that take longer are left out.";
const PROMETHEUS_HELP: &str = "Tells all metrics in the text format of Prometheus.";

/// Requests that may wait for their turn.
const WAITING_MAX: usize = 1000;

type Render = fn(&Snapshot) -> Response;

/// The process `metrics`. Requests beyond the configured rate wait.
#[derive(Default)]
pub(super) struct MetricsEndpoint {
    next_turn: Time,
    waiting: usize,
}

impl Process for MetricsEndpoint {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let options = readonly(context.node(), SNAPSHOT_HELP);
        context.route(
            "snapshot",
            options,
            |endpoint: &mut Self, request, responder, context| {
                endpoint.take_turn(&request, responder, context, |snapshot| {
                    Response::ok_json(snapshot_json(snapshot))
                });
            },
        );
        let options = readonly(context.node(), PROMETHEUS_HELP);
        context.route("", options, |endpoint: &mut Self, request, responder, context| {
            if request.remainder.is_empty() {
                endpoint.take_turn(&request, responder, context, render_prometheus);
            } else {
                responder.send(Response::text(StatusCode::NOT_FOUND, "404 Not Found."));
            }
        });
    }
}

fn render_prometheus(snapshot: &Snapshot) -> Response {
    Response::bytes(StatusCode::OK, "text/plain; version=0.0.4", prometheus_text(snapshot))
}

impl MetricsEndpoint {
    fn take_turn(&mut self, request: &Request, responder: Responder, context: &mut Context<Self>, render: Render) {
        let patience = match request.query.get("timeout").map(|text| (text, parse_duration(text))) {
            Some((text, None)) => {
                let text = format!("'{text}' is no duration such as '5secs'");
                return responder.send(Response::text(StatusCode::BAD_REQUEST, text));
            }
            Some((_, patience)) => patience,
            None => None,
        };
        let wait = self.wait(context.node().config().metrics_rate_limit, context.now());
        if wait.is_zero() {
            return answer(patience, responder, context, render);
        }
        if self.waiting >= WAITING_MAX {
            return responder.send(Response::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many requests wait.",
            ));
        }
        self.waiting += 1;
        context.delay(wait, move |endpoint, context| {
            endpoint.waiting -= 1;
            answer(patience, responder, context, render);
        });
    }

    /// How long the request that comes now has to wait.
    fn wait(&mut self, limit: Option<(u32, Duration)>, now: Time) -> Duration {
        let Some((count, duration)) = limit else {
            return Duration::ZERO;
        };
        let turn = self.next_turn.max(now);
        if self.waiting < WAITING_MAX {
            self.next_turn = turn + duration / count.max(1);
        }
        turn.saturating_since(now)
    }
}

fn answer(patience: Option<Duration>, responder: Responder, context: &mut Context<MetricsEndpoint>, render: Render) {
    if responder.is_closed() {
        return;
    }
    let metrics = context.node().metrics().clone();
    context.run_async(
        async move { metrics.snapshot(patience).await },
        move |_, snapshot, context| {
            context.run_blocking(move || render(&snapshot), |_, response, _| responder.send(response));
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_rate_wait_for_their_turn() {
        let mut endpoint = MetricsEndpoint::default();
        let limit = Some((2, Duration::from_secs(1)));
        let start = Time::from_nanos(1_000_000_000_000);
        let waits: Vec<u128> = (0..4).map(|_| endpoint.wait(limit, start).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000, 1500]);
        assert_eq!(endpoint.wait(limit, start + Duration::from_secs(10)), Duration::ZERO);
        assert_eq!(endpoint.wait(None, start), Duration::ZERO);
    }
}
