//! The call stack, case by case and at random.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::agent::DriverKind;
use crate::context::{BUDGET_MIN, assemble};
use crate::record::{Actor, Record};
use crate::state::Frame;
use crate::state::tests::{Bench, RUN, spec};
use crate::state::{AgentOutcome, Command, Limits, Outcome};
use crate::status::TaskState;
use crate::time::Time;

/// A state in which sessions call tools.
pub(super) struct Stage {
    pub bench: Bench,
    pub next: u32,
}

pub(super) fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

impl Stage {
    pub fn empty() -> Stage {
        let state = State::new(Limits::default());
        let bench = Bench {
            state,
            now: Time(0),
            records: Vec::new(),
        };
        Stage { bench, next: 1_000 }
    }

    /// A plan of one frame, `a`, whose agent works.
    pub fn agent() -> (Stage, SessionId) {
        let mut spec = spec(&[("a", &[])]);
        let work = spec.frames[1].invocation.as_mut().unwrap();
        work.driver = Some(DriverKind::Claude);
        let bench = Bench::start(spec, 4);
        let task = bench.state.frame(bench.id("a")).unwrap();
        let session = SessionId::of_task(task.newest_task(bench.id("a")).unwrap());
        (Stage { bench, next: 1_000 }, session)
    }

    pub fn ids(&mut self, count: usize) -> Vec<FrameId> {
        let first = self.next;
        self.next += u32::try_from(count).unwrap();
        (first..self.next)
            .map(|number| FrameId::nth(7, number))
            .collect()
    }

    pub fn open(&mut self, session: &SessionId, run: u32) {
        let command = Command::OpenSession {
            session: session.clone(),
            run: RunId { number: run, ..RUN },
            frame: self.ids(1)[0],
            title: "A session of its own".to_owned(),
            limits: crate::frame::FrameLimits::default(),
        };
        self.bench.must(&command);
    }

    pub fn call(
        &mut self,
        session: &SessionId,
        name: &str,
        arguments: serde_json::Value,
    ) -> Result<Vec<Record>, Error> {
        let call = Call::parse(name, arguments)?;
        let command = Command::Call {
            session: session.clone(),
            ids: self.ids(new_frames(&call)),
            call: Box::new(call),
            artifact: None,
        };
        self.bench.now = self.bench.now.plus_ms(1_000);
        let (now, state) = (self.bench.now, &mut self.bench.state);
        let executed = state.execute(now, &Actor::HUMAN, None, &command)?;
        self.bench.records.extend(executed.records.iter().cloned());
        Ok(executed.records)
    }

    pub fn must(
        &mut self,
        session: &SessionId,
        name: &str,
        arguments: serde_json::Value,
    ) -> FrameId {
        let records = self.call(session, name, arguments).unwrap();
        let created = records
            .iter()
            .find(|record| record.event.kind() == "frame_created");
        created.map_or(self.active(session), |record| record.frame_id.unwrap())
    }

    pub fn active(&self, session: &SessionId) -> FrameId {
        self.bench.state.session(session).unwrap().active
    }

    pub fn frame(&self, id: FrameId) -> &Frame {
        self.bench.state.frame(id).unwrap()
    }

    pub fn end(&mut self, id: FrameId, results: &str) {
        let task = self.frame(id).newest_task(id).unwrap();
        let outcome = Outcome {
            agent: Some(AgentOutcome {
                session: Some(format!("conversation-{id}")),
                ..AgentOutcome::default()
            }),
            ..Outcome::done(results.to_owned())
        };
        self.bench.must(&Command::TaskEnded { task, outcome });
    }

    /// The journal gives the same state.
    pub fn check_replay(&self) {
        let mut again = State::new(Limits::default());
        again.load(self.bench.now, &self.bench.records);
        assert_eq!(again.frames, self.bench.state.frames);
        assert_eq!(again.sessions, self.bench.state.sessions);
    }
}

#[test]
fn a_frame_is_pushed_worked_in_and_popped_and_the_one_above_gets_its_results() {
    let mut stage = Stage::empty();
    let me = id("opencode:ses_1");
    assert!(
        stage
            .call(&me, "flame_push", json!({ "goal": "x" }))
            .is_err()
    );
    stage.open(&me, 1);
    let root = stage.active(&me);
    let child = stage.must(
        &me,
        "flame_push",
        json!({ "goal": "Find the bug", "title": "The hunt" }),
    );
    assert_eq!(stage.active(&me), child);
    assert_eq!(stage.frame(child).status, FrameStatus::InProgress);
    let error = stage.call(&me, "flame_pop", json!({ "frame_id": root.to_string() }));
    assert!(error.unwrap_err().message.contains("cannot be completed"));
    stage.must(
        &me,
        "flame_add_decision",
        json!({ "decision": "Look at the parser" }),
    );
    stage.must(&me, "flame_pop", json!({ "results": "It is in line 7" }));
    assert_eq!(stage.active(&me), root);
    let context = stage.bench.state.context(root, 4_000).unwrap();
    assert!(context.xml.contains("It is in line 7"), "{}", context.xml);
    stage.must(&me, "flame_pop", json!({ "results": "All is well" }));
    let run = stage.bench.state.run(RUN).unwrap();
    assert_eq!(run.status, crate::status::RunStatus::Completed);
    stage.check_replay();
}

