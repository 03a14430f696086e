//! The role tree and the ranking of roles and clients by dominant share.
//!
//! A *client* is one framework in one role. Clients hang below the node of their role; a node's account is that of
//! its own clients plus that of all nodes below it. A role that has both clients and roles below it takes part twice:
//! as a node among its siblings, and as its own clients among the roles below it.
//!
//! Every level is kept ranked: smallest weighted dominant share first, then fewest allocations so far, then by name.
//! An account that changes moves its node or client within its level by one search and one rotation. Only a change of
//! the cluster's total makes all shares stale; they are computed and ranked anew before they are next asked for.

mod cursor;
mod rank;
mod requirement;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use mesos::roles;

use crate::api::SorterKind;
use crate::quantities::{Place, Vector};
use crate::random::Random;

pub use cursor::{ClientCursor, RoleCursor};

/// Index of a role's node in the tree.
pub type RoleIndex = u32;

/// Index of a client in the tree.
pub type ClientIndex = u32;

/// The node above all top-level roles.
pub const ROOT: RoleIndex = 0;

/// What ranks an entry within its level.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Quantities held.
    pub allocated: Vector,
    /// Dominant share, not weighted.
    pub share: f64,
    /// How often something was allocated.
    pub count: u64,
}

/// A role.
#[derive(Clone, Debug)]
pub struct RoleNode {
    /// Full name, such as `eng/web`; empty for the root.
    pub path: Arc<str>,
    parent: RoleIndex,
    /// Weight among its siblings.
    pub weight: f64,
    /// Account of the whole subtree.
    pub standing: Standing,
    /// Account of the role's own clients.
    pub own: Standing,
    /// Unreserved, not revocable quantities of the subtree in offers or in use.
    pub charged: Vector,
    /// The part of `charged` that is in offers.
    pub offered: Vector,
    /// Reservations for roles of the subtree on all agents.
    pub reserved: Vector,
    /// Guaranteed quantities.
    pub guarantees: Vector,
    /// Roles of the subtree with guarantees.
    guarantees_below: usize,
    /// Limits: bounded quantities with their bound.
    pub limits: Vec<(Place, i64)>,
    children: Vec<RoleIndex>,
    /// Children with active clients below, ranked; the node's own index stands for its own clients.
    order: Vec<RoleIndex>,
    clients: Vec<ClientIndex>,
    /// Active clients, ranked.
    active: Vec<ClientIndex>,
    active_below: usize,
}

/// A framework in a role.
#[derive(Clone, Debug)]
pub struct Client {
    /// The framework's slot.
    pub framework: u32,
    /// The role's node.
    pub role: RoleIndex,
    /// Account of the client.
    pub standing: Standing,
    /// Whether it takes part in ranking.
    pub active: bool,
    /// Offer filters that mention the client.
    pub filters: u32,
    /// Agents of which the client holds something.
    pub holdings: u32,
    name: Arc<str>,
}

/// The tree. See the module's text.
#[derive(Clone, Debug)]
pub struct RoleTree {
    nodes: Vec<Option<RoleNode>>,
    free_nodes: Vec<RoleIndex>,
    clients: Vec<Option<Client>>,
    free_clients: Vec<ClientIndex>,
    by_path: HashMap<Arc<str>, RoleIndex>,
    role_sorter: SorterKind,
    framework_sorter: SorterKind,
    total: Vector,
    required: Vector,
    excluded: Vec<Place>,
    stale: bool,
}

impl RoleTree {
    /// A tree without roles. Shares disregard the quantities at the `excluded` places.
    pub fn new(role_sorter: SorterKind, framework_sorter: SorterKind, excluded: Vec<Place>) -> Self {
        Self {
            nodes: vec![Some(RoleNode::new(Arc::from(""), ROOT))],
            free_nodes: Vec::new(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            by_path: HashMap::new(),
            role_sorter,
            framework_sorter,
            total: Vector::default(),
            required: Vector::default(),
            excluded,
            stale: false,
        }
    }

    /// The node of a role, if it has one.
    pub fn find(&self, path: &str) -> Option<RoleIndex> {
        self.by_path.get(path).copied()
    }

    /// A node.
    pub fn role(&self, index: RoleIndex) -> &RoleNode {
        self.nodes[index as usize]
            .as_ref()
            .expect("role indices in use point at nodes")
    }

    fn role_mut(&mut self, index: RoleIndex) -> &mut RoleNode {
        self.nodes[index as usize]
            .as_mut()
            .expect("role indices in use point at nodes")
    }

    /// A client.
    pub fn client(&self, index: ClientIndex) -> &Client {
        self.clients[index as usize]
            .as_ref()
            .expect("client indices in use point at clients")
    }

    /// A client, to change what does not rank.
    pub fn client_mut(&mut self, index: ClientIndex) -> &mut Client {
        self.clients[index as usize]
            .as_mut()
            .expect("client indices in use point at clients")
    }

    /// All clients.
    pub fn clients(&self) -> impl Iterator<Item = (ClientIndex, &Client)> {
        let clients = self.clients.iter().enumerate();
        clients.filter_map(|(index, client)| Some((u32::try_from(index).ok()?, client.as_ref()?)))
    }

    /// The node and the nodes above it, without the root.
    pub fn path_up(&self, role: RoleIndex) -> impl Iterator<Item = RoleIndex> + '_ {
        let parent = |index: RoleIndex| Some(self.role(index).parent).filter(|above| *above != ROOT);
        std::iter::successors(Some(role).filter(|role| *role != ROOT), move |index| parent(*index))
    }

