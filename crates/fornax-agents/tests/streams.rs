//! The drivers on recorded streams of real agents, whole and damaged. How they were recorded: each
//! agent ran against the scripted model; folders of the machine are written as `/project` and
//! `/home`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use fornax_agents::happening::{Happening, TurnEnd};
use fornax_agents::{Driver, Heard, Job, Out, drivers};
use fornax_core::agent::{DriverKind, Order, OrderKind, Permissions, Usage};
use fornax_core::spec::ErrorClass;
use proptest::prelude::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The recordings of an agent, of each version.
fn recordings(agent: &str, case: &str) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    for version in fs::read_dir(fixtures().join(agent)).unwrap() {
        let file = version.unwrap().path().join(format!("{case}.jsonl"));
        if let Ok(bytes) = fs::read(&file) {
            let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            let lines = lines.filter(|line| !line.is_empty());
            found.push((file.display().to_string(), lines.collect()));
        }
    }
    assert!(
        found.len() >= 2,
        "{agent} {case} was recorded with two versions"
    );
    found
}

fn driver(kind: DriverKind) -> Box<dyn Driver> {
    let mut job = Job::new("/t".into(), kind, vec!["agent".into()], "/project".into());
    job.prompt = "WRITE please".to_owned();
    job.permissions = Permissions::Allow;
    drivers::of(&job)
}

/// Plays lines to a driver as the host would, with further prompts between turns.
fn play(kind: DriverKind, lines: &[Vec<u8>], prompts: usize) -> (Vec<Happening>, u32) {
    let mut driver = driver(kind);
    let mut all = Vec::new();
    let mut garbage = 0;
    let mut left = prompts;
    let mut order = 0;
    let mut step = |driver: &mut Box<dyn Driver>, heard: Option<Heard<'_>>| {
        let mut out = Out::default();
        let exited = matches!(heard, Some(Heard::Exited { .. }));
        match heard {
            None => driver.begin(&mut out),
            Some(heard) => driver.hear(heard, &mut out),
        }
        let ended = |happening: &Happening| matches!(happening, Happening::TurnEnded(_));
        // Nobody prompts an agent that has ended.
        if !exited && out.happenings.iter().any(ended) && left > 0 {
            left -= 1;
            order += 1;
            let text = "second please".to_owned();
            let kind = OrderKind::Prompt { text };
            driver.order(&Order { id: order, kind }, &mut out);
        }
        garbage += out.garbage;
        all.append(&mut out.happenings);
    };
    step(&mut driver, None);
    for line in lines {
        step(&mut driver, Some(Heard::Line(line)));
    }
    let (code, signal) = (Some(0), None);
    step(&mut driver, Some(Heard::Exited { code, signal }));
    (all, garbage)
}

fn usage(happened: &[Happening]) -> Usage {
    let mut all = Usage::default();
    for happening in happened {
        if let Happening::ModelCall { usage, .. } = happening {
            all.add(usage);
        }
    }
    all
}

fn ends(happened: &[Happening]) -> Vec<Result<String, ErrorClass>> {
    let ends = happened.iter().filter_map(|happening| match happening {
        Happening::TurnEnded(TurnEnd::Completed { result }) => Some(Ok(result.clone())),
        Happening::TurnEnded(TurnEnd::Failed(failure)) => Some(Err(failure.class)),
        _ => None,
    });
    ends.collect()
}

fn count(happened: &[Happening], what: impl Fn(&Happening) -> bool) -> usize {
    happened.iter().filter(|happening| what(happening)).count()
}

