//! The process `files`: directories and files of this machine that operators may look into, under virtual paths.
//!
//! Nothing outside of what was attached is ever read: paths with `..` are refused, and every file that was opened is
//! checked to lie below its attached root, so that symbolic links cannot lead out, not even ones made meanwhile.
//!
//! - `tree`: what is attached, and from a virtual path to an open file
//! - `listing`: `/files/browse`
//! - `reading`: `/files/read`
//! - `download`: `/files/download`
//! - `process`: the routes

mod download;
mod listing;
mod process;
mod reading;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::{Node, ProcessId};
use thiserror::Error;

pub use listing::{FileInfo, Mode};
pub use reading::Piece;

use process::Files;
use tree::Tree;

/// Why a path cannot be shown.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Nothing is attached there, or there is no such file below.
    #[error("no file is attached at '{0}'")]
    NotFound(String),
    /// The operating system refuses.
    #[error("cannot read '{path}'")]
    Unreadable {
        /// The virtual path.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
}

impl FilesError {
    /// The status code of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::NotFound(_) => 404,
            Self::Unreadable { .. } => 500,
        }
    }

    /// The body of the answer: what was wrong, but nothing about files.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Invalid(reason) => format!("{reason}.\n"),
            Self::NotFound(_) => String::new(),
            Self::Unreadable { source, .. } => format!("{self}: {source}.\n"),
        }
    }
}

/// Attaches and reads files; clones act on the same process. All calls block and are quick for local disks.
#[derive(Clone, Debug)]
pub struct FilesHandle {
    tree: Arc<Tree>,
}

impl FilesHandle {
    /// Shows a file or directory under a virtual path, in place of what was there.
    ///
    /// # Errors
    ///
    /// When the file does not exist or cannot be reached.
    pub fn attach(&self, virtual_path: &str, real: &Path) -> io::Result<()> {
        self.tree.attach(virtual_path, real)
    }

    /// Hides what a virtual path shows.
    pub fn detach(&self, virtual_path: &str) {
        self.tree.detach(virtual_path);
    }

    /// What is attached: virtual and real paths.
    #[must_use]
    pub fn attached(&self) -> Vec<(String, PathBuf)> {
        self.tree.attached()
    }

    /// Lists a directory.
    ///
    /// # Errors
    ///
    /// Tells whether the path is wrong, unknown or unreadable.
    pub fn list(&self, virtual_path: &str) -> Result<Vec<FileInfo>, FilesError> {
        listing::list(&self.tree, virtual_path)
    }

    /// Reads a piece of a file: up to `length` bytes, at most 16 pages, from `offset`; without offset only the size.
    ///
    /// # Errors
    ///
    /// Tells whether the path is wrong, unknown or unreadable.
    pub fn read(&self, virtual_path: &str, offset: Option<u64>, length: Option<u64>) -> Result<Piece, FilesError> {
        reading::read(&self.tree, virtual_path, offset, length)
    }
}

/// Starts the process `files` on a node.
#[must_use]
pub fn spawn(node: &Node) -> FilesHandle {
    let tree = Arc::new(Tree::default());
    let handle = FilesHandle {
        tree: Arc::clone(&tree),
    };
    node.spawn(ProcessId::Exact("files"), move || Files::new(tree));
    handle
}
