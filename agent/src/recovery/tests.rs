//! Work folders as an earlier life of the agent left them, whole and damaged.

use super::*;

fn record(message: &impl Message) -> Vec<u8> {
    let body = message.write_to_bytes().expect("complete");
    let mut bytes = u32::try_from(body.len()).expect("short").to_ne_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, bytes).expect("written");
}

fn update_record() -> StatusUpdateRecord {
    let mut record = StatusUpdateRecord::new();
    record.set_type(mesos_proto::internal::wire::messages::status_update_record::Type::ACK);
    record.set_uuid(b"0123456789abcdef".to_vec());
    record
}

/// A work folder with one agent, framework, executor, run and task.
fn work_folder() -> (tempfile::TempDir, Paths, RunPaths) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = Paths::new(folder.path());
    let (agent, framework) = (AgentId::new("S0"), FrameworkId::new("F"));
    let (executor, container) = (ExecutorId::new("E"), ContainerId::new("c1"));
    let mut info = pb::SlaveInfo::new();
    info.set_hostname("host".into());
    write(&paths.agent_info(&agent), &record(&info));
    std::os::unix::fs::symlink(paths.agent_meta(&agent), paths.latest_agent()).expect("linked");
    let mut framework_info = pb::FrameworkInfo::new();
    framework_info.set_user("root".into());
    framework_info.set_name("f".into());
    write(&paths.framework_info(&agent, &framework), &record(&framework_info));
    write(&paths.framework_pid(&agent, &framework), b"@0.0.0.0:0");
    write(&paths.executor_generated(&agent, &framework, &executor), b"1");
    let run = paths.run(&agent, &framework, &executor, &container);
    write(&run.forked_pid(), b"1234");
    write(&run.libprocess_pid(), b"executor(1)@127.0.0.1:4000");
    std::os::unix::fs::symlink(run.meta(), run.meta_latest()).expect("linked");
    write(&run.task_updates(&TaskId::new("T")), &record(&update_record()));
    (folder, paths, run)
}

#[test]
fn an_empty_work_folder_is_a_new_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = recover(&Paths::new(folder.path()), Strictness::Strict).expect("nothing to read");
    assert_eq!(state, RecoveredState::default());
}

#[test]
fn what_was_checkpointed_comes_back() {
    let (_folder, paths, _) = work_folder();
    let agent = recover(&paths, Strictness::Strict)
        .expect("readable")
        .agent
        .expect("an agent");
    assert_eq!(agent.info.hostname(), "host");
    let framework = &agent.frameworks[0];
    assert_eq!(
        (framework.info.name(), &framework.pid),
        ("f", &None),
        "the empty address means HTTP"
    );
    let executor = &framework.executors[0];
    assert!(executor.generated_for_command_task);
    assert_eq!(executor.latest, Some(ContainerId::new("c1")));
    let run = &executor.runs[0];
    assert_eq!((run.forked_pid, run.http, run.completed), (Some(1234), false, false));
    assert_eq!(
        run.libprocess_pid.as_ref().map(ToString::to_string).as_deref(),
        Some("executor(1)@127.0.0.1:4000")
    );
    assert_eq!((run.tasks[0].id.as_str(), run.tasks[0].records.len()), ("T", 1));
}

#[test]
fn a_torn_tail_of_updates_is_cut_off_for_good() {
    let (_folder, paths, run) = work_folder();
    let log = run.task_updates(&TaskId::new("T"));
    let whole = fs::read(&log).expect("there");
    for torn in 1..whole.len() {
        let mut bytes = whole.clone();
        bytes.extend(&whole[..torn]);
        fs::write(&log, bytes).expect("written");
        let agent = recover(&paths, Strictness::Strict)
            .expect("readable")
            .agent
            .expect("an agent");
        assert_eq!(
            agent.frameworks[0].executors[0].runs[0].tasks[0].records,
            [update_record()]
        );
        assert_eq!(fs::read(&log).expect("there"), whole);
    }
}

#[test]
fn a_link_to_the_latest_agent_that_leads_nowhere_is_damage() {
    let (_folder, paths, _) = work_folder();
    fs::remove_file(paths.latest_agent()).expect("there");
    std::os::unix::fs::symlink("/no/such/agent", paths.latest_agent()).expect("linked");
    let error = recover(&paths, Strictness::Strict).expect_err("damaged");
    assert!(error.to_string().contains("slaves/latest"), "{error}");
    assert_eq!(recover(&paths, Strictness::Lenient).expect("skipped").errors, 1);
}

