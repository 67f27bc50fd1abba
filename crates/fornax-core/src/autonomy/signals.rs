//! What the trace of a session tells about the frame that it works in, folded report by report.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::frame::Report;
use crate::time::Time;

use super::command::{Check, checked};
use super::topic::{TOPIC_MAX, distance, topic};

/// How many files, failing things and words of evidence are kept.
const KEPT_MAX: usize = 500;
/// The longest text that is kept of a prompt or a command, in characters.
const TEXT_MAX: usize = 2_000;

/// What is known of a frame, apart from its trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// What it is to achieve.
    pub goal: &'a str,
    /// How one sees that it is achieved.
    pub criteria: &'a str,
    /// How many frames are within it.
    pub children: usize,
}

/// How a check last ended, as far as that still holds: a file that is changed afterwards takes a
/// success back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Checks {
    /// None was made since the last change.
    #[default]
    Unknown,
    Passed,
    Failed,
}

/// The signs that heuristics look at, since the session came to its frame.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signals {
    /// What the agent was told last.
    pub prompt: String,
    /// How far that is from what the frame is about: 0 to 100.
    pub goal_distance: u8,
    /// Turns that are over.
    pub turns: u32,
    /// Of these the last ones, in a row, in which nothing was done.
    pub idle_turns: u32,
    /// Whether no turn goes on.
    pub turn_over: bool,
    /// Tools that were used.
    pub tools: u32,
    /// Of these, those that failed.
    pub failures: u32,
    /// Things that failed when they were last tried.
    pub failing: u32,
    /// How often in a row the same thing failed, at the most.
    pub repeated_failures: u32,
    /// What that is.
    pub repeated: String,
    /// Files that were changed.
    pub files: u32,
    /// The folders that they are in.
    pub folders: u32,
    /// How the tests ended.
    pub tests: Checks,
    /// How other gates ended: linters, builds. One that fails counts for all.
    pub gates: Checks,
    /// Tokens of all model calls.
    pub tokens: u64,
    /// By how many tokens the newest model call is larger than the first.
    pub growth: u64,
    /// Since the session came to the frame, in milliseconds.
    pub elapsed_ms: u64,
    /// Since a file was changed, or something succeeded that had failed.
    pub unchanged_ms: u64,
    /// Tools that were used since then.
    pub unchanged_tools: u32,
    /// What the frame is about: words of its goal, of what was asked in it, of the files.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub topic: BTreeSet<String>,
    /// Words of commands that succeeded, and of files that were changed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub done: BTreeSet<String>,
}

/// A trace that is folded into signals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    signals: Signals,
    began: Option<Time>,
    changed: Option<Time>,
    prompted: bool,
    worked: bool,
    first_call: Option<u64>,
    files: BTreeSet<String>,
    /// What fails, and how often in a row it has.
    failing: BTreeMap<String, u32>,
    /// Checks that passed since the last change.
    passed: BTreeSet<String>,
}

impl Trace {
    /// The signals by now.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// The files that were changed.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// The checks that passed since the last change.
    pub fn passed(&self) -> impl Iterator<Item = &str> {
        self.passed.iter().map(String::as_str)
    }

    /// Takes in what happened at a moment.
    pub fn fold(&mut self, at: Time, about: &About<'_>, report: &Report) {
        let began = *self.began.get_or_insert(at);
        match report {
            Report::Prompted { text } => self.prompted(about, text),
            Report::ToolEnded {
                tool,
                title,
                success,
            } => self.tool_ended(at, tool, title, *success),
            Report::FileChanged { path } => self.file_changed(at, path),
            Report::Used { tokens } => {
                self.signals.tokens = self.signals.tokens.saturating_add(*tokens);
                let first = *self.first_call.get_or_insert(*tokens);
                self.signals.growth = tokens.saturating_sub(first);
            }
            Report::TurnEnded => {
                self.signals.turns += 1;
                self.signals.turn_over = true;
                match std::mem::take(&mut self.worked) {
                    true => self.signals.idle_turns = 0,
                    false => self.signals.idle_turns += 1,
                }
            }
            // The conversation is short again.
            Report::Compacted { .. } => {
                self.first_call = None;
                self.signals.growth = 0;
            }
            // Work that others do for it is work.
            Report::ChildBegan { .. } | Report::ChildWorked { .. } => self.worked = true,
            Report::Began { .. }
            | Report::Ended
            | Report::ChildIdle { .. }
            | Report::ChildEnded { .. } => {}
        }
        self.signals.elapsed_ms = at.ms_since(began);
        self.signals.unchanged_ms = at.ms_since(self.changed.unwrap_or(began));
    }

