//! The fetcher on real files, archives and a loopback server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::symlink;
use std::thread::JoinHandle;

use super::*;

struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("box")).expect("sandbox");
        Self { folder }
    }

    fn source(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.folder.path().join("box").join(name)
    }

    fn fetch(&self, uri: &URI) -> Result<Vec<PathBuf>, FetchError> {
        let sandbox = self.folder.path().join("box");
        let request = FetchRequest {
            uris: std::slice::from_ref(uri),
            sandbox: &sandbox,
            frameworks_home: Some(self.folder.path()),
            owner: None,
            stall_timeout: Duration::from_secs(5),
        };
        fetch(&request, &AtomicBool::new(false))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.inside(name)).expect(name)
    }
}

fn uri(value: impl Into<String>) -> URI {
    let mut uri = URI::new();
    uri.set_value(value.into());
    uri
}

fn tar_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        // Names are written as they are: the builder itself would refuse those that leave the folder.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("entry");
    }
    builder.into_inner().expect("archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn xz(mut bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    lzma_rs::xz_compress(&mut bytes, &mut compressed).expect("compressed");
    compressed
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default().unix_permissions(0o755))
            .expect("entry");
        writer.write_all(content.as_bytes()).expect("content");
    }
    writer.finish().expect("archive").into_inner()
}

/// A web server for one answer.
fn serve(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
    let address = listener.local_addr().expect("address");
    let answer = answer.into();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a client");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).expect("request") == 1 {
            head.push(byte[0]);
        }
        connection.write_all(&answer).expect("answer");
        String::from_utf8(head).expect("text")
    });
    (format!("http://{address}"), server)
}

#[test]
fn local_files_are_copied_under_their_own_name_or_the_asked_one() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source("data.txt"), "data").expect("source");
    let path = sandbox.source("data.txt").display().to_string();
    for value in [
        path.clone(),
        format!("file://{path}"),
        format!("file://localhost{path}"),
        "data.txt".to_owned(),
    ] {
        let fetched = sandbox.fetch(&uri(value)).expect("fetched");
        assert_eq!(fetched, [sandbox.inside("data.txt")]);
        assert_eq!(sandbox.read("data.txt"), "data");
        fs::remove_file(sandbox.inside("data.txt")).expect("removed");
    }
    let mut named = uri(path);
    named.set_output_file("some/where/else".to_owned());
    named.set_executable(true);
    sandbox.fetch(&named).expect("fetched");
    assert_eq!(
        fs::metadata(sandbox.inside("some/where/else")).expect("file").mode() & 0o777,
        0o755
    );
}

#[test]
fn refusals_name_the_uri() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source("data"), "data").expect("source");
    for bad in [
        "hdfs://host/file",
        "http://host",
        "http://host/",
        "file:///no/such/file",
        "file://relative",
        "/",
        "..",
    ] {
        let error = sandbox.fetch(&uri(bad)).expect_err(bad).to_string();
        assert!(error.contains(&format!("'{bad}'")), "{error}");
    }
    for output in ["/etc/x", "../x", "a/../../x", "./x"] {
        let mut outside = uri(sandbox.source("data").display().to_string());
        outside.set_output_file(output.to_owned());
        let error = sandbox.fetch(&outside).expect_err(output);
        assert!(matches!(error, FetchError::Output { .. }), "{error}");
    }
}

#[test]
fn archives_are_unpacked_unless_that_is_refused() {
    let sandbox = Sandbox::new();
    let entries = [("dir/a.txt", "A"), ("b.txt", "B")];
    let archives = [
        ("x.tar", tar_of(&entries)),
        ("x.tar.gz", gzip(&tar_of(&entries))),
        ("x.tgz", gzip(&tar_of(&entries))),
        ("x.tar.bz2", bzip2(&tar_of(&entries))),
        ("x.tbz2", bzip2(&tar_of(&entries))),
        ("x.tar.xz", xz(&tar_of(&entries))),
        ("x.txz", xz(&tar_of(&entries))),
        ("x.zip", zip_of(&entries)),
    ];
    for (name, bytes) in archives {
        fs::write(sandbox.source(name), bytes).expect("archive");
        let mut kept = uri(name);
        kept.set_extract(false);
        sandbox.fetch(&kept).expect("fetched");
        assert!(!sandbox.inside("b.txt").exists());
        sandbox.fetch(&uri(name)).expect(name);
        assert_eq!(
            (sandbox.read("dir/a.txt"), sandbox.read("b.txt")),
            ("A".to_owned(), "B".to_owned())
        );
        fs::remove_file(sandbox.inside("b.txt")).expect("removed");
        fs::remove_dir_all(sandbox.inside("dir")).expect("removed");
    }
    fs::write(sandbox.source("one.txt.gz"), gzip(b"one")).expect("compressed");
    sandbox.fetch(&uri("one.txt.gz")).expect("fetched");
    assert_eq!(sandbox.read("one.txt"), "one");
}

