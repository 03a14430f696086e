//! Which processes a node has, and which routes each of them offers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::http::RouteOptions;
use crate::mailbox::MailboxHandle;

/// One route of a process.
#[derive(Debug)]
pub struct RouteInfo {
    /// Name below the process, without leading and trailing slashes; empty for the process's own path.
    pub name: String,
    /// How it is offered.
    pub options: RouteOptions,
}

/// The routes of one process by name.
#[derive(Default)]
pub(crate) struct RouteTable {
    routes: Vec<Arc<RouteInfo>>,
    by_name: HashMap<String, usize>,
}

impl RouteTable {
    /// Adds a route and gives its index; a second route of the same name takes the place of the first.
    pub(crate) fn insert(&mut self, path: &str, options: RouteOptions) -> usize {
        let name = path.trim_matches('/').to_owned();
        let index = self.routes.len();
        self.by_name.insert(name.clone(), index);
        self.routes.push(Arc::new(RouteInfo { name, options }));
        index
    }

    /// The route with the longest name that is a prefix of `path` in whole segments, with what remains of `path`.
    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<(usize, &Arc<RouteInfo>, &'a str)> {
        let path = path.trim_matches('/');
        let mut end = path.len();
        loop {
            if let Some(index) = self.by_name.get(&path[..end]) {
                return Some((*index, &self.routes[*index], path[end..].trim_start_matches('/')));
            }
            if end == 0 {
                return None;
            }
            end = path[..end].rfind('/').unwrap_or(0);
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<RouteInfo>> {
        let mut routes: Vec<_> = self
            .by_name
            .values()
            .map(|index| Arc::clone(&self.routes[*index]))
            .collect();
        routes.sort_by(|left, right| left.name.cmp(&right.name));
        routes
    }

    pub(crate) fn clear(&mut self) {
        self.routes.clear();
        self.by_name.clear();
    }
}

/// Where a request goes.
#[derive(Clone)]
pub struct RouteTarget {
    pub(crate) mailbox: MailboxHandle,
    pub(crate) index: usize,
    route: Arc<RouteInfo>,
    remainder: String,
}

impl RouteTarget {
    /// Id of the process.
    #[must_use]
    pub fn process_id(&self) -> &str {
        self.mailbox.core().pid().id()
    }

    /// The route that matched.
    #[must_use]
    pub fn route(&self) -> &RouteInfo {
        &self.route
    }

    /// The path of the route as firewall rules and authorization name it: `/ID/NAME`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("/{}/{}", self.process_id(), self.route.name)
            .trim_end_matches('/')
            .to_owned()
    }

    /// What followed the route's name, percent-decoded.
    #[must_use]
    pub fn remainder(&self) -> &str {
        &self.remainder
    }
}

impl std::fmt::Debug for RouteTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RouteTarget")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}

/// The processes of a node.
#[derive(Default)]
pub(crate) struct Registry {
    processes: RwLock<HashMap<Arc<str>, MailboxHandle>>,
    /// Further ids at which processes receive messages.
    aliases: RwLock<HashMap<Box<str>, MailboxHandle>>,
    delegate: RwLock<Option<Arc<str>>>,
}

impl Registry {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Arc<str>, MailboxHandle>> {
        self.processes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process; false when its id is taken.
    pub(crate) fn insert(&self, mailbox: MailboxHandle) -> bool {
        let mut processes = self.processes.write().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = mailbox.core().pid().id().into();
        match processes.entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(mailbox);
                true
            }
        }
    }