    fn prompted(&mut self, about: &About<'_>, text: &str) {
        let signals = &mut self.signals;
        signals.turn_over = false;
        signals.prompt = clipped(text);
        let words = topic(&signals.prompt);
        let mut around = topic(about.goal);
        around.extend(signals.topic.iter().cloned());
        // What a frame's work begins with is what it is about, however its goal words that.
        let first = !std::mem::replace(&mut self.prompted, true);
        let apart = distance(&words, &around).filter(|_| !first);
        if first || apart.is_some_and(|apart| apart < 50) {
            let room = TOPIC_MAX.saturating_sub(signals.topic.len());
            signals.topic.extend(words.into_iter().take(room));
            signals.goal_distance = 0;
        }
        if let Some(apart) = apart {
            signals.goal_distance = apart;
        }
    }

    fn tool_ended(&mut self, at: Time, tool: &str, title: &str, success: bool) {
        self.worked = true;
        self.signals.tools += 1;
        self.signals.unchanged_tools += 1;
        self.signals.turn_over = false;
        let checked = checked(title);
        let name = match &checked {
            Some(checked) => checked.name.clone(),
            None => clipped(&format!("{tool} {title}")),
        };
        if success {
            // The exit code of the last command of a line says nothing of those before it.
            if checked.as_ref().is_some_and(|checked| !checked.honest) {
                return;
            }
            if self.failing.remove(&name).is_some() {
                self.progress(at);
            }
            let room = KEPT_MAX.saturating_sub(self.signals.done.len());
            let words = topic_of_work(title).into_iter().take(room);
            self.signals.done.extend(words);
        } else {
            self.signals.failures += 1;
            if self.failing.len() < KEPT_MAX || self.failing.contains_key(&name) {
                *self.failing.entry(name.clone()).or_insert(0) += 1;
            }
        }
        if let Some(checked) = checked {
            self.checked(checked.check, name, success);
        }
        self.count_failures();
    }

    fn checked(&mut self, check: Check, name: String, success: bool) {
        match (check, success) {
            (Check::Tests, true) => self.signals.tests = Checks::Passed,
            (Check::Tests, false) => self.signals.tests = Checks::Failed,
            (Check::Gate, true) => {
                let others_fail = self.failing.keys().any(|failing| {
                    checked(failing).is_some_and(|checked| checked.check == Check::Gate)
                });
                if !others_fail {
                    self.signals.gates = Checks::Passed;
                }
            }
            (Check::Gate, false) => self.signals.gates = Checks::Failed,
        }
        if success && self.passed.len() < KEPT_MAX {
            self.passed.insert(name);
        }
    }

    fn file_changed(&mut self, at: Time, path: &str) {
        self.worked = true;
        self.signals.turn_over = false;
        self.progress(at);
        if self.files.len() < KEPT_MAX {
            self.files.insert(clipped(path));
        }
        let folder = |path: &String| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let folders: BTreeSet<Option<String>> = self.files.iter().map(folder).collect();
        self.signals.files = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.signals.folders = u32::try_from(folders.len()).unwrap_or(u32::MAX);
        let words = topic(path);
        if self.signals.topic.len() < TOPIC_MAX {
            self.signals.topic.extend(words);
        }
        // What was in order before the change need not be any more.
        for checks in [&mut self.signals.tests, &mut self.signals.gates] {
            if *checks == Checks::Passed {
                *checks = Checks::Unknown;
            }
        }
        self.passed.clear();
        self.signals.done.clear();
        for path in self.files.iter().take(KEPT_MAX) {
            self.signals.done.extend(topic_of_work(path));
        }
    }

    fn progress(&mut self, at: Time) {
        self.changed = Some(at);
        self.signals.unchanged_tools = 0;
    }

    fn count_failures(&mut self) {
        self.signals.failing = u32::try_from(self.failing.len()).unwrap_or(u32::MAX);
        let most = self.failing.iter().max_by_key(|(_, count)| **count);
        (self.signals.repeated, self.signals.repeated_failures) =
            most.map_or_else(Default::default, |(name, count)| (name.clone(), *count));
    }
}

/// All words of a command or a path, those that steer included: `cargo test`, `src/login.rs`.
pub(super) fn topic_of_work(text: &str) -> BTreeSet<String> {
    crate::context::words(&[text]).collect()
}

fn clipped(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
