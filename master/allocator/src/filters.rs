//! Offer filters of one agent: what clients declined of it, and until when.
//!
//! Many clients decline the same thing, so distinct declined resources are stored once. Which clients are filtered
//! for all that is free on the agent is worked out once per state of the agent and kept as a set of bits: a cycle
//! that passes thousands of filtered clients then costs one bit test each.

use libprocess_types::Time;
use mesos::resources::Resources;

use crate::bits::Bits;
use crate::tree::ClientIndex;

/// What filters say about a client before any offer is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No filter mentions the client.
    Open,
    /// Some filter mentions the client; the exact offer decides.
    Ask,
    /// Every offer that can be made now is filtered.
    Filtered,
}

#[derive(Clone, Debug)]
struct Filter {
    client: ClientIndex,
    /// Index into the declined resources.
    declined: u32,
    expires: Time,
}

/// The filters of one agent.
#[derive(Clone, Debug, Default)]
pub struct AgentFilters {
    /// Sorted by client.
    filters: Vec<Filter>,
    /// Distinct declined resources, without allocation.
    declined: Vec<Resources>,
    /// The earliest end of a filter.
    next_expiry: Option<Time>,
    filtered: Bits,
    asking: Bits,
    /// The state of the agent for which the bits hold.
    judged: Option<(u64, u64)>,
}

impl AgentFilters {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Adds a filter against all that is contained in `declined`.
    pub fn add(&mut self, client: ClientIndex, declined: &Resources, expires: Time) {
        let known = self
            .declined
            .iter()
            .position(|other| other == declined)
            .unwrap_or_else(|| {
                self.declined.push(declined.clone());
                self.declined.len() - 1
            });
        let declined = u32::try_from(known).unwrap_or(u32::MAX);
        let position = self.filters.partition_point(|filter| filter.client <= client);
        self.filters.insert(
            position,
            Filter {
                client,
                declined,
                expires,
            },
        );
        self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        self.judged = None;
    }

    /// Drops filters that have ended, reporting the client of each.
    pub fn expire(&mut self, now: Time, dropped: impl FnMut(ClientIndex)) {
        if self.next_expiry.is_some_and(|next| next <= now) {
            self.keep(|filter| filter.expires > now, dropped);
        }
    }

    /// Drops the filters of a client.
    pub fn remove_client(&mut self, client: ClientIndex, dropped: impl FnMut(ClientIndex)) {
        if self.of(client).next().is_some() {
            self.keep(|filter| filter.client != client, dropped);
        }
    }

    /// Drops all filters.
    pub fn clear(&mut self, dropped: impl FnMut(ClientIndex)) {
        self.keep(|_| false, dropped);
    }

    fn keep(&mut self, keep: impl Fn(&Filter) -> bool, mut dropped: impl FnMut(ClientIndex)) {
        self.filters.retain(|filter| {
            let kept = keep(filter);
            if !kept {
                dropped(filter.client);
            }
            kept
        });
        self.next_expiry = self.filters.iter().map(|filter| filter.expires).min();
        self.judged = None;
        self.drop_unused();
    }

    /// Forgets declined resources that no filter mentions any more.
    fn drop_unused(&mut self) {
        if self.filters.is_empty() {
            *self = Self::default();
            return;
        }
        let mut used = vec![false; self.declined.len()];
        for filter in &self.filters {
            used[filter.declined as usize] = true;
        }
        if used.iter().all(|used| *used) {
            return;
        }
        let mut moved = vec![0_u32; used.len()];
        let mut next = 0;
        for (index, used) in used.iter().enumerate() {
            moved[index] = next;
            next += u32::from(*used);
        }
        let mut index = 0;
        self.declined.retain(|_| {
            index += 1;
            used[index - 1]
        });
        for filter in &mut self.filters {
            filter.declined = moved[filter.declined as usize];
        }
    }

