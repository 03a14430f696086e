//! Operators: they set quota and weights while everything else goes on.

use libprocess::{Random, SeededRandom};
use mesos_master_core::OperatorCall;
use mesos_proto::v0::mesos::WeightInfo;
use mesos_proto::v0::mesos::value::Scalar;
use mesos_proto::v0::quota::QuotaConfig;

/// The role that operators care for; the frameworks of `build` share the cluster with it.
const ROLE: &str = "web";

/// What an operator asks for next.
#[must_use]
pub fn draw(random: &mut SeededRandom) -> OperatorCall {
    match random.below(4) {
        0 => {
            let mut weight = WeightInfo::new();
            weight.set_role(ROLE.to_owned());
            weight.set_weight(whole(1 + random.below(4)));
            OperatorCall::UpdateWeights(vec![weight])
        }
        1 => OperatorCall::UpdateQuota {
            configs: vec![quota_of(None, None)],
            force: false,
        },
        _ => {
            let limit = 1 + random.below(12);
            let guarantee = random.chance(500_000).then(|| random.below(limit + 1));
            let limit = random.chance(700_000).then_some(limit);
            OperatorCall::UpdateQuota {
                configs: vec![quota_of(guarantee, limit)],
                force: random.chance(500_000),
            }
        }
    }
}

/// Quota in processors; one that says nothing takes the role's quota away.
fn quota_of(guarantee: Option<u64>, limit: Option<u64>) -> QuotaConfig {
    let mut config = QuotaConfig::new();
    config.set_role(ROLE.to_owned());
    for (quantity, of) in [(guarantee, &mut config.guarantees), (limit, &mut config.limits)] {
        if let Some(quantity) = quantity {
            let mut scalar = Scalar::new();
            scalar.set_value(whole(quantity));
            of.insert("cpus".to_owned(), scalar);
        }
    }
    config
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
const fn whole(number: u64) -> f64 {
    number as f64
}
