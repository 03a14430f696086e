//! Servers to ask, and the children of this test program.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mesos_checks::core::TaskChecks;
use mesos_checks::runner::ProcessRunner;
use mesos_checks::{Checks, Report};
use mesos_containerizer::children::Children;
use mesos_containerizer::process_tree::ProcessStat;
use mesos_proto::v1::mesos::TaskInfo;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a runtime that collects ended children, as executors do. All tests share them.
pub fn with_children<T>(test: impl AsyncFnOnce(Children) -> T) -> T {
    static CHILDREN: OnceLock<Children> = OnceLock::new();
    let children = CHILDREN.get_or_init(|| {
        mesos_containerizer::reaper::adopt_orphans().expect("orphans come here");
        Children::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let result = runtime.block_on(async {
        let mut ends = signal(SignalKind::child()).expect("signals");
        let collecting = children.clone();
        let collector = tokio::spawn(async move {
            while ends.recv().await.is_some() {
                collecting.collect().expect("children");
            }
        });
        let result = tokio::time::timeout(PATIENCE, test(children.clone())).await;
        collector.abort();
        result.expect("in time")
    });
    runtime.shutdown_background();
    result
}

/// A runner whose commands see a search path and these variables.
pub fn runner(children: Children, variables: &[(&str, &str)]) -> Arc<ProcessRunner> {
    let mut environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    environment.extend(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    Arc::new(ProcessRunner::new(children, environment))
}

/// Starts the checks of a task; reports come through the queue.
pub fn start(task: &TaskInfo, children: Children, variables: &[(&str, &str)]) -> (Checks, mpsc::Receiver<Report>) {
    let (reports, received) = mpsc::channel(64);
    let checks = TaskChecks::of_task(task).expect("valid");
    (
        Checks::start(checks, runner(children, variables), reports, |report| report),
        received,
    )
}

/// A web server that answers every request with the status that is set, and `/moved` with a redirect.
pub struct WebServer {
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl WebServer {
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
        let address = listener.local_addr().expect("address");
        let status = Arc::new(AtomicU16::new(status));
        let answered = Arc::clone(&status);
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                answer(&connection, answered.load(Ordering::SeqCst));
            }
        });
        Self { address, status }
    }

    pub fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn answer(mut connection: &TcpStream, status: u16) {
    let mut lines = BufReader::new(connection).lines();
    let Some(Ok(first)) = lines.next() else { return };
    for line in lines.by_ref() {
        if line.map_or(true, |line| line.is_empty()) {
            break;
        }
    }
    let head = if first.starts_with("GET /moved ") {
        "HTTP/1.1 302 Found\r\nLocation: /here\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    } else if first.starts_with("GET /broken ") {
        // The body that is announced never comes.
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n".to_owned()
    } else {
        format!("HTTP/1.1 {status} Status\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    };
    // Who has gone does not want it.
    let _ = connection.write_all(head.as_bytes());
}

/// A web server behind TLS with a certificate that nobody signed, for another name, and out of date.
pub struct TlsServer {
    child: Child,
    pub port: u16,
    /// What it serves.
    _folder: tempfile::TempDir,
}

impl TlsServer {
    pub fn start() -> Self {
        let script = "\
import http.server, ssl, sys
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";
        let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/self_signed.pem");
        let folder = tempfile::tempdir().expect("folder");
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(certificate)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a port");
        let port = line.trim().parse().expect("a port");
        Self {
            child,
            port,
            _folder: folder,
        }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // Another test may have collected it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number in a file, once it is there as a whole line.
pub async fn pid_in(path: &Path) -> i32 {
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n').and_then(|text| text.trim().parse().ok()) {
            return pid;
        }
        assert!(started.elapsed() < PATIENCE, "{} never came", path.display());
        tokio::task::yield_now().await;
    }
}

/// Waits until a process runs no more (dead ones that nobody has collected do not).
pub async fn ended(pid: i32) {
    let started = Instant::now();
    while ProcessStat::read(pid).is_some_and(|process| !process.is_dead()) {
        assert!(started.elapsed() < PATIENCE, "{pid} never ended");
        tokio::task::yield_now().await;
    }
}
