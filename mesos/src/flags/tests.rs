//! The tables against the facts, and the reader against the rules.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use super::spec::{Bounds, DefaultValue, Kind, Support};
use super::*;

fn facts(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../shared/facts/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .skip(1)
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

/// The name of a type in the facts, for each of which one kind stands.
fn kind_of(name: &str) -> &'static [Kind] {
    match name {
        "bool" => &[Kind::Bool],
        "int" => &[Kind::Int],
        "uint" => &[Kind::Uint],
        "uint16" => &[Kind::Uint16],
        "float" => &[Kind::Float],
        "duration" => &[Kind::Duration],
        "bytes" => &[Kind::Bytes],
        "string or file:// path" => &[Kind::TextOrFile],
        "path (file:// or inline value)" | "path" => &[Kind::Path],
        "JSON or file" => &[Kind::Json],
        "comma list" => &[Kind::List],
        "comma list of uint" => &[Kind::UintList],
        "string" | "text" | "IPv4" | "IPv6" | "IP" | "colon list" | "colon list or auto" | "N/DURATION"
        | "1 or unset" => &[Kind::Text],
        other => panic!("the facts have the unknown type {other}"),
    }
}

fn default_of(spec: &FlagSpec) -> &'static str {
    match spec.default {
        DefaultValue::Unset => "(unset)",
        DefaultValue::Required => "(required)",
        DefaultValue::Is(text) | DefaultValue::Computed(text, _) | DefaultValue::Instead(text, ..) => text,
    }
}

fn compare(specs: &[&FlagSpec], rows: &[Vec<String>], by_variable: bool) {
    let known: BTreeMap<&str, &FlagSpec> = specs.iter().map(|spec| (spec.name, *spec)).collect();
    assert_eq!(known.len(), specs.len(), "a flag stands in the tables twice");
    for row in rows {
        let [flag, alias, variable, kind, default] = [&row[0], &row[1], &row[2], &row[3], &row[4]];
        let key = if by_variable { variable } else { flag };
        let spec = known
            .get(key.as_str())
            .unwrap_or_else(|| panic!("{key} is not in the tables"));
        assert!(
            kind_of(kind).contains(&spec.kind),
            "{key} has the type {kind} in the facts"
        );
        assert_eq!(default_of(spec), default, "default of {key}");
        if by_variable {
            assert_eq!(spec.alias.is_some(), !alias.is_empty(), "older name of {key}");
        } else {
            assert_eq!(spec.alias.unwrap_or_default(), alias, "older name of {key}");
            assert_eq!(FlagSet::variable(spec.name), *variable, "variable of {key}");
        }
    }
}

#[test]
fn the_tables_of_the_programs_are_those_of_the_facts() {
    let logging = facts("flags_logging_libprocess.tsv");
    let logging: Vec<Vec<String>> = logging.into_iter().take(logging::LOGGING.len()).collect();
    for (set, name) in [(&master::FLAGS, "flags_master.tsv"), (&agent::FLAGS, "flags_agent.tsv")] {
        let mut rows = facts(name);
        rows.extend(logging.iter().cloned());
        let specs: Vec<&FlagSpec> = set.specs().filter(|spec| spec.name != "help").collect();
        compare(&specs, &rows, false);
        assert_eq!(specs.len(), rows.len(), "{name}");
    }
}

#[test]
fn the_tables_of_variables_are_those_of_the_facts() {
    let rows = facts("flags_logging_libprocess.tsv").split_off(logging::LOGGING.len());
    let tables = [environment::LIBPROCESS, environment::TLS, environment::DRIVERS];
    let specs: Vec<&FlagSpec> = tables.into_iter().flatten().collect();
    compare(&specs, &rows, true);
    assert_eq!(specs.len(), rows.len());
}

#[test]
fn the_tables_agree_with_themselves() {
    let tables = [&master::FLAGS, &agent::FLAGS].into_iter().flat_map(FlagSet::specs);
    let variables = [environment::LIBPROCESS, environment::TLS, environment::DRIVERS];
    for spec in tables.chain(variables.into_iter().flatten()) {
        let default = match spec.default {
            DefaultValue::Is(text) | DefaultValue::Instead(_, text, _) => text.to_owned(),
            DefaultValue::Computed(_, compute) => compute(),
            DefaultValue::Unset | DefaultValue::Required => String::new(),
        };
        if !default.is_empty() {
            FlagValue::read(spec, &default).unwrap_or_else(|error| panic!("default of {}: {error}", spec.name));
        }
        let needed = match spec.bounds {
            Bounds::AtLeast(_) | Bounds::AtMost(_) | Bounds::Between(..) | Bounds::AboveZero => Some(Kind::Duration),
            _ => None,
        };
        assert!(
            needed.is_none_or(|kind| kind == spec.kind),
            "the bound of {}",
            spec.name
        );
        if let Support::RefusedUnless(neutral, _) = spec.support {
            for text in neutral {
                FlagValue::read(spec, text).unwrap_or_else(|error| panic!("neutral {}: {error}", spec.name));
            }
        }
        assert!(!spec.help.is_empty(), "{}", spec.name);
    }
}