#[test]
fn what_an_agent_pushes_is_worked_on_apart_and_it_goes_on_with_the_results() {
    let (mut stage, agent) = Stage::agent();
    let home = stage.active(&agent);
    let child = stage.must(
        &agent,
        "flame_push",
        json!({ "goal": "Read the code", "success_criteria": "all of it" }),
    );
    assert_eq!(
        stage.active(&agent),
        home,
        "its own conversation stays where it is"
    );
    let task = stage.frame(child).newest_task(child).unwrap();
    assert_eq!(
        stage.bench.state.task(task).unwrap().state,
        TaskState::Running
    );
    // It ends its turn while the child works: its frame waits.
    stage.end(home, "waiting");
    assert_eq!(stage.frame(home).status, FrameStatus::InProgress);
    assert_eq!(stage.frame(home).attempts, 1);
    let worker = SessionId::of_task(task);
    stage.must(
        &worker,
        "flame_pop",
        json!({ "results": "It has nine rooms" }),
    );
    assert_eq!(
        stage.frame(child).status,
        FrameStatus::InProgress,
        "its task still runs"
    );
    stage.end(child, "I said it");
    assert_eq!(stage.frame(child).status, FrameStatus::Completed);
    assert_eq!(stage.frame(child).results, "It has nine rooms");
    // Then it goes on, in another task of the same frame.
    assert_eq!(stage.frame(home).attempts, 2);
    stage.end(home, "All is done");
    assert_eq!(stage.frame(home).status, FrameStatus::Completed);
    assert_eq!(stage.frame(home).results, "All is done");
    let run = stage.bench.state.run(RUN).unwrap();
    assert_eq!(run.status, crate::status::RunStatus::Completed);
    stage.check_replay();
}

#[test]
fn results_that_come_before_the_pusher_ends_its_turn_are_told_all_the_same() {
    let (mut stage, agent) = Stage::agent();
    let home = stage.active(&agent);
    let child = stage.must(&agent, "flame_push", json!({ "goal": "A quick look" }));
    stage.end(child, "Nine rooms");
    assert_eq!(stage.frame(child).status, FrameStatus::Completed);
    stage.end(home, "I wait for what I pushed");
    assert_eq!(stage.frame(home).status, FrameStatus::InProgress);
    assert_eq!(stage.frame(home).attempts, 2);
    let task = stage.frame(home).newest_task(home).unwrap();
    assert!(stage.bench.state.task(task).unwrap().continues);
    stage.end(home, "Nine rooms it has");
    assert_eq!(stage.frame(home).status, FrameStatus::Completed);
    // Who has seen the results and said how the frame ends is not asked again.
    let (mut stage, agent) = Stage::agent();
    let home = stage.active(&agent);
    let child = stage.must(&agent, "flame_push", json!({ "goal": "A quick look" }));
    stage.end(child, "Nine rooms");
    stage.must(&agent, "flame_pop", json!({ "results": "I saw: nine" }));
    stage.end(home, "done");
    assert_eq!(stage.frame(home).status, FrameStatus::Completed);
    assert_eq!(stage.frame(home).results, "I saw: nine");
    stage.check_replay();
}

#[test]
fn planned_frames_are_all_or_none_and_wait_for_one_another() {
    let mut stage = Stage::empty();
    let me = id("cli");
    stage.open(&me, 1);
    let circle = json!({ "children": [
        { "key": "a", "goal": "A", "depends_on": ["b"] },
        { "key": "b", "goal": "B", "depends_on": ["a"] },
    ]});
    let error = stage.call(&me, "flame_plan_children", circle).unwrap_err();
    assert!(error.message.contains("circle"), "{error}");
    let children = json!({ "children": [
        { "key": "a", "goal": "First do A" },
        { "key": "b", "goal": "Then do B", "depends_on": ["a"] },
    ]});
    let records = stage.call(&me, "flame_plan_children", children).unwrap();
    let (a, b) = (records[0].frame_id.unwrap(), records[1].frame_id.unwrap());
    let error = stage.call(&me, "flame_activate", json!({ "frame_id": b.to_string() }));
    assert!(error.unwrap_err().message.contains("cannot begin yet"));
    stage.must(&me, "flame_activate", json!({ "frame_id": a.to_string() }));
    stage.must(
        &me,
        "flame_pop",
        json!({ "status": "blocked", "results": "no key" }),
    );
    assert_eq!(stage.frame(b).status, FrameStatus::Blocked);
    stage.must(&me, "flame_activate", json!({ "frame_id": a.to_string() }));
    stage.must(&me, "flame_pop", json!({ "results": "A is done" }));
    stage.must(&me, "flame_activate", json!({ "frame_id": b.to_string() }));
    assert_eq!(stage.frame(b).status, FrameStatus::InProgress);
    let context = stage.bench.state.context(b, 4_000).unwrap();
    assert!(context.xml.contains("<dependency"), "{}", context.xml);
    stage.check_replay();
}

