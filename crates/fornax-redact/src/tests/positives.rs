//! Every secret of the corpus is hidden, and nothing else.

use super::super::Rules;
use super::corpus::{Fake, jwt, tokens};
use super::places::{placed, private_key, private_keys};

const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("using key ", " for the call"),
    ("(", ")"),
    ("\"", "\""),
    ("'", "',"),
    ("at\n", "\nnext"),
    ("x=", "&y=1"),
    ("<b>", "</b>"),
    ("{\"stdout\":\"it is:\\n", "\\nand more\"}"),
    ("\x1b[1;32m", "\x1b[0m"),
    ("\\u001b[32m", "\\u001b[0m"),
    ("https://", "@github.com/a/b"),
    ("see ", "."),
    ("é", "é"),
];

/// Redacts each text and reports all that came out wrong.
fn check(cases: impl IntoIterator<Item = (String, String)>) {
    let rules = Rules::builtin();
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(text, expected)| {
            let got = rules.redact(&text);
            (got != expected).then(|| format!("{text:?}\n  gave {got:?}\n   not {expected:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_token_is_hidden_whatever_surrounds_it() {
    check(tokens().into_iter().flat_map(|sample| {
        AROUND.iter().map(move |(before, after)| {
            (
                format!("{before}{}{after}", sample.text),
                format!("{before}[redacted:{}]{after}", sample.kind),
            )
        })
    }));
}

#[test]
fn every_secret_is_hidden_in_its_place() {
    check(placed().into_iter().map(|sample| {
        let marker = format!("[redacted:{}]", sample.kind);
        let expected = sample.text.replace(&sample.secret, &marker);
        (sample.text, expected)
    }));
}

#[test]
fn private_keys_are_hidden_between_their_lines() {
    check(private_keys().into_iter().map(|(before, body, after)| {
        (
            format!("see:\n{before}{body}{after}\ndone"),
            format!("see:\n{before}[redacted:private-key]{after}\ndone"),
        )
    }));
}

#[test]
fn a_named_token_keeps_the_kind_of_its_shape() {
    const NAMED: &[(&str, &str)] = &[
        ("ANTHROPIC_API_KEY=", "\n"),
        ("\"token\": \"", "\","),
        ("Authorization: Bearer ", "\r\n"),
        ("--api-key ", " x"),
    ];
    check(tokens().into_iter().flat_map(|sample| {
        NAMED.iter().map(move |(before, after)| {
            (
                format!("{before}{}{after}", sample.text),
                format!("{before}[redacted:{}]{after}", sample.kind),
            )
        })
    }));
}

#[test]
fn a_key_that_never_ends_is_hidden_as_far_as_it_goes() {
    let rules = Rules::builtin();
    let (before, body, _) = private_key(&mut Fake::new(5), "RSA PRIVATE KEY", "\n");
    let cut = 4 * 65 + 1;
    let got = rules
        .redact(&format!("{before}{}", &body[..cut]))
        .into_owned();
    assert_eq!(got, format!("{before}[redacted:private-key]\n"));
    let talk = "-----BEGIN RSA PRIVATE KEY----- was expected in this file, but there is only text";
    assert_eq!(rules.redact(talk), talk);
}

#[test]
fn exact_values_are_hidden_everywhere() {
    let rules = Rules::builtin().with_secrets([
        "s3cr3t value".to_owned(),
        "s3cr3t value, longer".into(),
        "short".into(),
        "a\"quote\"d".into(),
    ]);
    assert_eq!(
        rules.redact("xs3cr3t value, longery s3cr3t valuez short"),
        "x[redacted:env]y [redacted:env]z short"
    );
    assert_eq!(
        rules.redact(r#"{"out":"a\"quote\"d"}"#),
        r#"{"out":"[redacted:env]"}"#
    );
    assert_eq!(
        rules.redact("PASSWORD=abcdef1s3cr3t value;"),
        "PASSWORD=[redacted:password][redacted:env];"
    );
}

#[test]
fn a_web_token_ends_where_its_last_part_does() {
    let token = jwt(&mut Fake::new(3));
    assert_eq!(
        Rules::builtin().redact(&format!("It is {token}. Then")),
        "It is [redacted:jwt]. Then"
    );
}

#[test]
fn a_secret_before_the_value_of_a_name_is_not_passed_over() {
    let secret = ["gs", "k_"].concat() + &Fake::new(1).fill(super::corpus::ALNUM, 50);
    let text = format!("password--{secret}Authorization: hunter2+hunter2");
    assert!(!Rules::builtin().redact(&text).contains(&secret));
}
