//! The routes of the process `files`.

use std::sync::Arc;

use libprocess::http::StatusCode;
use libprocess::{Context, Process, Request, Responder, Response, RouteOptions};
use mesos::json::{write_array, write_object};

use super::listing::{FileInfo, list};
use super::reading::{Piece, read};
use super::tree::Tree;
use super::{FilesError, download};

type Handler = fn(&mut Files, Request, Responder, &mut Context<Files>);

const ROUTES: &[(&str, &str, Handler)] = &[
    ("browse", "Lists the directory at 'path'.", Files::browse),
    (
        "read",
        "Reads 'length' bytes (at most 16 pages) from 'offset' of the file at 'path'; offset -1 tells the size.",
        Files::read,
    ),
    ("download", "Sends the file at 'path'.", Files::download),
    ("debug", "Tells what is attached: virtual and real paths.", Files::debug),
];

/// The process.
pub(super) struct Files {
    tree: Arc<Tree>,
}

impl Files {
    pub(super) const fn new(tree: Arc<Tree>) -> Self {
        Self { tree }
    }

    fn browse(&mut self, request: Request, responder: Responder, context: &mut Context<Self>) {
        self.answer(request, responder, context, |tree, path| {
            list(tree, path).map(|entries| Response::ok_json(listing_json(&entries)))
        });
    }

    fn read(&mut self, request: Request, responder: Responder, context: &mut Context<Self>) {
        match Window::parse(&request) {
            Ok(window) => self.answer(request, responder, context, move |tree, path| {
                let piece = read(tree, path, window.offset, window.length)?;
                Ok(Response::ok_json(piece_json(&piece)))
            }),
            Err(error) => responder.send(refusal(&error)),
        }
    }

    fn download(&mut self, request: Request, responder: Responder, context: &mut Context<Self>) {
        let Some(path) = request.query.get("path").cloned() else {
            return responder.send(refusal(&no_path()));
        };
        let (tree, method) = (Arc::clone(&self.tree), request.method);
        let open = move || {
            let download = download::open(&tree, &path)?;
            let answer = download.respond(&method);
            answer.map_err(|source| FilesError::Unreadable { path, source })
        };
        context.run_blocking(open, |_, opened, context| match opened {
            Ok((response, stream)) => {
                responder.send(response);
                if let Some(stream) = stream {
                    context.run_async(stream.run(), |_, (), _| {});
                }
            }
            Err(error) => responder.send(refusal(&error)),
        });
    }

    fn debug(&mut self, _request: Request, responder: Responder, _context: &mut Context<Self>) {
        let mut json = String::new();
        write_object(&mut json, |object| {
            for (virtual_path, real) in self.tree.attached() {
                object.text(&virtual_path, real.display());
            }
        });
        responder.send(Response::ok_json(json));
    }

    /// Works on the path of the query, beside the process.
    fn answer(
        &self,
        mut request: Request,
        responder: Responder,
        context: &mut Context<Self>,
        work: impl FnOnce(&Tree, &str) -> Result<Response, FilesError> + Send + 'static,
    ) {
        let Some(path) = request.query.remove("path") else {
            return responder.send(refusal(&no_path()));
        };
        let tree = Arc::clone(&self.tree);
        let work = move || work(&tree, &path);
        context.run_blocking(work, |_, result, _| {
            responder.send(result.unwrap_or_else(|error| refusal(&error)));
        });
    }
}

impl Process for Files {
    fn initialize(&mut self, context: &mut Context<Self>) {
        for (path, help, handler) in ROUTES {
            let options = RouteOptions {
                realm: context.node().config().readonly_realm.clone(),
                methods: Vec::new(),
                help: (*help).to_owned(),
            };
            context.route(path, options, *handler);
        }
    }
}

/// What part of a file is asked for.
struct Window {
    offset: Option<u64>,
    length: Option<u64>,
}

impl Window {
    /// Reads `offset` and `length`; -1 and absent are the same.
    fn parse(request: &Request) -> Result<Self, FilesError> {
        let number = |key: &str| match request.query.get(key).map(String::as_str) {
            None | Some("-1" | "") => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| FilesError::Invalid(format!("'{key}' must be a count or -1, not '{text}'"))),
        };
        Ok(Self {
            offset: number("offset")?,
            length: number("length")?,
        })
    }
}

fn no_path() -> FilesError {
    FilesError::Invalid("the query must have 'path=PATH'".to_owned())
}

fn refusal(error: &FilesError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Response::text(status, error.body())
}

fn listing_json(entries: &[FileInfo]) -> String {
    let mut json = String::new();
    write_array(&mut json, entries, |json, entry| {
        write_object(json, |object| {
            object.string("gid", &entry.group);
            object.text("mode", entry.mode);
            #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^53 seconds")]
            object.number("mtime", entry.mtime as f64);
            object.integer("nlink", i64::try_from(entry.nlink).unwrap_or(i64::MAX));
            object.string("path", &entry.path);
            object.integer("size", i64::try_from(entry.size).unwrap_or(i64::MAX));
            object.string("uid", &entry.owner);
        });
    });
    json
}

fn piece_json(piece: &Piece) -> String {
    let mut json = String::new();
    write_object(&mut json, |object| {
        object.string("data", &piece.text());
        object.integer("offset", i64::try_from(piece.offset).unwrap_or(i64::MAX));
    });
    json
}
