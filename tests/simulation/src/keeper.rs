//! What the framework that keeps things does with an offer: it reserves, makes volumes, runs tasks on them, destroys
//! them and gives everything back, several steps in one answer.

use libprocess::{Random, SeededRandom};
use mesos::resources::{Reservation, Resource, Resources};
use mesos_proto::v0::mesos as pb;
use pb::offer::Operation;
use pb::offer::operation::Type;

use crate::build::{KEEPER_ROLE, TASK_CPUS, TASK_MEM};

/// Disk that is reserved at once, in megabytes.
const DISK: f64 = 10.0;

/// An offer on its way to an answer: what is offered as it will be after the operations so far.
pub struct Keeper {
    plain: Resources,
    reserved: Resources,
    volumes: Resources,
    operations: Vec<Operation>,
    random: SeededRandom,
}

impl Keeper {
    /// Sorts what is offered, which bears no allocation.
    #[must_use]
    pub fn new(offered: &Resources, random: SeededRandom) -> Self {
        let reserved = offered.filter(|resource| resource.is_reserved_for(KEEPER_ROLE));
        let is_volume = |resource: &Resource| resource.persistence_id().is_some();
        Self {
            plain: offered.filter(Resource::is_unreserved),
            volumes: reserved.filter(is_volume),
            reserved: reserved.filter(|resource| !is_volume(resource)),
            operations: Vec::new(),
            random,
        }
    }

    /// The answer; empty for an offer that is better declined.
    #[must_use]
    pub fn operations(self) -> Vec<Operation> {
        self.operations
    }

    /// Destroys all volumes and gives all reservations back.
    pub fn give_all_back(&mut self) {
        self.destroy();
        self.unreserve();
    }

    /// Does one or two things by chance; `name` is not used for anything else.
    pub fn change(&mut self, name: &str) {
        match self.random.below(8) {
            0 | 1 => self.reserve(),
            2 | 3 => {
                self.reserve();
                self.create(name);
            }
            4 => self.create(name),
            5 => self.destroy(),
            6 => self.unreserve(),
            _ => self.give_all_back(),
        }
    }

    /// Runs a task on what is reserved, volumes included; `None` when there is too little.
    pub fn launch(&mut self, mut task: pb::TaskInfo) -> Option<pb::TaskInfo> {
        let wanted = reserved(&scalars(&[("cpus", TASK_CPUS), ("mem", TASK_MEM)]));
        self.reserved.try_subtract(&wanted).ok()?;
        let used = &wanted + &std::mem::take(&mut self.volumes);
        task.resources = used.to_protobuf();
        task.command.mut_or_insert_default().set_value("sleep 1".to_owned());
        let mut operation = Operation::new();
        operation.set_type(Type::LAUNCH);
        operation.launch.mut_or_insert_default().task_infos.push(task.clone());
        self.operations.push(operation);
        Some(task)
    }

    fn reserve(&mut self) {
        let wanted = scalars(&[("cpus", TASK_CPUS), ("mem", TASK_MEM), ("disk", DISK)]);
        if self.plain.try_subtract(&wanted).is_err() {
            return;
        }
        let kept = reserved(&wanted);
        let mut operation = Operation::new();
        operation.set_type(Type::RESERVE);
        operation.reserve.mut_or_insert_default().resources = kept.to_protobuf();
        self.operations.push(operation);
        self.reserved += &kept;
    }

    fn create(&mut self, name: &str) {
        let disk = reserved(&scalars(&[("disk", DISK)]));
        if self.reserved.try_subtract(&disk).is_err() {
            return;
        }
        let mut volumes = disk.to_protobuf();
        for volume in &mut volumes {
            let info = volume.disk.mut_or_insert_default();
            info.persistence.mut_or_insert_default().set_id(name.to_owned());
            let place = info.volume.mut_or_insert_default();
            place.set_container_path("data".to_owned());
            place.set_mode(pb::volume::Mode::RW);
        }
        let mut operation = Operation::new();
        operation.set_type(Type::CREATE);
        operation.create.mut_or_insert_default().volumes = volumes.clone();
        self.operations.push(operation);
        self.volumes += Resources::from_protobuf(&volumes).unwrap_or_default();
    }

    fn destroy(&mut self) {
        let volumes = std::mem::take(&mut self.volumes);
        if volumes.is_empty() {
            return;
        }
        let volumes = volumes.to_protobuf();
        let mut operation = Operation::new();
        operation.set_type(Type::DESTROY);
        operation.destroy.mut_or_insert_default().volumes = volumes.clone();
        self.operations.push(operation);
        for mut volume in volumes {
            volume.disk.clear();
            self.reserved += Resources::from_protobuf([&volume]).unwrap_or_default();
        }
    }

    fn unreserve(&mut self) {
        let kept = std::mem::take(&mut self.reserved);
        if kept.is_empty() {
            return;
        }
        let mut operation = Operation::new();
        operation.set_type(Type::UNRESERVE);
        operation.unreserve.mut_or_insert_default().resources = kept.to_protobuf();
        self.operations.push(operation);
    }
}

fn scalars(quantities: &[(&str, f64)]) -> Resources {
    let scalar = |(name, quantity): &(&str, f64)| Resources::from(Resource::scalar(name, *quantity));
    quantities.iter().map(scalar).sum()
}

fn reserved(resources: &Resources) -> Resources {
    let reservation = Reservation::dynamic(KEEPER_ROLE, None);
    let reserve = |resource: &Resource| Resources::from(resource.with_reservations(vec![reservation.clone()]));
    resources.iter().map(reserve).sum()
}
