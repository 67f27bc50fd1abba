//! Trace events a second, through all of it: checks, redaction, writing.
//!
//! `cargo bench -p fornax-journal`

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use divan::counter::{BytesCount, ItemsCount};
use fornax_journal::{Installation, Key, Project, TelemetryWriter};
use fornax_redact::Rules;

const EVENTS: usize = 10_000;

fn main() {
    divan::main();
}

/// What a busy agent sends: calls of its model and outputs of its tools.
fn batch() -> String {
    let mut text = String::new();
    for number in 0..EVENTS {
        let ts = format!(
            "2026-11-21T02:{:02}:{:02}.{:03}Z",
            number / 6000,
            number / 100 % 60,
            number % 1000
        );
        text += &if number % 2 == 0 {
            format!(
                r#"{{"ts":"{ts}","frame_id":"f-7zx0gm","session_id":"ses_{number:08}","event":"llm_call","model":"claude-opus-4-6","provider":"anthropic","tokens_in":{number},"tokens_out":{},"tokens_cache_read":18234,"tokens_cache_write":120,"tokens_reasoning":0,"tokens_total":{},"duration_ms":4210,"cost_usd":0.0421,"estimated":false,"call_id":"call_{number:08}"}}"#,
                number / 3,
                number * 2
            )
        } else {
            format!(
                r#"{{"ts":"{ts}","frame_id":"f-7zx0gm","session_id":"ses_{number:08}","event":"tool_output","tool":"bash","args":{{"command":"cargo test -p core -- --nocapture","cwd":"/home/ana/src/app"}},"stdout":"running 12 tests\ntest state::tests::applies ... ok\ntest result: ok. 12 passed; 0 failed\n","stderr":"","exit_code":0,"duration_ms":812,"success":true}}"#
            )
        };
        text.push('\n');
    }
    text
}

fn ingest(bencher: divan::Bencher<'_, '_>, rules: &Rules) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let installation = Installation::new(Key::new([7; 32]), dir.path().join("state"));
    let (mut writer, _) = project.writer(&installation).unwrap();
    let run = writer.next_run_id(20_261_121).unwrap();
    let telemetry = TelemetryWriter::start(&project).unwrap();
    let text = batch();
    bencher
        .counter(ItemsCount::new(EVENTS))
        .counter(BytesCount::new(text.len()))
        .bench_local(|| {
            let ingested = telemetry.append(run, text.as_bytes(), rules).unwrap();
            assert_eq!(
                (ingested.accepted, ingested.rejected_total),
                (EVENTS as u64, 0)
            );
        });
}

#[divan::bench]
fn builtin_rules(bencher: divan::Bencher<'_, '_>) {
    ingest(bencher, &Rules::builtin());
}

#[divan::bench]
fn with_secrets_of_the_environment(bencher: divan::Bencher<'_, '_>) {
    let secrets = (0..8).map(|number| format!("s3cr3t-value-{number}-q9"));
    ingest(bencher, &Rules::builtin().with_secrets(secrets));
}
