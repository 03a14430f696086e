//! Agents that register for the first time.
//!
//! An agent is told its id only after the registry has it. Source: shared facts, `messages_flow.tsv`
//! (RegisterSlaveMessage), `pitfalls.md` D12, D30.

use std::collections::{BTreeMap, BTreeSet};

use libprocess_types::Upid;
use mesos::capabilities::AgentCapabilities;
use mesos::ids::AgentId;
use mesos::resources::ResourceError;
use mesos::resources::format::HasResources;
use mesos::validation::agent::{AgentError, validate_registration};
use mesos::version::{MINIMUM_AGENT_VERSION, Version};
use mesos_proto::internal::wire::messages::{MasterSlaveConnection, RegisterSlaveMessage, SlaveRegisteredMessage};
use mesos_proto::v0::mesos::{Resource, SlaveInfo, UUID, slave_info};
use mesos_registrar::{Operation, OperationError, Outcome};
use thiserror::Error;

use crate::Resources;
use crate::effect::{Change, Effect};
use crate::error_text::with_causes;
use crate::master::{Master, Pending};
use crate::model::{Agent, AgentConnection, RecentIds};
use crate::operations::REMEMBERED_ACKNOWLEDGEMENTS;

/// Why an agent is not registered. It gets no answer and tries again.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum RegistrationError {
    #[error("version '{0}' of the agent is not a version")]
    BadVersion(String),
    #[error("version {0} of the agent is older than the oldest supported one, {MINIMUM_AGENT_VERSION}")]
    OldVersion(String),
    #[error("the agent's resources are invalid: {0}")]
    Resources(ResourceError),
    #[error("the registration contradicts itself")]
    Report(#[from] AgentError),
    #[error("the agent lacks an id")]
    NoId,
    #[error("the agent has a domain, but this master has none")]
    DomainWithoutMasterDomain,
    #[error("the agent has no domain, but this master requires one (--require_agent_domain)")]
    DomainRequired,
}

/// What an agent tells of itself in both kinds of registration, checked.
pub(crate) struct AgentDescription {
    pub(crate) info: SlaveInfo,
    pub(crate) version: String,
    pub(crate) capabilities: AgentCapabilities,
    pub(crate) checkpointed: Resources,
    pub(crate) total: Resources,
    pub(crate) resource_version: Option<UUID>,
}

impl Master {
    /// An agent without an id asks to be registered.
    pub(crate) fn register_agent(&mut self, from: &Upid, mut message: RegisterSlaveMessage) {
        self.count("master/messages_register_slave");
        if self.registering.contains(from) {
            tracing::debug!(upid = %from, "registration is already on its way, ignored");
            return;
        }
        let checked = validate_registration(&message).map_err(RegistrationError::from);
        if let Err(error) = checked.and_then(|()| self.check_description(&message.slave, message.version())) {
            let error = with_causes(&error);
            tracing::warn!(upid = %from, %error, "registration refused");
            return;
        }
        if self.refuse_down_machine(from, message.slave.hostname()) {
            return;
        }
        message.upgrade_resources();
        if let Some(agent) = self.agent_at(from) {
            let (agent_id, connected) = (agent.id.clone(), agent.is_connected());
            if connected {
                tracing::info!(%agent_id, upid = %from, "registration repeated, acknowledged again");
                return self.acknowledge_registration(&agent_id);
            }
            self.remove_agent(
                &agent_id,
                "a new agent registered at the same address",
                Some("master/slave_removals/reason_registered"),
            );
        }
        let agent_id = AgentId::numbered(&self.id, self.next_agent);
        self.next_agent += 1;
        let info = message.slave.mut_or_insert_default();
        info.id = Some(agent_id.to_proto()).into();
        tracing::info!(%agent_id, upid = %from, hostname = info.hostname(), "admitting agent");
        let operation = Operation::AdmitAgent(Box::new(stored_form(info)));
        self.registering.insert(from.clone());
        self.store(
            vec![operation],
            Pending::Admit {
                upid: from.clone(),
                message: Box::new(message),
            },
        );
    }

    /// The registry has the agent now, or refused it.
    pub(crate) fn agent_admitted(
        &mut self,
        upid: &Upid,
        message: RegisterSlaveMessage,
        outcome: &Result<Outcome, OperationError>,
    ) {
        self.registering.remove(upid);
        if let Err(error) = outcome {
            tracing::warn!(%upid, %error, "agent not admitted");
            return;
        }
        let Ok(description) = describe(
            message.slave.unwrap_or_default(),
            message.version.unwrap_or_default(),
            &message.agent_capabilities,
            &message.checkpointed_resources,
            message.resource_version_uuid.into_option(),
        ) else {
            return;
        };
        let agent_id = AgentId::from(&*description.info.id);
        self.count("master/slave_registrations");
        self.add_agent(upid, description, None);
        let used = BTreeMap::new();
        self.offer_agent(&agent_id, &used);
        self.acknowledge_registration(&agent_id);
        self.leave_down_machine(&agent_id);
    }

