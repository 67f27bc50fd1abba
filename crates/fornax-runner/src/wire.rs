//! What the daemon and the shims say to one another, and how specifications reach the fork server.
//!
//! Between daemon and shim: JSON lines, either way. Unknown members and unknown messages are
//! ignored, so that a daemon can adopt the shims of an older or newer version of itself.
//! To the fork server: a length, the shim's control connection beside it, and the specification.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::spec::Exit;

/// From a shim to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Word {
    /// The command runs, as this process.
    Started {
        /// The command's process.
        pid: u32,
    },
    /// The shim waits.
    Stalled {
        /// For what.
        reason: String,
    },
    /// It goes on.
    Resumed,
    /// The task is over, and the shim with it.
    Ended {
        /// How it ended.
        exit: Box<Exit>,
    },
    /// There is no shim: the fork server could not make one.
    Refused {
        /// Why.
        reason: String,
    },
    /// The answer to a challenge; see [`crate::proof::ShimProof`].
    Proof {
        /// The challenge.
        nonce: String,
        /// What is proved, sealed.
        proof: Map<String, Value>,
    },
    /// Something that a later version says.
    #[serde(other)]
    Unknown,
}

/// From the daemon to a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Wish {
    /// Begin the stop ladder.
    Stop,
    /// Suspend the task's processes, and let no deadline run on.
    Suspend,
    /// Let them go on.
    GoOn,
    /// Prove who you are.
    Challenge {
        /// Random text that goes into the proof; up to [`NONCE_MAX`] bytes.
        nonce: String,
    },
    /// Something that a later version asks for.
    #[serde(other)]
    Unknown,
}

/// The longest challenge that is answered.
pub const NONCE_MAX: usize = 128;
/// The longest line that is read; an exit record is far smaller.
const LINE_MAX: usize = 256 << 10;
/// The longest specification: prompts are handed over in it.
const SPEC_MAX: u32 = 256 << 20;

/// One end of a connection that carries lines. Never blocks.
pub struct Lines {
    fd: OwnedFd,
    partial: Vec<u8>,
}

impl Lines {
    /// Wraps a connected, non-blocking stream socket.
    pub fn new(fd: OwnedFd) -> Lines {
        Lines {
            fd,
            partial: Vec::new(),
        }
    }

    /// Sends one message; `false` when the other end is gone or does not read.
    pub fn send(&self, message: &impl Serialize) -> bool {
        let Ok(mut line) = serde_json::to_vec(message) else {
            return false;
        };
        line.push(b'\n');
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        matches!(rustix::net::send(&self.fd, &line, flags), Ok(n) if n == line.len())
    }

