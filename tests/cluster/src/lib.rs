//! Tests over real actors and sockets.
