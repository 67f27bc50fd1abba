//! `index.json`: which frames each run has and how they hang together. Ids and structure only.
//!
//! Each run is a line of its own, so that the file is brought up to date by copying: however many
//! runs a project has, only those that changed are in memory.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use fornax_core::ids::{FrameId, RunId};
use serde::{Deserialize, Serialize};

use crate::disk;

const FIRST_LINE: &str = "{\"v\":1,\"runs\":{\n";
const LAST_LINE: &str = "}}\n";

/// The frames of a run and how they hang together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// The frame that holds all others.
    pub root: Option<FrameId>,
    /// The children of each frame that has any, in the order in which they came to be.
    #[serde(default)]
    pub children: BTreeMap<FrameId, Vec<FrameId>>,
}

/// A frame, and its parent where it has one.
pub(crate) type Link = (Option<FrameId>, FrameId);

/// What has changed about a run's tree.
#[derive(Debug)]
pub(crate) enum Change {
    /// The tree is this one.
    Replace(Tree),
    /// These frames are in it as well.
    Grow(Vec<Link>),
}

impl Tree {
    /// Adds frames that are not in it yet.
    pub fn grow(&mut self, links: impl IntoIterator<Item = (Option<FrameId>, FrameId)>) {
        let mut known: HashSet<FrameId> = self.children.values().flatten().copied().collect();
        known.extend(self.root);
        for (parent, frame) in links {
            if !known.insert(frame) {
                continue;
            }
            match parent {
                None => self.root = Some(frame),
                Some(parent) => self.children.entry(parent).or_default().push(frame),
            }
        }
    }
}

impl Change {
    /// Adds a later change.
    pub(crate) fn then(&mut self, later: Change) {
        match (self, later) {
            (Change::Replace(tree), Change::Grow(links)) => tree.grow(links),
            (Change::Grow(links), Change::Grow(more)) => links.extend(more),
            (this, later @ Change::Replace(_)) => *this = later,
        }
    }

    fn apply(&self, old: Option<&str>) -> Tree {
        match self {
            Change::Replace(tree) => tree.clone(),
            Change::Grow(links) => {
                // A line that does not parse is as good as none: the frames come in again when
                // the derived files are rebuilt.
                let old = old.and_then(|json| serde_json::from_str(json).ok());
                let mut tree: Tree = old.unwrap_or_default();
                tree.grow(links.iter().copied());
                tree
            }
        }
    }
}

/// Writes the file anew with the changes in it. `keep` says which of the runs that did not change
/// stay. Returns false where there was a file that is not one of ours: its runs are lost.
pub(crate) fn update(
    path: &Path,
    changes: &BTreeMap<RunId, Change>,
    keep: impl Fn(RunId) -> bool,
) -> io::Result<bool> {
    let mut old = OldIndex::open(path)?;
    let draft = disk::draft_of(path);
    let mut new = NewIndex {
        file: BufWriter::with_capacity(256 * 1024, disk::create(&draft)?),
        runs: 0,
    };
    new.file.write_all(FIRST_LINE.as_bytes())?;
    let mut changes = changes.iter().peekable();
    while let Some((run, json)) = old.next()? {
        while let Some((&changed, change)) = changes.next_if(|&(&changed, _)| changed < run) {
            new.tree(changed, &change.apply(None))?;
        }
        if let Some((_, change)) = changes.next_if(|&(&changed, _)| changed == run) {
            new.tree(run, &change.apply(Some(json)))?;
        } else if keep(run) {
            new.line(run, json)?;
        }
    }
    for (&changed, change) in changes {
        new.tree(changed, &change.apply(None))?;
    }
    if new.runs > 0 {
        new.file.write_all(b"\n")?;
    }
    new.file.write_all(LAST_LINE.as_bytes())?;
    new.file.into_inner()?;
    std::fs::rename(&draft, path)?;
    Ok(!old.broken)
}

struct NewIndex {
    file: BufWriter<File>,
    runs: u32,
}

impl NewIndex {
    fn tree(&mut self, run: RunId, tree: &Tree) -> io::Result<()> {
        let json = serde_json::to_string(tree)?;
        self.line(run, &json)
    }

    fn line(&mut self, run: RunId, json: &str) -> io::Result<()> {
        if self.runs > 0 {
            self.file.write_all(b",\n")?;
        }
        self.runs += 1;
        write!(self.file, "\"{run}\":{json}")
    }
}

