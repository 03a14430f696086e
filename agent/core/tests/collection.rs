//! Folders of finished work: when they go, and what keeps them.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use mesos_agent_core::{AgentConfig, AgentTimer, Collected, Effect, Input};
use support::{AGENT, Bench, build, forwarded, master};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An agent on which one executor has come and gone.
fn with_finished_work(config: AgentConfig) -> Bench {
    let mut bench = Bench::registered_with(config);
    finish_work(&mut bench, "t1");
    bench
}

fn finish_work(bench: &mut Bench, task: &str) {
    bench.receive(&master(), build::run_task(task, Some("e1"), true));
    let container = bench.launched();
    let effects = bench.terminated(&container, 0);
    let uuid = forwarded(&effects)[0].uuid().to_vec();
    bench.receive(&master(), build::acknowledge_uuid(task, uuid));
    assert!(bench.agent.frameworks().next().is_none());
}

fn collected(effects: &[Effect]) -> Vec<PathBuf> {
    let paths = effects.iter().filter_map(|effect| match effect {
        Effect::CollectFolders { paths } => Some(paths.clone()),
        _ => None,
    });
    paths.flatten().collect()
}

fn usage(bench: &mut Bench, share: f64) -> Vec<PathBuf> {
    let effects = bench.step(Input::DiskMeasured(Ok(share)));
    collected(&effects)
}

#[test]
fn finished_work_goes_after_the_delay() {
    let mut bench = with_finished_work(build::config());
    assert_eq!(bench.pause_of(&AgentTimer::Collection), Some(7 * DAY));
    let effects = bench.fire(&AgentTimer::Collection);
    let paths = collected(&effects);
    assert_eq!(paths.len(), 7, "{paths:?}");
    assert!(paths.contains(&format!("/w/slaves/{AGENT}/frameworks/M-0000").into()));
    assert_eq!(bench.agent.collections().pending(), 7, "until they are gone");
    for (number, path) in paths.into_iter().enumerate() {
        let result = match number {
            0 => Collected::Failed("busy".to_owned()),
            1 => Collected::Absent,
            _ => Collected::Removed,
        };
        bench.step(Input::FolderCollected { path, result });
    }
    let collections = bench.agent.collections();
    assert_eq!(
        (collections.pending(), collections.succeeded(), collections.failed()),
        (0, 5, 1)
    );
    assert!(bench.pause_of(&AgentTimer::Collection).is_none());
}

#[test]
fn what_is_used_again_stays_and_its_old_run_goes() {
    let mut bench = with_finished_work(build::config());
    let old_run = bench.launches[0].directory.clone();
    bench.now += DAY;
    bench.receive(&master(), build::run_task("t2", Some("e1"), true));
    let effects = bench.fire(&AgentTimer::Collection);
    let paths = collected(&effects);
    assert!(paths.contains(&old_run));
    let sandboxes = old_run.parent().and_then(|runs| runs.parent()).expect("the executor's");
    assert!(!paths.iter().any(|path| sandboxes.starts_with(path)), "{paths:?}");
}

#[test]
fn the_time_of_a_folder_begins_anew_with_each_end() {
    let mut bench = with_finished_work(build::config());
    bench.now += DAY;
    finish_work(&mut bench, "t2");
    let framework = PathBuf::from(format!("/w/slaves/{AGENT}/frameworks/M-0000"));
    assert_eq!(bench.agent.collections().due(&framework), Some(bench.now + 7 * DAY));
    // The first run's folder is due a day earlier, and the timer goes by that.
    assert_eq!(bench.pause_of(&AgentTimer::Collection), Some(6 * DAY));
}

#[test]
fn a_full_disk_shortens_the_time() {
    let mut bench = with_finished_work(build::config());
    bench.now += DAY;
    assert_eq!(usage(&mut bench, 0.5), [] as [PathBuf; 0]);
    let age = bench.agent.collections().allowed_age().as_secs_f64();
    assert!((age - 7.0 * 86400.0 * 0.4).abs() < 1.0, "{age}");
    // A day is more than 0.1 of a week.
    assert_eq!(usage(&mut bench, 0.8).len(), 7);
    let mut fresh = with_finished_work(build::config());
    assert_eq!(usage(&mut fresh, 0.85), [] as [PathBuf; 0]);
    assert_eq!(usage(&mut fresh, 0.9).len(), 7, "only the headroom is left");
    assert_eq!(
        usage(&mut fresh, 1.0),
        [] as [PathBuf; 0],
        "they are on their way already"
    );
}

#[test]
fn a_disk_that_cannot_be_measured_changes_nothing() {
    let mut bench = with_finished_work(build::config());
    let before = bench.agent.collections().allowed_age();
    let effects = bench.step(Input::DiskMeasured(Err("no".to_owned())));
    assert_eq!(effects, []);
    assert_eq!(bench.agent.collections().allowed_age(), before);
}

#[test]
fn the_disk_is_measured_at_the_interval() {
    let config = AgentConfig {
        disk_watch_interval: Duration::from_secs(7),
        ..build::config()
    };
    let mut bench = Bench::registered_with(config);
    for _ in 0..3 {
        assert_eq!(bench.fire(&AgentTimer::DiskWatch)[0], Effect::MeasureDisk);
        assert_eq!(bench.pause_of(&AgentTimer::DiskWatch), Some(Duration::from_secs(7)));
    }
}

#[test]
fn after_a_restart_age_counts_from_the_last_change() {
    let mut old = Bench::registered();
    old.running_task("t1", "e1");
    old.receive(&master(), build::run_task("t2", Some("e2"), true));
    let container = old.launched();
    let effects = old.terminated(&container, 0);
    let uuid = forwarded(&effects)[0].uuid().to_vec();
    old.receive(&master(), build::acknowledge_uuid("t2", uuid));
    let ended = old.launches[1].directory.clone();

    let mut bench = Bench::new(build::config());
    bench.disk = old.disk.clone();
    bench.now = old.now + 3 * DAY;
    let mut state = bench.disk.read();
    state.folder_times.insert(ended.clone(), old.now);
    let earlier = PathBuf::from("/w/slaves/M-S7");
    state.earlier_agents.push(earlier.clone());
    bench.step(Input::Recovered(Box::new(state)));
    assert_eq!(bench.agent.collections().due(&ended), Some(old.now + 7 * DAY));
    // When an earlier agent's work ended is not known.
    assert_eq!(bench.agent.collections().due(&earlier), Some(bench.now + 7 * DAY));
}
