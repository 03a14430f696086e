//! `/flags`.

use mesos::json::write_object;

use super::render::Identity;
use super::state;

/// The JSON document.
#[must_use]
pub fn render(identity: &Identity) -> String {
    let mut json = String::with_capacity(1024);
    write_object(&mut json, |object| {
        object.object("flags", |object| state::flags(object, identity));
    });
    json
}
