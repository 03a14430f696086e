//! What every program of this project tells about its version and build.

use std::collections::BTreeMap;

use libprocess::builtin::VersionInfo;
use mesos::version::{IMPLEMENTATION_NAME, IMPLEMENTATION_VERSION, MESOS_VERSION};

/// Version and build for `/version`, `/state` and `GET_VERSION`. Peers see the Mesos version whose protocol is spoken;
/// the implementation has a field of its own.
#[must_use]
pub fn version_info() -> VersionInfo {
    let time: u32 = env!("MESOS_NODE_BUILD_TIME").parse().unwrap_or_default();
    VersionInfo {
        version: MESOS_VERSION.to_owned(),
        build_date: Some(date(time)),
        build_time: Some(f64::from(time)),
        build_user: Some(env!("MESOS_NODE_BUILD_USER").to_owned()),
        git_sha: option_env!("MESOS_NODE_GIT_SHA").map(str::to_owned),
        git_branch: None,
        git_tag: None,
        extra: BTreeMap::from([(
            "implementation".to_owned(),
            format!("{IMPLEMENTATION_NAME} {IMPLEMENTATION_VERSION}"),
        )]),
    }
}

/// Seconds since the Unix epoch as `2026-11-20 11:12:54 UTC`.
fn date(seconds: u32) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u32::from(leap(year)) {
        day -= 365 + u32::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!(
        "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC",
        day + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_795_173_174), "2026-11-20 11:12:54 UTC");
        assert_eq!(date(1_709_164_799), "2024-02-28 23:59:59 UTC");
        assert_eq!(date(1_709_251_199), "2024-02-29 23:59:59 UTC");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59:59 UTC");
    }

    #[test]
    fn peers_see_the_version_that_is_spoken() {
        let version = version_info();
        assert_eq!(version.version, MESOS_VERSION);
        assert!(version.extra["implementation"].starts_with("mesos-rs "));
    }
}
