//! Answers made of the core's state.

use libprocess::Time;
use mesos::resources::{Resource, ResourceValue};
use mesos_master_core::{Agent, Framework, Master, Resources};
use mesos_proto::v0::master::Response;
use mesos_proto::v0::master::call::Type;
use mesos_proto::v0::master::response::get_agents::Agent as AgentAnswer;
use mesos_proto::v0::master::response::get_agents::agent::ResourceProvider as ProviderAnswer;
use mesos_proto::v0::master::response::get_executors::Executor;
use mesos_proto::v0::master::response::get_frameworks::Framework as FrameworkAnswer;
use mesos_proto::v0::master::response::{
    GetAgents, GetExecutors, GetFlags, GetFrameworks, GetRoles, GetState, GetTasks, GetVersion, GetWeights,
    Type as AnswerType,
};
use mesos_proto::v0::mesos::{Flag, Role, SlaveInfo, TimeInfo, VersionInfo, WeightInfo};
use mesos_proto::v0::quota::QuotaStatus;
use mesos_proto::v0::scheduler::OfferConstraints;
use protobuf::MessageField;

use crate::http::quota;
use crate::http::render::resources::endpoint_form;
use crate::http::render::{Identity, View, agent};
use crate::http::roles;

/// The answer to a question about the state; nothing for calls that are no such question.
#[must_use]
pub fn answer(kind: Type, view: &View<'_>, identity: &Identity) -> Option<Response> {
    let mut response = Response::new();
    let answered = match kind {
        Type::GET_HEALTH => {
            response.get_health.mut_or_insert_default().set_healthy(true);
            AnswerType::GET_HEALTH
        }
        Type::GET_FLAGS => {
            response.get_flags = MessageField::some(flags(identity));
            AnswerType::GET_FLAGS
        }
        Type::GET_VERSION => {
            response.get_version = MessageField::some(version(identity));
            AnswerType::GET_VERSION
        }
        Type::GET_STATE => {
            response.get_state = MessageField::some(state(view));
            AnswerType::GET_STATE
        }
        Type::GET_AGENTS => {
            response.get_agents = MessageField::some(agents(view));
            AnswerType::GET_AGENTS
        }
        Type::GET_FRAMEWORKS => {
            response.get_frameworks = MessageField::some(frameworks(view));
            AnswerType::GET_FRAMEWORKS
        }
        Type::GET_EXECUTORS => {
            response.get_executors = MessageField::some(executors(view));
            AnswerType::GET_EXECUTORS
        }
        Type::GET_TASKS => {
            response.get_tasks = MessageField::some(tasks(view.core));
            AnswerType::GET_TASKS
        }
        Type::GET_ROLES => {
            response.get_roles = MessageField::some(role_list(view.core));
            AnswerType::GET_ROLES
        }
        Type::GET_WEIGHTS => {
            response.get_weights = MessageField::some(weights(view.core));
            AnswerType::GET_WEIGHTS
        }
        Type::GET_MASTER => {
            let master = response.get_master.mut_or_insert_default();
            master.master_info = MessageField::some(view.core.info().clone());
            master.set_start_time(identity.started.as_secs_f64());
            master.elected_time = view.core.elected_time().map(Time::as_secs_f64);
            AnswerType::GET_MASTER
        }
        other => return nothing_set(other, view.core, response),
    };
    response.set_type(answered);
    Some(response)
}

