//! The rules of the Mesos master.
