//! The storage in files: every step may be the last one of its machine, every byte may be damaged.

mod support;

use mesos_registrar::{Batch, DiskStorage, Storage, Stored};
use support::{FakeFiles, Left};

/// Batch `number` of a life; every third one is whole, as is the first.
fn batch(number: u64, first: bool) -> Batch {
    Batch {
        number,
        changes: changes(number),
        whole: (first || number % 3 == 1).then(|| whole(number)),
    }
}

fn changes(number: u64) -> Vec<u8> {
    format!("changes {number}").into_bytes()
}

/// A whole registry tells which batches are in it.
fn whole(number: u64) -> Vec<u8> {
    format!("registry with {number}").into_bytes()
}

/// The last batch that a storage has, when what it has is what batches up to that one make.
fn last(stored: Option<&Stored>) -> u64 {
    let Some(stored) = stored else { return 0 };
    assert_eq!(stored.whole, whole(stored.number));
    let mut number = stored.number;
    for found in &stored.changes {
        number += 1;
        assert_eq!(*found, changes(number));
    }
    number
}

fn open(files: &FakeFiles) -> (DiskStorage<FakeFiles>, u64) {
    let mut storage = DiskStorage::new(files.clone());
    let stored = storage.fetch().expect("readable");
    let last = last(stored.as_ref());
    (storage, last)
}

/// Stores batches until `until` or a failure; gives the files and the last batch that was confirmed.
fn work(files: &FakeFiles, until: u64, fails_after: Option<usize>) -> (FakeFiles, u64) {
    let (storage, mut confirmed) = open(files);
    let mut files = storage.into_files();
    if let Some(calls) = fails_after {
        files.fail_after(calls);
    }
    let mut storage = DiskStorage::new(files);
    if storage.fetch().is_err() {
        return (storage.into_files(), confirmed);
    }
    let first = confirmed + 1;
    for number in first..=until {
        if storage.store(&batch(number, number == first)).is_err() {
            assert!(
                storage.store(&batch(number, true)).is_err(),
                "a failed storage takes nothing more"
            );
            break;
        }
        confirmed = number;
    }
    (storage.into_files(), confirmed)
}

/// Every way in which the machine may die now.
fn crashes(files: &FakeFiles) -> Vec<FakeFiles> {
    let mut ways = Vec::new();
    for names in 0..=files.pending_names() {
        ways.extend([Left::Nothing, Left::Everything, Left::Zeros].map(|left| files.crash(left, names)));
        ways.extend((0..files.unsynced_bytes()).map(|bytes| files.crash(Left::Begin(bytes), names)));
    }
    ways
}

#[test]
fn a_crash_at_any_step_loses_nothing_confirmed_and_shows_nothing_torn() {
    const BATCHES: u64 = 14;
    let mut seen = 0;
    for fails_after in 0..200 {
        let (files, confirmed) = work(&FakeFiles::default(), BATCHES, Some(fails_after));
        for after in crashes(&files) {
            seen += 1;
            let (_, recovered) = open(&after);
            let begun = confirmed + 1;
            assert!(
                (confirmed..=begun).contains(&recovered),
                "step {fails_after}: confirmed {confirmed}, recovered {recovered}"
            );
            // The next life goes on, and dies at each of its own first steps.
            for fails_again in [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5)] {
                let (files, confirmed) = work(&after, recovered + 2, fails_again);
                let died = files.crash(Left::Nothing, 0);
                let (_, again) = open(&died);
                assert!(
                    (confirmed..=confirmed + 1).contains(&again),
                    "second life after step {fails_after}"
                );
            }
        }
        if confirmed == BATCHES {
            assert!(seen > 1000, "only {seen} crashes were tried");
            return;
        }
    }
    panic!("the work does not end");
}

#[test]
fn two_files_are_kept() {
    let (files, confirmed) = work(&FakeFiles::default(), 20, None);
    assert_eq!(confirmed, 20);
    assert_eq!(
        files.names(),
        ["registry-00000000000000000016", "registry-00000000000000000019"]
    );
}

#[test]
fn a_damaged_begin_of_the_newest_file_is_made_good_from_the_file_before() {
    let (files, _) = work(&FakeFiles::default(), 6, None);
    let head = 8 + 17 + whole(4).len();
    for at in 0..head {
        let mut damaged = files.clone();
        damaged.content_mut(1)[at] ^= 0x20;
        let (storage, recovered) = open(&damaged);
        assert_eq!(recovered, 6, "byte {at}");
        let (_, confirmed) = work(&storage.into_files(), 9, None);
        assert_eq!(confirmed, 9, "byte {at}");
    }
}

#[test]
fn a_damaged_byte_never_passes_for_another_registry() {
    let (files, _) = work(&FakeFiles::default(), 6, None);
    let length = files.clone().content_mut(1).len();
    let last_record = length - 17 - changes(6).len();
    let mut refused = 0;
    for at in 0..length {
        let mut damaged = files.clone();
        damaged.content_mut(1)[at] ^= 0x01;
        match DiskStorage::new(damaged).fetch() {
            // The last record cannot be told from one that was torn.
            Ok(stored) => assert_eq!(last(stored.as_ref()), if at < last_record { 6 } else { 5 }, "byte {at}"),
            Err(error) => {
                refused += 1;
                assert!(
                    error.to_string().contains("registry-00000000000000000004"),
                    "byte {at}: {error}"
                );
            }
        }
    }
    assert_eq!(refused, 17 + changes(5).len(), "exactly the changes that exist once");
}

#[test]
fn two_damaged_files_are_refused_with_their_names() {
    let (mut files, _) = work(&FakeFiles::default(), 6, None);
    files.content_mut(0)[30] ^= 1;
    files.content_mut(1)[30] ^= 1;
    let error = DiskStorage::new(files).fetch().expect_err("damaged").to_string();
    assert!(error.contains("registry-00000000000000000001"), "{error}");
    assert!(error.contains("registry-00000000000000000004"), "{error}");
}

#[test]
fn an_emptied_file_is_refused() {
    let (mut files, _) = work(&FakeFiles::default(), 6, None);
    files.content_mut(1).clear();
    let error = DiskStorage::new(files).fetch().expect_err("damaged").to_string();
    assert!(
        error.contains("nothing in registry-00000000000000000004 can be read"),
        "{error}"
    );
}