    /// Reads what has arrived. The second value is `false` once the other end is gone.
    pub fn receive<M: for<'de> Deserialize<'de>>(&mut self) -> (Vec<M>, bool) {
        let mut messages = Vec::new();
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::net::recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return (messages, false),
                Ok((_, n)) => self.partial.extend_from_slice(&buffer[..n]),
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => return (messages, true),
                Err(_) => return (messages, false),
            }
            let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else {
                if self.partial.len() > LINE_MAX {
                    return (messages, false);
                }
                continue;
            };
            let lines = self.partial[..end].split(|&byte| byte == b'\n');
            messages.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
            self.partial.drain(..=end);
        }
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sends a specification and the shim's end of its control connection to the fork server.
///
/// # Errors
/// When the fork server is gone, or the specification too long.
pub fn send_spec(server: impl AsFd, spec: &[u8], control: &OwnedFd) -> io::Result<()> {
    let length = u32::try_from(spec.len())
        .ok()
        .filter(|&length| length <= SPEC_MAX);
    let length = length.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the task's input is over {SPEC_MAX} bytes"),
        )
    })?;
    let control = [control.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&control));
    let header = length.to_le_bytes();
    let mut sent = loop {
        // The descriptor travels with the first byte, so that bytes and descriptors stay in step.
        let parts = [IoSlice::new(&header), IoSlice::new(spec)];
        match rustix::net::sendmsg(&server, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    while sent < header.len() {
        sent += send_some(&server, &header[sent..])?;
    }
    let mut rest = &spec[sent - header.len()..];
    while !rest.is_empty() {
        rest = &rest[send_some(&server, rest)?..];
    }
    Ok(())
}

fn send_some(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    match rustix::net::send(fd, bytes, SendFlags::NOSIGNAL) {
        Err(rustix::io::Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}

/// Receives the next specification; `None` once the daemon's end is closed.
///
/// # Errors
/// When the stream breaks off in the middle, or is not from this program.
pub fn receive_spec(server: impl AsFd) -> io::Result<Option<(Vec<u8>, OwnedFd)>> {
    let broken = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut header = [0_u8; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut parts = [IoSliceMut::new(&mut header)];
        match rustix::net::recvmsg(&server, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?.bytes,
        }
    };
    if got == 0 {
        return Ok(None);
    }
    let control = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let control = control.ok_or_else(|| broken("a specification without its connection"))?;
    receive_exact(&server, &mut header[got..])?;
    let length = u32::from_le_bytes(header);
    if length > SPEC_MAX {
        return Err(broken("a specification that is too long"));
    }
    let mut spec = vec![0; length as usize];
    receive_exact(&server, &mut spec)?;
    Ok(Some((spec, control)))
}

fn receive_exact(fd: impl AsFd, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match rustix::net::recv(&fd, &mut *into, RecvFlags::empty()) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, n)) => into = &mut into[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_later_version_may_say_more() {
        let (ours, theirs) = pair();
        let mut ours = Lines::new(ours);
        let text = b"{\"is\":\"dancing\"}\n{\"is\":\"started\",\"pid\":7,\"mood\":1}\nnot json\n{\"is\":\"res";
        rustix::io::write(&theirs, text).unwrap();
        let (words, open) = ours.receive::<Word>();
        assert_eq!(words, [Word::Unknown, Word::Started { pid: 7 }]);
        assert!(open);
        rustix::io::write(&theirs, b"umed\"}\n").unwrap();
        drop(theirs);
        assert_eq!(ours.receive::<Word>(), (vec![Word::Resumed], false));
    }

    proptest::proptest! {
        #[test]
        fn lines_of_others_are_words_or_nothing(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000),
            line in "\\{\"(is|do)\":\"(proof|ended|started|stop|challenge)\"[^\n]{0,60}\\}?\n",
        ) {
            let (ours, theirs) = pair();
            let mut ours = Lines::new(ours);
            rustix::io::write(&theirs, line.as_bytes()).unwrap();
            rustix::io::write(&theirs, &bytes).unwrap();
            drop(theirs);
            let key = crate::key::TaskKey::from([7; 32]);
            for word in ours.receive::<Word>().0 {
                if let Word::Proof { nonce, proof } = word {
                    proptest::prop_assert_eq!(crate::proof::ShimProof::open(proof, &key, &nonce), None);
                }
            }
        }
    }

    #[test]
    fn specifications_larger_than_any_buffer_arrive_whole_each_with_its_connection() {
        let (server, daemon) = pair();
        let big = vec![b'x'; 5 << 20];
        let thread = std::thread::spawn({
            let big = big.clone();
            move || {
                for spec in [&b"small"[..], &big] {
                    let (mine, its) = pair();
                    send_spec(&daemon, spec, &its).unwrap();
                    rustix::io::write(&mine, b"hello").unwrap();
                }
            }
        });
        for expected in [&b"small"[..], &big] {
            let (spec, control) = receive_spec(&server).unwrap().unwrap();
            assert!(spec == expected);
            let mut hello = [0; 5];
            receive_exact(&control, &mut hello).unwrap();
            assert_eq!(&hello, b"hello");
        }
        thread.join().unwrap();
        assert!(receive_spec(&server).unwrap().is_none());
    }
}
