//! Records when and by whom the programs were built. `SOURCE_DATE_EPOCH` makes builds repeatable.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for variable in ["SOURCE_DATE_EPOCH", "MESOS_BUILD_USER", "MESOS_GIT_SHA"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let time = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    println!("cargo:rustc-env=MESOS_NODE_BUILD_TIME={}", time.unwrap_or_else(now));
    let user = std::env::var("MESOS_BUILD_USER").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=MESOS_NODE_BUILD_USER={user}");
    if let Ok(sha) = std::env::var("MESOS_GIT_SHA") {
        println!("cargo:rustc-env=MESOS_NODE_GIT_SHA={sha}");
    }
}
