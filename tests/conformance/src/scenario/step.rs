//! What a scenario can say: one variant for each kind of line. The README of the folder `tests/conformance` is the
//! description for people.

use std::time::Duration;

use serde_json::Value;

use super::token::Pair;

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Number in its file, from 1.
    pub number: usize,
    /// As it was written, without the lines that continue it.
    pub text: String,
    /// What it says.
    pub step: Step,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `framework F [like G] [key=value …]`: describes a framework.
    Framework {
        /// Name in the scenario, and of the framework unless it says otherwise.
        name: String,
        /// The framework whose description it starts from.
        like: Option<String>,
        /// Its description.
        pairs: Vec<Pair>,
    },
    /// `executor E [key=value …]`: describes an executor for tasks to name.
    Executor {
        /// Name in the scenario and id of the executor.
        name: String,
        /// Its description.
        pairs: Vec<Pair>,
    },
    /// `let NAME VALUE`
    Let {
        /// The name.
        name: String,
        /// The value, with names to be filled in.
        value: Value,
    },
    /// `check VALUE …`
    Check {
        /// What is looked at, with names to be filled in.
        value: Value,
        /// What has to be so.
        claim: Claim,
    },
    /// `F …`: something that a framework does or gets.
    Scheduler {
        /// Name of the framework.
        framework: String,
        /// What it does or gets.
        act: Act,
    },
    /// `t becomes STATE [key=value …]`: skips other updates that are not terminal, and acknowledges all.
    Becomes {
        /// Id of the task.
        task: String,
        /// The state to wait for.
        state: String,
        /// What the update has to say beside.
        pairs: Vec<Pair>,
    },
    /// `operator …`: one HTTP exchange.
    Http {
        /// Whom it asks.
        at: Option<String>,
        /// What it asks.
        request: Request,
        /// What has to come back.
        answer: Expected,
    },
    /// `operator watches as W`: subscribes to the operator event stream.
    Watch {
        /// Name of the stream.
        name: String,
    },
    /// `agent A …` and `master …`
    Process {
        /// Name of the agent; nothing for the master.
        agent: Option<String>,
        /// What happens to it.
        action: Action,
        /// Flags for a start.
        flags: Vec<String>,
    },
    /// `gate G …`: a named pipe between the scenario and its tasks.
    Gate {
        /// Its name; `${G}` is its path.
        name: String,
        /// What happens to it.
        action: GateAction,
    },
    /// `no sooner than TIME: STEP`
    NoSooner {
        /// Least time from the begin of the step before to the end of this one.
        than: Duration,
        /// What has to happen.
        step: Box<Line>,
    },
}

/// What a framework does or gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// `subscribes [key=value …]`: changes its description, subscribes and is confirmed.
    Subscribes {
        /// Changes of the description.
        pairs: Vec<Pair>,
    },
    /// `is refused [key=value …] [CODE] ["text" …]`: by an ERROR event, or by the answer when a code is given.
    Refused {
        /// Changes of the description.
        pairs: Vec<Pair>,
        /// Status of the answer.
        status: Option<u16>,
        /// What is told.
        texts: Vec<String>,
    },
    /// `disconnects`: cuts its stream.
    Disconnects,
    /// `loses its stream`: the master closes it.
    LosesStream,
    /// `gets offer O [from A] [condition …]`
    Offer {
        /// Name for the offer.
        name: String,
        /// The agent that it has to be from.
        agent: Option<String>,
        /// Amounts of resources, or fields of the offer.
        pairs: Vec<Pair>,
        /// A pattern for the offer.
        pattern: Option<Value>,
        /// Whether other offers are declined meanwhile, for no time (`waits for offer`).
        declining: bool,
    },
    /// `gets EVENT [as X] [{pattern}]`
    Event {
        /// Which, as `RESCIND`.
        kind: String,
        /// Name for its contents.
        name: Option<String>,
        /// What the contents have to fit.
        pattern: Option<Value>,
    },
    /// `gets no EVENT [{pattern}] until STEP`
    NoEvent {
        /// Which; `OFFER` is a part of `OFFERS`.
        kind: String,
        /// Which of these.
        pattern: Option<Value>,
        /// The event that proves that the time has passed.
        until: Box<Line>,
    },
    /// `accepts O [P …] [for TIME] [answers CODE]:` and a block of operations.
    Accepts {
        /// Names of the offers.
        offers: Vec<String>,
        /// How long what is left over is refused.
        refuse: Option<Duration>,
        /// What is done with them.
        operations: Vec<Operation>,
    },
    /// `declines O [for TIME]`
    Declines {
        /// Names of the offers.
        offers: Vec<String>,
        /// How long; nothing leaves the filter out.
        refuse: Option<Duration>,
    },
    /// `calls TYPE [{payload}] [header="…"] [answers CODE] ["text" …]`: 202 unless it says otherwise.
    Calls {
        /// Type of the call.
        kind: String,
        /// Contents of the field that has the type's name.
        payload: Option<Value>,
        /// Header lines beside the usual ones.
        headers: Vec<String>,
        /// What has to come back.
        answer: Expected,
    },
    /// `kills t [on A] [after TIME]`
    Kills {
        /// Id of the task.
        task: String,
        /// A grace period for this kill.
        grace: Option<Duration>,
    },
    /// `reconciles t …` or `reconciles everything`
    Reconciles {
        /// Ids of the tasks; none means all.
        tasks: Vec<String>,
    },
    /// `revives [role …]`
    Revives {
        /// Some of its roles.
        roles: Vec<String>,
    },
    /// `suppresses [role …]`
    Suppresses {
        /// Some of its roles.
        roles: Vec<String>,
    },
    /// `tears down`
    TearsDown,
    /// `updates key=value … [answers CODE] ["text" …]`: UPDATE_FRAMEWORK; 200 unless it says otherwise.
    Updates {
        /// Changes of the description.
        pairs: Vec<Pair>,
        /// What has to come back.
        answer: Expected,
    },
    /// `sees t STATE [key=value …] [unacknowledged]`: the next update of this task has to be this one.
    Sees {
        /// Id of the task or the operation.
        id: String,
        /// Whether it is an operation.
        operation: bool,
        /// Its state.
        state: String,
        /// What the update has to say beside.
        pairs: Vec<Pair>,
        /// Whether it is acknowledged at once.
        acknowledge: bool,
    },
    /// `acknowledges t`: the last update seen of it.
    Acknowledges {
        /// Id of the task.
        task: String,
    },
}

