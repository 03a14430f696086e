//! The runs of `mesos-load`, composed from [`Load`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libprocess::http::client::Client;
use libprocess_types::Time;
use mesos_proto::v0::mesos::resource::{ReservationInfo, reservation_info};
use mesos_proto::v0::mesos::{Label, Labels, Resource, value};
use thiserror::Error;
use tokio::time::Instant;

use crate::agent::{AgentKind, Preload, RunTime, TaskShape};
use crate::cli::{IdlePolicy, Options};
use crate::framework::{LaunchPlan, Policy, ProbePlan, framework_info};
use crate::load::{Load, LoadError};
use crate::master::{MasterError, MasterProgram};
use crate::progress::Progress;
use crate::record::Note;
use crate::report::{Mark, Report, WaveReport, WindowReport};
use crate::usage::Usage;

/// How long a master may take until it leads.
const MASTER_PATIENCE: Duration = Duration::from_secs(60);
/// A process is idle when it used less than this part of a processor in [`IDLE_INTERVAL`].
const IDLE_PART: f64 = 0.05;
/// Between two looks at a process that should become idle.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a process may take to become idle.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// What each task takes.
const TASK_CPUS: f64 = 0.1;
/// What each task takes, in megabytes.
const TASK_MEM_MB: f64 = 32.0;
/// Role of all frameworks of a run.
const ROLE: &str = "load";
/// Role of the framework that probes.
const PROBE_ROLE: &str = "probe";
/// Agents whose resources are reserved for that role.
const PROBED_AGENTS_MAX: usize = 100;
/// Refusal of frameworks that decline: to the end of every run.
const REFUSE: Duration = Duration::from_secs(86_400);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Registrations of agents with tasks, all at once.
    Storm,
    /// Life cycles of tasks.
    Cycle,
    /// Latency of one task on a large idle cluster.
    Probe,
    /// A large idle cluster.
    Idle,
}

impl Scenario {
    const ALL: [Self; 4] = [Self::Storm, Self::Cycle, Self::Probe, Self::Idle];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Cycle => "cycle",
            Self::Probe => "probe",
            Self::Idle => "idle",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }
}

/// Why a run did not begin or could not go on.
#[derive(Debug, Error)]
pub enum RunError {
    /// The load cannot be made.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The master's program cannot be handled.
    #[error(transparent)]
    Master(#[from] MasterError),
}

/// Runs a scenario to its end, or to its time limit, which then stands among the problems of the report.
///
/// # Errors
///
/// Fails when the master cannot be started or reached, or the generator's own node cannot be started.
pub async fn run(options: Options) -> Result<Report, RunError> {
    let program = match &options.spawn {
        Some(command) => Some(MasterProgram::start(command, options.master_log.clone())?),
        None => None,
    };
    let load = Load::start(options.master, options.ip, options.seed).await?;
    let progress = Progress::new(load.recorder());
    let limit = options.time_limit;
    let mut run = Run {
        options,
        load,
        program,
        progress,
        began: Instant::now(),
        waves: Vec::new(),
        window: None,
        frameworks: 0,
    };
    match tokio::time::timeout(limit, run.play()).await {
        Ok(played) => played?,
        Err(_) => run.problem(format!("the time limit of {limit:?} ended the run")),
    }
    let report = run.report().await;
    run.load.stop().await;
    Ok(report)
}

struct Run {
    options: Options,
    load: Load,
    program: Option<MasterProgram>,
    progress: Progress,
    began: Instant,
    waves: Vec<WaveReport>,
    window: Option<WindowReport>,
    frameworks: usize,
}

impl Run {
    async fn play(&mut self) -> Result<(), RunError> {
        self.load.wait_for_master(MASTER_PATIENCE).await?;
        let kind = Arc::new(self.agent_kind());
        let probed = self.probed_agents();
        self.load.add_agents(&kind, self.options.agents - probed);
        self.load.add_agents(&Arc::new(reserved_for_probes(&kind)), probed);
        self.add_idle_frameworks();
        if self.options.scenario == Scenario::Cycle {
            self.add_launcher();
        }
        self.wave().await;
        for _ in 0..self.options.restarts {
            self.restart().await?;
            self.wave().await;
        }
        match self.options.scenario {
            Scenario::Storm => {}
            Scenario::Cycle => {
                tokio::time::sleep(WARM_UP).await;
                self.hold().await;
            }
            Scenario::Idle => self.hold().await,
            Scenario::Probe => self.probe().await,
        }
        Ok(())
    }

    fn problem(&self, text: String) {
        self.load.recorder().note(self.now(), Note::Problem(text));
    }

    fn now(&self) -> Time {
        Time::EPOCH + self.began.elapsed()
    }

    fn usage(&self) -> Option<Usage> {
        let spawned = self.program.as_ref().map(MasterProgram::pid);
        Usage::of(spawned.or(self.options.master_pid)?)
    }

