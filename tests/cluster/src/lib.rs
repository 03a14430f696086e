//! A master and agents as actors of this process, on sockets of the loopback interface.
//!
//! Mostly for tests that need no task to run: an agent started here launches nothing unless it is told where its helper
//! programs are.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;

use libprocess::NodeConfig;
use mesos::flags::{FlagSet, Flags, Outcome};
use mesos_agent::{RunningAgent, StopMode};
use mesos_master::RunningMaster;
use tokio::sync::{mpsc, oneshot};

/// What the thread of the actors is asked to do; each is answered when it is done.
enum Order {
    StartAgent {
        flags: Vec<String>,
        done: std::sync::mpsc::Sender<SocketAddr>,
    },
    StopAgent {
        index: usize,
        done: std::sync::mpsc::Sender<()>,
    },
}

/// A master and agents; all end when it is dropped.
pub struct Cluster {
    master: SocketAddr,
    folder: tempfile::TempDir,
    /// Flags of each agent, in the order of their start.
    agents: Vec<Vec<String>>,
    orders: mpsc::UnboundedSender<Order>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts a master with more flags and no agent.
    ///
    /// # Panics
    ///
    /// Panics when the master does not start.
    #[must_use]
    pub fn start(master_flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut flags = vec![
            "--ip=127.0.0.1".to_owned(),
            "--port=0".to_owned(),
            "--registry=in_memory".to_owned(),
            "--allocation_interval=50ms".to_owned(),
            format!("--work_dir={}", folder.path().join("master").display()),
        ];
        flags.extend(master_flags.iter().map(|&flag| flag.to_owned()));
        let (orders, received) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(serve(flags, started, received, stopped));
        });
        Self {
            master: address.recv().expect("the master starts"),
            folder,
            agents: Vec::new(),
            orders,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Starts an agent with these resources and more flags; gives its number.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    pub fn agent(&mut self, resources: &str, more: &[&str]) -> usize {
        let folder: PathBuf = self.folder.path().join(format!("agent-{}", self.agents.len()));
        let mut flags = vec![
            format!("--master={}", self.master),
            "--ip=127.0.0.1".to_owned(),
            "--port=0".to_owned(),
            "--registration_backoff_factor=20ms".to_owned(),
            format!("--resources={resources}"),
            format!("--work_dir={}", folder.join("work").display()),
            format!("--runtime_dir={}", folder.join("run").display()),
        ];
        if !more.iter().any(|flag| flag.starts_with("--launcher_dir=")) {
            flags.push(format!("--launcher_dir={}", folder.display()));
        }
        flags.extend(more.iter().map(|&flag| flag.to_owned()));
        let address = self.start_agent(flags.clone());
        // One that comes back must be where its executors look for it.
        flags.retain(|flag| flag != "--port=0");
        flags.push(format!("--port={}", address.port()));
        self.agents.push(flags);
        self.agents.len() - 1
    }

    fn start_agent(&self, flags: Vec<String>) -> SocketAddr {
        let (done, answer) = std::sync::mpsc::channel();
        // The thread ends only with this value.
        drop(self.orders.send(Order::StartAgent { flags, done }));
        answer.recv().expect("the agent starts")
    }

    /// Stops an agent and starts another one on its folders and address; gives the number of the new one. What ran
    /// in the first one's containers goes on.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    pub fn restart_agent(&mut self, index: usize) -> usize {
        self.stop_agent(index);
        let flags = self.agents[index].clone();
        self.start_agent(flags.clone());
        self.agents.push(flags);
        self.agents.len() - 1
    }

    /// Stops an agent: its address is gone, as after a crash of its program.
    pub fn stop_agent(&mut self, index: usize) {
        let (done, answer) = std::sync::mpsc::channel();
        drop(self.orders.send(Order::StopAgent { index, done }));
        let _ = answer.recv();
    }

    /// Address of the master.
    #[must_use]
    pub const fn master(&self) -> SocketAddr {
        self.master
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A thread that has panicked waits for nothing.
        let _ = self.stop.take().map(|stop| stop.send(()));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

async fn serve(
    flags: Vec<String>,
    started: std::sync::mpsc::Sender<SocketAddr>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut stopped: oneshot::Receiver<()>,
) {
    let flags = read(&mesos::flags::master::FLAGS, flags);
    let master: RunningMaster = mesos_master::start(&flags, NodeConfig::default())
        .await
        .expect("the master starts");
    let _ = started.send(SocketAddr::from(master.pid().address()));
    let mut agents: Vec<Option<RunningAgent>> = Vec::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::StartAgent { flags, done }) => {
                    let flags = read(&mesos::flags::agent::FLAGS, flags);
                    let agent = mesos_agent::start(&flags, NodeConfig::default()).await.expect("the agent starts");
                    let _ = done.send(SocketAddr::from(agent.pid().address()));
                    agents.push(Some(agent));
                }
                Some(Order::StopAgent { index, done }) => {
                    if let Some(agent) = agents.get_mut(index).and_then(Option::take) {
                        agent.stop(StopMode::LeaveContainers).await;
                    }
                    let _ = done.send(());
                }
                None => break,
            },
            _ = &mut stopped => break,
        }
    }
    for agent in agents.into_iter().flatten() {
        agent.stop(StopMode::DestroyContainers).await;
    }
    master.stop().await;
}

fn read(set: &FlagSet, arguments: Vec<String>) -> Flags {
    match set.read(arguments.into_iter().map(OsString::from), Vec::new()) {
        Ok(Outcome::Run(flags)) => flags,
        other => panic!("flags: {other:?}"),
    }
}
