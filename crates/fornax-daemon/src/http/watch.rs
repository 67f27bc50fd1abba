//! To be told when a file grows or comes to be: one inotify instance for the whole daemon, since a
//! user may only have few of them.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// All that is watched.
pub(crate) struct Watches {
    fd: AsyncFd<OwnedFd>,
    /// By watch descriptor; who waits for it holds a receiver.
    watched: Mutex<HashMap<i32, watch::Sender<()>>>,
}

/// One file or folder that is watched while this lives.
pub(crate) struct Watch {
    all: Arc<Watches>,
    id: i32,
    /// None only while it is dropped.
    changes: Option<watch::Receiver<()>>,
}

impl Watches {
    /// Nothing watched yet. Must be called within the runtime.
    #[allow(unsafe_code)]
    pub(crate) fn new() -> io::Result<Watches> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned, nothing takes it out of the `AsyncFd` or replaces it, and
        // both are dropped together.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
        Ok(Watches {
            fd,
            watched: Mutex::default(),
        })
    }

    /// Tells the watches what happens; goes on until it is dropped or the system fails.
    pub(crate) async fn run(&self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            match self.tell() {
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(Errno::INTR) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Watches a file for growth, or a folder for what comes to be in it.
    pub(crate) fn add(self: &Arc<Self>, path: &Path) -> io::Result<Watch> {
        // A descriptor stands for an inode, and a second mask replaces the first: a file always has
        // the one, a folder always the other, so that those who share it do not disturb each other.
        let flags = if path.is_dir() {
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR
        } else {
            WatchFlags::MODIFY | WatchFlags::DONT_FOLLOW
        };
        // Under the lock, so that nobody gives the descriptor up between.
        let mut watched = self.lock();
        let id = inotify::add_watch(&self.fd, path, flags)?;
        let sender = watched.entry(id).or_insert_with(|| watch::Sender::new(()));
        Ok(Watch {
            changes: Some(sender.subscribe()),
            all: Arc::clone(self),
            id,
        })
    }

    fn tell(&self) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.fd, &mut space);
        loop {
            let event = events.next()?;
            let watched = self.lock();
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                watched
                    .values()
                    .for_each(|sender| sender.send_modify(|()| {}));
            } else if let Some(sender) = watched.get(&event.wd()) {
                sender.send_modify(|()| {});
            }
            drop(watched);
            // Back to the runtime after each bufferful: others want to run as well.
            if events.is_buffer_empty() {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, watch::Sender<()>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits until something happened since the last call, or since the watch began.
    pub(crate) async fn changed(&mut self) {
        let told = match &mut self.changes {
            Some(changes) => changes.changed().await.is_ok(),
            None => false,
        };
        if !told {
            // Nobody is left who could tell; the waiter has other reasons to go on.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        self.changes = None;
        let unused = watched
            .get(&self.id)
            .is_some_and(|sender| sender.receiver_count() == 0);
        if unused {
            watched.remove(&self.id);
            // It fails where the file is gone, and then there is nothing to remove.
            let _ = inotify::remove_watch(&self.all.fd, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[tokio::test]
    async fn growth_and_coming_to_be_are_told_and_nothing_is_left_behind() {
        let temp = tempfile::tempdir().unwrap();
        let all = Arc::new(Watches::new().unwrap());
        let reader = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.run().await }
        });
        let path = temp.path().join("log");
        let mut folder = all.add(temp.path()).unwrap();
        let mut file = fs::File::create(&path).unwrap();
        folder.changed().await;

        let (mut one, mut two) = (all.add(&path).unwrap(), all.add(&path).unwrap());
        assert_eq!(one.id, two.id);
        file.write_all(b"x").unwrap();
        one.changed().await;
        two.changed().await;
        drop(one);
        file.write_all(b"y").unwrap();
        two.changed().await;
        assert_eq!(all.lock().len(), 2);
        fs::remove_file(&path).unwrap();
        drop(two);
        drop(folder);
        assert!(all.lock().is_empty());
        assert!(all.add(&path).is_err());
        reader.abort();
    }
}
