//! Streams, JSON, names and a person's own rules.

use serde_json::{Value, json};

use super::super::{CustomRuleError, Rules};
use super::corpus::{ALNUM, BASE64, Fake, tokens};
use super::places::private_key;

fn fake_key() -> String {
    ["gh", "p_"].concat() + &Fake::new(77).fill(ALNUM, 36)
}

#[test]
fn what_cannot_be_secret_is_passed_on_at_once() {
    let mut stream = Rules::builtin()
        .with_secrets(["hunter2hunter2".to_owned()])
        .stream();
    let mut out = Vec::new();
    for line in [
        "Compiling fornax v0.1.0\n",
        "Password: ",
        "\nlogin ok\n",
        "token:",
        " \n",
        "[####    ] 40 %\r",
        "done.",
        "\n",
        "\u{1f525}",
        "$ ",
    ] {
        stream.push(line.as_bytes(), &mut out);
        assert_eq!(
            (stream.held(), String::from_utf8_lossy(&out)),
            (0, line.into()),
            "after {line:?}"
        );
        out.clear();
    }
}

#[test]
fn only_the_secret_itself_is_held() {
    let mut stream = Rules::builtin().stream();
    let mut out = Vec::new();
    stream.push(b"export API_TOKEN=abc", &mut out);
    assert_eq!((&*out, stream.held()), (&b"export API_TOKEN="[..], 3));
    stream.push(b"def123\nnext", &mut out);
    assert_eq!(out, b"export API_TOKEN=[redacted:secret]\nnext");
    stream.finish(&mut out);
    assert_eq!(stream.held(), 0);
}

#[test]
fn a_stream_holds_little_whatever_comes() {
    let mut fake = Fake::new(11);
    let (begin, body, _) = private_key(&mut fake, "RSA PRIVATE KEY", "\n");
    let endless = [
        (
            "a key without end",
            format!("{begin}{}", body.replace("==", "AA").repeat(2000)),
        ),
        (
            "a token of a megabyte",
            ["sk-", "ant-", "api03-"].concat() + &fake.fill(ALNUM, 1 << 20),
        ),
        (
            "a web token without end",
            super::corpus::jwt(&mut fake) + &fake.fill(ALNUM, 1 << 20),
        ),
        (
            "a quoted value without end",
            format!("\"password\": \"{}", fake.fill(BASE64, 1 << 20)),
        ),
        (
            "a bare value without end",
            format!("API_SECRET={}", fake.fill(ALNUM, 1 << 20)),
        ),
        (
            "a bearer without end",
            format!("Bearer {}", fake.fill(ALNUM, 1 << 20)),
        ),
        (
            "cookies without end",
            format!("Cookie: a={}", fake.fill(ALNUM, 1 << 20)),
        ),
        ("a line of letters", "a".repeat(1 << 20)),
        ("a line of dashes", "-".repeat(1 << 20)),
        ("names without values", "token ".repeat(1 << 17)),
        (
            "a URL without end",
            format!("https://a:{}", "b".repeat(1 << 20)),
        ),
    ];
    for (what, text) in endless {
        let rules = Rules::builtin();
        let mut stream = rules.stream();
        let mut out = Vec::new();
        for chunk in text.as_bytes().chunks(1000) {
            stream.push(chunk, &mut out);
            assert!(
                stream.held() <= 4096,
                "{what}: {} bytes held",
                stream.held()
            );
        }
        stream.finish(&mut out);
        assert_eq!(out, &*rules.redact_bytes(text.as_bytes()), "{what}");
        if what.contains("without end") && !what.contains("URL") {
            assert!(out.len() < 200, "{what}: {} bytes came out", out.len());
        }
    }
}

#[test]
fn bytes_that_are_no_text_come_out_as_they_went_in() {
    let rules = Rules::builtin();
    let mut fake = Fake::new(5);
    let key = fake_key();
    for _ in 0..500 {
        let noise: Vec<u8> = (0..300).map(|_| fake.number() as u8 | 0x80).collect();
        assert_eq!(&*rules.redact_bytes(&noise), noise);
        let mut text = noise.clone();
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(&noise);
        let mut expected = noise.clone();
        expected.extend_from_slice(b"[redacted:github]");
        expected.extend_from_slice(&noise);
        assert_eq!(&*rules.redact_bytes(&text), expected);
    }
}

#[test]
fn no_token_survives_between_any_two_bytes() {
    let rules = Rules::builtin();
    for sample in tokens() {
        for byte in (0..=255_u8).filter(|b| !b.is_ascii_alphanumeric() && !b"_-./+=%~".contains(b))
        {
            let text = [&[byte], sample.text.as_bytes(), &[byte]].concat();
            let got = rules.redact_bytes(&text);
            let survives = memchr::memmem::find(&got, sample.secret.as_bytes()).is_some();
            assert!(!survives, "{:?} between {byte:#x}", sample.kind);
            assert_eq!((got.first(), got.last()), (Some(&byte), Some(&byte)));
        }
    }
}

