//! `posix/mem`: reports memory use, limits nothing.

use mesos::ids::ContainerId;
use mesos_proto::v0::mesos::ResourceStatistics;
use nix::unistd::{SysconfVar, sysconf};

use super::Isolator;
use crate::process_tree::ProcessStat;

/// Bytes a page when the host does not tell.
const PAGE_BYTES: u64 = 4096;

/// Sums the resident memory of a container's processes; shared pages count once for each.
#[derive(Clone, Copy, Debug)]
pub struct PosixMem;

impl Isolator for PosixMem {
    fn name(&self) -> &'static str {
        "posix/mem"
    }

    fn usage(&self, _container_id: &ContainerId, processes: &[ProcessStat], statistics: &mut ResourceStatistics) {
        let page = sysconf(SysconfVar::PAGE_SIZE)
            .ok()
            .flatten()
            .and_then(|bytes| u64::try_from(bytes).ok());
        let pages: u64 = processes.iter().map(|process| process.resident_pages).sum();
        statistics.set_mem_rss_bytes(pages.saturating_mul(page.unwrap_or(PAGE_BYTES)));
    }
}
