//! What a plan becomes.

use std::collections::BTreeMap;

use super::super::config::{self, Config};
use super::super::{Task, graph, schema, single_task};
use super::*;
use fornax_core::agent::{DriverKind, Permissions};
use fornax_core::spec::{Compare, ErrorClass, FrameSpec, OnFailure};

fn frame<'a>(run: &'a RunSpec, key: &str) -> &'a FrameSpec {
    let found = run.frames.iter().find(|frame| frame.key == key);
    found.unwrap_or_else(|| panic!("there is no frame {key}"))
}

fn place(run: &RunSpec, key: &str) -> Option<usize> {
    run.frames.iter().position(|frame| frame.key == key)
}

fn cmd(frame: &FrameSpec) -> Vec<String> {
    let invocation = frame.invocation.as_ref().unwrap();
    invocation.cmd.iter().map(ToString::to_string).collect()
}

const RELEASE: &str = r#"
name: Weekly release
goal: Ship {inputs.version}
on_failure: stop
inputs:
  version: {description: what to ship}
  mode: full
  ratio: 1.10
defaults: {timeout: 10m, retries: 1, env: {LEVEL: info, MODE: "{inputs.mode}"}}
pools: {gpu: 2}
frames:
- id: facts
  run: git log --oneline
  outputs: facts.md
- id: write-the-notes
  goal: Write notes for {inputs.version}
  tool: claude
  model: opus
  prompt: "Notes from {deps.facts.results}, {{not}} {\"json\": 1}"
  needs: facts
  phase: docs
  agent_role: writer
  pool: gpu
  priority: 5
  timeout: 1h30m
  silence_timeout: 90s
  retries: 3
  backoff: {initial: 2s, max: 10s}
  retry_on: [api, rate_limit]
  env: {LEVEL: debug, RATIO: "{inputs.ratio}"}
  workdir: docs
  outputs: ["notes/{inputs.version}.md"]
  when: "{inputs.mode} == 'full'"
- id: build
  dependsOn: [facts]
  frames:
  - {id: compile, run: make}
  - {id: test, run: make test, depends_on: compile, parallel: [write-the-notes]}
"#;

#[test]
fn everything_has_its_place() {
    let run = resolve(RELEASE, &[("version", "2.0")]);
    assert_eq!(run.name, "Weekly release");
    assert_eq!(run.plan.as_deref(), Some("plan.yaml"));
    assert_eq!(run.on_failure, OnFailure::Stop);
    assert_eq!(run.pools, BTreeMap::from([("gpu".to_owned(), 2)]));
    assert_eq!(run.inputs["mode"], "full");
    assert_eq!(run.inputs["ratio"], "1.10");
    let keys: Vec<&str> = run.frames.iter().map(|frame| frame.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "weekly-release",
            "facts",
            "write-the-notes",
            "build",
            "build.compile",
            "build.test"
        ]
    );
    let root = &run.frames[0];
    assert_eq!(
        (root.title.as_str(), root.goal.as_str()),
        ("Weekly release", "Ship 2.0")
    );
    assert!(root.parent.is_none() && root.invocation.is_none());
    // Two frames are last: no one of them stands for all.
    assert_eq!(root.result_from, None);

    let notes = frame(&run, "write-the-notes");
    assert_eq!(notes.title, "Write the notes");
    assert_eq!(notes.goal, "Write notes for 2.0");
    assert_eq!(notes.depends_on, [1]);
    assert_eq!(notes.phase.as_deref(), Some("docs"));
    assert_eq!(notes.agent_role.as_deref(), Some("writer"));
    assert_eq!((notes.pool.as_deref(), notes.priority), (Some("gpu"), 5));
    assert_eq!(notes.outputs, ["notes/2.0.md"]);
    assert_eq!(
        (
            notes.retry.retries,
            notes.retry.backoff_ms,
            notes.retry.backoff_max_ms
        ),
        (3, 2_000, 10_000)
    );
    assert_eq!(notes.retry.on, [ErrorClass::Api, ErrorClass::RateLimit]);
    let when = notes.when.as_ref().unwrap();
    assert_eq!(when.compare, Compare::Equal);
    assert_eq!(when.holds(|_| Err("a variable is left")), Ok(true));

    let work = notes.invocation.as_ref().unwrap();
    assert_eq!(
        (work.timeout_ms, work.silence_ms),
        (Some(5_400_000), Some(90_000))
    );
    assert_eq!(work.model.as_deref(), Some("opus"));
    assert_eq!(work.workdir.as_deref(), Some("docs"));
    assert_eq!(
        work.prompt.as_ref().unwrap().to_string(),
        r#"Notes from {deps.facts.results}, {{not}} {{"json": 1}}"#
    );
    let env: Vec<_> = work
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(env, ["LEVEL=debug", "MODE=full", "RATIO=1.10"]);

    let build = frame(&run, "build");
    assert!(build.invocation.is_none());
    assert_eq!(
        (build.parent, build.depends_on.as_slice()),
        (Some(0), &[1][..])
    );
    assert_eq!(build.result_from, place(&run, "build.test"));
    let test = frame(&run, "build.test");
    assert_eq!(
        (test.parent, test.depends_on.as_slice()),
        (Some(3), &[4][..])
    );
    let defaults = test.invocation.as_ref().unwrap();
    assert_eq!(defaults.timeout_ms, Some(600_000));
    assert_eq!(test.retry.retries, 1);
}

