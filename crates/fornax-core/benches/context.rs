//! How long a frame's context takes in a tree of 10,000: `cargo bench -p fornax-core --bench context`.
//!
//! Warm is what an agent's call costs while nothing has changed that its context shows: the stamp, and
//! the context from the cache. Cold is assembly. The goals are 1 ms and 5 ms.

#![allow(clippy::expect_used, reason = "a bench that cannot go on says why")]

use divan::{Bencher, black_box};
use fornax_core::context::{BUDGET, Cache};
use fornax_core::frame::{FrameLimits, SessionId};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Actor;
use fornax_core::state::{Command, Limits, State};
use fornax_core::time::Time;
use fornax_core::tools::Call;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

const FRAMES: u32 = 10_000;
const SHAPES: &[&str] = &["family", "chain", "dependencies", "tree"];

struct Stage {
    state: State,
    session: SessionId,
    now: Time,
    frames: u32,
}

impl Stage {
    fn open() -> Stage {
        let session: SessionId = "bench".parse().expect("a session's id");
        let mut stage = Stage {
            state: State::new(Limits::default()),
            session,
            now: Time(0),
            frames: 1,
        };
        stage.execute(&Command::OpenSession {
            session: stage.session.clone(),
            run: RunId {
                date: 20_261_121,
                number: 1,
            },
            frame: FrameId::nth(7, 0),
            title: "Ten thousand frames".to_owned(),
            limits: FrameLimits::default(),
        });
        stage
    }

    fn execute(&mut self, command: &Command) {
        let executed = self.state.execute(self.now, &Actor::HUMAN, None, command);
        executed.expect("the call fits the state");
        self.now = self.now.plus_ms(1_000);
    }

    fn call(&mut self, name: &str, arguments: Value) -> FrameId {
        let call = Call::parse(name, arguments).expect("the tool takes these arguments");
        let new = usize::from(matches!(call, Call::Push(_) | Call::Plan(_)));
        let id = FrameId::nth(7, self.frames);
        self.frames += u32::from(new == 1);
        self.execute(&Command::Call {
            session: self.session.clone(),
            ids: vec![id; new],
            call: Box::new(call),
            artifact: None,
        });
        id
    }

    fn push(&mut self, depends_on: &[String]) -> FrameId {
        let number = self.frames;
        let goal = format!("Read module {number} of the importer and mend what its tests find");
        let arguments =
            json!({ "goal": goal, "success_criteria": "its tests pass", "depends_on": depends_on });
        self.call("flame_push", arguments)
    }

    fn pop(&mut self) {
        let number = self.frames;
        let results = format!(
            "Module {number} reads quoted fields. Two tests were wrong, one was right. {}",
            "What is left is written down in the notes beside it. ".repeat(8)
        );
        self.call("flame_pop", json!({ "results": results }));
    }
}

/// A state of 10,000 frames, and the frame to look at.
fn grown(shape: &str) -> (State, FrameId) {
    let mut stage = Stage::open();
    let mut done = Vec::new();
    let mut deep = 0_u32;
    while stage.frames + 1 < FRAMES {
        let id = stage.push(&[]);
        match shape {
            "chain" => continue,
            "tree" if stage.frames % 7 < 4 && deep < 40 => {
                deep += 1;
                continue;
            }
            _ => {
                stage.pop();
                done.push(id.to_string());
            }
        }
        if shape == "tree" && deep > 0 {
            stage.pop();
            deep -= 1;
        }
    }
    let depends_on = if shape == "dependencies" {
        &done[..]
    } else {
        &[]
    };
    let own = stage.push(depends_on);
    (stage.state, own)
}

#[divan::bench(args = SHAPES)]
fn cold(bencher: Bencher<'_, '_>, shape: &str) {
    let (state, own) = grown(shape);
    bencher.bench(|| black_box(state.context(black_box(own), BUDGET)));
}

#[divan::bench(args = SHAPES)]
fn cold_root(bencher: Bencher<'_, '_>, shape: &str) {
    let (state, _) = grown(shape);
    bencher.bench(|| black_box(state.context(black_box(FrameId::nth(7, 0)), BUDGET)));
}

#[divan::bench(args = SHAPES)]
fn warm(bencher: Bencher<'_, '_>, shape: &str) {
    let (state, own) = grown(shape);
    let mut cache = Cache::default();
    bencher.bench_local(|| {
        let stamp = state.context_stamp(own);
        black_box(cache.get(own, BUDGET, stamp, || state.context(own, BUDGET)))
    });
}