/// One operation on offers.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `launch t key=value …`, and one `and t key=value …` for each further task.
    Launch(Vec<Task>),
    /// `launch group E`, and one `and t key=value …` for each task.
    LaunchGroup {
        /// Name of the executor.
        executor: String,
        /// Its tasks.
        tasks: Vec<Task>,
    },
    /// `reserve|unreserve|create|destroy resources [id=X]`
    Resources {
        /// The word.
        kind: ResourceOperation,
        /// Resources, and an id for feedback.
        pairs: Vec<Pair>,
    },
    /// `operation {…}`: as it is.
    Raw(Value),
}

/// Operations that need nothing but resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceOperation {
    /// RESERVE
    Reserve,
    /// UNRESERVE
    Unreserve,
    /// CREATE
    Create,
    /// DESTROY
    Destroy,
}

/// A task to launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Resources, command, and whatever else a task's description has.
    pub pairs: Vec<Pair>,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// GET, POST, …
    pub method: String,
    /// Path with query.
    pub path: String,
    /// JSON or text.
    pub body: Option<Value>,
    /// Lines beside the usual ones, or instead of them; `Name:` alone leaves one out.
    pub headers: Vec<String>,
}

/// What an answer has to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// Its status.
    pub status: Option<u16>,
    /// What its body has to fit.
    pub pattern: Option<Value>,
    /// What its body has to contain.
    pub texts: Vec<String>,
    /// What its header lines have to be.
    pub headers: Vec<Pair>,
    /// Name for its body.
    pub name: Option<String>,
}

/// What has to be so of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// `has {pattern}`
    Fits(Value),
    /// `has no {pattern}`: neither the value nor an element of it fits.
    FitsNot(Value),
    /// `has cpus=1 …`: amounts in a list of resources, or fields.
    Has(Vec<Pair>),
    /// `is VALUE`
    Is(Value),
    /// `is not VALUE`
    IsNot(Value),
}

/// What can happen to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Starts, and an agent registers.
    Starts,
    /// Starts, without a wait for the registration.
    Launches,
    /// Is killed.
    Crashes,
    /// Is killed, starts again, and an agent registers again.
    Restarts,
    /// Is not scheduled any more (SIGSTOP).
    Freezes,
    /// Is scheduled again (SIGCONT).
    Thaws,
    /// Is asked to end (SIGTERM), and ends.
    Stops,
    /// Is asked to leave the cluster (SIGUSR1), and ends.
    Leaves,
    /// Ends with an error by itself when it is started again.
    FailsToRestart,
}

/// What can happen to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateAction {
    /// `gate G`: makes it.
    Make,
    /// `gate G opens`: lets the reader go on; waits for one.
    Open,
    /// `gate G is passed`: waits until somebody wrote a line.
    Passed,
    /// `gate G is held`: waits until somebody holds it open for writing.
    Held,
    /// `gate G is left`: waits until nobody holds it open for writing any more.
    Left,
}
