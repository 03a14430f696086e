//! HTTP for processes: requests, responses, streams, and the server that carries them.

pub mod auth;
pub mod client;
pub mod compress;
mod connection;
mod encode;
mod exchange;
mod head;
pub mod json;
pub mod media;
mod message;
pub mod negotiate;
pub mod recordio;
mod sending;
pub mod server;
mod types;
pub mod uri;

pub use types::{
    Body, HeaderMap, HeaderName, HeaderValue, Method, Principal, Request, Responder, Response, RouteOptions,
    STREAM_QUEUE_BYTES_MAX, STREAM_QUEUE_CHUNKS_MAX, StatusCode, StreamError, StreamReader, StreamWriter, header,
    stream,
};
