//! What the containerizer was asked to do and has not done yet, for operators who look for what hangs.

use std::collections::BTreeMap;

use mesos::ids::ContainerId;
use mesos::json::write_object;

/// The operations that run now.
#[derive(Debug, Default)]
pub struct Pending {
    next: u64,
    running: BTreeMap<u64, (&'static str, ContainerId)>,
}

impl Pending {
    /// Notes an operation; the key takes it back.
    pub fn begin(&mut self, operation: &'static str, container_id: &ContainerId) -> u64 {
        self.next += 1;
        self.running.insert(self.next, (operation, container_id.clone()));
        self.next
    }

    /// The operation is done.
    pub fn end(&mut self, key: u64) {
        self.running.remove(&key);
    }

    /// The document of `/containerizer/debug`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut json = String::new();
        write_object(&mut json, |object| {
            object.array("pending", self.running.values(), |json, (operation, container_id)| {
                write_object(json, |object| {
                    object.string("operation", operation);
                    object.object("args", |object| object.text("containerId", container_id));
                });
            });
        });
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_shown_while_they_run() {
        let mut pending = Pending::default();
        assert_eq!(pending.render(), r#"{"pending":[]}"#);
        let key = pending.begin("launch", &ContainerId::new("c"));
        assert_eq!(
            pending.render(),
            r#"{"pending":[{"operation":"launch","args":{"containerId":"c"}}]}"#
        );
        pending.end(key);
        assert_eq!(pending.render(), r#"{"pending":[]}"#);
    }
}
