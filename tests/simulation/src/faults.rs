//! What goes wrong in a run, and when: all of it drawn from the seed.

use std::time::Duration;

use libprocess::sim::Faults;
use libprocess::{Random, SeededRandom};

/// Number of agents.
pub const AGENTS: usize = 3;
/// Number of frameworks.
pub const FRAMEWORKS: usize = 3;

/// One misfortune, or its end.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Draws the next misfortune.
    Draw,
    /// The master's connection to an agent breaks.
    BreakToAgent(usize),
    /// An agent's connection to the master breaks.
    BreakFromAgent(usize),
    /// The master's connection to a scheduler breaks.
    BreakToScheduler(usize),
    /// A scheduler's connection to the master breaks.
    BreakFromScheduler(usize),
    /// Nothing passes between master and agent for a while, and nobody notices.
    CutAgent(usize, Duration),
    /// Connections between master and agent break and are refused for a while.
    RefuseAgent(usize, Duration),
    /// Nothing passes between master and scheduler for a while, and nobody notices.
    CutScheduler(usize, Duration),
    /// The way between master and agent is free again.
    HealAgent(usize),
    /// The way between master and scheduler is free again.
    HealScheduler(usize),
    /// An agent's process dies; its executors do not.
    CrashAgent(usize, Duration),
    /// An agent's host goes down with all that runs on it; its disk survives.
    RebootAgent(usize, Duration),
    /// An agent's process starts.
    StartAgent(usize),
    /// A scheduler's process dies.
    CrashScheduler(usize, Duration),
    /// Another scheduler process takes a framework over.
    StartScheduler(usize),
    /// An executor of an agent is killed.
    KillExecutor(usize),
    /// The master's process dies; its registry does not.
    CrashMaster(Duration),
    /// The master's process starts.
    StartMaster,
    /// An operator asks for something.
    Operate,
    /// Operators open the whole cluster again, as often as it takes.
    Reopen,
}

/// How bad a run is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The network while things go wrong.
    pub network: Faults,
    /// Messages of a million that arrive twice.
    pub duplicate_per_million: u32,
    /// Longest time between two misfortunes.
    pub pause_max: Duration,
    /// How long things go wrong.
    pub duration: Duration,
    /// Longest time that a checkpoint takes.
    pub write_time_max: Duration,
    /// Whether the master's process may die.
    pub master_dies: bool,
}

impl Weather {
    /// Draws the weather of a run.
    pub fn draw(random: &mut SeededRandom) -> Self {
        let delay_max = [5, 50, 500][index(random.below(3))];
        let drop_per_million = [0, 2_000, 20_000][index(random.below(3))];
        let duplicate_per_million = [0, 10_000, 100_000][index(random.below(3))];
        let write_time_max = [0, 1, 30][index(random.below(3))];
        Self {
            network: Faults {
                delay_max: Duration::from_millis(delay_max),
                drop_per_million,
                ..Faults::default()
            },
            duplicate_per_million,
            pause_max: random.duration(Duration::from_secs(2), Duration::from_secs(20)),
            duration: random.duration(Duration::from_secs(60), Duration::from_secs(180)),
            write_time_max: Duration::from_millis(write_time_max),
            master_dies: random.chance(250_000),
        }
    }

    /// Draws the next misfortune.
    pub fn next(&self, random: &mut SeededRandom) -> Fate {
        let agent = index(random.below(AGENTS as u64));
        let framework = index(random.below(FRAMEWORKS as u64));
        let short = random.duration(Duration::from_millis(50), Duration::from_secs(5));
        let long = random.duration(Duration::from_millis(500), Duration::from_secs(40));
        match random.below(20) {
            0 | 1 => Fate::BreakToAgent(agent),
            2 => Fate::BreakFromAgent(agent),
            3 => Fate::BreakToScheduler(framework),
            4 => Fate::BreakFromScheduler(framework),
            5 | 6 => Fate::CutAgent(agent, long),
            7 => Fate::RefuseAgent(agent, long),
            8 => Fate::CutScheduler(framework, long),
            9 | 10 => Fate::CrashAgent(agent, short),
            11 => Fate::CrashAgent(agent, long),
            12 => Fate::CrashScheduler(framework, short),
            13 | 14 => Fate::KillExecutor(agent),
            15 => Fate::RebootAgent(agent, long),
            16..=18 => Fate::Operate,
            _ if self.master_dies => Fate::CrashMaster(short),
            _ => Fate::BreakToAgent(agent),
        }
    }
}

fn index(drawn: u64) -> usize {
    usize::try_from(drawn).unwrap_or(0)
}
