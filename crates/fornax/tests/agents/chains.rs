//! What goes on when a tool cannot: the next of a chain, a provider's moment; and tools that write
//! lines of JSON.

use crate::stage::Stage;
use crate::total;

/// A tool that writes lines of JSON: what it used, and how it went.
const LINES: &str = r#"tools:
  lines:
    cmd: [sh, -c, "{prompt}"]
    output: jsonl
    jsonl: {result: say, error: error, session: id, model: model, input: in, output: out, cost_usd: cost, cumulative: true}
  other:
    cmd: [sh, -c, "echo the other did it"]
  missing:
    cmd: [there-is-no-such-program, "{prompt}"]
"#;

#[test]
fn lines_of_json_tell_usage_and_result() {
    let stage = Stage::with_tools("opencode", LINES);
    let lines = r#"echo '{"id":"s-1","model":"small"}'; echo no json; echo '{"in":10,"out":1,"cost":0.5}'; echo '{"say":"halfway"}'; echo '{"in":30,"out":4,"cost":0.75}'; echo '{"say":"the result"}'"#;
    let run = stage.place_ok(&["task", "lines", lines, "--detach"]);
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let usage = &detail["run"]["usage"];
    assert_eq!(total(usage), 34, "{usage}");
    assert_eq!(usage["cost_usd"], 0.75);
    assert_eq!(detail["tasks"]["session"][0], "s-1");
    assert_eq!(detail["tasks"]["model"][0], "small");
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "the result");
    let log = stage.place.ok(&["logs", &stage.task(&run)]);
    assert!(log.contains("no json"), "{log}");
}

#[test]
fn the_next_tool_is_tried_on_the_errors_that_are_listed() {
    let stage = Stage::with_tools("opencode", LINES);
    let refused = r#"echo '{\"error\":\"401 Unauthorized\"}'"#;
    let broken = r#"echo '{\"error\":\"it broke\"}'"#;
    let plan = format!(
        "name: Chain\nframes:\n\
         - {{id: refused, tool: [lines, missing, other], fallback_on: [auth, tool_missing], prompt: \"{refused}\"}}\n\
         - {{id: broken, tool: [lines, other], fallback_on: [auth], prompt: \"{broken}\"}}\n"
    );
    stage.place.write("chain.yaml", &plan);
    let ended = stage.fornax(&["run", "chain.yaml"]);
    assert_ne!(ended.code, 0, "{ended:?}");
    let runs = stage.place.json(&["runs", "--json"]);
    let run = runs[0]["id"].as_str().or(runs["runs"][0]["id"].as_str());
    let detail = stage.run(run.unwrap());
    let of = |key: &str| {
        let keys = detail["frames"]["key"].as_array().unwrap();
        let at = keys.iter().position(|other| other == key).unwrap();
        let id = &detail["frames"]["id"][at];
        let tasks = detail["tasks"]["frame"].as_array().unwrap().iter();
        let tasks = tasks
            .enumerate()
            .filter(|(_, frame)| *frame == id)
            .map(|(task, _)| detail["tasks"]["tool"][task].as_str().unwrap().to_owned());
        (
            detail["frames"]["status"][at].as_str().unwrap().to_owned(),
            tasks.collect::<Vec<_>>(),
        )
    };
    let tried = |tools: &[&str]| tools.iter().map(|tool| (*tool).to_owned()).collect();
    let whole: Vec<String> = tried(&["lines", "missing", "other"]);
    assert_eq!(of("refused"), ("completed".to_owned(), whole));
    // Its error is not one of those listed.
    let one: Vec<String> = tried(&["lines"]);
    assert_eq!(of("broken"), ("failed".to_owned(), one));
}

#[test]
fn a_provider_that_names_a_moment_costs_no_retry_and_holds_the_pool() {
    let tools = "pools: {model: 1}\ntools:\n  agent: {driver: opencode, cmd: [opencode], model_retries: 1, permissions: allow}\n";
    let stage = Stage::with_tools("opencode", tools);
    let plan = "name: Limited\nframes:\n\
         - {id: first, tool: agent, prompt: LIMITED please, pool: model, priority: 1}\n\
         - {id: second, tool: agent, prompt: BUSYLESS please, pool: model}\n";
    stage.place.write("limited.yaml", plan);
    let run = stage.place_ok(&["run", "limited.yaml", "--detach"]);
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let events = stage.place.ok(&["events", "--json", "--run", &run]);
    let records = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let records: Vec<_> = records.collect();
    let retry = records
        .iter()
        .find(|record| record["event"] == "task_retry_scheduled")
        .unwrap_or_else(|| panic!("{events}"));
    assert_eq!(retry["forgiven"], true, "{retry}");
    // Nothing of the pool began between the refusal and the moment that the provider named.
    let place = |wanted: &serde_json::Value| records.iter().position(|record| record == wanted);
    let due: jiff::Timestamp = retry["due"].as_str().unwrap().parse().unwrap();
    let began = records[place(retry).unwrap()..]
        .iter()
        .filter(|record| record["event"] == "task_started")
        .map(|record| record["ts"].as_str().unwrap().parse::<jiff::Timestamp>());
    let began: Vec<_> = began.collect::<Result<_, _>>().unwrap();
    assert_eq!(began.len(), 2, "{events}");
    assert!(began.iter().all(|at| *at >= due), "{events}");
}