/// Answers about what this master does not keep yet: their shape without content.
fn nothing_set(kind: Type, core: &Master, mut response: Response) -> Option<Response> {
    let answered = match kind {
        Type::GET_OPERATIONS => {
            let answer = response.get_operations.mut_or_insert_default();
            let operations = core.agents().values().flat_map(|agent| agent.operations().values());
            answer.operations = operations.map(|operation| operation.message().clone()).collect();
            AnswerType::GET_OPERATIONS
        }
        Type::GET_QUOTA => {
            let status: QuotaStatus = quota::status(core);
            response.get_quota.mut_or_insert_default().status = MessageField::some(status);
            AnswerType::GET_QUOTA
        }
        Type::GET_MAINTENANCE_STATUS => {
            let answer = response.get_maintenance_status.mut_or_insert_default();
            answer.status = MessageField::some(core.maintenance_status());
            AnswerType::GET_MAINTENANCE_STATUS
        }
        Type::GET_MAINTENANCE_SCHEDULE => {
            let answer = response.get_maintenance_schedule.mut_or_insert_default();
            answer.schedule = MessageField::some(core.machines().schedule().clone());
            AnswerType::GET_MAINTENANCE_SCHEDULE
        }
        _ => return None,
    };
    response.set_type(answered);
    Some(response)
}

fn flags(identity: &Identity) -> GetFlags {
    let mut answer = GetFlags::new();
    for (name, value) in &identity.flags {
        let mut flag = Flag::new();
        flag.set_name(name.clone());
        flag.set_value(value.clone());
        answer.flags.push(flag);
    }
    answer
}

fn version(identity: &Identity) -> GetVersion {
    let own = &identity.version;
    let mut info = VersionInfo::new();
    info.set_version(own.version.clone());
    info.build_date.clone_from(&own.build_date);
    info.build_time = own.build_time;
    info.build_user.clone_from(&own.build_user);
    info.git_sha.clone_from(&own.git_sha);
    info.git_branch.clone_from(&own.git_branch);
    info.git_tag.clone_from(&own.git_tag);
    let mut answer = GetVersion::new();
    answer.version_info = MessageField::some(info);
    answer
}

/// Everything that `GET_STATE` tells and a subscription begins with.
#[must_use]
pub fn state(view: &View<'_>) -> GetState {
    let mut answer = GetState::new();
    answer.get_tasks = MessageField::some(tasks(view.core));
    answer.get_executors = MessageField::some(executors(view));
    answer.get_frameworks = MessageField::some(frameworks(view));
    answer.get_agents = MessageField::some(agents(view));
    answer
}

fn agents(view: &View<'_>) -> GetAgents {
    let mut answer = GetAgents::new();
    answer.agents = view.core.agents().values().map(|own| agent_answer(view, own)).collect();
    let recovered = view.core.recovered_agents().values();
    answer.recovered_agents = recovered.map(|info| SlaveInfo::clone(info)).collect();
    answer
}

/// One agent.
#[must_use]
pub fn agent_answer(view: &View<'_>, own: &Agent) -> AgentAnswer {
    let mut answer = AgentAnswer::new();
    answer.agent_info = MessageField::some(own.info().clone());
    answer.set_active(own.is_active());
    answer.set_deactivated(view.core.plans().is_deactivated(own.id()));
    answer.set_version(own.version().to_owned());
    answer.set_pid(own.upid().to_string());
    answer.registered_time = time(Some(own.registered_time()));
    answer.reregistered_time = time(own.reregistered_time());
    answer.total_resources = endpoint_form(own.total());
    answer.allocated_resources = endpoint_form(&agent::used(own));
    answer.offered_resources = endpoint_form(&view.offered_of(own));
    answer.capabilities = own.capabilities().to_proto();
    let providers = own.resource_providers().values().map(|own| {
        let mut provider = ProviderAnswer::new();
        provider.resource_provider_info = MessageField::some(own.info().clone());
        provider.total_resources = endpoint_form(own.total());
        provider
    });
    answer.resource_providers = providers.collect();
    answer.drain_info = view.core.plans().drain(own.id()).cloned().into();
    answer.estimated_drain_start_time = whole_seconds(view.core.plans().drain_started(own.id()));
    answer
}

fn frameworks(view: &View<'_>) -> GetFrameworks {
    let mut answer = GetFrameworks::new();
    let live = view.core.frameworks().values();
    answer.frameworks = live.map(|own| framework_answer(view, own)).collect();
    let completed = view.core.completed_frameworks().iter();
    answer.completed_frameworks = completed.map(|own| framework_answer(view, own)).collect();
    answer
}