fn read_with(set: &FlagSet, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Outcome, FlagsError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    set.read(arguments.iter().map(OsString::from), environment)
}

fn master(arguments: &[&str]) -> Flags {
    match read_with(&master::FLAGS, arguments, &[]) {
        Ok(Outcome::Run(flags)) => flags,
        other => panic!("{other:?}"),
    }
}

fn master_error(arguments: &[&str]) -> FlagsError {
    read_with(&master::FLAGS, arguments, &[]).expect_err("an error")
}

#[test]
fn values_come_in_every_form() {
    let flags = master(&[
        "--allocation_interval=5secs",
        "--port",
        "6060",
        "--quiet",
        "--no-hostname_lookup",
        "--root_submissions=0",
        "--weights=a=2,b=0.5",
    ]);
    assert_eq!(flags.duration("allocation_interval"), Duration::from_secs(5));
    assert_eq!(flags.port("port"), 6060);
    assert!(flags.bool("quiet") && !flags.bool("hostname_lookup") && !flags.bool("root_submissions"));
    assert_eq!(
        checks::parse_weights(flags.string("weights")).expect("checked").len(),
        2
    );
    assert_eq!(flags.count("max_completed_frameworks"), 50);
    assert_eq!(flags.text("cluster"), None);
    assert!(flags.is_given("port") && !flags.is_given("cluster"));
}

#[test]
fn arguments_win_over_the_environment() {
    let environment = [
        ("MESOS_PORT", "7"),
        ("MESOS_CLUSTER", "west"),
        ("MESOS_NATIVE_LIBRARY", "ignored"),
    ];
    let outcome = read_with(&master::FLAGS, &["--port=8"], &environment).expect("good flags");
    let Outcome::Run(flags) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(flags.port("port"), 8);
    assert_eq!(flags.text("cluster"), Some("west"));
    let error = read_with(&master::FLAGS, &[], &[("MESOS_PORT", "many")]).expect_err("no port");
    assert!(
        error.to_string().starts_with("MESOS_PORT has the value `many`"),
        "{error}"
    );
}