    fn agent_kind(&self) -> AgentKind {
        let options = &self.options;
        let preload = (options.agent_tasks > 0).then(|| {
            let name = format!("load-{}", options.seed);
            let mut framework = framework_info(&name, ROLE);
            framework
                .id
                .mut_or_insert_default()
                .set_value(format!("{name}-8d5b7c1e-5f0a-4e4c-9c39-0000"));
            let mut resources = [scalar("cpus", TASK_CPUS), scalar("mem", TASK_MEM_MB)];
            for resource in &mut resources {
                resource
                    .allocation_info
                    .mut_or_insert_default()
                    .set_role(ROLE.to_owned());
            }
            Preload {
                framework: Arc::new(framework),
                shape: Arc::new(TaskShape::new("load", &resources, labels(options.labels).as_ref())),
                tasks: options.agent_tasks,
                agent_id_prefix: format!("{name}-8d5b7c1e-5f0a-4e4c-9c39-S"),
            }
        });
        AgentKind {
            resources: vec![
                scalar("cpus", f64::from(options.agent_cpus)),
                scalar("mem", f64::from(options.agent_mem_mb)),
            ],
            run_time: RunTime::Between(options.task_time, options.task_time),
            registration_wait: options.registration_wait,
            preload,
            ..AgentKind::default()
        }
    }

    /// Agents that only the probing framework gets offers of: idle frameworks may hold all others.
    fn probed_agents(&self) -> usize {
        match self.options.scenario {
            Scenario::Probe => PROBED_AGENTS_MAX.min(self.options.agents),
            Scenario::Storm | Scenario::Cycle | Scenario::Idle => 0,
        }
    }

    fn add_idle_frameworks(&mut self) {
        let policy = match self.options.idle_policy {
            IdlePolicy::Hoard => Policy::Hoard,
            IdlePolicy::Decline => Policy::Decline(REFUSE),
            IdlePolicy::Suppress => Policy::Suppress,
        };
        for number in 0..self.options.frameworks {
            let info = framework_info(&format!("idle-{number}"), ROLE);
            self.load.add_http_framework(info, policy.clone(), 1);
            self.frameworks += 1;
        }
        for number in 0..self.options.libprocess_frameworks {
            let info = framework_info(&format!("idle-libprocess-{number}"), ROLE);
            self.load.add_libprocess_framework(info, policy.clone());
            self.frameworks += 1;
        }
    }

    fn add_launcher(&mut self) {
        let policy = Policy::Launch(LaunchPlan {
            total: None,
            at_once: self.options.tasks_at_once,
            per_offer: self.options.tasks_per_offer,
            cpus: TASK_CPUS,
            mem_mb: TASK_MEM_MB,
            labels: labels(self.options.labels),
        });
        let info = framework_info("launcher", ROLE);
        if self.options.launcher_over_libprocess {
            self.load.add_libprocess_framework(info, policy);
        } else {
            self.load.add_http_framework(info, policy, self.options.connections);
        }
        self.frameworks += 1;
    }

    /// All agents register at once.
    async fn wave(&mut self) {
        let before = self.usage();
        self.progress
            .phase("registering agents", self.load.agents() as u64, |numbers| {
                numbers.agents_registered
            });
        self.load.master_found();
        self.load.all_registered().await;
        let answered = self.usage();
        self.become_idle().await;
        let settled = self.usage();
        let mut wave = self.load.recorder().read(|numbers| WaveReport::new(&numbers.wave));
        let spent = |after: Option<Usage>| before.zip(after).map(|(before, after)| after.cpu_s - before.cpu_s);
        wave.master_cpu_s = spent(answered);
        wave.master_cpu_settled_s = spent(settled);
        wave.master_rss_before_bytes = before.map(|usage| usage.rss_bytes);
        wave.master_rss_bytes = settled.map(|usage| usage.rss_bytes);
        self.waves.push(wave);
    }

    /// Waits until the master has nothing more to do; not at all when its process is not known, or load is on it.
    async fn become_idle(&self) {
        if self.options.scenario == Scenario::Cycle {
            return;
        }
        let patience = Instant::now() + IDLE_PATIENCE;
        let Some(mut before) = self.usage() else { return };
        while Instant::now() < patience {
            tokio::time::sleep(IDLE_INTERVAL).await;
            let Some(after) = self.usage() else { return };
            if after.cpu_s - before.cpu_s < IDLE_PART * IDLE_INTERVAL.as_secs_f64() {
                return;
            }
            before = after;
        }
        self.problem(format!("the master was not idle after {IDLE_PATIENCE:?}"));
    }

