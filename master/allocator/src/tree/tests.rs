//! The role tree: shares, ranks and the order in which they change.

use proptest::prelude::*;

use super::*;

/// A cluster of plain quantities whose resources go to clients one task at a time.
struct Bench {
    tree: RoleTree,
    left: Vec<i64>,
    clients: Vec<(char, ClientIndex, Vec<i64>)>,
    order: String,
}

fn vector(quantities: &[i64]) -> Vector {
    let mut vector = Vector::default();
    for (place, quantity) in quantities.iter().enumerate() {
        vector.set(place, quantity * 1000);
    }
    vector
}

impl Bench {
    /// Each client in a role of its own name with the weight given, and the demand of one task.
    fn new(total: &[i64], clients: &[(char, f64, &[i64])]) -> Self {
        let mut tree = RoleTree::new(SorterKind::Drf, SorterKind::Drf, Vec::new());
        tree.change_total(|sum| sum.add(&vector(total)));
        let mut listed = Vec::new();
        for (number, (name, weight, demand)) in clients.iter().enumerate() {
            let path = name.to_string();
            let role = tree.ensure_role(&path);
            let client = tree.add_client(role, u32::try_from(number).expect("few"), Arc::from(path.as_str()));
            tree.set_weight(&path, *weight);
            tree.activate(client);
            listed.push((*name, client, demand.to_vec()));
        }
        Self {
            tree,
            left: total.to_vec(),
            clients: listed,
            order: String::new(),
        }
    }

    /// Gives one task to the best ranked client; false when its task does not fit.
    fn give(&mut self) -> bool {
        self.tree.refresh();
        let mut random = Random::new(0);
        let mut cursor = RoleCursor::default();
        let role = self
            .tree
            .role_cursor(&mut cursor, &mut random)
            .next(&self.tree)
            .expect("there are roles");
        let client = self.tree.active_clients(role)[0];
        let (name, _, demand) = self
            .clients
            .iter()
            .find(|(_, other, _)| *other == client)
            .expect("listed");
        if demand.iter().zip(&self.left).any(|(wanted, left)| wanted > left) {
            return false;
        }
        self.left
            .iter_mut()
            .zip(demand)
            .for_each(|(left, wanted)| *left -= wanted);
        self.tree.allocate(client, &vector(demand));
        self.order.push(*name);
        true
    }

    fn run(mut self) -> (String, Vec<usize>, Vec<f64>) {
        while self.give() {}
        let counts = self
            .clients
            .iter()
            .map(|(name, ..)| self.order.matches(*name).count())
            .collect();
        let shares = self
            .clients
            .iter()
            .map(|(_, client, _)| self.tree.client(*client).standing.share)
            .collect();
        (self.order, counts, shares)
    }
}

/// The worked example of the DRF paper.
#[test]
fn two_clients_reach_equal_dominant_shares() {
    let (order, counts, shares) = Bench::new(&[9, 18], &[('A', 1.0, &[1, 4]), ('B', 1.0, &[3, 1])]).run();
    assert_eq!(order, "ABABA");
    assert_eq!(counts, [3, 2]);
    assert!(
        shares.iter().all(|share| (share - 2.0 / 3.0).abs() < 1e-12),
        "{shares:?}"
    );
}

#[test]
fn weights_scale_dominant_shares() {
    for (first, second, expected) in [
        (2.0, 1.0, [41, 14]),
        (1.0, 1.0, [30, 20]),
        (1.0, 2.0, [18, 24]),
        (3.0, 1.0, [42, 10]),
    ] {
        let bench = Bench::new(&[90, 180], &[('A', first, &[1, 4]), ('B', second, &[3, 1])]);
        assert_eq!(bench.run().1, expected, "weights {first}:{second}");
    }
}

#[test]
fn a_scarce_resource_dominates() {
    let (_, counts, _) = Bench::new(&[100, 10_000], &[('A', 1.0, &[2, 300]), ('B', 1.0, &[6, 100])]).run();
    assert_eq!(counts, [20, 10]);
}

#[test]
fn ties_go_by_count_then_name() {
    let mut bench = Bench::new(&[10], &[('B', 1.0, &[1]), ('A', 1.0, &[1])]);
    assert!(bench.give());
    assert_eq!(bench.order, "A", "equal share and count: by name");
    let first = bench.clients[1].1;
    bench.tree.adjust(first, &vector(&[-1]));
    assert!(bench.give());
    assert_eq!(bench.order, "AB", "equal share: the one with fewer allocations");
}

#[test]
fn excluded_quantities_do_not_rank() {
    let mut tree = RoleTree::new(SorterKind::Drf, SorterKind::Drf, vec![1]);
    tree.change_total(|sum| sum.add(&vector(&[10, 10])));
    let role = tree.ensure_role("r");
    let client = tree.add_client(role, 0, Arc::from("f"));
    tree.allocate(client, &vector(&[1, 9]));
    tree.refresh();
    assert!((tree.client(client).standing.share - 0.1).abs() < 1e-12);
}

fn walk(tree: &RoleTree, random: &mut Random) -> Vec<String> {
    let mut cursor = RoleCursor::default();
    tree.role_cursor(&mut cursor, random);
    std::iter::from_fn(|| cursor.next(tree))
        .map(|role| tree.role(role).path.to_string())
        .collect()
}