    fn acknowledge_registration(&mut self, agent_id: &AgentId) {
        let Some(upid) = self.agents.get(agent_id).map(|agent| agent.upid.clone()) else {
            return;
        };
        let mut message = SlaveRegisteredMessage::new();
        message.slave_id = Some(agent_id.to_proto()).into();
        message.connection = Some(self.connection_info()).into();
        self.send(&upid, message);
    }

    /// The time without pings after which an agent looks for the master anew.
    pub(crate) fn connection_info(&self) -> MasterSlaveConnection {
        let mut connection = MasterSlaveConnection::new();
        connection.set_total_ping_timeout_seconds(self.config.total_ping_timeout().as_secs_f64());
        connection
    }

    /// Rules for agents of both kinds of registration.
    pub(crate) fn check_description(&self, info: &SlaveInfo, version: &str) -> Result<(), RegistrationError> {
        let parsed: Version = version
            .parse()
            .map_err(|_| RegistrationError::BadVersion(version.to_owned()))?;
        if parsed < MINIMUM_AGENT_VERSION {
            return Err(RegistrationError::OldVersion(version.to_owned()));
        }
        let domain = info.domain.is_some();
        if domain && self.config.info.domain.is_none() {
            return Err(RegistrationError::DomainWithoutMasterDomain);
        }
        if !domain && self.config.require_agent_domain {
            return Err(RegistrationError::DomainRequired);
        }
        Ok(())
    }

    /// Adds an agent to the model and begins to watch it; the allocator hears of it through [`Master::offer_agent`],
    /// once what runs there is known.
    pub(crate) fn add_agent(&mut self, upid: &Upid, description: AgentDescription, reregistered: Option<()>) {
        let id = AgentId::from(&*description.info.id);
        let observer = self.start_observer();
        let agent = Agent {
            id: id.clone(),
            upid: upid.clone(),
            version: description.version,
            capabilities: description.capabilities,
            connection: AgentConnection::Connected,
            active: true,
            registered_time: self.now,
            reregistered_time: reregistered.map(|()| self.now),
            total: description.total,
            checkpointed: description.checkpointed,
            oversubscribed: Resources::new(),
            resource_version: description.resource_version,
            used: BTreeMap::new(),
            tasks: BTreeMap::new(),
            executors: BTreeMap::new(),
            doubtful_executors: BTreeMap::new(),
            offers: BTreeSet::new(),
            killed_tasks: BTreeMap::new(),
            operations: BTreeMap::new(),
            acknowledged_operations: RecentIds::new(REMEMBERED_ACKNOWLEDGEMENTS),
            undone: Vec::new(),
            resource_providers: BTreeMap::new(),
            observer,
            missed_pings: 0,
            awaits_pong: false,
            info: description.info,
        };
        self.removed_agents.remove(&id);
        self.agent_upids.insert(upid.clone(), id.clone());
        self.observers.insert(observer, id.clone());
        self.agents.insert(id.clone(), agent);
        self.effects.push(Effect::Link(upid.clone()));
        self.ping(observer);
        self.publish(Change::AgentAdded(id));
    }

    /// Hands an agent to the allocator with what frameworks hold there.
    pub(crate) fn offer_agent(&mut self, id: &AgentId, used: &BTreeMap<mesos::ids::FrameworkId, Resources>) {
        let Some(agent) = self.agents.get(id) else { return };
        let info = self.machines.allocator_info(agent);
        self.allocator.add_agent(self.now, id, info, &agent.total, used);
    }

    pub(crate) fn agent_at(&self, upid: &Upid) -> Option<&Agent> {
        self.agents.get(self.agent_upids.get(upid)?)
    }
}

/// Reads what was checked before by [`Master::check_description`].
pub(crate) fn describe(
    info: SlaveInfo,
    version: String,
    capabilities: &[slave_info::Capability],
    checkpointed: &[Resource],
    resource_version: Option<UUID>,
) -> Result<AgentDescription, RegistrationError> {
    let checkpointed = Resources::from_protobuf(checkpointed).map_err(RegistrationError::Resources)?;
    let plain = Resources::from_protobuf(&info.resources).map_err(RegistrationError::Resources)?;
    let total = with_checkpointed(&plain, &checkpointed);
    Ok(AgentDescription {
        capabilities: AgentCapabilities::from_proto(capabilities),
        info,
        version,
        checkpointed,
        total,
        resource_version,
    })
}

/// Puts checkpointed reservations and volumes in the place of the resources that they were made of. Ones that do not
/// fit any more (the agent shrank) are left out.
pub(crate) fn with_checkpointed(plain: &Resources, checkpointed: &Resources) -> Resources {
    let (total, misfits) = plain.with_checkpointed(checkpointed);
    if !misfits.is_empty() {
        tracing::warn!(resources = %misfits, "checkpointed resources do not fit the agent, left out");
    }
    total
}

/// The description as the registry stores it: in the older resource format when that can express it.
pub(crate) fn stored_form(info: &SlaveInfo) -> SlaveInfo {
    let mut stored = info.clone();
    if stored.downgrade_resources().is_err() {
        tracing::debug!("the agent has refined reservations, stored in the newer format");
    }
    stored
}