#[test]
fn json_is_read_with_the_same_places() {
    let yaml = "{\n\t\"name\": \"caf\\u00e9 \\ud83d\\ude00\",\n\t\"frames\": [\n\t\t{\"id\": \"a\", \"run\": \"echo \\\"{deps.b.results}\\\"\\n\", \"needs\": [\"b\"]},\n\t\t{\"id\": \"b\", \"run\": \"ls\"}\n\t]\n}\n";
    let run = resolve(yaml, &[]);
    assert_eq!(run.name, "café 😀");
    let work = frame(&run, "a").invocation.as_ref().unwrap();
    assert_eq!(work.env["FORNAX_VAR_1"].to_string(), "{deps.b.results}");
    insta::assert_snapshot!(errors(&yaml.replace("ls", "{x}")), @r#"
    plan.yaml:5:23: error: unknown variable `{x}`
    5 |   {"id": "b", "run": "{x}"}
      |                       ^^^
    help: known are {prompt}, {model}, {goal}, {inputs.NAME}, {deps.ID.results}, {deps.ID.outputs}, {deps.ID.status}, {artifacts_dir}, {frame_id}, {run_id} and {env.NAME}; write {{ and }} for braces that are meant
    "#);
}

#[test]
fn anchors_and_merges_are_read() {
    let run = resolve(
        "name: p\nx-common: &common\n  retries: 4\n  env: &env {A: b}\nframes:\n- <<: *common\n  id: a\n  run: ls\n- <<: [{retries: 1}, *common]\n  id: b\n  run: ls\n  env: *env\n",
        &[],
    );
    assert_eq!(frame(&run, "a").retry.retries, 4);
    assert_eq!(frame(&run, "b").retry.retries, 1);
    let env = &frame(&run, "b").invocation.as_ref().unwrap().env;
    assert_eq!(env["A"].to_string(), "b");
}

#[test]
fn the_model_is_left_out_where_none_is_named() {
    let config = "tools: {agent: {cmd: [agent, run, --model, '{model}', --, '{prompt}']}}\n";
    let argv = |model: &str, inputs: &[(&str, &str)]| {
        let plan = format!(
            "name: p\ninputs: {{m: ''}}\nframes:\n- {{id: a, tool: agent, prompt: hi{model}}}\n"
        );
        let plan = load_files(config, &[("plan.yaml", &plan)]).unwrap();
        let inputs = inputs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        cmd(frame(&plan.resolve(inputs.collect()).unwrap(), "a")).join(" ")
    };
    assert_eq!(argv("", &[]), "agent run -- {prompt}");
    assert_eq!(
        argv(", model: x/y", &[]),
        "agent run --model {model} -- {prompt}"
    );
    assert_eq!(argv(", model: '{inputs.m}'", &[]), "agent run -- {prompt}");
    assert_eq!(
        argv(", model: '{inputs.m}'", &[("m", "z")]),
        "agent run --model {model} -- {prompt}"
    );
}

#[test]
fn the_presets_speak_with_their_agents() {
    for (tool, driver) in [
        ("opencode", DriverKind::Opencode),
        ("opencode-run", DriverKind::OpencodeRun),
        ("claude", DriverKind::Claude),
        ("claude-print", DriverKind::ClaudePrint),
        ("codex", DriverKind::Codex),
        ("codex-exec", DriverKind::CodexExec),
        ("gemini", DriverKind::Acp),
    ] {
        let plan = format!("name: p\nframes:\n- {{id: a, tool: {tool}, prompt: hi, model: m}}\n");
        let run = resolve(&plan, &[]);
        let invocation = frame(&run, "a").invocation.as_ref().unwrap();
        assert_eq!(invocation.driver, Some(driver), "{tool}");
        assert_eq!(invocation.permissions, Permissions::Ask);
        assert_eq!(invocation.model.as_deref(), Some("m"));
    }
}

#[test]
fn a_chain_of_tools_has_a_command_for_each() {
    let config = "tools:\n  a: {cmd: [a, '{prompt}'], model: small, env: {X: a}}\n  b: {cmd: [b, '{prompt}', '{model}'], model: other}\n  c: {cmd: [c], driver: claude, permissions: deny}\n";
    let plan = "name: p\ninputs: {who: you}\ndefaults: {tool: [a, b, c], permissions: allow}\nframes:\n- {id: one, prompt: 'hi {inputs.who}', model: mine, workdir: sub}\n- {id: two, tool: b, prompt: x}\n- {id: three, prompt: x, fallback_on: [gate], permissions: ask}\n";
    let plan = load_files(config, &[("plan.yaml", plan)]).unwrap();
    let run = plan.resolve(BTreeMap::new()).unwrap();
    let one = frame(&run, "one");
    let tools: Vec<_> = (0..4)
        .filter_map(|place| one.invocation_at(place))
        .map(|invocation| {
            let prompt = invocation.prompt.as_ref().map(ToString::to_string);
            (
                invocation.tool.as_str(),
                invocation.model.as_deref(),
                invocation.workdir.as_deref(),
                prompt.unwrap(),
            )
        })
        .collect();
    let prompt = || "hi you".to_owned();
    assert_eq!(
        tools,
        [
            ("a", Some("mine"), Some("sub"), prompt()),
            ("b", Some("other"), Some("sub"), prompt()),
            ("c", None, Some("sub"), prompt()),
        ]
    );
    use ErrorClass as E;
    assert_eq!(
        one.fallback_on,
        [E::ToolMissing, E::Auth, E::RateLimit, E::Api]
    );
    assert_eq!(
        one.invocation_at(2).unwrap().permissions,
        Permissions::Allow
    );
    // A frame that names one tool has no others after it.
    assert!(frame(&run, "two").fallbacks.is_empty());
    let three = frame(&run, "three");
    assert_eq!(three.fallback_on, [E::Gate]);
    assert_eq!(
        three.invocation_at(2).unwrap().permissions,
        Permissions::Ask
    );
}

#[test]
fn lines_of_json_are_mapped() {
    let config = "tools:\n  t:\n    cmd: [t]\n    output: jsonl\n    jsonl: {result: a.b, input: usage.in, cumulative: true}\n";
    let plan = "name: p\nframes:\n- {id: a, tool: t, prompt: x}\n";
    let plan = load_files(config, &[("plan.yaml", plan)]).unwrap();
    let run = plan.resolve(BTreeMap::new()).unwrap();
    let invocation = frame(&run, "a").invocation.as_ref().unwrap();
    assert_eq!(invocation.driver, Some(DriverKind::Jsonl));
    let mapping = invocation.mapping.as_ref().unwrap();
    assert_eq!(mapping.result.as_deref(), Some("a.b"));
    assert_eq!(mapping.input.as_deref(), Some("usage.in"));
    assert!(mapping.cumulative && mapping.error.is_none());
}

#[test]
fn settings_cover_one_another() {
    let config = r#"
tools:
  agent:
    cmd: [my-agent, "--model={model}", "--goal", "{goal}", "{inputs.mode}"]
    model: small
    env: {A: tool, B: tool}
    timeout_sec: 60
    silence_sec: 5
    stdin: "{prompt}"
    output: none
    success_exit_codes: [0, 3]
    redact: false
pools: {net: 3}
limits: {tasks: 4}
defaults: {tool: agent, timeout: 1h, pool: net, env: {A: project, B: project, C: project}, model: big}
redact: {rules: [{name: ticket, pattern: "T-[0-9]{3,9}"}]}
"#;
    let plan = "name: p\ninputs: {mode: m}\ndefaults: {env: {B: plan}}\nframes:\n- {id: a, goal: Do it}\n- {id: b, run: ls, pool: net}\n- {id: c, tool: agent, prompt: x, timeout: 5s, model: mine, env: {B: frame}}\n";
    let plan = load_files(config, &[("plan.yaml", plan)])
        .unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let run = plan.resolve(BTreeMap::new()).unwrap();
    let project = Source {
        name: "fornax.yaml".to_owned(),
        text: config.to_owned(),
    };
    let project = Config::load(Some(project)).unwrap();
    assert_eq!((project.max_tasks, project.pools["net"]), (Some(4), 3));
    assert_eq!(project.rules.redact("see T-1234"), "see [redacted:ticket]");
    assert_eq!(project.redact.len(), 1);
    let a = frame(&run, "a").invocation.clone().unwrap();
    assert_eq!(a.tool, "agent");
    assert_eq!(a.prompt.unwrap().to_string(), "Do it");
    assert_eq!(a.model.as_deref(), Some("small"));
    assert_eq!((a.timeout_ms, a.silence_ms), (Some(60_000), Some(5_000)));
    assert_eq!((a.success_exit_codes, a.redact), (vec![0, 3], false));
    assert_eq!(a.stdin.unwrap().to_string(), "{prompt}");
    assert_eq!(a.cmd[4].to_string(), "m");
    let env: Vec<_> = a
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(env, ["A=tool", "B=plan", "C=project"]);
    let b = frame(&run, "b");
    assert_eq!(b.pool.as_deref(), Some("net"));
    assert_eq!(b.invocation.as_ref().unwrap().timeout_ms, Some(3_600_000));
    let c = frame(&run, "c").invocation.clone().unwrap();
    assert_eq!(
        (c.timeout_ms, c.model.as_deref()),
        (Some(5_000), Some("mine"))
    );
    assert_eq!(c.env["B"].to_string(), "frame");
}

#[test]
fn a_plan_that_is_used_nests() {
    let outer = "name: outer\ninputs: {v: '1'}\nframes:\n- {id: prepare, run: ls}\n- id: inner\n  uses: inner.yaml\n  needs: prepare\n  with: {version: 'v{inputs.v}{{}'}\n- {id: after, run: 'echo {deps.inner.results}', needs: inner}\n- {id: again, uses: inner.yaml, with: {version: x}}\n";
    let inner = "name: Inner\ngoal: Build {inputs.version}\nresult: b\ninputs: {version: , level: '{x}'}\npools: {p: 1}\ndefaults: {retries: 2}\nframes:\n- {id: a, run: 'echo {inputs.version} {inputs.level}', pool: p}\n- {id: b, run: 'echo {deps.a.results}', needs: a, title: 'To {inputs.version}', outputs: '{inputs.version}.txt'}\n- {id: c, run: ls, needs: b}\n";
    let files = [("plan.yaml", outer), ("inner.yaml", inner)];
    let plan = load_files("", &files).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let run = plan
        .resolve(BTreeMap::from([("v".to_owned(), "{goal}".to_owned())]))
        .unwrap();
    let keys: Vec<&str> = run.frames.iter().map(|frame| frame.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "outer", "prepare", "inner", "inner.a", "inner.b", "inner.c", "after", "again",
            "again.a", "again.b", "again.c"
        ]
    );
    let group = frame(&run, "inner");
    assert_eq!(group.goal, "Build v{goal}{}");
    assert_eq!(group.result_from, place(&run, "inner.b"));
    let a = frame(&run, "inner.a");
    assert_eq!(
        (a.parent, a.retry.retries, a.pool.as_deref()),
        (Some(2), 2, Some("p"))
    );
    let work = a.invocation.as_ref().unwrap();
    assert_eq!(
        work.prompt.as_ref().unwrap().to_string(),
        r#"echo "${{FORNAX_VAR_1}}" "${{FORNAX_VAR_2}}""#
    );
    // A value is data: what looks like a variable in it is none.
    assert_eq!(work.env["FORNAX_VAR_1"].to_string(), "v{{goal}}{{}}");
    assert_eq!(work.env["FORNAX_VAR_2"].to_string(), "{{x}}");
    let b = frame(&run, "inner.b");
    assert_eq!(
        (b.title.as_str(), b.outputs.as_slice()),
        ("To v{goal}{}", &["v{goal}{}.txt".to_owned()][..])
    );
    assert_eq!(b.depends_on, [3]);
    let work = b.invocation.as_ref().unwrap();
    assert_eq!(work.env["FORNAX_VAR_1"].to_string(), "{deps.a.results}");
    assert_eq!(frame(&run, "after").depends_on, [2]);
    assert_eq!(run.pools["p"], 1);
}

