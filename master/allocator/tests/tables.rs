//! The allocator's rules as tables: text files of commands and what they print.
//!
//! A file is a list of cases separated by blank lines: commands, `----`, expected output. All cases of a file share
//! one allocator, `reset` starts a new one. `UPDATE_TABLES=1` writes what was printed into the files; the change is
//! then reviewed like any other. The commands are listed in `tables/README.md`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use libprocess_types::Time;
use mesos::attributes::Attributes;
use mesos::capabilities::{AgentCapabilities, FrameworkCapabilities};
use mesos::ids::{AgentId, FrameworkId};
use mesos::resources::{Conversion, Resources};
use mesos_allocator::api::{
    Activation, AgentInfo, AgentOrder, Allocations, AllocatorOptions, FaultDomain, FrameworkInfo, Hold,
    InverseOfferAnswer, OfferFilters, OfferableAllocation, Quota, SorterKind, Unavailability,
};
use mesos_allocator::constraints::{ExpressionLimits, OfferConstraints};
use mesos_allocator::{Allocator, HierarchicalAllocator};
use support::{print, print_quantities, quantities, resources};

struct Table {
    allocator: HierarchicalAllocator,
    now: Time,
    /// Outstanding offers.
    offers: Vec<OfferableAllocation>,
    /// How frameworks last described themselves.
    described: BTreeMap<FrameworkId, FrameworkInfo>,
}

/// The words of a command: plain ones by position, `key=value` by key.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        let (named, plain): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
        Self {
            plain,
            named: named.into_iter().filter_map(|word| word.split_once('=')).collect(),
        }
    }

    fn at(&self, position: usize) -> &'a str {
        self.plain
            .get(position)
            .unwrap_or_else(|| panic!("word {position} of {:?}", self.plain))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.named.get(key).copied()
    }

    fn set(&self, key: &str) -> BTreeSet<String> {
        self.get(key).map(set).unwrap_or_default()
    }

    fn framework(&self, position: usize) -> FrameworkId {
        FrameworkId::new(self.at(position))
    }

    fn agent(&self, position: usize) -> AgentId {
        AgentId::new(self.at(position))
    }
}

fn set(text: &str) -> BTreeSet<String> {
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().expect("seconds"))
}

fn options(words: &Words<'_>) -> AllocatorOptions {
    let mut options = AllocatorOptions {
        agent_order: AgentOrder::Added,
        ..AllocatorOptions::default()
    };
    if let Some(interval) = words.get("interval") {
        options.allocation_interval = seconds(interval);
    }
    if let Some(minimum) = words.get("min") {
        options.min_allocatable = minimum
            .split('|')
            .filter(|text| !text.is_empty())
            .map(quantities)
            .collect();
    }
    if words.get("sorter") == Some("random") {
        options.role_sorter = SorterKind::Random;
        options.framework_sorter = SorterKind::Random;
    }
    options.region = words.get("region").map(str::to_owned);
    options.fair_sharing_excluded = words.set("exclude");
    options.filter_gpu_resources = words.get("gpu_filter") != Some("off");
    options
}

fn framework_info(words: &Words<'_>) -> FrameworkInfo {
    let mut capabilities = FrameworkCapabilities {
        multi_role: true,
        ..FrameworkCapabilities::none()
    };
    for capability in words.set("can") {
        match capability.as_str() {
            "revocable" => capabilities.revocable_resources = true,
            "shared" => capabilities.shared_resources = true,
            "refined" => capabilities.reservation_refinement = true,
            "gpus" => capabilities.gpu_resources = true,
            "regions" => capabilities.region_aware = true,
            "single" => capabilities.multi_role = false,
            other => panic!("capability {other}"),
        }
    }
    let roles = words.set("roles");
    let minimum = |text: &str| {
        text.split('|')
            .filter(|text| !text.is_empty())
            .map(quantities)
            .collect::<Vec<_>>()
    };
    FrameworkInfo {
        suppressed_roles: words.set("suppressed"),
        min_allocatable: words
            .get("min")
            .map(|text| roles.iter().map(|role| (role.clone(), minimum(text))).collect())
            .unwrap_or_default(),
        roles,
        capabilities,
        offer_constraints: None,
    }
}

