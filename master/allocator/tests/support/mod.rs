//! Short text forms for tests: resources, frameworks, agents.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;

use mesos::resources::{Reservation, Resource, Resources};
use mesos::values::Scalar;
use mesos_allocator::api::Quantities;
use mesos_proto::v0::mesos as proto;

/// Reads `cpus:4;mem(role):512;disk(a+a/b)[volume]<shared>:64;cpus{rev}:2`: the text form of the command line, with
/// stacks of reservations (the first static, the rest dynamic), a persistent volume in brackets, and marks.
pub fn resources(text: &str) -> Resources {
    let mut bag = Resources::new();
    for item in text.split(';').filter(|item| !item.is_empty()) {
        let (head, value) = item.split_once(':').expect("NAME:VALUE");
        let end = head.find(['(', '[', '{', '<']).unwrap_or(head.len());
        let plain = Resources::parse(&format!("{}:{value}", &head[..end]), "*").expect("value");
        let mut resource: Resource = plain.iter().next().expect("not empty").clone();
        if let Some(stack) = between(head, '(', ')') {
            let mut reservations: Vec<Reservation> = Vec::new();
            for role in stack.split('+') {
                let first = reservations.is_empty();
                let made = if first {
                    Reservation::fixed(role)
                } else {
                    Reservation::dynamic(role, None)
                };
                reservations.push(made);
            }
            resource = resource.with_reservations(reservations);
        }
        if let Some(volume) = between(head, '[', ']') {
            let mut disk = proto::resource::DiskInfo::new();
            disk.persistence.mut_or_insert_default().set_id(volume.to_owned());
            resource = resource.with_disk(Some(disk));
        }
        if head.contains("{rev}") {
            resource = resource.with_revocable();
        }
        if head.contains("<shared>") {
            resource = resource.with_shared(true);
        }
        bag.add_resource(resource);
    }
    bag
}

fn between(text: &str, open: char, close: char) -> Option<&str> {
    let start = text.find(open)? + open.len_utf8();
    let length = text[start..].find(close)?;
    Some(&text[start..start + length])
}

/// Prints resources in the form that [`resources`] reads, in order of name.
pub fn print(resources: &Resources) -> String {
    let mut items: Vec<String> = resources.iter().map(print_one).collect();
    items.sort();
    items.join(";")
}

fn print_one(resource: &Resource) -> String {
    let mut text = resource.name().to_string();
    let roles: Vec<&str> = resource
        .reservations()
        .iter()
        .map(|reservation| &*reservation.role)
        .collect();
    if !roles.is_empty() {
        text += &format!("({})", roles.join("+"));
    }
    if let Some(volume) = resource.persistence_id() {
        text += &format!("[{volume}]");
    }
    if resource.is_revocable() {
        text += "{rev}";
    }
    if resource.is_shared() {
        text += "<shared>";
    }
    format!("{text}:{}", resource.value())
}

/// Reads `cpus:4;mem:512` as plain quantities; `-` is none.
pub fn quantities(text: &str) -> Quantities {
    let items = text.split(';').filter(|item| !item.is_empty() && *item != "-");
    let quantity = |item: &str| {
        let (name, value) = item.split_once(':').expect("NAME:NUMBER");
        (name.to_owned(), Scalar::from_f64(value.parse().expect("a number")))
    };
    items.map(quantity).collect::<BTreeMap<_, _>>()
}

/// Prints quantities in the form that [`quantities`] reads.
pub fn print_quantities(quantities: &Quantities) -> String {
    let items: Vec<String> = quantities
        .iter()
        .map(|(name, scalar)| format!("{name}:{scalar}"))
        .collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(";")
    }
}
