//! The heuristics: each looks at one sign and says how much it speaks for a push or a pop, and why.

use std::collections::BTreeSet;

use crate::tools::PopStatus;

use super::signals::{About, Checks, Signals, topic_of_work};
use super::topic::{distance, pieces, topic};

/// What a heuristic speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// To push a frame.
    Push,
    /// To pop the frame, with this status.
    Pop(PopStatus),
}

/// How much a sign speaks for it, from 0 to 100, and why.
type Judge = fn(&Signals, &Case<'_>) -> (u8, String);

/// What is judged.
pub(super) struct Case<'a> {
    /// What is known of the frame.
    pub about: About<'a>,
    /// The goal of the frame that somebody thinks of pushing.
    pub goal: Option<&'a str>,
}

/// A heuristic.
pub(super) struct Heuristic {
    /// Its name.
    pub name: &'static str,
    pub speaks: Speaks,
    pub judge: Judge,
}

/// The heuristic by which `auto` pushes.
pub(super) const GOAL_CHANGE: &str = "goal_change";

/// All heuristics.
pub(super) const HEURISTICS: &[Heuristic] = &[
    push(GOAL_CHANGE, goal_change),
    push("goal_complexity", goal_complexity),
    push("failure_repetition", failure_repetition),
    push("context_growth", context_growth),
    push("file_breadth", file_breadth),
    pop("clean_success", PopStatus::Completed, clean_success),
    pop("criteria_met", PopStatus::Completed, criteria_met),
    pop("stuck_on_failure", PopStatus::Failed, stuck_on_failure),
    pop("idle_turns", PopStatus::Blocked, idle_turns),
    pop("no_progress", PopStatus::Blocked, no_progress),
];

const fn push(name: &'static str, judge: Judge) -> Heuristic {
    Heuristic {
        name,
        speaks: Speaks::Push,
        judge,
    }
}

const fn pop(name: &'static str, status: PopStatus, judge: Judge) -> Heuristic {
    Heuristic {
        name,
        speaks: Speaks::Pop(status),
        judge,
    }
}

/// 0 up to `from`, `mark` at `to`, and on at the same pace up to 95.
fn ramp(value: u64, from: u64, to: u64, mark: u64) -> u8 {
    let above = value.saturating_sub(from);
    let score = above.saturating_mul(mark) / to.saturating_sub(from).max(1);
    u8::try_from(score.min(95)).unwrap_or(95)
}

/// The goal that is thought of, or what the agent was told last, is about something else.
fn goal_change(signals: &Signals, case: &Case<'_>) -> (u8, String) {
    let apart = match case.goal {
        Some(goal) => {
            let mut about = topic(case.about.goal);
            about.extend(signals.topic.iter().cloned());
            distance(&topic(goal), &about).unwrap_or(0)
        }
        None => signals.goal_distance,
    };
    let what = case.goal.map_or("what it was told last", |_| "that goal");
    let why = format!("{what} has little to do with this frame's goal (distance {apart})");
    (apart, why)
}

/// What is asked is several pieces of work, and nobody has divided it yet.
fn goal_complexity(signals: &Signals, case: &Case<'_>) -> (u8, String) {
    let asked = match case.goal {
        Some(goal) => pieces(goal),
        None => pieces(case.about.goal).max(pieces(&signals.prompt)),
    };
    let divided = case.about.children > 0;
    let score = if divided {
        0
    } else {
        ramp(asked as u64, 2, 5, 75)
    };
    (score, format!("what is asked is {asked} pieces of work"))
}

/// The same thing fails again and again: a problem of its own.
fn failure_repetition(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let times = signals.repeated_failures;
    let why = format!("`{}` failed {times} times in a row", signals.repeated);
    (ramp(times.into(), 1, 3, 72), why)
}

/// The conversation has become long in this frame.
fn context_growth(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let why = format!("the conversation grew by {} tokens here", signals.growth);
    (ramp(signals.growth, 40_000, 90_000, 75), why)
}

