//! What agents report: their oversubscribed resources, the version of their resources, their resource providers, their
//! operations.
//!
//! Source: shared facts, `messages_flow.tsv` (UpdateSlaveMessage).

use std::collections::BTreeSet;

use mesos::ids::{AgentId, ResourceProviderId};
use mesos::resources::format::HasResources;
use mesos::resources::{Resource, ResourceError, Resources};
use mesos_proto::internal::wire::messages::UpdateSlaveMessage;
use mesos_proto::internal::wire::messages::update_slave_message::ResourceProviders;
use mesos_proto::v0::mesos as proto;

use super::agent::is_provided;
use super::state::is_terminal;
use crate::effect::Change;
use crate::master::Master;
use crate::model::{Claim, OperationUuid, ResourceProvider};

/// A report, read.
struct Report {
    oversubscribed: Option<Resources>,
    /// Absent when the agent says nothing of its resource providers.
    providers: Option<Vec<ResourceProvider>>,
    operations: Vec<proto::Operation>,
}

impl Report {
    fn read(message: &mut UpdateSlaveMessage) -> Result<Self, ResourceError> {
        message.upgrade_resources();
        // Agents before 1.5 do not set the field and always tell.
        let tells = !message.has_update_oversubscribed_resources() || message.update_oversubscribed_resources();
        let oversubscribed = Resources::from_protobuf(&message.oversubscribed_resources)?;
        let mut operations = std::mem::take(&mut message.operations.mut_or_insert_default().operations);
        let providers = match message.resource_providers.take() {
            Some(providers) => Some(read_providers(providers, &mut operations)?),
            None => None,
        };
        Ok(Self {
            oversubscribed: tells.then_some(oversubscribed),
            providers,
            operations,
        })
    }
}

fn read_providers(
    message: ResourceProviders,
    operations: &mut Vec<proto::Operation>,
) -> Result<Vec<ResourceProvider>, ResourceError> {
    let mut providers = Vec::new();
    for mut provider in message.providers {
        operations.append(&mut provider.operations.mut_or_insert_default().operations);
        let info = provider.info.unwrap_or_default();
        providers.push(ResourceProvider {
            id: ResourceProviderId::from(&*info.id),
            info,
            total: Resources::from_protobuf(&provider.total_resources)?,
            resource_version: provider.resource_version_uuid.unwrap_or_default(),
        });
    }
    Ok(providers)
}

