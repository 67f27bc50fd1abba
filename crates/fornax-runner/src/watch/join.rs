//! Joining a shim that is there already: it is adopted when it has proved that it is the task's shim.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll;
use serde_json::{Map, Value};

use super::sweeper::{Remains, Work};
use super::vitals::Vitals;
use super::{Key, Link, Watch};
use crate::look::Live;
use crate::place::FileId;
use crate::procs::Identity;
use crate::proof::ShimProof;
use crate::shims;
use crate::stop::nonce;
use crate::wire::{Lines, Wish, Word};

/// How long a shim may take to prove itself before the kernel is asked who it is.
pub(super) const VOUCH_AFTER: Duration = Duration::from_secs(2);
/// How long what listens on the socket may take to prove itself, if the kernel does not vouch for it.
const PROVE_WITHIN: Duration = Duration::from_secs(5);
/// How often a connection may end before anything is proved.
const JOINS_MAX: u32 = 3;
/// How much is kept that is said before it is proved who says it.
const WORDS_MAX: usize = 64;

/// A connection to what listens on the task's socket and has not proved yet that it is its shim.
pub(super) struct Joining {
    pub lines: Lines,
    pub token: u64,
    nonce: String,
    folder: FileId,
    /// The process that listens, by the kernel's word.
    peer: u32,
    pub since: Duration,
    /// What it has said so far.
    words: Vec<Word>,
}

/// Why something is not the task's shim.
enum Unproved {
    /// It is not one of ours.
    Forged(String),
    /// It is the shim of another folder, or another installation's.
    Foreign(String),
}

impl Watch {
    /// Joins what listens on a task's socket.
    pub(super) fn join(&mut self, key: &Key, live: Live) {
        if let Some(shim) = live.legacy {
            if let Some(task) = self.tasks.get_mut(key) {
                (task.shim, task.answers) = (Some(shim), false);
                task.folder = Some(live.folder);
            }
            return self.attach(key, live.fd);
        }
        let Some(token) = self.listen(key, &live.fd) else {
            return;
        };
        let (nonce, since) = (nonce(), self.clock.now());
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.joins += 1;
        if task.joins > JOINS_MAX {
            return self.unproved(key, "it closes each connection", true);
        }
        let lines = Lines::new(live.fd);
        lines.send(&Wish::Challenge {
            nonce: nonce.clone(),
        });
        task.link = Link::Joining(Joining {
            lines,
            token,
            nonce,
            folder: live.folder,
            peer: live.peer,
            since,
            words: Vec::new(),
        });
        self.tokens.insert(token, key.clone());
    }

    /// Has the thread woken by a connection; none where the kernel's limit is reached, and then the
    /// task is looked at again later.
    pub(super) fn listen(&mut self, key: &Key, fd: &OwnedFd) -> Option<u64> {
        let token = self.next_token;
        let data = epoll::EventData::new_u64(token);
        if let Err(error) = epoll::add(&self.epoll, fd, data, epoll::EventFlags::IN) {
            // The task goes on. If its shim has not yet claimed its folder, it may be started once
            // more: only one of the two will have it.
            self.postpone(key, &error.into());
            return None;
        }
        self.next_token += 1;
        Some(token)
    }

