//! One allocation cycle: walks agents and hands what is free on them to clients in their ranking.
//!
//! A cycle has two passes over the agents. The first serves only roles whose guarantees are not consumed yet, and is
//! left out when there are none. The second hands out everything, within limits and while enough stays free for
//! guarantees. The ranking that holds when an agent's turn begins holds for the whole turn: standings change after
//! it, accounts of quota at once.

use std::borrow::Cow;

use libprocess_types::Time;
use mesos::resources::{Resource, Resources};

use crate::agent::Agent;
use crate::filters::Verdict;
use crate::framework::{Framework, Tastes};
use crate::ledger::Ledger;
use crate::quantities::Vector;
use crate::quota::{self, Caps};
use crate::random::Random;
use crate::rules::Rules;
use crate::slab::Slab;
use crate::tree::{ClientCursor, ClientIndex, RoleCursor, RoleIndex, RoleTree};

/// Resources of an agent that a client was given, without allocation.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who got them.
    pub client: ClientIndex,
    /// The agent's slot.
    pub agent: u32,
    /// What.
    pub resources: Resources,
}

/// A part of an agent's free resources as a role and frameworks of some tastes see it.
struct View {
    role: RoleIndex,
    tastes: Tastes,
    resources: Resources,
    quantities: Vector,
}

/// What is left of an agent during its turn.
struct Turn {
    slot: u32,
    left: Resources,
    quantities: Vector,
    /// Views of `left`, made when first asked for; unused while all see the same.
    views: Vec<View>,
}

/// Everything that a cycle works with.
pub struct Cycle<'a> {
    /// Roles and clients.
    pub tree: &'a mut RoleTree,
    /// Sums.
    pub ledger: &'a mut Ledger,
    /// Frameworks by slot.
    pub frameworks: &'a Slab<Framework>,
    /// Who may get what.
    pub rules: &'a Rules,
    /// Source of lots.
    pub random: &'a mut Random,
    /// The time of the cycle.
    pub now: Time,
    /// Changes with everything beside agents that lets somebody be offered more than before.
    pub epoch: u64,
    /// Changes with what frameworks may see.
    pub tastes_epoch: u64,
    /// Whether some framework has minimums of its own.
    pub has_minimums: bool,
    /// Whether some role has quota.
    pub has_quota: bool,
    /// What was granted so far.
    pub granted: Vec<Grant>,
    /// Scratch space.
    pub scratch: Scratch,
}

/// Lists that cycles reuse.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    roles: RoleCursor,
    clients: ClientCursor,
    standings: Vec<(ClientIndex, Vector)>,
}

/// Which pass of the cycle asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Guarantees,
    FairShares,
}

