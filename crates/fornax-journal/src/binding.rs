//! Whether a run's records are those that this installation wrote.

use std::fmt;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::RunId;
use sha2::{Digest, Sha256};

use crate::chain::{Chain, Mac};
use crate::error::{Damage, JournalError};
use crate::heads::{Accepted, HeadEntry, Heads};
use crate::installation::{self, Installation};

/// Why a run is not carried on. It can be read, and a person may accept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// Another installation wrote records of it, or something changed them.
    Foreign,
    /// Records that this installation wrote are missing at its end: an older copy was put in the
    /// place of the journal.
    Restored {
        /// How many records were written.
        written: u64,
        /// How many are there.
        found: u64,
    },
    /// Its journal is damaged.
    Damaged(String),
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exclusion::Foreign => {
                f.write_str("this installation of Fornax did not write its records")
            }
            Exclusion::Restored { written, found } => write!(
                f,
                "its journal was replaced by an older copy: it has {found} records, {written} were \
                 written"
            ),
            Exclusion::Damaged(what) => write!(f, "its journal is damaged: {what}"),
        }
    }
}

impl Exclusion {
    /// The error that a command about this run gets.
    #[must_use]
    pub fn error(&self, run: RunId) -> Error {
        match self {
            Exclusion::Damaged(_) => {
                Error::new(ErrorKind::Damaged, format!("{run} cannot be used: {self}")).with_help(
                    "`fornax doctor --fix` sets it aside; `fornax verify` shows the damage",
                )
            }
            Exclusion::Foreign | Exclusion::Restored { .. } => {
                Error::new(ErrorKind::Forbidden, format!("{run} is read-only: {self}")).with_help(
                    format!("`fornax trust {run}` shows what it would execute, and accepts it"),
                )
            }
        }
    }
}

/// The installation, seen from one project.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) installation: Installation,
    pub(crate) project_key: u64,
    pub(crate) heads: Heads,
}

impl Binding {
    pub(crate) fn open(
        installation: &Installation,
        project_key: u64,
    ) -> Result<Binding, JournalError> {
        let dir = installation.create_project_dir(project_key)?;
        Ok(Binding {
            installation: installation.clone(),
            project_key,
            heads: Heads::open(dir.join(installation::HEADS))?,
        })
    }

    /// The beginning of a run's chain.
    pub(crate) fn root(&self, run: RunId) -> Chain {
        Chain::root(self.installation.key(), self.project_key, run)
    }

    /// What checks a run's lines while they are read.
    pub(crate) fn verifier(&self, run: RunId) -> Verifier {
        let head = self.heads.get(run).copied();
        let accepted = head.and_then(|head| head.accepted);
        Verifier {
            chain: self.root(run),
            committed: (0, self.root(run).mac()),
            prefix: accepted.map(|accepted| (accepted, AcceptedDigest::default())),
            head,
            accepted_seq: 0,
        }
    }
}

/// Checks the lines of a run, one after the other, against what this installation wrote.
#[derive(Debug)]
pub(crate) struct Verifier {
    chain: Chain,
    /// The number and the code of the last record of the last whole step.
    committed: (u64, Mac),
    /// The lines that a person accepted, until all of them were read.
    prefix: Option<(Accepted, AcceptedDigest)>,
    head: Option<HeadEntry>,
    /// The number of the last record that a person accepted.
    accepted_seq: u64,
}

/// A run whose records are all this installation's.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    /// The place in the chain after its last record.
    pub(crate) chain: Chain,
    pub(crate) accepted: Option<Accepted>,
    /// The number of the last record that a person accepted; 0 where this installation began the run.
    pub(crate) accepted_seq: u64,
}

impl Verifier {
    /// Takes the next line, which holds record `seq` and ends, with its newline, at byte `end`.
    /// False where this installation did not write it there.
    pub(crate) fn line(&mut self, seq: u64, end: u64, line: &[u8], payload: Option<&[u8]>) -> bool {
        if let Some((accepted, digest)) = &mut self.prefix {
            digest.line(line, payload);
            if end < accepted.bytes {
                return true;
            }
            if end > accepted.bytes || std::mem::take(digest).finish() != accepted.sha256 {
                return false;
            }
            self.chain = self.chain.clone().after_accepted(&accepted.sha256);
            self.prefix = None;
            self.accepted_seq = seq;
        } else if !self.chain.check(line, payload) {
            return false;
        }
        let at_head = self.head.filter(|head| head.seq == seq);
        at_head.is_none_or(|head| head.mac == self.chain.mac() && head.bytes == end)
    }

    /// Notes that a step is whole with record `seq`.
    pub(crate) fn commit(&mut self, seq: u64) {
        self.committed = (seq, self.chain.mac());
    }

    /// What became of it, after the last line. `is_torn` says whether something stands behind the last
    /// whole step: a disk that loses the end of a file may tear the batch that was written last.
    pub(crate) fn finish(self, is_torn: bool) -> Result<Verified, Exclusion> {
        let (found, mac) = self.committed;
        let written = self.head.map_or(0, |head| head.seq);
        let least = match self.head {
            Some(head) if is_torn => head.previous,
            _ => written,
        };
        if found < least || self.prefix.is_some() {
            return Err(Exclusion::Restored { written, found });
        }
        Ok(Verified {
            chain: self.chain.at(mac),
            accepted: self.head.and_then(|head| head.accepted),
            accepted_seq: self.accepted_seq,
        })
    }
}

/// The SHA-256 over lines and the payload files that they name, as a person accepts them.
#[derive(Debug, Default, Clone)]
pub(crate) struct AcceptedDigest(Sha256);

impl AcceptedDigest {
    pub(crate) fn line(&mut self, line: &[u8], payload: Option<&[u8]>) {
        self.0.update(line);
        self.0.update(b"\n");
        if let Some(payload) = payload {
            self.0.update((payload.len() as u64).to_le_bytes());
            self.0.update(payload);
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl From<Damage> for Exclusion {
    fn from(damage: Damage) -> Exclusion {
        Exclusion::Damaged(damage.to_string())
    }
}
