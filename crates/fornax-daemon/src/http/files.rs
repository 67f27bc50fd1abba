//! Files as streams of bytes: a part of one, or one that grows. Memory is one chunk a stream,
//! however large the file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::watch;
use tokio::time::Instant;

use super::logs::Merged;
use super::watch::{Watch, Watches};

/// What is read from: bytes by their place.
pub(crate) trait ReadAt: Send + Sync + 'static {
    /// Reads from a place on; fewer bytes than there is room for, or none, at the end or before.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = self.get(at as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// So many bytes from a place on, or all there are.
pub(crate) fn read_whole(from: &dyn ReadAt, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match from.read_at(&mut read[filled..], at + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    read.truncate(filled);
    Ok(read)
}

/// How much is read at once.
const CHUNK_BYTES: u64 = 256 << 10;
/// Chunks of a file that grows are at least this far apart, so that a program which writes byte by
/// byte does not make a packet of each.
const PACE: Duration = Duration::from_millis(10);

/// Opens a regular file within `dir` by a name that came from outside. Nothing leads out: no `..`,
/// no absolute path, no symbolic link on the way or at the end; all of these are `InvalidInput`.
pub(crate) fn open_beneath(dir: &Path, name: &Path) -> io::Result<File> {
    let refused = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a file of its folder",
        )
    };
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = OFlags::PATH | OFlags::DIRECTORY;
    // A pipe would otherwise wait for its writer.
    let read = OFlags::RDONLY | OFlags::NONBLOCK;
    let mut at = rustix::fs::open(dir, folder | OFlags::CLOEXEC, Mode::empty())?;
    let mut rest = name.components().peekable();
    while let Some(component) = rest.next() {
        let Component::Normal(part) = component else {
            return Err(refused());
        };
        let last = rest.peek().is_none();
        let kind = if last { read } else { folder };
        at = match rustix::fs::openat(&at, part, kind | flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO) => {
                return Err(refused());
            }
            opened => opened?,
        };
        if last {
            let file = File::from(at);
            return if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(refused())
            };
        }
    }
    Err(refused())
}

/// Runs what waits for the disk where waiting disturbs nobody.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    crate::pool::RECORDS.run_io(work).await
}

/// These bytes of a file; an error where it has become shorter.
pub(crate) fn part(file: Arc<dyn ReadAt>, part: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold(part, move |part| {
        let file = Arc::clone(&file);
        async move {
            if part.is_empty() {
                return Ok(None);
            }
            let chunk = read(file, part.start, CHUNK_BYTES.min(part.end - part.start)).await?;
            if chunk.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let rest = part.start + chunk.len() as u64..part.end;
            Ok(Some((chunk, rest)))
        }
    }))
}

/// The whole lines of a file from `offset` to where it ends now.
pub(crate) fn lines(file: File, offset: u64) -> Body {
    let file: Arc<dyn ReadAt> = Arc::new(file);
    Body::from_stream(stream::try_unfold(offset, move |at| {
        let file = Arc::clone(&file);
        async move {
            let chunk = whole_lines(read(file, at, CHUNK_BYTES).await?);
            let next = at + chunk.len() as u64;
            Ok::<_, io::Error>((!chunk.is_empty()).then_some((chunk, next)))
        }
    }))
}

async fn read(file: Arc<dyn ReadAt>, at: u64, bytes: u64) -> io::Result<Bytes> {
    on_disk(move || {
        let mut chunk = vec![0; bytes as usize];
        let length = file.read_at(&mut chunk, at)?;
        chunk.truncate(length);
        // A chunk may wait long for a slow reader: it should not hold more than it has.
        if length < bytes as usize / 2 {
            chunk.shrink_to_fit();
        }
        Ok(Bytes::from(chunk))
    })
    .await
}

fn whole_lines(mut chunk: Bytes) -> Bytes {
    let end = chunk
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    chunk.truncate(end);
    chunk
}

/// What grows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The file of this name, of which only whole lines are given.
    Lines(&'static str),
    /// The file of this name.
    Bytes(&'static str),
    /// The two logs of a task as one.
    Merged,
}

impl Kind {
    /// The files to look at.
    fn names(self) -> Vec<&'static str> {
        match self {
            Kind::Lines(name) | Kind::Bytes(name) => vec![name],
            Kind::Merged => fornax_runner::LOGS.to_vec(),
        }
    }
}

/// A file that grows, or that is yet to come.
pub(crate) struct Growing {
    /// The folder that it is in, or will be.
    pub dir: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The first byte that is wanted.
    pub offset: u64,
    /// Ends when nobody will write to the file any more.
    pub over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Turns true when the daemon ends.
    pub closing: watch::Receiver<bool>,
    /// Where it is watched.
    pub watches: Arc<Watches>,
}

/// A growing file while it is followed.
struct Follower {
    growing: Growing,
    /// The files, as far as they are there; empty before the first look.
    files: Vec<(Watch, Option<Arc<File>>)>,
    is_over: bool,
    paced: Instant,
}

impl Growing {
    /// All that is in the file and all that comes, until it is over.
    pub(crate) fn follow(self) -> Body {
        let follower = Follower {
            growing: self,
            files: Vec::new(),
            is_over: false,
            paced: Instant::now(),
        };
        Body::from_stream(stream::try_unfold(follower, |mut follower| async {
            let chunk = follower.next().await?;
            Ok::<_, io::Error>(chunk.map(|chunk| (chunk, follower)))
        }))
    }
}

