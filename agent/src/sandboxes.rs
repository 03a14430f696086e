//! Sandboxes among the files that operators may look into.
//!
//! Source: the recorded `/files/debug`: each sandbox under its own path, under that of the latest run, and under a
//! virtual path that does not name the agent.

use std::path::Path;

use mesos::ids::{ExecutorId, FrameworkId};
use mesos_agent_core::{Agent, Framework};
use mesos_node::files::FilesHandle;

/// Shows the sandbox of a run that begins.
pub fn attach(files: &FilesHandle, framework: &FrameworkId, executor: &ExecutorId, sandbox: &Path) {
    let virtual_latest = format!("/frameworks/{framework}/executors/{executor}/runs/latest");
    let latest = sandbox.with_file_name("latest");
    for path in [
        sandbox.to_string_lossy().into_owned(),
        latest.to_string_lossy().into_owned(),
        virtual_latest,
    ] {
        if let Err(error) = files.attach(&path, sandbox) {
            tracing::debug!(path, %error, "a sandbox cannot be shown");
        }
    }
}

/// Shows the sandboxes of all executors that are known after recovery, the running ones last so that they are the
/// latest.
pub fn attach_all(files: &FilesHandle, agent: &Agent) {
    for framework in agent.completed_frameworks().chain(agent.frameworks()) {
        let ended = framework.completed_executors();
        for executor in ended.chain(Framework::executors(framework)) {
            attach(files, framework.id(), executor.id(), executor.paths().sandbox());
        }
    }
}

/// Hides everything at or below a folder, given by its path without links.
pub fn detach_below(files: &FilesHandle, folder: &Path) {
    for (path, real) in files.attached() {
        if real.starts_with(folder) {
            files.detach(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use libprocess::{Node, NodeConfig};

    use super::*;

    #[actix_rt::test]
    async fn a_sandbox_has_three_paths_until_it_is_collected() {
        let node = Node::start(NodeConfig::loopback())
            .await
            .expect("a loopback address is free");
        let files = mesos_node::files::spawn(&node);
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = folder.path().join("slaves/S0/frameworks/F/executors/e/runs/c1");
        std::fs::create_dir_all(&sandbox).expect("made");
        attach(&files, &FrameworkId::new("F"), &ExecutorId::new("e"), &sandbox);
        let shown: Vec<String> = files.attached().into_iter().map(|(path, _)| path).collect();
        let latest = sandbox.with_file_name("latest");
        let mut expected = [
            "/frameworks/F/executors/e/runs/latest".to_owned(),
            sandbox.display().to_string(),
            latest.display().to_string(),
        ];
        expected.sort();
        assert_eq!(shown, expected);
        detach_below(&files, &folder.path().canonicalize().expect("there").join("slaves/S0"));
        assert!(files.attached().is_empty());
        node.stop().await;
    }
}
