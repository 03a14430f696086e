//! The law of conservation: what frameworks use, what they are offered and what is free, reserved or not, is all that
//! an agent has, whichever of master and allocator is asked.

use std::collections::BTreeMap;

use mesos::ids::FrameworkId;
use mesos_allocator::api::AgentAccounts;

use crate::Resources;
use crate::master::{InvariantError, Master};
use crate::model::Agent;

impl Master {
    /// Checks the law for every agent and every resource.
    pub(crate) fn check_conservation(&self) -> Result<(), InvariantError> {
        self.agents.values().try_for_each(|agent| self.check_accounts_of(agent))
    }

    fn check_accounts_of(&self, agent: &Agent) -> Result<(), InvariantError> {
        let id = &agent.id;
        let broken = |what: String| Err(InvariantError(format!("agent {id}: {what}")));
        let Some(accounts) = self.allocator.accounts(id) else {
            return broken("the allocator does not know it".to_owned());
        };
        if accounts.total != agent.total {
            return broken(format!("{} in all, {} for the allocator", agent.total, accounts.total));
        }
        let mut held: BTreeMap<FrameworkId, Resources> = BTreeMap::new();
        for (framework, used) in &agent.used {
            *held.entry(framework.clone()).or_default() += &used.unallocate();
        }
        for offer in agent.offers.iter().filter_map(|id| self.offers.get(id)) {
            *held.entry(offer.framework_id.clone()).or_default() += &offer.resources.unallocate();
        }
        held.retain(|_, resources| !resources.is_empty());
        if held != accounts.held {
            let told = &accounts.held;
            return broken(format!("{held:?} are used or offered, {told:?} for the allocator"));
        }
        let AgentAccounts { total, free, .. } = &accounts;
        let mut sum = free.nonshared();
        sum += &held.values().map(Resources::nonshared).sum::<Resources>();
        if accounts.is_intact && sum != total.nonshared() {
            return broken(format!("{sum} are used, offered or free of {total}"));
        }
        Ok(())
    }
}
