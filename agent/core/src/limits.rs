//! Ceilings of tasks (`TaskInfo.limits`): whether this agent can hold them, and what they make of the ceiling of the
//! executor that the tasks share.
//!
//! Source: shared facts, `containerizer_isolators.tsv` (`ResourceLimits`).

use std::collections::{BTreeMap, HashMap};

use mesos_proto::v0::mesos as pb;
use mesos_proto::v0::mesos::value::Scalar;

use crate::executor::Executor;

/// Resources that can have a ceiling of their own.
const LIMITED: [&str; 2] = ["cpus", "mem"];

/// What one task may use.
struct Share<'a> {
    resources: &'a [pb::Resource],
    limits: &'a HashMap<String, Scalar>,
}

/// The ceilings of an executor with all of its unfinished tasks, by resource name.
///
/// A resource that no task limits has none: what was requested is the ceiling then. Otherwise the limits of the tasks
/// that have one, the requests of the others and the executor's own request make the sum; one infinite limit lifts
/// it.
pub(crate) fn executor_limits(executor: &Executor) -> BTreeMap<String, f64> {
    let queued = executor.queued.values().map(|task| Share {
        resources: &task.resources,
        limits: &task.limits,
    });
    let launched = executor.launched.values().map(|task| Share {
        resources: &task.resources,
        limits: &task.limits,
    });
    sums(&executor.info.resources, queued.chain(launched))
}

/// The ceilings of an executor that is launched for these tasks.
pub(crate) fn launch_limits(executor: &pb::ExecutorInfo, tasks: &[pb::TaskInfo]) -> BTreeMap<String, f64> {
    let shares = tasks.iter().map(|task| Share {
        resources: &task.resources,
        limits: &task.limits,
    });
    sums(&executor.resources, shares)
}

fn sums<'a>(own: &[pb::Resource], shares: impl Iterator<Item = Share<'a>>) -> BTreeMap<String, f64> {
    let shares: Vec<Share<'_>> = shares.collect();
    let limited = |name: &&str| shares.iter().any(|share| share.limits.contains_key(*name));
    let sum = |name: &'static str| {
        let of_tasks = shares.iter().map(|share| match share.limits.get(name) {
            Some(limit) => limit.value(),
            None => amount(share.resources, name),
        });
        (name.to_owned(), amount(own, name) + of_tasks.sum::<f64>())
    };
    LIMITED.into_iter().filter(limited).map(sum).collect()
}

fn amount(resources: &[pb::Resource], name: &str) -> f64 {
    let named = resources.iter().filter(|resource| resource.name() == name);
    named.map(|resource| resource.scalar.value()).sum()
}

/// The first of the limited resources (`names`) that nobody on this agent holds to a limit; `enforced` are those that
/// somebody does.
pub fn unenforced<'a>(names: impl IntoIterator<Item = &'a String>, enforced: &[String]) -> Option<&'a str> {
    // A map has no order; the message has.
    let names = names.into_iter();
    names.filter(|name| !enforced.contains(name)).min().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource_format::scalar;

    fn task(cpus: f64, limit: Option<f64>) -> pb::TaskInfo {
        let mut task = pb::TaskInfo::new();
        task.resources = vec![scalar("cpus", cpus, Some("r")), scalar("mem", 64.0, Some("r"))];
        if let Some(limit) = limit {
            let mut value = Scalar::new();
            value.set_value(limit);
            task.limits.insert("cpus".to_owned(), value);
        }
        task
    }

    #[test]
    fn limits_add_up_with_the_requests_of_those_that_have_none() {
        let mut executor = pb::ExecutorInfo::new();
        executor.resources = vec![scalar("cpus", 0.5, Some("r"))];
        let cpus = |tasks: &[pb::TaskInfo]| launch_limits(&executor, tasks).get("cpus").copied();
        assert_eq!(cpus(&[task(1.0, None)]), None);
        assert_eq!(cpus(&[task(1.0, Some(2.0)), task(1.0, None)]), Some(3.5));
        assert_eq!(
            cpus(&[task(1.0, Some(f64::INFINITY)), task(1.0, Some(2.0))]),
            Some(f64::INFINITY)
        );
        assert!(!launch_limits(&executor, &[task(1.0, Some(2.0))]).contains_key("mem"));
    }

    #[test]
    fn limits_that_nobody_holds_are_named() {
        let names = ["mem", "cpus"].map(str::to_owned);
        assert_eq!(unenforced(&names, &[]), Some("cpus"));
        assert_eq!(unenforced(&names, &["cpus".to_owned()]), Some("mem"));
        assert_eq!(unenforced(&names, &names), None);
        assert_eq!(unenforced(&[], &[]), None);
    }
}
