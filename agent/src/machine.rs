//! What this machine has, for resources that the operator did not name.
//!
//! Source: shared facts, `constants.tsv` (defaults when a quantity cannot be found out).

use std::path::Path;

use mesos::resources::{ResourceError, Resources, command_line_names, parse_command_line};
use mesos_agent_core::LoadAverage;

const CPUS_DEFAULT: f64 = 1.0;
const MEM_DEFAULT_MB: f64 = 1024.0;
const DISK_DEFAULT_MB: f64 = 10.0 * 1024.0;
/// Memory and disk that stay with the machine when there is plenty.
const MEM_SPARED_MB: f64 = 1024.0;
const DISK_SPARED_MB: f64 = 5.0 * 1024.0;
const PORTS_DEFAULT: (u64, u64) = (31_000, 32_000);

/// The resources of the flag, completed by what is found on the machine for `cpus`, `mem`, `disk` and `ports`.
///
/// # Errors
///
/// Tells what in the text cannot be read.
pub fn complete_resources(text: &str, default_role: &str, work_dir: &Path) -> Result<Resources, ResourceError> {
    let mut resources = parse_command_line(text, default_role)?;
    let named = command_line_names(text, default_role)?;
    let absent = |name: &str| !named.iter().any(|known| known == name);
    let mut found = Vec::new();
    if absent("cpus") {
        found.push(format!("cpus:{}", cpus()));
    }
    if absent("mem") {
        found.push(format!("mem:{}", mem_mb()));
    }
    if absent("disk") {
        found.push(format!("disk:{}", disk_mb(work_dir)));
    }
    if absent("ports") {
        found.push(format!("ports:[{}-{}]", PORTS_DEFAULT.0, PORTS_DEFAULT.1));
    }
    for resource in parse_command_line(&found.join(";"), default_role)?.iter() {
        resources.add_resource(resource.clone());
    }
    Ok(resources)
}

fn cpus() -> f64 {
    std::thread::available_parallelism()
        .ok()
        .and_then(|count| u32::try_from(count.get()).ok())
        .map_or(CPUS_DEFAULT, f64::from)
}

fn mem_mb() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| total_mem_mb(&text));
    spare(total, MEM_SPARED_MB, MEM_DEFAULT_MB)
}

/// Reads `MemTotal` of `/proc/meminfo`, in megabytes.
fn total_mem_mb(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<f64>()
        .ok()
        .map(|kilobytes| kilobytes / 1024.0)
}

fn disk_mb(work_dir: &Path) -> u64 {
    let existing = work_dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let total = nix::sys::statvfs::statvfs(existing).ok().map(|stat| {
        #[expect(clippy::cast_precision_loss, reason = "a megabyte more or less does not matter")]
        let bytes = (stat.blocks() * stat.fragment_size()) as f64;
        bytes / (1024.0 * 1024.0)
    });
    spare(total, DISK_SPARED_MB, DISK_DEFAULT_MB)
}

/// Leaves `spared` with the machine when it has at least twice as much, else half of what it has.
fn spare(total: Option<f64>, spared: f64, default: f64) -> u64 {
    let usable = match total {
        Some(total) if total >= 2.0 * spared => total - spared,
        Some(total) => total / 2.0,
        None => default,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of machines fit"
    )]
    let whole = usable as u64;
    whole
}

/// The load averages of the machine, from `/proc/loadavg`.
///
/// # Errors
///
/// Says why they are not known.
pub fn load_average() -> Result<LoadAverage, String> {
    let text = std::fs::read_to_string("/proc/loadavg").map_err(|error| format!("/proc/loadavg: {error}"))?;
    parse_load(&text).ok_or_else(|| format!("/proc/loadavg has `{}`", text.trim()))
}

/// Reads the averages over one, five and fifteen minutes.
fn parse_load(text: &str) -> Option<LoadAverage> {
    let mut numbers = text.split(' ').skip(1).map(|number| number.parse::<f64>().ok());
    Some(LoadAverage {
        five_minutes: numbers.next()??,
        fifteen_minutes: numbers.next()??,
    })
}

#[cfg(test)]
mod tests {
    use mesos::resources::Resource;
    use mesos::values::{Ranges, Scalar};

    use super::*;

    #[test]
    fn what_is_named_is_kept_and_the_rest_is_found() {
        let resources = complete_resources("cpus(web):2;gpus:1", "*", Path::new("/no/such/folder")).expect("valid");
        assert_eq!(resources.reserved("web").get_scalar("cpus"), Scalar::from_f64(2.0));
        assert_eq!(
            resources.unreserved().get_scalar("cpus"),
            Scalar::from_f64(0.0),
            "cpus were named"
        );
        assert!(resources.get_scalar("mem") > Scalar::from_f64(0.0));
        assert!(resources.get_scalar("disk") > Scalar::from_f64(0.0));
        assert_eq!(resources.get_ranges("ports"), Ranges::single(31_000, 32_000));
    }

    #[test]
    fn a_default_role_takes_what_names_none() {
        let resources = complete_resources("", "ops", Path::new("/")).expect("valid");
        assert!(
            resources
                .iter()
                .all(|resource: &Resource| resource.reservation_role() == Some("ops"))
        );
    }

    #[test]
    fn the_load_is_read() {
        let load = LoadAverage {
            five_minutes: 1.5,
            fifteen_minutes: 0.25,
        };
        assert_eq!(parse_load("0.20 1.50 0.25 1/80 11206\n"), Some(load));
        assert_eq!(parse_load("nonsense"), None);
        assert!(load_average().is_ok());
    }

    #[test]
    fn big_machines_keep_some_and_small_ones_half() {
        assert_eq!(spare(Some(4096.0), MEM_SPARED_MB, MEM_DEFAULT_MB), 3072);
        assert_eq!(spare(Some(1000.0), MEM_SPARED_MB, MEM_DEFAULT_MB), 500);
        assert_eq!(spare(None, MEM_SPARED_MB, MEM_DEFAULT_MB), 1024);
        assert_eq!(total_mem_mb("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2.0));
        assert_eq!(total_mem_mb("nonsense"), None);
    }
}
