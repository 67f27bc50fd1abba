//! What the state does with agents: questions, orders, usage, chains of tools, refusing providers.

use super::tests::{Bench, RUN, spec};
use super::*;
use crate::agent::DriverKind;
use crate::agent::{Decision, OrderKind};
use crate::error::ErrorKind;
use crate::spec::Invocation;
use crate::spec::{ErrorClass, RunSpec};

/// A run of one frame, `work`, whose agent works.
fn working() -> Bench {
    let mut run = spec(&[("work", &[])]);
    agent(&mut run, 1).driver = Some(DriverKind::Claude);
    Bench::start(run, 4)
}

fn agent(run: &mut RunSpec, frame: usize) -> &mut Invocation {
    let invocation = run.frames[frame].invocation.as_mut().unwrap();
    invocation.tool = "claude".to_owned();
    invocation
}

impl Bench {
    fn task_id(&self) -> TaskId {
        let frame = self.id("work");
        self.state.frame(frame).unwrap().newest_task(frame).unwrap()
    }

    fn task_now(&self) -> &Task {
        self.state.task(self.task_id()).unwrap()
    }

    fn tell(&mut self, order: OrderKind) {
        let task = self.task_id();
        self.must(&Command::Tell { task, order });
    }

    fn ask(&mut self, id: &str) {
        let (task, permission) = (self.task_id(), permission(id));
        self.must(&Command::Asked { task, permission });
    }

    /// The state that the journal alone gives, for comparison.
    fn replayed(&self) -> Vec<Order> {
        let mut state = State::new(Limits::default());
        state.load(self.now, &self.records);
        state.task(self.task_id()).unwrap().orders.clone()
    }
}

fn permission(id: &str) -> Permission {
    Permission {
        id: id.to_owned(),
        tool: "bash".to_owned(),
        title: "rm -rf /".to_owned(),
    }
}

fn decide(id: &str, decision: Decision) -> OrderKind {
    OrderKind::Decide {
        permission: id.to_owned(),
        decision,
        note: None,
    }
}

#[test]
fn a_question_is_noted_once_and_answered_once() {
    let mut bench = working();
    bench.ask("p1");
    bench.ask("p1");
    bench.ask("p2");
    assert_eq!(bench.task_now().waits.len(), 2);
    bench.tell(decide("p1", Decision::Deny));
    assert_eq!(bench.task_now().waits, [permission("p2")]);
    let task = bench.task_id();
    let again = Command::Tell {
        task,
        order: decide("p1", Decision::Allow),
    };
    assert_eq!(bench.refuse(&again).kind, ErrorKind::Conflict);
    let other = Command::Tell {
        task,
        order: decide("p9", Decision::Allow),
    };
    assert_eq!(bench.refuse(&other).kind, ErrorKind::NotFound);
    // Heard of again, as after a restart of the daemon: it stays answered.
    bench.ask("p1");
    assert_eq!(bench.task_now().waits, [permission("p2")]);
    bench.must(&Command::Answered {
        task,
        permission: "p2".to_owned(),
        decision: Decision::Allow,
    });
    assert!(bench.task_now().waits.is_empty());
    // Only what Fornax was told becomes an order, and the journal has it.
    assert_eq!(bench.task_now().orders.len(), 1);
    assert_eq!(bench.replayed(), bench.task_now().orders);
}

#[test]
fn an_interrupted_agent_waits_until_it_is_prompted() {
    let mut bench = working();
    bench.tell(OrderKind::Interrupt);
    let task = bench.task_id();
    bench.must(&Command::Idle { task, taken: 1 });
    assert!(bench.task_now().idle);
    let again = Command::Tell {
        task,
        order: OrderKind::Interrupt,
    };
    assert_eq!(bench.refuse(&again).kind, ErrorKind::Conflict);
    bench.tell(OrderKind::Prompt {
        text: "go on".to_owned(),
    });
    assert!(!bench.task_now().idle);
    // A late word about the interrupt: the prompt is on its way.
    bench.must(&Command::Idle { task, taken: 1 });
    assert!(!bench.task_now().idle);
    let ids: Vec<u32> = bench
        .task_now()
        .orders
        .iter()
        .map(|order| order.id)
        .collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(bench.replayed(), bench.task_now().orders);
}

