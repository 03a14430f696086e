//! Collects the effects of one step in the order the rules asked for them, and groups what has to wait for the disk.
//!
//! Rules say three things: *write* this, do that *held* until everything written so far is on the disk, or do it
//! *now*. A held effect without a write of its own becomes a barrier, so that it cannot overtake effects which earlier
//! steps left waiting for the disk.

use crate::effect::{CheckpointWrite, Effect};

/// When an effect may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once.
    Now,
    /// After everything that was written so far, in this step and in earlier ones.
    Held,
}

impl When {
    /// Work that is checkpointed waits for its checkpoints.
    pub(crate) fn held_if(checkpoints: bool) -> Self {
        if checkpoints { Self::Held } else { Self::Now }
    }
}

/// The effects of the step that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    effects: Vec<Effect>,
    writes: Vec<CheckpointWrite>,
    held: Vec<Effect>,
}

impl Outbox {
    /// Adds a change of the disk.
    pub(crate) fn write(&mut self, write: CheckpointWrite) {
        if !self.held.is_empty() {
            self.close_checkpoint();
        }
        self.writes.push(write);
    }

    /// Adds an effect.
    pub(crate) fn push(&mut self, when: When, effect: Effect) {
        match when {
            When::Held => self.held.push(effect),
            When::Now => {
                self.close_checkpoint();
                self.effects.push(effect);
            }
        }
    }

    /// Takes everything that was collected.
    pub(crate) fn take(&mut self) -> Vec<Effect> {
        self.close_checkpoint();
        std::mem::take(&mut self.effects)
    }

    fn close_checkpoint(&mut self) {
        if self.writes.is_empty() && self.held.is_empty() {
            return;
        }
        let writes = std::mem::take(&mut self.writes);
        let then = std::mem::take(&mut self.held);
        self.effects.push(Effect::Checkpoint { writes, then });
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::effect::Effect;

    fn remove(name: &str) -> CheckpointWrite {
        CheckpointWrite::Remove {
            path: PathBuf::from(name),
        }
    }

    #[test]
    fn held_effects_wait_for_the_writes_before_them() {
        let mut outbox = Outbox::default();
        outbox.push(When::Now, Effect::Redetect);
        outbox.write(remove("a"));
        outbox.write(remove("b"));
        outbox.push(When::Held, Effect::Redetect);
        outbox.write(remove("c"));
        outbox.push(When::Now, Effect::Redetect);
        outbox.push(When::Held, Effect::Redetect);
        let expected = vec![
            Effect::Redetect,
            Effect::Checkpoint {
                writes: vec![remove("a"), remove("b")],
                then: vec![Effect::Redetect],
            },
            Effect::Checkpoint {
                writes: vec![remove("c")],
                then: vec![],
            },
            Effect::Redetect,
            Effect::Checkpoint {
                writes: vec![],
                then: vec![Effect::Redetect],
            },
        ];
        assert_eq!(outbox.take(), expected);
        assert_eq!(outbox.take(), vec![]);
    }
}
