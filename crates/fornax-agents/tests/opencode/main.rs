//! The real OpenCode, driven through its server, with a scripted model.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod kit;
mod replay;
mod script;

use std::fs;
use std::panic::AssertUnwindSafe;

use fornax_agents::happening::{Happening, TurnEnd};
use fornax_agents::job::Resume;
use fornax_core::agent::{Decision, OrderKind, Permissions, Usage};
use fornax_core::spec::ErrorClass;
use kit::{Bench, End, Task, same};
use script::rules;
use serde_json::json;

/// A case: its name, and what it does at the server that all share.
type Case = (&'static str, fn(&Bench));

const CASES: &[Case] = &[
    ("writes a file", writes_a_file),
    ("runs a command", runs_a_command),
    ("a permission is allowed", a_permission_is_allowed),
    ("a permission is denied", a_permission_is_denied),
    (
        "a permission is given for good",
        a_permission_is_given_for_good,
    ),
    ("permissions are denied", permissions_are_denied),
    ("the key is refused", the_key_is_refused),
    ("the provider asks to wait", the_provider_asks_to_wait),
    ("the provider is down", the_provider_is_down),
    ("the answer breaks off", the_answer_breaks_off),
    ("the answer stops coming", the_answer_stops_coming),
    ("the answer is truncated", the_answer_is_truncated),
    (
        "the conversation outgrows the model and is shortened",
        an_overflow_is_mended,
    ),
    ("a subagent works", a_subagent_works),
    ("a subagent is interrupted", a_subagent_is_interrupted),
    (
        "a subagent of one that must ask",
        a_subagent_of_one_that_must_ask,
    ),
    ("is interrupted and goes on", is_interrupted_and_goes_on),
    ("is interrupted while it asks", is_interrupted_while_it_asks),
    ("is shortened on order", is_shortened_on_order),
    ("has several turns", has_several_turns),
    ("is resumed and forked", is_resumed_and_forked),
    ("what is not there", what_is_not_there),
];

#[test]
fn tasks_at_one_server_end_as_they_should() {
    let bench = Bench::new(&rules(), json!({}));
    bench.serve();
    let only = std::env::var("FORNAX_CASE").unwrap_or_default();
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|(name, _)| name.contains(&only))
        .collect();
    // Four at a time: the machine is small, and they must not disturb one another.
    let failed = std::sync::Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // When they are recorded, one at a time: else they hear of one another.
        let at_once = if kit::recordings().is_some() { 1 } else { 4 };
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((name, case)) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let done = std::panic::catch_unwind(AssertUnwindSafe(|| case(&bench)));
                    if done.is_err() {
                        failed.lock().unwrap().push(*name);
                    }
                }
            });
        }
    });
    assert_eq!(
        bench.processes(" 860"),
        Vec::<String>::new(),
        "tools are left"
    );
    assert_eq!(bench.get("/session/status"), json!({}), "sessions work");
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these failed, see above: {failed:?}");
}

/// Runs a task to its end and compares its usage with what the server counted.
fn run(bench: &Bench, prompt: &str, permissions: Permissions) -> End {
    let mut job = bench.job(prompt);
    job.permissions = permissions;
    let task = Task::start(job);
    let session = task.session();
    let end = task.end();
    let totals = bench.totals(&session);
    assert!(same(&end.usage(), &totals), "{totals:?} {:?}", end.usage());
    end
}

fn class(end: &End) -> Option<ErrorClass> {
    end.failure.as_ref().map(|failure| failure.class)
}

fn message(end: &End) -> &str {
    end.failure.as_ref().map_or("", |failure| &failure.message)
}

