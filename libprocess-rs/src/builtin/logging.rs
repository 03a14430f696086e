//! `/logging/toggle`: how much is logged, and more of it for a while.
//!
//! Levels are verbosities as operators know them: 0 is what the program started with, 1 adds `debug`, 2 and more add
//! `trace`. A program that wants the endpoint to work puts [`level_layer`] under its subscriber.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libprocess_types::TimerId;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::reload;

use super::readwrite;
use crate::config::parse_duration;
use crate::http::{Request, Response, StatusCode};
use crate::{Context, Process};

const HELP: &str = "Without parameters, tells the log verbosity. With 'level' (a number) and 'duration' (such as \
                    '10mins'), raises it for that long; levels below the one at the start are refused.";

/// Changes how much the whole OS process logs.
type SetLevel = Arc<dyn Fn(u32) -> bool + Send + Sync>;

/// Logging belongs to the OS process, not to a node, and so does its switch.
static SET_LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// A filter layer that starts with `base` and that `/logging/toggle` of every node changes.
///
/// The first layer made is the one that is changed.
pub fn level_layer<S: Subscriber>(base: LevelFilter) -> reload::Layer<LevelFilter, S> {
    let (layer, handle) = reload::Layer::new(base);
    let set: SetLevel = Arc::new(move |level| handle.reload(filter_of(base, level)).is_ok());
    // A second layer is not an error: tests and embedding programs may set up logging more than once.
    let _ = SET_LEVEL.set(set);
    layer
}

/// What a verbosity lets through; never less than `base`.
fn filter_of(base: LevelFilter, level: u32) -> LevelFilter {
    let wanted = match level {
        0 => base,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    wanted.max(base)
}

/// The process `logging`.
#[derive(Default)]
pub(super) struct Logging {
    level: u32,
    revert: Option<TimerId>,
}

impl Process for Logging {
    fn initialize(&mut self, context: &mut Context<Self>) {
        let options = readwrite(context.node(), HELP);
        context.route("toggle", options, |logging: &mut Self, request, responder, context| {
            responder.send(match parse(&request) {
                Ok(None) => Response::text(StatusCode::OK, format!("{}\n", logging.level)),
                Ok(Some((level, duration))) => logging.set(level, duration, context),
                Err(reason) => Response::text(StatusCode::BAD_REQUEST, reason),
            });
        });
    }
}

impl Logging {
    fn set(&mut self, level: u32, duration: Duration, context: &mut Context<Self>) -> Response {
        if !SET_LEVEL.get().is_some_and(|set| set(level)) {
            let reason = "The log level of this program cannot be changed while it runs.\n";
            return Response::text(StatusCode::NOT_IMPLEMENTED, reason);
        }
        self.level = level;
        if let Some(revert) = self.revert.take() {
            context.cancel(revert);
        }
        self.revert = Some(context.delay(duration, |logging, _| {
            logging.level = 0;
            logging.revert = None;
            if let Some(set) = SET_LEVEL.get() {
                set(0);
            }
        }));
        Response::status(StatusCode::OK)
    }
}

/// Level and duration, or nothing when neither is given.
fn parse(request: &Request) -> Result<Option<(u32, Duration)>, String> {
    let (level, duration) = match (request.query.get("level"), request.query.get("duration")) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err("Parameter 'level' is missing beside 'duration'.\n".to_owned()),
        (Some(_), None) => return Err("Parameter 'duration' is missing beside 'level'.\n".to_owned()),
        (Some(level), Some(duration)) => (level, duration),
    };
    let number: i64 = level.parse().map_err(|_| format!("Level '{level}' is no number.\n"))?;
    let level = u32::try_from(number).map_err(|_| format!("Level {number} is below 0, the level at the start.\n"))?;
    let duration =
        parse_duration(duration).ok_or_else(|| format!("'{duration}' is no duration such as '10mins'.\n"))?;
    Ok(Some((level, duration)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Option<(u32, Duration)>, String> {
        let mut request = Request::new(Method::POST, "/logging/toggle");
        request.query = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        parse(&request)
    }

    #[test]
    fn both_parameters_or_none() {
        assert_eq!(parsed(&[]), Ok(None));
        assert_eq!(
            parsed(&[("level", "1"), ("duration", "2secs")]),
            Ok(Some((1, Duration::from_secs(2))))
        );
        for pairs in [
            &[("level", "1")][..],
            &[("duration", "2secs")],
            &[("level", "x"), ("duration", "2secs")],
            &[("level", "-1"), ("duration", "2secs")],
            &[("level", "1"), ("duration", "2")],
        ] {
            assert!(parsed(pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn verbosity_only_adds() {
        assert_eq!(filter_of(LevelFilter::INFO, 0), LevelFilter::INFO);
        assert_eq!(filter_of(LevelFilter::INFO, 1), LevelFilter::DEBUG);
        assert_eq!(filter_of(LevelFilter::INFO, 9), LevelFilter::TRACE);
        assert_eq!(filter_of(LevelFilter::TRACE, 1), LevelFilter::TRACE);
    }
}
