//! How old the folders are that a restarted agent finds: they are removed by age.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use libprocess::Time;
use mesos::ids::{AgentId, FrameworkId};
use mesos_agent_core::paths::Paths;
use mesos_agent_core::recovery::RecoveredAgent;

/// When the folders of a recovered agent changed last. What is not there is left out.
#[must_use]
pub fn of_agent(paths: &Paths, agent: &RecoveredAgent) -> BTreeMap<PathBuf, Time> {
    let id = AgentId::from(&agent.info.id.clone().unwrap_or_default());
    let mut times = BTreeMap::new();
    let mut note = |path: PathBuf| {
        if let Some(time) = changed(&path) {
            times.insert(path, time);
        }
    };
    for framework in &agent.frameworks {
        let framework_id = FrameworkId::from(&framework.info.id.clone().unwrap_or_default());
        note(paths.framework_sandboxes(&id, &framework_id));
        note(paths.framework_meta(&id, &framework_id));
        for executor in &framework.executors {
            note(paths.executor_sandboxes(&id, &framework_id, &executor.id));
            note(paths.executor_meta(&id, &framework_id, &executor.id));
            for run in &executor.runs {
                let run = paths.run(&id, &framework_id, &executor.id, &run.container_id);
                note(run.sandbox().to_owned());
                note(run.meta().to_owned());
            }
        }
    }
    times
}

fn changed(path: &Path) -> Option<Time> {
    let modified = fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    Some(Time::from_secs_f64(since.as_secs_f64()))
}

/// Folders of agents with other ids than `current`, sandboxes and checkpoints.
#[must_use]
pub fn of_other_agents(paths: &Paths, current: Option<&AgentId>) -> Vec<PathBuf> {
    let any = AgentId::new("any");
    let parents = [paths.agent_sandboxes(&any), paths.agent_meta(&any)];
    let parents = parents.iter().filter_map(|path| path.parent());
    let mut folders = Vec::new();
    for parent in parents {
        let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
        // The link to the current one is no folder of its own.
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let others = entries.filter(|entry| current.is_none_or(|id| entry.file_name() != id.as_str()));
        folders.extend(others.map(|entry| entry.path()));
    }
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_agents_are_told_from_the_current_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(folder.path());
        let (current, earlier) = (AgentId::new("S1"), AgentId::new("S0"));
        for id in [&current, &earlier] {
            fs::create_dir_all(paths.agent_meta(id)).expect("made");
            fs::create_dir_all(paths.agent_sandboxes(id)).expect("made");
        }
        std::os::unix::fs::symlink(paths.agent_meta(&current), paths.latest_agent()).expect("linked");
        let mut expected = vec![paths.agent_meta(&earlier), paths.agent_sandboxes(&earlier)];
        expected.sort();
        assert_eq!(of_other_agents(&paths, Some(&current)), expected);
        assert_eq!(of_other_agents(&paths, None).len(), 4);
        assert!(of_other_agents(&Paths::new("/no/such/folder"), None).is_empty());
        assert!(changed(&paths.agent_meta(&current)).is_some_and(|time| time.as_secs_f64() > 1e9));
    }
}