    /// Works out the verdicts for a state of the agent, unless they are known. `covers` says whether declined
    /// resources contain all that a client could be offered; it is asked once per declined resources and kind of
    /// client, as `kind` tells them apart.
    pub fn judge<K: PartialEq>(
        &mut self,
        state: (u64, u64),
        kind: impl Fn(ClientIndex) -> K,
        mut covers: impl FnMut(&Resources, ClientIndex) -> bool,
    ) {
        if self.judged == Some(state) {
            return;
        }
        self.judged = Some(state);
        self.filtered.clear();
        self.asking.clear();
        let mut known: Vec<(u32, K, bool)> = Vec::new();
        for filter in &self.filters {
            let kind = kind(filter.client);
            let found = known
                .iter()
                .find(|(declined, other, _)| *declined == filter.declined && *other == kind);
            let covered = if let Some((.., covered)) = found {
                *covered
            } else {
                let covered = covers(&self.declined[filter.declined as usize], filter.client);
                known.push((filter.declined, kind, covered));
                covered
            };
            if covered {
                self.filtered.insert(filter.client);
            } else {
                self.asking.insert(filter.client);
            }
        }
    }

    /// The verdict about a client in the state last judged.
    pub fn verdict(&self, client: ClientIndex) -> Verdict {
        if self.filtered.contains(client) {
            Verdict::Filtered
        } else if self.asking.contains(client) {
            Verdict::Ask
        } else {
            Verdict::Open
        }
    }

    /// Whether a filter of the client refuses this offer.
    pub fn refuses(&self, client: ClientIndex, offer: &Resources) -> bool {
        self.of(client)
            .any(|filter| self.declined[filter.declined as usize].contains(offer))
    }

    /// When the last filter of the client that refuses this offer ends.
    pub fn refused_until(&self, client: ClientIndex, offer: &Resources) -> Option<Time> {
        let refusing = self
            .of(client)
            .filter(|filter| self.declined[filter.declined as usize].contains(offer));
        refusing.map(|filter| filter.expires).max()
    }

    /// The client of each filter still in force.
    pub fn clients(&self, now: Time) -> impl Iterator<Item = ClientIndex> + '_ {
        self.filters
            .iter()
            .filter(move |filter| filter.expires > now)
            .map(|filter| filter.client)
    }

    fn of(&self, client: ClientIndex) -> impl Iterator<Item = &Filter> {
        let start = self.filters.partition_point(|filter| filter.client < client);
        self.filters[start..]
            .iter()
            .take_while(move |filter| filter.client == client)
    }
}

#[cfg(test)]
mod tests {
    use mesos::resources::Resource;

    use super::*;

    fn cpus(amount: f64) -> Resources {
        Resources::from(Resource::scalar("cpus", amount))
    }

    fn judge(filters: &mut AgentFilters, state: u64, free: &Resources) {
        filters.judge((state, 0), |_| (), |declined, _| declined.contains(free));
    }

    #[test]
    fn a_filter_refuses_subsets_only() {
        let mut filters = AgentFilters::default();
        filters.add(3, &cpus(2.0), Time::from_nanos(10));
        assert!(filters.refuses(3, &cpus(2.0)) && filters.refuses(3, &cpus(1.0)));
        assert!(!filters.refuses(3, &cpus(2.5)) && !filters.refuses(4, &cpus(1.0)));
        judge(&mut filters, 0, &cpus(2.0));
        assert_eq!(filters.verdict(3), Verdict::Filtered);
        assert_eq!(filters.verdict(4), Verdict::Open);
        judge(&mut filters, 1, &cpus(3.0));
        assert_eq!(filters.verdict(3), Verdict::Ask);
    }

    #[test]
    fn filters_end_and_leave_nothing() {
        let mut filters = AgentFilters::default();
        for client in [5, 1, 3] {
            filters.add(client, &cpus(f64::from(client)), Time::from_nanos(u64::from(client)));
        }
        let mut dropped = Vec::new();
        filters.expire(Time::from_nanos(3), |client| dropped.push(client));
        assert_eq!(dropped, [1, 3]);
        assert!(
            filters.refuses(5, &cpus(5.0)),
            "the remaining filter still finds its resources"
        );
        assert_eq!(filters.refused_until(5, &cpus(1.0)), Some(Time::from_nanos(5)));
        filters.remove_client(5, |client| dropped.push(client));
        assert!(filters.is_empty() && filters.declined.is_empty());
    }

    #[test]
    fn equal_declined_resources_are_stored_once() {
        let mut filters = AgentFilters::default();
        for client in 0..100 {
            filters.add(client, &cpus(4.0), Time::MAX);
        }
        assert_eq!(filters.declined.len(), 1);
    }
}
