//! The mesos command and the thin programs beside it.
