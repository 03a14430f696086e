//! Named pipes between a test and its tasks: each side waits for the other without looking again and again.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// A named pipe.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    /// Our end, while others hold theirs.
    held: Option<File>,
}

impl Gate {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// Gives what the system said.
    pub fn new(path: &Path) -> io::Result<Self> {
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(Self {
            path: path.to_owned(),
            held: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets a reader go on (`cat GATE`, `read line < GATE`); waits until there is one.
    ///
    /// # Errors
    ///
    /// None came in time, or what the system said.
    pub fn open(&self, patience: Duration) -> io::Result<()> {
        let path = self.path.clone();
        self.within(patience, move || {
            File::options().write(true).open(path)?.write_all(b"go\n")
        })
    }

    /// Waits until somebody has written a line (`echo > GATE`).
    ///
    /// # Errors
    ///
    /// Nobody did in time, or what the system said.
    pub fn passed(&self, patience: Duration) -> io::Result<()> {
        let path = self.path.clone();
        self.within(patience, move || {
            let mut line = String::new();
            BufReader::new(File::open(path)?).read_line(&mut line)?;
            Ok(())
        })
    }

    /// Waits until somebody holds it open for writing (`exec 9> GATE`): a process passes that on to all that it starts.
    ///
    /// # Errors
    ///
    /// Nobody did in time, or what the system said.
    pub fn held(&mut self, patience: Duration) -> io::Result<()> {
        let path = self.path.clone();
        self.held = Some(self.within(patience, move || File::open(path))?);
        Ok(())
    }

    /// Waits until all who have held it have closed it or have ended.
    ///
    /// # Errors
    ///
    /// Somebody still holds it, nobody ever did, or what the system said.
    pub fn left(&mut self, patience: Duration) -> io::Result<()> {
        let never = || io::Error::new(io::ErrorKind::NotFound, "nobody was seen to hold the gate");
        let mut file = self.held.take().ok_or_else(never)?;
        self.within(patience, move || io::copy(&mut file, &mut io::sink()).map(drop))
    }

    /// Opening and reading a pipe waits for the other side for ever: another thread does it.
    fn within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, done) = channel();
        std::thread::spawn(move || sender.send(work()));
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("{}: nobody came", self.path.display()));
        done.recv_timeout(patience).unwrap_or_else(|_| Err(late()))
    }
}
