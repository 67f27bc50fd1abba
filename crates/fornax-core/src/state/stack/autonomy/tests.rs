//! Advice and what is done by itself, on a recorded session and case by case.

use serde_json::{Value, json};

use super::super::new_frames;
use super::*;
use crate::agent::DriverKind;
use crate::autonomy::Settings;
use crate::error::Error;
use crate::frame::{FrameLimits, StackUse};
use crate::ids::RunId;
use crate::state::tests::{Bench, RUN, spec};
use crate::state::{Command, Limits};
use crate::tools::{Call, Level};

/// A session that was recorded: what was reported, and when.
const RECORDED: &str = include_str!("../../../../tests/fixtures/session.jsonl");

#[derive(serde::Deserialize)]
struct Line {
    at: Time,
    report: Report,
}

fn recorded() -> Vec<Line> {
    let lines = RECORDED.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A state, and what the engine does with what is reported.
struct Scene {
    bench: Bench,
    session: SessionId,
    next: u32,
}

impl Scene {
    /// A session outside, in a frame of its own.
    fn outside(level: Level) -> Scene {
        let began = recorded()[0].at;
        let bench = Bench {
            state: State::new(Limits::default()),
            now: Time(began.0 - 1_000),
            records: Vec::new(),
        };
        let mut scene = Scene {
            bench,
            session: "opencode:ses_1".parse().unwrap(),
            next: 1_000,
        };
        scene.set_level(level);
        let open = Command::OpenSession {
            session: scene.session.clone(),
            run: RunId { number: 1, ..RUN },
            frame: scene.id(),
            title: "Work on the shop".to_owned(),
            limits: FrameLimits::default(),
        };
        scene.bench.must(&open);
        scene.call(
            "flame_push",
            json!({ "goal": "Renew expired sessions at login" }),
        );
        scene
    }

    /// A task's own session.
    fn task(stack: StackUse) -> Scene {
        let mut spec = spec(&[("a", &[])]);
        let work = spec.frames[1].invocation.as_mut().unwrap();
        work.driver = Some(DriverKind::Claude);
        work.stack = stack;
        let bench = Bench::start(spec, 4);
        let frame = bench.id("a");
        let task = bench
            .state
            .frame(frame)
            .unwrap()
            .newest_task(frame)
            .unwrap();
        let mut scene = Scene {
            bench,
            session: SessionId::of_task(task),
            next: 1_000,
        };
        scene.set_level(Level::Auto);
        scene
    }

    fn set_level(&mut self, level: Level) {
        self.bench.state.set_autonomy(Settings {
            level,
            ..Settings::default()
        });
    }

    fn id(&mut self) -> FrameId {
        self.next += 1;
        FrameId::nth(7, self.next)
    }

    fn call(&mut self, name: &str, arguments: Value) {
        let call = Call::parse(name, arguments).unwrap();
        let ids = (0..new_frames(&call)).map(|_| self.id()).collect();
        self.bench.must(&Command::Call {
            session: self.session.clone(),
            call: Box::new(call),
            ids,
            artifact: None,
        });
    }

    /// What the tool answers.
    fn ask(&mut self, name: &str, arguments: Value) -> Result<AutonomyReply, Error> {
        let call = Call::parse(name, arguments)?;
        let (now, session) = (self.bench.now, self.session.clone());
        self.bench.state.autonomy_call(now, &session, &call)
    }

    fn active(&self) -> FrameId {
        self.bench.state.session(&self.session).unwrap().active
    }

    fn frame(&self, id: FrameId) -> &Frame {
        self.bench.state.frame(id).unwrap()
    }

    /// What happens, and what is done by itself then: the frame that was pushed or popped.
    fn happens(&mut self, at: Time, report: Report) -> Option<(&'static str, FrameId)> {
        self.bench.now = at;
        let session = self.session.clone();
        self.bench
            .state
            .observe_reports(at, &session, &[(at, report)]);
        let auto = self.bench.state.auto(&session)?;
        let (before, id) = (self.active(), self.id());
        let pushes = auto.pushes();
        self.bench.must(&Command::Auto {
            auto: Box::new(auto),
            id,
        });
        Some(if pushes {
            ("push", id)
        } else {
            ("pop", before)
        })
    }

    /// Reports, a second apart.
    fn all(&mut self, reports: &[Report]) -> Vec<(&'static str, FrameId)> {
        let mut done = Vec::new();
        for report in reports {
            let at = self.bench.now.plus_ms(1_000);
            done.extend(self.happens(at, report.clone()));
        }
        done
    }

    fn undo(&mut self, frame: FrameId) {
        self.bench.must(&Command::UndoAuto { frame });
    }

    /// The journal gives the same state.
    fn check_replay(&self) {
        let mut again = State::new(Limits::default());
        again.load(self.bench.now, &self.bench.records);
        assert_eq!(again.frames, self.bench.state.frames);
        assert_eq!(again.sessions, self.bench.state.sessions);
    }
}

fn told(text: &str) -> Report {
    Report::Prompted {
        text: text.to_owned(),
    }
}

fn ran(title: &str, success: bool) -> Report {
    Report::ToolEnded {
        tool: "bash".to_owned(),
        title: title.to_owned(),
        success,
    }
}

fn wrote(path: &str) -> Report {
    Report::FileChanged {
        path: path.to_owned(),
    }
}

/// Work that is done: something is changed, and the tests pass.
fn success() -> Vec<Report> {
    vec![
        told("Renew expired sessions at login"),
        wrote("src/login.rs"),
        ran("cargo test", true),
        Report::TurnEnded,
    ]
}

/// The same test fails, so many times.
fn failures(times: usize) -> Vec<Report> {
    let try_it = [wrote("src/login.rs"), ran("cargo test", false)];
    vec![try_it; times].concat()
}

#[test]
fn on_a_recorded_session_it_pushes_and_pops_by_itself_and_that_is_undone() {
    let mut scene = Scene::outside(Level::Auto);
    let login = scene.active();
    let root = scene.frame(login).parent.unwrap();
    let mut done = Vec::new();
    for Line { at, report } in recorded() {
        done.extend(scene.happens(at, report));
        scene.check_replay();
    }
    let [("push", chart), ("pop", popped), ("pop", last)] = done[..] else {
        panic!("{done:?}");
    };
    assert_eq!((popped, last), (chart, login));
    assert_eq!(scene.active(), root);
    let pushed = scene.frame(chart);
    assert_eq!(pushed.parent, Some(login));
    assert!(pushed.goal.contains("price chart"), "{}", pushed.goal);
    assert!(
        pushed.results.contains("web/chart.tsx"),
        "{}",
        pushed.results
    );
    let decision = &pushed.decisions[0];
    assert!(decision.decision.contains(&format!("frame undo {chart}")));
    assert_eq!(scene.frame(login).status, FrameStatus::Completed);

    // A person undoes the last pop: the session works there again.
    scene.undo(login);
    assert_eq!(scene.frame(login).status, FrameStatus::InProgress);
    assert_eq!(scene.active(), login);
    scene.check_replay();
    let again = scene.bench.refuse(&Command::UndoAuto { frame: login });
    assert!(again.message.contains("nothing was done"), "{again}");
    // Then the pop of the frame within it, and at last that it was pushed at all.
    scene.undo(chart);
    assert_eq!(scene.frame(chart).status, FrameStatus::InProgress);
    assert_eq!(scene.active(), chart);
    scene.undo(chart);
    assert_eq!(scene.frame(chart).status, FrameStatus::Invalidated);
    assert_eq!(scene.active(), login);
    assert!(scene.frame(chart).decisions.len() >= 4);
    scene.check_replay();
    scene.bench.refuse(&Command::UndoAuto { frame: chart });
}

#[test]
fn where_it_only_suggests_the_recorded_session_stays_where_it_is() {
    let mut scene = Scene::outside(Level::Suggest);
    let login = scene.active();
    let mut seen = Vec::new();
    for Line { at, report } in recorded() {
        assert_eq!(scene.happens(at, report), None);
        seen.extend(scene.bench.state.autonomy.advice(login).map(str::to_owned));
    }
    seen.dedup();
    assert_eq!(scene.active(), login);
    assert!(
        seen.iter().any(|text| text.contains("flame_push")),
        "{seen:?}"
    );
    assert!(
        seen.iter().any(|text| text.contains("flame_pop")),
        "{seen:?}"
    );
    let mut manual = Scene::outside(Level::Manual);
    for Line { at, report } in recorded() {
        assert_eq!(manual.happens(at, report), None);
        assert!(manual.bench.state.autonomy.pending.is_empty());
    }
}

#[test]
fn a_pop_on_which_something_was_built_is_not_undone() {
    let mut scene = Scene::outside(Level::Auto);
    let login = scene.active();
    let root = scene.frame(login).parent.unwrap();
    let plan = json!({
        "goal": "Announce it", "parent_id": root.to_string(), "depends_on": [login.to_string()],
    });
    scene.call("flame_plan", plan);
    let next = scene.frame(root).children[1];
    assert_eq!(scene.all(&success()), [("pop", login)]);
    scene.undo(login);
    assert_eq!(scene.all(&success()), [("pop", login)]);
    scene.call("flame_activate", json!({ "frame_id": next.to_string() }));
    let error = scene.bench.refuse(&Command::UndoAuto { frame: login });
    assert!(error.message.contains("was built on"), "{error}");
    scene.check_replay();
}

#[test]
fn what_a_person_did_since_is_not_undone() {
    let mut scene = Scene::outside(Level::Auto);
    let login = scene.active();
    assert_eq!(scene.all(&failures(7)), [("pop", login)]);
    assert_eq!(scene.frame(login).status, FrameStatus::Failed);
    scene.call("flame_activate", json!({ "frame_id": login.to_string() }));
    scene.call("flame_pop", json!({ "results": "It works after all" }));
    let error = scene.bench.refuse(&Command::UndoAuto { frame: login });
    assert!(error.message.contains("nothing was done"), "{error}");
    assert_eq!(scene.frame(login).results, "It works after all");
}

#[test]
fn a_frame_that_failed_by_itself_goes_on_when_that_is_undone() {
    let mut scene = Scene::outside(Level::Auto);
    let login = scene.active();
    assert_eq!(scene.all(&failures(7)), [("pop", login)]);
    scene.undo(login);
    assert_eq!(scene.frame(login).status, FrameStatus::InProgress);
    assert_eq!(scene.active(), login);
    scene.check_replay();
}

#[test]
fn the_root_of_a_run_is_never_popped_by_itself() {
    let mut scene = Scene::outside(Level::Auto);
    scene.call("flame_pop", json!({ "results": "done" }));
    assert_eq!(scene.all(&success()), []);
    assert!(
        !scene.bench.state.autonomy.pending.is_empty(),
        "it is suggested"
    );
}

#[test]
fn a_tasks_own_frame_is_left_to_its_task() {
    let other = "Draw the price chart of the landing page in blue and grey";
    let mut apart = Scene::task(StackUse::Apart);
    assert_eq!(apart.all(&success()), []);
    assert_eq!(apart.all(&[told(other)]), []);
    let mut here = Scene::task(StackUse::Here);
    let home = here.active();
    assert_eq!(here.all(&success()), []);
    let done = here.all(&[told(other)]);
    let [("push", child)] = done[..] else {
        panic!("{done:?}");
    };
    assert_eq!(here.active(), child);
    assert_eq!(here.frame(child).parent, Some(home));
    here.undo(child);
    assert_eq!(here.active(), home);
    here.check_replay();
}

#[test]
fn a_runaway_pushes_nothing_by_itself_beyond_its_wall() {
    let mut scene = Scene::outside(Level::Auto);
    let run = scene.bench.state.runs.values_mut().next().unwrap();
    run.limits.count = 1;
    scene.all(&[told("Renew expired sessions at login")]);
    let far = told("Draw the price chart of the landing page in blue and grey");
    let session = scene.session.clone();
    let now = scene.bench.now;
    scene
        .bench
        .state
        .observe_reports(now, &session, &[(now, far)]);
    let auto = Box::new(scene.bench.state.auto(&session).unwrap());
    let id = scene.id();
    let error = scene.bench.refuse(&Command::Auto { auto, id });
    assert!(error.message.contains("no further frame"), "{error}");
}

#[test]
fn advice_stands_in_the_frames_context_and_view_and_goes_after_five_minutes() {
    let mut scene = Scene::outside(Level::Suggest);
    let login = scene.active();
    let root = scene.frame(login).parent.unwrap();
    let stamp = scene.bench.state.context_stamp(login);
    let before = scene.bench.state.context(login, 4_000).unwrap();
    assert!(!before.xml.contains("<advice"));
    scene.all(&failures(3));
    let state = &mut scene.bench.state;
    assert_ne!(state.context_stamp(login), stamp);
    let advised = state.context(login, 4_000).unwrap();
    assert!(advised.xml.contains("<advice"), "{}", advised.xml);
    assert!(
        advised.xml.contains("failed 3 times in a row"),
        "{}",
        advised.xml
    );
    let place = advised.xml.find("<advice").unwrap();
    assert!(
        advised.shared_prefix(&before) >= place,
        "nothing before it has changed"
    );
    assert!(!state.context(root, 4_000).unwrap().xml.contains("<advice"));
    assert!(state.frame_view(login).unwrap().advice.is_some());
    assert!(state.advice_news(scene.bench.now).contains(&login));
    assert!(state.advice_news(scene.bench.now).is_empty());
    let due = state.next_due().unwrap();
    assert_eq!(state.autonomy.pending.len(), 1);
    assert!(due > scene.bench.now && due <= scene.bench.now.plus_ms(EXPIRES_MS));
    let stamp = state.context_stamp(login);
    assert!(state.advice_news(Time(due.0 - 1)).is_empty());
    assert!(state.advice_news(due).contains(&login));
    assert_ne!(state.context_stamp(login), stamp);
    assert_eq!(state.context(login, 4_000).unwrap().xml, before.xml);
    assert_eq!(state.next_due(), None);
    // It is not repeated before it grows stronger.
    scene.bench.now = due;
    scene.all(&[ran("ls", true)]);
    assert!(scene.bench.state.autonomy.pending.is_empty());
    scene.all(&[ran("cargo test", false)]);
    assert_eq!(scene.bench.state.autonomy.pending.len(), 1);
}

#[test]
fn what_becomes_of_suggestions_is_counted() {
    let mut scene = Scene::outside(Level::Suggest);
    scene.all(&failures(3));
    scene.call(
        "flame_push",
        json!({ "goal": "Find out why the tests fail" }),
    );
    let stats = scene.ask("flame_autonomy_stats", json!({})).unwrap();
    assert_eq!(stats.data["suggested"], 1);
    assert_eq!(stats.data["acted_upon"], 1);
    assert_eq!(
        stats.data["by_heuristic"]["failure_repetition"]["acted_upon"],
        1
    );
    // In the frame that was pushed, signs are read anew.
    assert!(scene.bench.state.autonomy.pending.is_empty());
    scene.all(&failures(3));
    let pending = scene.ask("flame_auto_suggest", json!({})).unwrap();
    assert!(pending.text.contains("flame_push"), "{}", pending.text);
    scene
        .ask("flame_auto_suggest", json!({ "clear_pending": true }))
        .unwrap();
    let before = scene
        .ask("flame_auto_suggest", json!({ "show_history": true }))
        .unwrap();
    assert_eq!(before.data["pending"], json!([]));
    let fates: Vec<&Value> = before.data["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|known| &known["fate"])
        .collect();
    assert_eq!(fates, ["acted_upon", "dismissed"]);
    // A sign that goes takes its suggestion with it.
    let mut other = Scene::outside(Level::Suggest);
    other.all(&failures(3));
    other.all(&[ran("cargo test", true)]);
    let stats = other
        .ask("flame_autonomy_stats", json!({ "reset": true }))
        .unwrap();
    assert_eq!(stats.data["withdrawn"], 1);
    let stats = other.ask("flame_autonomy_stats", json!({})).unwrap();
    assert_eq!(stats.data["suggested"], 0);
}

#[test]
fn the_history_has_the_last_twenty() {
    let mut scene = Scene::outside(Level::Suggest);
    for _ in 0..25 {
        scene.all(&failures(3));
        scene.all(&[ran("cargo test", true)]);
    }
    let history = scene.ask("flame_auto_suggest", json!({ "show_history": true }));
    let history = history.unwrap().data["history"].as_array().unwrap().len();
    assert_eq!(history, HISTORY_MAX);
}

#[test]
fn the_tools_tell_scores_and_change_settings() {
    let mut scene = Scene::outside(Level::Suggest);
    scene.all(&failures(3));
    let push = scene.ask("flame_should_push", json!({})).unwrap();
    assert!(push.text.starts_with("push: yes, 7"), "{}", push.text);
    assert_eq!(push.data["shares"][0]["heuristic"], "failure_repetition");
    let goal = json!({ "goal": "Draw the price chart of the landing page in blue and grey" });
    let push = scene.ask("flame_should_push", goal).unwrap();
    assert_eq!(push.data["shares"][0]["heuristic"], "goal_change");
    let signals = json!({ "signals": { "repeated_failures": 8 } });
    let pop = scene.ask("flame_should_pop", signals).unwrap();
    assert_eq!(pop.data["status"], "failed");
    assert!(pop.text.starts_with("pop as failed: yes"), "{}", pop.text);
    let wrong = json!({ "signals": { "mood": 8 } });
    assert!(scene.ask("flame_should_pop", wrong).is_err());

    let disable = json!({ "disable": "failure_repetition" });
    let changed = scene.ask("flame_autonomy_config", disable).unwrap();
    let kept = changed.keep.unwrap();
    assert!(kept.disabled.contains("failure_repetition"));
    assert_eq!(scene.bench.state.autonomy_settings(), &kept);
    let push = scene.ask("flame_should_push", json!({})).unwrap();
    assert!(!push.text.contains("failure_repetition"), "{}", push.text);
    let read = scene.ask("flame_autonomy_config", json!({})).unwrap();
    assert_eq!(read.keep, None);
    assert!(
        read.text.contains("disabled: failure_repetition"),
        "{}",
        read.text
    );
    assert!(
        scene
            .ask("flame_autonomy_config", json!({ "push_threshold": 0 }))
            .is_err()
    );
    let off = scene
        .ask("flame_auto_suggest", json!({ "enable": false }))
        .unwrap();
    assert!(!off.keep.unwrap().enabled);
    assert!(scene.bench.state.autonomy.pending.is_empty());
    let nobody: SessionId = "nobody".parse().unwrap();
    let call = Call::parse("flame_should_push", json!({})).unwrap();
    let (now, state) = (scene.bench.now, &mut scene.bench.state);
    assert!(state.autonomy_call(now, &nobody, &call).is_err());
}

#[test]
fn what_happened_before_the_session_came_is_passed_over() {
    let mut scene = Scene::outside(Level::Auto);
    let login = scene.active();
    assert_eq!(scene.all(&success()), [("pop", login)]);
    // As after a restart: all is read again from the beginning.
    let earlier = Time(recorded()[0].at.0 - 500);
    let again: Vec<(Time, Report)> = success()
        .into_iter()
        .map(|report| (earlier, report))
        .collect();
    let (now, session) = (scene.bench.now.plus_ms(1_000), scene.session.clone());
    let mut restarted = State::new(Limits::default());
    restarted.load(now, &scene.bench.records);
    restarted.set_autonomy(scene.bench.state.autonomy_settings().clone());
    restarted.observe_reports(now, &session, &again);
    assert!(restarted.autonomy.pending.is_empty());
    assert_eq!(restarted.auto(&session), None);
}
