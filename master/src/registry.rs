//! The registry's way to its storage and back: one batch at a time, on a thread of its own when the storage may block.
//!
//! A batch that is not stored in time ends the master: it could not say any more what its registry holds.

use std::collections::VecDeque;
use std::time::Duration;

use libprocess::Context;
use mesos_master_core::Input;
use mesos_registrar::{Batch, Operation, Registrar, Registry, Storage, StorageError, StoreError, Stored, WriteId};
use tokio::sync::oneshot;

use crate::metrics;
use crate::process::MasterProcess;

/// How long the storage may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For reading everything (`--registry_fetch_timeout`).
    pub fetch: Duration,
    /// For one write (`--registry_store_timeout`).
    pub store: Duration,
}

/// The registrar with its storage.
pub struct RegistryKeeper {
    registrar: Registrar,
    /// Absent while it works on another thread.
    storage: Option<Box<dyn Storage>>,
    patience: Patience,
    /// Who wants to see the registry once the present batch is stored.
    readers: Vec<oneshot::Sender<Registry>>,
}

impl RegistryKeeper {
    /// A registry that is not read yet.
    #[must_use]
    pub fn new(storage: Box<dyn Storage>, patience: Patience) -> Self {
        Self {
            registrar: Registrar::default(),
            storage: Some(storage),
            patience,
            readers: Vec::new(),
        }
    }

    /// The registrar, for figures.
    #[must_use]
    pub const fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The registry as it is stored: at once, or when the batch that is on its way is stored.
    pub fn when_stored(&mut self) -> oneshot::Receiver<Registry> {
        let (sender, receiver) = oneshot::channel();
        self.readers.push(sender);
        if !self.registrar.is_storing() {
            self.answer_readers();
        }
        receiver
    }

    fn answer_readers(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let registry = self.registrar.registry();
        for reader in self.readers.drain(..) {
            // One that is gone does not want it any more.
            drop(reader.send(registry.clone()));
        }
    }
}

type Fetched = Result<Option<Stored>, StorageError>;

impl MasterProcess {
    /// Reads the registry; the core hears of it when it is there.
    pub(crate) fn recover(&mut self, context: &mut Context<Self>) {
        let Some(mut storage) = self.registry.storage.take() else {
            return;
        };
        let run = metrics::state_fetch(context.node().metrics()).start();
        if !storage.blocks() {
            let fetched = storage.fetch();
            run.stop();
            self.registry.storage = Some(storage);
            return self.fetched(fetched, context);
        }
        let patience = self.registry.patience.fetch;
        let timeout = context.delay(patience, move |master: &mut Self, context| {
            let limit = mesos::duration::to_text(patience);
            master.abort(
                format!("the registry was not read within {limit} (--registry_fetch_timeout)"),
                context,
            );
        });
        context.run_blocking(
            move || (storage.fetch(), storage),
            move |master, (fetched, storage), context| {
                context.cancel(timeout);
                run.stop();
                master.registry.storage = Some(storage);
                master.fetched(fetched, context);
            },
        );
    }

    fn fetched(&mut self, fetched: Fetched, context: &mut Context<Self>) {
        let recovered = fetched
            .map_err(|error| mesos_node::describe(&error))
            .and_then(|stored| {
                Registrar::recover(&stored.unwrap_or_default()).map_err(|error| mesos_node::describe(&error))
            });
        match recovered {
            Ok(registrar) => {
                let registry = Box::new(registrar.registry());
                self.registry.registrar = registrar;
                self.apply(Input::Recovered(registry), context);
            }
            Err(error) => self.abort(format!("cannot read the registry: {error}"), context),
        }
    }

    /// Hands changes to the registrar.
    pub(crate) fn store(
        &mut self,
        write: WriteId,
        operations: Vec<Operation>,
        inputs: &mut VecDeque<Input>,
        context: &mut Context<Self>,
    ) {
        self.registry.registrar.submit(write, operations);
        inputs.extend(self.store_next(context));
    }

    /// Stores what waits, unless a batch is on its way; gives what the core is told at once.
    fn store_next(&mut self, context: &mut Context<Self>) -> Vec<Input> {
        let mut told = Vec::new();
        while self.registry.storage.is_some()
            && let Some(batch) = self.registry.registrar.next_batch()
            && let Some(mut storage) = self.registry.storage.take()
        {
            let run = metrics::state_store(context.node().metrics()).start();
            if storage.blocks() {
                self.store_elsewhere(storage, batch, context);
                break;
            }
            let stored = storage.store(&batch);
            run.stop();
            self.registry.storage = Some(storage);
            told.extend(self.stored(stored));
        }
        told
    }

    fn store_elsewhere(&mut self, mut storage: Box<dyn Storage>, batch: Batch, context: &mut Context<Self>) {
        let run = metrics::state_store(context.node().metrics()).start();
        let patience = self.registry.patience.store;
        let timeout = context.delay(patience, move |master: &mut Self, context| {
            let limit = mesos::duration::to_text(patience);
            master.abort(
                format!("the registry was not stored within {limit} (--registry_store_timeout)"),
                context,
            );
        });
        context.run_blocking(
            move || (storage.store(&batch), storage),
            move |master, (stored, storage), context| {
                context.cancel(timeout);
                run.stop();
                master.registry.storage = Some(storage);
                for input in master.stored(stored) {
                    master.apply(input, context);
                }
                for input in master.store_next(context) {
                    master.apply(input, context);
                }
            },
        );
    }

    fn stored(&mut self, stored: Result<(), StorageError>) -> Vec<Input> {
        let stored = stored.map_err(|error| StoreError(mesos_node::describe(&error)));
        match self.registry.registrar.finish(stored) {
            Ok(answers) => {
                self.registry.answer_readers();
                answers.into_iter().map(Input::RegistryStored).collect()
            }
            Err(error) => vec![Input::RegistryFailed(error)],
        }
    }
}

#[cfg(test)]
mod tests;