fn writes_a_file(bench: &Bench) {
    let end = run(bench, "WRITE it", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert_eq!(end.result, "WRITE is done.");
    let file = bench.project.join("written.txt");
    assert_eq!(fs::read_to_string(&file).unwrap(), "hello\n");
    let path = file.display().to_string();
    let changed = Happening::FileChanged { path };
    assert_eq!(end.count(|entry| *entry == changed), 1);
    let once = Usage {
        input: 2000,
        output: 100,
        cache_read: 400,
        reasoning: 40,
        cost_usd: Some(2.0 * (1000.0 * 3.0 + 50.0 * 15.0 + 200.0 * 0.3) / 1e6),
        ..Usage::default()
    };
    assert!(same(&end.usage(), &once), "{:?}", end.usage());
    assert_eq!(
        end.count(|entry| matches!(entry, Happening::Thinking { .. })),
        1
    );
    assert_eq!(
        end.count(|entry| matches!(entry, Happening::Text { .. })),
        2
    );
    let timed = |entry: &Happening| matches!(entry, Happening::ModelCall { duration_ms: Some(_), provider: Some(provider), .. } if provider == "stub");
    assert_eq!(end.count(timed), 2);
}

fn runs_a_command(bench: &Bench) {
    let end = run(bench, "COMMAND it", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert_eq!(
        end.tools(),
        [("bash".to_owned(), false, "out\n".to_owned())]
    );
    let code = |entry: &Happening| {
        matches!(
            entry,
            Happening::ToolResult {
                exit_code: Some(3),
                ..
            }
        )
    };
    assert_eq!(end.count(code), 1);
}

/// Starts a task that asks and answers its first question.
fn decide(bench: &Bench, prompt: &str, decision: Decision, note: Option<&str>) -> Task {
    let mut task = Task::start(bench.job(prompt));
    let asked = task.wait("question", |entry| match entry {
        Happening::PermissionAsked(asked) => Some(asked.clone()),
        _ => None,
    });
    assert_eq!(asked.tool, "bash");
    assert!(asked.title.starts_with("touch "), "{}", asked.title);
    task.order(OrderKind::Decide {
        permission: asked.id,
        decision,
        note: note.map(str::to_owned),
    });
    task
}

fn answers(end: &End) -> Vec<(Decision, String)> {
    let answers = end.entries.iter().filter_map(|entry| match entry {
        Happening::PermissionAnswered { decision, by, .. } => Some((*decision, by.clone())),
        _ => None,
    });
    answers.collect()
}

fn a_permission_is_allowed(bench: &Bench) {
    let end = decide(bench, "ALLOWED?", Decision::Allow, None).end();
    assert_eq!(end.failure, None);
    assert!(bench.project.join("allowed").exists());
    assert_eq!(answers(&end), [(Decision::Allow, "human".to_owned())]);
}

fn a_permission_is_denied(bench: &Bench) {
    let end = decide(bench, "REFUSED?", Decision::Deny, Some("not on a Tuesday")).end();
    // It was told so, and went on.
    assert_eq!(end.failure, None);
    assert_eq!(end.result, "REFUSED is done.");
    assert!(!bench.project.join("refused").exists());
    let tools = end.tools();
    assert!(
        !tools[0].1 && tools[0].2.contains("not on a Tuesday"),
        "{tools:?}"
    );
}

fn a_permission_is_given_for_good(bench: &Bench) {
    let mut task = decide(bench, "ALWAYS?", Decision::Always, None);
    // Writing is another thing, and asked for.
    let other = task.wait_nth("question", 2, |entry| match entry {
        Happening::PermissionAsked(asked) => Some(asked.clone()),
        _ => None,
    });
    assert_eq!(other.tool, "edit");
    task.order(OrderKind::Decide {
        permission: other.id,
        decision: Decision::Allow,
        note: None,
    });
    let end = task.end();
    assert_eq!(end.failure, None);
    assert!(bench.project.join("always-2").exists());
    assert_eq!(
        end.count(|entry| matches!(entry, Happening::PermissionAsked(_))),
        2
    );
    assert_eq!(answers(&end).len(), 3);
}

fn permissions_are_denied(bench: &Bench) {
    let end = run(bench, "BARRED?", Permissions::Deny);
    assert_eq!(end.failure, None);
    assert!(!bench.project.join("barred").exists());
    assert_eq!(answers(&end), [(Decision::Deny, "policy".to_owned())]);
}

fn the_key_is_refused(bench: &Bench) {
    let end = run(bench, "AUTH", Permissions::Allow);
    assert_eq!(class(&end), Some(ErrorClass::Auth), "{}", message(&end));
    assert!(message(&end).contains("bad key"));
}

fn retries(end: &End) -> Vec<(u32, ErrorClass)> {
    let retries = end.entries.iter().filter_map(|entry| match entry {
        Happening::Retry { attempt, class, .. } => Some((*attempt, *class)),
        _ => None,
    });
    retries.collect()
}

fn the_provider_asks_to_wait(bench: &Bench) {
    let end = run(bench, "LIMIT", Permissions::Allow);
    assert_eq!(end.failure, None);
    let limit = ErrorClass::RateLimit;
    assert_eq!(retries(&end), [(1, limit), (2, limit)]);
}

fn the_provider_is_down(bench: &Bench) {
    let mut job = bench.job("DOWN");
    job.limits.retries = 1;
    let task = Task::start(job);
    let session = task.session();
    let end = task.end();
    assert_eq!(class(&end), Some(ErrorClass::Api));
    assert!(message(&end).contains("boom"), "{}", message(&end));
    assert_eq!(retries(&end).len(), 2);
    assert!(!bench.works(&session));
}

fn the_answer_breaks_off(bench: &Bench) {
    let end = run(bench, "CUT", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert_eq!(end.result, "Nothing to do.");
    assert_eq!(retries(&end).len(), 1);
}

fn the_answer_stops_coming(bench: &Bench) {
    let mut job = bench.job("HANG");
    job.limits.silence_ms = Some(4_000);
    let task = Task::start(job);
    let session = task.session();
    let end = task.end();
    assert_eq!(class(&end), Some(ErrorClass::Silence), "{}", message(&end));
    assert!(!bench.works(&session));
}

fn the_answer_is_truncated(bench: &Bench) {
    let end = run(bench, "LENGTH", Permissions::Allow);
    assert_eq!(class(&end), Some(ErrorClass::Api));
    assert!(message(&end).contains("truncated"));
}

fn an_overflow_is_mended(bench: &Bench) {
    let end = run(bench, "OVERFLOW", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert_eq!(
        end.count(|entry| matches!(entry, Happening::Compacted { .. })),
        1
    );
}

fn a_subagent_works(bench: &Bench) {
    let end = run(bench, "DELEGATE", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert_eq!(end.usage().input, 4000);
    let child = end.entries.iter().find_map(|entry| match entry {
        Happening::ChildStarted { session, .. } => Some(session.clone()),
        _ => None,
    });
    assert!(child.is_some());
    let ended = Happening::ChildEnded {
        session: child.clone().unwrap(),
        success: Some(true),
        result: "The part is done.".to_owned(),
    };
    assert_eq!(end.count(|entry| *entry == ended), 1);
    let by_child =
        |entry: &Happening| matches!(entry, Happening::ModelCall { child: by, .. } if *by == child);
    assert_eq!(end.count(by_child), 2);
}

fn a_subagent_is_interrupted(bench: &Bench) {
    let mut job = bench.job("SLOW-PART");
    job.permissions = Permissions::Allow;
    let mut task = Task::start(job);
    task.tool_runs("bash");
    task.order(OrderKind::Interrupt);
    assert_eq!(task.turn_ended(1), TurnEnd::Interrupted);
    bench.ended("sleep 86021");
    task.prompt("GO-ON");
    assert_eq!(task.end().failure, None);
}

fn a_subagent_of_one_that_must_ask(bench: &Bench) {
    let end = run(bench, "NO-PART", Permissions::Ask);
    assert_eq!(end.failure, None);
    assert!(!bench.project.join("barred-child").exists());
}

fn is_interrupted_and_goes_on(bench: &Bench) {
    let mut job = bench.job("SLEEP");
    job.permissions = Permissions::Allow;
    let mut task = Task::start(job);
    let session = task.session();
    task.tool_runs("bash");
    task.order(OrderKind::Interrupt);
    assert_eq!(task.turn_ended(1), TurnEnd::Interrupted);
    bench.ended("sleep 86011");
    assert!(!bench.works(&session));
    task.prompt("GO-ON");
    let end = task.end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );
    assert!(same(&end.usage(), &bench.totals(&session)));
}

fn is_interrupted_while_it_asks(bench: &Bench) {
    let mut task = Task::start(bench.job("LONG"));
    task.wait("question", |entry| match entry {
        Happening::PermissionAsked(_) => Some(()),
        _ => None,
    });
    task.order(OrderKind::Interrupt);
    assert_eq!(task.turn_ended(1), TurnEnd::Interrupted);
    task.prompt("GO-ON");
    let end = task.end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );
}

fn is_shortened_on_order(bench: &Bench) {
    let mut job = bench.job("SLEEP and be shortened");
    job.permissions = Permissions::Allow;
    let mut task = Task::start(job);
    task.tool_runs("bash");
    task.order(OrderKind::Interrupt);
    task.turn_ended(1);
    task.order(OrderKind::Compact { guide: None });
    task.prompt("GO-ON");
    let end = task.end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );
    let place = |wanted: fn(&Happening) -> bool| end.entries.iter().rposition(wanted).unwrap();
    let shortened = place(|entry| {
        matches!(
            entry,
            Happening::Compacted {
                summary: Some(_),
                ..
            }
        )
    });
    assert!(shortened < place(|entry| matches!(entry, Happening::TurnStarted { .. })));
}

fn has_several_turns(bench: &Bench) {
    let mut task = Task::start(bench.job("ALLOWED in several turns"));
    let asked = task.wait("question", |entry| match entry {
        Happening::PermissionAsked(asked) => Some(asked.id.clone()),
        _ => None,
    });
    task.prompt("GO-ON");
    task.order(OrderKind::Decide {
        permission: asked,
        decision: Decision::Allow,
        note: None,
    });
    let first = task.turn_ended(1);
    assert!(matches!(first, TurnEnd::Completed { result } if result == "ALLOWED is done."));
    let end = task.end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );
    assert_eq!(end.usage().input, 3000);
}

fn is_resumed_and_forked(bench: &Bench) {
    let task = Task::start(bench.job("GO-ON first"));
    let session = task.session();
    assert_eq!(task.end().usage().input, 1000);
    for fork in [true, false] {
        let mut job = bench.job("COMMAND after it");
        job.permissions = Permissions::Allow;
        job.resume = Some(Resume {
            session: session.clone(),
            counted: Usage::default(),
            shared: false,
            fork,
        });
        let task = Task::start(job);
        let there = task.wait("session", |entry| match entry {
            Happening::SessionStarted {
                session,
                resumed: true,
                ..
            } => Some(session.clone()),
            _ => None,
        });
        assert_eq!(there == session, !fork);
        let end = task.end();
        assert_eq!(end.failure, None);
        // Only what is new is told.
        assert_eq!(end.usage().input, 2000);
        assert_eq!(
            end.count(|entry| matches!(entry, Happening::Text { .. })),
            2
        );
    }
    assert_eq!(bench.totals(&session).input, 3000);
}

fn what_is_not_there(bench: &Bench) {
    let mut job = bench.job("GO-ON");
    job.model = Some("stub/no-such-model".to_owned());
    let end = Task::start(job).end();
    assert!(message(&end).contains("no-such-model"), "{}", message(&end));
    let mut job = bench.job("GO-ON");
    job.model = Some("stub-model".to_owned());
    let end = Task::start(job).end();
    assert!(
        message(&end).contains("provider/model"),
        "{}",
        message(&end)
    );
    let mut job = bench.job("GO-ON");
    job.resume = Some(Resume {
        session: "ses_nowhere".to_owned(),
        counted: Usage::default(),
        shared: false,
        fork: false,
    });
    let end = Task::start(job).end();
    assert!(message(&end).contains("ses_nowhere"), "{}", message(&end));
}

#[test]
fn opencode_for_one_prompt() {
    let bench = Bench::new(
        &rules(),
        json!({"permission": {"bash": {"touch *": "ask"}}}),
    );
    let run = |prompt: &str, permissions| {
        let mut job = bench.job_alone(prompt);
        job.permissions = permissions;
        Task::start(job).end()
    };
    let end = run("WRITE it", Permissions::Ask);
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "WRITE is done.")
    );
    assert_eq!(end.usage().input, 2000);
    assert_eq!(end.usage().output, 100);
    assert!(bench.project.join("written.txt").exists());
    let session = end.entries.iter().find_map(|entry| match entry {
        Happening::SessionStarted { session, .. } => Some(session.clone()),
        _ => None,
    });

    let mut job = bench.job_alone("GO-ON");
    job.resume = Some(Resume {
        session: session.unwrap(),
        counted: Usage::default(),
        shared: false,
        fork: false,
    });
    let end = Task::start(job).end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );
    assert_eq!(end.usage().input, 1000);

    // What its configuration would ask is refused, which ends it; unless all is allowed.
    let end = run("REFUSED?", Permissions::Ask);
    assert_eq!(class(&end), Some(ErrorClass::ExitNonzero));
    assert!(
        message(&end).contains("permission requested: bash (touch"),
        "{}",
        message(&end)
    );
    let end = run("ALLOWED?", Permissions::Allow);
    assert_eq!(end.failure, None);
    assert!(bench.project.join("allowed").exists());
    let end = run("BARRED?", Permissions::Deny);
    assert_eq!(end.failure, None, "it has no such tool");
    assert!(!bench.project.join("barred").exists());

    let end = run("AUTH", Permissions::Allow);
    assert_eq!(class(&end), Some(ErrorClass::Auth), "{}", message(&end));
    let end = run("OVERFLOW", Permissions::Allow);
    assert_eq!(end.failure, None);
    let end = run("LENGTH", Permissions::Allow);
    assert_eq!(class(&end), Some(ErrorClass::Api));
    assert!(message(&end).contains("truncated"));
    let mut job = bench.job_alone("GO-ON");
    job.resume = Some(Resume {
        session: "ses_nowhere".to_owned(),
        counted: Usage::default(),
        shared: false,
        fork: false,
    });
    let end = Task::start(job).end();
    assert!(
        message(&end).contains("Session not found"),
        "{}",
        message(&end)
    );
}

