//! Launching, watching and ending containers.
