//! What the scripted model answers.

use serde_json::{Value, json};

fn bash(command: &str) -> Value {
    json!({"name": "bash", "args": {"command": command, "description": "works"}})
}

/// The model's script: one rule for each case, known by a word in its prompt.
pub fn rules() -> Value {
    let tools = |word: &str, calls: &[Value]| {
        json!({"id": word, "when": {"user": word}, "replies": [
            {"text": "At it.", "thinking": "Well.", "tools": calls}, {"text": format!("{word} is done.")}]})
    };
    let write = |name: &str| json!({"name": "write", "args": {"filePath": format!("{{{{dir}}}}/{name}"), "content": "hello\n"}});
    let task = |prompt: &str| json!({"name": "task", "args": {"description": "a part", "prompt": prompt, "subagent_type": "general"}});
    let child = |word: &str, command: &str| {
        json!({"id": word, "when": {"user": word}, "replies": [
            {"tools": [bash(command)]}, {"text": "The part is done."}]})
    };
    json!([
        {"id": "side", "when": {"tools": false}, "reply": {"text": "A title or a summary"}},
        child("CHILD-QUICK", "echo part"),
        child("CHILD-SLOW", "sleep 86021"),
        child("CHILD-BARRED", "touch {{dir}}/barred-child"),
        tools("WRITE", &[write("written.txt")]),
        tools("COMMAND", &[bash("echo out; exit 3")]),
        tools("ALLOWED", &[bash("touch {{dir}}/allowed")]),
        tools("REFUSED", &[bash("touch {{dir}}/refused")]),
        tools("BARRED", &[bash("touch {{dir}}/barred")]),
        {"id": "ALWAYS", "when": {"user": "ALWAYS"}, "replies": [
            {"tools": [bash("touch {{dir}}/always-1")]}, {"tools": [bash("touch {{dir}}/always-2")]},
            {"tools": [write("always-3")]}, {"text": "ALWAYS is done."}]},
        {"id": "AUTH", "when": {"user": "AUTH"}, "reply": {"error": {"status": 401, "message": "bad key"}}},
        {"id": "LIMIT", "when": {"user": "LIMIT"}, "times": 2,
            "reply": {"error": {"status": 429, "retry_after_s": 1, "message": "Rate limit reached"}}},
        {"id": "DOWN", "when": {"user": "DOWN"}, "reply": {"error": {"status": 500, "message": "boom"}}},
        {"id": "CUT", "when": {"user": "CUT"}, "times": 1, "reply": {"text": "half of an answer", "chunk_size": 4, "cut": 2}},
        {"id": "HANG", "when": {"user": "HANG"}, "reply": {"text": "half of an answer", "chunk_size": 4, "hang": 2}},
        {"id": "LENGTH", "when": {"user": "LENGTH"}, "reply": {"text": "half of an", "stop": "length"}},
        {"id": "OVERFLOW", "when": {"user": "OVERFLOW"},
            "reply": {"error": {"status": 400, "type": "context_length_exceeded", "message": "maximum context length is 100 tokens"}}},
        tools("DELEGATE", &[task("Do CHILD-QUICK")]),
        tools("SLOW-PART", &[task("Do CHILD-SLOW")]),
        tools("NO-PART", &[task("Do CHILD-BARRED")]),
        tools("SLEEP", &[bash("sleep 86011")]),
        tools("LONG", &[bash("sleep 86012")]),
        tools("CRASH", &[bash("sleep 86013")]),
        {"id": "GO-ON", "when": {"user": "GO-ON"}, "reply": {"text": "Went on."}},
    ])
}
