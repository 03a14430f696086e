//! Who wants to hear of whose exit.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddrV4;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libprocess_types::Upid;

use crate::mailbox::MailboxHandle;

/// What to do with a connection that exists when a process links to a remote one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkMode {
    /// Use it.
    Share,
    /// Replace it.
    Reconnect,
}

#[derive(Default)]
struct Table {
    /// Linkers by the process that they linked to.
    linkers: HashMap<Upid, HashMap<Upid, MailboxHandle>>,
    /// Processes that others linked to, by the address of their node.
    linked_by_address: HashMap<SocketAddrV4, HashSet<Upid>>,
    /// Processes that a process linked to.
    linked_by_linker: HashMap<Upid, HashSet<Upid>>,
}

impl Table {
    fn remove_linked(&mut self, linked: &Upid) -> Vec<MailboxHandle> {
        let Some(linkers) = self.linkers.remove(linked) else {
            return Vec::new();
        };
        if let Some(at_address) = self.linked_by_address.get_mut(&linked.address()) {
            at_address.remove(linked);
            if at_address.is_empty() {
                self.linked_by_address.remove(&linked.address());
            }
        }
        for linker in linkers.keys() {
            if let Some(linked_by) = self.linked_by_linker.get_mut(linker) {
                linked_by.remove(linked);
                if linked_by.is_empty() {
                    self.linked_by_linker.remove(linker);
                }
            }
        }
        linkers.into_values().collect()
    }
}

/// The links of a node's processes.
#[derive(Default)]
pub(crate) struct Links(Mutex<Table>);

impl Links {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that `linker` wants to hear of the exit of `linked`.
    pub(crate) fn add(&self, linker: &MailboxHandle, linked: &Upid) {
        let mut table = self.lock();
        let linker_pid = linker.core().pid().clone();
        table
            .linked_by_address
            .entry(linked.address())
            .or_default()
            .insert(linked.clone());
        table
            .linked_by_linker
            .entry(linker_pid.clone())
            .or_default()
            .insert(linked.clone());
        table
            .linkers
            .entry(linked.clone())
            .or_default()
            .insert(linker_pid, MailboxHandle::clone(linker));
    }

    /// Drops the links to one process and tells its linkers.
    pub(crate) fn process_exited(&self, linked: &Upid) {
        let linkers = self.lock().remove_linked(linked);
        for linker in linkers {
            linker.push_exited(linked.clone());
        }
    }

    /// Drops the links to all processes of a node and tells their linkers.
    pub(crate) fn address_lost(&self, address: SocketAddrV4) {
        let mut exits = Vec::new();
        let mut table = self.lock();
        let mut linked: Vec<Upid> = table
            .linked_by_address
            .get(&address)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        linked.sort();
        for linked in linked {
            for linker in table.remove_linked(&linked) {
                exits.push((linker, linked.clone()));
            }
        }
        drop(table);
        for (linker, linked) in exits {
            linker.push_exited(linked);
        }
    }

    /// Drops the links that a process made; it is gone.
    pub(crate) fn forget_linker(&self, linker: &Upid) {
        let mut table = self.lock();
        for linked in table.linked_by_linker.remove(linker).unwrap_or_default() {
            let Some(linkers) = table.linkers.get_mut(&linked) else {
                continue;
            };
            linkers.remove(linker);
            if linkers.is_empty() {
                table.remove_linked(&linked);
            }
        }
    }
}
