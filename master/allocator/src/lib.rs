//! The hierarchical allocator: rules only.
