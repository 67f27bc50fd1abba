//! Blocking work: a bounded number of threads, and a deadline for each piece of work.
//!
//! A thread that waits for a disk or a file system that does not answer cannot be stopped. It keeps
//! its place until it returns, the caller gets an error at the deadline, and the end of the daemon
//! does not wait for it. Work on files of a project has places of its own, so it cannot keep the
//! daemon from its own records.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fornax_core::error::{Error, ErrorKind};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// A number of places for blocking work of one kind.
pub(crate) struct Pool {
    places: LazyLock<Arc<Semaphore>>,
    deadline: Duration,
    what: &'static str,
}

/// Reading and writing Fornax's own records.
pub(crate) static RECORDS: Pool = Pool {
    places: LazyLock::new(|| Arc::new(Semaphore::new(64))),
    deadline: Duration::from_secs(60),
    what: "the records",
};

/// Reading what lies in a project and what its tools are.
pub(crate) static FILES: Pool = Pool {
    places: LazyLock::new(|| Arc::new(Semaphore::new(32))),
    deadline: Duration::from_secs(60),
    what: "the project's files",
};

/// Opening and closing projects: their records may be large.
pub(crate) static PROJECTS: Pool = Pool {
    places: LazyLock::new(|| Arc::new(Semaphore::new(16))),
    deadline: Duration::from_secs(600),
    what: "the project",
};

impl Pool {
    /// Does the work on a thread where it may block.
    ///
    /// # Errors
    /// `Unavailable` where there is no place, or the work has not ended, before the deadline;
    /// `Internal` where the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.deadline;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        // Nobody closes the semaphore.
        let Ok(Ok(place)) = place else {
            let what = format!("all threads that work on {} are busy", self.what);
            return Err(Error::new(ErrorKind::Unavailable, what)
                .with_help("try again; `fornax doctor` looks for a disk that does not answer"));
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        match timeout_at(deadline, done).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let what = format!("a thread of the daemon failed: {error}");
                Err(Error::new(ErrorKind::Internal, what))
            }
            Err(_) => {
                let what = format!(
                    "{} took longer than {} s to answer",
                    self.what,
                    self.deadline.as_secs()
                );
                Err(Error::new(ErrorKind::Unavailable, what)
                    .with_help("look for a disk or network file system that does not answer"))
            }
        }
    }

    /// The same for work whose errors are those of I/O.
    pub async fn run_io<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.run(work).await.map_err(|error| {
            let kind = match error.kind {
                ErrorKind::Unavailable => io::ErrorKind::TimedOut,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, error.message)
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::mpsc;

    fn pool(places: usize, deadline: Duration) -> Pool {
        let pool = Pool {
            places: LazyLock::new(|| Arc::new(Semaphore::new(0))),
            deadline,
            what: "this test",
        };
        pool.places.add_permits(places);
        pool
    }

    #[tokio::test]
    async fn work_that_never_ends_fails_at_the_deadline_and_keeps_its_place() {
        let pool = pool(1, Duration::from_millis(300));
        let (mut reader, writer) = io::pipe().unwrap();
        let stuck = pool.run(move || reader.read(&mut [0]).map(drop)).await;
        assert_eq!(stuck.unwrap_err().kind, ErrorKind::Unavailable);
        // Its thread still waits, so there is no place.
        let waits = pool.run(|| ()).await.unwrap_err();
        assert!(waits.message.contains("busy"), "{waits}");
        drop(writer);
        let again = pool.run_io(|| Ok(5)).await;
        assert!(matches!(again, Ok(5)), "{again:?}");
    }

    #[test]
    fn a_runtime_ends_although_a_thread_is_stuck() {
        let (mut reader, _writer) = io::pipe().unwrap();
        let (began, begins) = mpsc::channel();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pool = pool(1, Duration::from_millis(300));
        let stuck = runtime.block_on(pool.run(move || {
            began.send(()).unwrap();
            reader.read(&mut [0]).map(drop)
        }));
        begins.recv().unwrap();
        assert_eq!(stuck.unwrap_err().kind, ErrorKind::Unavailable);
        runtime.shutdown_timeout(Duration::from_millis(300));
    }
}
