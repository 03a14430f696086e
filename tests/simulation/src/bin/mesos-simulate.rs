//! Runs many seeds of the simulated cluster and tells which of them broke a rule.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Arg, Command, value_parser};
use mesos_tests_simulation::batch;

fn options() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).help(help);
        arg.default_value(default).value_parser(value_parser!(u64))
    };
    Command::new("mesos-simulate")
        .about("Simulates whole clusters, one for each seed")
        .arg(number("seeds", "1000", "How many seeds to run"))
        .arg(number("first", "0", "The first of them"))
}

fn main() -> ExitCode {
    let options = options().get_matches();
    let number = |name| options.get_one::<u64>(name).copied().unwrap_or_default();
    let (seeds, first) = (number("seeds"), number("first"));
    let began = Instant::now();
    let summary = batch::run(first, seeds);
    for text in summary.failures.values() {
        println!("{text}");
    }
    println!(
        "{} of {seeds} seeds clean, {} events, {:.1} s; tasks ended as {:?}",
        summary.clean,
        summary.events,
        began.elapsed().as_secs_f64(),
        summary.ends
    );
    if summary.failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seeds that failed: {:?}", summary.failures.keys().collect::<Vec<_>>());
    ExitCode::FAILURE
}
