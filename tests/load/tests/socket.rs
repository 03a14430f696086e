//! Emulated agents and frameworks against this project's master over real sockets, with a restart of the master.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use libprocess::NodeConfig;
use mesos::flags::Outcome;
use mesos_master::RunningMaster;
use mesos_proto::v0::mesos::{Resource, value};
use mesos_tests_load::agent::{AgentKind, RunTime};
use mesos_tests_load::framework::{LaunchPlan, Policy, framework_info};
use mesos_tests_load::{Load, Numbers};

const AGENTS: usize = 50;
const TASKS: u64 = 500;
/// Bounds every wait: what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start_master(port: u16) -> RunningMaster {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "--ip=127.0.0.1".to_owned(),
        format!("--port={port}"),
        "--registry=in_memory".to_owned(),
        "--allocation_interval=50ms".to_owned(),
        format!("--work_dir={}", folder.path().display()),
    ];
    let read = mesos::flags::master::FLAGS.read(arguments.into_iter().map(Into::into), Vec::new());
    let Ok(Outcome::Run(flags)) = read else {
        panic!("flags: {read:?}");
    };
    mesos_master::start(&flags, NodeConfig::default())
        .await
        .expect("the master starts")
}

fn scalar(name: &str, amount: f64) -> Resource {
    let mut resource = Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(amount);
    resource
}

fn kind() -> Arc<AgentKind> {
    Arc::new(AgentKind {
        resources: vec![scalar("cpus", 4.0), scalar("mem", 4096.0)],
        run_time: RunTime::Forever,
        registration_wait: Duration::from_millis(200),
        ..AgentKind::default()
    })
}

fn launching(total: u64) -> Policy {
    Policy::Launch(LaunchPlan {
        total: Some(total),
        at_once: total,
        per_offer: 10,
        cpus: 0.1,
        mem_mb: 32.0,
        labels: None,
    })
}

async fn reach(load: &Load, what: &str, reached: impl Fn(&Numbers) -> bool) {
    let waited = tokio::time::timeout(PATIENCE, load.recorder().wait(reached)).await;
    assert!(waited.is_ok(), "{what}: {:?}", load.recorder().read(Clone::clone));
}

/// Tasks of all agents survive the master: after its restart the agents bring them back, and updates flow again.
async fn restart_under_load() {
    let master = start_master(0).await;
    let address: SocketAddrV4 = master.pid().address();
    let mut load = Load::start(address, Ipv4Addr::LOCALHOST, 1).await.expect("a node");
    load.add_agents(&kind(), AGENTS);
    load.add_http_framework(framework_info("v1", "load"), launching(TASKS / 2), 2);
    load.add_libprocess_framework(framework_info("messages", "load"), launching(TASKS / 2));
    load.wait_for_master(PATIENCE).await.expect("the master leads");
    load.master_found();
    reach(&load, "agents", |numbers| numbers.agents_registered == AGENTS as u64).await;
    reach(&load, "acknowledged updates", |numbers| {
        numbers.updates_acknowledged == TASKS
    })
    .await;

    master.stop().await;
    reach(&load, "lost agents", |numbers| numbers.agents_registered == 0).await;
    let master = start_master(address.port()).await;
    load.wait_for_master(PATIENCE).await.expect("the master leads again");
    load.master_found();
    reach(&load, "agents again", |numbers| {
        numbers.agents_registered == AGENTS as u64
    })
    .await;
    let running = master.process().call(|master, _| {
        let frameworks = master.core().frameworks().values();
        frameworks.map(|framework| framework.tasks().len()).sum::<usize>()
    });
    assert_eq!(
        running.await.expect("the master runs"),
        usize::try_from(TASKS).expect("small")
    );
    reach(&load, "frameworks again", |numbers| numbers.subscriptions >= 4).await;
    load.recorder().read(|numbers| {
        assert_eq!(numbers.wave.answered, AGENTS as u64);
        assert_eq!(numbers.problems, std::collections::BTreeMap::new());
        assert_eq!((numbers.tasks_launched, numbers.tasks_started), (TASKS, TASKS));
    });
    load.stop().await;
    master.stop().await;
}

#[test]
fn agents_bring_their_tasks_back_to_a_restarted_master() {
    actix_rt::System::new().block_on(restart_under_load());
}
