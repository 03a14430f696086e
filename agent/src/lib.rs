//! The Mesos agent: actor, HTTP API, program.
