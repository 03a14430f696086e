//! Log output of a program: lines on the standard error stream, by level.

use libprocess::builtin::logging::level_layer;
use mesos::flags::Flags;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging as the flags `logging_level` and `quiet` say; `RUST_LOG` decides by module instead. `/logging/toggle`
/// raises the level while the program runs.
///
/// A second call in one program changes nothing.
pub fn init_logging(flags: &Flags) {
    let level = match flags.text("logging_level").unwrap_or("INFO") {
        _ if flags.bool("quiet") => LevelFilter::OFF,
        "WARNING" => LevelFilter::WARN,
        "ERROR" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    let by_module = EnvFilter::try_from_default_env().ok();
    let base = by_module
        .as_ref()
        .map_or(level, |filter| filter.max_level_hint().unwrap_or(LevelFilter::TRACE));
    let subscriber = tracing_subscriber::registry()
        .with(level_layer(base))
        .with(by_module)
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr));
    // An embedding program may have its own subscriber already.
    drop(subscriber.try_init());
    for warning in flags.warnings() {
        tracing::warn!("{warning}");
    }
}
