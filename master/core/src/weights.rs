//! Weights of roles: asked for, stored, ranked by.
//!
//! Source: shared facts, `operator_calls.tsv`, `endpoints.tsv`.

use std::collections::BTreeMap;

use mesos::ids::OfferId;
use mesos_proto::v0::mesos::WeightInfo;
use mesos_registrar::{Operation, Registry};

use crate::effect::{Effect, Reply};
use crate::input::RequestId;
use crate::master::{Master, Pending};
use crate::quota::plays;

/// Weights by role.
pub type Weights = BTreeMap<String, f64>;

impl Master {
    /// An operator sets weights of roles, all or none. Of a role that is named twice the last weight counts.
    pub(crate) fn ask_weights(&mut self, request: RequestId, asked: &[WeightInfo]) {
        match self.weight_changes(asked) {
            Ok(weights) => {
                let operation = Operation::UpdateWeights(to_infos(&weights));
                self.store(vec![operation], Pending::Weights { weights, request });
            }
            Err(reply) => self.effects.push(Effect::Reply { request, reply }),
        }
    }

    fn weight_changes(&self, asked: &[WeightInfo]) -> Result<Weights, Reply> {
        let mut weights = Weights::new();
        for info in asked {
            let (role, weight) = (info.role().trim(), info.weight());
            mesos::roles::validate(role).map_err(|error| Reply::text(400, error.to_string()))?;
            self.check_usable_role(role)?;
            if !weight.is_finite() || weight <= 0.0 {
                let reason = format!("the weight {weight} of role '{role}' is not above zero");
                return Err(Reply::text(400, reason));
            }
            weights.insert(role.to_owned(), weight);
        }
        Ok(weights)
    }

    /// The registry has the new weights. The allocator knows them before offers come back.
    pub(crate) fn weights_stored(&mut self, weights: &Weights, request: RequestId) {
        self.allocator.update_weights(self.now, weights);
        self.weights
            .extend(weights.iter().map(|(role, weight)| (role.clone(), *weight)));
        let matters = |role: &String| self.frameworks.values().any(|framework| plays(framework, role));
        if weights.keys().any(matters) {
            let offers: Vec<OfferId> = self.offers.keys().cloned().collect();
            for id in offers {
                self.rescind_offer(&id);
            }
        }
        tracing::info!(?weights, "weights updated");
        let reply = Reply::empty(200);
        self.effects.push(Effect::Reply { request, reply });
    }

    /// Takes the registry's weights over. Those of the flag count only while the registry has none.
    pub(crate) fn recover_weights(&mut self, registry: &Registry) {
        let stored = registry.weights.iter();
        self.weights = stored
            .map(|entry| (entry.info.role().to_owned(), entry.info.weight()))
            .collect();
        if self.weights.is_empty() {
            self.weights.clone_from(&self.config.weights);
        } else if !self.config.weights.is_empty() {
            tracing::warn!("the registry has weights, those of --weights are ignored");
        }
        self.allocator.update_weights(self.now, &self.weights);
    }
}

/// Weights as the registry keeps them and operators read them.
pub fn to_infos(weights: &Weights) -> Vec<WeightInfo> {
    let info = |(role, weight): (&String, &f64)| {
        let mut info = WeightInfo::new();
        info.set_role(role.clone());
        info.set_weight(*weight);
        info
    };
    weights.iter().map(info).collect()
}