#[test]
fn claude_works_with_tools_and_a_subagent_in_two_turns() {
    for (name, lines) in recordings("claude", "work") {
        let (happened, garbage) = play(DriverKind::Claude, &lines, 1);
        assert_eq!(garbage, 0, "{name}");
        // Newer versions run subagents in the background, and answer once more when one has ended:
        // until then the turn goes on.
        let ends = ends(&happened);
        assert_eq!(ends.len(), 2, "{name}: {ends:?}");
        assert_eq!(ends[1], Ok("Hello second.".to_owned()), "{name}");
        let used = usage(&happened);
        let answers = used.input / 1_000;
        assert!(answers >= 6, "{name}: {answers}");
        let tokens = (used.input, used.output, used.cache_read, used.cache_write);
        let expected = (1_000 * answers, 50 * answers, 200 * answers, 30 * answers);
        assert_eq!(tokens, expected, "{name}");
        let child = |happening: &Happening| matches!(happening, Happening::ChildStarted { .. });
        assert_eq!(count(&happened, child), 1, "{name}");
        let changed = |happening: &Happening| matches!(happening, Happening::FileChanged { path } if path == "/project/hello.txt");
        assert_eq!(count(&happened, changed), 1, "{name}");
        let answered = |happening: &Happening| matches!(happening, Happening::PermissionAnswered { by, .. } if by == "policy");
        assert!(count(&happened, answered) >= 2, "{name}");
    }
}

/// What the drivers say of the one subagent of the recorded work: its frame, its words, its usage.
#[test]
fn a_subagent_has_an_end_with_its_last_words_and_a_usage_of_its_own() {
    for (agent, kind) in [("claude", DriverKind::Claude), ("codex", DriverKind::Codex)] {
        for (name, lines) in recordings(agent, "work") {
            let (happened, _) = play(kind, &lines, 1);
            let started = happened
                .iter()
                .position(|it| matches!(it, Happening::ChildStarted { .. }));
            let Happening::ChildStarted {
                session, parent, ..
            } = &happened[started.unwrap()]
            else {
                panic!("{name}");
            };
            assert_eq!(*parent, None, "{name}");
            let ends: Vec<_> = happened
                .iter()
                .enumerate()
                .filter_map(|(place, it)| match it {
                    Happening::ChildEnded {
                        session,
                        success,
                        result,
                    } => Some((place, session, *success, result.as_str())),
                    _ => None,
                })
                .collect();
            let [(place, ended, success, result)] = ends.as_slice() else {
                panic!("{name}: {ends:?}");
            };
            assert_eq!(
                (*ended, *success, *result),
                (session, Some(true), "child done"),
                "{name}"
            );
            let words = happened
                .iter()
                .rposition(|it| matches!(it, Happening::Text { child: Some(_), .. }));
            assert!(
                words.is_none_or(|words| words < *place),
                "{name}: it said more after its end"
            );
            let mut own = Usage::default();
            for it in &happened {
                if let Happening::ModelCall { usage, child, .. } = it
                    && child.as_ref() == Some(session)
                {
                    own.add(usage);
                }
            }
            // It made two calls; one of Claude's older versions tells the words of one only.
            assert!([1_000, 2_000].contains(&own.input), "{name}: {own:?}");
            assert!([50, 100].contains(&own.output), "{name}: {own:?}");
        }
    }
}

/// Claude Code says that it shortened the conversation, and what to in what comes next.
#[test]
fn claude_tells_what_a_conversation_was_shortened_to() {
    let line = |value: serde_json::Value| value.to_string().into_bytes();
    let boundary = line(serde_json::json!({
        "type": "system", "subtype": "compact_boundary",
        "compact_metadata": { "trigger": "manual", "pre_tokens": 90_000 },
    }));
    let summary = line(serde_json::json!({
        "type": "user", "isSynthetic": true,
        "message": { "role": "user", "content": "It stood at seven." },
    }));
    let result = line(serde_json::json!({ "type": "result", "subtype": "success", "result": "" }));
    let told = |lines: &[Vec<u8>]| {
        let (happened, _) = play(DriverKind::Claude, lines, 0);
        let mut told = happened
            .into_iter()
            .filter(|it| matches!(it, Happening::Compacted { .. }));
        let first = told.next();
        assert_eq!(told.next(), None);
        first
    };
    let shortened = |summary: Option<&str>| {
        Some(Happening::Compacted {
            summary: summary.map(str::to_owned),
            tokens_before: Some(90_000),
            tokens_after: None,
        })
    };
    let with = told(&[boundary.clone(), summary, result.clone()]);
    assert_eq!(with, shortened(Some("It stood at seven.")));
    assert_eq!(told(&[boundary.clone(), result]), shortened(None));
    assert_eq!(
        told(&[boundary]),
        shortened(None),
        "also where it ends with that"
    );
}

