//! One request from its decoded head and body to its answer.
//!
//! Order: path, firewall, route, authentication, authorization, method, body, process. What the process answers is
//! wrapped for `?jsonp=` and compressed when the client asked for it.

use bytes::Bytes;

use super::compress::{self, InflateError};
use super::json::{is_callback_name, wrap_in_callback};
use super::media::{method_not_allowed, plain};
use super::{Body, HeaderValue, Method, Request, Responder, Response, StatusCode, header, negotiate, uri};
use crate::node::Node;

/// What the answer depends on after the request itself has moved to its process.
struct Wishes {
    jsonp: Option<String>,
    gzip: bool,
}

/// Finds the process for `request`, waits for its answer and finishes that.
///
/// `raw_query` is the part of the target after the question mark.
pub(super) async fn answer(node: &Node, mut request: Request, raw_query: &str) -> Response {
    match uri::parse_query(raw_query) {
        Ok(query) => request.query = query,
        Err(error) => return plain(400, error.to_string()),
    }
    let jsonp = matches!(request.method, Method::GET | Method::HEAD).then(|| request.query.get("jsonp").cloned());
    let wishes = Wishes {
        jsonp: jsonp.flatten(),
        gzip: negotiate::accepts_gzip(&request.headers),
    };
    if wishes
        .jsonp
        .as_deref()
        .is_some_and(|name| !name.is_empty() && !is_callback_name(name))
    {
        return plain(400, "The value of 'jsonp' is no callback name");
    }
    match ask_process(node, request).await {
        Ok(response) | Err(response) => finish(response, wishes).await,
    }
}

async fn ask_process(node: &Node, mut request: Request) -> Result<Response, Response> {
    check_path(&request.path)?;
    if let Some(refusal) = node.access().refuse_by_firewall(&request) {
        return Err(refusal);
    }
    let target = match node.resolve_route(&request.path) {
        Some(target) => Some(target),
        None => node.resolve_route_when_ready(&request.path).await,
    };
    let target = target.ok_or_else(|| bare(StatusCode::NOT_FOUND))?;
    let options = &target.route().options;
    request.principal = node
        .access()
        .authenticate(options.realm.as_deref(), &request.headers)
        .await?;
    if node.access().has_authorizers() && !node.access().authorize(&target.endpoint(), &request).await {
        return Err(bare(StatusCode::FORBIDDEN));
    }
    if !options.methods.is_empty() && !options.methods.contains(&request.method) {
        let allowed: Vec<&str> = options.methods.iter().map(Method::as_str).collect();
        return Err(method_not_allowed(&request.method, &allowed));
    }
    inflate_body(&mut request, node.config().body_limit_bytes).await?;
    let (responder, answer) = Responder::new();
    node.deliver_http(&target, request, responder);
    answer.await.map_err(|_| bare(StatusCode::INTERNAL_SERVER_ERROR))
}

fn check_path(path: &str) -> Result<(), Response> {
    if !path.starts_with('/') {
        return Err(plain(400, "The path of a request begins with '/'"));
    }
    let decoded = uri::percent_decode(path).map_err(|error| plain(400, error.to_string()))?;
    if decoded.contains("/..") {
        return Err(bare(StatusCode::NOT_FOUND));
    }
    Ok(())
}

async fn inflate_body(request: &mut Request, limit_bytes: usize) -> Result<(), Response> {
    let encoding = request
        .headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok());
    if !encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip")) {
        return Ok(());
    }
    // The compressed size says little about the work; the limit of the result does.
    let body = std::mem::take(&mut request.body);
    let inflated = tokio::task::spawn_blocking(move || compress::inflate(&body, limit_bytes)).await;
    match inflated {
        Ok(Ok(body)) => request.body = body,
        Ok(Err(error @ InflateError::Corrupt)) => return Err(plain(400, error.to_string())),
        Ok(Err(error @ InflateError::TooLarge { .. })) => {
            return Err(plain(413, error.to_string()));
        }
        Err(_) => return Err(bare(StatusCode::INTERNAL_SERVER_ERROR)),
    }
    request.headers.remove(header::CONTENT_ENCODING);
    Ok(())
}

async fn finish(mut response: Response, wishes: Wishes) -> Response {
    let Body::Full(body) = &response.body else {
        return response;
    };
    let mut body = body.clone();
    let is_json = response
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == negotiate::APPLICATION_JSON);
    if let Some(callback) = wishes.jsonp.filter(|name| !name.is_empty())
        && is_json
        && response.status == StatusCode::OK
    {
        body = wrap_in_callback(&callback, &body);
        response
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript"));
    }
    // Files are never compressed; they are the answers that say how to store them.
    let compressible = !response.headers.contains_key(header::CONTENT_ENCODING)
        && !response.headers.contains_key(header::CONTENT_DISPOSITION)
        && body.len() >= compress::COMPRESS_BYTES_MIN;
    if wishes.gzip
        && compressible
        && let Some(compressed) = compress_off_thread(body.clone()).await
    {
        body = compressed;
        response
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.body = Body::Full(body);
    response
}

async fn compress_off_thread(body: Bytes) -> Option<Bytes> {
    if body.len() <= compress::INLINE_BYTES_MAX {
        return compress::gzip(&body);
    }
    tokio::task::spawn_blocking(move || compress::gzip(&body))
        .await
        .ok()
        .flatten()
}

/// An answer whose body is code and reason, as all default bodies are.
pub(super) fn bare(status: StatusCode) -> Response {
    Response::text(
        status,
        format!(
            "{} {}.",
            status.as_str(),
            status.canonical_reason().unwrap_or("Unknown")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_bodies_are_code_and_reason() {
        let response = bare(StatusCode::NOT_FOUND);
        assert!(matches!(&response.body, Body::Full(body) if body.as_ref() == b"404 Not Found."));
    }

    #[test]
    fn paths_are_checked_decoded() {
        let status = |path: &str| check_path(path).err().map(|response| response.status);
        assert_eq!(status("/files/read"), None);
        assert_eq!(status("/files..x"), None);
        assert_eq!(status("/files/../read"), Some(StatusCode::NOT_FOUND));
        assert_eq!(status("/files/%2e%2E/read"), Some(StatusCode::NOT_FOUND));
        assert_eq!(status("files"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status("*"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status(""), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status("/a%zz"), Some(StatusCode::BAD_REQUEST));
    }
}
