//! Subagents' frames and shortened conversations, case by case.

use serde_json::json;

use super::tests::{Stage, id};
use super::*;
use crate::agent::{Activity, DriverKind, OrderKind, Usage};
use crate::frame::{CompactionKind, Report};
use crate::ids::TaskId;
use crate::spec::{ErrorClass, Retry};
use crate::state::tests::{Bench, spec};
use crate::state::{Command, Outcome, Target};
use crate::subagents::SubagentSettings;

fn child() -> SessionId {
    id("claude:toolu_1")
}

fn used(input: u64) -> Usage {
    Usage {
        input,
        ..Usage::default()
    }
}

fn began(child: &SessionId) -> Report {
    Report::ChildBegan {
        child: child.clone(),
        title: "Read the manual".to_owned(),
        began: None,
    }
}

fn worked(child: &SessionId, messages: u32, input: u64) -> Report {
    Report::ChildWorked {
        child: child.clone(),
        messages,
        usage: used(input),
    }
}

fn ended(child: &SessionId, success: bool, result: &str) -> Report {
    Report::ChildEnded {
        child: child.clone(),
        success,
        result: result.to_owned(),
    }
}

impl Stage {
    fn report(&mut self, session: &SessionId, report: Report) {
        let command = Command::Report {
            session: session.clone(),
            report,
            id: self.ids(1)[0],
        };
        self.bench.must(&command);
    }

    fn settings(&mut self, change: serde_json::Value) {
        let call = Call::parse("flame_subagent_config", change).unwrap();
        let state = &mut self.bench.state;
        let new = state
            .subagent_settings_after(self.bench.now, &call)
            .unwrap();
        state.set_subagent_settings(new.unwrap());
    }

    /// What time brings, as the daemon asks for it.
    fn pass(&mut self, ms: u64) {
        self.bench.now = self.bench.now.plus_ms(ms);
        for (session, report) in self.bench.state.due_reports(self.bench.now) {
            self.report(&session, report);
        }
    }

    fn frame_of(&self, child: &SessionId) -> Option<FrameId> {
        self.bench.state.subagent_frame(child)
    }

    fn fail(&mut self, home: FrameId, class: ErrorClass) {
        let task = self.task(home);
        let outcome = Outcome {
            verdict: Err((class, "it fell over".to_owned())),
            note: None,
            ..Outcome::done(String::new())
        };
        self.bench.must(&Command::TaskEnded { task, outcome });
    }

    fn task(&self, home: FrameId) -> TaskId {
        self.frame(home).newest_task(home).unwrap()
    }

    fn reply(&self, session: &SessionId, name: &str, call: serde_json::Value) -> serde_json::Value {
        let call = Call::parse(name, call).unwrap();
        let state = &self.bench.state;
        let reply = match name.contains("subagent") {
            true => state.subagent_reply(self.bench.now, session, &call),
            false => state.compaction_reply(session, &call),
        };
        let (text, data) = reply.unwrap();
        assert!(!text.trim().is_empty());
        data
    }

    fn subagents(&self, filter: &str) -> usize {
        let list = self.reply(
            &id("cli"),
            "flame_subagent_list",
            json!({ "filter": filter }),
        );
        list["subagents"].as_array().unwrap().len()
    }
}

/// A task's agent, its frame, and a subagent with a frame within it.
fn delegating() -> (Stage, SessionId, FrameId, FrameId) {
    let (mut stage, agent) = Stage::agent();
    stage.settings(json!({ "min_messages": 1 }));
    let home = stage.active(&agent);
    stage.report(&agent, began(&child()));
    stage.report(&agent, worked(&child(), 1, 40));
    let frame = stage.frame_of(&child()).unwrap();
    (stage, agent, home, frame)
}