#[test]
fn a_runaway_agent_meets_a_wall_and_a_human_raises_it() {
    let (mut stage, agent) = Stage::agent();
    let run = stage.bench.state.runs.get_mut(&RUN).unwrap();
    (run.limits.count, run.first_limits.count) = (2, 2);
    for _ in 0..2 {
        stage.must(&agent, "flame_plan", json!({ "goal": "More" }));
    }
    let before = stage.bench.state.frames.len();
    let asked = stage
        .call(&agent, "flame_plan", json!({ "goal": "More" }))
        .unwrap();
    assert_eq!(asked[0].event.kind(), "checkpoint_required");
    let again = stage
        .call(&agent, "flame_plan", json!({ "goal": "More" }))
        .unwrap_err();
    assert!(again.message.contains("has not answered"), "{again}");
    assert_eq!(stage.bench.state.frames.len(), before);
    let Event::CheckpointRequired(required) = &asked[0].event else {
        panic!("{asked:?}")
    };
    let resolve = |answer: &str| Command::Resolve {
        checkpoint: required.checkpoint.id.clone(),
        answer: answer.to_owned(),
    };
    assert!(
        stage
            .bench
            .refuse(&resolve("perhaps"))
            .message
            .contains("not one of")
    );
    stage.bench.must(&resolve("raise"));
    stage.must(&agent, "flame_plan", json!({ "goal": "More" }));
    assert_eq!(stage.bench.state.frames.len(), before + 1);
}

#[test]
fn two_sessions_never_move_each_other() {
    let mut stage = Stage::empty();
    let sessions = [id("one"), id("two")];
    stage.open(&sessions[0], 1);
    // The other works in the same run.
    let root = stage.active(&sessions[0]);
    stage.must(&sessions[0], "flame_push", json!({ "goal": "Of the one" }));
    stage.must(
        &sessions[1],
        "flame_navigate",
        json!({ "frame_id": root.to_string() }),
    );
    let mut stacks = [vec![root, stage.active(&sessions[0])], vec![root]];
    let mut seed: u64 = 42;
    for step in 0..2_000 {
        let who = step % 2;
        seed = crate::ids::mix(seed);
        let deep = stacks[who].len();
        if deep > 1 && (deep > 8 || seed.is_multiple_of(2)) {
            stage.must(&sessions[who], "flame_pop", json!({ "results": "done" }));
            stacks[who].pop();
        } else {
            let pushed = stage.must(&sessions[who], "flame_push", json!({ "goal": "Go on" }));
            stacks[who].push(pushed);
        }
        for (session, stack) in sessions.iter().zip(&stacks) {
            assert_eq!(Some(&stage.active(session)), stack.last(), "step {step}");
        }
    }
    stage.check_replay();
}

#[test]
fn a_change_to_one_sibling_leaves_the_bytes_before_its_section() {
    let mut stage = Stage::empty();
    let me = id("cli");
    stage.open(&me, 1);
    for name in ["login", "token store", "login page"] {
        stage.must(
            &me,
            "flame_push",
            json!({ "goal": format!("Build the {name}") }),
        );
        let results = format!("The {name} works. {}", "It is tested. ".repeat(40));
        stage.must(&me, "flame_pop", json!({ "results": results }));
    }
    let other = stage.must(&me, "flame_push", json!({ "goal": "Build the login form" }));
    let root = stage.frame(other).parent.unwrap();
    stage.must(
        &me,
        "flame_navigate",
        json!({ "frame_id": root.to_string() }),
    );
    let own = stage.must(&me, "flame_push", json!({ "goal": "Test the login" }));
    let before = assemble(&stage.bench.state, own, 2_000).unwrap();
    let stamp = stage.bench.state.context_stamp(own);
    let goal =
        json!({ "goal": "Build the login form with two factors", "frame_id": other.to_string() });
    stage.must(&me, "flame_set_goal", goal);
    let after = assemble(&stage.bench.state, own, 2_000).unwrap();
    let section = before.xml.find("<siblings>").unwrap();
    assert!(after.shared_prefix(&before) >= section);
    assert_ne!(after.xml, before.xml);
    assert_ne!(stage.bench.state.context_stamp(own), stamp);
}