    pub(crate) fn remove(&self, id: &str) {
        self.processes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        self.aliases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, mailbox| mailbox.core().pid().id() != id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<MailboxHandle> {
        self.read().get(id).cloned()
    }

    /// Who gets messages for this id: the process of that name, or one that receives there too.
    pub(crate) fn receiver(&self, id: &str) -> Option<MailboxHandle> {
        let aliases = || self.aliases.read().unwrap_or_else(PoisonError::into_inner);
        self.get(id).or_else(|| aliases().get(id).cloned())
    }

    /// Lets a process receive at a further id, also if another one did before.
    pub(crate) fn add_alias(&self, id: &str, mailbox: MailboxHandle) {
        let mut aliases = self.aliases.write().unwrap_or_else(PoisonError::into_inner);
        aliases.insert(id.into(), mailbox);
    }

    pub(crate) fn remove_alias(&self, id: &str) {
        let mut aliases = self.aliases.write().unwrap_or_else(PoisonError::into_inner);
        aliases.remove(id);
    }

    /// All processes in the order of their ids.
    pub(crate) fn list(&self) -> Vec<MailboxHandle> {
        let mut all: Vec<_> = self.read().values().cloned().collect();
        all.sort_by(|left, right| left.core().pid().id().cmp(right.core().pid().id()));
        all
    }

    pub(crate) fn set_delegate(&self, id: &str) {
        *self.delegate.write().unwrap_or_else(PoisonError::into_inner) = Some(id.into());
    }

    pub(crate) fn delegate(&self) -> Option<Arc<str>> {
        self.delegate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process that a raw path names (directly or as the delegate) and the decoded path below it.
    pub(crate) fn find_process(&self, path: &str) -> Option<(MailboxHandle, String)> {
        let path = path.trim_start_matches('/');
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if !first.is_empty()
            && let Some(mailbox) = self.get(&percent_decode(first))
        {
            return Some((mailbox, percent_decode(rest)));
        }
        let mailbox = self.get(&self.delegate()?)?;
        Some((mailbox, percent_decode(path)))
    }

    /// The route that a raw path (without query) leads to.
    pub(crate) fn resolve(&self, path: &str) -> Option<RouteTarget> {
        let (mailbox, below) = self.find_process(path)?;
        let (index, route, remainder) = {
            let routes = mailbox.core().routes();
            let (index, route, remainder) = routes.find(&below)?;
            (index, Arc::clone(route), remainder.to_owned())
        };
        Some(RouteTarget {
            mailbox,
            index,
            route,
            remainder,
        })
    }
}

/// Decodes `%XX`; bad escapes and bytes that are no UTF-8 stay as they are (the latter as replacement characters).
#[must_use]
pub fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        let escape = (bytes[position] == b'%')
            .then(|| bytes.get(position + 1..position + 3))
            .flatten();
        let value = escape.and_then(|digits| Some(hex_value(digits[0])? << 4 | hex_value(digits[1])?));
        if let Some(value) = value {
            decoded.push(value);
            position += 3;
        } else {
            decoded.push(bytes[position]);
            position += 1;
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The value of one hexadecimal digit.
pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> RouteTable {
        let mut table = RouteTable::default();
        for name in names {
            table.insert(name, RouteOptions::default());
        }
        table
    }

    #[test]
    fn longest_route_wins_and_the_rest_is_kept() {
        let routes = table(&["/api/v1", "/api/v1/scheduler", "/files"]);
        let (_, route, rest) = routes.find("api/v1/scheduler/").expect("a route");
        assert_eq!((route.name.as_str(), rest), ("api/v1/scheduler", ""));
        let (_, route, rest) = routes.find("/api/v1/other/thing").expect("a route");
        assert_eq!((route.name.as_str(), rest), ("api/v1", "other/thing"));
        assert!(routes.find("/api").is_none());
        assert!(routes.find("/api/v10").is_none());
        assert!(routes.find("").is_none());
    }

    #[test]
    fn own_path_of_the_process_catches_everything() {
        let routes = table(&["/", "/state"]);
        let (_, route, rest) = routes.find("/some/page").expect("a route");
        assert_eq!((route.name.as_str(), rest), ("", "some/page"));
        assert_eq!(routes.find("/state").expect("a route").1.name, "state");
    }

    #[test]
    fn escapes_are_decoded_and_bad_ones_kept() {
        assert_eq!(percent_decode("slave%281%29"), "slave(1)");
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
        assert_eq!(percent_decode("%ff"), "\u{fffd}");
    }
}