#[test]
fn only_an_agent_at_work_can_be_told_something() {
    let mut bench = Bench::start(spec(&[("work", &[])]), 4);
    let task = bench.task_id();
    let order = Command::Tell {
        task,
        order: OrderKind::Compact { guide: None },
    };
    assert!(bench.refuse(&order).message.contains("cannot be told"));
    let mut bench = working();
    bench.end("work", Outcome::done(String::new()));
    let refused = bench.refuse(&order);
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("completed"), "{refused}");
}

#[test]
fn usage_adds_up_in_the_run_as_it_is_seen_and_as_it_ends() {
    let mut bench = working();
    let used = |input, cost| Usage {
        input,
        output: 1,
        cost_usd: Some(cost),
        ..Usage::default()
    };
    let mut activity = Activity::default();
    for (input, cost) in [(10, 0.1), (30, 0.3)] {
        activity.usage = used(input, cost);
        assert!(bench.state.observe(bench.task_id(), activity.clone()));
        assert_eq!(bench.state.run(RUN).unwrap().usage, activity.usage);
    }
    assert!(!bench.state.observe(bench.task_id(), activity.clone()));
    let outcome = Outcome {
        agent: Some(AgentOutcome {
            usage: used(50, 0.5),
            turns: 3,
            session: Some("s1".to_owned()),
            ..AgentOutcome::default()
        }),
        ..Outcome::done(String::new())
    };
    bench.end("work", outcome);
    let total = bench.state.run(RUN).unwrap().usage;
    assert_eq!((total.input, total.output), (50, 1));
    assert!((total.cost_usd.unwrap() - 0.5).abs() < 1e-9);
    let mut replayed = State::new(Limits::default());
    replayed.load(bench.now, &bench.records);
    assert_eq!(replayed.run(RUN).unwrap().usage.input, 50);
    let view = replayed.task_view(bench.task_id()).unwrap();
    assert_eq!((view.session.as_deref(), view.turns), (Some("s1"), 3));
    let frame = replayed.frame_view(bench.id("work")).unwrap();
    assert_eq!(frame.usage.map(|usage| usage.input), Some(50));
    assert_eq!(frame.turns, 3);
    let group = replayed.frame_view(bench.id("root")).unwrap();
    assert_eq!((group.usage, group.turns), (None, 0), "its own only");
}

#[test]
fn the_next_tool_of_the_chain_is_tried_on_the_listed_errors_only() {
    let mut run = spec(&[("work", &[])]);
    run.frames[1].retry.retries = 1;
    run.frames[1].fallback_on = vec![ErrorClass::Auth, ErrorClass::Api];
    let mut second = agent(&mut run, 1).clone();
    second.tool = "codex".to_owned();
    run.frames[1].fallbacks = vec![second];
    let mut bench = Bench::start(run.clone(), 4);
    // `auth` is not worth a retry, and is worth another tool.
    bench.end("work", Outcome::failed(ErrorClass::Auth));
    assert_eq!(bench.task_now().fallback, 1);
    bench.must(&Command::Tick);
    let labels = bench.records.last().unwrap().labels.tool.clone();
    assert_eq!(labels.as_deref(), Some("codex"));
    // The other tool has retries of its own, and nobody comes after it.
    bench.end("work", Outcome::failed(ErrorClass::Api));
    assert_eq!((bench.task_now().fallback, bench.task_id().attempt), (1, 3));
    bench.now = bench.now.plus_ms(100_000);
    bench.must(&Command::Tick);
    bench.end("work", Outcome::failed(ErrorClass::Api));
    let frame = bench.state.frame(bench.id("work")).unwrap();
    assert_eq!(frame.status, FrameStatus::Failed);
    // Done again from the start, it begins with the first tool.
    bench.must(&Command::Retry {
        target: Target::Run(RUN),
        from: None,
    });
    assert_eq!(bench.task_now().fallback, 0);

    let mut bench = Bench::start(run, 4);
    bench.end("work", Outcome::failed(ErrorClass::Gate));
    let frame = bench.state.frame(bench.id("work")).unwrap();
    assert_eq!(frame.status, FrameStatus::Failed);
}