/// The work is all over the project.
fn file_breadth(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let (files, folders) = (signals.files, signals.folders);
    let why = format!("{files} files in {folders} folders were changed");
    let wide = folders >= 3;
    (
        if wide {
            ramp(files.into(), 7, 14, 75)
        } else {
            0
        },
        why,
    )
}

/// Something was changed, the tests pass since, nothing fails, and the turn is over.
fn clean_success(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let clean = signals.tests == Checks::Passed
        && signals.gates != Checks::Failed
        && signals.failing == 0
        && signals.files > 0;
    let score = match (clean, signals.turn_over, signals.gates) {
        (false, ..) => 0,
        (true, false, _) => 55,
        (true, true, Checks::Passed) => 92,
        (true, true, _) => 85,
    };
    let why = "the tests pass since the last change, and nothing fails".to_owned();
    (score, why)
}

/// What the criteria name was done with success since the last change.
fn criteria_met(signals: &Signals, case: &Case<'_>) -> (u8, String) {
    let clauses = clauses(case.about.criteria);
    let met = clauses
        .iter()
        .filter(|clause| is_met(clause, &signals.done))
        .count();
    let why = format!(
        "{met} of {} criteria are met by what was done",
        clauses.len()
    );
    let all = met > 0 && met == clauses.len();
    let score = match (all, signals.turn_over) {
        (true, true) if signals.failing == 0 => 85,
        (true, _) => 50,
        (false, _) if met > 0 => u8::try_from(30 * met / clauses.len()).unwrap_or(30),
        (false, _) => 0,
    };
    (score, why)
}

/// The parts of criteria, as words that can be found again in what is done.
fn clauses(criteria: &str) -> Vec<BTreeSet<String>> {
    const STATES: [&str; 18] = [
        "all", "clean", "done", "errors", "exist", "exists", "green", "gone", "holds", "ok",
        "pass", "passes", "ready", "succeed", "succeeds", "there", "warnings", "written",
    ];
    let parts = criteria.split([',', ';', '\n']);
    let parts = parts.flat_map(|part| part.split(" and "));
    let parts = parts.flat_map(|part| part.split(". "));
    let words = parts.map(|part| {
        let mut words = topic_of_work(part);
        words.retain(|word| !STATES.contains(&word.as_str()));
        words
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// Whether two thirds of the words of a criterion stand in what was done; a singular for a plural
/// counts.
fn is_met(clause: &BTreeSet<String>, done: &BTreeSet<String>) -> bool {
    let stands = |word: &&String| {
        done.contains(*word)
            || word.strip_suffix('s').is_some_and(|one| done.contains(one))
            || done.contains(&format!("{word}s"))
    };
    let found = clause.iter().filter(stands).count();
    found * 3 >= clause.len() * 2
}

/// The same thing has failed so often that another try is in vain.
fn stuck_on_failure(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let times = signals.repeated_failures;
    let why = format!("`{}` failed {times} times in a row", signals.repeated);
    (ramp(times.into(), 4, 7, 84), why)
}

/// Turn after turn goes by in which nothing is done, though work had begun.
fn idle_turns(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    let idle = signals.idle_turns;
    let why = format!("nothing was done in the last {idle} turns");
    let began = signals.tools > 0 || signals.files > 0;
    (
        if began {
            ramp(idle.into(), 1, 4, 84)
        } else {
            0
        },
        why,
    )
}

/// Much is tried for long, and nothing changes.
fn no_progress(signals: &Signals, _: &Case<'_>) -> (u8, String) {
    /// Tools that must have been used meanwhile: otherwise nobody tries.
    const TRIES_MIN: u32 = 20;
    let (minutes, tries) = (signals.unchanged_ms / 60_000, signals.unchanged_tools);
    let why = format!("nothing has changed for {minutes} minutes and {tries} uses of tools");
    let tries = tries >= TRIES_MIN;
    (if tries { ramp(minutes, 20, 60, 85) } else { 0 }, why)
}