#[test]
fn json_is_redacted_however_deep() {
    let rules = Rules::builtin().with_secrets(["exactly this".to_owned()]);
    let key = fake_key();
    let mut value = json!({
        "args": ["run", format!("--with={key}"), "--verbose"],
        "env": { "DB_PASSWORD": "a b", "apiKey": 123456, "pin": 1234, "token": true, "secret": null, "authorization": ["x", "y"] },
        "tokens_in": 12345, "tokens_cache_read": 9, "key": "k", "keys": ["a"], "cmd_id": "c", "frame_id": "f",
        "text": "it is exactly this.",
        "password": "${DB_PASSWORD}",
        "api_key": key,
    });
    assert!(rules.redact_json(&mut value));
    assert_eq!(
        value,
        json!({
            "args": ["run", "--with=[redacted:github]", "--verbose"],
            "env": { "DB_PASSWORD": "[redacted:password]", "apiKey": "[redacted:secret]", "pin": 1234, "token": true, "secret": null,
                     "authorization": ["[redacted:authorization]", "[redacted:authorization]"] },
            "tokens_in": 12345, "tokens_cache_read": 9, "key": "k", "keys": ["a"], "cmd_id": "c", "frame_id": "f",
            "text": "it is [redacted:env].",
            "password": "${DB_PASSWORD}",
            "api_key": "[redacted:github]",
        })
    );
    assert!(
        !rules.redact_json(&mut value),
        "redacting twice changes nothing"
    );

    let mut deep = json!(fake_key());
    for _ in 0..500 {
        deep = json!([{ "in": deep }]);
    }
    assert!(rules.redact_json(&mut deep));
    assert!(deep.to_string().contains("[redacted:github]") && !deep.to_string().contains(&key));
}

#[test]
fn keys_are_redacted_without_losing_values() {
    let (one, two) = (
        fake_key(),
        ["gh", "o_"].concat() + &Fake::new(78).fill(ALNUM, 36),
    );
    let mut value = json!({ one: 1, two: 2, "plain": 3 });
    assert!(Rules::builtin().redact_json(&mut value));
    let Value::Object(map) = value else {
        panic!("an object")
    };
    let mut keys: Vec<_> = map.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["[redacted:github]", "[redacted:github] 2", "plain"]);
}

#[test]
fn names_of_secrets_are_known() {
    for name in [
        "password",
        "PASSWORD",
        "dbPassword",
        "DB_PASSWORD",
        "db-passwd",
        "userpassword",
        "passphrase",
        "PGPASSWORD",
        "MYSQL_PWD",
        "SMTP_PASS",
        "token",
        "GITHUB_TOKEN",
        "accessToken",
        "x-auth-token",
        "CSRFToken",
        "secret",
        "client_secret",
        "CLIENTSECRET",
        "api_key",
        "apiKey",
        "APIKey",
        "OPENAI_API_KEY",
        "api-key",
        "apikey",
        "APIKEY",
        "X-Api-Key",
        "aws_secret_access_key",
        "private_key",
        "privateKey",
        "signing.key",
        "Authorization",
        "proxy-authorization",
        "cookie",
        "Set-Cookie",
        "credentials",
        "API_TOKEN_2",
        "PASSWORD_PROD",
        "seed_phrase",
        "GITLAB_PAT",
    ] {
        assert!(Rules::is_secret_name(name), "{name}");
    }
    for name in [
        "tokens_in",
        "tokens_out",
        "tokens_total",
        "tokens_cache_read",
        "tokens_cache_write",
        "tokens_reasoning",
        "total_tokens",
        "max_tokens",
        "key",
        "keys",
        "cmd_id",
        "frame_id",
        "session_id",
        "call_id",
        "token_type",
        "token_count",
        "password_file",
        "secret_name",
        "PWD",
        "OLDPWD",
        "PATH",
        "author",
        "authority",
        "public_key",
        "primary_key",
        "cache_key",
        "foreign_key",
        "keyboard",
        "monkey",
        "compass",
        "pass",
        "bypass",
        "next_token",
        "page_token",
        "eos_token",
        "AWS_ACCESS_KEY_ID",
        "cookie_domain",
        "secretary",
        "tokenizer",
        "passed",
        "",
        "k",
        "_",
        "é",
    ] {
        assert!(!Rules::is_secret_name(name), "{name}");
    }
}

#[test]
fn own_rules_hide_what_they_match() {
    let rules = Rules::builtin()
        .with_custom("ticket", r"\bCORP-[0-9]{6}\b")
        .and_then(|rules| rules.with_custom("customer", r"(?i)^customer: .{4,40}$"))
        .unwrap();
    assert_eq!(
        rules.redact("see CORP-123456, not XCORP-123456\nCustomer: Jane Doe\nno customer: Jane"),
        "see [redacted:ticket], not XCORP-123456\n[redacted:customer]\nno customer: Jane"
    );
    let mut stream = rules.stream();
    let mut out = Vec::new();
    stream.push(b"see CORP-12", &mut out);
    assert_eq!((&*out, stream.held()), (&b"see "[..], 7));
    stream.push(b"3456 and CORPSE", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"see [redacted:ticket] and CORPSE");
}

#[test]
fn own_rules_that_cannot_work_say_why() {
    let said = |name: &str, pattern: &str| Rules::builtin().with_custom(name, pattern).unwrap_err();
    assert!(matches!(
        said("My Rule", "abcd"),
        CustomRuleError::Name { .. }
    ));
    assert!(matches!(
        said("a", "abcd.*"),
        CustomRuleError::Unbounded { .. }
    ));
    assert!(matches!(
        said("a", "x?"),
        CustomRuleError::Length {
            shortest: 0,
            longest: 1,
            ..
        }
    ));
    assert!(matches!(
        said("a", "x{4,2000}"),
        CustomRuleError::Length { longest: 2000, .. }
    ));
    assert!(matches!(
        said("a", r"\Aabcd"),
        CustomRuleError::Anchor { .. }
    ));
    let syntax = said("a", "abcd(efg").to_string();
    assert!(
        syntax.contains("unclosed group") && syntax.contains('^'),
        "{syntax}"
    );
}
