//! `mesos-scenarios`: runs the scenarios against any master, or on clusters of an executable that it is given.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mesos_tests_conformance::scenario::{Outcome, Suite, load, table};

const USAGE: &str = "\
usage: mesos-scenarios --master=HOST:PORT [--scenarios=FOLDER] [--list] [FILTER …]
       mesos-scenarios --mesos=PROGRAM [--at_once=NUMBER] [--scenarios=FOLDER] [--list] [FILTER …]

Runs text scenarios: against a master that runs already, or on clusters of an executable `mesos` (then also those that
restart programs and start them with flags). A filter is a part of the area, the file or the name of a scenario.
";

struct Arguments {
    suite: Option<Suite>,
    scenarios: PathBuf,
    list: bool,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprint!("mesos-scenarios: {reason}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let mut scenarios = match load(&arguments.scenarios) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("mesos-scenarios: {error}");
            return ExitCode::FAILURE;
        }
    };
    scenarios.retain(|scenario| {
        let told = format!("{}: {}", scenario.place, scenario.name);
        arguments.filters.is_empty() || arguments.filters.iter().any(|filter| told.contains(filter))
    });
    if arguments.list {
        for scenario in &scenarios {
            println!(
                "{:<34} {} {}",
                scenario.place,
                scenario.name,
                scenario.pitfalls.join(" ")
            );
        }
        println!("{} scenarios", scenarios.len());
        return ExitCode::SUCCESS;
    }
    let Some(suite) = arguments.suite else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let reports = suite.run(scenarios, |report| {
        eprint!(".");
        if let Outcome::Failed(why) = &report.outcome {
            println!("{}: {}\n  {why}", report.place, report.name);
        }
    });
    eprintln!();
    print!("{}", table(&reports));
    if reports.iter().any(mesos_tests_conformance::scenario::Report::failed) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn arguments(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        suite: None,
        scenarios: Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"),
        list: false,
        filters: Vec::new(),
    };
    let mut wanted_at_once = 6;
    for word in words {
        match word.split_once('=') {
            Some(("--master", address)) => arguments.suite = Some(Suite::Master(resolve(address)?)),
            Some(("--mesos", program)) => {
                let mesos = PathBuf::from(program);
                arguments.suite = Some(Suite::Programs { mesos, at_once: 0 });
            }
            Some(("--at_once", number)) => {
                let number = number.parse().ok().filter(|number| *number > 0);
                wanted_at_once = number.ok_or_else(|| format!("{word}: a number from 1"))?;
            }
            Some(("--scenarios", folder)) => arguments.scenarios = PathBuf::from(folder),
            None if word == "--list" => arguments.list = true,
            _ if word.starts_with('-') => return Err(format!("no flag '{word}'")),
            _ => arguments.filters.push(word),
        }
    }
    if let Some(Suite::Programs { at_once, .. }) = &mut arguments.suite {
        *at_once = wanted_at_once;
    }
    Ok(arguments)
}

fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("--master={address}: {error}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("--master={address}: no address"))
}
