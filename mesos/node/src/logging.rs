//! Log output of a program: lines on the standard error stream, by level.

use mesos::flags::Flags;
use tracing_subscriber::EnvFilter;

/// Starts logging as the flags `logging_level` and `quiet` say; `RUST_LOG` refines it by module.
///
/// A second call in one program changes nothing.
pub fn init_logging(flags: &Flags) {
    let level = match flags.text("logging_level").unwrap_or("INFO") {
        "WARNING" => "warn",
        "ERROR" => "error",
        _ => "info",
    };
    let level = if flags.bool("quiet") { "off" } else { level };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An embedding program may have its own subscriber already.
    drop(subscriber.try_init());
    for warning in flags.warnings() {
        tracing::warn!("{warning}");
    }
}
