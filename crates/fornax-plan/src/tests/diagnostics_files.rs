//! Every kind of mistake in files, with its place and what is said about it.

use insta::assert_snapshot;

use super::*;

#[test]
fn syntax() {
    assert_snapshot!(errors("name: p\nframes: [a\n"), @r#"
    plan.yaml:2:9: error: unclosed bracket '['
    2 | frames: [a
      |         ^
    "#);
    assert_snapshot!(errors("name: a: b\n"), @r#"
    plan.yaml:1:8: error: mapping values are not allowed in this context
    1 | name: a: b
      |        ^
    help: a text with `: ` in it must be quoted, or written as a block after `|`
    "#);
    assert_snapshot!(errors("name: p\nwhen: {inputs.x} == b\n"), @r#"
    plan.yaml:2:18: error: while parsing a block mapping, did not find expected key
    2 | when: {inputs.x} == b
      |                  ^
    help: a text that starts with `{`, `[`, `*`, `&` or a quote must be quoted whole
    "#);
    assert_snapshot!(errors("# nothing\n"), @r#"
    plan.yaml:1:1: error: the file is empty
    1 | # nothing
      | ^
    "#);
    assert_snapshot!(errors("- a\n"), @r#"
    plan.yaml:1:1: error: expected a mapping, found a list
    1 | - a
      | ^
    "#);
    assert_snapshot!(errors("name: a\n---\nname: b\n"), @r#"
    plan.yaml:2:1: error: the file holds more than one document
    2 | ---
      | ^^^
    help: write each plan into a file of its own
    "#);
    assert_snapshot!(errors("name: !secret a\nframes: []\n"), @r#"
    plan.yaml:1:7: error: tags such as `!name` mean nothing here
    1 | name: !secret a
      |       ^^^^^^^
    help: leave the tag out
    "#);
    assert_snapshot!(errors("name: *a\n"), @r#"
    plan.yaml:1:7: error: the alias stands for nothing
    1 | name: *a
      |       ^
    "#);
    assert_snapshot!(errors("x-a: &a [*a]\n"), @r#"
    plan.yaml:1:10: error: the alias stands for the value that it is part of
    1 | x-a: &a [*a]
      |          ^^
    "#);
    assert_snapshot!(errors("<<: 3\nname: p\n"), @r#"
    plan.yaml:1:5: error: `<<` merges mappings only
    1 | <<: 3
      |     ^
    "#);
    assert_snapshot!(errors("{\"name\": \"p\", \"frames\": [{\"id\": 7,}}"), @r#"
    plan.yaml:1:25: error: mismatched bracket '[' closed by '}'
    1 | {"name": "p", "frames": [{"id": 7,}}
      |                         ^
    "#);
}

#[test]
fn keys() {
    assert_snapshot!(errors("nam: p\nframes:\n- {id: a, run: ls, depend_on: [], colour: red}\n"), @r#"
    plan.yaml:1:1: error: unknown key `nam`
    1 | nam: p
      | ^^^
    help: did you mean `name`?
    plan.yaml:1:1: error: the key `name` is missing
    1 | nam: p
      | ^
    plan.yaml:3:20: error: unknown key `depend_on`
    3 | - {id: a, run: ls, depend_on: [], colour: red}
      |                    ^^^^^^^^^
    help: did you mean `depends_on`?
    plan.yaml:3:35: error: unknown key `colour`
    3 | - {id: a, run: ls, depend_on: [], colour: red}
      |                                   ^^^^^^
    help: known keys are id, goal, success_criteria, title, run, tool, fallback_on, permissions, prompt, model, depends_on, parallel, outputs, phase, agent_role, pool, priority, timeout, silence_timeout, retries, backoff, retry_on, env, workdir, when, uses, with, frames, result
    "#);
    assert_snapshot!(errors("name: p\nname: q\nframes:\n- {id: a, run: ls, needs: [], depends_on: []}\n"), @r#"
    plan.yaml:2:1: error: the key `name` stands twice
    2 | name: q
      | ^^^^
    plan.yaml:1:1: note: it stands here first
    1 | name: p
      | ^^^^
    plan.yaml:4:31: error: `depends_on` says again what another key said
    4 | - {id: a, run: ls, needs: [], depends_on: []}
      |                               ^^^^^^^^^^
    plan.yaml:4:27: note: it is said here first
    4 | - {id: a, run: ls, needs: [], depends_on: []}
      |                           ^
    "#);
    assert_snapshot!(errors("name: p\n"), @r#"
    plan.yaml:1:1: error: the key `frames` is missing
    1 | name: p
      | ^
    "#);
    assert_snapshot!(errors("name: p\nframes: []\n"), @r#"
    plan.yaml:2:9: error: there are no frames in it
    2 | frames: []
      |         ^
    "#);
    assert_snapshot!(errors("name: [p]\nframes: {a: b}\n"), @r#"
    plan.yaml:1:7: error: expected a text, found a list
    1 | name: [p]
      |       ^
    plan.yaml:2:9: error: expected a list, found a mapping
    2 | frames: {a: b}
      |         ^
    "#);
}

#[test]
fn values() {
    assert_snapshot!(frame_errors("run: ls\nid:"), @r#"
    plan.yaml:6:5: error: expected a text, found nothing
    6 |   id:
      |     ^
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: {inputs.x}\nretries: -1\npriority: high\ntimeout: 0s"), @r#"
    plan.yaml:6:8: error: expected a text, found a mapping
    6 |   run: {inputs.x}
      |        ^
    help: a text that starts with `{` must be quoted
    plan.yaml:7:12: error: expected a whole number from 0 to 100, found `-1`
    7 |   retries: -1
      |            ^^
    plan.yaml:8:13: error: expected a whole number from -1000 to 1000, found `high`
    8 |   priority: high
      |             ^^^^
    plan.yaml:9:12: error: the duration must be longer than zero
    9 |   timeout: 0s
      |            ^^
    help: leave the key out for no limit
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\ntimeout: 90\nsilence_timeout: 1.5h\nbackoff: {initial: 5m, max: 3s}"), @r#"
    plan.yaml:7:12: error: bad duration `90`: the unit is missing
    7 |   timeout: 90
      |            ^^
    help: write whole numbers with units, the largest first: `500ms`, `30s`, `5m`, `2h`, `1h30m`, `1d`
    plan.yaml:8:20: error: bad duration `1.5h`: only whole numbers and units are allowed
    8 |   silence_timeout: 1.5h
      |                    ^^^^
    help: write whole numbers with units, the largest first: `500ms`, `30s`, `5m`, `2h`, `1h30m`, `1d`
    plan.yaml:9:31: error: `max` is shorter than `initial`
    9 |   backoff: {initial: 5m, max: 3s}
      |                               ^^
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nretry_on: [time_out, api, weather]"), @r#"
    plan.yaml:7:14: error: expected one of `exit_nonzero`, `signal`, `timeout`, `silence`, `spawn`, `tool_missing`, `auth`, `rate_limit`, `context_overflow`, `api`, `gate`, `output_missing`, `merge_conflict`, `budget`, `cancelled`, `lost`, found `time_out`
    7 |   retry_on: [time_out, api, weather]
      |              ^^^^^^^^
    help: did you mean `timeout`?
    plan.yaml:7:29: error: expected one of `exit_nonzero`, `signal`, `timeout`, `silence`, `spawn`, `tool_missing`, `auth`, `rate_limit`, `context_overflow`, `api`, `gate`, `output_missing`, `merge_conflict`, `budget`, `cancelled`, `lost`, found `weather`
    7 |   retry_on: [time_out, api, weather]
      |                             ^^^^^^^
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: \"ls \\0\"\nphase: \"\"\nenv: {1X: a, FORNAX_A: b}"), @r#"
    plan.yaml:6:8: error: a text cannot hold a NUL character
    6 |   run: "ls \0"
      |        ^^^^^^^
    plan.yaml:7:10: error: a label is one line of 1 to 100 characters
    7 |   phase: ""
      |          ^^
    plan.yaml:8:9: error: `1X` cannot name a variable
    8 |   env: {1X: a, FORNAX_A: b}
      |         ^^
    help: use letters, digits and `_`, and start with no digit
    plan.yaml:8:16: error: `FORNAX_A` belongs to Fornax
    8 |   env: {1X: a, FORNAX_A: b}
      |                ^^^^^^^^
    help: choose a name without `FORNAX_` before it
    "#);
    assert_snapshot!(errors("name: p\non_failure: ignore\npools: {a: 0}\ninputs: {a: [b]}\nframes:\n- {id: a, run: ls}\n"), @r#"
    plan.yaml:2:13: error: expected one of `continue`, `stop`, found `ignore`
    2 | on_failure: ignore
      |             ^^^^^^
    plan.yaml:3:12: error: expected a whole number from 1 to 10000, found `0`
    3 | pools: {a: 0}
      |            ^
    plan.yaml:4:13: error: expected a default or a mapping, found a list
    4 | inputs: {a: [b]}
      |             ^
    "#);
}

#[test]
fn plans_that_use_plans() {
    let outer = "name: p\nframes:\n- {id: u, uses: inner.yaml}\n";
    let check = |inner: &str| {
        let files = [("plan.yaml", outer), ("inner.yaml", inner)];
        render(&load_files("", &files).expect_err("the plan is refused"))
    };
    assert_snapshot!(errors(outer), @r#"
    plan.yaml:3:17: error: cannot read `inner.yaml`: no such file
    3 | - {id: u, uses: inner.yaml}
      |                 ^^^^^^^^^^
    help: the path is looked up from the folder of this file
    "#);
    assert_snapshot!(check("name: q\nframes:\n- {id: a, uses: plan.yaml}\n"), @r#"
    inner.yaml:3:17: error: plans use one another in a circle: plan.yaml -> inner.yaml -> plan.yaml
    3 | - {id: a, uses: plan.yaml}
      |                 ^^^^^^^^^
    "#);
    assert_snapshot!(check("name: q\ninputs: {x: }\nframes:\n- {id: a, run: ls, needs: u}\n"), @r#"
    inner.yaml:4:27: error: unknown dependency `u`
    4 | - {id: a, run: ls, needs: u}
      |                           ^
    help: frames that it can name are a
    plan.yaml:3:17: error: the input `x` of the plan is not given
    3 | - {id: u, uses: inner.yaml}
      |                 ^^^^^^^^^^
    inner.yaml:2:10: note: it is declared here, without a default
    2 | inputs: {x: }
      |          ^
    help: add it: `with: {x: ...}`
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- {id: u, uses: plan.yaml}\n"), @r#"
    plan.yaml:3:17: error: plans use one another in a circle: plan.yaml -> plan.yaml
    3 | - {id: u, uses: plan.yaml}
      |                 ^^^^^^^^^
    "#);
    let with = "name: p\nframes:\n- {id: a, run: ls}\n- id: u\n  needs: a\n  uses: inner.yaml\n  with: {facts: '{deps.a.results}', y: 1}\n  prompt: x\n";
    let files = [
        ("plan.yaml", with),
        (
            "inner.yaml",
            "name: q\ninputs: {facts: }\nframes:\n- {id: a, run: ls}\n",
        ),
    ];
    assert_snapshot!(render(&load_files("", &files).unwrap_err()), @r#"
    plan.yaml:7:18: error: {deps.a.results} cannot stand here
    7 |   with: {facts: '{deps.a.results}', y: 1}
      |                  ^^^^^^^^^^^^^^^^
    help: `with` takes {inputs.NAME} only; let a frame of the plan that is used read what it needs from a file
    plan.yaml:7:37: error: the plan that is used has no input `y`
    7 |   with: {facts: '{deps.a.results}', y: 1}
      |                                     ^
    plan.yaml:8:11: error: `prompt` means nothing beside `uses`
    8 |   prompt: x
      |           ^
    "#);
}

#[test]
fn configuration() {
    let check = |text: &str| {
        let files = [(
            "plan.yaml",
            "name: p\nframes:\n- {id: a, tool: t, prompt: x}\n",
        )];
        render(&load_files(text, &files).expect_err("the configuration is refused"))
    };
    assert_snapshot!(check("tools:\n  t: {cmd: opencode run}\n"), @r#"
    fornax.yaml:2:12: error: expected a list, found `opencode run`
    2 |   t: {cmd: opencode run}
      |            ^^^^^^^^^^^^
    "#);
    assert_snapshot!(check("tools:\n  t: {}\n  u: {cmd: []}\n  v: {cmd: ['{prompt}']}\n  w w: {cmd: [a], mode: interactiv, timeout_sec: 0}\n"), @r#"
    fornax.yaml:2:6: error: the key `cmd` is missing
    2 |   t: {}
      |      ^
    fornax.yaml:3:12: error: the argument vector is empty
    3 |   u: {cmd: []}
      |            ^
    fornax.yaml:4:13: error: the program must be written out, without variables
    4 |   v: {cmd: ['{prompt}']}
      |             ^^^^^^^^^^
    help: a template fills arguments; which program runs is not for it to say
    fornax.yaml:5:3: error: `w w` cannot be the name of a tool
    5 |   w w: {cmd: [a], mode: interactiv, timeout_sec: 0}
      |   ^^^
    help: use 1 to 64 letters, digits, `_` and `-`
    fornax.yaml:5:25: error: expected `batch`, found `interactiv`
    5 |   w w: {cmd: [a], mode: interactiv, timeout_sec: 0}
      |                         ^^^^^^^^^^
    fornax.yaml:5:50: error: expected a whole number from 1 to 31536000, found `0`
    5 |   w w: {cmd: [a], mode: interactiv, timeout_sec: 0}
      |                                                  ^
    "#);
    assert_snapshot!(check("tools:\n  t: {cmd: [a, '{promp}'], output: jsn, success_exit_codes: [0, 300]}\n"), @r#"
    fornax.yaml:2:17: error: unknown variable `{promp}`
    2 |   t: {cmd: [a, '{promp}'], output: jsn, success_exit_codes: [0, 300]}
      |                 ^^^^^^^
    help: did you mean `prompt`?
    fornax.yaml:2:36: error: expected one of `text`, `jsonl`, `none`, found `jsn`
    2 |   t: {cmd: [a, '{promp}'], output: jsn, success_exit_codes: [0, 300]}
      |                                    ^^^
    fornax.yaml:2:65: error: expected a whole number from 0 to 255, found `300`
    2 |  {cmd: [a, '{promp}'], output: jsn, success_exit_codes: [0, 300]}
      |                                                             ^^^
    "#);
    assert_snapshot!(check("tools:\n  t: {cmd: [a, '{inputs.x}', '{deps.b.results}']}\n"), @r#"
    plan.yaml:3:17: error: the tool `t` needs {inputs.x}, which this frame does not have
    3 | - {id: a, tool: t, prompt: x}
      |                 ^
    plan.yaml:3:17: error: the tool `t` needs {deps.b.results}, which this frame does not have
    3 | - {id: a, tool: t, prompt: x}
      |                 ^
    "#);
    assert_snapshot!(check("limits: {tasks: 0}\ndefaults: {tool: x, pool: y}\nredact:\n  rules:\n  - {name: a, pattern: '('}\n  - {name: b, pattern: 'x*'}\n  - {name: B, pattern: 'abcdef'}\n"), @r#"
    fornax.yaml:1:17: error: expected a whole number from 1 to 10000, found `0`
    1 | limits: {tasks: 0}
      |                 ^
    fornax.yaml:2:18: error: unknown tool `x`
    2 | defaults: {tool: x, pool: y}
      |                  ^
    help: known tools are claude, claude-print, codex, codex-exec, copilot, gemini, opencode, opencode-run, qwen, shell; others are added in fornax.yaml
    fornax.yaml:2:27: error: unknown pool `y`
    2 | defaults: {tool: x, pool: y}
      |                           ^
    help: add it under `pools`
    fornax.yaml:5:24: error: bad pattern: unclosed group
    5 |   - {name: a, pattern: '('}
      |                        ^^^
    fornax.yaml:6:24: error: redaction rule "b": a match of "x*" can be of any length; a log is redacted as it is written, so replace *, + and {n,} by bounds, such as {16,64}
    6 |   - {name: b, pattern: 'x*'}
      |                        ^^^^
    fornax.yaml:7:12: error: redaction rule "B": a name is 1 to 32 lower-case letters, digits and hyphens, because matches become [redacted:<name>]
    7 |   - {name: B, pattern: 'abcdef'}
      |            ^
    "#);
    assert_snapshot!(check("tools:\n  t: {cmd: [sh, -c, 'echo $(({prompt}))']}\n"), @r#"
    plan.yaml:3:17: error: {prompt} cannot stand inside of $((...)), where some shells run what a value holds
    3 | - {id: a, tool: t, prompt: x}
      |                 ^
    help: check the value with `case` and use the checked shell variable
    "#);
}

#[test]
fn inputs() {
    let plan = "name: p\ninputs: {where: {description: the folder}, mode: full}\nframes:\n- {id: a, run: ls, outputs: ['{inputs.where}/x']}\n";
    let plan = load_text(plan).unwrap();
    let check = |inputs: &[(&str, &str)]| {
        let inputs = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        render(
            &plan
                .resolve(inputs.collect())
                .expect_err("the inputs are refused"),
        )
    };
    assert_snapshot!(check(&[("mod", "x")]), @r#"
    error: the plan has no input `mod`
    help: did you mean `mode`?
    plan.yaml:2:10: error: the input `where` is missing (the folder)
    2 | inputs: {where: {description: the folder}, mode: full}
      |          ^^^^^
    help: give it: `--input where=...`
    "#);
    assert_snapshot!(check(&[("where", "../..")]), @r#"
    plan.yaml:4:30: error: `../../x` cannot be an output: `..` could leave the project's directory
    4 | - {id: a, run: ls, outputs: ['{inputs.where}/x']}
      |                              ^^^^^^^^^^^^^^^^^^
    help: write a path inside of the project, without `..`
    "#);
    assert_snapshot!(check(&[("where", "a\0b")]), @"error: bad input `where`: an input holds at most 1048576 bytes and no NUL character");
}

#[test]
fn much_is_cut() {
    let many: String = (0..80)
        .map(|i| format!("- {{id: a{i}, rum: ls}}\n"))
        .collect();
    let all = load_text(&format!("name: p\nframes:\n{many}")).unwrap_err();
    assert_eq!(all.len(), 51);
    assert_snapshot!(render(&all[50..]), @"error: there are more problems (30 not shown)");
    let long = format!(
        "name: p\nframes:\n- {{id: a, run: {}, rum: {}}}\n",
        "x".repeat(500),
        "y".repeat(500)
    );
    assert_snapshot!(errors(&long), @r#"
    plan.yaml:3:518: error: unknown key `rum`
    3 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, rum: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
      |                                                             ^^^
    help: did you mean `run`?
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- {id: \"\\e[31m\\u202e\", run: ls}\n"), @r#"
    plan.yaml:3:8: error: `�[31m�` cannot be the name of a frame
    3 | - {id: "\e[31m\u202e", run: ls}
      |        ^^^^^^^^^^^^^^
    help: use 1 to 64 letters, digits, `_` and `-`
    "#);
}

#[test]
fn warnings_do_not_refuse() {
    let files = [
        (
            "plan.yaml",
            "name: p\nframes:\n- {id: u, uses: inner.yaml}\n",
        ),
        (
            "inner.yaml",
            "name: q\non_failure: stop\nframes:\n- {id: a, run: ls}\n",
        ),
    ];
    let plan = load_files("", &files).unwrap();
    assert_snapshot!(render(&plan.warnings), @r#"
    plan.yaml:3:17: warning: `on_failure` of inner.yaml means nothing here
    3 | - {id: u, uses: inner.yaml}
      |                 ^^^^^^^^^^
    help: the outermost plan says what a failure means for the rest
    "#);
}

#[test]
fn agents() {
    let config = "tools:\n  a: {cmd: [claude, '{prompt}'], driver: claude, stdin: x}\n  b: {cmd: [b], jsonl: {result: x}}\n  c: {cmd: [c], driver: jsonl}\n  d: {cmd: [d], driver: cluade}\n";
    let files = [(
        "plan.yaml",
        "name: p\nframes:\n- {id: a, tool: a, prompt: x}\n",
    )];
    let said = render(&load_files(config, &files).expect_err("the configuration is refused"));
    for expected in [
        "fornax.yaml:2:21: error: the driver claude gives the agent its prompt",
        "fornax.yaml:2:57: error: `stdin` means nothing with the driver claude",
        "fornax.yaml:3:24: error: `jsonl` means nothing without `output: jsonl`",
        "fornax.yaml:4:25: error: the driver jsonl needs `output: jsonl`",
        "did you mean `claude`?",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    for (keys, expected) in [
        ("tool: [claude, claude]", "`claude` is tried already"),
        (
            "tool: claude, fallback_on: [auth]",
            "`fallback_on` means nothing with one tool",
        ),
        ("tool: [claude, cluade]", "did you mean `claude`?"),
    ] {
        let said = errors(&format!(
            "name: p\nframes:\n- {{id: a, prompt: x, {keys}}}\n"
        ));
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}
