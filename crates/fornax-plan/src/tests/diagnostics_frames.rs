//! Every kind of mistake in frames, with its place and what is said about it.

use insta::assert_snapshot;

use super::*;

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