impl Cycle<'_> {
    /// Runs both passes over the agents in the order given.
    pub fn run(&mut self, slots: &[u32], agents: &mut Slab<Agent>) {
        self.tree.refresh();
        for slot in slots {
            self.drop_ended_filters(agents.at_mut(*slot));
        }
        for slot in slots {
            if !self.tree.required().has_positive() {
                break;
            }
            self.visit(*slot, agents.at_mut(*slot), Pass::Guarantees);
        }
        for slot in slots {
            self.visit(*slot, agents.at_mut(*slot), Pass::FairShares);
        }
    }

    fn drop_ended_filters(&mut self, agent: &mut Agent) {
        let mut dropped = false;
        agent.filters.expire(self.now, |client| {
            self.tree.client_mut(client).filters -= 1;
            dropped = true;
        });
        if dropped {
            agent.touch();
        }
    }

    /// One agent's turn.
    fn visit(&mut self, slot: u32, agent: &mut Agent, pass: Pass) {
        let mark = Some((agent.state, self.epoch));
        if !self.has_quota && agent.fruitless == mark {
            return;
        }
        let Some(mut turn) = self.begin(slot, agent) else {
            return;
        };
        let given_before = self.granted.len();
        self.judge_filters(agent, &mut turn);
        let mut roles = std::mem::take(&mut self.scratch.roles);
        self.tree.role_cursor(&mut roles, self.random);
        while let Some(role) = roles.next(self.tree) {
            self.serve_role(agent, &mut turn, role, pass);
            if !self.is_worth_going_on(&turn) {
                break;
            }
        }
        self.scratch.roles = roles;
        self.apply_standings();
        if self.granted.len() == given_before {
            agent.fruitless = mark;
        }
    }

    fn begin(&mut self, slot: u32, agent: &Agent) -> Option<Turn> {
        if agent.free.is_empty() {
            return None;
        }
        let mut left = agent.free.clone();
        if !agent.uniform {
            // A shared resource is offered once per cycle: what the first pass gave is not there for the second.
            let given = self
                .granted
                .iter()
                .filter(|grant| self.has_quota && grant.agent == slot);
            let given: Resources = given.map(|grant| grant.resources.shared()).sum();
            left = left.filter(|resource| !given.contains_resource(resource));
        }
        let quantities = self.ledger.places.vector(&left);
        let turn = Turn {
            slot,
            left,
            quantities,
            views: Vec::new(),
        };
        self.is_worth_going_on(&turn).then_some(turn)
    }

    /// Whether something is left that somebody may find worth an offer.
    fn is_worth_going_on(&self, turn: &Turn) -> bool {
        if self.has_minimums {
            return turn.left.iter().any(|resource| !resource.is_shared());
        }
        !turn.left.is_empty() && self.rules.is_worth_by_default(&turn.quantities)
    }

    fn judge_filters(&mut self, agent: &mut Agent, turn: &mut Turn) {
        if agent.filters.is_empty() {
            return;
        }
        let (tree, frameworks) = (&*self.tree, self.frameworks);
        let kind = |client: ClientIndex| {
            let client = tree.client(client);
            (client.role, frameworks.at(client.framework).tastes)
        };
        let (ledger, uniform, state) = (&mut *self.ledger, agent.uniform, agent.state);
        agent.filters.judge(
            (state, self.tastes_epoch),
            |client| if uniform { Kind::Any } else { Kind::Of(kind(client)) },
            {
                |declined, client| {
                    if uniform {
                        return declined.contains(&turn.left);
                    }
                    let (role, tastes) = kind(client);
                    declined.contains(&turn.view(tree, ledger, role, tastes).resources)
                }
            },
        );
    }

    /// Offers what is left to the clients of one role.
    fn serve_role(&mut self, agent: &mut Agent, turn: &mut Turn, role: RoleIndex, pass: Pass) {
        let Some(mut caps) = self.caps(turn, role, pass) else {
            return;
        };
        let mut clients = std::mem::take(&mut self.scratch.clients);
        self.tree.client_cursor(role, &mut clients);
        while let Some((client, verdict)) = self.next_client(agent, role, &mut clients) {
            let Some(offer) = self.offer(agent, turn, client, verdict, &caps) else {
                continue;
            };
            self.grant(agent, turn, client, offer);
            if !self.is_worth_going_on(turn) {
                break;
            }
            match self.caps(turn, role, pass) {
                Some(changed) => caps = changed,
                None => break,
            }
        }
        self.scratch.clients = clients;
    }

    /// The next client that filters do not rule out entirely.
    fn next_client(
        &mut self,
        agent: &Agent,
        role: RoleIndex,
        clients: &mut ClientCursor,
    ) -> Option<(ClientIndex, Verdict)> {
        let active = self.tree.active_clients(role);
        if agent.filters.is_empty() {
            return Some((clients.next(active, self.random)?, Verdict::Open));
        }
        loop {
            let client = clients.next(active, self.random)?;
            let verdict = agent.filters.verdict(client);
            if verdict != Verdict::Filtered {
                return Some((client, verdict));
            }
        }
    }

    /// The bounds for a role in a pass; `None` when the pass has nothing for the role.
    fn caps(&self, turn: &Turn, role: RoleIndex, pass: Pass) -> Option<Caps> {
        match pass {
            _ if !self.has_quota => Some(Caps::default()),
            Pass::FairShares => Some(quota::fair_caps(self.tree, self.ledger, role, &turn.quantities)),
            Pass::Guarantees => quota::guarantee_caps(self.tree, self.ledger, role, &turn.quantities),
        }
    }

    /// What a client may be offered now, if it is worth an offer.
    fn offer(
        &mut self,
        agent: &Agent,
        turn: &mut Turn,
        client: ClientIndex,
        verdict: Verdict,
        caps: &Caps,
    ) -> Option<Resources> {
        let (role, slot) = (self.tree.client(client).role, self.tree.client(client).framework);
        let framework = self.frameworks.at(slot);
        if self
            .rules
            .refuses_pair(framework, &self.tree.role(role).path, agent)
            .is_some()
        {
            return None;
        }
        let (resources, quantities) = if agent.uniform {
            (&turn.left, &turn.quantities)
        } else {
            let view = turn.view(self.tree, self.ledger, role, framework.tastes);
            (&view.resources, &view.quantities)
        };
        let (offer, quantities) = if caps.is_empty() {
            (Cow::Borrowed(resources), Cow::Borrowed(quantities))
        } else {
            let chopped = caps.chop(resources, &self.ledger.places);
            let quantities = self.ledger.places.vector(&chopped);
            (Cow::Owned(chopped), Cow::Owned(quantities))
        };
        let nothing = !agent.uniform && offer.iter().all(Resource::is_shared) || offer.is_empty();
        if nothing || !self.rules.is_worth(&quantities, framework, client) {
            return None;
        }
        if !caps.is_served_by(&offer, &self.ledger.places) {
            return None;
        }
        let refused = verdict == Verdict::Ask && agent.filters.refuses(client, &offer);
        (!refused).then(|| offer.into_owned())
    }

    fn grant(&mut self, agent: &mut Agent, turn: &mut Turn, client: ClientIndex, offer: Resources) {
        let role = self.tree.client(client).role;
        let difference = self
            .ledger
            .change_holding(self.tree, agent, client, |held| *held += &offer);
        self.tree.charge(role, |node| node.offered.add(&difference.charged));
        if agent.uniform {
            agent.free -= &offer;
        } else {
            agent.free -= &offer.nonshared();
        }
        if agent.free.is_empty() {
            // Agents that are held whole are the rule: keep no room for nothing.
            agent.free = Resources::new();
        }
        agent.touch();
        turn.take(&offer, &mut self.ledger.places);
        self.scratch.standings.push((client, difference.all));
        self.granted.push(Grant {
            client,
            agent: turn.slot,
            resources: offer,
        });
    }

    fn apply_standings(&mut self) {
        for (client, quantities) in self.scratch.standings.drain(..) {
            self.tree.allocate(client, &quantities);
        }
    }
}

/// Clients of one kind see the same of an agent.
#[derive(PartialEq)]
enum Kind {
    Any,
    Of((RoleIndex, Tastes)),
}

impl Turn {
    fn view(&mut self, tree: &RoleTree, ledger: &mut Ledger, role: RoleIndex, tastes: Tastes) -> &View {
        let known = self
            .views
            .iter()
            .position(|view| view.role == role && view.tastes == tastes);
        let position = known.unwrap_or_else(|| {
            let resources = tastes.view(&self.left, &tree.role(role).path);
            let quantities = ledger.places.vector(&resources);
            self.views.push(View {
                role,
                tastes,
                resources,
                quantities,
            });
            self.views.len() - 1
        });
        &self.views[position]
    }

    fn take(&mut self, offer: &Resources, places: &mut crate::quantities::Places) {
        self.left -= offer;
        self.quantities = places.vector(&self.left);
        self.views.clear();
    }
}