/// One framework.
#[must_use]
pub fn framework_answer(view: &View<'_>, own: &Framework) -> FrameworkAnswer {
    let mut answer = FrameworkAnswer::new();
    answer.framework_info = MessageField::some(own.info().clone());
    answer.set_active(own.is_active());
    answer.set_connected(own.is_connected());
    answer.set_recovered(own.is_recovered());
    answer.registered_time = time(Some(own.registered_time()));
    answer.reregistered_time = time(Some(own.reregistered_time().unwrap_or_else(|| own.registered_time())));
    answer.unregistered_time = time(own.unregistered_time());
    answer.offers = view
        .offers(own.id())
        .iter()
        .map(|offer| offer.message().clone())
        .collect();
    let inverse_offers = view.core.inverse_offers().of_framework(own.id());
    answer.inverse_offers = inverse_offers.map(|offer| offer.message().clone()).collect();
    answer.allocated_resources = endpoint_form(&view.used(own.id()));
    answer.offered_resources = endpoint_form(&view.offered(own.id()));
    let constraints = own.offer_constraints().cloned();
    answer.offer_constraints = MessageField::some(constraints.unwrap_or_else(OfferConstraints::new));
    answer
}

fn executors(view: &View<'_>) -> GetExecutors {
    let mut answer = GetExecutors::new();
    for (agent_id, info) in view.all_executors() {
        let mut executor = Executor::new();
        executor.executor_info = MessageField::some(info.clone());
        executor.slave_id = MessageField::some(agent_id.to_proto());
        answer.executors.push(executor);
    }
    answer
}

fn tasks(core: &Master) -> GetTasks {
    let mut answer = GetTasks::new();
    let frameworks = || core.frameworks().values().chain(core.completed_frameworks().iter());
    for own in frameworks() {
        answer
            .tasks
            .extend(own.tasks().values().map(mesos_master_core::Task::message));
        let unreachable = own.unreachable_tasks().iter();
        answer
            .unreachable_tasks
            .extend(unreachable.map(|(_, task)| task.message()));
        let completed = own.completed_tasks().iter();
        answer.completed_tasks.extend(completed.map(|task| task.message()));
    }
    answer
}

fn role_list(core: &Master) -> GetRoles {
    let mut answer = GetRoles::new();
    for (name, known) in roles::roles(core) {
        let mut role = Role::new();
        role.set_name(name);
        role.set_weight(known.weight);
        role.frameworks = known
            .frameworks
            .iter()
            .map(|id| mesos::ids::FrameworkId::new(id.as_str()).to_proto())
            .collect();
        let scalars = known.resources();
        let scalars = scalars.iter().filter(|(name, _)| !is_ranges(core, name));
        let resources: Resources = scalars
            .map(|(name, amount)| Resource::new(name, ResourceValue::Scalar(*amount)))
            .collect();
        role.resources = resources.to_protobuf();
        answer.roles.push(role);
    }
    answer
}

/// Whether agents have resources of this name that are no scalars.
fn is_ranges(core: &Master, name: &str) -> bool {
    let of_name = core.agents().values().flat_map(|agent| agent.total().iter());
    of_name
        .filter(|resource| resource.name().as_str() == name)
        .any(|resource| !matches!(resource.value(), ResourceValue::Scalar(_)))
}

fn weights(core: &Master) -> GetWeights {
    let mut answer = GetWeights::new();
    for (role, weight) in core.weights() {
        let mut info = WeightInfo::new();
        info.set_role(role.clone());
        info.set_weight(*weight);
        answer.weight_infos.push(info);
    }
    answer
}

/// Nanoseconds in a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The second in which a drain began.
fn whole_seconds(started: Option<Time>) -> MessageField<TimeInfo> {
    let second = started.map(|started| Time::from_nanos(started.as_nanos() / NANOSECONDS * NANOSECONDS));
    time(second)
}

fn time(time: Option<Time>) -> MessageField<TimeInfo> {
    let info = time.map(|time| {
        let mut info = TimeInfo::new();
        info.set_nanoseconds(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        info
    });
    info.into()
}
