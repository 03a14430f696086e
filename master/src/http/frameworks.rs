//! `/frameworks`: the frameworks with what belongs to them.

use libprocess::Request;
use mesos::ids::FrameworkId;
use mesos::json::write_object;
use mesos_master_core::Master;

use super::render::{View, framework::framework};

/// The JSON document; `framework_id` in the query selects one framework.
#[must_use]
pub fn render(core: &Master, request: &Request) -> String {
    let view = View::new(core);
    let wanted = request
        .query
        .get("framework_id")
        .map(|id| FrameworkId::new(id.as_str()));
    let selected = |id: &FrameworkId| wanted.as_ref().is_none_or(|wanted| wanted == id);
    let live = core.frameworks().values().filter(|own| selected(own.id()));
    let completed = core.completed_frameworks().iter().filter(|own| selected(own.id()));
    let mut json = String::with_capacity(4096);
    write_object(&mut json, |object| {
        object.array("frameworks", live, |json, own| framework(json, &view, own));
        object.array("completed_frameworks", completed, |json, own| {
            framework(json, &view, own);
        });
        object.strings::<&str>("unregistered_frameworks", []);
    });
    json
}
