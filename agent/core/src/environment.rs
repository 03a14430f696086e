//! The variables that the agent sets for an executor.
//!
//! Source: shared facts, `environment.tsv` and `golden/layout/executor_environ.txt`.

use std::collections::BTreeMap;
use std::time::Duration;

use mesos::duration::to_text as duration_text;

use crate::agent::Agent;
use crate::executor::Executor;

impl Agent {
    /// The variables of one executor, sorted by name.
    pub(crate) fn executor_environment(&self, executor: &Executor) -> Vec<(String, String)> {
        let config = &self.config;
        let bit = |set: bool| if set { "1" } else { "0" }.to_owned();
        let agent_id = self.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let grace_period = self.shutdown_grace_period(executor);
        let mut variables = vec![
            ("LIBPROCESS_PORT", "0".to_owned()),
            ("MESOS_AGENT_ENDPOINT", config.pid.address().to_string()),
            ("MESOS_CHECKPOINT", bit(executor.checkpoint)),
            ("MESOS_DIRECTORY", executor.paths.sandbox().display().to_string()),
            ("MESOS_EXECUTOR_ID", executor.id.to_string()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration_text(grace_period)),
            ("MESOS_FRAMEWORK_ID", executor.framework_id.to_string()),
            ("MESOS_HTTP_COMMAND_EXECUTOR", bit(config.http_command_executor)),
            ("MESOS_SLAVE_ID", agent_id),
            ("MESOS_SLAVE_PID", config.pid.to_string()),
        ];
        if executor.checkpoint {
            variables.push(("MESOS_RECOVERY_TIMEOUT", duration_text(config.recovery_timeout)));
            let backoff = duration_text(config.executor_reregistration_timeout);
            variables.push(("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff));
        }
        if let Some(ip) = &config.libprocess_ip {
            variables.push(("LIBPROCESS_IP", ip.clone()));
        }
        if let Some(socket) = &config.domain_socket {
            variables.push(("MESOS_DOMAIN_SOCKET", socket.display().to_string()));
        }
        // What the agent itself runs with is the ground; what it sets for executors lies on top.
        let mut environment: BTreeMap<String, String> = config.base_environment.iter().cloned().collect();
        environment.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        environment.into_iter().collect()
    }

    /// Time between telling an executor to shut down and destroying it.
    pub(crate) fn shutdown_grace_period(&self, executor: &Executor) -> Duration {
        let own = executor
            .info
            .shutdown_grace_period
            .as_ref()
            .and_then(|period| period.nanoseconds);
        let own = own
            .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
            .map(Duration::from_nanos);
        own.unwrap_or(self.config.executor_shutdown_grace_period)
    }
}
