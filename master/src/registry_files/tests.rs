//! The folder of one master, and a writer that is killed at any moment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::SlaveInfo;
use mesos_registrar::{Batch, DiskStorage, Operation, Registrar, Storage, StoreError, WriteId};

use super::*;

/// Tells the writer where to write.
const FOLDER_VARIABLE: &str = "MESOS_RS_TEST_REGISTRY_FOLDER";

#[test]
fn a_folder_belongs_to_one_master_and_keeps_what_it_stored() {
    let site = tempfile::tempdir().expect("a folder");
    let folder = site.path().join("registry");
    let mut storage = DiskStorage::new(FolderFiles::open(&folder).expect("free"));
    assert_eq!(storage.fetch().expect("readable"), None);
    let refused = FolderFiles::open(&folder).expect_err("taken");
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    for number in 1..=5 {
        let batch = Batch {
            number,
            changes: vec![7; 3],
            whole: (number % 3 == 1).then(|| vec![1; 2]),
        };
        storage.store(&batch).expect("stored");
    }
    drop(storage);
    let mut storage = DiskStorage::new(FolderFiles::open(&folder).expect("free again"));
    let stored = storage.fetch().expect("readable").expect("something");
    assert_eq!((stored.number, stored.changes.len()), (4, 1));
}

fn admit(number: u64) -> Operation {
    let mut info = SlaveInfo::new();
    info.id = Some(AgentId::new(number.to_string()).to_proto()).into();
    // Long enough that a whole registry comes every few hundred batches.
    info.set_hostname("host".repeat(1000));
    Operation::AdmitAgent(Box::new(info))
}

fn open(folder: &Path) -> (DiskStorage<FolderFiles>, Registrar) {
    let mut storage = DiskStorage::new(FolderFiles::open(folder).expect("the one before is dead"));
    let stored = storage.fetch().expect("readable").unwrap_or_default();
    (storage, Registrar::recover(&stored).expect("a registry"))
}

/// How many agents there are; they are those with the numbers from 1 on.
fn admitted(registrar: &Registrar) -> u64 {
    let registry = registrar.registry();
    for (index, slave) in registry.slaves.slaves.iter().enumerate() {
        assert_eq!(slave.info.id.value(), (index + 1).to_string());
    }
    registry.slaves.slaves.len() as u64
}

/// The program that is killed: admits one agent after the other, and says so when it is stored.
#[test]
#[ignore = "run as another process by the test below"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else {
        return;
    };
    let (mut storage, mut registrar) = open(Path::new(&folder));
    let mut number = admitted(&registrar);
    let mut output = io::stdout().lock();
    loop {
        number += 1;
        registrar.submit(WriteId(number), vec![admit(number)]);
        let batch = registrar.next_batch().expect("something waits");
        let stored = storage.store(&batch).map_err(|error| StoreError(error.to_string()));
        registrar.finish(stored).expect("stored");
        writeln!(output, "stored {number}")
            .and_then(|()| output.flush())
            .expect("heard");
    }
}

/// Source: shared facts, `pitfalls.md` D30.
#[test]
fn a_writer_killed_at_any_moment_has_lost_nothing_that_it_confirmed() {
    const LIVES: u32 = 25;
    let site = tempfile::tempdir().expect("a folder");
    let folder = site.path().join("registry");
    let mut confirmed = 0;
    for life in 0..LIVES {
        let mut writer = Command::new(std::env::current_exe().expect("this program"))
            .args(["registry_files::tests::writer", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER_VARIABLE, &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(writer.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok);
        let number = |line: String| line.strip_prefix("stored ").and_then(|number| number.parse().ok());
        let begun: Option<u64> = lines.by_ref().find_map(number);
        confirmed = begun.expect("the first confirmation");
        // Somewhere in the writes after that one, each time somewhere else.
        std::thread::sleep(Duration::from_micros(u64::from(life * life * 61 % 40_000)));
        writer.kill().expect("killed");
        writer.wait().expect("dead");
        // What it confirmed before it died is still in the pipe.
        confirmed = lines.filter_map(number).last().unwrap_or(confirmed);
        let (_, registrar) = open(&folder);
        let found = admitted(&registrar);
        assert!(
            (confirmed..=confirmed + 1).contains(&found),
            "life {life}: confirmed {confirmed}, found {found}"
        );
    }
    assert!(confirmed > u64::from(LIVES), "only {confirmed} writes were tried");
}
