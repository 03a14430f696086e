//! Metrics in the text format of Prometheus.

use std::collections::BTreeMap;

use prometheus::{Counter, Gauge, Opts, Registry, TextEncoder};

use super::{Kind, Sample, Snapshot};

/// Renders a snapshot. Names keep letters, digits and `_`; everything else becomes `_`. Metrics whose names become the
/// same get a label `key` with the name they had.
#[must_use]
pub fn prometheus_text(snapshot: &Snapshot) -> String {
    let mut families: BTreeMap<String, Vec<(&str, Sample)>> = BTreeMap::new();
    for (name, sample) in snapshot {
        families.entry(prometheus_name(name)).or_default().push((name, *sample));
    }
    let registry = Registry::new();
    for (family, members) in &families {
        let ambiguous = members.len() > 1;
        // One family has one kind; mixed ones are gauges, which promise nothing.
        let counts = members
            .iter()
            .all(|(_, sample)| sample.kind == Kind::Counter && sample.value >= 0.0);
        for (name, sample) in members {
            let opts = Opts::new(family, *name);
            let opts = if ambiguous {
                Opts::new(family, family).const_label("key", *name)
            } else {
                opts
            };
            let registered = if counts {
                Counter::with_opts(opts).and_then(|counter| {
                    counter.inc_by(sample.value);
                    registry.register(Box::new(counter))
                })
            } else {
                Gauge::with_opts(opts).and_then(|gauge| {
                    gauge.set(sample.value);
                    registry.register(Box::new(gauge))
                })
            };
            if let Err(error) = registered {
                tracing::debug!(name, %error, "metric left out of the Prometheus text");
            }
        }
    }
    TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap_or_default()
}

fn prometheus_name(name: &str) -> String {
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let plain = name.chars().map(|character| {
        if character.is_ascii_alphanumeric() {
            character
        } else {
            '_'
        }
    });
    starts_with_digit.then_some('_').into_iter().chain(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_translated() {
        let snapshot = Snapshot::from([
            ("master/messages_kill_task".to_owned(), Sample::counter(3.0)),
            ("system/load_1min".to_owned(), Sample::gauge(0.25)),
            ("9x".to_owned(), Sample::gauge(1.0)),
        ]);
        let text = prometheus_text(&snapshot);
        for line in [
            "# HELP master_messages_kill_task master/messages_kill_task",
            "# TYPE master_messages_kill_task counter",
            "master_messages_kill_task 3",
            "# TYPE system_load_1min gauge",
            "system_load_1min 0.25",
            "_9x 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn names_that_collide_are_told_apart() {
        let snapshot = Snapshot::from([
            ("roles/*/active".to_owned(), Sample::gauge(1.0)),
            ("roles///active".to_owned(), Sample::gauge(2.0)),
        ]);
        let text = prometheus_text(&snapshot);
        assert!(text.contains("roles___active{key=\"roles/*/active\"} 1\n"), "{text}");
        assert!(text.contains("roles___active{key=\"roles///active\"} 2\n"), "{text}");
    }
}
