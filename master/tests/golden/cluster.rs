//! A master in this program with an agent, frameworks and tasks that exist only as messages.

use libprocess::{Node, NodeConfig, Process, ProcessId, Upid};
use mesos::Message;
use mesos::flags::{Flags, Outcome};
use mesos_master::RunningMaster;
use mesos_master_core::{Input, MaintenanceChange, MasterTimer, OperatorCall, OperatorRequest, RequestId};
use protobuf::MessageFull;
use serde_json::{Value, json};

/// A process that takes everything and answers nothing: links to it hold.
struct Quiet;

impl Process for Quiet {}

/// The master and the addresses of its peers.
pub struct Cluster {
    pub master: RunningMaster,
    peers: Node,
    agent: Upid,
}

/// The master's flags in a test.
fn flags() -> Flags {
    let arguments = [
        "--ip=127.0.0.1",
        "--port=0",
        "--registry=in_memory",
        "--work_dir=/nonexistent",
    ];
    let weights = "--weights=prod/web=3,w1=2.5";
    let arguments = arguments.into_iter().chain([weights]).map(Into::into);
    match mesos::flags::master::FLAGS.read(arguments, []).expect("valid flags") {
        Outcome::Run(flags) => flags,
        Outcome::Help(_) | Outcome::Version => panic!("nobody asked"),
    }
}

impl Cluster {
    /// A master alone.
    pub async fn start() -> Self {
        let mut config = NodeConfig::loopback();
        config.metrics_rate_limit = None;
        let master = mesos_master::start(&flags(), config).await.expect("a master");
        let peers = Node::start(NodeConfig::loopback()).await.expect("a node");
        let agent = Self::quiet(&peers, "slave(1)");
        Self { master, peers, agent }
    }

    fn quiet(peers: &Node, id: &str) -> Upid {
        peers.spawn(ProcessId::Exact(id), || Quiet).pid().clone()
    }

    /// Applies an input to the master.
    async fn apply(&self, input: Input) {
        let applied = self
            .master
            .process()
            .call(move |master, context| master.apply(input, context));
        applied.await.expect("the master lives");
    }

    async fn receive<M: MessageFull + Into<Message>>(&self, from: &Upid, message: Value) {
        let message: M = mesos::json::from_value(&message).expect("a message");
        let input = Input::Message {
            from: from.clone(),
            message: message.into(),
        };
        self.apply(input).await;
    }

    async fn call(&self, from: &Upid, call: Value) {
        self.receive::<mesos_proto::v0::scheduler::Call>(from, call).await;
    }

    /// Adds an agent.
    pub async fn register(&self) {
        self.receive::<mesos_proto::internal::wire::messages::RegisterSlaveMessage>(&self.agent, registration())
            .await;
    }

