//! Pausing, and holding frames until a human says that they begin, case by case.

use super::tests::{Bench, RUN, spec};
use super::*;
use crate::agent::{Decision, OrderKind};
use crate::error::ErrorKind;
use crate::spec::ErrorClass;
use crate::view::Doing;

impl Bench {
    fn pause(&mut self, target: Target) {
        self.must(&Command::Pause { target });
    }

    fn unpause(&mut self, target: Target) {
        self.must(&Command::Unpause { target });
    }

    fn frame(&self, key: &str) -> Target {
        Target::Frame(self.id(key))
    }

    fn task_state(&self, key: &str) -> TaskState {
        self.state.task(self.newest(key)).unwrap().state
    }

    fn frame_status(&self, key: &str) -> FrameStatus {
        self.state.frames[&self.id(key)].status
    }

    /// Whether a human is asked something in a frame.
    fn asks(&self, key: &str) -> bool {
        !self.state.frame_view(self.id(key)).unwrap().asks.is_empty()
    }

    /// The checkpoint that holds a frame.
    fn hold(&mut self, key: &str) -> String {
        let command = Command::Checkpoint {
            frame: self.id(key),
            session: "cli".parse().unwrap(),
            question: None,
        };
        self.must(&command);
        let view = self.state.frame_view(self.id(key)).unwrap();
        view.asks[0].id.clone()
    }

    fn answer(&mut self, checkpoint: &str, answer: &str) {
        self.must(&Command::Resolve {
            checkpoint: checkpoint.to_owned(),
            answer: answer.to_owned(),
        });
    }
}

fn stop(target: Target) -> Command {
    let reason = "enough".to_owned();
    Command::Stop { target, reason }
}

#[test]
fn nothing_of_a_paused_run_starts_and_its_tasks_are_suspended() {
    let run = || Target::Run(RUN);
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"]), ("c", &[])]), 1);
    bench.now = Time(10);
    bench.pause(run());
    assert_eq!(bench.task_state("a"), TaskState::Paused);
    assert_eq!(
        bench.task_state("c"),
        TaskState::Queued,
        "it has no process"
    );
    assert_eq!(
        bench.refuse(&Command::Pause { target: run() }).kind,
        ErrorKind::Conflict
    );
    // What ends all the same, as by a signal from outside, lets nothing start.
    bench.end("a", Outcome::done(String::new()));
    assert_eq!(bench.frame_status("b"), FrameStatus::Planned);
    assert_eq!(bench.state.running().count(), 0);
    bench.now = Time(20);
    bench.unpause(run());
    assert_eq!(bench.state.running().count(), 1);
    assert_eq!(
        bench.refuse(&Command::Unpause { target: run() }).kind,
        ErrorKind::Conflict
    );
    bench.end("c", Outcome::done(String::new()));
    bench.end("b", Outcome::done(String::new()));
    assert_eq!(bench.state.run(RUN).unwrap().status, RunStatus::Completed);
}

#[test]
fn a_paused_frame_says_since_when_and_tells_all_within_it() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &[])]), 2);
    bench.state.frame_news();
    bench.now = Time(10);
    bench.pause(bench.frame("root"));
    let all: BTreeSet<FrameId> = ["root", "a", "b"].map(|key| bench.id(key)).into();
    assert_eq!(bench.state.frame_news(), all);
    assert!(bench.state.frame_view(bench.id("a")).unwrap().paused);
    assert!(!bench.state.run_view("p", RUN).unwrap().paused);
    bench.now = Time(30);
    bench.unpause(bench.frame("root"));
    let spans = [
        (Doing::Working, 0),
        (Doing::Paused, 10),
        (Doing::Working, 30),
    ];
    assert_eq!(bench.spans("a"), spans);
    assert_eq!(bench.spans("root"), spans);
    assert_eq!(bench.task_state("a"), TaskState::Running);
}

#[test]
fn a_pause_within_a_pause_holds_until_both_are_taken_off() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &[])]), 2);
    let task = Target::Task(bench.newest("a"));
    bench.pause(task);
    assert_eq!(bench.task_state("b"), TaskState::Running, "only the one");
    bench.pause(Target::Run(RUN));
    bench.unpause(Target::Run(RUN));
    assert_eq!(bench.task_state("a"), TaskState::Paused);
    assert_eq!(bench.task_state("b"), TaskState::Running);
    bench.pause(Target::Run(RUN));
    bench.unpause(bench.frame("a"));
    assert_eq!(bench.task_state("a"), TaskState::Paused);
    let refused = bench.refuse(&Command::Unpause { target: task });
    assert!(refused.message.contains(&RUN.to_string()), "{refused}");
    bench.unpause(Target::Run(RUN));
    assert_eq!(bench.task_state("a"), TaskState::Running);
}

