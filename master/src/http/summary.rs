//! `/state-summary`: agents and frameworks with counts in place of tasks.

use std::collections::{BTreeMap, BTreeSet};

use mesos::json::{ObjectWriter, write_object};
use mesos_master_core::Master;
use mesos_proto::v0::mesos::TaskState;

use super::render::{Identity, View, agent, framework};
use super::tasks::tasks_of;

/// States that are counted, in the order of their keys.
const COUNTED: [TaskState; 10] = [
    TaskState::TASK_STAGING,
    TaskState::TASK_STARTING,
    TaskState::TASK_RUNNING,
    TaskState::TASK_KILLING,
    TaskState::TASK_FINISHED,
    TaskState::TASK_KILLED,
    TaskState::TASK_FAILED,
    TaskState::TASK_LOST,
    TaskState::TASK_ERROR,
    TaskState::TASK_UNREACHABLE,
];

/// Tasks of one agent or framework, and whom they connect it with.
#[derive(Default)]
struct Tally<'a> {
    counts: [usize; COUNTED.len()],
    others: BTreeSet<&'a str>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, state: TaskState, other: &'a str) {
        if let Some(index) = COUNTED.iter().position(|counted| *counted == state) {
            self.counts[index] += 1;
        }
        self.others.insert(other);
    }

    fn write(&self, object: &mut ObjectWriter<'_>, others_key: &str) {
        for (state, count) in COUNTED.iter().zip(self.counts) {
            object.count(&format!("{state:?}"), count);
        }
        object.strings(others_key, &self.others);
    }
}

/// The JSON document.
#[must_use]
pub fn render(core: &Master, identity: &Identity) -> String {
    let view = View::new(core);
    let mut by_agent: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    let mut by_framework: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    for own in core.frameworks().values() {
        for task in tasks_of(own) {
            let agent = task.agent_id().as_str();
            by_agent.entry(agent).or_default().add(task.state(), own.id().as_str());
            by_framework
                .entry(own.id().as_str())
                .or_default()
                .add(task.state(), agent);
        }
    }
    let none = Tally::default();
    let mut json = String::with_capacity(4096);
    write_object(&mut json, |object| {
        object.string("hostname", core.info().hostname());
        if let Some(cluster) = identity.flags.get("cluster") {
            object.string("cluster", cluster);
        }
        object.array("slaves", core.agents().values(), |json, own| {
            write_object(json, |object| {
                agent::members(object, &view, own);
                let tally = by_agent.get(own.id().as_str()).unwrap_or(&none);
                tally.write(object, "framework_ids");
            });
        });
        object.array("frameworks", core.frameworks().values(), |json, own| {
            write_object(json, |object| {
                framework::brief_members(object, &view, own);
                let tally = by_framework.get(own.id().as_str()).unwrap_or(&none);
                tally.write(object, "slave_ids");
            });
        });
    });
    json
}