    /// Hears what has not proved itself yet.
    pub(super) fn hear_joining(&mut self, key: &Key, token: u64) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let Link::Joining(joining) = &mut task.link else {
            return;
        };
        let (words, open) = joining.lines.receive::<Word>();
        let mut answer = None;
        for word in words {
            match word {
                Word::Proof { nonce, proof } if nonce == joining.nonce => answer = Some(proof),
                word if joining.words.len() < WORDS_MAX => joining.words.push(word),
                _ => {}
            }
        }
        match answer.map(|answer| self.check(key, answer)) {
            Some(Ok(proof)) => self.proved(key, proof),
            Some(Err(Unproved::Forged(why))) => return self.unproved(key, &why, true),
            Some(Err(Unproved::Foreign(why))) => return self.unproved(key, &why, false),
            None => {}
        }
        if !open && self.tokens.remove(&token).is_some() {
            // It may have ended just now, and left its record.
            self.resolve(key);
        }
    }

    /// Whether an answer to the challenge proves that the task's shim sent it.
    fn check(&self, key: &Key, answer: Map<String, Value>) -> Result<ShimProof, Unproved> {
        let forged = |why: &str| Unproved::Forged(why.to_owned());
        let link = self.tasks.get(key).map(|task| (&task.link, &task.spec.key));
        let Some((Link::Joining(joining), task_key)) = link else {
            return Err(forged("nothing was asked"));
        };
        let proof = ShimProof::open(answer, task_key, &joining.nonce)
            .ok_or_else(|| forged("its proof was not made with this task's key"))?;
        // A proof that another process has passed on is not its own.
        let peer = joining.peer;
        if proof.shim.pid != peer && proof.folder == joining.folder {
            let why = format!("process {peer} answers in the place of the supervisor");
            return Err(Unproved::Forged(why));
        }
        if proof.folder != joining.folder {
            let why = "it works in another folder, of which this one is a copy";
            return Err(Unproved::Foreign(why.to_owned()));
        }
        if !proof.state.is_same(&self.state) {
            let why = format!("it belongs to the state directory {}", proof.state.path);
            return Err(Unproved::Foreign(why));
        }
        if (&proof.task_id, proof.attempt) != (&key.0, key.1) {
            return Err(Unproved::Foreign(format!("it runs {}", proof.task_id)));
        }
        Ok(proof)
    }

    fn proved(&mut self, key: &Key, proof: ShimProof) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let link = std::mem::replace(&mut task.link, Link::None);
        let Link::Joining(joining) = link else {
            task.link = link;
            return;
        };
        task.joins = 0;
        task.folder = Some(proof.folder);
        let was_reported = task.is_vouched && task.vitals.heard(now);
        task.adopt(proof.shim, now);
        task.vitals
            .answered(now, Duration::from_millis(proof.ran_ms));
        task.is_vouched = false;
        task.link = Link::Shim(joining.lines, joining.token);
        task.send_wishes();
        if was_reported || std::mem::take(&mut task.unwatched) {
            self.resumed(key);
        }
        self.take_in(key, joining.words);
    }

    /// What listens on the task's socket is not its shim. It is left alone, and the task is lost; what
    /// bears the task's marks is swept, if the task's shim is gone (`is_gone`).
    fn unproved(&mut self, key: &Key, why: &str, is_gone: bool) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let link = std::mem::replace(&mut task.link, Link::None);
        let folder = match &link {
            Link::Joining(joining) => Some(joining.folder),
            _ => None,
        };
        if let Some(token) = link.token() {
            self.tokens.remove(&token);
        }
        let reason =
            format!("what listens on the task's socket did not prove to be its supervisor: {why}");
        task.folder = task.folder.or(folder);
        let mut remains = Remains {
            is_taken: true,
            ..task.remains(key)
        };
        if !is_gone {
            remains.marks.clear();
        }
        task.link = Link::Sweep;
        self.give_sweeper(Work::Lost(remains, reason));
    }

    /// Finds out by the kernel who it is that has been challenged and does not answer: a shim that was
    /// stopped can prove nothing.
    pub(super) fn vouch(&mut self, key: &Key) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let Link::Joining(joining) = &task.link else {
            return;
        };
        if task.is_vouched {
            return;
        }
        let peer = joining.peer;
        let holds = shims::lock_holder(joining.folder) == Some(peer);
        let shim = Identity::of(peer).filter(|_| holds && shims::is_shim_of(peer, &self.state));
        match shim {
            Some(shim) => {
                let since = joining.since;
                task.folder = Some(joining.folder);
                task.adopt(shim, since);
                task.vitals.asked(since);
                task.is_vouched = true;
            }
            None if now.saturating_sub(joining.since) >= PROVE_WITHIN => {
                self.unproved(key, &format!("process {peer} does not answer"), true);
            }
            None => {}
        }
    }
}

impl super::Task {
    /// Knows the shim from now on.
    pub(super) fn adopt(&mut self, shim: Identity, now: Duration) {
        if self.shim == Some(shim) {
            return;
        }
        self.shim = Some(shim);
        self.vitals = Vitals::new(now);
        if self.suspended {
            self.vitals.suspend(now, true);
        }
        if self.stop {
            self.vitals.stop(now);
        }
    }

    /// Tells a shim what it has missed.
    pub(super) fn send_wishes(&self) {
        let Link::Shim(lines, _) = &self.link else {
            return;
        };
        if self.suspended {
            lines.send(&Wish::Suspend);
        }
        if self.stop {
            lines.send(&Wish::Stop);
        }
    }
}
