use serde_json::{Value, json};

use super::*;

fn run() -> RunId {
    "RUN-20261121-001".parse().unwrap()
}

fn check_with(rules: &Rules, ndjson: &[u8]) -> (Vec<Value>, Vec<(u64, String)>) {
    let checked = check(ndjson, run(), rules, Time(1_795_226_400_007));
    assert_eq!(checked.rejected_total as usize, checked.rejected.len());
    let lines = checked.lines(41);
    let lines = lines.split_inclusive(|&byte| byte == b'\n').map(|line| {
        assert!(line.len() <= LINE_MAX_BYTES + 1, "{}", line.len());
        serde_json::from_slice(line).unwrap()
    });
    (lines.collect(), checked.rejected)
}

fn one(event: &str) -> Value {
    let (mut lines, rejected) = check_with(&Rules::builtin(), event.as_bytes());
    assert_eq!(rejected, []);
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

fn why(event: &str) -> String {
    let (lines, mut rejected) = check_with(&Rules::builtin(), event.as_bytes());
    assert!(lines.is_empty(), "{event}");
    rejected.remove(0).1
}

#[test]
fn the_head_comes_first_and_in_order() {
    let event = br#"{"model":"m","mode":"batch","summary":"s","event":"llm_call","x":[1, 2],"seq":9,"v":1,"tool":"opencode","session_id":"ses_1","task_id":"t-7zx0gm-1","frame_id":"f-7zx0gm","actor":"agent:ses_1","y\"":null}
"#;
    let checked = check(event, run(), &Rules::builtin(), Time(1_795_226_400_007));
    let lines = String::from_utf8(checked.lines(41)).unwrap();
    assert_eq!(
        lines,
        r#"{"v":1,"seq":42,"ts":"2026-11-21T02:00:00.007Z","run_id":"RUN-20261121-001","frame_id":"f-7zx0gm","task_id":"t-7zx0gm-1","session_id":"ses_1","tool":"opencode","mode":"batch","event":"llm_call","actor":"agent:ses_1","summary":"s","model":"m","x":[1, 2],"y\"":null}
"#
    );
}

#[test]
fn events_are_numbered_and_bad_ones_are_told_by_line() {
    let batch = b"{\"event\":\"llm_call\"}\r\n\n  \nnonsense\n{\"event\":\"task_started\"}\n{\"event\":\"git_diff\",\"turn\":3}";
    let (lines, rejected) = check_with(&Rules::builtin(), batch);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["seq"], 42);
    assert_eq!(lines[1]["seq"], 43);
    assert_eq!(
        rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [4, 5]
    );
    assert!(rejected[1].1.contains("none of the five"));

    let many = check(
        "x\n".repeat(1000).as_bytes(),
        run(),
        &Rules::builtin(),
        Time(0),
    );
    assert_eq!(
        (many.rejected.len(), many.rejected_total),
        (REJECTED_MAX, 1000)
    );
}

