//! The rules of the Mesos agent.
