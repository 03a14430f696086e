//! Registry operations and their storage.
