//! What is done in a frame while it is open, as charts draw it.

use super::simulation::Random;
use super::tests::{Bench, spec};
use super::*;
use crate::agent::{Decision, DriverKind, OrderKind};
use crate::spec::{ErrorClass, RunSpec};
use crate::view::Doing;

impl Bench {
    /// The spans of a frame: what was done, and since when. The journal alone gives the same.
    pub fn spans(&self, key: &str) -> Vec<(Doing, i64)> {
        let spans = &self.state.frames[&self.id(key)].spans;
        let mut replayed = State::new(Limits::default());
        replayed.load(self.now, &self.records);
        assert_eq!(&replayed.frames[&self.id(key)].spans, spans);
        let pairs = spans.iter().map(|span| (span.doing, span.from_ms));
        pairs.collect()
    }

    pub fn newest(&self, key: &str) -> TaskId {
        let frame = self.id(key);
        self.state.frames[&frame].newest_task(frame).unwrap()
    }
}

/// A run of `work`, whose agent may be spoken with, and may try twice more after a second.
fn talking() -> RunSpec {
    let mut run = spec(&[("work", &[])]);
    let frame = &mut run.frames[1];
    frame.invocation.as_mut().unwrap().driver = Some(DriverKind::Claude);
    (frame.retry.retries, frame.retry.backoff_ms) = (2, 1_000);
    run
}

fn asks(bench: &mut Bench, id: &str) {
    let permission = Permission {
        id: id.to_owned(),
        tool: "bash".to_owned(),
        title: "ls".to_owned(),
    };
    let task = bench.newest("work");
    bench.must(&Command::Asked { task, permission });
}

fn allows(bench: &mut Bench, id: &str) {
    let order = OrderKind::Decide {
        permission: id.to_owned(),
        decision: Decision::Allow,
        note: None,
    };
    let task = bench.newest("work");
    bench.must(&Command::Tell { task, order });
}

#[test]
fn a_frame_that_is_worked_on_all_the_time_has_no_spans() {
    let mut bench = Bench::start(spec(&[("a", &[]), ("b", &["a"])]), 1);
    bench.now = Time(50);
    bench.end("a", Outcome::done(String::new()));
    bench.end("b", Outcome::done(String::new()));
    assert_eq!(bench.spans("a"), []);
    assert_eq!(bench.spans("b"), []);
    assert_eq!(bench.spans("root"), []);
}

#[test]
fn a_frame_waits_while_its_agent_asks_and_while_it_is_idle() {
    let mut bench = Bench::start(talking(), 1);
    bench.now = Time(10);
    asks(&mut bench, "p1");
    bench.now = Time(15);
    asks(&mut bench, "p2");
    allows(&mut bench, "p1");
    assert_eq!(
        bench.spans("work"),
        [(Doing::Working, 0), (Doing::Waiting, 10)],
        "it waits for the other answer still"
    );
    bench.now = Time(20);
    allows(&mut bench, "p2");
    bench.now = Time(30);
    let task = bench.newest("work");
    bench.must(&Command::Idle { task, taken: 2 });
    let expected = [
        (Doing::Working, 0),
        (Doing::Waiting, 10),
        (Doing::Working, 20),
        (Doing::Waiting, 30),
    ];
    assert_eq!(bench.spans("work"), expected);
    bench.now = Time(40);
    bench.end("work", Outcome::done(String::new()));
    assert_eq!(bench.spans("work"), expected, "the end is the frame's own");
}

#[test]
fn a_frame_is_queued_between_two_tries() {
    let mut bench = Bench::start(talking(), 1);
    bench.now = Time(10);
    bench.end("work", Outcome::failed(ErrorClass::ExitNonzero));
    assert_eq!(
        bench.spans("work"),
        [(Doing::Working, 0), (Doing::Queued, 10)]
    );
    bench.now = Time(2_000);
    bench.must(&Command::Tick);
    assert_eq!(
        bench.spans("work")[2..],
        [(Doing::Working, 2_000)],
        "work goes on with the second try"
    );
}

#[test]
fn a_blocked_frame_says_so_and_one_that_is_done_again_begins_anew() {
    let mut bench = Bench::start(spec(&[("work", &[]), ("never", &["work"])]), 1);
    bench.now = Time(10);
    let frame = Target::Frame(bench.id("work"));
    let reason = "no".to_owned();
    bench.must(&Command::Stop {
        target: frame,
        reason,
    });
    bench.end("work", Outcome::failed(ErrorClass::Cancelled));
    assert_eq!(
        bench.spans("work"),
        [(Doing::Working, 0), (Doing::Blocked, 10)]
    );
    assert_eq!(bench.spans("never"), [], "it never began");
    bench.now = Time(20);
    bench.must(&Command::Retry {
        target: frame,
        from: None,
    });
    assert_eq!(bench.spans("work"), []);
}

#[test]
fn spans_are_in_order_and_bounded_whatever_happens() {
    for seed in 0..200 {
        let mut random = Random::seeded(seed);
        let mut bench = Bench::start(talking(), 1);
        let turns = if seed == 0 { 400 } else { random.below(40) };
        for turn in 0..turns {
            // The clock is set back now and then.
            bench.now = Time((bench.now.0 + random.below(30).cast_signed() - 5).max(0));
            let id = format!("p{turn}");
            asks(&mut bench, &id);
            bench.now = Time(bench.now.0 + random.below(3).cast_signed());
            allows(&mut bench, &id);
        }
        let spans = bench.spans("work");
        assert!(spans.len() <= 256, "seed {seed}");
        assert!(spans.first().is_none_or(|span| span.1 == 0), "seed {seed}");
        assert_ne!(spans.len(), 1, "seed {seed}: what was first says nothing");
        for pair in spans.windows(2) {
            assert!(pair[0].1 <= pair[1].1, "seed {seed}: {pair:?}");
            assert_ne!(pair[0].0, pair[1].0, "seed {seed}: {pair:?}");
        }
    }
}