/// The file as it is, read run by run, in the order of the runs.
struct OldIndex {
    reader: Option<BufReader<File>>,
    line: String,
    last: Option<RunId>,
    broken: bool,
}

impl OldIndex {
    fn open(path: &Path) -> io::Result<OldIndex> {
        let mut index = OldIndex {
            reader: None,
            line: String::new(),
            last: None,
            broken: false,
        };
        match disk::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => index.reader = Some(BufReader::with_capacity(256 * 1024, file?)),
        }
        if index.reader.is_some() && index.read_line()? != Some(FIRST_LINE) {
            index.give_up();
        }
        Ok(index)
    }

    fn give_up(&mut self) {
        self.reader = None;
        self.broken = true;
    }

    fn read_line(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        match reader.read_line(&mut self.line) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => self.line.clear(),
            read => {
                read?;
            }
        }
        Ok(Some(&self.line))
    }

    fn next(&mut self) -> io::Result<Option<(RunId, &str)>> {
        if self.read_line()?.is_none_or(|line| line == LAST_LINE) {
            self.reader = None;
            return Ok(None);
        }
        let run = parse(&self.line).map(|(run, _)| run);
        if run.is_none() || run <= self.last {
            self.give_up();
            return Ok(None);
        }
        self.last = run;
        Ok(parse(&self.line))
    }
}

/// A line of the file: the run and its tree.
fn parse(line: &str) -> Option<(RunId, &str)> {
    let (run, json) = line.strip_prefix('"')?.split_once("\":")?;
    let json = json.strip_suffix('\n')?;
    let json = json.strip_suffix(',').unwrap_or(json);
    Some((run.parse().ok()?, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn run(number: u32) -> RunId {
        RunId {
            date: 20_261_121,
            number,
        }
    }

    fn frame(number: u32) -> FrameId {
        FrameId::nth(3, number)
    }

    fn grow(links: &[(Option<u32>, u32)]) -> Change {
        let link = |&(parent, child): &(Option<u32>, u32)| (parent.map(frame), frame(child));
        Change::Grow(links.iter().map(link).collect())
    }

    fn read(path: &Path) -> BTreeMap<RunId, Tree> {
        #[derive(Deserialize)]
        struct Index {
            v: u32,
            runs: BTreeMap<RunId, Tree>,
        }
        let index: Index = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(index.v, 1);
        index.runs
    }

    #[test]
    fn runs_are_added_grown_and_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let write = |changes: Vec<(RunId, Change)>, keep: fn(RunId) -> bool| {
            update(&path, &changes.into_iter().collect(), keep).unwrap()
        };
        assert!(write(vec![], |_| true));
        assert!(read(&path).is_empty());
        assert!(write(
            vec![
                (run(2), grow(&[(None, 1), (Some(1), 2)])),
                (run(4), grow(&[(None, 10)]))
            ],
            |_| true
        ));
        assert!(write(
            vec![
                (run(1), grow(&[(None, 20)])),
                // One of them is there already.
                (run(2), grow(&[(Some(1), 2), (Some(1), 3), (Some(2), 4)])),
                (run(3), Change::Replace(Tree::default())),
            ],
            |_| true
        ));
        let runs = read(&path);
        assert_eq!(runs.len(), 4);
        assert_eq!(runs[&run(2)].root, Some(frame(1)));
        assert_eq!(
            runs[&run(2)].children,
            BTreeMap::from([
                (frame(1), vec![frame(2), frame(3)]),
                (frame(2), vec![frame(4)])
            ])
        );
        assert!(write(vec![], |run| run.number != 4));
        assert_eq!(read(&path).len(), 3);
    }

    #[test]
    fn a_file_of_somebody_else_is_replaced_and_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        let change = || BTreeMap::from([(run(1), grow(&[(None, 1)]))]);
        let ours = format!("{FIRST_LINE}\"{}\":{{\"root\":null}}\n", run(9));
        for bad in [
            b"".as_slice(),
            b"{}",
            b"\xff\n",
            &ours.as_bytes()[..20],
            [ours.as_bytes(), b"\xff\n"].concat().as_slice(),
            ours.as_bytes(),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(!update(&path, &change(), |_| true).unwrap(), "{bad:?}");
            assert!(read(&path).contains_key(&run(1)));
            assert!(update(&path, &change(), |_| true).unwrap());
        }
    }
}