#[test]
fn a_subagent_has_a_frame_when_it_has_written_enough_and_ends_with_its_last_message() {
    let (mut stage, agent) = Stage::agent();
    let home = stage.active(&agent);
    stage.report(&agent, began(&child()));
    stage.report(&agent, worked(&child(), 2, 100));
    assert_eq!(stage.frame_of(&child()), None);
    assert_eq!(
        (
            stage.subagents("without_frame"),
            stage.subagents("with_frame")
        ),
        (1, 0)
    );
    stage.report(&agent, worked(&child(), 1, 50));
    let own = stage.frame_of(&child()).unwrap();
    let frame = stage.frame(own);
    assert_eq!(frame.parent, Some(home));
    assert_eq!(frame.status, FrameStatus::InProgress);
    assert!(frame.is_held());
    assert_eq!(frame.goal, "Read the manual");
    assert_eq!(stage.active(&child()), own);
    assert_eq!(stage.active(&agent), home, "its parent stays where it is");
    stage.report(&agent, worked(&child(), 1, 50));
    stage.report(&agent, ended(&child(), true, "It has nine chapters"));
    let frame = stage.frame(own);
    assert_eq!(frame.status, FrameStatus::Completed);
    assert_eq!(frame.results, "It has nine chapters");
    assert_eq!(frame.subagent_usage, used(200));
    let context = stage.bench.state.context(home, 4_000).unwrap();
    assert!(context.xml.contains("nine chapters"), "{}", context.xml);
    assert_eq!(stage.subagents("completed"), 1);
    stage.end(home, "All is done");
    assert_eq!(stage.frame(home).status, FrameStatus::Completed);
    stage.check_replay();
}

#[test]
fn a_subagent_has_a_frame_when_it_has_lived_long_enough_and_none_when_it_ends_before() {
    let (mut stage, agent) = Stage::agent();
    let (short, long) = (id("claude:short"), id("claude:long"));
    stage.report(&agent, began(&short));
    stage.report(&agent, began(&long));
    stage.report(&agent, ended(&short, true, "done"));
    let due = stage.bench.now.plus_ms(60_000);
    assert_eq!(stage.bench.state.next_due(), Some(due));
    stage.pass(59_999);
    assert_eq!(stage.frame_of(&long), None);
    stage.pass(1);
    assert!(stage.frame_of(&long).is_some());
    assert_eq!(stage.frame_of(&short), None);
    assert_eq!(
        stage.bench.state.next_due(),
        None,
        "nothing is due for ever"
    );
    stage.check_replay();
}

#[test]
fn limits_hold_and_a_subagent_beyond_them_works_without_a_frame() {
    let (mut stage, agent, home, _) = delegating();
    let run = stage.frame(home).run;
    let limits = stage.bench.state.run(run).unwrap().limits;
    assert!(limits.count > 1);
    for number in 0..limits.count + 5 {
        let other = id(&format!("claude:{number}"));
        stage.report(&agent, began(&other));
        stage.report(&agent, worked(&other, 1, 1));
    }
    let run = stage.bench.state.run(run).unwrap();
    assert_eq!(run.added, limits.count);
    assert_eq!(stage.subagents("without_frame"), 6);
    assert!(stage.frame(home).checkpoints.is_empty(), "nobody is asked");
    // Those that were refused are not looked at again and again.
    stage.pass(60_000);
    assert_eq!(stage.bench.state.next_due(), None);
}

#[test]
fn switched_off_no_subagent_has_a_frame() {
    let (mut stage, agent) = Stage::agent();
    stage.settings(json!({ "enabled": false, "min_messages": 1 }));
    stage.report(&agent, began(&child()));
    stage.report(&agent, worked(&child(), 5, 1));
    stage.pass(100_000);
    assert_eq!(stage.frame_of(&child()), None);
}

