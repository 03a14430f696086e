//! Calls of the executor to the agent's own API, one connection each.

use std::net::SocketAddrV4;

use bytes::Bytes;
use libprocess::http::client::{Client, ClientLimits, ClientResponse, RecordReader};
use libprocess::http::{Method, StatusCode};
use mesos::ids::ContainerId;
use mesos_executor_driver::ExecutorEnvironment;
use mesos_node::describe;
use mesos_proto::v1::agent::response::WaitNestedContainer;
use mesos_proto::v1::agent::{Call, Response, call};
use mesos_proto::v1::mesos::CommandInfo;
use protobuf::{Message as _, MessageField};

use crate::core::{Answer, KillSignal};

/// Content type of calls and answers.
const PROTOBUF: &str = "application/x-protobuf";

/// Content type of answers that consist of records.
const RECORDIO: &str = "application/recordio";

/// Longest text of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// The agent's API.
#[derive(Clone, Debug)]
pub struct AgentApi {
    address: SocketAddrV4,
    path: String,
    authorization: Option<String>,
}

/// How a session began.
pub enum Session {
    /// Its output; the container ends when it is dropped.
    Open(Box<RecordReader>),
    /// The agent is not there, or recovers.
    Unavailable(String),
    /// The agent refuses.
    Refused(String),
}

impl AgentApi {
    /// The API of the agent that the environment names.
    pub fn new(environment: &ExecutorEnvironment) -> Self {
        let token = environment.authentication_token.as_ref();
        Self {
            address: environment.agent.address(),
            path: format!("/{}/api/v1", environment.agent.id()),
            authorization: token.map(|token| format!("Bearer {token}")),
        }
    }

    /// Launches a container, or finds it launched.
    pub async fn launch(&self, call: &Call) -> Answer<()> {
        done(self.make(call).await)
    }

    /// Waits for the end of a container, for as long as it takes.
    pub async fn wait(&self, container: &ContainerId) -> Answer<Box<WaitNestedContainer>> {
        let mut message = of_type(call::Type::WAIT_NESTED_CONTAINER);
        message.wait_nested_container.mut_or_insert_default().container_id = MessageField::some(container.to_v1());
        let answer = judged(self.make(&message).await);
        answer.and_then(|answer| match Response::parse_from_bytes(&answer.body) {
            Ok(response) => Answer::Done(Box::new(response.wait_nested_container.unwrap_or_default())),
            Err(error) => Answer::Refused(answer.status.as_u16(), format!("the answer is no message: {error}")),
        })
    }

    /// Sends a signal to a container.
    pub async fn kill(&self, container: &ContainerId, signal: KillSignal) -> Answer<()> {
        let mut message = of_type(call::Type::KILL_NESTED_CONTAINER);
        let kill = message.kill_nested_container.mut_or_insert_default();
        kill.container_id = MessageField::some(container.to_v1());
        kill.set_signal(signal.number());
        done(self.make(&message).await)
    }

    /// Removes what an ended container left.
    pub async fn remove(&self, container: &ContainerId) -> Answer<()> {
        let mut message = of_type(call::Type::REMOVE_NESTED_CONTAINER);
        let remove = message.remove_nested_container.mut_or_insert_default();
        remove.container_id = MessageField::some(container.to_v1());
        done(self.make(&message).await)
    }

    /// Runs a command in a container of its own, which ends with the connection.
    pub async fn open_session(&self, container: &ContainerId, command: CommandInfo) -> Session {
        let mut message = of_type(call::Type::LAUNCH_NESTED_CONTAINER_SESSION);
        let launch = message.launch_nested_container_session.mut_or_insert_default();
        launch.container_id = MessageField::some(container.to_v1());
        launch.command = MessageField::some(command);
        let Ok(body) = message.write_to_bytes() else {
            return Session::Refused("the command lacks required fields".to_owned());
        };
        let mut headers = self.headers(RECORDIO);
        headers.push(("Message-Accept", PROTOBUF));
        let mut client = self.client();
        let mut stream = match client.open(Method::POST, &self.path, &headers, body.into()).await {
            Ok(stream) => stream,
            Err(error) => return Session::Unavailable(describe(&error)),
        };
        if stream.status == StatusCode::OK {
            return Session::Open(Box::new(stream.into_records()));
        }
        let text = stream.collect(REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        match stream.status {
            StatusCode::SERVICE_UNAVAILABLE => Session::Unavailable(text),
            status => Session::Refused(format!("status {status}: {text}")),
        }
    }

    fn client(&self) -> Client {
        // Launches fetch, and waits wait: only a broken connection ends them.
        let limits = ClientLimits {
            answer_patience: None,
            ..ClientLimits::default()
        };
        Client::with_limits(self.address, limits)
    }

    fn headers<'a>(&'a self, accept: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![("Content-Type", PROTOBUF), ("Accept", accept)];
        let authorization = self.authorization.as_deref();
        headers.extend(authorization.map(|authorization| ("Authorization", authorization)));
        headers
    }

    async fn make(&self, call: &Call) -> Result<ClientResponse, String> {
        let body = call.write_to_bytes().map_err(|error| error.to_string())?;
        let headers = self.headers(PROTOBUF);
        self.client()
            .request(Method::POST, &self.path, &headers, Bytes::from(body))
            .await
            .map_err(|error| describe(&error))
    }
}

fn of_type(kind: call::Type) -> Call {
    let mut call = Call::new();
    call.set_type(kind);
    call
}

fn done(answer: Result<ClientResponse, String>) -> Answer<()> {
    judged(answer).and_then(|_| Answer::Done(()))
}

fn judged(answer: Result<ClientResponse, String>) -> Answer<ClientResponse> {
    match answer {
        Err(why) => Answer::Unavailable(why),
        Ok(answer) if answer.status.is_success() => Answer::Done(answer),
        Ok(answer) if answer.status == StatusCode::NOT_FOUND => Answer::NotFound,
        Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => Answer::Unavailable(answer.text()),
        Ok(answer) => Answer::Refused(answer.status.as_u16(), answer.text()),
    }
}
