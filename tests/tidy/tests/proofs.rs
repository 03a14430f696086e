//! Each row of docs/compatibility.md that works says where that is proved, and what it names exists.

use std::collections::BTreeSet;

use mesos_tests_tidy::{files, root, text};

/// What a row may say instead of a proof.
const WITHOUT: [&str; 2] = ["no test of its own", "calls below"];

/// Names of all functions and of all files of tests.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files(".rs") {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        names.extend(stem);
        for line in text(&file).lines() {
            let Some((_, rest)) = line.split_once("fn ") else {
                continue;
            };
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
        }
    }
    names
}

/// Parts of a note between backticks.
fn quoted(note: &str) -> impl Iterator<Item = &str> {
    note.split('`').skip(1).step_by(2)
}

fn is_proof(name: &str, names: &BTreeSet<String>) -> bool {
    let place = root().join(name);
    if name.contains('/') {
        let scenario = root().join("tests/conformance/scenarios").join(format!("{name}.txt"));
        return place.exists() || scenario.is_file() || name.split('/').all(|part| names.contains(part));
    }
    // `module::test`, `module::begin_*`, `module::*`, `test`.
    name.split("::").all(|part| match part.strip_suffix('*') {
        Some(begin) => names.iter().any(|known| known.starts_with(begin)),
        None => names.contains(part),
    })
}

#[test]
fn every_row_that_works_names_its_proof() {
    let names = names();
    let document = text(&root().join("docs/compatibility.md"));
    let mut unproved = Vec::new();
    let mut rows = 0;
    for line in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(position) = cells.iter().position(|cell| cell.starts_with("works")) else {
            continue;
        };
        rows += 1;
        let note = cells[position + 1..].join(" ");
        let excused = WITHOUT.iter().any(|text| note.contains(text));
        if !excused && !quoted(&note).any(|name| is_proof(name, &names)) {
            unproved.push(line);
        }
    }
    assert!(rows > 250, "{rows} rows work: the document has another form now");
    assert!(unproved.is_empty(), "rows without proof:\n{}", unproved.join("\n"));
}
