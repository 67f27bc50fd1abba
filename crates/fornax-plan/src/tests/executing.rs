//! The executing part: what changes it, what does not, and what it looks like.

use proptest::prelude::*;

use crate::Source;
use crate::config::Config;
use crate::executing::Executing;

fn of(text: &str) -> Executing {
    let source = Source {
        name: "fornax.yaml".to_owned(),
        text: text.to_owned(),
    };
    Config::load(Some(source)).unwrap().executing
}

const BASE: &str = "tools:\n  t: {cmd: [./t, '{prompt}'], env: {B: '2', A: '1'}}\n";

#[test]
fn it_is_what_a_person_reads() {
    let executing = of(
        "limits: {tasks: 2}\ndefaults: {tool: [t, claude], retries: 2, workdir: sub}\ntools:\n  \
         t:\n    stdin: \"a\\nb\\n\"\n    cmd: [./run, \"say \\\"hi\\\" \\u202e\\x1b[2J\"]\n    \
         env: {B: '2', A: '1'}\n    timeout_sec: 9\n  s: {cmd: [bin/s], driver: claude, permissions: allow}\n",
    );
    assert_eq!(
        executing.text(),
        r#"tools:
  s:
    cmd:
    - "bin/s"
    driver: claude
    permissions: allow
  t:
    cmd:
    - "./run"
    - "say \"hi\" \u{202e}\u{1b}[2J"
    env:
      A: "1"
      B: "2"
    stdin: "a\n"
           "b\n"
defaults:
  tool:
  - "t"
  - "claude"
  workdir: "sub"
"#
    );
    assert_eq!(executing.programs(), ["./run", "bin/s"]);
}

#[test]
fn comments_formatting_and_keys_that_execute_nothing_do_not_change_it() {
    let spread = "# a comment\ntools:\n  t:\n    env:\n      A: \"1\"\n      B: \"2\"\n    cmd:\n    \
                  - ./t\n    - \"{prompt}\"\n";
    assert_eq!(of(spread), of(BASE));
    let tool = "cmd: [./t, '{prompt}'], env: {B: '2', A: '1'}";
    for of_tool in [
        "timeout_sec: 5, silence_sec: 5",
        "redact: false, mode: batch",
        "success_exit_codes: [0, 1]",
        "stack: off, output: none",
        "output: jsonl, jsonl: {result: text}",
    ] {
        let same = format!("tools: {{t: {{{tool}, {of_tool}}}}}\n");
        assert_eq!(of(&same), of(BASE), "{same}");
    }
    for beside in [
        "pools: {p: 1}",
        "limits: {tasks: 3, frames: 9}",
        "context: {budget: 900}",
        "redact: {rules: [{name: a, pattern: abcd}]}",
        "defaults: {timeout: 1m, retries: 3, priority: 1}",
        "x-own: {any: thing}",
    ] {
        let same = format!("{beside}\ntools: {{t: {{{tool}}}}}\n");
        assert_eq!(of(&same), of(BASE), "{same}");
    }
}

#[test]
fn every_key_that_decides_what_is_executed_changes_it() {
    let mut seen = vec![of(BASE)];
    for other in [
        "tools: {t: {cmd: [./t, '{prompt}']}}",
        "tools: {u: {cmd: [./t, '{prompt}'], env: {B: '2', A: '1'}}}",
        "tools: {t: {cmd: [./u, '{prompt}'], env: {B: '2', A: '1'}}}",
        "tools: {t: {cmd: ['./t x', '{prompt}'], env: {B: '2', A: '1'}}}",
        "tools: {t: {cmd: [./t, '{prompt}'], env: {B: '2', A: '2'}}}",
        "tools: {t: {cmd: [./t, '{prompt}'], stdin: x}}",
        "tools: {t: {cmd: [./t, '{prompt}'], model: x}}",
        "tools: {t: {cmd: [./t], driver: claude-print}}",
        "tools: {t: {cmd: [./t], driver: claude}}",
        "tools: {t: {cmd: [./t], driver: claude, permissions: allow}}",
        "defaults: {env: {A: '1'}}",
        "defaults: {tool: claude}",
        "defaults: {tool: [claude, codex]}",
        "defaults: {model: x}",
        "defaults: {permissions: allow}",
        "defaults: {workdir: sub}",
    ] {
        let other_part = of(other);
        assert!(!other_part.is_empty(), "{other}");
        assert!(!seen.contains(&other_part), "{other}");
        seen.push(other_part);
    }
}

#[test]
fn files_without_it_need_nobody() {
    for text in [
        "",
        "# nothing\n",
        "tools: {}",
        "defaults: {}",
        "limits: {tasks: 1}",
        "defaults: {timeout: 1m, env: {}}",
        "pools: {p: 1}\ndefaults: {pool: p}\n",
    ] {
        assert!(of(text).is_empty(), "{text}");
    }
    assert!(Config::load(None).unwrap().executing.is_empty());
}

#[test]
fn presets_are_told_from_the_projects_own() {
    let source = Source {
        name: "fornax.yaml".to_owned(),
        text: "tools: {claude: {cmd: [./t]}, own: {cmd: [x]}}".to_owned(),
    };
    let config = Config::load(Some(source)).unwrap();
    assert!(config.tools["shell"].is_preset);
    assert!(!config.tools["claude"].is_preset && !config.tools["own"].is_preset);
}

/// A text in YAML, with all that may be hidden in one.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

proptest! {
    /// Two files have the same executing part only where they execute the same.
    #[test]
    fn the_text_is_injective(
        one in proptest::collection::vec("[a\"\\\\\n:\\- \u{202e}#{}]{0,6}", 1..4),
        other in proptest::collection::vec("[a\"\\\\\n:\\- \u{202e}#{}]{0,6}", 1..4),
    ) {
        let file = |arguments: &[String]| {
            let arguments: Vec<_> = arguments.iter().map(|text| quoted(text)).collect();
            format!("tools:\n  t:\n    cmd: [x, {}]\n", arguments.join(", "))
        };
        let load = |arguments: &[String]| {
            let source = Source { name: "fornax.yaml".to_owned(), text: file(arguments) };
            Config::load(Some(source)).ok().map(|config| config.executing)
        };
        if let (Some(first), Some(second)) = (load(&one), load(&other)) {
            prop_assert_eq!(first == second, one == other);
            prop_assert!(first.text().chars().all(|c| c == '\n' || !c.is_control()));
        }
    }

    /// Whatever a file holds, it is read or refused, within its size.
    #[test]
    fn nothing_that_others_wrote_panics(
        text in "(tools|defaults|env|cmd|[a-z]|[:\n \\[\\]{}&*!|>'\"#,-]|\\PC){0,120}",
    ) {
        let source = Source { name: "fornax.yaml".to_owned(), text };
        if let Ok(config) = Config::load(Some(source)) {
            prop_assert!(config.executing.text().len() < 1 << 16);
        }
    }
}
