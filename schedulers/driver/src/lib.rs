//! Scheduler side: v0 driver and v1 client.
