//! What `bench/context-replay` reports holds: in frames an agent reads far less and misses nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may read files"
)]

#[path = "../../../bench/replay/replay.rs"]
mod replay;

use std::fs;
use std::path::Path;

use replay::{Outcome, Replay, Trajectory};

#[test]
fn frames_read_far_less_than_one_conversation_and_miss_nothing() {
    let tokenizer = tiktoken_rs::o200k_base().unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/replay/trajectories");
    let (mut linear, mut framed) = (Outcome::default(), Outcome::default());
    let mut count = 0;
    for file in fs::read_dir(dir).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let trajectory: Trajectory = serde_json::from_str(&text).unwrap();
        let replay = Replay::new(&trajectory, &tokenizer);
        let (one, masked, frames) = (replay.linear(), replay.masked(), replay.framed());
        let title = &trajectory.title;
        // A fact that nothing needs, or that nobody finds before, would prove nothing.
        assert!(
            one.needed >= 10 && one.recalled == one.needed,
            "{title}: {one:?}"
        );
        assert_eq!(frames.needed, one.needed, "{title}");
        assert_eq!(frames.recalled, frames.needed, "{title}: {frames:?}");
        assert!(
            frames.input <= masked.input,
            "{title}: {frames:?} {masked:?}"
        );
        assert!(
            frames.cost() <= masked.cost(),
            "{title}: {frames:?} {masked:?}"
        );
        assert!(frames.cost() < one.cost(), "{title}: {frames:?} {one:?}");
        linear += one;
        framed += frames;
        count += 1;
    }
    assert!(count >= 4);
    assert!(
        framed.input * 10 <= linear.input * 4,
        "{framed:?} {linear:?}"
    );
}
