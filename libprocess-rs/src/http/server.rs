//! Serves HTTP on connections that carried a request that is no message.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::h1::Codec;
use actix_http::{Request as RawRequest, ServiceConfig};
use actix_service::boxed::{self, BoxService};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_core::future::LocalBoxFuture;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::exchange::{self, bare};
use super::{Body, HeaderMap, Request, Response, StatusCode, StreamReader};
use crate::node::Node;
use crate::wire::Prefixed;

/// Serves one connection until it ends. `stream` yields the bytes that were read before the hand-over first.
///
/// Runs on an arbiter of the node, so that it may spawn local tasks.
pub async fn serve(stream: Prefixed<TcpStream>, peer: SocketAddr, node: Node) {
    let Some((app, codec)) = thread_app().await else {
        return;
    };
    let (incoming, stream) = stream.into_parts();
    let connection = Connection::new(stream, BytesMut::from(incoming), peer, node, app, codec);
    if let Err(error) = connection.run().await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

type AppService = BoxService<RawRequest, ServiceResponse<BoxBody>, actix_web::Error>;

/// The `actix-web` application of a thread; all of its connections share it.
#[derive(Clone)]
pub(super) struct App(Rc<AppService>);

/// What the application is handed beside the request's head.
struct Exchange {
    node: Node,
    request: Request,
    raw_query: String,
}

/// An answer that is ready to be written.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: BoxBody,
}

/// What the connections of a thread share.
struct Shared {
    app: App,
    config: ServiceConfig,
}

thread_local! {
    // Weak, because the application must be dropped with the tasks of its thread and not after them.
    static SHARED: RefCell<Weak<Shared>> = const { RefCell::new(Weak::new()) };
}

/// The application of this thread, built when it is first needed, and a codec for one connection.
async fn thread_app() -> Option<(App, Codec)> {
    let existing = SHARED.with_borrow(Weak::upgrade);
    let shared = match existing {
        Some(shared) => shared,
        None => build_shared().await?,
    };
    Some((shared.app.clone(), Codec::new(shared.config.clone())))
}

async fn build_shared() -> Option<Rc<Shared>> {
    let factory = actix_web::App::new().default_service(web::to(dispatch)).into_factory();
    let Ok(service) = factory.new_service(AppConfig::default()).await else {
        tracing::error!("the HTTP application cannot be built");
        return None;
    };
    let app = App(Rc::new(boxed::service(service)));
    let shared = Rc::new(Shared {
        app,
        config: ServiceConfig::default(),
    });
    SHARED.set(Rc::downgrade(&shared));
    let kept = Rc::clone(&shared);
    actix_rt::spawn(async move {
        std::future::pending::<()>().await;
        drop(kept);
    });
    Some(shared)
}

impl App {
    /// Dispatches one request.
    pub(super) fn call(
        &self,
        node: &Node,
        peer: SocketAddr,
        keep_alive: bool,
        mut raw: RawRequest,
        body: Bytes,
    ) -> LocalBoxFuture<'static, Answer> {
        let raw_query = raw.uri().query().unwrap_or_default().to_owned();
        let mut request = Request::new(raw.method().clone(), raw.path());
        request.headers = std::mem::take(raw.headers_mut());
        request.body = body;
        request.peer = Some(peer);
        request.keep_alive = keep_alive;
        raw.extensions_mut().insert(Exchange {
            node: node.clone(),
            request,
            raw_query,
        });
        let answer = self.0.call(raw);
        Box::pin(async move {
            match answer.await {
                Ok(response) => Answer::from_http(response),
                Err(error) => {
                    tracing::error!(%error, "a request could not be dispatched");
                    Answer::from(bare(StatusCode::INTERNAL_SERVER_ERROR))
                }
            }
        })
    }
}

async fn dispatch(raw: HttpRequest) -> HttpResponse {
    let exchange = raw.extensions_mut().remove::<Exchange>();
    let Some(Exchange {
        node,
        request,
        raw_query,
    }) = exchange
    else {
        return HttpResponse::InternalServerError().finish();
    };
    let Response { status, headers, body } = exchange::answer(&node, request, &raw_query).await;
    let mut response = HttpResponse::with_body(status, body_of(body));
    *response.headers_mut() = headers;
    response
}

fn body_of(body: Body) -> BoxBody {
    match body {
        Body::Empty => BoxBody::new(()),
        Body::Full(bytes) => BoxBody::new(bytes),
        Body::Stream(reader) => BoxBody::new(ChunkedBody(reader)),
    }
}

/// A streamed body as the HTTP library sees it.
struct ChunkedBody(StreamReader);

impl MessageBody for ChunkedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Pin::new(&mut self.0).poll_next(task).map(|chunk| chunk.map(Ok))
    }
}

impl Answer {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: BoxBody::new(()),
        }
    }

    fn from_http(response: ServiceResponse<BoxBody>) -> Self {
        let (_, response) = response.into_parts();
        let (mut head, body) = response.into_parts();
        Self {
            status: head.status(),
            headers: std::mem::take(head.headers_mut()),
            body,
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            body: body_of(response.body),
        }
    }
}