impl Master {
    /// An agent reports what changed, after each registration and whenever something did.
    pub(crate) fn update_agent(&mut self, mut message: UpdateSlaveMessage) {
        self.count("master/messages_update_slave");
        let id = AgentId::from(&*message.slave_id);
        let report = match Report::read(&mut message) {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(agent_id = %id, %error, "update of an agent with invalid resources dropped");
                return;
            }
        };
        let Some(agent) = self.agents.get_mut(&id) else {
            tracing::warn!(agent_id = %id, "update of an unknown agent ignored");
            return;
        };
        agent.take_version(message.resource_version_uuid.take());
        let before = agent.total.clone();
        let mut stale: Vec<fn(&Resource) -> bool> = Vec::new();
        if let Some(oversubscribed) = report.oversubscribed.filter(|told| *told != agent.oversubscribed) {
            agent.total.subtract_available(&agent.oversubscribed.clone());
            agent.total += &oversubscribed;
            agent.oversubscribed = oversubscribed;
            stale.push(Resource::is_revocable);
        }
        if let Some(providers) = report.providers
            && self.update_providers(&id, providers, &report.operations)
        {
            stale.push(is_provided);
        }
        let changed = self.agents.get(&id).is_some_and(|agent| agent.total != before);
        if changed || !stale.is_empty() {
            self.tell_allocator_total(&id);
            self.rescind_stale_offers(&id, &stale);
            self.publish(Change::AgentUpdated(id.clone()));
        }
        self.compare_operations(&id, report.operations);
    }

    fn rescind_stale_offers(&mut self, id: &AgentId, stale: &[fn(&Resource) -> bool]) {
        let offers = self.agents.get(id).into_iter().flat_map(|agent| &agent.offers);
        let is_stale = |resource: &Resource| stale.iter().any(|stale| stale(resource));
        let offers: Vec<_> = offers
            .filter(|id| {
                let offer = self.offers.get(*id);
                offer.is_some_and(|offer| offer.resources.iter().any(is_stale))
            })
            .cloned()
            .collect();
        for offer in offers {
            self.rescind_offer(&offer);
        }
    }

    /// Takes over the resource providers that an agent hosts; whether something changed.
    fn update_providers(
        &mut self,
        id: &AgentId,
        providers: Vec<ResourceProvider>,
        operations: &[proto::Operation],
    ) -> bool {
        let Some(agent) = self.agents.get_mut(id) else {
            return false;
        };
        let named: BTreeSet<ResourceProviderId> = providers.iter().map(|provider| provider.id.clone()).collect();
        let known = agent.resource_providers.keys();
        let vanished: Vec<ResourceProviderId> = known.filter(|id| !named.contains(*id)).cloned().collect();
        let mut changed = !vanished.is_empty();
        for provider in vanished {
            self.drop_provider(id, &provider);
        }
        for provider in providers {
            let Some(agent) = self.agents.get_mut(id) else { break };
            if agent.resource_providers.get(&provider.id) == Some(&provider) {
                continue;
            }
            changed = true;
            self.end_reported_operations(id, &provider.id, operations);
            self.replace_provider(id, provider);
        }
        changed
    }

    /// Operations that the provider knows to have ended: what it has now has their outcome in it already.
    fn end_reported_operations(&mut self, id: &AgentId, provider: &ResourceProviderId, reported: &[proto::Operation]) {
        for operation in reported
            .iter()
            .filter(|operation| is_terminal(operation.latest_status.state()))
        {
            let uuid = OperationUuid::from(&*operation.uuid);
            let known = self.agents.get(id).and_then(|agent| agent.operations.get(&uuid));
            if known.is_some_and(|known| known.provider_id.as_ref() == Some(provider)) {
                self.take_status(id, &uuid, (*operation.latest_status).clone(), None);
            }
        }
    }

    fn replace_provider(&mut self, id: &AgentId, provider: ResourceProvider) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let provided = agent.total.of_provider(provider.id.as_str());
        agent.total -= &provided;
        agent.total += &provider.total;
        for operation in agent.operations.values_mut() {
            if operation.provider_id.as_ref() != Some(&provider.id) {
                continue;
            }
            match &operation.claim {
                Claim::Withheld(resources) => agent.total -= &resources.unallocate(),
                // The provider has told what it has: nothing is taken on trust any more.
                Claim::Speculated(_) => operation.claim = Claim::Nothing,
                Claim::Held(_) | Claim::Nothing => {}
            }
        }
        agent.resource_providers.insert(provider.id.clone(), provider);
    }

    /// A resource provider is no longer there: nor are its resources, nor its operations.
    fn drop_provider(&mut self, id: &AgentId, provider: &ResourceProviderId) {
        tracing::info!(agent_id = %id, %provider, "resource provider vanished");
        let Some(agent) = self.agents.get_mut(id) else { return };
        let own = agent.operations.values();
        let own = own.filter(|operation| operation.provider_id.as_ref() == Some(provider));
        let uuids: Vec<OperationUuid> = own.map(|operation| operation.uuid.clone()).collect();
        for uuid in uuids {
            if let Some(operation) = self.forget_operation(id, &uuid)
                && let (Claim::Held(resources), Some(framework_id)) = (operation.claim, operation.framework_id)
            {
                self.release_allocated(id, &framework_id, &resources);
            }
        }
        if let Some(agent) = self.agents.get_mut(id) {
            let provided = agent.total.of_provider(provider.as_str());
            agent.total -= &provided;
            agent.resource_providers.remove(provider);
        }
    }
}