#[test]
fn archives_cannot_write_outside_the_sandbox() {
    let sandbox = Sandbox::new();
    let archives = [
        ("up.tar", tar_of(&[("../evil", "x")])),
        ("up.zip", zip_of(&[("../evil", "x")])),
        ("deep.tar", tar_of(&[("a/../../evil", "x")])),
    ];
    for (name, bytes) in archives {
        fs::write(sandbox.source(name), bytes).expect("archive");
        let error = sandbox.fetch(&uri(name)).expect_err(name);
        assert!(
            matches!(
                &error,
                FetchError::Extract {
                    source: ArchiveError::Outside(_),
                    ..
                }
            ),
            "{error:?}"
        );
    }
    symlink(sandbox.folder.path(), sandbox.inside("link")).expect("link");
    fs::write(sandbox.source("through.tar"), tar_of(&[("link/evil", "x")])).expect("archive");
    sandbox.fetch(&uri("through.tar")).expect_err("writes through a link");
    assert!(!sandbox.source("evil").exists());
}

#[test]
fn damaged_archives_are_refused_with_their_uri() {
    let sandbox = Sandbox::new();
    for name in ["x.zip", "x.tar.gz", "x.gz", "x.tar.bz2", "x.txz"] {
        fs::write(sandbox.source(name), "this is no archive of any kind").expect("file");
        let error = sandbox.fetch(&uri(name)).expect_err(name).to_string();
        assert!(error.contains(&format!("URI '{name}'")), "{error}");
    }
}

#[test]
fn web_resources_are_downloaded() {
    let sandbox = Sandbox::new();
    let archive = gzip(&tar_of(&[("b.txt", "B")]));
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", archive.len()).into_bytes();
    answer.extend(&archive);
    let (server, served) = serve(answer);
    sandbox.fetch(&uri(format!("{server}/some/x.tgz"))).expect("fetched");
    assert_eq!(sandbox.read("b.txt"), "B");
    assert_eq!(fs::read(sandbox.inside("x.tgz")).expect("archive"), archive);
    assert!(
        served
            .join()
            .expect("server")
            .starts_with("GET /some/x.tgz HTTP/1.1\r\n")
    );
}

#[test]
fn only_whole_answers_of_status_200_count() {
    let sandbox = Sandbox::new();
    let (server, _) = serve("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let error = sandbox.fetch(&uri(format!("{server}/x"))).expect_err("missing");
    assert!(
        matches!(
            &error,
            FetchError::Download {
                source: DownloadError::Status(404),
                ..
            }
        ),
        "{error:?}"
    );
    let (server, _) = serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
    let error = sandbox.fetch(&uri(format!("{server}/x"))).expect_err("broken off");
    assert!(
        matches!(
            &error,
            FetchError::Download {
                source: DownloadError::Body(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn stalled_and_cancelled_downloads_end() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("listener");
    let uri = uri(format!("http://{}/x", silent.local_addr().expect("address")));
    let request = FetchRequest {
        uris: &[uri],
        sandbox: &sandbox.inside(""),
        frameworks_home: None,
        owner: None,
        stall_timeout: Duration::from_millis(50),
    };
    let error = fetch(&request, &AtomicBool::new(false)).expect_err("stalled");
    assert!(
        matches!(
            &error,
            FetchError::Download {
                source: DownloadError::Stalled(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(matches!(
        fetch(&request, &AtomicBool::new(true)),
        Err(FetchError::Cancelled)
    ));
}

#[test]
fn the_program_follows_its_instructions() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source("data.txt"), "data").expect("source");
    let instructions = serde_json::json!({
        "sandbox_directory": sandbox.inside(""),
        "frameworks_home": sandbox.folder.path(),
        "stall_timeout": {"nanoseconds": 60_000_000_000_i64},
        "items": [{"uri": {"value": "data.txt", "output_file": "out"}, "action": "BYPASS_CACHE"}],
    });
    fetcher_info::run(&instructions.to_string()).expect("fetched");
    assert_eq!(sandbox.read("out"), "data");
    assert!(matches!(
        fetcher_info::run("{}"),
        Err(FetchError::Instructions(FetcherInfoError::Json(_)))
    ));
}