#[test]
fn what_is_paused_can_be_stopped_and_is_not_paused_when_it_is_done_again() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"])]), 1);
    bench.pause(bench.frame("a"));
    bench.must(&stop(bench.frame("a")));
    let task = bench.state.task(bench.newest("a")).unwrap();
    assert!(task.stopping.is_some());
    bench.end("a", Outcome::failed(ErrorClass::Cancelled));
    assert_eq!(bench.frame_status("a"), FrameStatus::Blocked);
    assert_eq!(bench.state.run(RUN).unwrap().status, RunStatus::Blocked);
    bench.must(&Command::Retry {
        target: Target::Run(RUN),
        from: None,
    });
    assert_eq!(bench.task_state("a"), TaskState::Running);
    bench.pause(Target::Run(RUN));
    bench.must(&stop(Target::Run(RUN)));
    assert!(!bench.state.run_view("p", RUN).unwrap().paused);
    let late = bench.refuse(&Command::Pause {
        target: Target::Run(RUN),
    });
    assert!(late.message.contains("being stopped"), "{late}");
    bench.end("a", Outcome::failed(ErrorClass::Cancelled));
    assert_eq!(bench.state.run(RUN).unwrap().status, RunStatus::Cancelled);
}

#[test]
fn a_further_try_waits_while_its_frame_is_paused() {
    let mut run = spec(&[("a", &[])]);
    run.frames[1].retry.retries = 1;
    run.frames[1].retry.backoff_ms = 1_000;
    let mut bench = Bench::start(run, 1);
    bench.pause(bench.frame("a"));
    bench.end("a", Outcome::failed(ErrorClass::ExitNonzero));
    bench.now = Time(60_000);
    bench.must(&Command::Tick);
    assert_eq!(bench.task_state("a"), TaskState::Queued);
    assert_eq!(
        bench.state.next_due(),
        None,
        "nothing is due while it is paused"
    );
    bench.unpause(bench.frame("a"));
    assert_eq!(bench.task_state("a"), TaskState::Running);
}

#[test]
fn a_paused_agent_is_told_nothing() {
    let mut bench = Bench::start(spec(&[("a", &[])]), 1);
    bench.pause(bench.frame("a"));
    let task = bench.newest("a");
    let order = OrderKind::Decide {
        permission: "p1".to_owned(),
        decision: Decision::Allow,
        note: None,
    };
    let refused = bench.refuse(&Command::Tell { task, order });
    assert!(refused.message.contains("paused"), "{refused}");
}

#[test]
fn a_frame_that_a_human_holds_begins_when_the_human_says_so() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"])]), 1);
    let late = Command::Checkpoint {
        frame: bench.id("a"),
        session: "cli".parse().unwrap(),
        question: None,
    };
    assert_eq!(
        bench.refuse(&late).kind,
        ErrorKind::Conflict,
        "it has begun"
    );
    let checkpoint = bench.hold("b");
    bench.end("a", Outcome::done(String::new()));
    assert_eq!(bench.frame_status("b"), FrameStatus::Planned);
    let maybe = Command::Resolve {
        checkpoint: checkpoint.clone(),
        answer: "maybe".to_owned(),
    };
    assert_eq!(bench.refuse(&maybe).kind, ErrorKind::Usage);
    bench.answer(&checkpoint, "go on");
    assert_eq!(bench.task_state("b"), TaskState::Running);
    assert!(!bench.asks("b"));
}

#[test]
fn a_frame_that_waits_for_its_slot_can_be_held_and_blocked() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &[]), ("c", &["b"])]), 1);
    assert_eq!(bench.task_state("b"), TaskState::Queued);
    let checkpoint = bench.hold("b");
    bench.end("a", Outcome::done(String::new()));
    assert_eq!(
        bench.state.running().count(),
        0,
        "its slot is free, and it waits"
    );
    bench.answer(&checkpoint, "block: the numbers are wrong");
    let frame = &bench.state.frames[&bench.id("b")];
    assert_eq!(frame.status, FrameStatus::Blocked);
    assert_eq!(frame.reason(), Some("the numbers are wrong"));
    assert_eq!(bench.frame_status("c"), FrameStatus::Blocked);
    assert_eq!(bench.state.run(RUN).unwrap().status, RunStatus::Blocked);
    assert_eq!(bench.state.run(RUN).unwrap().tasks_queued, 0);
    bench.must(&Command::Retry {
        target: Target::Run(RUN),
        from: None,
    });
    assert_eq!(bench.task_state("b"), TaskState::Running, "it was answered");
}

#[test]
fn a_held_frame_that_is_stopped_asks_nothing_any_more() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"])]), 1);
    let checkpoint = bench.hold("b");
    bench.must(&stop(bench.frame("b")));
    assert!(!bench.asks("b"));
    let answer = "go on".to_owned();
    let refused = bench.refuse(&Command::Resolve { checkpoint, answer });
    assert!(refused.message.contains("blocked"), "{refused}");
}