fn agent_info(id: &str, words: &Words<'_>) -> AgentInfo {
    let mut capabilities = AgentCapabilities::all();
    for missing in words.set("lacks") {
        match missing.as_str() {
            "multi_role" => capabilities.multi_role = false,
            "hierarchical" => capabilities.hierarchical_role = false,
            other => panic!("capability {other}"),
        }
    }
    AgentInfo {
        hostname: words.get("host").unwrap_or(id).to_owned(),
        capabilities,
        domain: words.get("region").map(|region| FaultDomain {
            region: region.to_owned(),
            zone: "zone".to_owned(),
        }),
        attributes: Attributes::parse(words.get("attributes").unwrap_or(""))
            .expect("attributes")
            .to_protobuf(),
        unavailability: None,
    }
}

/// `used=F:ROLE:RESOURCES`, several separated by `/`, with `,` for the `:` of values.
fn used(words: &Words<'_>) -> BTreeMap<FrameworkId, Resources> {
    let mut all: BTreeMap<FrameworkId, Resources> = BTreeMap::new();
    for part in words
        .get("used")
        .unwrap_or("")
        .split('|')
        .filter(|part| !part.is_empty())
    {
        let mut pieces = part.splitn(3, ':');
        let mut piece = || pieces.next().expect("F:ROLE:RESOURCES");
        let (framework, role, text) = (piece(), piece(), piece());
        *all.entry(FrameworkId::new(framework)).or_default() += resources(text).allocate(role);
    }
    all
}

impl Table {
    fn new(words: &Words<'_>) -> Self {
        Self {
            allocator: HierarchicalAllocator::new(options(words)),
            now: Time::from_nanos(1_000_000_000_000),
            offers: Vec::new(),
            described: BTreeMap::new(),
        }
    }

    /// `constrain F JSON`: the framework describes itself anew with these offer constraints.
    fn constrain(&mut self, text: &str, output: &mut String) {
        let (framework, json) = text.split_once(' ').expect("a framework and JSON");
        let framework = FrameworkId::new(framework);
        let mut info = self.described[&framework].clone();
        let message = mesos::json::from_str(json).expect("offer constraints");
        match OfferConstraints::compile(&message, &info.roles, ExpressionLimits::default()) {
            Ok(constraints) => {
                info.offer_constraints = Some(constraints.into());
                self.allocator.update_framework(self.now, &framework, info);
            }
            Err(error) => {
                let _ = writeln!(output, "{error}");
            }
        }
    }

    fn run(&mut self, line: &str, output: &mut String) {
        if let Some(text) = line.strip_prefix("constrain ") {
            self.constrain(text, output);
            return;
        }
        let words = Words::new(line);
        match words.at(0) {
            "reset" => *self = Self::new(&words),
            "tick" => self.now += seconds(words.at(1)),
            "allocate" => {
                let found = self.allocator.allocate(self.now);
                self.print_allocations(found, output);
            }
            "event" => {
                let asked = self.allocator.has_changes();
                let found = self.allocator.allocate_changed(self.now);
                assert!(asked || found.offers.is_empty(), "offers without a change");
                self.print_allocations(found, output);
            }
            "decline" | "accept" => self.return_offer(&words, output),
            "done" => {
                let freed = resources(words.at(4)).allocate(words.at(3));
                let (framework, agent) = (words.framework(1), words.agent(2));
                self.allocator
                    .recover_resources(self.now, &framework, &agent, &freed, None, Hold::Allocated);
            }
            "convert" | "operate" => self.convert(&words, output),
            "explain" => {
                let (framework, agent) = (words.framework(1), words.agent(3));
                let answer = self.allocator.explain(self.now, &framework, words.at(2), &agent);
                let _ = writeln!(output, "{answer:?}");
            }
            "metrics" => self.print_metrics(output),
            _ => self.run_agent_command(&words, output),
        }
        if let Err(error) = self.allocator.check_invariants() {
            let _ = writeln!(output, "BROKEN after {line}: {error}");
        }
    }

