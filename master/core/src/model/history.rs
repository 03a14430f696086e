//! Memory with a bound: the oldest entry goes when a new one does not fit.

use std::collections::{BTreeMap, VecDeque};

/// The latest values, oldest first.
#[derive(Clone, Debug)]
pub struct Bounded<T> {
    values: VecDeque<T>,
    limit: usize,
}

impl<T> Bounded<T> {
    /// An empty memory for at most `limit` values; none at all with 0.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            values: VecDeque::new(),
            limit,
        }
    }

    /// Adds a value and gives the one that had to go.
    pub fn push(&mut self, value: T) -> Option<T> {
        self.values.push_back(value);
        if self.values.len() > self.limit {
            self.values.pop_front()
        } else {
            None
        }
    }

    /// The values, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.values.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes out the first value that `matches`.
    pub fn take(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.values.iter().position(matches)?;
        self.values.remove(index)
    }
}

/// Ids with what is remembered of them, the oldest going first.
#[derive(Clone, Debug)]
pub struct RecentIds<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
    limit: usize,
}

impl<K: Ord + Clone, V> RecentIds<K, V> {
    /// An empty memory for at most `limit` ids.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    /// Remembers an id as the youngest, replacing what was remembered of it, and gives the entry that had to go.
    pub fn insert(&mut self, id: K, value: V) -> Option<(K, V)> {
        self.remove(&id);
        self.order.insert(self.next, id.clone());
        self.entries.insert(id, (self.next, value));
        self.next += 1;
        if self.entries.len() <= self.limit {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.entries.remove(&oldest).map(|(_, value)| (oldest, value))
    }

    /// Forgets an id.
    pub fn remove(&mut self, id: &K) -> Option<V> {
        let (position, value) = self.entries.remove(id)?;
        self.order.remove(&position);
        Some(value)
    }

    /// What is remembered of an id.
    pub fn get(&self, id: &K) -> Option<&V> {
        self.entries.get(id).map(|(_, value)| value)
    }

    /// Whether the id is remembered.
    pub fn contains(&self, id: &K) -> bool {
        self.entries.contains_key(id)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order
            .values()
            .filter_map(|id| self.entries.get(id).map(|(_, value)| (id, value)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_value_goes_first() {
        let mut values = Bounded::new(2);
        assert_eq!([values.push(1), values.push(2), values.push(3)], [None, None, Some(1)]);
        assert_eq!(values.iter().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(Bounded::new(0).push(1), Some(1));
    }

    #[test]
    fn an_id_that_comes_again_is_the_youngest() {
        let mut ids = RecentIds::new(2);
        assert_eq!(ids.insert("a", 1), None);
        assert_eq!(ids.insert("b", 2), None);
        assert_eq!(ids.insert("a", 3), None);
        assert_eq!(ids.insert("c", 4), Some(("b", 2)));
        assert_eq!(
            ids.iter().map(|(id, value)| (*id, *value)).collect::<Vec<_>>(),
            [("a", 3), ("c", 4)]
        );
    }
}
