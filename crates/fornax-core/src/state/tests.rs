//! What the state does, case by case.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::samples::frame_spec;
use super::*;
use crate::error::ErrorKind;
use crate::spec::{Compare, Condition};
use crate::spec::{ErrorClass, RunSpec};

pub(super) const RUN: RunId = RunId {
    date: 20_261_121,
    number: 1,
};

/// A state with one run, and a way to talk to it.
pub(super) struct Bench {
    pub state: State,
    pub now: Time,
    pub records: Vec<Record>,
}

/// Frames by key, each with the keys that it depends on; all are children of the root.
pub(super) fn spec(frames: &[(&str, &[&str])]) -> RunSpec {
    let mut all = vec![frame_spec("root", None, false)];
    for (key, depends_on) in frames {
        let mut frame = frame_spec(key, Some(0), true);
        let place = |key: &&str| {
            all.iter()
                .position(|frame| frame.spec_key() == *key)
                .unwrap()
        };
        frame.depends_on = depends_on.iter().map(place).collect();
        all.push(frame);
    }
    RunSpec {
        limits: crate::frame::FrameLimits::default(),
        name: "plan".to_owned(),
        plan: None,
        inputs: BTreeMap::new(),
        on_failure: OnFailure::Continue,
        pools: BTreeMap::new(),
        frames: all,
    }
}

impl FrameSpec {
    fn spec_key(&self) -> &str {
        &self.key
    }
}

impl Bench {
    pub fn start(spec: RunSpec, tasks: u32) -> Bench {
        let limits = Limits {
            tasks,
            ..Limits::default()
        };
        let mut bench = Bench {
            state: State::new(limits),
            now: Time(0),
            records: Vec::new(),
        };
        let frames = (0..spec.frames.len()).map(|n| FrameId::nth(0, u32::try_from(n).unwrap()));
        bench.must(&Command::StartRun {
            run: RUN,
            frames: frames.collect(),
            spec: Arc::new(spec),
        });
        bench
    }

    pub fn must(&mut self, command: &Command) {
        let executed = self
            .state
            .execute(self.now, &Actor::HUMAN, None, command)
            .unwrap();
        self.records.extend(executed.records);
    }

    pub fn refuse(&mut self, command: &Command) -> Error {
        let before = self.state.runs.clone();
        let error = self
            .state
            .execute(self.now, &Actor::HUMAN, None, command)
            .unwrap_err();
        assert_eq!(self.state.runs, before, "a refused command changes nothing");
        error
    }

    pub fn id(&self, key: &str) -> FrameId {
        let mut frames = self.state.frames.iter();
        *frames.find(|(_, frame)| frame.spec.key == key).unwrap().0
    }

    pub fn end(&mut self, key: &str, outcome: Outcome) {
        let task = self
            .state
            .frame(self.id(key))
            .unwrap()
            .newest_task(self.id(key))
            .unwrap();
        self.must(&Command::TaskEnded { task, outcome });
    }

    fn done(&mut self, key: &str) {
        self.end(key, Outcome::done(format!("results of {key}")));
    }

    fn fail(&mut self, key: &str) {
        self.end(key, Outcome::failed(ErrorClass::ExitNonzero));
    }

    fn status(&self, key: &str) -> FrameStatus {
        self.state.frame(self.id(key)).unwrap().status
    }

    /// The keys of the frames that run, in order.
    fn running(&self) -> Vec<&str> {
        let running = self.state.running().map(|(id, _)| id.frame);
        let mut keys: Vec<_> = running
            .map(|id| self.state.frames[&id].spec.key.as_str())
            .collect();
        keys.sort_unstable();
        keys
    }

    fn run(&self) -> &Run {
        self.state.run(RUN).unwrap()
    }
}

#[test]
fn a_diamond_runs_its_sides_together() {
    let mut bench = Bench::start(
        spec(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]),
        4,
    );
    assert_eq!(bench.running(), ["a"]);
    bench.done("a");
    assert_eq!(bench.running(), ["b", "c"]);
    bench.done("c");
    assert_eq!(bench.running(), ["b"]);
    bench.done("b");
    assert_eq!(bench.running(), ["d"]);
    bench.done("d");
    assert_eq!(bench.run().status, RunStatus::Completed);
    assert_eq!(bench.run().counts.completed, 4);
}

