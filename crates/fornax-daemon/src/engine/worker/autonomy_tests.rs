//! Signs in a session's trace, through a real engine and its journal.

use std::path::Path;
use std::sync::Arc;

use fornax_core::frame::{FrameLimits, Report, SessionId};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Actor;
use fornax_core::state::Command;
use fornax_core::status::FrameStatus;
use fornax_core::tools::Call;
use fornax_journal::{Installation, Key, Project};
use serde_json::{Value, json};

use super::super::super::{Engine, Settings, Shared};
use crate::feed::Feed;
use crate::tools::Tools;

const RUN: RunId = RunId {
    date: 20_261_121,
    number: 1,
};

/// An engine of a project in which nothing runs.
fn engine(dir: &Path) -> Engine {
    engine_with(dir, Arc::new(Feed::new()))
}

fn installation(dir: &Path) -> Installation {
    Installation::new(Key::new([7; 32]), dir.join("state"))
}

/// The folder of the project in the state directory.
fn state_dir(dir: &Path) -> std::path::PathBuf {
    let project = Project::open(dir).unwrap();
    installation(dir).project_dir(project.key().unwrap())
}

fn engine_with(dir: &Path, feed: Arc<Feed>) -> Engine {
    let shared = Shared {
        feed,
        shim_argv: vec!["false".into()],
        tools: Arc::new(Tools::default()),
        sessions: crate::secret::SessionKey::of("test"),
        socket: std::path::PathBuf::new(),
        state_dir: dir.to_owned(),
        installation: installation(dir),
        displaced: tokio::sync::mpsc::unbounded_channel().0,
    };
    let project = Project::open(dir).unwrap();
    Engine::open("00000000".to_owned(), project, Settings::default(), shared).unwrap()
}

fn session() -> SessionId {
    "opencode:ses_1".parse().unwrap()
}

async fn ask(engine: &Engine, name: &str, arguments: Value) -> (String, Value) {
    let call = Call::parse(name, arguments).unwrap();
    engine.autonomy(session(), call).await.unwrap()
}

/// Opens the session and pushes a frame in it: that frame.
async fn open(engine: &Engine) -> FrameId {
    let began = Command::OpenSession {
        session: session(),
        run: RUN,
        frame: FrameId::nth(7, 1),
        title: "Work on the shop".to_owned(),
        limits: FrameLimits::default(),
    };
    engine.command(began, Actor::HUMAN, None).await.unwrap();
    let pushed = FrameId::nth(7, 2);
    let push = Call::parse(
        "flame_push",
        json!({ "goal": "Renew expired sessions at login" }),
    );
    let push = Command::Call {
        session: session(),
        call: Box::new(push.unwrap()),
        ids: vec![pushed],
        artifact: None,
    };
    engine.command(push, Actor::HUMAN, None).await.unwrap();
    pushed
}

async fn tell(engine: &Engine, reports: Vec<Value>) {
    for report in reports {
        let report: Report = serde_json::from_value(report).unwrap();
        let told = engine.report(session(), report, Actor::HUMAN).await;
        told.unwrap();
    }
}

async fn standing(engine: &Engine) -> (FrameId, FrameStatus, String) {
    let look = engine.look(|look| {
        let active = look.state.session(&session())?.active;
        let frame = look.state.frame(active)?;
        Some((active, frame.status, frame.goal.clone()))
    });
    look.await.unwrap().unwrap()
}

#[tokio::test]
async fn it_acts_by_itself_durably_and_keeps_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let engine_now = engine(dir.path());
    let login = open(&engine_now).await;
    ask(
        &engine_now,
        "flame_autonomy_config",
        json!({ "level": "auto" }),
    )
    .await;
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let other = format!("Draw the price chart of the landing page in blue and grey with {secret}");
    tell(
        &engine_now,
        vec![
            json!({ "type": "prompted", "text": "Renew expired sessions at login" }),
            json!({ "type": "file_changed", "path": "src/login.rs" }),
            json!({ "type": "turn_ended" }),
            json!({ "type": "prompted", "text": other }),
        ],
    )
    .await;
    let (pushed, _, goal) = standing(&engine_now).await;
    assert_ne!(pushed, login);
    assert!(goal.starts_with("Draw the price chart"), "{goal}");
    assert!(!goal.contains(secret), "{goal}");
    engine_now.close();
    drop(engine_now);

    // Another engine finds both: what was done, and what is wanted.
    let engine_then = engine(dir.path());
    assert_eq!(standing(&engine_then).await.0, pushed);
    let (text, data) = ask(&engine_then, "flame_autonomy_config", json!({})).await;
    assert_eq!(data["level"], "auto", "{text}");
    let undo = Command::UndoAuto { frame: pushed };
    engine_then.command(undo, Actor::HUMAN, None).await.unwrap();
    let (active, status, _) = standing(&engine_then).await;
    assert_eq!((active, status), (login, FrameStatus::InProgress));
}

#[tokio::test]
async fn settings_that_cannot_be_kept_do_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    open(&engine).await;
    // A folder stands where the draft of the file would be written.
    let blocked = state_dir(dir.path()).join("autonomy.json.tmp");
    std::fs::create_dir(&blocked).unwrap();
    let call = Call::parse("flame_autonomy_config", json!({ "push_threshold": 60 })).unwrap();
    assert!(engine.autonomy(session(), call.clone()).await.is_err());
    let (_, data) = ask(&engine, "flame_autonomy_config", json!({})).await;
    assert_eq!(data["push_threshold"], 70);
    std::fs::remove_dir(&blocked).unwrap();
    let (_, data) = engine.autonomy(session(), call).await.unwrap();
    assert_eq!(data["push_threshold"], 60);
    let file = state_dir(dir.path()).join("autonomy.json");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(kept["push_threshold"], 60);
}

#[tokio::test]
async fn the_feed_tells_of_advice_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let feed = Arc::new(Feed::new());
    let engine = engine_with(dir.path(), Arc::clone(&feed));
    let login = open(&engine).await;
    let before = engine.look(move |look| look.state.frame_view(login)).await;
    assert_eq!(before.unwrap().unwrap().advice, None);
    let failed = json!({
        "type": "tool_ended", "tool": "bash", "title": "cargo test", "success": false,
    });
    tell(&engine, vec![failed.clone(); 2]).await;
    // What is answered here comes after all that the engine told of before.
    let before = engine.look({
        let feed = Arc::clone(&feed);
        move |_| feed.head()
    });
    let before = before.await.unwrap();
    tell(&engine, vec![failed]).await;
    let after = engine.look(move |look| look.state.frame_view(login)).await;
    let advice = after.unwrap().unwrap().advice.unwrap();
    assert!(advice.contains("failed 3 times"), "{advice}");
    // No record was written: the change that was told is the advice.
    assert_eq!(feed.head(), before + 1);
    let (text, _) = ask(&engine, "flame_auto_suggest", json!({})).await;
    assert!(text.contains("flame_push"), "{text}");
}
