//! HTTP for processes: requests, responses, streams, and the server that carries them.

pub mod server;
mod types;

pub use types::{
    Body, HeaderMap, HeaderName, HeaderValue, Method, Principal, Request, Responder, Response, RouteOptions,
    STREAM_QUEUE_BYTES_MAX, StatusCode, StreamError, StreamReader, StreamWriter, header, stream,
};