#[test]
fn a_failed_frame_blocks_only_what_depends_on_it() {
    let mut bench = Bench::start(
        spec(&[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("x", &[]),
            ("y", &["x"]),
        ]),
        4,
    );
    bench.fail("a");
    assert_eq!(bench.status("a"), FrameStatus::Failed);
    assert_eq!(
        (bench.status("b"), bench.status("c")),
        (FrameStatus::Blocked, FrameStatus::Blocked)
    );
    let reason = bench
        .state
        .frame(bench.id("b"))
        .unwrap()
        .reason()
        .unwrap()
        .to_owned();
    assert_eq!(
        reason,
        format!("waits for {} (a), which is failed", bench.id("a"))
    );
    bench.done("x");
    bench.done("y");
    assert_eq!(bench.run().status, RunStatus::Failed);
    assert!(
        bench
            .run()
            .reason
            .as_ref()
            .unwrap()
            .starts_with("1 of 5 frames failed")
    );
}

#[test]
fn on_failure_stop_ends_the_rest() {
    let mut plan = spec(&[("a", &[]), ("b", &[]), ("c", &["b"])]);
    plan.on_failure = OnFailure::Stop;
    let mut bench = Bench::start(plan, 4);
    bench.fail("a");
    assert_eq!(bench.run().status, RunStatus::Stopping);
    assert!(
        bench
            .state
            .running()
            .all(|(_, task)| task.stopping.is_some())
    );
    bench.end("b", Outcome::failed(ErrorClass::Cancelled));
    assert_eq!(bench.run().status, RunStatus::Failed);
    assert_eq!(bench.status("c"), FrameStatus::Blocked);
}

#[test]
fn a_retry_waits_longer_each_time_and_then_gives_up() {
    let mut plan = spec(&[("a", &[])]);
    plan.frames[1].retry.retries = 2;
    plan.frames[1].retry.backoff_ms = 1_000;
    let mut bench = Bench::start(plan, 4);
    for (attempt, least, most) in [(2, 500, 1_000), (3, 1_000, 2_000)] {
        bench.fail("a");
        assert_eq!(bench.status("a"), FrameStatus::InProgress);
        let wait = bench.state.next_due().unwrap().ms_since(bench.now);
        assert!(
            (least..=most).contains(&wait),
            "attempt {attempt} waits {wait} ms"
        );
        bench.must(&Command::Tick);
        assert!(bench.running().is_empty(), "not before its time");
        bench.now = bench.now.plus_ms(wait);
        bench.must(&Command::Tick);
        assert_eq!(bench.running(), ["a"]);
    }
    bench.fail("a");
    assert_eq!(bench.status("a"), FrameStatus::Failed);
    assert_eq!(bench.run().status, RunStatus::Failed);
}

#[test]
fn what_another_attempt_cannot_mend_is_not_tried_again() {
    for class in [ErrorClass::ToolMissing, ErrorClass::Auth, ErrorClass::Lost] {
        let mut plan = spec(&[("a", &[])]);
        plan.frames[1].retry.retries = 5;
        let mut bench = Bench::start(plan, 4);
        bench.end("a", Outcome::failed(class));
        assert_eq!(bench.status("a"), FrameStatus::Failed, "{class:?}");
    }
}

#[test]
fn a_late_word_of_an_older_attempt_changes_nothing() {
    let mut plan = spec(&[("a", &[])]);
    plan.frames[1].retry.retries = 1;
    let mut bench = Bench::start(plan, 4);
    let first = TaskId {
        frame: bench.id("a"),
        attempt: 1,
    };
    bench.fail("a");
    bench.now = bench.now.plus_ms(60_000);
    bench.must(&Command::Tick);
    let before = bench.records.len();
    bench.must(&Command::TaskEnded {
        task: first,
        outcome: Outcome::done("late".to_owned()),
    });
    assert_eq!(bench.records.len(), before);
    assert_eq!(bench.status("a"), FrameStatus::InProgress);
}