#[test]
fn damage_ends_a_strict_recovery_and_is_counted_by_a_lenient_one() {
    let (_folder, paths, _) = work_folder();
    let path = paths.framework_info(&AgentId::new("S0"), &FrameworkId::new("F"));
    write(&path, b"\x05\x00\x00\x00\xff\xff\xff\xff\xff");
    let error = recover(&paths, Strictness::Strict).expect_err("damaged");
    assert!(error.to_string().contains("framework.info"), "{error}");
    let state = recover(&paths, Strictness::Lenient).expect("skipped");
    assert_eq!(state.errors, 1);
    assert!(state.agent.expect("an agent").frameworks.is_empty());
}

fn reserved(cpus: f64) -> pb::Resource {
    let text = format!(
        r#"{{"name":"cpus","type":"SCALAR","scalar":{{"value":{cpus}}},
        "reservations":[{{"type":"DYNAMIC","role":"ops"}}]}}"#
    );
    mesos::json::from_str(&text).expect("a resource")
}

fn state(cpus: f64, operations: usize) -> Vec<u8> {
    let mut state = ResourceState::new();
    state.resources.push(reserved(cpus));
    for number in 0..operations {
        let text = format!(
            r#"{{"info":{{"type":"RESERVE"}},"latest_status":{{"state":"OPERATION_FINISHED"}},
            "uuid":{{"value":"AAAAAAAAAAAAAAAAAAAAA{number}=="}}}}"#
        );
        state
            .operations
            .push(mesos::json::from_str(&text).expect("an operation"));
    }
    record(&state)
}

#[test]
fn what_is_wanted_comes_back_beside_what_is_committed() {
    let (_folder, paths, _) = work_folder();
    write(&paths.resource_state(), &state(1.0, 2));
    let read = || recover(&paths, Strictness::Strict).expect("readable");
    let recovered = read();
    assert_eq!(recovered.resources, [reserved(1.0)]);
    assert_eq!((recovered.target, recovered.operations.len()), (None, 2));
    write(&paths.resource_state_target(), &state(2.0, 1));
    let recovered = read();
    assert_eq!(recovered.resources, [reserved(1.0)]);
    assert_eq!(recovered.target, Some(vec![reserved(2.0)]));
    assert_eq!(recovered.operations.len(), 1, "those that stand with the target");
    // Made and not written when the host went down.
    write(&paths.resource_state_target(), b"");
    assert_eq!(read().target, None);
}

#[test]
fn the_lists_of_an_older_agent_are_read_when_there_is_nothing_newer() {
    let (_folder, paths, _) = work_folder();
    write(&paths.resources_info(), &record(&reserved(1.0)));
    write(&paths.resources_target(), &record(&reserved(2.0)));
    let recovered = recover(&paths, Strictness::Strict).expect("readable");
    assert_eq!(recovered.resources, [reserved(1.0)]);
    assert_eq!(recovered.target, Some(vec![reserved(2.0)]));
    write(&paths.resource_state(), &state(3.0, 0));
    let recovered = recover(&paths, Strictness::Strict).expect("readable");
    assert_eq!(recovered.resources, [reserved(3.0)]);
    assert_eq!(recovered.target, None, "the newer files count alone");
}

#[test]
fn statuses_of_operations_come_back_without_a_torn_tail() {
    let (_folder, paths, _) = work_folder();
    let agent = AgentId::new("S0");
    let uuid = uuid::Uuid::from_bytes([7; 16]);
    let mut entry = mesos_proto::internal::wire::messages::UpdateOperationStatusRecord::new();
    entry.set_type(mesos_proto::internal::wire::messages::update_operation_status_record::Type::ACK);
    entry.uuid.mut_or_insert_default().set_value(vec![1; 16]);
    let whole = record(&entry);
    let log = paths.operation_updates(&agent, &uuid);
    write(&log, &[&whole[..], &whole[..5]].concat());
    let logs = |strictness| {
        let recovered = recover(&paths, strictness)?;
        Ok::<_, RecoveryError>((recovered.agent.expect("an agent").operation_logs, recovered.errors))
    };
    let (read, _) = logs(Strictness::Strict).expect("readable");
    assert_eq!((read[0].operation_uuid, &read[0].records[..]), (uuid, &[entry][..]));
    assert_eq!(fs::read(&log).expect("there"), whole, "cut off in the file too");
    // The agent died before the first record.
    fs::create_dir_all(paths.operation(&agent, &uuid::Uuid::from_bytes([8; 16]))).expect("made");
    let (read, _) = logs(Strictness::Strict).expect("readable");
    assert!(read[1].records.is_empty());
    fs::create_dir_all(paths.operations(&agent).join("stranger")).expect("made");
    assert!(logs(Strictness::Strict).is_err());
    assert_eq!(logs(Strictness::Lenient).expect("passed over").1, 1);
}
