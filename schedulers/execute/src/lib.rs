//! `mesos-execute`: runs one command or task on a cluster and tells how it goes.
//!
//! The exit code is 0 when the task finished, 1 when it ended otherwise or could not be run.

mod execution;
mod request;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use libprocess::http::media::MediaType;
use mesos::flags::Flags;
use mesos_node::Started;
use mesos_scheduler_driver::v1::{Client, ClientConfig, Notice};

pub use execution::{Action, Execution};
pub use request::{Request, RequestError};

/// Longest wait for the master to take the last calls before the program ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the program with all its arguments, its name first.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let flags = match mesos_node::flags_or_exit("mesos-execute", &mesos::flags::execute::FLAGS, arguments) {
        Started::Run(flags) => flags,
        Started::End(code) => return code,
    };
    let user = nix_user();
    let request = match Request::from_flags(&flags, user) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("mesos-execute: {error}");
            return ExitCode::FAILURE;
        }
    };
    mesos_node::main("mesos-execute", execute(*flags, request))
}

/// Name of the user that the task runs as: the one who calls.
fn nix_user() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map(|user| user.name)
}

async fn execute(flags: Flags, request: Request) -> Result<(), String> {
    let mut config = ClientConfig::new(flags.string("master"), request.framework.clone());
    config.media_type = match flags.string("content_type") {
        "json" | "application/json" => MediaType::Json,
        _ => MediaType::Protobuf,
    };
    let mut client = Client::start(config).map_err(|error| format!("flag --master: {error}"))?;
    let mut execution = Execution::new(request);
    let mut kill_at = None;
    loop {
        let notice = tokio::select! {
            notice = client.next() => notice.ok_or("the connection to the master ended")?,
            () = sleep_until(kill_at) => {
                kill_at = None;
                execution.kill().into_iter().for_each(|call| client.call(call));
                continue;
            }
        };
        for action in execution.notice(&notice) {
            match action {
                Action::Call(call) => client.call(*call),
                Action::Print(line) => println!("{line}"),
                Action::KillAfter(after) => kill_at = Some(tokio::time::Instant::now() + after),
                Action::End(result) => {
                    say_farewell(&mut client, execution.teardown()).await;
                    return result;
                }
            }
        }
    }
}

/// Tears the framework down and waits until the master closed the stream: calls before it are taken then.
async fn say_farewell(client: &mut Client, teardown: Option<mesos_proto::v1::scheduler::Call>) {
    let Some(teardown) = teardown else { return };
    client.call(teardown);
    let closed = async {
        while let Some(notice) = client.next().await {
            if !matches!(notice, Notice::Event(_)) {
                break;
            }
        }
    };
    drop(tokio::time::timeout(FAREWELL, closed).await);
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
