//! Progress on the terminal; nothing elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::record::{Numbers, Recorder};

/// How often the bar is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);

type Reader = fn(&Numbers) -> u64;

/// A bar on standard error that follows a recorder; hidden when that is no terminal. Gone when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    reader: Arc<Mutex<Option<Reader>>>,
    drawer: JoinHandle<()>,
}

impl Progress {
    /// Begins to follow `recorder`. Needs a tokio runtime.
    #[must_use]
    pub fn new(recorder: &Arc<Recorder>) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {human_pos}/{human_len} {elapsed}") {
            bar.set_style(style);
        }
        let reader: Arc<Mutex<Option<Reader>>> = Arc::default();
        let drawer = {
            let (bar, reader, recorder) = (bar.clone(), Arc::clone(&reader), Arc::clone(recorder));
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(DRAW_INTERVAL).await;
                    let read = *reader.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(read) = read {
                        bar.set_position(recorder.read(read));
                    }
                }
            })
        };
        Self { bar, reader, drawer }
    }

    /// Shows another part of the run: its name, how much there is to do, and what counts as done.
    pub fn phase(&self, name: &'static str, total: u64, done: Reader) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        self.bar.set_length(total);
        self.bar.set_message(name);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.drawer.abort();
        self.bar.finish_and_clear();
    }
}