    /// The roles right below a node.
    pub fn children(&self, role: RoleIndex) -> &[RoleIndex] {
        &self.role(role).children
    }

    /// The cluster's total quantities.
    pub const fn total(&self) -> &Vector {
        &self.total
    }

    /// Finds or makes the node of a role and of all roles above it.
    pub fn ensure_role(&mut self, path: &str) -> RoleIndex {
        if let Some(index) = self.find(path) {
            return index;
        }
        let parent = roles::parent(path).map_or(ROOT, |above| self.ensure_role(above));
        let path: Arc<str> = Arc::from(path);
        let node = Some(RoleNode::new(path.clone(), parent));
        let index = match self.free_nodes.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("fewer than four thousand million roles")
            }
        };
        self.by_path.insert(path, index);
        // A parent with active clients of its own now also has a level below it, where they take part.
        self.role_mut(parent).children.push(index);
        self.sync_own_entry(parent);
        index
    }

    /// Drops the node of a role, and those above it, while nothing needs them.
    pub fn release_role(&mut self, mut index: RoleIndex) {
        while index != ROOT && self.role(index).is_idle() {
            let node = self.nodes[index as usize]
                .take()
                .expect("role indices in use point at nodes");
            self.by_path.remove(&node.path);
            self.free_nodes.push(index);
            self.role_mut(node.parent).children.retain(|child| *child != index);
            self.sync_own_entry(node.parent);
            index = node.parent;
        }
    }

    /// Adds a client without account, not active.
    pub fn add_client(&mut self, role: RoleIndex, framework: u32, name: Arc<str>) -> ClientIndex {
        let client = Some(Client {
            framework,
            role,
            standing: Standing::default(),
            active: false,
            filters: 0,
            holdings: 0,
            name,
        });
        let index = match self.free_clients.pop() {
            Some(index) => {
                self.clients[index as usize] = client;
                index
            }
            None => {
                self.clients.push(client);
                u32::try_from(self.clients.len() - 1).expect("fewer than four thousand million clients")
            }
        };
        self.role_mut(role).clients.push(index);
        index
    }

    /// Removes a client whose account is empty.
    pub fn remove_client(&mut self, index: ClientIndex) {
        self.deactivate(index);
        let client = self.clients[index as usize]
            .take()
            .expect("client indices in use point at clients");
        debug_assert!(
            client.standing.allocated.is_zero(),
            "a client leaves only with an empty account"
        );
        self.free_clients.push(index);
        self.role_mut(client.role).clients.retain(|other| *other != index);
        self.release_role(client.role);
    }

    /// Sets a role's weight.
    pub fn set_weight(&mut self, path: &str, weight: f64) {
        let index = self.ensure_role(path);
        self.role_mut(index).weight = weight;
        self.stale = true;
        self.release_role(index);
    }

    /// Changes the cluster's total.
    pub fn change_total(&mut self, change: impl FnOnce(&mut Vector)) {
        change(&mut self.total);
        self.stale = true;
    }

    /// Draws the ranked roles for one agent; see [`RoleCursor`].
    pub fn role_cursor<'a>(&self, cursor: &'a mut RoleCursor, random: &mut Random) -> &'a mut RoleCursor {
        cursor.start(self, self.role_sorter, random);
        cursor
    }

    /// Draws the ranked clients of a role; see [`ClientCursor`].
    pub fn client_cursor<'a>(&self, role: RoleIndex, cursor: &'a mut ClientCursor) -> &'a mut ClientCursor {
        cursor.start(&self.role(role).active, self.framework_sorter);
        cursor
    }

    /// The active clients of a role, ranked.
    pub fn active_clients(&self, role: RoleIndex) -> &[ClientIndex] {
        &self.role(role).active
    }
}

impl RoleNode {
    fn new(path: Arc<str>, parent: RoleIndex) -> Self {
        Self {
            path,
            parent,
            weight: 1.0,
            standing: Standing::default(),
            own: Standing::default(),
            charged: Vector::default(),
            offered: Vector::default(),
            reserved: Vector::default(),
            guarantees: Vector::default(),
            guarantees_below: 0,
            limits: Vec::new(),
            children: Vec::new(),
            order: Vec::new(),
            clients: Vec::new(),
            active: Vec::new(),
            active_below: 0,
        }
    }

    /// Reservations plus unreserved resources in offers or in use: what counts against quota.
    pub fn consumed(&self) -> Vector {
        let mut consumed = self.reserved.clone();
        consumed.add(&self.charged);
        consumed
    }

    /// Whether the role has quota.
    pub fn has_quota(&self) -> bool {
        !self.limits.is_empty() || self.guarantees.has_positive()
    }

    /// Whether nothing needs the node.
    #[expect(clippy::float_cmp, reason = "the default weight is stored, never computed")]
    fn is_idle(&self) -> bool {
        self.children.is_empty()
            && self.clients.is_empty()
            && self.reserved.is_zero()
            && !self.has_quota()
            && self.weight == 1.0
    }
}
