//! The programs under Apache Mesos' names: links to the one executable.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use mesos_tests_conformance::Program;

use super::Site;

#[test]
fn links_with_the_names_of_apache_mesos_are_its_programs() {
    let site = Site::new();
    let folder = site.path("sbin");
    fs::create_dir(&folder).expect("a folder");
    let mesos = super::mesos();
    for name in ["mesos-master", "mesos-slave", "mesos-execute"] {
        symlink(mesos, folder.join(name)).expect("a link");
    }
    let master = Program::master(&folder.join("mesos-master"), &site.path("one"), &[]);
    let _agent = Program::agent(&folder.join("mesos-slave"), &site.path("two"), master.address(), &[]);
    let output = Command::new(folder.join("mesos-execute"))
        .arg(format!("--master={}", master.address()))
        .args(["--name=linked", "--command=true"])
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("TASK_FINISHED"), "{told}");
}