#[test]
fn a_role_with_roles_below_competes_among_them() {
    let mut tree = RoleTree::new(SorterKind::Drf, SorterKind::Drf, Vec::new());
    tree.change_total(|sum| sum.add(&vector(&[100])));
    let mut clients = Vec::new();
    for path in ["a", "a/x", "a/y", "b"] {
        let role = tree.ensure_role(path);
        clients.push(tree.add_client(role, 0, Arc::from(path)));
        tree.activate(*clients.last().expect("just pushed"));
    }
    let mut random = Random::new(0);
    tree.refresh();
    assert_eq!(walk(&tree, &mut random), ["a", "a/x", "a/y", "b"]);
    tree.allocate(clients[0], &vector(&[10]));
    assert_eq!(
        walk(&tree, &mut random),
        ["b", "a/x", "a/y", "a"],
        "the subtree carries its parts' account"
    );
    tree.allocate(clients[3], &vector(&[20]));
    tree.allocate(clients[1], &vector(&[5]));
    assert_eq!(walk(&tree, &mut random), ["a/y", "a/x", "a", "b"]);
    tree.deactivate(clients[2]);
    assert_eq!(walk(&tree, &mut random), ["a/x", "a", "b"]);
    tree.adjust(clients[1], &vector(&[-5]));
    tree.deactivate(clients[1]);
    tree.remove_client(clients[1]);
    tree.remove_client(clients[2]);
    assert!(tree.find("a/x").is_none(), "nothing needs the role any more");
    assert_eq!(walk(&tree, &mut random), ["a", "b"]);
}

#[test]
fn the_lottery_follows_weights() {
    let mut tree = RoleTree::new(SorterKind::Random, SorterKind::Random, Vec::new());
    for (path, weight) in [("heavy", 3.0), ("light", 1.0)] {
        let role = tree.ensure_role(path);
        let client = tree.add_client(role, 0, Arc::from(path));
        tree.activate(client);
        tree.set_weight(path, weight);
    }
    tree.refresh();
    let mut random = Random::new(42);
    let first = (0..4000).filter(|_| walk(&tree, &mut random)[0] == "heavy").count();
    assert!((2850..3150).contains(&first), "{first} of 4000 wins");
}

#[test]
fn the_client_lottery_draws_each_once() {
    let mut tree = RoleTree::new(SorterKind::Drf, SorterKind::Random, Vec::new());
    let role = tree.ensure_role("r");
    for number in 0..50_u32 {
        let client = tree.add_client(role, number, Arc::from(format!("f{number}")));
        tree.activate(client);
    }
    let mut random = Random::new(3);
    let mut cursor = ClientCursor::default();
    tree.client_cursor(role, &mut cursor);
    let active = tree.active_clients(role).to_vec();
    let mut drawn: Vec<_> = std::iter::from_fn(|| cursor.next(&active, &mut random)).collect();
    assert_ne!(drawn, active);
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 50);
}

proptest! {
    /// Moving single entries keeps every level as a full sort would have it.
    #[test]
    fn incremental_ranking_equals_sorting(steps in prop::collection::vec((0_usize..6, 0_u8..5, 1_i64..9), 1..80)) {
        let paths = ["a", "a/x", "a/y", "b", "b/z/w", "c"];
        let mut tree = RoleTree::new(SorterKind::Drf, SorterKind::Drf, Vec::new());
        tree.change_total(|sum| sum.add(&vector(&[1000, 500])));
        let mut clients = Vec::new();
        for path in paths {
            for number in 0..3_u32 {
                let role = tree.ensure_role(path);
                clients.push(tree.add_client(role, number, Arc::from(format!("f{number}"))));
            }
        }
        tree.refresh();
        let mut random = Random::new(0);
        for (step, (at, action, amount)) in steps.into_iter().enumerate() {
            let client = clients[at * 3 + step % 3];
            match action {
                0 => tree.activate(client),
                1 => tree.deactivate(client),
                2 | 3 => tree.allocate(client, &vector(&[amount, 10 - amount])),
                _ => {
                    let mut returned = Vector::default();
                    returned.subtract(&tree.client(client).standing.allocated);
                    tree.adjust(client, &returned);
                }
            }
            let mut sorted = tree.clone();
            sorted.stale = true;
            sorted.refresh();
            prop_assert_eq!(walk(&tree, &mut random), walk(&sorted, &mut random));
            for path in paths {
                let role = tree.find(path).expect("kept by its clients");
                prop_assert_eq!(tree.active_clients(role), sorted.active_clients(role));
            }
        }
    }
}

#[test]
fn the_lottery_is_fair_across_levels() {
    let mut tree = RoleTree::new(SorterKind::Random, SorterKind::Random, Vec::new());
    for path in ["r", "r/x", "s", "t/u"] {
        let role = tree.ensure_role(path);
        let client = tree.add_client(role, 0, Arc::from(path));
        tree.activate(client);
    }
    tree.refresh();
    let mut random = Random::new(7);
    let mut first: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for _ in 0..6000 {
        let order = walk(&tree, &mut random);
        assert_eq!(order.len(), 4);
        *first.entry(order[0].clone()).or_default() += 1;
    }
    let expected = [("r", 1000), ("r/x", 1000), ("s", 2000), ("t/u", 2000)];
    for (path, wins) in expected {
        assert!(first[path].abs_diff(wins) < 150, "{first:?}");
    }
}