#[test]
fn moments_are_written_one_way() {
    for (given, written) in [
        ("2026-11-21T02:00:00.007Z", "2026-11-21T02:00:00.007Z"),
        ("2026-11-21T04:00:00.0079+02:00", "2026-11-21T02:00:00.007Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z"),
    ] {
        let line = one(&format!(r#"{{"event":"llm_call","ts":"{given}"}}"#));
        assert_eq!(line["ts"], written);
    }
    // Also behind a good one of the same day.
    let good = "{\"event\":\"llm_call\",\"ts\":\"2026-11-21T02:00:00.007Z\"}\n";
    for bad in [
        "2026-11-31T02:00:00.007Z",
        "2026-11-21T24:00:00.007Z",
        "2026-11-21T29:00:00.007Z",
        "2026-11-21T02:60:00.007Z",
        "2026-11-21T02:00:00.00xZ",
        "2026-11-21",
        "",
    ] {
        let batch = format!("{good}{good}{{\"event\":\"llm_call\",\"ts\":\"{bad}\"}}");
        let (lines, rejected) = check_with(&Rules::builtin(), batch.as_bytes());
        assert_eq!((lines.len(), rejected.len()), (2, 1), "{bad}");
    }
    assert!(why(r#"{"event":"llm_call","ts":5}"#).contains("ts"));
}

#[test]
fn what_is_not_an_event_is_refused_with_a_reason() {
    let deep = format!(
        r#"{{"event":"llm_call","x":{}1{}}}"#,
        "[".repeat(65),
        "]".repeat(65)
    );
    let wide: String = (0..70).map(|n| format!(r#","k{n}":1"#)).collect();
    let wide = format!(r#"{{"event":"llm_call"{wide}}}"#);
    let long_name = format!(r#"{{"event":"llm_call","model":"{}"}}"#, "m".repeat(2000));
    let giant = format!(
        r#"{{"event":"decision","question":"{}"}}"#,
        "q".repeat(INPUT_LINE_MAX_BYTES)
    );
    for (bad, reason) in [
        ("[]", "a JSON object"),
        ("{}", "`event` is missing"),
        (r#"{"event":"llm_call""#, "EOF"),
        (r#"{"event":"llm_call"} x"#, "trailing"),
        (r#"{"event":"frame_created"}"#, "none of the five"),
        (r#"{"event":"llm_call","v":2}"#, "`v` is 2"),
        (
            r#"{"event":"llm_call","run_id":"RUN-20261121-002"}"#,
            "`run_id`",
        ),
        (r#"{"event":"llm_call","frame_id":"../x"}"#, "`frame_id`"),
        (r#"{"event":"llm_call","task_id":7}"#, "`task_id`"),
        (
            r#"{"event":"llm_call","tokens_in":-1}"#,
            "`tokens_in` is -1, not a whole number",
        ),
        (
            r#"{"event":"llm_call","tokens_in":1.5}"#,
            "not a whole number",
        ),
        (
            r#"{"event":"llm_call","tokens_in":"7"}"#,
            "not a whole number",
        ),
        (r#"{"event":"llm_call","cost_usd":-0.1}"#, "`cost_usd`"),
        (r#"{"event":"llm_call","cost_usd":1e999}"#, "`cost_usd`"),
        (r#"{"event":"llm_call","x":1e999}"#, "`x`"),
        (r#"{"event":"llm_call","x":{"y":[-1E999]}}"#, "`x`"),
        (r#"{"event":"llm_call","estimated":1}"#, "true or false"),
        (
            r#"{"event":"llm_call","model":{}}"#,
            "`model` is {}, not a text",
        ),
        (
            r#"{"event":"llm_call","model":"a","model":"b"}"#,
            "`model` is there twice",
        ),
        (
            r#"{"event":"llm_call","session_id":"a","session_id":"b"}"#,
            "there twice",
        ),
        (r#"{"event":"tool_output","stdout":"x"}"#, "needs `tool`"),
        (r#"{"event":"tool_output","tool":null}"#, "needs `tool`"),
        (
            r#"{"event":"tool_output","tool":"x","exit_code":0.5}"#,
            "`exit_code`",
        ),
        (r#"{"event":"failure"}"#, "needs `error`"),
        (r#"{"event":"failure","error":"x"}"#, "not an object"),
        (r#"{"event":"decision"}"#, "needs `question`"),
        (r#"{"event":"decision","question":"\ud800"}"#, "surrogate"),
        (
            r#"{"event":"decision","question":"\udc00\ud800"}"#,
            "surrogate",
        ),
        (deep.as_str(), "nested deeper than 64"),
        (wide.as_str(), "more than 64 fields"),
        (long_name.as_str(), "`model` is longer"),
        (giant.as_str(), "longer than"),
    ] {
        let told = why(bad);
        assert!(
            told.contains(reason),
            "{told} for {}",
            &bad[..bad.len().min(100)]
        );
        assert!(told.len() < 300, "{}", told.len());
    }
    let (_, rejected) = check_with(
        &Rules::builtin(),
        b"{\"event\":\"llm_call\",\"x\":\"\xff\"}",
    );
    assert!(rejected[0].1.contains("utf-8"));
}

#[test]
fn what_is_right_is_kept_as_it_is() {
    let own = r#""tokens_in":12,"tokens_out":0,"tokens_cache_read":1,"tokens_cache_write":2,"tokens_reasoning":3,"tokens_total":18,"duration_ms":1.5,"cost_usd":0.25,"estimated":true,"call_id":"c","new":{"a":[1,{"b":"\u00e9\n"}]},"exit_code":null"#;
    let given = format!(r#"{{"event":"llm_call",{own}}}"#);
    let checked = check(given.as_bytes(), run(), &Rules::builtin(), Time(0));
    let lines = String::from_utf8(checked.lines(0)).unwrap();
    assert!(lines.ends_with(&format!("{own}}}\n")), "{lines}");
}

#[test]
fn secrets_go_wherever_they_are() {
    let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4))[..40].to_owned();
    let password = "hunter2-and-more";
    let rules = Rules::builtin().with_secrets(["line one\n\"two\"".to_owned()]);
    let unescaped: String = token.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    for event in [
        format!(r#"{{"event":"tool_output","tool":"x","stdout":"token {token} end"}}"#),
        format!(r#"{{"event":"tool_output","tool":"x","stdout":"a\n{token}\tb"}}"#),
        format!(r#"{{"event":"tool_output","tool":"x","stdout":"{unescaped}"}}"#),
        format!(r#"{{"event":"tool_output","tool":"x","args":{{"a":["{token}"]}}}}"#),
        format!(r#"{{"event":"tool_output","tool":"x","args":{{"password":"{password}"}}}}"#),
        format!(
            r#"{{"event":"tool_output","tool":"x","args":{{"db_password" : ["{password}"]}}}}"#
        ),
        format!(
            r#"{{"event":"tool_output","tool":"x","args":{{"pass\u0077ord":["{password}"]}}}}"#
        ),
        format!(r#"{{"event":"tool_output","tool":"x","password":["{password}"]}}"#),
        format!(r#"{{"event":"failure","error":{{"type":"E","message":"no {token}"}}}}"#),
        format!(
            r#"{{"event":"failure","error":{{}},"locals":{{"password":{{"t":"str","v":"{password}"}}}}}}"#
        ),
        format!(r#"{{"event":"llm_call","summary":"called with {token}"}}"#),
        format!(r#"{{"event":"llm_call","{token}":1}}"#),
        r#"{"event":"llm_call","x":"line one\n\"two\""}"#.to_owned(),
        r#"{"event":"llm_call","x":"line one\u000a\"two\""}"#.to_owned(),
    ] {
        let (lines, rejected) = check_with(&rules, event.as_bytes());
        assert_eq!(rejected, [], "{event}");
        let line = lines[0].to_string();
        assert!(line.contains("[redacted:"), "{event} gave {line}");
        for secret in [&token, password, "two"] {
            assert!(!line.contains(secret), "{event} gave {line}");
        }
    }
    // A number under a name that is secret goes as well, and counts of tokens do not.
    let line = one(r#"{"event":"llm_call","tokens_in":7,"pin":{"password":123456}}"#);
    assert_eq!(line["tokens_in"], 7);
    assert_eq!(line["pin"]["password"], "[redacted:password]");
}

#[test]
fn outputs_keep_their_head_and_their_tail() {
    let middle = "é".repeat(10_000);
    let event = json!({"event": "tool_output", "tool": "x", "stdout": format!("first{middle}last"), "stderr": "e".repeat(10_240), "stdout_truncated": false});
    let line = one(&event.to_string());
    let stdout = line["stdout"].as_str().unwrap();
    assert!(
        stdout.len() <= 10_240 && stdout.len() > 10_200,
        "{}",
        stdout.len()
    );
    assert!(stdout.starts_with("firstéé") && stdout.ends_with("éélast"));
    assert!(stdout.contains("bytes left out"));
    assert_eq!(line["stdout_truncated"], true);
    assert_eq!(line["stderr"].as_str().unwrap().len(), 10_240);
    assert_eq!(line.get("stderr_truncated"), None);
    // Escapes are not what counts.
    let event = json!({"event": "tool_output", "tool": "x", "stderr": "\n".repeat(10_241)});
    assert_eq!(one(&event.to_string())["stderr_truncated"], true);
    let event = json!({"event": "tool_output", "tool": "x", "stderr": "\n".repeat(10_240)});
    assert_eq!(one(&event.to_string()).get("stderr_truncated"), None);
}

#[test]
fn diffs_keep_fifty_lines() {
    for (lines, truncated) in [(49, false), (50, false), (51, true), (500, true)] {
        let diff: String = (0..lines).map(|n| format!("+line {n}\n")).collect();
        let line = one(&json!({"event": "git_diff", "turn": 1, "diff": diff}).to_string());
        let kept = line["diff"].as_str().unwrap().lines().count();
        assert_eq!(kept, lines.min(50));
        assert_eq!(line.get("truncated").is_some(), truncated, "{lines}");
    }
}

#[test]
fn variables_become_bounded_descriptors() {
    let nested = json!([[[[[1]]]]]);
    let wide: Value = (0..100)
        .map(|n| (format!("key{n}"), json!("v".repeat(100))))
        .collect();
    let locals = json!({
        "small": {"t": "int", "v": 3},
        "list": {"t": "list", "n": 100_000, "preview": "[1, 2", "truncated": true},
        "plain": [1, 2],
        "text": "x".repeat(5000),
        "described": {"t": "str", "v": "y".repeat(5000)},
        "nested": {"t": "list", "v": nested},
        "wide": wide,
        "keys": {"t": "dict", "k": (0..50).collect::<Vec<_>>(), "preview": "\u{1}".repeat(400)},
    });
    let line = one(&json!({"event": "failure", "error": {}, "locals": locals}).to_string());
    let kept = line["locals"].as_object().unwrap();
    assert_eq!(kept["small"], locals["small"]);
    assert_eq!(kept["list"], locals["list"]);
    assert_eq!(kept["plain"], json!({"t": "array", "v": [1, 2]}));
    assert_eq!(kept["text"]["n"], 5000);
    assert_eq!(kept["described"]["t"], "str");
    assert_eq!(kept["nested"]["preview"], "[[[[[1]]]]]");
    assert_eq!(kept["wide"]["n"], 100);
    assert_eq!(kept["wide"]["k"].as_array().unwrap().len(), 20);
    for name in ["text", "described", "nested", "wide", "keys"] {
        assert_eq!(kept[name]["truncated"], true, "{name}");
    }
    for (name, descriptor) in kept {
        assert!(
            descriptor.to_string().len() <= descriptor::MAX_BYTES,
            "{name}"
        );
        let preview = descriptor["preview"].as_str().unwrap_or_default();
        assert!(preview.chars().count() <= 200, "{name}");
    }

    let many: Value = (0..500)
        .map(|n| (format!("v{n:03}"), json!("x".repeat(150))))
        .collect();
    let line = one(&json!({"event": "failure", "error": {}, "locals": many}).to_string());
    let kept = line["locals"].as_object().unwrap();
    assert_eq!(kept.len(), 65);
    assert_eq!(kept["\u{2026}"]["n"], 436);
}

#[test]
fn long_events_are_shortened_until_they_fit() {
    let content = "fn main() {}\n".repeat(20_000);
    let event = json!({
        "event": "tool_output", "tool": "write", "summary": "s".repeat(5000),
        "args": {"path": "src/main.rs", "content": content},
        "note": content,
    });
    let line = one(&event.to_string());
    assert_eq!(line["args"]["t"], "object");
    assert_eq!(line["args"]["k"], json!(["content", "path"]));
    assert!(line["note"].as_str().unwrap().contains("bytes left out"));
    assert_eq!(line["summary"].as_str().unwrap().len(), 200);

    let fields: String = (0..60)
        .map(|n| format!(r#","f{n}":"{}""#, "x".repeat(1900)))
        .collect();
    let told = why(&format!(r#"{{"event":"llm_call"{fields}}}"#));
    assert!(told.contains("even shortened"), "{told}");
}

#[test]
fn escapes_are_undone() {
    let mut out = Vec::new();
    inspect::unescape(
        r#"{"a\"b":"\\ \/ \n\t\r\b\f \u00e9 \ud83e\udd80 x"}"#,
        &mut out,
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"a\"b\":\"\\ / \n\t\r\u{8}\u{c} é 🦀 x\"}"
    );
}

proptest::proptest! {
    /// Whatever is sent, what is written are lines that any reader can read.
    #[test]
    fn what_is_written_can_be_read(text in r#"[\{\}\[\]",:\\ue0-9a-d\.\-n]{0,40}"#, key in "[a-z\"\\\\u0]{0,8}") {
        for value in [text.clone(), format!("\"{text}\""), format!("[{text}]"), format!("{{\"k\":{text}}}")] {
            let event = format!("{{\"event\":\"tool_output\",\"tool\":\"x\",\"{key}\":{value}}}");
            check_with(&Rules::builtin(), event.as_bytes());
        }
    }
}