#[test]
fn a_server_that_dies_in_mid_turn_fails_the_turn_and_the_session_can_be_resumed() {
    // Without a summary an overflow is the end.
    let bench = Bench::new(&rules(), json!({"compaction": {"auto": false}}));
    bench.serve();
    let mut job = bench.job("CRASH");
    job.permissions = Permissions::Allow;
    let task = Task::start(job);
    let session = task.session();
    task.tool_runs("bash");
    bench.crash();
    bench.serve();
    let end = task.end();
    assert_eq!(class(&end), Some(ErrorClass::Signal), "{}", message(&end));

    let mut job = bench.job("GO-ON");
    job.resume = Some(Resume {
        session: session.clone(),
        counted: Usage::default(),
        shared: false,
        fork: false,
    });
    let end = Task::start(job).end();
    assert_eq!(
        (end.failure.clone(), end.result.as_str()),
        (None, "Went on.")
    );

    let end = run(&bench, "OVERFLOW", Permissions::Allow);
    assert_eq!(
        class(&end),
        Some(ErrorClass::ContextOverflow),
        "{}",
        message(&end)
    );
    // SIGKILL leaves what the server had started: the shim's sweep is not here.
    for line in bench.processes("sleep 86013") {
        assert!(line.contains("sleep"), "{line}");
    }
}
