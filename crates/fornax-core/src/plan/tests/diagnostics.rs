//! Every kind of mistake, with its place and what is said about it.

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
    help: known keys are id, goal, title, run, tool, prompt, model, depends_on, parallel, outputs, phase, agent_role, pool, priority, timeout, silence_timeout, retries, backoff, retry_on, env, workdir, when, uses, with, frames, result
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
fn ids() {
    assert_snapshot!(frame_errors("id: a\nrun: ls"), @r#"
    plan.yaml:5:7: error: there are two frames `a`
    5 | - id: a
      |       ^
    plan.yaml:3:7: note: the first stands here
    3 | - id: a
      |       ^
    "#);
    assert_snapshot!(frame_errors("id: ../../etc\nrun: ls"), @r#"
    plan.yaml:5:7: error: `../../etc` cannot be the name of a frame
    5 | - id: ../../etc
      |       ^^^^^^^^^
    help: use 1 to 64 letters, digits, `_` and `-`
    "#);
    assert_snapshot!(frame_errors("id: a.b\nrun: ls"), @r#"
    plan.yaml:5:7: error: `a.b` cannot be the name of a frame
    5 | - id: a.b
      |       ^^^
    help: use 1 to 64 letters, digits, `_` and `-`
    "#);
    assert_snapshot!(frame_errors("run: ls"), @r#"
    plan.yaml:5:3: error: the key `id` is missing
    5 | - run: ls
      |   ^
    "#);
}

#[test]
fn dependencies() {
    assert_snapshot!(frame_errors("id: build\nrun: ls\nneeds: [a, bild, c]"), @r#"
    plan.yaml:7:14: error: unknown dependency `bild`
    7 |   needs: [a, bild, c]
      |              ^^^^
    help: did you mean `build`?
    plan.yaml:7:20: error: unknown dependency `c`
    7 |   needs: [a, bild, c]
      |                    ^
    help: frames that it can name are a, build
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nneeds: b"), @r#"
    plan.yaml:7:10: error: frames wait for one another in a circle: b -> b
    7 |   needs: b
      |          ^
    help: take one of these dependencies out
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- {id: z, run: ls, needs: [c]}\n- {id: a, run: ls, needs: c}\n- id: b\n  run: ls\n  dependsOn:\n  - a\n- {id: c, run: ls, depends_on: [b]}\n"), @r#"
    plan.yaml:4:27: error: frames wait for one another in a circle: a -> c -> b -> a
    4 | - {id: a, run: ls, needs: c}
      |                           ^
    plan.yaml:4:27: note: `a` depends on `c`
    4 | - {id: a, run: ls, needs: c}
      |                           ^
    plan.yaml:9:33: note: `c` depends on `b`
    9 | - {id: c, run: ls, depends_on: [b]}
      |                                 ^
    plan.yaml:8:5: note: `b` depends on `a`
    8 |   - a
      |     ^
    help: take one of these dependencies out
    "#);
}

#[test]
fn circles_through_nested_frames() {
    assert_snapshot!(errors("name: p\nframes:\n- id: g\n  frames:\n  - {id: a, run: ls, needs: g}\n"), @r#"
    plan.yaml:5:10: error: frames wait for one another in a circle: g -> g.a -> g
    5 |   - {id: a, run: ls, needs: g}
      |          ^
    plan.yaml:5:10: note: `g` ends with `g.a`, which is in it
    5 |   - {id: a, run: ls, needs: g}
      |          ^
    plan.yaml:5:29: note: `g.a` depends on `g`
    5 |   - {id: a, run: ls, needs: g}
      |                             ^
    help: take one of these dependencies out
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- id: g\n  needs: b\n  frames:\n  - {id: a, run: ls}\n- {id: b, run: ls, needs: g.a}\n"), @r#"
    plan.yaml:4:10: error: frames wait for one another in a circle: g -> b -> g.a -> g
    4 |   needs: b
      |          ^
    plan.yaml:4:10: note: `g` depends on `b`
    4 |   needs: b
      |          ^
    plan.yaml:7:27: note: `b` depends on `g.a`
    7 | - {id: b, run: ls, needs: g.a}
      |                           ^^^
    plan.yaml:6:10: note: `g.a` starts with `g`, which it is in
    6 |   - {id: a, run: ls}
      |          ^
    help: take one of these dependencies out
    "#);
}

#[test]
fn promises_of_parallel_work() {
    let chain = "name: p\nframes:\n- {id: a, run: ls}\n- {id: b, run: ls, needs: a}\n";
    assert_snapshot!(errors(&format!("{chain}- {{id: c, run: ls, needs: b, parallel: [a]}}\n")), @r#"
    plan.yaml:5:41: error: `c` cannot run beside `a`: it waits for it: c -> b -> a
    5 | - {id: c, run: ls, needs: b, parallel: [a]}
      |                                         ^
    help: take the dependency or the promise out
    "#);
    assert_snapshot!(errors(&format!("{chain}- {{id: c, run: ls, parallel: [a, b]}}\n")), @r#"
    plan.yaml:5:31: error: `b` cannot run beside `a`: it waits for it: b -> a
    5 | - {id: c, run: ls, parallel: [a, b]}
      |                               ^
    help: take the dependency or the promise out
    "#);
    assert_snapshot!(errors(&format!("{chain}- {{id: c, run: ls, parallel: [c, d]}}\n")), @r#"
    plan.yaml:5:31: error: `c` stands beside itself
    5 | - {id: c, run: ls, parallel: [c, d]}
      |                               ^
    plan.yaml:5:34: error: unknown frame `d`
    5 | - {id: c, run: ls, parallel: [c, d]}
      |                                  ^
    help: frames that it can name are a, b, c
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- id: g\n  frames:\n  - {id: a, run: ls, parallel: [g]}\n"), @r#"
    plan.yaml:5:33: error: `g` cannot run beside `g.a`, which is in it
    5 |   - {id: a, run: ls, parallel: [g]}
      |                                 ^
    "#);
}

#[test]
fn kinds_of_work() {
    assert_snapshot!(frame_errors("id: b"), @r#"
    plan.yaml:5:7: error: the frame has nothing to do
    5 | - id: b
      |       ^
    help: add `run`, `tool` with `prompt`, `uses` or `frames`
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\ntool: claude"), @r#"
    plan.yaml:7:9: error: a frame has `run` or `tool`, not both
    7 |   tool: claude
      |         ^^^^^^
    plan.yaml:6:8: note: `run` stands here
    6 |   run: ls
      |        ^^
    "#);
    assert_snapshot!(frame_errors("id: b\ntool: claude"), @r#"
    plan.yaml:6:9: error: the frame's tool has nothing to do
    6 |   tool: claude
      |         ^^^^^^
    help: add a `prompt` or a `goal`
    "#);
    assert_snapshot!(frame_errors("id: b\nprompt: hello"), @r#"
    plan.yaml:5:7: error: the frame has a prompt and no tool
    5 | - id: b
      |       ^
    help: add `tool: NAME`, or one for all under `defaults`
    "#);
    assert_snapshot!(frame_errors("id: b\ntool: cloude\nprompt: hello"), @r#"
    plan.yaml:6:9: error: unknown tool `cloude`
    6 |   tool: cloude
      |         ^^^^^^
    help: did you mean `claude`?
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nprompt: x\nresult: c\nwith: {a: b}"), @r#"
    plan.yaml:7:11: error: `prompt` means nothing beside `run`
    7 |   prompt: x
      |           ^
    plan.yaml:8:11: error: `result` means nothing beside `run`
    8 |   result: c
      |           ^
    plan.yaml:9:9: error: `with` means nothing beside `run`
    9 |   with: {a: b}
      |         ^
    "#);
    assert_snapshot!(frame_errors("id: b\ntimeout: 5m\nframes: [{id: c, run: ls}]"), @r#"
    plan.yaml:6:12: error: `timeout` means nothing beside `frames`
    6 |   timeout: 5m
      |            ^^
    help: set it on the frames inside, or for all under `defaults`
    "#);
    assert_snapshot!(frame_errors("id: b\nresult: x\nframes: [{id: c, run: ls}]"), @r#"
    plan.yaml:6:11: error: there is no frame `x` among these
    6 |   result: x
      |           ^
    "#);
    assert_snapshot!(frame_errors("id: b\npool: gpus\nrun: ls"), @r#"
    plan.yaml:6:9: error: unknown pool `gpus`
    6 |   pool: gpus
      |         ^^^^
    help: add it: `pools: {gpus: 1}`
    "#);
}

#[test]
fn variables() {
    assert_snapshot!(frame_errors("id: b\nrun: |\n  echo ${promt}\n  echo {promt}"), @r#"
    plan.yaml:8:10: error: unknown variable `{promt}`
    8 |     echo {promt}
      |          ^^^^^^^
    help: did you mean `prompt`?
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: echo {inputs.x}"), @r#"
    plan.yaml:6:13: error: there is no input `x`
    6 |   run: echo {inputs.x}
      |             ^^^^^^^^^^
    help: declare it: `inputs: {x: ...}`
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: echo {deps.a.results} {deps.c.results}"), @r#"
    plan.yaml:6:13: error: `a` is not among the frame's dependencies
    6 |   run: echo {deps.a.results} {deps.c.results}
      |             ^^^^^^^^^^^^^^^^
    help: add it: `depends_on: [a]`
    plan.yaml:6:30: error: there is no frame `c`
    6 |   run: echo {deps.a.results} {deps.c.results}
      |                              ^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: echo {prompt} {env.A-B}\ngoal: \"{deps.a.results}\""), @r#"
    plan.yaml:7:13: error: a prompt cannot hold itself
    7 |   run: echo {prompt} {env.A-B}
      |             ^^^^^^^^
    help: leave {prompt} out
    plan.yaml:7:22: error: `A-B` cannot name a variable
    7 |   run: echo {prompt} {env.A-B}
      |                      ^^^^^^^^^
    plan.yaml:8:10: error: {deps.a.results} cannot stand here
    8 |   goal: "{deps.a.results}"
      |          ^^^^^^^^^^^^^^^^
    help: only {inputs.NAME} is known before the run starts
    "#);
    assert_snapshot!(errors("name: p\ninputs: {mode: full}\nframes:\n- {id: a, run: 'echo {inputs.moda}'}\n"), @r#"
    plan.yaml:4:22: error: there is no input `moda`
    4 | - {id: a, run: 'echo {inputs.moda}'}
      |                      ^^^^^^^^^^^^^
    help: did you mean `{inputs.mode}`?
    "#);
    assert_snapshot!(errors("name: p\nframes:\n- id: g\n  frames: [{id: t, run: ls}]\n- {id: t, run: ls}\n- {id: a, needs: [g.t, t], run: 'echo {deps.t.results}'}\n"), @r#"
    plan.yaml:6:39: error: two dependencies of the frame are called `t`
    6 | - {id: a, needs: [g.t, t], run: 'echo {deps.t.results}'}
      |                                       ^^^^^^^^^^^^^^^^
    help: give one of them another id
    "#);
}

#[test]
fn variables_where_a_shell_would_parse_them() {
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: echo $((1 + {deps.a.results}))"), @r#"
    plan.yaml:7:20: error: {deps.a.results} cannot stand inside of $((...)), where some shells run what a value holds
    7 |   run: echo $((1 + {deps.a.results}))
      |                    ^^^^^^^^^^^^^^^^
    help: check the value with `case` and use the checked shell variable
    "#);
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: |\n  cat <<'EOF'\n  {deps.a.results}\n  EOF"), @r#"
    plan.yaml:9:5: error: {deps.a.results} cannot stand in a here document whose delimiter is quoted, where nothing is expanded
    9 |     {deps.a.results}
      |     ^^^^^^^^^^^^^^^^
    help: leave the quotes of the delimiter out
    "#);
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: echo \\{deps.a.results}"), @r#"
    plan.yaml:7:14: error: {deps.a.results} cannot stand after a backslash
    7 |   run: echo \{deps.a.results}
      |              ^^^^^^^^^^^^^^^^
    help: leave the backslash out
    "#);
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: echo $'{deps.a.results}'"), @r#"
    plan.yaml:7:15: error: {deps.a.results} cannot stand inside of $'...'
    7 |   run: echo $'{deps.a.results}'
      |               ^^^^^^^^^^^^^^^^
    help: use double quotes
    "#);
    assert_snapshot!(frame_errors("id: b\nneeds: a\nrun: cat <<{deps.a.results}"), @r#"
    plan.yaml:7:14: error: {deps.a.results} cannot stand as the delimiter of a here document
    7 |   run: cat <<{deps.a.results}
      |              ^^^^^^^^^^^^^^^^
    help: write the delimiter out
    "#);
}

#[test]
fn conditions() {
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: maybe"), @r#"
    plan.yaml:7:9: error: `maybe` is not a condition
    7 |   when: maybe
      |         ^^^^^
    help: write `"{inputs.x} == text"`, `"{deps.a.results} != ''"`, or a variable alone, which holds when it is not empty
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: a == b"), @r#"
    plan.yaml:7:9: error: `a == b` is not a condition
    7 |   when: a == b
      |         ^^^^^^
    help: write `"{inputs.x} == text"`, `"{deps.a.results} != ''"`, or a variable alone, which holds when it is not empty
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: \"{deps.a.results} ==\""), @r#"
    plan.yaml:7:9: error: `{deps.a.results} ==` is not a condition
    7 |   when: "{deps.a.results} =="
      |         ^^^^^^^^^^^^^^^^^^^^^
    help: write `"{inputs.x} == text"`, `"{deps.a.results} != ''"`, or a variable alone, which holds when it is not empty
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: \"{deps.a.results} == x\""), @r#"
    plan.yaml:7:10: error: `a` is not among the frame's dependencies
    7 |   when: "{deps.a.results} == x"
      |          ^^^^^^^^^^^^^^^^
    help: add it: `depends_on: [a]`
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: \"{run_id} == x\""), @r#"
    plan.yaml:7:10: error: {run_id} cannot stand here
    7 |   when: "{run_id} == x"
      |          ^^^^^^^^
    help: a condition takes {inputs.NAME}, {deps.ID.results}, {deps.ID.outputs} and {deps.ID.status}
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nwhen: \"{status} == x\""), @r#"
    plan.yaml:7:10: error: unknown variable `{status}`
    7 |   when: "{status} == x"
      |          ^^^^^^^^
    help: known are {prompt}, {model}, {goal}, {inputs.NAME}, {deps.ID.results}, {deps.ID.outputs}, {deps.ID.status}, {artifacts_dir}, {frame_id}, {run_id} and {env.NAME}; write {{ and }} for braces that are meant
    "#);
}

#[test]
fn paths_and_secrets() {
    assert_snapshot!(frame_errors("id: b\nrun: ls\noutputs: [../x, /etc/passwd, a/../../b]\nworkdir: ~/x"), @r#"
    plan.yaml:7:13: error: `../x` cannot be an output: `..` could leave the project's directory
    7 |   outputs: [../x, /etc/passwd, a/../../b]
      |             ^^^^
    help: write a path inside of the project, without `..`
    plan.yaml:7:19: error: `/etc/passwd` cannot be an output: it is not relative
    7 |   outputs: [../x, /etc/passwd, a/../../b]
      |                   ^^^^^^^^^^^
    help: write a path inside of the project, without `..`
    plan.yaml:7:32: error: `a/../../b` cannot be an output: `..` could leave the project's directory
    7 |   outputs: [../x, /etc/passwd, a/../../b]
      |                                ^^^^^^^^^
    help: write a path inside of the project, without `..`
    plan.yaml:8:12: error: `~/x` cannot be the working directory: it is not relative
    8 |   workdir: ~/x
      |            ^^^
    help: write a path inside of the project, without `..`
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\noutputs: [\"\", \"a\\nb\"]"), @r#"
    plan.yaml:7:13: error: `` cannot be an output: it is empty
    7 |   outputs: ["", "a\nb"]
      |             ^^
    help: write a path inside of the project, without `..`
    plan.yaml:7:17: error: `a�b` cannot be an output: it holds a line break
    7 |   outputs: ["", "a\nb"]
      |                 ^^^^^^
    help: write a path inside of the project, without `..`
    "#);
    assert_snapshot!(frame_errors("id: b\nrun: ls\nenv:\n  GH: ghp_Zx8Qm2Lk9Vt4Rw7Yb1Nc6Hd3Jf5Gs0PaEuTi\n  DB_PASSWORD: hunter2hunter2\n  DB_PASSWORD_FILE: /run/secrets/db\n  API_KEY: \"{env.API_KEY}\"\n  SECRET_MODE: \"on\"\n  MAX_TOKENS: 4096\n  TOKEN: \"\""), @r#"
    plan.yaml:8:9: error: the value of `GH` looks like a secret
    8 |     GH: ****************************************
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    help: pass it from your environment: `GH: "{env.GH}"`
    plan.yaml:9:18: error: the value of `DB_PASSWORD` looks like a secret
    9 |     DB_PASSWORD: **************
      |                  ^^^^^^^^^^^^^^
    help: pass it from your environment: `DB_PASSWORD: "{env.DB_PASSWORD}"`
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
    fornax.yaml:2:36: error: expected one of `text`, `none`, found `jsn`
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
    assert_snapshot!(check("limits: {tasks: 0}\ndefaults: {tool: x, pool: y}\nredact:\n  rules:\n  - {name: a, pattern: '('}\n  - {name: b, pattern: 'x*'}\n"), @r#"
    fornax.yaml:1:17: error: expected a whole number from 1 to 10000, found `0`
    1 | limits: {tasks: 0}
      |                 ^
    fornax.yaml:2:18: error: unknown tool `x`
    2 | defaults: {tool: x, pool: y}
      |                  ^
    help: known tools are claude, codex, opencode, shell; others are added in fornax.yaml
    fornax.yaml:2:27: error: unknown pool `y`
    2 | defaults: {tool: x, pool: y}
      |                           ^
    help: add it under `pools`
    fornax.yaml:5:24: error: bad pattern: unclosed group
    5 |   - {name: a, pattern: '('}
      |                        ^^^
    fornax.yaml:6:24: error: the pattern matches where nothing stands
    6 |   - {name: b, pattern: 'x*'}
      |                        ^^^^
    help: use `+` instead of `*`
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
    help: give it: `where=...`
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