#[test]
fn a_subagents_subagent_is_within_it_also_where_one_between_has_no_frame() {
    let (mut stage, agent, home, own) = delegating();
    let (between, deep) = (id("claude:between"), id("claude:deep"));
    stage.report(&child(), began(&between));
    stage.report(&between, began(&deep));
    stage.report(&between, worked(&deep, 1, 7));
    let inner = stage.frame_of(&deep).unwrap();
    assert_eq!(stage.frame_of(&between), None);
    assert_eq!(stage.frame(inner).parent, Some(own));
    assert_eq!(stage.bench.state.task_behind(&deep), Some(stage.task(home)));
    // The outer one's end is the inner one's.
    stage.report(&agent, ended(&child(), true, "enough"));
    assert_eq!(stage.frame(own).status, FrameStatus::Completed);
    assert_eq!(stage.frame(inner).status, FrameStatus::Blocked);
    stage.check_replay();
}

#[test]
fn what_is_told_again_after_a_restart_makes_no_second_frame_and_no_second_end() {
    let (mut stage, agent, _, own) = delegating();
    stage.report(&agent, ended(&child(), true, "first"));
    let before = stage.bench.records.len();
    let mut again = State::new(crate::state::Limits::default());
    again.load(stage.bench.now, &stage.bench.records);
    again.set_subagent_settings(stage.bench.state.subagent_settings().clone());
    stage.bench.state = again;
    stage.report(&agent, began(&child()));
    stage.report(&agent, worked(&child(), 1, 40));
    stage.report(&agent, ended(&child(), true, "first"));
    assert_eq!(stage.bench.records.len(), before);
    assert_eq!(stage.frame_of(&child()), Some(own));
    // What it used can be told after its end.
    stage.report(&agent, worked(&child(), 0, 60));
    assert_eq!(stage.frame(own).subagent_usage, used(100));
    assert_eq!(stage.frame(own).status, FrameStatus::Completed);
    stage.check_replay();
}

#[test]
fn usage_counts_once_and_rolls_up() {
    let (mut stage, agent, home, own) = delegating();
    let task = stage.task(home);
    let activity = Activity {
        usage: used(1_000),
        ..Activity::default()
    };
    stage.bench.state.observe(task, activity);
    let inputs = |stage: &Stage, id| {
        let detail = stage.bench.state.frame_detail(id).unwrap();
        (detail.usage.input, detail.usage_within.input)
    };
    assert_eq!(inputs(&stage, own), (40, 40));
    assert_eq!(inputs(&stage, home), (960, 1_000));
    // No record tells of what is only seen, so that whoever asks what is new is told.
    assert_eq!(stage.bench.state.frame_news(), [home, own].into());
    assert_eq!(stage.bench.state.frame_news(), [].into());
    stage.report(&agent, worked(&child(), 1, 60));
    assert_eq!(stage.bench.state.frame_news(), [home, own].into());
    let view = stage.bench.state.frame_view(own).unwrap();
    assert_eq!(view.usage.map(|usage| usage.input), Some(100));
    assert_eq!(view.turns, 2);
    stage.report(&agent, ended(&child(), false, "no luck"));
    assert_eq!(stage.frame(own).status, FrameStatus::Failed);
    assert_eq!(stage.frame(own).reason(), Some("no luck"));
    assert_eq!(inputs(&stage, home), (900, 1_000));
    let root = stage.frame(home).parent.unwrap();
    assert_eq!(inputs(&stage, root), (0, 1_000));
}