    async fn restart(&mut self) -> Result<(), RunError> {
        self.progress
            .phase("restarting the master", self.load.agents() as u64, |numbers| {
                numbers.agents_registered
            });
        match &mut self.program {
            Some(program) => program.kill(),
            None => eprintln!("mesos-load: restart the master now"),
        }
        self.load.all_lost().await;
        if let Some(program) = &mut self.program {
            program.start_again()?;
        }
        Ok(self.load.wait_for_master(MASTER_PATIENCE).await?)
    }

    /// Lets the load run and measures it.
    async fn hold(&mut self) {
        let seconds = self.options.duration.as_secs();
        match self.options.scenario {
            Scenario::Cycle => self
                .progress
                .phase("tasks finished", 0, |numbers| numbers.tasks_finished),
            _ => self.progress.phase("pings answered", seconds, |numbers| numbers.pings),
        }
        let begin = self.mark();
        tokio::time::sleep(self.options.duration).await;
        self.window = Some(begin.until(&self.mark()));
    }

    fn mark(&self) -> Mark {
        let (now, usage) = (self.now(), self.usage());
        self.load.recorder().read(|numbers| Mark::new(now, numbers, usage))
    }

    async fn probe(&mut self) {
        let plan = ProbePlan {
            pause: self.options.probe_pause,
            cpus: TASK_CPUS,
            mem_mb: TASK_MEM_MB,
        };
        let probes = self.options.probes;
        self.progress
            .phase("probes", probes, |numbers| numbers.probe_running.count());
        let info = framework_info("probe", PROBE_ROLE);
        self.load.add_http_framework(info, Policy::Probe(plan), 1);
        self.frameworks += 1;
        let begin = self.mark();
        self.load
            .recorder()
            .wait(|numbers| numbers.probe_running.count() >= probes)
            .await;
        self.window = Some(begin.until(&self.mark()));
    }

    /// Numbers that the master gives of itself.
    async fn master_counts(&self) -> BTreeMap<String, f64> {
        let keys = [
            "master/slaves_active",
            "master/slaves_connected",
            "master/frameworks_active",
            "master/tasks_running",
            "master/tasks_finished",
            "master/outstanding_offers",
        ];
        let mut client = Client::new(self.load.master());
        let Ok(answer) = client.get("/metrics/snapshot").await else {
            return BTreeMap::new();
        };
        let all: BTreeMap<String, f64> = serde_json::from_slice(&answer.body).unwrap_or_default();
        all.into_iter()
            .filter(|(key, _)| keys.contains(&key.as_str()))
            .collect()
    }

    async fn report(&self) -> Report {
        let master_usage = self.usage();
        let master_counts = self.master_counts().await;
        let numbers = self.load.recorder().read(Clone::clone);
        let probed = numbers.probe_running.count() > 0;
        Report {
            scenario: self.options.scenario.name(),
            master: self.load.master().to_string(),
            agents: self.load.agents(),
            frameworks: self.frameworks,
            seconds: self.began.elapsed().as_secs_f64(),
            waves: self.waves.clone(),
            registrations: numbers.registration_times.spread(),
            window: self.window,
            offers: numbers.offers,
            offers_rescinded: numbers.rescinded,
            tasks_launched: numbers.tasks_launched,
            tasks_started: numbers.tasks_started,
            tasks_finished: numbers.tasks_finished,
            tasks_failed: numbers.tasks_failed,
            updates: numbers.update_times.spread(),
            updates_repeated: numbers.updates_repeated,
            pings: numbers.pings,
            probe_offered: probed.then(|| numbers.probe_offered.spread()),
            probe_running: probed.then(|| numbers.probe_running.spread()),
            master_counts,
            master_usage,
            generator_usage: Usage::of(std::process::id()),
            errors: numbers.problems.values().sum(),
            problems: numbers.problems,
        }
    }
}

/// The same agents with everything reserved for the role of probes.
fn reserved_for_probes(kind: &AgentKind) -> AgentKind {
    let mut reserved = kind.clone();
    for resource in &mut reserved.resources {
        let mut reservation = ReservationInfo::new();
        reservation.set_type(reservation_info::Type::STATIC);
        reservation.set_role(PROBE_ROLE.to_owned());
        resource.reservations.push(reservation);
    }
    reserved
}

fn scalar(name: &str, amount: f64) -> Resource {
    let mut resource = Resource::new();
    resource.set_name(name.to_owned());
    resource.set_type(value::Type::SCALAR);
    resource.scalar.mut_or_insert_default().set_value(amount);
    resource
}

/// So many short labels; none at all for 0.
fn labels(count: u32) -> Option<Labels> {
    let mut labels = Labels::new();
    labels.labels = (0..count)
        .map(|number| {
            let mut label = Label::new();
            label.set_key(format!("k{number}"));
            label.set_value(format!("v{number}"));
            label
        })
        .collect();
    (count > 0).then_some(labels)
}
