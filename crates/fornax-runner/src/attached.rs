//! The daemons that are attached to a shim.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::SocketFlags;
use serde_json::{Map, Value};

use crate::wire::{Lines, NONCE_MAX, Wish, Word};

/// How many may be attached at once; one daemon is usual.
const ATTACHED_MAX: usize = 16;

/// Everyone who listens to this shim, and what a newcomer has to be told.
pub struct Attached {
    listener: Option<OwnedFd>,
    lines: Vec<Lines>,
    started: Option<Word>,
    stalled: Option<Word>,
}

impl Attached {
    /// Begins with the daemon that asked for the start.
    pub fn new(listener: Option<OwnedFd>, control: Lines) -> Attached {
        Attached {
            listener,
            lines: vec![control],
            started: None,
            stalled: None,
        }
    }

    /// What to wait for.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        let room = self.lines.len() < ATTACHED_MAX;
        let listener = self.listener.as_ref().filter(|_| room).map(OwnedFd::as_fd);
        listener
            .into_iter()
            .chain(self.lines.iter().map(Lines::as_fd))
    }

    /// Tells everyone, now or when they attach. Who does not read is let go: it finds the record.
    pub fn tell(&mut self, word: &Word) {
        match word {
            Word::Started { .. } => self.started = Some(word.clone()),
            Word::Stalled { .. } => self.stalled = Some(word.clone()),
            Word::Resumed => self.stalled = None,
            Word::Ended { .. } | Word::Refused { .. } | Word::Proof { .. } | Word::Unknown => {}
        }
        self.lines.retain(|lines| lines.send(word));
    }

    /// Whether nobody listens.
    pub fn is_alone(&self) -> bool {
        self.lines.is_empty()
    }

    /// Lets newcomers in and hears everyone: what they wish, in this order. Challenges are answered
    /// with `prove`, each to who sent it.
    pub fn hear(&mut self, prove: impl Fn(&str) -> Map<String, Value>) -> Vec<Wish> {
        while self.lines.len() < ATTACHED_MAX {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Some(listener) = &self.listener else {
                break;
            };
            // Nobody there, or gone again: either way the next event tells.
            let Ok(fd) = rustix::net::accept_with(listener, flags) else {
                break;
            };
            let lines = Lines::new(fd);
            if [&self.started, &self.stalled]
                .into_iter()
                .flatten()
                .all(|word| lines.send(word))
            {
                self.lines.push(lines);
            }
        }
        let mut all = Vec::new();
        self.lines.retain_mut(|lines| {
            let (wishes, mut open) = lines.receive::<Wish>();
            for wish in wishes {
                match wish {
                    Wish::Challenge { nonce } if nonce.len() <= NONCE_MAX => {
                        let proof = prove(&nonce);
                        open &= lines.send(&Word::Proof { nonce, proof });
                    }
                    wish => all.push(wish),
                }
            }
            open
        });
        all
    }
}
