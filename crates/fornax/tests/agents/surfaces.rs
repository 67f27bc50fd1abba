//! The agents through their other surfaces: the Agent Client Protocol, and the plain commands that
//! only tell how it went.

use crate::stage::Stage;
use crate::{CALL_TOKENS, total};

/// The tool `agent`: a driver, and the program with its arguments.
fn tool(driver: &str, cmd: &str) -> String {
    format!("tools:\n  agent: {{driver: {driver}, cmd: {cmd}, permissions: allow}}\n")
}

/// Does the usual work without being asked anything; its run.
fn works(stage: &Stage) -> serde_json::Value {
    // What is asked in the usual work, nobody answers here: the plain one asks nothing.
    let run = stage.start("PLAINWORK please");
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert_eq!(stage.read("hello.txt"), "hello\n");
    assert_eq!(stage.read("ran.txt"), "ran\n");
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "All is done.");
    detail
}

/// The same, and its usage is that of the script, as far as the agent tells it.
fn works_and_counts(agent: &str, driver: &str, cmd: &str, told: &[&str]) {
    let stage = Stage::with_tools(agent, &tool(driver, cmd));
    let detail = works(&stage);
    let calls = stage.answered(told);
    let usage = &detail["run"]["usage"];
    assert_eq!(total(usage), calls * CALL_TOKENS, "{usage}");
    assert!(detail["tasks"]["session"][0].is_string(), "{detail:#}");
}

#[test]
fn opencode_run_works_and_counts() {
    // It says nothing of what its subagents use.
    works_and_counts("opencode", "opencode-run", "[opencode]", &["plain"]);
}

#[test]
fn claude_print_works_and_counts() {
    let cmd = "[claude, --allowedTools, 'Write,Edit,Bash,Task,Agent']";
    works_and_counts("claude", "claude-print", cmd, &["plain", "child"]);
}

#[test]
fn codex_exec_works_and_counts() {
    let cmd = "[codex, --dangerously-bypass-approvals-and-sandbox]";
    works_and_counts("codex", "codex-exec", cmd, &["plain"]);
}

#[test]
fn an_agent_of_the_protocol_works() {
    let stage = Stage::with_tools("opencode", &tool("acp", "[opencode, acp]"));
    let detail = works(&stage);
    assert!(detail["tasks"]["session"][0].is_string(), "{detail:#}");
}

#[test]
fn an_agent_of_the_protocol_asks_and_is_denied() {
    let tools = tool("acp", "[opencode, acp]").replace("permissions: allow", "permissions: ask");
    let stage = Stage::with_tools("opencode", &tools);
    let run = stage.start("FORBIDDEN please");
    let asked = stage.answer_all_until_over(&run, "deny");
    assert!(asked > 0, "nothing was asked");
    assert!(!stage.place.dir().join("forbidden.txt").exists());
}

#[test]
fn an_agent_of_the_protocol_meets_a_refused_key() {
    let stage = Stage::with_tools("opencode", &tool("acp", "[opencode, acp]"));
    let run = stage.start("AUTH please");
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "failed", "{detail:#}");
    assert_eq!(detail["tasks"]["error_class"][0], "auth", "{detail:#}");
}

#[test]
fn an_agent_of_the_protocol_is_interrupted_and_prompted_again() {
    let stage = Stage::with_tools("opencode", &tool("acp", "[opencode, acp]"));
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let task = stage.task(&run);
    stage.place.ok(&["interrupt", &task]);
    stage.wait("the agent waits for a prompt", || {
        stage.run(&run)["tasks"]["idle"][0] == true
    });
    stage.place.ok(&["tell", &task, "SECOND please"]);
    stage.wait_for_end(&run);
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "The second is done.");
}