    /// Adds an agent, two frameworks with tasks and one that has ended.
    pub async fn populate(&self) {
        self.register().await;
        let first = self.subscribe("scheduler-1", json!({"user": "root", "name": "first", "principal": "test", "hostname": "h",
            "checkpoint": true, "roles": ["prod/web"], "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]})).await;
        self.launch(&first, vec![full_task(), executor_task(&first.1), small_task("done")])
            .await;
        self.update(&first, "full", "TASK_RUNNING", 1).await;
        self.update(&first, "custom", "TASK_RUNNING", 2).await;
        self.update(&first, "done", "TASK_FINISHED", 3).await;
        let acknowledge = json!({"slave_id": self.agent_id().await, "task_id": {"value": "done"}, "uuid": uuid(3)});
        self.call(
            &first.0,
            json!({"type": "ACKNOWLEDGE", "framework_id": {"value": first.1}, "acknowledge": acknowledge}),
        )
        .await;
        let second = self
            .subscribe(
                "scheduler-2",
                json!({"user": "root", "name": "second", "capabilities": [{"type": "PARTITION_AWARE"}]}),
            )
            .await;
        self.launch(&second, vec![small_task("plain")]).await;
        let third = self.subscribe("scheduler-3", json!({"user": "root", "name": "third", "principal": "test", "capabilities": [{"type": "PARTITION_AWARE"}]})).await;
        self.call(
            &third.0,
            json!({"type": "TEARDOWN", "framework_id": {"value": third.1}}),
        )
        .await;
    }

    async fn agent_id(&self) -> Value {
        json!({"value": self.agent_id_text().await})
    }

    /// Id of the agent.
    pub async fn agent_id_text(&self) -> String {
        let id = self
            .master
            .process()
            .call(|master, _| master.core().agents().keys().next().map(ToString::to_string));
        id.await.expect("the master lives").expect("an agent")
    }

    /// Puts two machines into the maintenance schedule and takes one of them down, as in the recordings.
    pub async fn schedule_maintenance(&self) {
        let schedule = json!({"windows": [{"machine_ids": [{"hostname": "m1", "ip": "10.0.0.1"}, {"hostname": "m2"}],
            "unavailability": {"start": {"nanoseconds": 1_900_000_000_000_000_000_i64}, "duration": {"nanoseconds": 3_600_000_000_000_i64}}}]});
        let schedule: mesos_proto::v0::maintenance::Schedule = mesos::json::from_value(&schedule).expect("a schedule");
        let down: mesos_proto::v0::mesos::MachineID =
            mesos::json::from_value(&json!({"hostname": "m2"})).expect("an id");
        for (number, change) in [
            MaintenanceChange::Schedule(Box::new(schedule)),
            MaintenanceChange::Start(vec![down]),
        ]
        .into_iter()
        .enumerate()
        {
            let request = OperatorRequest {
                request: RequestId(u64::MAX - number as u64),
                principal: None,
                call: OperatorCall::Maintenance(change),
            };
            self.apply(Input::Operator(Box::new(request))).await;
        }
    }

    /// Subscribes a scheduler and gives its address and id.
    async fn subscribe(&self, id: &str, info: Value) -> (Upid, String) {
        let name = info["name"].as_str().expect("a name").to_owned();
        let scheduler = Self::quiet(&self.peers, id);
        self.call(
            &scheduler,
            json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}),
        )
        .await;
        let found = self.master.process().call(move |master, _| {
            let mut frameworks = master.core().frameworks().values();
            frameworks
                .find(|framework| framework.info().name() == name)
                .map(|framework| framework.id().to_string())
        });
        (scheduler, found.await.expect("the master lives").expect("subscribed"))
    }

    /// Launches tasks with the offers that a framework has.
    async fn launch(&self, framework: &(Upid, String), mut tasks: Vec<Value>) {
        self.apply(Input::Timer(MasterTimer::AllocationRound)).await;
        let id = framework.1.clone();
        let offers = self.master.process().call(move |master, _| {
            let offers = master.core().offers().values();
            let own = offers.filter(|offer| offer.framework_id().as_str() == id);
            own.map(|offer| json!({"value": offer.id().to_string()}))
                .collect::<Vec<_>>()
        });
        let offers = offers.await.expect("the master lives");
        assert!(!offers.is_empty(), "nothing is offered");
        let agent_id = self.agent_id().await;
        tasks.iter_mut().for_each(|task| task["slave_id"] = agent_id.clone());
        let accept = json!({"offer_ids": offers, "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
            "filters": {"refuse_seconds": 1000.0}});
        self.call(
            &framework.0,
            json!({"type": "ACCEPT", "framework_id": {"value": framework.1}, "accept": accept}),
        )
        .await;
        self.call(
            &framework.0,
            json!({"type": "SUPPRESS", "framework_id": {"value": framework.1}}),
        )
        .await;
    }

    /// Lets the agent report a task's state.
    async fn update(&self, framework: &(Upid, String), task: &str, state: &str, number: u8) {
        let agent_id = self.agent_id().await;
        let mut status = json!({"task_id": {"value": task}, "slave_id": agent_id, "state": state, "timestamp": 1.5, "uuid": uuid(number),
            "source": "SOURCE_EXECUTOR", "executor_id": {"value": "e"},
            "container_status": {"container_id": {"value": "c"}, "executor_pid": 1, "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}]}});
        if state == "TASK_RUNNING" {
            status["healthy"] = json!(true);
        }
        let update = json!({"framework_id": {"value": framework.1}, "slave_id": agent_id, "status": status, "timestamp": 1.5, "uuid": uuid(number), "latest_state": state});
        let message = json!({"update": update, "pid": self.agent.to_string()});
        self.receive::<mesos_proto::internal::wire::messages::StatusUpdateMessage>(&self.agent, message)
            .await;
    }

    /// Ends everything.
    pub async fn stop(self) {
        self.master.stop().await;
        self.peers.stop().await;
    }
}

/// Sixteen bytes as base64.
fn uuid(number: u8) -> String {
    format!("AAAAAAAAAAAAAAAAAAAA{}A==", char::from(b'A' + number))
}

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

fn registration() -> Value {
    let mut reserved = scalar("disk", 256.0);
    reserved["reservations"] = json!([{"type": "STATIC", "role": "ops"}]);
    let ports = json!({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}});
    let kinds = [
        "MULTI_ROLE",
        "HIERARCHICAL_ROLE",
        "RESERVATION_REFINEMENT",
        "RESOURCE_PROVIDER",
        "RESIZE_VOLUME",
        "AGENT_OPERATION_FEEDBACK",
        "AGENT_DRAINING",
        "TASK_RESOURCE_LIMITS",
    ];
    let capabilities: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    json!({
        "slave": {
            "hostname": "localhost", "port": 15051, "checkpoint": true,
            "resources": [scalar("cpus", 4.0), scalar("mem", 4096.0), scalar("disk", 10000.0), reserved, ports],
            "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}, {"name": "level", "type": "SCALAR", "scalar": {"value": 3.0}},
                {"name": "zones", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 3}]}}],
        },
        "version": "1.11.0", "agent_capabilities": capabilities,
        "resource_version_uuid": {"value": uuid(0)},
    })
}

fn small_task(id: &str) -> Value {
    json!({"name": id, "task_id": {"value": id}, "resources": [scalar("cpus", 0.5), scalar("mem", 64.0)], "command": {"value": "sleep 1"}})
}

fn full_task() -> Value {
    let mut task = small_task("full");
    task["resources"] = json!([scalar("cpus", 0.5), scalar("mem", 64.0), scalar("disk", 32.0),
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31005, "end": 31006}]}}]);
    task["labels"] = json!({"labels": [{"key": "app", "value": "full"}, {"key": "novalue"}]});
    task["discovery"] = json!({"visibility": "FRAMEWORK", "name": "full", "environment": "prod", "location": "here", "version": "v1",
        "ports": {"ports": [{"number": 31005, "name": "http", "protocol": "tcp"}]}});
    task["health_check"] = json!({"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0.0, "interval_seconds": 5.0,
        "timeout_seconds": 5.0, "consecutive_failures": 3, "grace_period_seconds": 5.0});
    task
}

fn executor_task(framework: &str) -> Value {
    let mut task = small_task("custom");
    task.as_object_mut().expect("an object").remove("command");
    task["executor"] = json!({"executor_id": {"value": "e"}, "name": "an executor", "framework_id": {"value": framework},
        "command": {"value": "/bin/executor"}, "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)]});
    task
}