#[test]
fn limits_hold_and_priorities_decide() {
    let mut plan = spec(&[("low", &[]), ("high", &[]), ("other", &[])]);
    plan.frames[1].priority = -1;
    plan.frames[2].priority = 1;
    let mut bench = Bench::start(plan, 1);
    assert_eq!(bench.running(), ["high"]);
    bench.done("high");
    assert_eq!(bench.running(), ["other"]);
    bench.done("other");
    assert_eq!(bench.running(), ["low"]);
}

#[test]
fn waiting_wins_over_priority_in_the_end() {
    let mut plan = spec(&[
        ("first", &[]),
        ("old", &[]),
        ("gate", &["first"]),
        ("new", &["gate"]),
    ]);
    plan.frames[1].priority = 9;
    plan.frames[3].priority = 9;
    plan.frames[4].priority = 5;
    let mut bench = Bench::start(plan, 1);
    bench.done("first");
    // `gate` has the higher priority and `old` has waited for too short a time.
    assert_eq!(bench.running(), ["gate"]);
    bench.now = bench.now.plus_ms(6 * 60_000);
    bench.done("gate");
    assert_eq!(bench.running(), ["old"]);
}

#[test]
fn a_pool_of_the_run_narrows_it() {
    let mut plan = spec(&[("a", &[]), ("b", &[]), ("c", &[])]);
    plan.pools.insert("db".to_owned(), 1);
    plan.frames[1].pool = Some("db".to_owned());
    plan.frames[2].pool = Some("db".to_owned());
    let mut bench = Bench::start(plan, 9);
    assert_eq!(bench.running(), ["a", "c"]);
    bench.done("a");
    assert_eq!(bench.running(), ["b", "c"]);
}

#[test]
fn a_condition_that_does_not_hold_skips_and_the_rest_goes_on() {
    let mut plan = spec(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
    plan.frames[2].when = Some(Condition {
        left: "{deps.a.results}".parse().unwrap(),
        compare: Compare::NotEqual,
        right: "results of a".parse().unwrap(),
    });
    let mut bench = Bench::start(plan, 4);
    bench.done("a");
    assert_eq!(bench.status("b"), FrameStatus::Completed);
    assert!(bench.state.frame(bench.id("b")).unwrap().skipped);
    assert_eq!(bench.running(), ["c"]);
}

#[test]
fn a_group_has_the_results_of_the_frame_that_stands_for_it() {
    let mut plan = spec(&[]);
    let mut group = frame_spec("g", Some(0), false);
    group.result_from = Some(2);
    plan.frames.push(group);
    plan.frames.push(frame_spec("g.x", Some(1), true));
    let mut after = frame_spec("after", Some(0), true);
    after.depends_on = vec![1];
    plan.frames.push(after);
    let mut bench = Bench::start(plan, 4);
    assert_eq!(bench.status("g"), FrameStatus::InProgress);
    bench.done("g.x");
    assert_eq!(
        bench.state.frame(bench.id("g")).unwrap().results,
        "results of g.x"
    );
    assert_eq!(bench.running(), ["after"]);
}

#[test]
fn stopping_a_run_lets_it_be_retried_where_it_was() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]), 4);
    bench.done("a");
    let stop = Command::Stop {
        target: Target::Run(RUN),
        reason: "lunch".to_owned(),
    };
    bench.must(&stop);
    assert_eq!(bench.refuse(&stop).kind, ErrorKind::Conflict);
    bench.end("b", Outcome::failed(ErrorClass::Cancelled));
    assert_eq!(bench.run().status, RunStatus::Cancelled);
    bench.must(&Command::Retry {
        target: Target::Run(RUN),
        from: None,
    });
    assert_eq!(
        (bench.run().status, bench.running()),
        (RunStatus::Running, vec!["b"])
    );
    assert_eq!(bench.status("a"), FrameStatus::Completed);
    bench.done("b");
    bench.done("c");
    assert_eq!(bench.run().status, RunStatus::Completed);
}

