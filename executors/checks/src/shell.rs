//! Carries out what the rules decide: timers, looks, reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess_types::Time;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::core::{Effect, Input, TaskChecks};
use crate::plan::CheckKind;
use crate::result::{Found, Report};
use crate::runner::{self, CommandRunner};

/// Timers and results that may wait: at most one of each for each check.
const QUEUE: usize = 8;

/// The running checks of a task. Dropping it stops them, with everything that they run.
#[derive(Debug)]
pub struct Checks {
    paused: watch::Sender<bool>,
    _task: AbortOnDrop,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Checks {
    /// Begins the checks on the current tokio runtime. Each report is sent as what `wrap` makes of it; `COMMAND`
    /// checks run through `runner`.
    pub fn start<T: Send + 'static>(
        checks: TaskChecks,
        runner: Arc<dyn CommandRunner>,
        reports: mpsc::Sender<T>,
        wrap: impl Fn(Report) -> T + Send + 'static,
    ) -> Self {
        let (paused, pauses) = watch::channel(false);
        let (inputs, queue) = mpsc::channel(QUEUE);
        let shell = Shell {
            core: checks,
            runner,
            inputs,
            timers: BTreeMap::new(),
            probes: BTreeMap::new(),
            epoch: Instant::now(),
        };
        let task = tokio::spawn(shell.run(queue, pauses, reports, wrap));
        Self {
            paused,
            _task: AbortOnDrop(task.abort_handle()),
        }
    }

    /// Looks at nothing and tells nothing until [`Checks::resume`]; a look that goes on does not count.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Looks again, at once when there was a pause.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }
}

struct Shell {
    core: TaskChecks,
    runner: Arc<dyn CommandRunner>,
    inputs: mpsc::Sender<Input>,
    timers: BTreeMap<CheckKind, AbortOnDrop>,
    probes: BTreeMap<CheckKind, AbortOnDrop>,
    epoch: Instant,
}

impl Shell {
    async fn run<T>(
        mut self,
        mut queue: mpsc::Receiver<Input>,
        mut pauses: watch::Receiver<bool>,
        reports: mpsc::Sender<T>,
        wrap: impl Fn(Report) -> T,
    ) {
        let mut input = Input::Started;
        loop {
            let now = Time::EPOCH + self.epoch.elapsed();
            for effect in self.core.step(now, &input) {
                match effect {
                    Effect::Tell(report) => {
                        if reports.send(wrap(report)).await.is_err() {
                            return;
                        }
                    }
                    effect => self.carry_out(effect),
                }
            }
            input = tokio::select! {
                Some(input) = queue.recv() => input,
                changed = pauses.changed() => match changed {
                    Ok(()) if *pauses.borrow_and_update() => Input::Paused,
                    Ok(()) => Input::Resumed,
                    Err(_) => return,
                },
            };
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::SetTimer(kind, after) => {
                let inputs = self.inputs.clone();
                let timer = tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // The checks have ended when nobody takes it.
                    let _ = inputs.send(Input::Elapsed(kind)).await;
                });
                self.timers.insert(kind, AbortOnDrop(timer.abort_handle()));
            }
            Effect::CancelTimer(kind) => {
                self.timers.remove(&kind);
            }
            Effect::StartProbe {
                kind,
                attempt,
                probe,
                timeout,
            } => {
                let inputs = self.inputs.clone();
                let runner = Arc::clone(&self.runner);
                let look = tokio::spawn(async move {
                    let found = runner::look(runner, kind, probe, timeout).await;
                    log(kind, &found);
                    // The checks have ended when nobody takes it.
                    let _ = inputs.send(Input::Probed { kind, attempt, found }).await;
                });
                self.probes.insert(kind, AbortOnDrop(look.abort_handle()));
            }
            Effect::CancelProbe(kind) => {
                self.probes.remove(&kind);
            }
            // Told by the caller, which may wait.
            Effect::Tell(_) => {}
        }
    }
}

fn log(kind: CheckKind, found: &Found) {
    match found {
        Found::NotConnected(why) | Found::Failed(why) => tracing::warn!(?kind, error = why, "check failed"),
        Found::Unavailable(why) => tracing::info!(?kind, error = why, "check is not available"),
        Found::Exit(_) | Found::Answer(_) | Found::Connected => tracing::debug!(?kind, ?found, "check done"),
    }
}