#[test]
fn whatever_ends_a_task_ends_its_subagents_frames() {
    type End = (&'static str, fn(&mut Stage, FrameId), FrameStatus);
    let ends: [End; 5] = [
        (
            "well",
            |stage, home| stage.end(home, "done"),
            FrameStatus::Failed,
        ),
        (
            "failed",
            |stage, home| stage.fail(home, ErrorClass::Api),
            FrameStatus::Failed,
        ),
        (
            "timeout",
            |stage, home| stage.fail(home, ErrorClass::Timeout),
            FrameStatus::Failed,
        ),
        (
            "lost",
            |stage, home| stage.fail(home, ErrorClass::Lost),
            FrameStatus::Failed,
        ),
        (
            "stopped",
            |stage, home| {
                let stop = Command::Stop {
                    target: Target::Task(stage.task(home)),
                    reason: "enough".to_owned(),
                };
                stage.bench.must(&stop);
                stage.fail(home, ErrorClass::Cancelled);
            },
            FrameStatus::Blocked,
        ),
    ];
    for (name, end, expected) in ends {
        let (mut stage, agent, home, own) = delegating();
        let mine = stage.bench.state.session(&agent).unwrap();
        end(&mut stage, home);
        assert_eq!(stage.frame(own).status, expected, "{name}");
        assert_eq!(stage.frame(own).subagent_usage, used(40), "{name}");
        let open = stage.bench.state.run(mine.run).unwrap().counts.in_progress;
        assert_eq!(open, 0, "{name}");
        assert!(stage.bench.state.session(&child()).is_none(), "{name}");
        // Late words about it change nothing.
        let before = stage.bench.records.len();
        stage.report(&agent, ended(&child(), true, "late"));
        stage.report(&agent, began(&id("claude:late")));
        stage.report(&agent, worked(&id("claude:late"), 9, 9));
        assert_eq!(stage.bench.records.len(), before, "{name}");
        stage.check_replay();
    }
}

#[test]
fn a_further_attempt_and_a_retry_leave_the_dead_subagents_frames_as_history() {
    let mut spec = spec(&[("a", &[])]);
    spec.frames[1].invocation.as_mut().unwrap().driver = Some(DriverKind::Claude);
    spec.frames[1].retry = Retry {
        retries: 1,
        backoff_ms: 0,
        on: vec![ErrorClass::Api],
        ..Retry::default()
    };
    let mut stage = Stage {
        bench: Bench::start(spec, 4),
        next: 1_000,
    };
    stage.settings(json!({ "min_messages": 1 }));
    let home = stage.bench.id("a");
    let first = SessionId::of_task(stage.task(home));
    stage.report(&first, began(&child()));
    stage.report(&first, worked(&child(), 1, 40));
    let own = stage.frame_of(&child()).unwrap();
    stage.fail(home, ErrorClass::Api);
    assert_eq!(stage.frame(own).status, FrameStatus::Failed);
    assert_eq!(stage.frame(home).attempts, 2);
    stage.bench.must(&Command::Tick);
    stage.fail(home, ErrorClass::Api);
    let run = stage.frame(home).run;
    assert_eq!(stage.frame(home).status, FrameStatus::Failed);
    let retry = Command::Retry {
        target: Target::Run(run),
        from: None,
    };
    stage.bench.must(&retry);
    assert_eq!(stage.frame(own).status, FrameStatus::Failed);
    stage.end(home, "at last");
    assert_eq!(stage.frame(home).status, FrameStatus::Completed);
    let run = stage.bench.state.run(run).unwrap();
    assert_eq!(run.status, crate::status::RunStatus::Completed);
    stage.check_replay();
}

#[test]
fn a_subagent_that_does_nothing_has_ended_if_that_is_wanted() {
    let mut stage = Stage::empty();
    let (me, other) = (id("opencode:ses_1"), id("opencode:ses_2"));
    stage.open(&me, 1);
    stage.settings(json!({ "min_messages": 1 }));
    stage.report(&me, began(&other));
    stage.report(&me, worked(&other, 1, 1));
    let own = stage.frame_of(&other).unwrap();
    let idle = |result: &str| Report::ChildIdle {
        child: other.clone(),
        result: result.to_owned(),
    };
    stage.report(&me, idle("half"));
    stage.report(&me, worked(&other, 1, 1));
    stage.pass(10_000);
    assert_eq!(
        stage.frame(own).status,
        FrameStatus::InProgress,
        "it went on"
    );
    stage.report(&me, idle("whole"));
    stage.pass(4_999);
    assert_eq!(stage.frame(own).status, FrameStatus::InProgress);
    stage.pass(1);
    assert_eq!(stage.frame(own).status, FrameStatus::Completed);
    assert_eq!(stage.frame(own).results, "whole");
    stage.check_replay();
}

#[test]
fn a_title_makes_a_subagent_only_where_it_is_plain_whose() {
    let mut stage = Stage::empty();
    let me = id("opencode:ses_1");
    stage.open(&me, 1);
    let state = &stage.bench.state;
    let title = "look around (@explore subagent)";
    let new = id("opencode:ses_2");
    assert_eq!(state.parent_by_title(&new, title), Some(me.clone()));
    assert_eq!(state.parent_by_title(&new, "look around"), None);
    assert_eq!(state.parent_by_title(&id("claude:2"), title), None);
    let said = Report::Began {
        title: title.to_owned(),
    };
    stage.report(&new, said);
    assert_eq!(stage.subagents("without_frame"), 1);
    stage.pass(60_000);
    assert!(stage.frame_of(&new).is_some());
    stage.open(&id("opencode:ses_3"), 2);
    assert_eq!(
        stage
            .bench
            .state
            .parent_by_title(&id("opencode:ses_4"), title),
        None
    );
}

#[test]
fn a_subagents_frame_is_completed_by_a_call_and_statistics_begin_anew() {
    let (mut stage, agent, _, own) = delegating();
    let text = json!({ "session_id": "toolu_1", "status": "blocked", "summary": "It waits" });
    stage.must(&agent, "flame_subagent_complete", text.clone());
    assert_eq!(stage.frame(own).status, FrameStatus::Blocked);
    let reply = stage.reply(&agent, "flame_subagent_complete", text);
    assert_eq!(reply["status"], "blocked");
    let again = stage.call(&agent, "flame_subagent_complete", json!({}));
    assert!(again.is_err(), "none is at work");
    let stats = stage.reply(&agent, "flame_subagent_stats", json!({}));
    assert_eq!(
        (&stats["subagents"], &stats["tokens"]),
        (&json!(1), &json!(40))
    );
    stage.pass(1);
    let reset = Call::parse("flame_subagent_stats", json!({ "reset": true })).unwrap();
    let settings = stage
        .bench
        .state
        .subagent_settings_after(stage.bench.now, &reset);
    stage
        .bench
        .state
        .set_subagent_settings(settings.unwrap().unwrap());
    let stats = stage.reply(&agent, "flame_subagent_stats", json!({}));
    assert_eq!(
        (&stats["subagents"], &stats["tokens"]),
        (&json!(0), &json!(0))
    );
    let config = stage.reply(&agent, "flame_subagent_config", json!({}));
    assert_eq!(config["min_messages"], 1);
    let read: SubagentSettings = serde_json::from_value(config).unwrap();
    assert_eq!(read, *stage.bench.state.subagent_settings());
    stage.check_replay();
}

fn compacted(text: &str) -> Report {
    Report::Compacted {
        summary: text.to_owned(),
        tokens_before: Some(90_000),
        tokens_after: Some(4_000),
    }
}

#[test]
fn a_summary_that_is_wanted_is_ordered_where_the_agent_can_and_recorded_with_its_kind() {
    let (mut stage, agent) = Stage::agent();
    let home = stage.active(&agent);
    stage.report(&agent, compacted("It overflowed"));
    stage.must(
        &agent,
        "flame_summarize",
        json!({ "note": "Keep the <numbers>" }),
    );
    let task = stage.bench.state.task(stage.task(home)).unwrap();
    let OrderKind::Compact { guide: Some(guide) } = &task.orders.last().unwrap().kind else {
        panic!("{:?}", task.orders);
    };
    assert!(guide.contains("Keep the &lt;numbers&gt;"), "{guide}");
    assert!(guide.contains(&home.to_string()), "{guide}");
    let reply = stage.reply(&agent, "flame_summarize", json!({}));
    assert_eq!(reply["started"], true);
    let info = stage.reply(&agent, "flame_compaction_info", json!({}));
    assert_eq!(info["pending"], "manual_summary");
    stage.report(&agent, compacted("Seven and nine"));
    let kinds: Vec<CompactionKind> = stage
        .frame(home)
        .summaries
        .iter()
        .map(|one| one.summary.kind)
        .collect();
    assert_eq!(
        kinds,
        [CompactionKind::Overflow, CompactionKind::ManualSummary]
    );
    let info = stage.reply(&agent, "flame_compaction_info", json!({}));
    assert_eq!(info["pending"], json!(null));
    assert_eq!(info["history"][1]["tokens_before"], 90_000);
    let summary = stage.reply(&agent, "flame_get_summary", json!({}));
    assert_eq!(summary["summary"]["text"], "Seven and nine");
    assert_eq!(stage.bench.state.compactions(&agent), 2);
    // Nobody says what came of it: the summary does.
    stage.end(home, "");
    assert_eq!(stage.frame(home).results, "Seven and nine");
    stage.check_replay();
}

#[test]
fn why_there_is_no_summary_is_said() {
    let mut stage = Stage::empty();
    let me = id("cli");
    stage.open(&me, 1);
    let why = |stage: &Stage| {
        let reply = stage.reply(&me, "flame_get_summary", json!({}));
        reply["why_none"].as_str().unwrap().to_owned()
    };
    assert!(why(&stage).contains("never shortened"));
    stage.must(&me, "flame_summarize", json!({}));
    assert!(why(&stage).contains("one is wanted"));
    let reply = stage.reply(&me, "flame_summarize", json!({}));
    assert_eq!(reply["started"], false);
    stage.report(&me, compacted(" "));
    assert!(why(&stage).contains("does not tell"));
    stage.must(&me, "flame_pop", json!({}));
    let refused = stage.call(&me, "flame_summarize", json!({}));
    assert!(refused.is_err(), "it is completed");
}

#[test]
fn a_held_frame_without_results_has_its_summary_as_results() {
    let mut stage = Stage::empty();
    let me = id("opencode:ses_1");
    stage.open(&me, 1);
    let inner = stage.must(&me, "flame_push", json!({ "goal": "Dig" }));
    stage.report(&me, compacted("The root is at 3 m"));
    stage.must(&me, "flame_pop", json!({ "results": "" }));
    assert_eq!(stage.frame(inner).results, "The root is at 3 m");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn the_guide_keeps_its_budget_and_says_what_it_must(
        goal in "\\PC{1,1500}",
        note in "\\PC{0,2000}|(</frame>){1,50}",
        count in 0usize..60,
    ) {
        proptest::prop_assume!(!goal.trim().is_empty());
        let mut stage = Stage::empty();
        let me = id("cli");
        stage.open(&me, 1);
        stage.must(&me, "flame_set_goal", json!({ "goal": "What it is all for" }));
        stage.must(&me, "flame_push", json!({ "goal": goal }));
        for number in 0..count {
            let text = format!("{number} {note}");
            stage.must(&me, "flame_add_decision", json!({ "decision": text }));
            stage.must(&me, "flame_push", json!({ "goal": format!("part {number}") }));
            stage.must(&me, "flame_pop", json!({ "results": text }));
        }
        stage.must(&me, "flame_summarize", json!({ "note": note }));
        let guide = stage.bench.state.compaction_guide(&me).unwrap();
        let tokens = crate::context::tokens::estimate(&guide);
        proptest::prop_assert!(tokens <= 1_500, "{tokens}");
        proptest::prop_assert!(guide.contains("What it is all for"));
        proptest::prop_assert!(guide.contains("Goal: "));
        proptest::prop_assert_eq!(guide.matches("</frame>").count(), 1);
        if count > 0 {
            let last = format!("Part {}: ", count - 1);
            proptest::prop_assert!(guide.contains(&last));
        }
    }
}