#[test]
fn retry_from_a_frame_does_again_what_depends_on_it() {
    let mut bench = Bench::start(
        spec(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("x", &[])]),
        4,
    );
    for key in ["a", "x", "b", "c"] {
        bench.done(key);
    }
    let error = bench.refuse(&Command::Retry {
        target: Target::Run(RUN),
        from: None,
    });
    assert!(error.help.unwrap().contains("--from"));
    let from = Some(bench.id("b"));
    bench.must(&Command::Retry {
        target: Target::Run(RUN),
        from,
    });
    assert_eq!(bench.running(), ["b"]);
    assert_eq!(
        (bench.status("a"), bench.status("x")),
        (FrameStatus::Completed, FrameStatus::Completed)
    );
    assert_eq!(bench.status("c"), FrameStatus::Planned);
    bench.done("b");
    bench.done("c");
    assert_eq!(bench.run().status, RunStatus::Completed);
}

#[test]
fn a_launch_fills_each_argument_and_never_splits_it() {
    let mut plan = spec(&[("a", &[]), ("b", &["a"])]);
    let invocation = plan.frames[2].invocation.as_mut().unwrap();
    invocation.cmd = ["agent", "--say={prompt}", "{deps.a.results}"]
        .map(|part| part.parse().unwrap())
        .into();
    invocation.prompt = Some("of {frame_id}: {deps.a.results} {env.WHO}".parse().unwrap());
    invocation
        .env
        .insert("DIR".to_owned(), "{artifacts_dir}".parse().unwrap());
    let mut bench = Bench::start(plan, 4);
    bench.end(
        "a",
        Outcome::done("two words; $(rm -rf /) {goal}".to_owned()),
    );
    let task = TaskId {
        frame: bench.id("b"),
        attempt: 1,
    };
    let env = |name: &str| (name == "WHO").then(|| "me".to_owned());
    let context = LaunchContext {
        project_dir: Path::new("/project"),
        artifacts_dir: Path::new("/project/.fornax/artifacts"),
        env: &env,
    };
    let launch = bench.state.launch(task, &context).unwrap();
    let said = format!("of {}: two words; $(rm -rf /) {{goal}} me", task.frame);
    assert_eq!(
        launch.argv,
        [
            "agent",
            &format!("--say={said}"),
            "two words; $(rm -rf /) {goal}"
        ]
    );
    assert!(
        launch
            .env
            .contains(&("DIR".to_owned(), "/project/.fornax/artifacts".to_owned()))
    );
    let nobody = |_: &str| None;
    let error = bench
        .state
        .launch(
            task,
            &LaunchContext {
                env: &nobody,
                ..context
            },
        )
        .unwrap_err();
    assert!(error.message.contains("{env.WHO}"), "{error}");
}

#[test]
fn a_command_sent_twice_is_carried_out_once() {
    let mut bench = Bench::start(spec(&[("a", &[])]), 4);
    let id: CmdId = "c1".parse().unwrap();
    let stop = Command::Stop {
        target: Target::Run(RUN),
        reason: String::new(),
    };
    let first = bench
        .state
        .execute(bench.now, &Actor::HUMAN, Some(&id), &stop)
        .unwrap();
    let again = bench
        .state
        .execute(bench.now, &Actor::HUMAN, Some(&id), &stop)
        .unwrap();
    assert!(again.records.is_empty() && again.answer.repeated && !first.answer.repeated);
    assert_eq!(again.answer.run, Some(RUN));
}

#[test]
fn an_ended_run_can_be_let_go_and_taken_up_again() {
    let mut bench = Bench::start(spec(&[("a", &[])]), 4);
    bench.state.forget(RUN);
    assert!(bench.state.run(RUN).is_some(), "a run that goes on is kept");
    bench.done("a");
    let before = bench.state.run_detail("p", RUN).unwrap();
    bench.state.forget(RUN);
    assert!(bench.state.frames.is_empty() && bench.state.tasks.is_empty());
    bench.state.load(bench.now, &bench.records);
    assert_eq!(bench.state.run_detail("p", RUN).unwrap(), before);
    let rows: Vec<_> = before.frames.clone().rows().collect();
    assert_eq!(
        rows.into_iter().collect::<crate::view::FrameColumns>(),
        before.frames
    );
}