#[test]
fn a_provider_that_names_a_moment_is_left_alone_until_then() {
    let mut run = spec(&[("work", &[]), ("other", &[]), ("shell", &[])]);
    agent(&mut run, 1).driver = Some(DriverKind::Claude);
    agent(&mut run, 2).driver = Some(DriverKind::Claude);
    let mut bench = Bench::start(run, 1);
    let until = bench.now.plus_ms(90_000);
    let refused = || Outcome {
        agent: Some(AgentOutcome {
            retry_at: Some(until),
            ..AgentOutcome::default()
        }),
        ..Outcome::failed(ErrorClass::RateLimit)
    };
    // The plan allows no retries, and none is burnt.
    bench.end("work", refused());
    let running = |bench: &Bench| {
        let running = bench.state.running().map(|(id, _)| id.frame);
        running.collect::<Vec<_>>()
    };
    // The other agent of the same tool waits as well; a plain command does not.
    assert_eq!(running(&bench), [bench.id("shell")]);
    bench.end("shell", Outcome::done(String::new()));
    assert_eq!(running(&bench), []);
    assert_eq!(bench.state.next_due(), Some(until));
    bench.now = until;
    bench.must(&Command::Tick);
    assert_eq!(running(&bench).len(), 1);
}

#[test]
fn a_provider_that_always_names_a_moment_is_given_up_in_the_end() {
    let mut bench = working();
    for _ in 0..100 {
        if bench.state.run(RUN).unwrap().ended.is_some() {
            break;
        }
        let outcome = Outcome {
            agent: Some(AgentOutcome {
                retry_at: Some(bench.now.plus_ms(1_000)),
                ..AgentOutcome::default()
            }),
            ..Outcome::failed(ErrorClass::RateLimit)
        };
        bench.end("work", outcome);
        bench.now = bench.now.plus_ms(1_000);
        bench.must(&Command::Tick);
    }
    assert_eq!(bench.state.run(RUN).unwrap().status, RunStatus::Failed);
    assert_eq!(bench.task_id().attempt, 21);
}

/// What an agent's task is gone on with: the spec that is made for it.
fn go_on(bench: &Bench, fork: bool) -> Result<RunSpec, Error> {
    let context = LaunchContext {
        project_dir: std::path::Path::new("/project"),
        artifacts_dir: std::path::Path::new(""),
        env: &|_| None,
    };
    bench
        .state
        .go_on(bench.task_id(), "and now?", fork, &context)
}

fn talked(session: &str, input: u64) -> Outcome {
    Outcome {
        agent: Some(AgentOutcome {
            session: Some(session.to_owned()),
            usage: Usage {
                input,
                ..Usage::default()
            },
            ..AgentOutcome::default()
        }),
        ..Outcome::done(String::new())
    }
}

#[test]
fn a_conversation_is_gone_on_with_once_its_task_is_over() {
    let mut bench = working();
    assert_eq!(go_on(&bench, false).unwrap_err().kind, ErrorKind::Conflict);
    bench.end("work", talked("s-1", 10));
    let spec = go_on(&bench, false).unwrap();
    let invocation = spec.frames[1].invocation.clone().unwrap();
    assert_eq!(invocation.prompt.unwrap().to_string(), "and now?");
    let resume = invocation.resume.unwrap();
    assert_eq!((resume.session.as_str(), resume.fork), ("s-1", false));
    assert_eq!(resume.counted.input, 10);
    // Of a conversation that is gone on with twice, all is counted that was counted before.
    let mut bench = Bench::start(spec, 4);
    bench.end("work", talked("s-1", 5));
    let spec = go_on(&bench, true).unwrap();
    let resume = spec.frames[1].invocation.clone().unwrap().resume.unwrap();
    assert_eq!((resume.counted.input, resume.fork), (15, true));
}

#[test]
fn who_cannot_go_on_with_a_conversation_is_not_asked_to() {
    for (driver, resumes, forks) in [
        (DriverKind::Claude, true, true),
        (DriverKind::CodexExec, true, false),
        (DriverKind::Acp, false, false),
    ] {
        let mut run = spec(&[("work", &[])]);
        agent(&mut run, 1).driver = Some(driver);
        let mut bench = Bench::start(run, 4);
        bench.end("work", talked("s-1", 10));
        assert_eq!(go_on(&bench, false).is_ok(), resumes, "{driver:?}");
        assert_eq!(go_on(&bench, true).is_ok(), forks, "{driver:?}");
    }
    let mut silent = working();
    silent.end("work", Outcome::done(String::new()));
    assert_eq!(go_on(&silent, false).unwrap_err().kind, ErrorKind::Conflict);
}
