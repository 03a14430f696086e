//! The Mesos master: actor, HTTP API, program.
