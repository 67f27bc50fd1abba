//! From the command's output, through the redactor, into the log.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::folder::LOGS;
use crate::order::Recorder;

/// The pipe's size: what a busy command may be ahead of us.
const PIPE_BYTES: usize = 1 << 20;
/// How much is read at once. Larger does not get faster; a shim is meant to be small.
pub const CHUNK_BYTES: usize = 128 << 10;

/// How often a full disk is tried again. Nothing else in a shim runs by the clock.
pub const RETRY: Duration = Duration::from_secs(1);

/// One of a command's outputs.
pub struct Capture {
    /// Which of the logs it is.
    which: usize,
    /// Our end of the pipe; gone once the last writer is, or nothing more is wanted.
    pipe: Option<OwnedFd>,
    log: OwnedFd,
    /// Gone once its rest has been taken.
    stream: Option<fornax_redact::Stream>,
    /// What is on its way into the log, and how much of it is there already.
    pending: Vec<u8>,
    written: usize,
    /// What the pipe held when the command had ended: to be read however late it is.
    owed: u64,
    /// Why the log cannot be written now.
    blocked: Option<Errno>,
    /// Why the log cannot be written any more.
    broken: Option<Errno>,
}

impl Capture {
    /// A capture into `log`, which of the two it is, and the end of the pipe that the command writes to.
    ///
    /// # Errors
    /// When there are too many descriptors.
    pub fn new(
        which: usize,
        log: OwnedFd,
        stream: fornax_redact::Stream,
    ) -> io::Result<(Capture, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Refused where a user has many large pipes; a small one works too.
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        rustix::io::ioctl_fionbio(&reader, true)?;
        let capture = Capture {
            which,
            pipe: Some(reader),
            log,
            stream: Some(stream),
            pending: Vec::new(),
            written: 0,
            owed: 0,
            blocked: None,
            broken: None,
        };
        Ok((capture, writer))
    }

    /// What to wait for: output to read, unless the log is blocked. The command then blocks too.
    pub fn wants(&self) -> Option<BorrowedFd<'_>> {
        if self.blocked.is_some() {
            return None;
        }
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Why the log cannot be written at the moment.
    pub fn blocked(&self) -> Option<String> {
        self.blocked
            .map(|error| format!("{} cannot be written: {error}", LOGS[self.which]))
    }

    /// What has gone wrong for good.
    pub fn broken(&self) -> Option<String> {
        self.broken
            .map(|error| format!("{} is not complete: {error}", LOGS[self.which]))
    }

    /// Moves one chunk, if there is one. `true` if the command was heard.
    pub fn pump(&mut self, buffer: &mut [u8], order: &mut Recorder) -> bool {
        self.flush(order);
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.blocked.is_none()) else {
            return false;
        };
        match rustix::io::read(pipe, &mut *buffer) {
            Ok(0) => self.pipe = None,
            Ok(n) => {
                self.owed = self.owed.saturating_sub(n as u64);
                if let Some(stream) = &mut self.stream {
                    stream.push(&buffer[..n], &mut self.pending);
                }
                self.flush(order);
                return true;
            }
            Err(Errno::INTR) => return self.pump(buffer, order),
            Err(Errno::AGAIN) => self.owed = 0,
            Err(error) => {
                self.broken = Some(error);
                self.pipe = None;
            }
        }
        false
    }

    /// The command has ended, and with it whoever else had the pipe (as far as we could help it).
    pub fn command_ended(&mut self) {
        self.owed = self
            .pipe
            .as_ref()
            .and_then(|fd| rustix::io::ioctl_fionread(fd).ok())
            .unwrap_or(0);
    }

    /// Moves what is there and ends the log when all of it is in; does not wait for more after
    /// `until`. `true` when the log is complete.
    pub fn finish(&mut self, buffer: &mut [u8], order: &mut Recorder, until: Instant) -> bool {
        // The command may have left no more to read, only what the disk had no room for.
        self.flush(order);
        while (self.owed > 0 || Instant::now() < until) && self.pump(buffer, order) {}
        if self.owed == 0 && until <= Instant::now() {
            self.pipe = None;
        }
        if self.pipe.is_none() && self.blocked.is_none() {
            if let Some(mut stream) = self.stream.take() {
                stream.finish(&mut self.pending);
            }
            self.flush(order);
        }
        self.pipe.is_none() && self.stream.is_none() && self.pending.is_empty()
    }

    /// Writes what is pending, as far as there is room.
    fn flush(&mut self, order: &mut Recorder) {
        self.blocked = None;
        while self.written < self.pending.len() && self.broken.is_none() {
            let rest = &self.pending[self.written..];
            order.before(self.which, rest);
            match rustix::io::write(&self.log, rest) {
                Ok(n) => {
                    order.wrote(self.which, &rest[..n]);
                    self.written += n;
                }
                Err(Errno::INTR) => {}
                Err(error) if is_no_space(error) => {
                    self.blocked = Some(error);
                    return;
                }
                Err(error) => self.broken = Some(error),
            }
        }
        self.pending.clear();
        self.written = 0;
    }
}

fn is_no_space(error: Errno) -> bool {
    matches!(error, Errno::NOSPC | Errno::DQUOT)
}

/// Whether an error passes once somebody makes room.
pub fn no_space(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(is_no_space)
}