#[test]
fn older_names_work_with_a_warning() {
    let flags = master(&["--slave_ping_timeout=20secs"]);
    assert_eq!(flags.duration("agent_ping_timeout"), Duration::from_secs(20));
    assert!(
        flags
            .warnings()
            .iter()
            .any(|warning| warning.contains("--agent_ping_timeout"))
    );
    let outcome = read_with(&master::FLAGS, &[], &[("MESOS_SLAVE_PING_TIMEOUT", "30secs")]);
    let Ok(Outcome::Run(flags)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(flags.duration("agent_ping_timeout"), Duration::from_secs(30));
    let both = master_error(&["--slave_ping_timeout=20secs", "--agent_ping_timeout=20secs"]);
    assert!(matches!(both, FlagsError::Repeated { .. }), "{both}");
}

#[test]
fn unknown_flags_name_the_closest() {
    let text = master_error(&["--alocation_interval=1secs"]).to_string();
    assert_eq!(
        text,
        "there is no flag --alocation_interval; the closest is --allocation_interval"
    );
    assert!(
        master_error(&["--agent-ping-timeout=1secs"])
            .to_string()
            .ends_with("--agent_ping_timeout")
    );
    assert!(master_error(&["--no-quite"]).to_string().ends_with("--no-quiet"));
    assert!(matches!(
        master_error(&["--xyzzy"]),
        FlagsError::Unknown { closest: None, .. }
    ));
}

#[test]
fn bad_values_name_flag_value_and_what_fits() {
    let shown = |argument: &str| {
        let error = master_error(&[argument]);
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        format!("{error}: {cause}")
    };
    assert_eq!(
        shown("--agent_ping_timeout=1hrs"),
        "--agent_ping_timeout has the value `1hrs`, which does not fit: expected 1secs to 15mins"
    );
    assert!(shown("--agent_ping_timeout=15").contains("the units are ns"));
    assert!(shown("--max_agent_ping_timeouts=0").contains("at least 1"));
    assert!(shown("--port=70000").contains("0 to 65535"));
    assert!(shown("--quiet=maybe").contains("true, false, 1 or 0"));
    assert!(shown("--registry=sqlite").contains("disk, in_memory, replicated_log"));
    assert!(shown("--registry_strict").contains("false"));
    assert!(shown("--agent_reregister_timeout=1mins").contains("at least 10mins"));
    assert!(shown("--weights=a=-1").contains("above zero"));
    assert!(shown("--roles=a//b").contains("two slashes"));
    assert!(shown("--min_allocatable_resources=cpus").contains("NAME:NUMBER"));
    assert!(shown("--offer_timeout=0ns").contains("above zero"));
    assert!(shown("--acls={").contains("JSON"));
    assert!(shown("--ip=::1").contains("IPv4"));
}

#[test]
fn malformed_arguments_have_their_own_errors() {
    assert!(matches!(master_error(&["--port"]), FlagsError::NoValue { .. }));
    assert!(matches!(master_error(&["stray"]), FlagsError::NotAFlag { .. }));
    assert!(matches!(
        master_error(&["--port=1", "--port=2"]),
        FlagsError::Repeated { .. }
    ));
    assert!(matches!(master_error(&["--no-port"]), FlagsError::NotNegatable { .. }));
    assert!(matches!(
        master_error(&["--no-quiet=1"]),
        FlagsError::NotNegatable { .. }
    ));
    assert!(matches!(
        master_error(&["--quiet", "--no-quiet"]),
        FlagsError::Repeated { .. }
    ));
    assert!(matches!(master_error(&["--quorum=-1"]), FlagsError::BadValue { .. }));
}

#[test]
fn features_that_are_not_there_are_refused_unless_nothing_is_asked() {
    for argument in [
        "--registry=replicated_log",
        "--authenticate_frameworks",
        "--acls={}",
        "--zk=zk://a:1/b",
        "--zk_session_timeout=11secs",
        "--memory_profiling",
    ] {
        let error = master_error(&[argument]);
        assert!(matches!(error, FlagsError::NotSupported { .. }), "{argument}: {error}");
    }
    master(&[
        "--registry=in_memory",
        "--no-authenticate_frameworks",
        "--zk_session_timeout=10000ms",
    ]);
    let flags = master(&[]);
    assert_eq!(flags.string("registry"), "disk");
    assert!(
        flags
            .warnings()
            .iter()
            .any(|warning| warning.contains("replicated_log"))
    );
}

#[test]
fn isolators_are_checked_one_by_one() {
    let read = |isolation: &str| {
        let isolation = format!("--isolation={isolation}");
        read_with(&agent::FLAGS, &["--work_dir=/w", "--master=a:1", &isolation], &[])
    };
    assert!(read("posix/cpu,filesystem/posix, posix/mem").is_ok());
    let error = read("posix/cpu,cgroups/mem").expect_err("no cgroups");
    assert!(matches!(error, FlagsError::NotSupported { .. }), "{error}");
}

#[test]
fn required_flags_and_rules_about_pairs_are_checked() {
    let agent = |arguments: &[&str]| read_with(&agent::FLAGS, arguments, &[]);
    assert!(matches!(
        agent(&["--master=a:1"]),
        Err(FlagsError::Required { flag: "work_dir", .. })
    ));
    assert!(matches!(
        agent(&["--work_dir=/w"]),
        Err(FlagsError::NeitherGiven { .. })
    ));
    assert!(matches!(agent(&["--help"]), Ok(Outcome::Help(_))));
    assert!(matches!(agent(&["--version"]), Ok(Outcome::Version)));
    let resources = agent(&["--master=a:1", "--work_dir=/w", "--resources=cpus"]).expect_err("no value");
    assert!(matches!(resources, FlagsError::BadValue { .. }));
}

#[test]
fn files_stand_for_their_content() {
    let path = std::env::temp_dir().join(format!("mesos-flags-{}", std::process::id()));
    std::fs::write(&path, "{\"a\": \"b\"}\n").expect("a temporary file");
    let file = path.to_string_lossy();
    let value = |form: String| {
        let flag = format!("--firewall_rules={form}");
        read_with(&agent::FLAGS, &["--master=a:1", "--work_dir=/w", &flag], &[])
    };
    for form in [format!("file://{file}"), file.to_string(), "{\"a\": \"b\"}".to_owned()] {
        // The value has been read and checked before the flag is refused.
        match value(form) {
            Err(FlagsError::NotSupported { found, .. }) => assert_eq!(found, "{\"a\":\"b\"}"),
            other => panic!("{other:?}"),
        }
    }
    std::fs::write(&path, "rack:r1\n").expect("a temporary file");
    let attributes = format!("--attributes=file://{file}");
    let outcome = read_with(&agent::FLAGS, &["--master=a:1", "--work_dir=/w", &attributes], &[]);
    let Ok(Outcome::Run(flags)) = outcome else {
        panic!("a good value")
    };
    assert_eq!(flags.text("attributes"), Some("rack:r1"));
    std::fs::remove_file(&path).expect("it is ours");
    assert!(matches!(value(format!("file://{file}")), Err(FlagsError::File { .. })));
}

/// The recorded answers of `/flags`, without what differs from machine to machine.
#[test]
fn flags_are_shown_as_in_the_recorded_answers() {
    let recorded = |program: &str| -> BTreeMap<String, String> {
        let path = format!(
            "{}/../../shared/golden/endpoints/{program}/flags.http",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).expect("a recorded answer");
        let body = &text[text.rfind("{\"flags\":").expect("a body")..];
        let json: serde_json::Value = serde_json::from_str(body.trim()).expect("JSON");
        serde_json::from_value(json["flags"].clone()).expect("texts")
    };
    let compare = |set: &FlagSet, program: &str, arguments: &[&str], apart: &[&str]| {
        let outcome = read_with(set, arguments, &[]).expect("good flags");
        let Outcome::Run(flags) = outcome else {
            panic!("{outcome:?}")
        };
        let shown = flags.as_json();
        for (name, value) in recorded(program) {
            if !apart.contains(&name.as_str()) {
                assert_eq!(shown.get(&name), Some(&value.into()), "{name}");
            }
        }
    };
    let arguments = [
        "--registry=in_memory",
        "--ip=127.0.0.1",
        "--port=15050",
        "--work_dir=/var/lib/m",
    ];
    compare(&master::FLAGS, "master", &arguments, &["webui_dir"]);
    let arguments = [
        "--attributes=rack:r1;level:3;zones:[1-3]",
        "--ip=127.0.0.1",
        "--port=15051",
        "--launcher=posix",
        "--launcher_dir=/usr/libexec/mesos",
        "--master=127.0.0.1:15050",
        "--resources=cpus:4;mem:4096;disk:10000;ports:[31000-32000]",
        "--work_dir=/var/lib/a",
        "--runtime_dir=/var/lib/a.run",
        "--systemd_enable_support=false",
    ];
    compare(
        &agent::FLAGS,
        "agent",
        &arguments,
        &["appc_store_dir", "docker_store_dir", "fetcher_cache_dir"],
    );
}

#[test]
fn help_names_every_flag() {
    let Ok(Outcome::Help(text)) = read_with(&agent::FLAGS, &["--help"], &[]) else {
        panic!("help")
    };
    for spec in agent::FLAGS.specs() {
        assert!(text.contains(spec.name), "{}", spec.name);
    }
    assert!(text.contains("older name: allowed_capabilities"));
}

#[test]
fn variables_of_the_runtime_are_checked() {
    let check = |name: &str, value: &str| environment::check([(name.to_owned(), value.to_owned())]);
    assert!(check("LIBPROCESS_SSL_ENABLED", "false").is_ok());
    assert!(check("LIBPROCESS_SSL_CERT_FILE", "/c").is_ok());
    assert!(check("HOME", "/root").is_ok());
    assert!(matches!(
        check("LIBPROCESS_SSL_ENABLED", "1"),
        Err(FlagsError::NotSupported { .. })
    ));
    assert!(matches!(
        check("LIBPROCESS_PORT", "99999"),
        Err(FlagsError::BadValue { .. })
    ));
    assert!(matches!(
        check("LIBPROCESS_NUM_WORKER_THREADS", "0"),
        Err(FlagsError::BadValue { .. })
    ));
}

#[test]
fn texts_with_their_own_grammar_are_read() {
    assert_eq!(checks::parse_percent("50%"), Ok(0.5));
    assert!(checks::parse_percent("50").is_err() && checks::parse_percent("101%").is_err());
    assert_eq!(checks::parse_rate("1/10mins"), Ok((1.0, Duration::from_secs(600))));
    assert!(checks::parse_rate("1").is_err() && checks::parse_rate("0/1secs").is_err());
    assert_eq!(
        checks::parse_min_allocatable("cpus:0.01|mem:32").expect("good").len(),
        2
    );
    assert!(checks::parse_weights("a").is_err() && checks::parse_weights("a=1,a=2").is_err());
}
