//! `/slaves`: the agents, with their resources in full.

use libprocess::Request;
use mesos::ids::AgentId;
use mesos::json::write_object;
use mesos_master_core::Master;

use super::render::{View, agent};

/// The JSON document; `slave_id` in the query selects one agent.
#[must_use]
pub fn render(core: &Master, request: &Request) -> String {
    let view = View::new(core);
    let wanted = request.query.get("slave_id").map(|id| AgentId::new(id.as_str()));
    let selected = |id: &AgentId| wanted.as_ref().is_none_or(|wanted| wanted == id);
    let registered = core.agents().values().filter(|own| selected(own.id()));
    let recovered = core.recovered_agents().iter().filter(|(id, _)| selected(id));
    let mut json = String::with_capacity(4096);
    write_object(&mut json, |object| {
        object.array("slaves", registered, |json, own| {
            write_object(json, |object| {
                agent::members(object, &view, own);
                agent::full_members(object, &view, own);
            });
        });
        object.array("recovered_slaves", recovered, |json, (_, info)| {
            agent::recovered(json, info);
        });
    });
    json
}
