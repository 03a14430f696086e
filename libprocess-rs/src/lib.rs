//! An actor runtime with the wire format of libprocess.
