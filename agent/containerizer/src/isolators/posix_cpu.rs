//! `posix/cpu`: reports processor use, limits nothing.

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::ResourceStatistics;
use nix::unistd::{SysconfVar, sysconf};

use super::Isolator;
use crate::process_tree::ProcessStat;

/// Clock ticks a second when the host does not tell.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sums the processor time of a container's processes.
#[derive(Clone, Copy, Debug)]
pub struct PosixCpu;

impl Isolator for PosixCpu {
    fn name(&self) -> &'static str {
        "posix/cpu"
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks of living processes stay far below 2^52"
    )]
    fn usage(&self, _container_id: &ContainerId, processes: &[ProcessStat], statistics: &mut ResourceStatistics) {
        let per_second = sysconf(SysconfVar::CLK_TCK)
            .ok()
            .flatten()
            .map_or(TICKS_PER_SECOND, |ticks| ticks as f64);
        let user: u64 = processes.iter().map(|process| process.user_ticks).sum();
        let system: u64 = processes.iter().map(|process| process.system_ticks).sum();
        statistics.set_cpus_user_time_secs(user as f64 / per_second);
        statistics.set_cpus_system_time_secs(system as f64 / per_second);
    }
}
