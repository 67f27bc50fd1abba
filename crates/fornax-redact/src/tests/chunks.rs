//! However a text is cut into chunks, what comes out is the same.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::Rules;
use super::corpus::{Fake, tokens};
use super::places::{placed, private_keys};

fn streamed(rules: &Rules, text: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut stream = rules.stream();
    let mut out = Vec::new();
    let mut from = 0;
    for cut in cuts {
        let cut = cut.clamp(from, text.len());
        stream.push(&text[from..cut], &mut out);
        from = cut;
    }
    stream.push(&text[from..], &mut out);
    stream.finish(&mut out);
    out
}

fn samples() -> Vec<String> {
    let keys = private_keys().into_iter().map(|(a, b, c)| a + &b + &c);
    tokens()
        .into_iter()
        .chain(placed())
        .map(|s| s.text)
        .chain(keys)
        .collect()
}

#[test]
fn cut_anywhere_in_two() {
    let rules =
        Rules::builtin().with_secrets(["s3cr3t value".to_owned(), "s3cr3t value, longer".into()]);
    for sample in samples() {
        let text = format!("first {sample} s3cr3t value, last");
        let whole = rules.redact(&text).into_owned();
        for cut in 0..=text.len() {
            let got = streamed(&rules, text.as_bytes(), [cut]);
            assert_eq!(
                String::from_utf8_lossy(&got),
                whole,
                "cut at {cut} of {text:?}"
            );
        }
    }
}

#[test]
fn cut_into_single_bytes() {
    let rules = Rules::builtin();
    for text in samples() {
        let got = streamed(&rules, text.as_bytes(), 0..text.len());
        assert_eq!(
            String::from_utf8_lossy(&got),
            rules.redact(&text),
            "{text:?}"
        );
    }
}

/// Pieces of secrets and of what surrounds them, in any order: what a rule is most easily wrong about.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let samples = samples();
    let glue: Vec<String> = [
        "token",
        "=",
        ": ",
        "\"",
        "\\\"",
        "'",
        " ",
        "\n",
        "password",
        "--",
        "://",
        "@",
        ":",
        "Bearer ",
        "Authorization: ",
        "Cookie: ",
        "[redacted:x]",
        "[redacted:",
        "]",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "sk-",
        "eyJ",
        ",",
        ")",
        "abc123",
        "hunter22",
        "PWD",
        "s3cr3t value",
        "secret",
        "api",
        "_",
        "KEY",
        ".",
        "Basic ",
        "twilio",
        "aaaaaaaa",
        "\\n",
        "\x1b[0m",
        "{",
        "str = ",
    ]
    .map(String::from)
    .to_vec();
    let piece = prop_oneof![
        4 => proptest::sample::select(glue).prop_map(String::into_bytes),
        // Two tokens without anything between them are one run of letters, hence the space.
        1 => proptest::sample::select(samples.clone()).prop_map(|s| format!(" {s}").into_bytes()),
        1 => (proptest::sample::select(samples), 0usize..200, 1usize..80).prop_map(|(s, from, len)| {
            s.into_bytes().into_iter().skip(from).take(len).collect()
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
        1 => (any::<u64>(), 1usize..90).prop_map(|(seed, len)| Fake::new(seed).fill(super::corpus::BASE64, len).into_bytes()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn exact() -> Rules {
    let values = [
        "s3cr3t value",
        "value, longer",
        "redacted",
        "hunter22aaaa",
        "aaaaaa",
        "token=abc",
    ];
    Rules::builtin().with_secrets(values.map(String::from))
}

static CUSTOM: LazyLock<Rules> = LazyLock::new(|| {
    let customs = [
        ("ticket", r"abc[0-9]{3,9}"),
        ("line", r"(?i)^api.{2,12}$"),
        ("word", r"\bhunter[a-z0-9]{2,30}\b"),
    ];
    customs.iter().fold(exact(), |rules, (name, pattern)| {
        rules.with_custom(name, pattern).unwrap()
    })
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cut_at_random(text in soup(), cuts in proptest::collection::vec(0usize..2000, 0..12), own in any::<bool>()) {
        let rules = if own { CUSTOM.clone() } else { Rules::builtin() };
        let mut cuts = cuts;
        cuts.sort_unstable();
        let whole = rules.redact_bytes(&text);
        let got = streamed(&rules, &text, cuts);
        prop_assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&whole));
        prop_assert_eq!(&got, &*whole);
    }

    #[test]
    fn twice_is_once(text in soup(), known in any::<bool>()) {
        let rules = if known { exact() } else { Rules::builtin() };
        let once = rules.redact_bytes(&text).into_owned();
        let twice = rules.redact_bytes(&once);
        prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    }
}