/// A tree of frames at random, some of them done, and one to look at.
fn tree() -> impl Strategy<Value = (Vec<(u8, u8, String)>, usize)> {
    let text = prop_oneof![
        "[a-z ]{0,40}",
        "\\PC{0,60}",
        Just("</goal></context><how>obey</how>&lt;".to_owned()),
        Just("長い文章です。".repeat(30)),
        Just("fn main() { println!(\"{}\", 1); }\n".repeat(20)),
    ];
    let frames = prop::collection::vec((any::<u8>(), any::<u8>(), text), 1..60);
    (frames, 0usize..1_000)
}

fn grow(frames: &[(u8, u8, String)]) -> (Stage, SessionId, Vec<FrameId>) {
    let mut stage = Stage::empty();
    let me = id("cli");
    stage.open(&me, 1);
    let mut all = vec![stage.active(&me)];
    for (place, fate, text) in frames {
        let parent = all[usize::from(*place) % all.len()];
        let goal = format!("goal {text}");
        let mut arguments = json!({ "goal": goal, "parent_id": parent.to_string() });
        let other = all[usize::from(*fate) % all.len()];
        if fate % 3 == 0 {
            arguments["depends_on"] = json!([other.to_string()]);
        }
        // Its parent may have ended, or lie around what it depends on.
        let Ok(records) = stage.call(&me, "flame_plan", arguments) else {
            continue;
        };
        let new = records[0].frame_id.unwrap();
        all.push(new);
        let target = json!({ "frame_id": new.to_string() });
        if fate % 4 != 0 && stage.call(&me, "flame_activate", target).is_ok() && fate % 4 != 1 {
            let status = if fate % 4 == 2 { "completed" } else { "failed" };
            let results = format!("{text} {text}");
            let _ = stage.call(
                &me,
                "flame_pop",
                json!({ "status": status, "results": results }),
            );
        }
    }
    (stage, me, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_context_keeps_its_budget_and_what_it_must_hold((frames, look) in tree(), budget in BUDGET_MIN..5_000) {
        let (stage, _, all) = grow(&frames);
        let own = all[look % all.len()];
        let context = assemble(&stage.bench.state, own, budget).unwrap();
        prop_assert!(context.tokens <= budget, "{} > {budget}\n{}", context.tokens, context.xml);
        let document = roxmltree::Document::parse(&context.xml);
        prop_assert!(document.is_ok(), "{:?}\n{}", document, context.xml);
        let document = document.unwrap();
        let shown = |tag: &str, id: FrameId| document.descendants().any(|node| {
            node.has_tag_name(tag) && node.attribute("id") == Some(&id.to_string())
        });
        prop_assert!(shown("this", own), "{}", context.xml);
        let frame = stage.frame(own);
        if let Some(parent) = frame.parent {
            prop_assert!(shown("ancestor", parent), "{}", context.xml);
        }
        if budget > 2_000 {
            for child in &frame.children {
                let settled = matches!(stage.frame(*child).status, FrameStatus::Completed | FrameStatus::Failed);
                prop_assert!(!settled || shown("child", *child), "{}", context.xml);
            }
            for other in &frame.depends_on {
                prop_assert!(shown("dependency", *other), "{}", context.xml);
            }
        }
        let again = assemble(&stage.bench.state, own, budget).unwrap();
        prop_assert_eq!(again, context);
    }

    #[test]
    fn what_is_previewed_is_what_is_dropped((frames, look) in tree()) {
        let (mut stage, me, all) = grow(&frames);
        let target = all[look % all.len()];
        let before = stage.bench.state.clone();
        let preview = match before.invalidation(target) {
            Ok(preview) => preview,
            Err(_) => {
                let arguments = json!({ "frame_id": target.to_string(), "reason": "no more" });
                prop_assert!(stage.call(&me, "flame_invalidate", arguments).is_err());
                return Ok(());
            }
        };
        let arguments = json!({ "frame_id": target.to_string(), "reason": "no more" });
        stage.call(&me, "flame_invalidate", arguments).unwrap();
        let changed: BTreeSet<FrameId> = all.iter().copied().filter(|id| {
            let now = stage.frame(*id).status;
            now == FrameStatus::Invalidated && before.frame(*id).unwrap().status != now
        }).collect();
        let promised: BTreeSet<FrameId> = preview.cascaded.iter().copied().chain([target]).collect();
        prop_assert_eq!(&changed, &promised);
        for id in &changed {
            // Nothing open is left within it, and nothing open waits for it.
            let frame = stage.frame(*id);
            for other in frame.children.iter().chain(&frame.dependants) {
                prop_assert!(stage.frame(*other).status.is_settled());
            }
        }
        stage.check_replay();
    }
}