#[test]
fn an_older_sessions_lines_are_read() {
    for (text, expected) in [
        (r#"{"type":"compacted"}"#, "Compacted"),
        (
            r#"{"type":"child_started","session":"a","title":"b"}"#,
            "ChildStarted",
        ),
        (
            r#"{"type":"child_ended","session":"a","success":true}"#,
            "ChildEnded",
        ),
    ] {
        let read: Happening = serde_json::from_str(text).unwrap();
        assert!(format!("{read:?}").starts_with(expected), "{read:?}");
    }
}

#[test]
fn claude_tells_its_troubles() {
    for (name, lines) in recordings("claude", "trouble") {
        let (happened, _) = play(DriverKind::Claude, &lines, 2);
        use ErrorClass as E;
        let classes: Vec<_> = ends(&happened).into_iter().map(Result::err).collect();
        let expected = [None, Some(E::Api), Some(E::ContextOverflow)];
        assert_eq!(classes, expected, "{name}");
        let limited = |happening: &Happening| {
            matches!(
                happening,
                Happening::Retry {
                    class: E::RateLimit,
                    ..
                }
            )
        };
        assert_eq!(count(&happened, limited), 2, "{name}");
    }
}

#[test]
fn codex_works_with_tools_and_a_subagent_in_two_turns() {
    for (name, lines) in recordings("codex", "work") {
        let (happened, garbage) = play(DriverKind::Codex, &lines, 1);
        assert_eq!(garbage, 0, "{name}");
        let results = [Ok("All done.".to_owned()), Ok("Hello second.".to_owned())];
        assert_eq!(ends(&happened), results, "{name}");
        let used = usage(&happened);
        // What one answer uses, times the answers of main agent and subagent.
        assert_eq!(used.input % 1_000, 0, "{name}");
        let answers = used.input / 1_000;
        assert!(answers >= 5, "{name}: {answers}");
        let tokens = (used.output, used.cache_read, used.reasoning);
        assert_eq!(
            tokens,
            (50 * answers, 200 * answers, 10 * answers),
            "{name}"
        );
        let changed = |happening: &Happening| matches!(happening, Happening::FileChanged { .. });
        assert_eq!(count(&happened, changed), 1, "{name}");
    }
}

/// What is done to a stream.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Cut(usize, usize),
    Double(usize),
    Drop(usize),
    Swap(usize, usize),
    Garbage(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..1_000_000usize;
    prop_oneof![
        (at.clone(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (at.clone(), at.clone()).prop_map(|(line, length)| Damage::Cut(line, length)),
        at.clone().prop_map(Damage::Double),
        at.clone().prop_map(Damage::Drop),
        (at.clone(), at.clone()).prop_map(|(one, other)| Damage::Swap(one, other)),
        (at, proptest::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(at, bytes)| Damage::Garbage(at, bytes)),
    ]
}

fn damaged(mut lines: Vec<Vec<u8>>, damages: &[Damage]) -> Vec<Vec<u8>> {
    for damage in damages {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match damage {
            Damage::Flip(at, bits) => {
                let line = &mut lines[at % count];
                if !line.is_empty() {
                    let place = at / count % line.len();
                    line[place] ^= bits;
                }
            }
            Damage::Cut(line, length) => {
                let line = &mut lines[line % count];
                line.truncate(length % (line.len() + 1));
            }
            Damage::Double(at) => {
                let line = lines[at % count].clone();
                lines.insert(at / count % count, line);
            }
            Damage::Drop(at) => drop(lines.remove(at % count)),
            Damage::Swap(one, other) => lines.swap(one % count, other % count),
            Damage::Garbage(at, bytes) => lines.insert(at % count, bytes.clone()),
        }
    }
    lines
}

/// Whatever is heard: a turn that began ends, once, and nothing is counted below nothing.
fn check(kind: DriverKind, lines: &[Vec<u8>], prompts: usize) -> Result<(), TestCaseError> {
    check_turns(&play(kind, lines, prompts).0)
}

fn check_turns(happened: &[Happening]) -> Result<(), TestCaseError> {
    let mut open = false;
    for happening in happened {
        match happening {
            Happening::TurnStarted { .. } => {
                prop_assert!(!open, "a turn began within a turn");
                open = true;
            }
            Happening::TurnEnded(_) => {
                prop_assert!(open, "a turn ended that had not begun");
                open = false;
            }
            _ => {}
        }
    }
    prop_assert!(!open, "a turn never ended");
    Ok(())
}

/// What a human does while an agent works.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Prompt,
    Compact,
    Interrupt,
}

/// Plays lines to a driver, with a human's orders at some of them. As the host does, it gives prompts
/// and orders to shorten the conversation between turns only.
fn play_with(kind: DriverKind, lines: &[Vec<u8>], acts: &[(usize, Act)]) -> Vec<Happening> {
    let mut driver = driver(kind);
    let mut out = Out::default();
    driver.begin(&mut out);
    let mut given = true;
    for (at, line) in lines.iter().enumerate() {
        let before = out.happenings.len();
        driver.hear(Heard::Line(line), &mut out);
        let ended = |happening: &Happening| matches!(happening, Happening::TurnEnded(_));
        given &= !out.happenings[before..].iter().any(ended);
        for (_, act) in acts.iter().filter(|(place, _)| place % lines.len() == at) {
            let kind = match act {
                Act::Interrupt => {
                    let before = out.happenings.len();
                    driver.interrupt(&mut out);
                    given &= !out.happenings[before..].iter().any(ended);
                    continue;
                }
                _ if given => continue,
                Act::Compact => OrderKind::Compact { guide: None },
                Act::Prompt => {
                    given = true;
                    let text = "second please".to_owned();
                    OrderKind::Prompt { text }
                }
            };
            driver.order(&Order { id: 1, kind }, &mut out);
        }
    }
    let (code, signal) = (Some(0), None);
    driver.hear(Heard::Exited { code, signal }, &mut out);
    out.happenings
}

const KINDS: [(DriverKind, &str); 6] = [
    (DriverKind::Claude, "claude"),
    (DriverKind::ClaudePrint, "claude"),
    (DriverKind::Codex, "codex"),
    (DriverKind::CodexExec, "codex"),
    (DriverKind::Acp, "codex"),
    (DriverKind::Jsonl, "claude"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_streams_neither_break_nor_confuse_a_driver(
        which in 0..KINDS.len(),
        version in 0..16usize,
        prompts in 0..3usize,
        damages in proptest::collection::vec(damage(), 1..12),
    ) {
        let (kind, agent) = KINDS[which];
        let all = recordings(agent, "work");
        let (_, lines) = all[version % all.len()].clone();
        check(kind, &damaged(lines, &damages), prompts)?;
    }

    #[test]
    fn orders_at_any_time_do_no_harm(
        which in 0..KINDS.len(),
        acts in proptest::collection::vec((0..1_000usize, prop_oneof![
            Just(Act::Prompt), Just(Act::Compact), Just(Act::Interrupt),
        ]), 0..40),
        damages in proptest::collection::vec(damage(), 0..4),
    ) {
        let (kind, agent) = KINDS[which];
        let lines = damaged(recordings(agent, "work")[0].1.clone(), &damages);
        check_turns(&play_with(kind, &lines, &acts))?;
    }

    #[test]
    fn two_streams_through_each_other_do_no_harm(
        which in 0..KINDS.len(),
        order in proptest::collection::vec(any::<bool>(), 0..200),
    ) {
        let (kind, _) = KINDS[which];
        let (one, other) = (&recordings("claude", "work")[0].1, &recordings("codex", "work")[0].1);
        let (mut one, mut other) = (one.iter(), other.iter());
        let mixed = order.iter().filter_map(|first| if *first { one.next() } else { other.next() });
        let mixed: Vec<Vec<u8>> = mixed.cloned().collect();
        check(kind, &mixed, 1)?;
    }
}
