//! The program of a master that a run starts, kills and starts again.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use thiserror::Error;

/// Why the master's program could not be handled.
#[derive(Debug, Error)]
pub enum MasterError {
    /// The command does not start.
    #[error("cannot start '{command}'")]
    Start {
        /// The command.
        command: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file for its output cannot be written.
    #[error("cannot write {path}")]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A master's program; killed when this is dropped.
#[derive(Debug)]
pub struct MasterProgram {
    command: String,
    log: Option<PathBuf>,
    child: Child,
}

impl MasterProgram {
    /// Starts a shell command that becomes the master; what it prints goes to `log`, or nowhere.
    ///
    /// # Errors
    ///
    /// Fails when there is no shell or the log cannot be written.
    pub fn start(command: &str, log: Option<PathBuf>) -> Result<Self, MasterError> {
        let child = spawn(command, log.as_ref())?;
        Ok(Self {
            command: command.to_owned(),
            log,
            child,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program with SIGKILL.
    pub fn kill(&mut self) {
        // One that has ended already is as dead as it should be.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts the program again after [`MasterProgram::kill`].
    ///
    /// # Errors
    ///
    /// As [`MasterProgram::start`].
    pub fn start_again(&mut self) -> Result<(), MasterError> {
        self.child = spawn(&self.command, self.log.as_ref())?;
        Ok(())
    }
}

fn spawn(command: &str, log: Option<&PathBuf>) -> Result<Child, MasterError> {
    let (output, errors) = match log {
        None => (Stdio::null(), Stdio::null()),
        Some(path) => {
            let failed = |source| MasterError::Log {
                path: path.clone(),
                source,
            };
            let file = File::options().create(true).append(true).open(path).map_err(failed)?;
            (Stdio::from(file.try_clone().map_err(failed)?), Stdio::from(file))
        }
    };
    // The shell makes way for the program, so that its id is the child's.
    Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|source| MasterError::Start {
            command: command.to_owned(),
            source,
        })
}

impl Drop for MasterProgram {
    fn drop(&mut self) {
        self.kill();
    }
}
