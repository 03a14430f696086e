//! The folder of one master, and a writer that is killed at any moment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use mesos::ids::AgentId;
use mesos_proto::v0::mesos::SlaveInfo;
use mesos_registrar::{Batch, DiskStorage, Operation, Registrar, Storage, StoreError, WriteId};

use super::*;

/// The name of the test that starts itself.
const NAME: &str = "registry_files::tests::a_writer_killed_at_any_moment_has_lost_nothing_that_it_confirmed";

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

/// What the process does that is killed: it admits one agent after the other, and says so when it is stored.
fn write_for_ever(folder: &Path) {
    let (mut storage, mut registrar) = open(folder);
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
    const LIVES: usize = 25;
    // The test starts itself as the process that is killed.
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return write_for_ever(Path::new(&folder));
    }
    let site = tempfile::tempdir().expect("a folder");
    let folder = site.path().join("registry");
    let mut confirmed: u64 = 0;
    for life in 0..LIVES {
        let mut writer = Command::new(std::env::current_exe().expect("this program"))
            .args([NAME, "--exact", "--nocapture"])
            .env(FOLDER_VARIABLE, &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(writer.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok);
        let number = |line: String| line.strip_prefix("stored ").and_then(|number| number.parse().ok());
        // After another number of confirmations each time; the writes go on meanwhile.
        let heard = lines.by_ref().filter_map(number).take(1 + life * 7 % 60);
        confirmed = heard.last().expect("the first confirmation");
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
    assert!(confirmed > LIVES as u64, "only {confirmed} writes were tried");
}