impl Follower {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            // What was written before the end was told is read after it was told.
            let was_over = self.is_over;
            let chunk = self.read(was_over).await?;
            if !chunk.is_empty() {
                self.growing.offset += chunk.len() as u64;
                return Ok(Some(chunk));
            }
            if was_over || *self.growing.closing.borrow() {
                return Ok(None);
            }
            tokio::select! {
                () = changed(&mut self.files) => {
                    tokio::time::sleep_until(self.paced + PACE).await;
                    self.paced = Instant::now();
                }
                () = &mut self.growing.over => self.is_over = true,
                // It is only ever set once, and all that there was has been read.
                _ = self.growing.closing.changed() => return Ok(None),
            }
        }
    }

    async fn read(&mut self, is_over: bool) -> io::Result<Bytes> {
        if self.files.is_empty() || self.files.iter().any(|(_, file)| file.is_none()) {
            let (watches, dir) = (Arc::clone(&self.growing.watches), self.growing.dir.clone());
            let names = self.growing.kind.names();
            self.files = on_disk(move || {
                let open = |name| open_watched(&watches, &dir, name);
                names.into_iter().map(open).collect()
            })
            .await?;
        }
        let (dir, offset) = (self.growing.dir.clone(), self.growing.offset);
        let files: Vec<_> = self.files.iter().map(|(_, file)| file.clone()).collect();
        match (self.growing.kind, files.as_slice()) {
            (Kind::Merged, [stdout, stderr]) => {
                let logs = [stdout.clone(), stderr.clone()];
                let open = move || Merged::open(&dir, logs, is_over);
                read(Arc::new(on_disk(open).await?), offset, CHUNK_BYTES).await
            }
            (kind, [Some(file)]) => {
                let chunk = read(Arc::clone(file) as Arc<dyn ReadAt>, offset, CHUNK_BYTES).await?;
                let whole = matches!(kind, Kind::Lines(_));
                Ok(if whole { whole_lines(chunk) } else { chunk })
            }
            _ => Ok(Bytes::new()),
        }
    }
}

/// Waits until something happened to one of the files.
async fn changed(files: &mut [(Watch, Option<Arc<File>>)]) {
    match files {
        [] => std::future::pending().await,
        [(watch, _)] => watch.changed().await,
        [(first, _), rest @ ..] => {
            let rest = Box::pin(changed(rest));
            futures_util::future::select(Box::pin(first.changed()), rest).await;
        }
    }
}

/// The file and a watch on it; where it is not there, a watch on the folder in which it, or the
/// next folder on the way to it, will come to be.
fn open_watched(
    watches: &Arc<Watches>,
    dir: &Path,
    name: &str,
) -> io::Result<(Watch, Option<Arc<File>>)> {
    let path = dir.join(name);
    let nearest = || {
        path.ancestors()
            .find(|path| path.symlink_metadata().is_ok())
    };
    loop {
        let Some(place) = nearest() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // The watch comes first, so that nothing happens between the look and the watch.
        let watch = match watches.add(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            watch => watch?,
        };
        if place == path {
            let file = open_beneath(dir, Path::new(name))?;
            return Ok((watch, Some(Arc::new(file))));
        }
        if nearest() == Some(place) {
            return Ok((watch, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("in");
        fs::create_dir_all(dir.join("sub")).unwrap();
        fs::write(temp.path().join("secret"), "s").unwrap();
        fs::write(dir.join("a.txt"), "a").unwrap();
        fs::write(dir.join("sub/b.txt"), "b").unwrap();
        symlink("../secret", dir.join("link")).unwrap();
        symlink("a.txt", dir.join("inner-link")).unwrap();
        symlink("..", dir.join("up")).unwrap();
        let pipe = dir.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let open = |name: &str| open_beneath(&dir, Path::new(name));
        assert!(open("a.txt").is_ok());
        assert!(open("sub/b.txt").is_ok());
        let absolute = temp.path().join("secret");
        for name in [
            "",
            ".",
            "..",
            "/",
            "sub",
            "missing",
            "../secret",
            "sub/../../secret",
            "link",
            "inner-link",
            "up/secret",
            "pipe",
            "a.txt/x",
            absolute.to_str().unwrap(),
        ] {
            assert!(open(name).is_err(), "{name}");
        }
    }

    #[test]
    fn only_whole_lines_are_given() {
        for (chunk, whole) in [
            ("", ""),
            ("a", ""),
            ("a\n", "a\n"),
            ("a\nb", "a\n"),
            ("\n\n", "\n\n"),
        ] {
            assert_eq!(whole_lines(Bytes::from(chunk)), whole);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_whose_folders_come_to_be_meanwhile_is_not_missed() {
        let open = watch::Sender::new(false);
        let watches = Arc::new(Watches::new().unwrap());
        let telling = Arc::clone(&watches);
        let telling = tokio::spawn(async move { telling.run().await });
        for round in 0..300 {
            let temp = tempfile::tempdir().unwrap();
            let dir = temp.path().join("runs/r/tasks/t");
            let (end, over) = tokio::sync::oneshot::channel::<()>();
            let follower = Growing {
                dir: dir.clone(),
                kind: Kind::Bytes("stdout.log"),
                offset: 0,
                over: Box::pin(async move { drop(over.await) }),
                closing: open.subscribe(),
                watches: Arc::clone(&watches),
            };
            let writing = std::thread::spawn(move || {
                // Begins at another moment of the look for the file each time.
                for _ in 0..round * 20 {
                    std::hint::spin_loop();
                }
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join("stdout.log"), "x").unwrap();
            });
            let mut body = follower.follow().into_data_stream();
            let first = futures_util::StreamExt::next(&mut body);
            let first = tokio::time::timeout(Duration::from_secs(20), first).await;
            assert_eq!(
                first.expect("it is never told").unwrap().unwrap(),
                "x",
                "round {round}"
            );
            writing.join().unwrap();
            drop(end);
        }
        telling.abort();
    }
}
