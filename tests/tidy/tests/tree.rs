//! What of docs/style.md can be checked by a program.

use std::collections::{BTreeMap, BTreeSet};

use mesos_tests_tidy::{files, manifests, root, text};

/// The floor of each crate of the house; a crate may name crates of lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("mesos-proto-build", 0),
    ("libprocess-types", 0),
    ("mesos-proto-v0", 1),
    ("mesos-proto-v1", 1),
    ("mesos-proto-specs", 2),
    ("mesos-proto-internal", 3),
    ("mesos-proto", 4),
    ("libprocess", 5),
    ("mesos", 5),
    ("mesos-webui", 5),
    ("mesos-node", 6),
    ("mesos-allocator", 6),
    ("mesos-registrar", 6),
    ("mesos-containerizer", 6),
    ("mesos-agent-core", 6),
    ("mesos-master-core", 7),
    ("mesos-scheduler-driver", 7),
    ("mesos-executor-driver", 7),
    ("mesos-checks", 7),
    ("mesos-master", 8),
    ("mesos-agent", 8),
    ("mesos-command-executor", 8),
    ("mesos-default-executor", 8),
    ("mesos-execute", 8),
    ("mesos-example-frameworks", 8),
    ("mesos-tests-conformance", 8),
    ("mesos-cli", 9),
    ("mesos-thin-programs", 9),
    ("mesos-tests-tidy", 10),
    ("mesos-tests-cluster", 10),
    ("mesos-tests-load", 10),
    ("mesos-tests-simulation", 10),
];

/// Crates that hold rules only.
const CORES: &[&str] = &[
    "libprocess-types",
    "mesos",
    "mesos-allocator",
    "mesos-registrar",
    "mesos-master-core",
    "mesos-agent-core",
];

/// Crates that reach for the network, files, threads or the clock; a core that wants one lacks an effect.
const NOT_IN_CORES: &[&str] = &[
    "tokio",
    "actix",
    "actix-rt",
    "actix-web",
    "actix-http",
    "nix",
    "socket2",
    "rand",
    "libprocess",
];

#[test]
fn every_crate_has_a_floor_and_names_only_lower_ones() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    for manifest in manifests() {
        let floor = *floors
            .get(manifest.name.as_str())
            .unwrap_or_else(|| panic!("{} has no floor", manifest.name));
        for dependency in &manifest.dependencies {
            if let Some(below) = floors.get(dependency.as_str()) {
                assert!(
                    *below < floor,
                    "{} (floor {floor}) names {dependency} (floor {below})",
                    manifest.name
                );
            }
        }
    }
}

#[test]
fn master_and_agent_never_name_each_other() {
    for manifest in manifests() {
        let (mine, theirs) = match manifest.folder.split('/').next() {
            Some("master") => ("master", "agent"),
            Some("agent") => ("agent", "master"),
            _ => continue,
        };
        for dependency in &manifest.dependencies {
            let foreign = dependency.starts_with(&format!("mesos-{theirs}"));
            assert!(!foreign, "{} in {mine}/ names {dependency}", manifest.name);
        }
    }
}

#[test]
fn cores_do_no_input_or_output() {
    for manifest in manifests()
        .iter()
        .filter(|manifest| CORES.contains(&manifest.name.as_str()))
    {
        for dependency in &manifest.dependencies {
            assert!(
                !NOT_IN_CORES.contains(&dependency.as_str()),
                "{} lists {dependency}",
                manifest.name
            );
        }
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    for manifest in manifests() {
        assert!(
            manifest.inherits_lints,
            "{} lacks `[lints] workspace = true`",
            manifest.name
        );
    }
}

#[test]
fn files_stay_readable() {
    let mut wrong = Vec::new();
    for path in files(".rs") {
        let source = text(&path);
        let lines = source.lines().count();
        if lines > 900 {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
        if !source.starts_with("//!") {
            wrong.push(format!("{} does not open with what it is", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_say_what_is_inside() {
    for path in files(".rs") {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(
            !["common", "util", "utils", "misc", "helpers"].contains(&stem),
            "{}",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_half_done() {
    // Put together here, so that this file holds none of them itself.
    let marks = [["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat()).join("|");
    let macros = [["to", "do"], ["unimple", "mented"], ["d", "bg"]]
        .map(|halves| halves.concat())
        .join("|");
    let pattern = format!(r"\b({macros})!\s*[(\[{{]|\b({marks})\b");
    let unfinished = regex::Regex::new(&pattern).expect("a valid pattern");
    assert!(
        unfinished.is_match(&["to", "do!()"].concat()),
        "the pattern finds what it is for"
    );
    for path in files(".rs") {
        for (number, line) in text(&path).lines().enumerate() {
            assert!(!unfinished.is_match(line), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let base: BTreeSet<&str> = "actix actix-web tokio serde bincode protobuf tracing prometheus nix"
        .split_whitespace()
        .collect();
    let reasons = text(&root().join("docs/dependencies.md"));
    let workspace = text(&root().join("Cargo.toml"));
    let section = workspace
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next());
    for line in section.expect("the workspace lists its dependencies").lines() {
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        if value.contains("path = ") || base.contains(name) {
            continue;
        }
        assert!(
            reasons.contains(&format!("`{name}`")),
            "docs/dependencies.md gives no reason for {name}"
        );
    }
}

#[test]
fn the_checks_run_the_command_of_the_readme() {
    let readme = text(&root().join("README.md"));
    let checks = text(&root().join(".ci/run"));
    let command = "cargo test --workspace";
    assert!(
        readme.lines().any(|line| line.trim() == command),
        "README.md does not show `{command}`"
    );
    assert!(
        checks.lines().any(|line| line.trim() == format!("step {command}")),
        ".ci/run does not run `{command}`"
    );
}

/// Names of the first two columns of a table of the facts, with the rows of a kind that the document speaks of.
fn names_of(table: &str, column: usize) -> Vec<String> {
    let path = root().join("../shared/facts").join(table);
    let rows = text(&path);
    rows.lines()
        .skip(1)
        .filter_map(|row| row.split('\t').nth(column))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_compatibility_document_has_a_row_for_everything() {
    let document = text(&root().join("docs/compatibility.md"));
    let mut missing = Vec::new();
    for (table, column) in [
        ("flags_master.tsv", 0),
        ("flags_agent.tsv", 0),
        ("endpoints.tsv", 2),
        ("operator_calls.tsv", 1),
        ("messages_flow.tsv", 0),
    ] {
        for name in names_of(table, column).into_iter().filter(|name| !name.is_empty()) {
            let shown = [format!("`{name}`"), format!("`--{name}`"), format!("| {name} |")];
            if !shown.iter().any(|shown| document.contains(shown)) {
                missing.push(format!("{table}: {name}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/compatibility.md lacks:\n{}",
        missing.join("\n")
    );
}

#[test]
fn the_compatibility_document_names_scenarios_that_are_there() {
    let document = text(&root().join("docs/compatibility.md"));
    let folder = root().join("tests/conformance/scenarios");
    let mut named = 0;
    for line in document.lines() {
        let Some((_, places)) = line.split_once("scenarios `") else {
            continue;
        };
        // Every other part between the marks is a name.
        for place in places.split('`').step_by(2).filter(|place| place.contains('/')) {
            named += 1;
            assert!(folder.join(format!("{place}.txt")).is_file(), "{line}");
        }
    }
    assert!(named > 0, "no row names a scenario");
}
