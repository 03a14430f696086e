//! Runs one command or task group on a cluster.