#[test]
fn conditions_are_parsed() {
    let when = |text: &str| {
        let plan = format!(
            "name: p\ninputs: {{mode: full, empty: ''}}\nframes:\n- {{id: d, run: ls}}\n- id: a\n  run: ls\n  needs: d\n  when: {text}\n"
        );
        let run = resolve(&plan, &[]);
        let when = frame(&run, "a").when.clone().unwrap();
        when.holds(|variable| Ok::<_, ()>(format!("<{variable}>")))
            .unwrap()
    };
    for (text, holds) in [
        (r#""{inputs.mode} == full""#, true),
        (r#""{inputs.mode}==full""#, true),
        (r#""{inputs.mode} != 'full'""#, false),
        (r#"'"x == y" != {inputs.mode}'"#, true),
        (r#""{inputs.mode}""#, true),
        (r#""{inputs.empty}""#, false),
        (r#""{inputs.empty} == ''""#, true),
        (r#""{deps.d.results} == '<deps.d.results>'""#, true),
        (r#""{deps.d.status} != completed""#, true),
    ] {
        assert_eq!(when(text), holds, "{text}");
    }
}

#[test]
fn a_single_task_is_a_run() {
    let config = Config::load(None).unwrap();
    let task = Task {
        tool: "opencode".to_owned(),
        prompt: "Fix {this} and {{that}} {prompt}".to_owned(),
        model: Some("m".to_owned()),
        timeout_ms: Some(5),
        env: BTreeMap::from([("A".to_owned(), "{x}".to_owned())]),
        ..Task::default()
    };
    let run = single_task(&task, &config).unwrap();
    assert_eq!((run.plan.as_deref(), run.frames.len()), (None, 2));
    let frame = &run.frames[1];
    assert_eq!((frame.key.as_str(), frame.parent), ("task", Some(0)));
    assert_ne!(run.frames[0].key, "task");
    let work = frame.invocation.as_ref().unwrap();
    let prompt = work.prompt.as_ref().unwrap().fill(|_| Err("a variable"));
    assert_eq!(prompt.as_deref(), Ok(task.prompt.as_str()));
    assert_eq!(work.env["A"].fill(|_| Err(())).as_deref(), Ok("{x}"));
    assert_eq!(
        (work.model.as_deref(), work.timeout_ms),
        (Some("m"), Some(5))
    );
    assert_eq!(frame.goal, task.prompt);

    let unknown = Task {
        tool: "opncode".to_owned(),
        workdir: Some("..".to_owned()),
        ..task
    };
    let errors = single_task(&unknown, &config).unwrap_err();
    insta::assert_snapshot!(render(&errors), @r#"
    error: unknown tool `opncode`
    help: did you mean `opencode`?
    "#);
    let outside = Task {
        tool: "shell".to_owned(),
        ..unknown
    };
    let errors = single_task(&outside, &config).unwrap_err();
    insta::assert_snapshot!(render(&errors), @r#"
    error: `..` cannot be the working directory: `..` could leave the project's directory
    help: write a path inside of the project, without `..`
    "#);
}

#[test]
fn titles_fall_back_on_the_goal() {
    let run = resolve(
        "name: p\nframes:\n- {id: a, goal: Collect the facts about the bug, run: ls}\n",
        &[],
    );
    assert_eq!(frame(&run, "a").title, "Collect the facts");
    let run = resolve(
        "name: a\nframes:\n- {id: a, run: ls}\n- {id: a-plan, run: ls}\n",
        &[],
    );
    assert_eq!(run.frames[0].key, "a-plan-plan");
    assert_eq!(frame(&run, "a").goal, "A");
}

#[test]
fn the_graph_is_drawn() {
    let run = resolve(RELEASE, &[("version", "2.0")]);
    insta::assert_snapshot!(graph::draw(&run), @r#"
    Weekly release (5 frames, 4 layers)

       1 facts  Facts

       2 write-the-notes  Write the notes  <- facts
         build            Build  <- facts

       3 build.compile  Compile

       4 build.test  Test  <- build.compile
    "#);
    let many: String = (0..10_000)
        .map(|i| {
            format!(
                "- {{id: f{i}, run: ls, needs: [{}]}}\n",
                if i < 5_000 {
                    String::new()
                } else {
                    format!("f{}, f0, f1, f2, f3, f4, f5, f6", i - 1)
                }
            )
        })
        .collect();
    let plan = load_text(&format!("name: big\nframes:\n{many}")).unwrap();
    let drawn = plan.draw();
    assert!(drawn.lines().count() < 300, "{}", drawn.lines().count());
    let cut: Vec<&str> = drawn
        .lines()
        .take(5)
        .chain(drawn.lines().skip(24))
        .collect();
    insta::assert_snapshot!(cut[..12].join("\n"), @r#"
    big (10000 frames, 5001 layers)

       1 f0   F0
         f1   F1
         f2   F2
         f22  F22
         f23  F23
         ... 4976 more frames in this layer

       2 f5000  F5000  <- f0, f1, f2, f3, f4, f5 and 2 more

       3 f5001  F5001  <- f0, f1, f2, f3, f4, f5 and 2 more
    "#);
    insta::assert_snapshot!(drawn.lines().last().unwrap().trim(), @"... 4901 more layers with 4901 frames");
}

/// The schema is made of the same declaration as the reader; here it is held against real files.
#[test]
fn the_schema_knows_what_the_reader_knows() {
    let plan = schema();
    let frame = &plan["definitions"]["Frame"]["properties"];
    for key in [
        "id",
        "dependsOn",
        "needs",
        "depends_on",
        "uses",
        "with",
        "retry_on",
        "frames",
    ] {
        assert!(frame[key]["description"].is_string(), "{key}");
    }
    assert_eq!(plan["definitions"]["Frame"]["additionalProperties"], false);
    assert_eq!(plan["required"], serde_json::json!(["name", "frames"]));
    assert_eq!(
        plan["definitions"]["Frame"]["required"],
        serde_json::json!(["id"])
    );
    let retry_on = frame["retry_on"].to_string();
    assert!(retry_on.contains("rate_limit"), "{retry_on}");
    let tools = config::schema()["definitions"]["Tool"]["properties"].clone();
    let keys: Vec<&String> = tools.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "cmd",
            "driver",
            "env",
            "jsonl",
            "mode",
            "model",
            "model_retries",
            "output",
            "permissions",
            "redact",
            "silence_sec",
            "stack",
            "stdin",
            "success_exit_codes",
            "timeout_sec"
        ]
    );
}
