//! Each task state and each reason of a status has a test that makes the component say it which the facts name.
//!
//! `task_proofs.tsv` lists the tests. Rows of the emitter `nobody` are reasons that nothing sends, here as in Apache
//! Mesos, or whose cause cannot arise here; rows of the emitter `absent` name the line of docs/compatibility.md that
//! says which feature would send it; rows that end in `never` name the sentence that says why a component cannot.

use std::collections::BTreeSet;

use mesos_tests_tidy::{files, root, text};

struct Row {
    kind: String,
    name: String,
    emitter: String,
    file: String,
    proof: String,
}

fn rows() -> Vec<Row> {
    let table = text(&root().join("tests/tidy/task_proofs.tsv"));
    let rows = table.lines().skip(1).map(|line| {
        let columns: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let [kind, name, emitter, file, proof] = columns.try_into().expect("five columns");
        Row {
            kind,
            name,
            emitter,
            file,
            proof,
        }
    });
    rows.collect()
}

/// Names and emitters of a table of the facts.
fn facts(table: &str, emitters: usize) -> Vec<(String, String)> {
    let rows = text(&root().join("../shared/facts").join(table));
    let rows = rows.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[0].to_owned(), columns[emitters].to_owned())
    });
    rows.filter(|(name, _)| !name.starts_with("OPERATION_")).collect()
}

/// The programs that a cell of the facts names; isolators are parts of the agent.
fn components(cell: &str) -> BTreeSet<&'static str> {
    let named = cell.split(", ").flat_map(|named| -> &[&'static str] {
        match named {
            "master" => &["master"],
            "agent" => &["agent"],
            "executor" => &["executor"],
            "built-in executors" => &["command executor", "default executor"],
            "scheduler driver" | "scheduler driver itself" => &["scheduler driver"],
            _ => &[],
        }
    });
    named.copied().collect()
}

#[test]
fn every_state_and_reason_has_a_proof() {
    let rows = rows();
    let mut missing = Vec::new();
    for (kind, table, emitters) in [("state", "task_states.tsv", 5), ("reason", "task_reasons.tsv", 5)] {
        let known = facts(table, emitters);
        assert_eq!(known.len(), if kind == "state" { 14 } else { 35 }, "{table}");
        for (name, emitters) in &known {
            let proofs: Vec<&Row> = rows
                .iter()
                .filter(|row| row.kind == kind && row.name == *name)
                .collect();
            if proofs.is_empty() {
                missing.push(format!("{name}: no row"));
            }
            let unproved = |emitter: &str| !proofs.iter().any(|row| row.emitter.starts_with(emitter));
            let elsewhere = proofs
                .iter()
                .any(|row| matches!(row.emitter.as_str(), "absent" | "nobody"));
            if !elsewhere {
                let named = components(emitters).into_iter().filter(|emitter| unproved(emitter));
                missing.extend(named.map(|emitter| format!("{name}: not from the {emitter}")));
            }
        }
        let names: BTreeSet<&String> = known.iter().map(|(name, _)| name).collect();
        let strange = rows.iter().filter(|row| row.kind == kind && !names.contains(&row.name));
        missing.extend(strange.map(|row| format!("{}: not in the facts", row.name)));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_proof_is_there() {
    let mut wrong = Vec::new();
    for row in rows() {
        let sound = match row.emitter.as_str() {
            "nobody" => row.file.is_empty() && !is_sent(&row.name),
            "absent" => text(&root().join(&row.file)).contains(&row.proof) && !is_sent(&row.name),
            emitter if emitter.ends_with(", never") => text(&root().join(&row.file)).contains(&row.proof),
            _ => {
                let source = text(&root().join(&row.file));
                source.contains(&format!("fn {}(", row.proof)) && source.contains(&row.name)
            }
        };
        if !sound {
            wrong.push(format!(
                "{} of the {}: {} in {}",
                row.name, row.emitter, row.proof, row.file
            ));
        }
    }
    assert!(wrong.is_empty(), "not proved so:\n{}", wrong.join("\n"));
}

/// Whether some program sets the reason: tests and the generated messages do not count.
fn is_sent(reason: &str) -> bool {
    let tests = |path: &str| path.contains("/tests") || path.contains("_tests") || path.contains("/proto/");
    let end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    files(".rs").iter().any(|path| {
        let shown = path.to_string_lossy();
        let source = text(path);
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let named = format!("Reason::{reason}");
        !tests(&shown) && code.match_indices(&named).any(|(at, _)| end(&code[at + named.len()..]))
    })
}
