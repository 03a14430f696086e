//! Storages that fail or take too long, under a whole master.

use std::sync::mpsc::{Receiver, Sender, channel};

use libprocess::NodeConfig;
use mesos::flags::{Flags, Outcome};
use mesos_registrar::FailingStorage;

use super::*;
use crate::program::start_with;

fn flags(more: &[&str]) -> Flags {
    let arguments = ["--ip=127.0.0.1", "--port=0", "--work_dir=/nonexistent"];
    let arguments = arguments.iter().chain(more).map(Into::into);
    match mesos::flags::master::FLAGS.read(arguments, []).expect("valid flags") {
        Outcome::Run(flags) => flags,
        Outcome::Help(_) | Outcome::Version => panic!("nobody asked"),
    }
}

/// Holds each call until it is told what comes of it.
struct HeldStorage {
    fetches: Receiver<()>,
    stores: Receiver<Result<(), StorageError>>,
}

impl HeldStorage {
    fn new() -> (Self, Sender<()>, Sender<Result<(), StorageError>>) {
        let (fetch, fetches) = channel();
        let (store, stores) = channel();
        (Self { fetches, stores }, fetch, store)
    }
}

impl Storage for HeldStorage {
    fn fetch(&mut self) -> Result<Option<Stored>, StorageError> {
        let gone = |_| StorageError::Unavailable("the test is over".to_owned());
        self.fetches.recv().map_err(gone).map(|()| None)
    }

    fn store(&mut self, _batch: &Batch) -> Result<(), StorageError> {
        let gone = |_| StorageError::Unavailable("the test is over".to_owned());
        self.stores.recv().map_err(gone).and_then(|told| told)
    }
}

async fn failure_of(storage: Box<dyn Storage>, more: &[&str]) -> String {
    let master = start_with(&flags(more), NodeConfig::loopback(), storage)
        .await
        .expect("a node");
    let failure = master.failed().await;
    master.node().stop().await;
    failure
}

#[tokio::test]
async fn a_registry_that_cannot_be_read_ends_the_master() {
    let failure = failure_of(Box::new(FailingStorage), &[]).await;
    assert!(
        failure.contains("cannot read the registry") && failure.contains("told to fail"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_registry_that_cannot_be_stored_ends_the_master() {
    let (storage, fetch, store) = HeldStorage::new();
    fetch.send(()).expect("held");
    store
        .send(Err(StorageError::Unavailable("no space left".to_owned())))
        .expect("held");
    let failure = failure_of(Box::new(storage), &[]).await;
    assert!(failure.contains("no space left"), "{failure}");
}

#[tokio::test]
async fn a_read_that_takes_too_long_ends_the_master() {
    let (storage, fetch, _store) = HeldStorage::new();
    let failure = failure_of(Box::new(storage), &["--registry_fetch_timeout=20ms"]).await;
    assert!(
        failure.contains("not read within 20ms (--registry_fetch_timeout)"),
        "{failure}"
    );
    drop(fetch);
}

#[tokio::test]
async fn a_write_that_takes_too_long_ends_the_master() {
    let (storage, fetch, store) = HeldStorage::new();
    fetch.send(()).expect("held");
    let failure = failure_of(Box::new(storage), &["--registry_store_timeout=20ms"]).await;
    assert!(
        failure.contains("not stored within 20ms (--registry_store_timeout)"),
        "{failure}"
    );
    drop(store);
}
