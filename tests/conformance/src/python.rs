//! A Python environment with the clients that frameworks use, installed once a target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Why there is no Python with the clients.
#[derive(Debug)]
pub enum PythonError {
    /// The package registry cannot be reached: a reason to skip.
    Unreachable(String),
    /// Something else: a reason to fail.
    Broken(String),
}

/// A virtual environment with pymesos and what it needs.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// Prepares the environment below `folder`, or finds it there.
    ///
    /// `http-parser`'s archive carries C code that Cython made for older Pythons; it is made anew first.
    ///
    /// # Errors
    ///
    /// Tells whether the registry was out of reach or a step failed.
    pub fn with_pymesos(folder: &Path) -> Result<Self, PythonError> {
        fs::create_dir_all(folder).map_err(|error| PythonError::Broken(error.to_string()))?;
        // Several test programs may prepare at the same time; the lock is released with the file.
        let lock = File::create(folder.join("lock")).map_err(|error| PythonError::Broken(error.to_string()))?;
        lock.lock().map_err(|error| PythonError::Broken(error.to_string()))?;
        let environment = folder.join("pymesos-0.3.15");
        let program = environment.join("bin/python");
        let done = environment.join("complete");
        if !done.exists() {
            install(folder, &environment, &program)?;
            fs::write(&done, b"").map_err(|error| PythonError::Broken(error.to_string()))?;
        }
        Ok(Self { program })
    }

    /// Runs a script with arguments and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics when the interpreter cannot be started.
    #[must_use]
    pub fn run(&self, script: &Path, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .arg(script)
            .args(arguments)
            .output()
            .expect("the interpreter starts")
    }
}

fn install(folder: &Path, environment: &Path, program: &Path) -> Result<(), PythonError> {
    drop(fs::remove_dir_all(environment));
    step(Command::new("python3").arg("-m").arg("venv").arg(environment))?;
    let pip = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(["-m", "pip", "--disable-pip-version-check", "-q"])
            .args(arguments);
        command
    };
    step(&mut pip(&[
        "download",
        "--no-deps",
        "-d",
        &folder.join("probe").display().to_string(),
        "six==1.17.0",
    ]))
    .map_err(unreachable_or_broken)?;
    step(&mut pip(&[
        "install",
        "cython<3",
        "setuptools<80",
        "wheel",
        "six",
        "addict",
        "kazoo",
    ]))?;
    let sources = environment.join("http-parser");
    let archive = [
        "download",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "-d",
    ];
    step(pip(&archive).arg(&sources).arg("http-parser==0.9.0"))?;
    step(
        Command::new("tar")
            .arg("-xzf")
            .arg(sources.join("http-parser-0.9.0.tar.gz"))
            .arg("-C")
            .arg(&sources),
    )?;
    let unpacked = sources.join("http-parser-0.9.0");
    step(
        Command::new(environment.join("bin/cython"))
            .arg("http_parser/parser.pyx")
            .current_dir(&unpacked),
    )?;
    step(pip(&["install", "--no-deps", "--no-build-isolation"]).arg(&unpacked))?;
    step(&mut pip(&["install", "--no-deps", "pymesos==0.3.15"]))
}

/// A registry that cannot be reached shows in what pip says of its connections; anything else is a failure.
fn unreachable_or_broken(error: PythonError) -> PythonError {
    const SIGNS: [&str; 4] = [
        "NewConnectionError",
        "Connection refused",
        "name resolution",
        "timed out",
    ];
    match error {
        PythonError::Broken(reason) if SIGNS.iter().any(|sign| reason.contains(sign)) => {
            PythonError::Unreachable(reason)
        }
        other => other,
    }
}

fn step(command: &mut Command) -> Result<(), PythonError> {
    let output = command
        .output()
        .map_err(|error| PythonError::Broken(format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(PythonError::Broken(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    )))
}
