//! The registry of the master: what a newly elected leader must know of its predecessors.
//!
//! [`Operation`] is one small change of the registry; [`Registrar`] puts the changes that wait into one batch, so that
//! a storm of registrations costs few writes; [`Storage`] keeps the bytes, [`DiskStorage`] in files. The registrar
//! performs no I/O: its driver takes a [`Batch`], stores it where it likes and hands the outcome back.
//!
//! What never happens here: a change is told to its author before the bytes that contain it are stored.

mod codec;
mod contents;
mod disk;
mod operation;
mod operations;
mod registrar;
mod storage;

pub use codec::DecodeError;
pub use contents::Contents;
pub use disk::{DiskStorage, Files};
pub use operation::{Operation, OperationError, Outcome};
pub use operations::maintenance::{MachineKey, remove_from_schedule};
pub use registrar::{Answer, Batch, RecoverError, Registrar, StoreError, Stored, WriteId};
pub use storage::{FailingStorage, MemoryStorage, Storage, StorageError};

/// The stored registry.
pub type Registry = mesos_proto::internal::master::stored_registry::Registry;