    fn run_agent_command(&mut self, words: &Words<'_>, output: &mut String) {
        let (allocator, now) = (&mut self.allocator, self.now);
        match words.at(0) {
            "agent" => {
                let info = agent_info(words.at(1), words);
                allocator.add_agent(now, &words.agent(1), info, &resources(words.at(2)), &used(words));
            }
            "agent_total" => {
                let info = agent_info(words.at(1), words);
                allocator.update_agent(now, &words.agent(1), info, Some(&resources(words.at(2))));
            }
            "provider" => {
                allocator.add_resource_provider(now, &words.agent(1), &resources(words.at(2)), &used(words));
            }
            "remove_agent" => allocator.remove_agent(now, &words.agent(1)),
            "deactivate_agent" => allocator.deactivate_agent(now, &words.agent(1)),
            "activate_agent" => allocator.activate_agent(now, &words.agent(1)),
            "maintain" => {
                let start = now + seconds(words.at(2));
                let plan = Unavailability {
                    start,
                    duration: words.get("for").map(seconds),
                };
                allocator.update_unavailability(now, &words.agent(1), Some(plan));
            }
            "maintained" => allocator.update_unavailability(now, &words.agent(1), None),
            "inverse" => {
                let answer = match words.at(3) {
                    "accept" => Some(InverseOfferAnswer::Accepted),
                    "decline" => Some(InverseOfferAnswer::Declined),
                    _ => None,
                };
                let filters = words.get("refuse").map(|text| OfferFilters { refuse: seconds(text) });
                allocator.update_inverse_offer(now, &words.agent(2), &words.framework(1), answer, filters);
                for (agent, answers) in allocator.inverse_offer_statuses() {
                    for (framework, status) in answers {
                        let _ = writeln!(output, "{framework} {agent} {:?}", status.answer);
                    }
                }
            }
            "whitelist" => allocator.update_whitelist(now, words.get("hosts").map(set)),
            _ => self.run_framework_command(words, output),
        }
    }

    fn run_framework_command(&mut self, words: &Words<'_>, output: &mut String) {
        let (allocator, now) = (&mut self.allocator, self.now);
        match words.at(0) {
            "framework" => {
                let state = if words.plain.contains(&"inactive") {
                    Activation::Inactive
                } else {
                    Activation::Active
                };
                let info = framework_info(words);
                self.described.insert(words.framework(1), info.clone());
                allocator.add_framework(now, &words.framework(1), info, &BTreeMap::new(), state);
            }
            "update" => {
                let info = framework_info(words);
                self.described.insert(words.framework(1), info.clone());
                allocator.update_framework(now, &words.framework(1), info);
            }
            "remove" => {
                self.offers.retain(|offer| offer.framework != words.framework(1));
                allocator.remove_framework(now, &words.framework(1));
            }
            "activate" => allocator.activate_framework(now, &words.framework(1)),
            "deactivate" => allocator.deactivate_framework(now, &words.framework(1)),
            "suppress" => allocator.suppress_roles(now, &words.framework(1), &words.set("roles")),
            "revive" => allocator.revive_roles(now, &words.framework(1), &words.set("roles")),
            "weights" => {
                let weights = words
                    .named
                    .iter()
                    .map(|(role, weight)| ((*role).to_owned(), weight.parse().expect("a weight")));
                allocator.update_weights(now, &weights.collect());
            }
            "quota" => {
                let quota = Quota {
                    guarantees: quantities(words.get("guarantee").unwrap_or("-")),
                    limits: quantities(words.get("limit").unwrap_or("-")),
                };
                if let Err(error) = allocator.update_quota(now, words.at(1), quota) {
                    let _ = writeln!(output, "{error}");
                }
            }
            "recover" => {
                let quota = Quota {
                    guarantees: quantities(words.at(3)),
                    limits: BTreeMap::new(),
                };
                let expected = words.at(1).parse().expect("a count");
                allocator.recover(now, expected, BTreeMap::from([(words.at(2).to_owned(), quota)]));
            }
            other => panic!("command {other}"),
        }
    }

