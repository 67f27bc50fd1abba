//! How fast redaction reads: `cargo bench -p fornax-redact`.
//!
//! The texts are made here, a few MiB each: what a build, a service and a source tree write.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fornax_redact::Rules;

fn main() {
    divan::main();
}

const SIZE: usize = 4 << 20;
const TEXTS: &[&str] = &["build", "json", "source", "secrets", "base64"];

/// A few MiB of a kind of text.
fn text(kind: &str) -> Vec<u8> {
    let mut out = String::with_capacity(SIZE + 4096);
    let mut n = 0_u64;
    while out.len() < SIZE {
        n += 1;
        let hash = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        match kind {
            "build" => out.push_str(&format!(
                "   Compiling crate-{n} v1.{}.0 (/home/user/projects/app/crates/crate-{n})\n\
                 warning: unused variable: `value_{n}` [-W unused-variables]\n  --> src/lib.rs:{}:13\n\
                 test module_{n}::tests::parses_the_header_of_an_author ... ok, passed in {} ms\n",
                n % 40, n % 900, n % 77
            )),
            "json" => out.push_str(&format!(
                "{{\"v\":1,\"seq\":{n},\"ts\":\"2026-11-20T10:00:00.{:03}Z\",\"run_id\":\"RUN-20261120-001\",\"frame_id\":\"{hash:016x}\",\
                 \"event\":\"llm_call\",\"model\":\"large-1\",\"tokens_in\":{},\"tokens_out\":{},\"tokens_total\":{},\"duration_ms\":{}}}\n",
                n % 1000, n * 7, n % 4096, n * 8, n % 9000
            )),
            "source" => out.push_str(SOURCE),
            "secrets" => {
                out.push_str(&format!("step {n}: GITHUB_TOKEN={hash:016x}{hash:016x} https://user:{hash:x}@host/path ok\n"));
                out.push_str("   Compiling something else that is quite ordinary, line after line after line\n");
            }
            _ => {
                for at in 0..16_u64 {
                    let bits = hash.rotate_left(at as u32 * 11) ^ at;
                    for shift in 0..10 {
                        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                        out.push(letters[(bits >> (6 * shift)) as usize & 63] as char);
                    }
                }
                out.push('\n');
            }
        }
    }
    out.into_bytes()
}

const SOURCE: &str = include_str!("../src/engine.rs");

#[divan::bench(args = TEXTS)]
fn whole(bencher: Bencher<'_, '_>, kind: &str) {
    let text = text(kind);
    let rules = Rules::builtin();
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench(|| black_box(rules.redact_bytes(&text).len()));
}

#[divan::bench(args = TEXTS)]
fn whole_with_exact_values(bencher: Bencher<'_, '_>, kind: &str) {
    let text = text(kind);
    let rules = with_values();
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench(|| black_box(rules.redact_bytes(&text).len()));
}

#[divan::bench(args = TEXTS)]
fn stream_of_64_kib(bencher: Bencher<'_, '_>, kind: &str) {
    let text = text(kind);
    let rules = with_values();
    let mut out = Vec::with_capacity(128 << 10);
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench_local(|| {
            let mut stream = rules.stream();
            let mut total = 0;
            for chunk in text.chunks(64 << 10) {
                out.clear();
                stream.push(chunk, &mut out);
                total += out.len();
            }
            out.clear();
            stream.finish(&mut out);
            total + out.len()
        });
}

#[divan::bench]
fn building_with_ten_values() -> Rules {
    with_values()
}

fn with_values() -> Rules {
    let value = |n: u64| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    Rules::builtin().with_secrets((1..=10).map(value))
}
