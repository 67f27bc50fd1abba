//! Long sessions of agents replayed as one conversation, with old outputs masked, and in frames.
//!
//! ```text
//! context-replay TRAJECTORY...
//! ```
//!
//! Built with `cargo build --release -p fornax-core --example context-replay`.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement prints what it found, or why it cannot go on"
)]

mod replay;

use replay::{Outcome, Replay, Trajectory};

fn main() {
    let tokenizer = tiktoken_rs::o200k_base().expect("the vocabulary is part of the crate");
    let mut all: [Outcome; 3] = Default::default();
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file).expect("the trajectory can be read");
        let trajectory: Trajectory = serde_json::from_str(&text).expect("it is a trajectory");
        let replay = Replay::new(&trajectory, &tokenizer);
        let outcomes = [replay.linear(), replay.masked(), replay.framed()];
        print(&trajectory.title, &outcomes);
        for (sum, outcome) in all.iter_mut().zip(outcomes) {
            *sum += outcome;
        }
    }
    print("all", &all);
}

fn print(title: &str, outcomes: &[Outcome; 3]) {
    println!("{title}");
    println!(
        "  {:<10}{:>9}{:>13}{:>9}{:>13}{:>9}{:>9}",
        "", "requests", "input", "", "cost", "", "recall"
    );
    let linear = &outcomes[0];
    for (name, outcome) in ["linear", "masked", "frames"].iter().zip(outcomes) {
        let share = |part: u64, whole: u64| format!("{} %", part * 100 / whole.max(1));
        println!(
            "  {name:<10}{:>9}{:>13}{:>9}{:>13}{:>9}{:>9}",
            outcome.requests,
            outcome.input,
            share(outcome.input, linear.input),
            outcome.cost(),
            share(outcome.cost(), linear.cost()),
            format!("{}/{}", outcome.recalled, outcome.needed)
        );
    }
    println!();
}