    /// `decline F ROLE AGENT [refuse=N]`, `accept F ROLE AGENT use=RESOURCES [refuse=N]`; `*` for all that match.
    fn return_offer(&mut self, words: &Words<'_>, output: &mut String) {
        let matches = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        let (returned, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.offers).into_iter().partition(|offer| {
            matches(words.at(1), offer.framework.as_str())
                && matches(words.at(2), &offer.role)
                && matches(words.at(3), offer.agent.as_str())
        });
        self.offers = kept;
        if returned.is_empty() {
            let _ = writeln!(output, "no such offer");
        }
        for offer in returned {
            let used = resources(words.get("use").unwrap_or("")).allocate(&offer.role);
            let mut rest = offer.resources.clone();
            rest.try_subtract(&used).expect("used resources are part of the offer");
            self.allocator
                .transition_offered_to_allocated(&offer.framework, &offer.agent, &used);
            let filters = words.get("refuse").map(|text| OfferFilters { refuse: seconds(text) });
            let (framework, agent) = (&offer.framework, &offer.agent);
            self.allocator
                .recover_resources(self.now, framework, agent, &rest, filters, Hold::Offered);
        }
    }

    /// `convert F ROLE AGENT from=RESOURCES to=RESOURCES`, `operate AGENT from=… to=…`.
    fn convert(&mut self, words: &Words<'_>, output: &mut String) {
        let (from, to) = (
            resources(words.get("from").unwrap_or("")),
            resources(words.get("to").unwrap_or("")),
        );
        let result = if words.at(0) == "convert" {
            let role = words.at(2);
            let conversion = Conversion {
                consumed: from.allocate(role),
                converted: to.allocate(role),
            };
            self.allocator
                .update_allocation(&words.framework(1), &words.agent(3), &[conversion])
        } else {
            let conversion = Conversion {
                consumed: from,
                converted: to,
            };
            self.allocator
                .update_available(self.now, &words.agent(1), &[conversion])
        };
        if let Err(error) = result {
            let _ = writeln!(output, "{error}");
        }
    }

    fn print_allocations(&mut self, found: Allocations, output: &mut String) {
        if found.offers.is_empty() && found.inverse_offers.is_empty() {
            let _ = writeln!(output, "nothing");
        }
        for offer in found.offers {
            let shown = print(&offer.resources.unallocate());
            let _ = writeln!(output, "{} {} {} {shown}", offer.framework, offer.role, offer.agent);
            self.offers.push(offer);
        }
        for asked in found.inverse_offers {
            let starts = asked.unavailability.start.saturating_since(self.now).as_secs();
            let _ = writeln!(output, "inverse {} {} in {starts}s", asked.framework, asked.agent);
        }
    }

    fn print_metrics(&self, output: &mut String) {
        let metrics = self.allocator.metrics(self.now);
        let _ = writeln!(output, "total {}", print_quantities(&metrics.total));
        let _ = writeln!(output, "held {}", print_quantities(&metrics.offered_or_allocated));
        for (role, count) in metrics.offer_filters_active {
            let _ = writeln!(output, "filters {role} {count}");
        }
        for (role, quota) in metrics.quotas {
            let (consumed, held) = (
                print_quantities(&quota.consumed),
                print_quantities(&quota.offered_or_allocated),
            );
            let _ = writeln!(output, "quota {role} consumed {consumed} held {held}");
        }
    }
}

/// Runs a file; gives it back with what was printed in place of what was expected.
fn replay(text: &str) -> String {
    let mut table = Table::new(&Words::new("reset"));
    let mut replayed = Vec::new();
    for case in text.trim_end().split("\n\n") {
        let commands = case.split_once("\n----").map_or(case, |(commands, _)| commands);
        let mut output = String::new();
        let lines = commands
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        for line in lines {
            table.run(line, &mut output);
        }
        let separator = if output.is_empty() { "" } else { "\n----\n" };
        replayed.push(format!("{commands}{separator}{}", output.trim_end()));
    }
    replayed.join("\n\n") + "\n"
}

#[test]
fn every_table_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("tables")
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= 8, "tables are missing in {}", folder.display());
    let mut broken = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("table");
        let replayed = replay(&text);
        if replayed != text {
            if std::env::var_os("UPDATE_TABLES").is_some() {
                std::fs::write(&file, &replayed).expect("table can be written");
            }
            let lines = text.lines().zip(replayed.lines()).enumerate();
            let first = lines.clone().find(|(_, (expected, found))| expected != found);
            broken.push(format!("{}: {first:?}", file.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
