//! `fornax install` and `uninstall`, on real files in a project and a home of the test's own.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Ended, Place};

const AGENTS: [&str; 3] = ["opencode", "claude", "codex"];
const SCOPES: [&str; 2] = ["project", "user"];

fn home(place: &Place) -> PathBuf {
    place.state().with_file_name("home")
}

/// Every file and folder below a folder, with bytes and mode.
fn all_of(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.symlink_metadata().unwrap().permissions().mode();
            let bytes = if path.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            found.insert(path.clone(), (mode, bytes));
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    found
}

fn both(place: &Place) -> [BTreeMap<PathBuf, (u32, Vec<u8>)>; 2] {
    [all_of(&place.dir()), all_of(&home(place))]
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Settings as people leave them: none, empty, one line, tabs, comments, Windows' line ends.
const JSON: &[&str] = &[
    "",
    "{}",
    "{}\n",
    "{ }\n",
    "{\n}\n",
    "{\"model\": \"opus\"}",
    "{\n  \"model\": \"opus\"\n}\n",
    "{\n\t\"mcpServers\": {},\n\t\"hooks\": {}\n}\n",
    "{\n    \"hooks\": {\"Stop\": []},\n    \"mcpServers\": {\n        \"other\": {\"command\": \"x\"}\n    }\n}\n",
    "// mine\n{\n  \"hooks\": {\n    \"Stop\": [ // when it ends\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}, // loud\n    ], // so far\n  },\n  /* servers */ \"mcpServers\": {\"a\": {\"command\": \"a\"},}, // last\n}\n// the end",
    "{\r\n  \"a\": [1,\r\n 2],\r\n  \"b\": \"\\u00e9\u{1f525}\"\r\n}\r\n",
];

const TOML: &[&str] = &[
    "",
    "model = \"o3\"",
    "# mine\nmodel = 'o3' # the best\n\n\n[mcp_servers.other]\ncommand = \"x\"   # spaced\n",
    "[mcp_servers]\n",
    "mcp_servers.other.command = \"x\"\n",
    "model = \"o3\"\r\n[tui]\r\ntheme = \"dark\"\r\n\r\n",
    "[mcp_servers.other]\ncommand = \"x\"\n[mcp_servers.other.env]\nA = \"1\"",
];

/// Where an agent's settings are, below the project or the home.
fn files(agent: &str, scope: &str) -> Vec<&'static str> {
    match (agent, scope) {
        ("claude", "project") => vec![".claude/settings.json", ".mcp.json"],
        ("claude", _) => vec![".claude/settings.json", ".claude.json"],
        ("codex", _) => vec![".codex/config.toml", ".codex/hooks.json"],
        (_, "project") => vec![".opencode/plugin/fornax.js"],
        _ => vec![".config/opencode/plugin/fornax.js"],
    }
}

fn base(place: &Place, scope: &str) -> PathBuf {
    if scope == "project" {
        place.dir()
    } else {
        home(place)
    }
}

fn samples(file: &str) -> &'static [&'static str] {
    match Path::new(file)
        .extension()
        .and_then(|ending| ending.to_str())
    {
        Some("toml") => TOML,
        Some("json") => JSON,
        _ => &[],
    }
}

#[test]
fn what_is_taken_out_leaves_the_bytes_that_were_there() {
    for agent in AGENTS {
        for scope in SCOPES {
            let count = files(agent, scope)
                .iter()
                .map(|file| samples(file).len())
                .max()
                .unwrap();
            for sample in 0..=count {
                let place = Place::new();
                for file in files(agent, scope) {
                    if let Some(text) = sample.checked_sub(1).and_then(|at| samples(file).get(at)) {
                        let path = base(&place, scope).join(file);
                        put(&path, text);
                        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
                    }
                }
                let before = both(&place);
                let scope_args = ["--scope", scope];
                let install = [&["install", agent][..], &scope_args].concat();
                place.ok(&[&install[..], &["--dry-run"]].concat());
                assert_eq!(both(&place), before, "{agent} {scope} {sample}: rehearsed");
                let shown = place.ok(&install);
                let between = both(&place);
                assert_ne!(between, before);
                for file in files(agent, scope) {
                    assert!(shown.contains(file), "{shown}");
                }
                // Once more: nothing to do.
                assert_eq!(place.ok(&install), "");
                assert_eq!(both(&place), between);
                place.ok(&[&["uninstall", agent][..], &scope_args].concat());
                assert_eq!(both(&place), before, "{agent} {scope} {sample}");
            }
        }
    }
}

#[test]
fn what_was_written_meanwhile_and_what_others_wrote_stays() {
    for agent in ["claude", "codex"] {
        let place = Place::new();
        let mine =
            r#"{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}}"#;
        for file in files(agent, "project") {
            let text = if file.ends_with("toml") {
                "model = \"o3\"\n"
            } else {
                mine
            };
            put(&place.dir().join(file), text);
        }
        place.ok(&["install", agent]);
        for file in files(agent, "project") {
            let path = place.dir().join(file);
            let text = fs::read_to_string(&path).unwrap();
            let text = match file.ends_with("toml") {
                true => format!("# later\n{text}\n[tui]\ntheme = \"dark\"\n"),
                false => text.replacen('{', "{\n  // later\n  \"later\": true,", 1),
            };
            fs::write(&path, text).unwrap();
        }
        // Another daemon's state: it is not known what was there before.
        for known in [true, false] {
            let place = &place;
            let saved = all_of(&place.dir());
            let mut command = place.command(&["uninstall", agent]);
            if !known {
                command.env("XDG_STATE_HOME", place.dir().with_file_name("other"));
            }
            let ended = Ended::of(command.output().unwrap());
            assert_eq!(ended.code, 0, "{ended:?}");
            for file in files(agent, "project") {
                let path = place.dir().join(file);
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains("later") && !text.contains("fornax"), "{text}");
                if !file.ends_with("toml") {
                    assert!(text.contains("say done"), "{text}");
                }
            }
            for (path, (_, bytes)) in saved.iter().filter(|(path, _)| path.is_file()) {
                fs::write(path, bytes).unwrap();
            }
        }
    }
}

#[test]
fn an_older_entry_is_replaced_and_never_doubled() {
    let place = Place::new();
    let old = r#"{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "/old/fornax hook claude"}]}]}}"#;
    put(&place.dir().join(".claude/settings.json"), old);
    put(
        &place.dir().join(".mcp.json"),
        r#"{"mcpServers": {"fornax": {"command": "/old/fornax", "args": ["mcp"]}}}"#,
    );
    place.ok(&["install", "claude"]);
    let settings = json_of(&place.dir().join(".claude/settings.json"));
    assert_eq!(settings["hooks"]["Stop"].as_array().unwrap().len(), 1);
    let command = settings["hooks"]["Stop"][0]["hooks"][0]["command"]
        .as_str()
        .unwrap();
    assert_eq!(
        command,
        format!("{} hook claude", env!("CARGO_BIN_EXE_fornax"))
    );
    let servers = json_of(&place.dir().join(".mcp.json"));
    assert_eq!(servers["mcpServers"]["fornax"]["args"][1], "--agent");
}

#[test]
fn the_program_is_called_by_its_name_where_that_finds_it() {
    let place = Place::new();
    let bin = home(&place).join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_fornax"), bin.join("fornax")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = place.command(&["install", "codex"]);
    assert!(command.env("PATH", path).status().unwrap().success());
    let config = fs::read_to_string(place.dir().join(".codex/config.toml")).unwrap();
    assert!(config.contains("command = \"fornax\"\n"), "{config}");
}

#[test]
fn what_is_not_understood_is_refused_with_its_line_and_nothing_is_written() {
    let cases = [
        ("claude", ".mcp.json", "{\n  \"mcpServers\": [\n]}", 2),
        (
            "claude",
            ".mcp.json",
            "{\n\n  \"mcpServers\": {\n\"fornax\": {\"command\": \"x\"}}}",
            4,
        ),
        ("claude", ".mcp.json", "{\n  \"a\": 1\n  \"b\": 2\n}", 2),
        ("claude", ".mcp.json", "[]", 1),
        (
            "claude",
            ".claude/settings.json",
            "{\n \"hooks\": {\n \"Stop\": {}}}",
            3,
        ),
        ("codex", ".codex/config.toml", "a = 1\nb = \n", 2),
        (
            "codex",
            ".codex/config.toml",
            "a = 1\nmcp_servers = { x = { command = \"x\" } }\n",
            2,
        ),
        (
            "codex",
            ".codex/config.toml",
            "\n[mcp_servers.fornax]\ncommand = \"x\"\n",
            2,
        ),
        ("opencode", ".opencode/plugin/fornax.js", "export {}\n", 1),
    ];
    for (agent, file, text, line) in cases {
        let place = Place::new();
        put(&place.dir().join(file), text);
        let before = both(&place);
        let ended = place.run(&["install", agent]);
        assert_eq!(ended.code, 5, "{text}: {ended:?}");
        let at = format!("{file}:{line}: ");
        assert!(ended.stderr.contains(&at), "{at}: {}", ended.stderr);
        assert_eq!(both(&place), before, "{text}");
    }
}

#[test]
fn a_link_is_kept_within_its_scope_and_refused_out_of_it() {
    let place = Place::new();
    let dir = place.dir();
    put(&dir.join("dots/settings.json"), "{}\n");
    fs::create_dir(dir.join(".claude")).unwrap();
    symlink("../dots/settings.json", dir.join(".claude/settings.json")).unwrap();
    place.ok(&["install", "claude"]);
    assert!(dir.join(".claude/settings.json").is_symlink());
    assert!(json_of(&dir.join("dots/settings.json"))["hooks"].is_object());
    place.ok(&["uninstall", "claude"]);
    assert_eq!(
        fs::read_to_string(dir.join("dots/settings.json")).unwrap(),
        "{}\n"
    );

    let outside = home(&place).join("theirs");
    fs::create_dir(&outside).unwrap();
    for target in [outside.clone(), outside.join("missing")] {
        let link = dir.join(".codex");
        symlink(&target, &link).unwrap();
        let ended = place.run(&["install", "codex"]);
        assert_eq!(ended.code, 6, "{ended:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_file(link).unwrap();
    }
}

/// Calls the hook with an event; what it says.
fn hook(place: &Place, agent: &str, event: &str, env: &[(&str, &str)]) -> Ended {
    let mut command: Command = place.command(&["hook", agent]);
    command.envs(env.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may not even read it.
    let _ = child.stdin.take().unwrap().write_all(event.as_bytes());
    Ended::of(child.wait_with_output().unwrap())
}

#[test]
fn hooks_say_nothing_where_fornax_does_not_run_or_what_they_get_is_no_event() {
    let place = Place::new();
    let before = both(&place);
    let prompt = r#"{"hook_event_name": "UserPromptSubmit", "prompt": "x", "cwd": "/"}"#;
    let silent = |ended: Ended| {
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (0, "", "")
        );
    };
    silent(hook(&place, "claude", prompt, &[]));
    assert_eq!(both(&place), before);
    assert!(!place.state().join("fornax").exists());
    // A socket on which nobody answers.
    let socket = place.state().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let dead = [("FORNAX_SOCKET", socket.to_str().unwrap())];
    for event in [prompt, "", "[]", "{", "{\"hook_event_name\": 7}"] {
        silent(hook(&place, "codex", event, &dead));
    }
}

#[test]
fn a_session_outside_is_told_of_and_given_its_context() {
    let place = Place::new();
    place.write("fornax.yaml", "tools: {}\n");
    place.ok(&["up", "--detach"]);
    place.ok(&["ps"]);
    let cwd = place.dir().canonicalize().unwrap();
    let event = |name: &str, prompt: &str| {
        serde_json::json!({"hook_event_name": name, "prompt": prompt, "cwd": cwd}).to_string()
    };
    let prompt = event("UserPromptSubmit", "Make the parser faster\nand test it");
    let said = hook(&place, "claude", &prompt, &[]);
    assert_eq!(said.code, 0);
    let said: Value = serde_json::from_str(&said.stdout).unwrap();
    let output = &said["hookSpecificOutput"];
    assert_eq!(output["hookEventName"], "UserPromptSubmit");
    let context = output["additionalContext"].as_str().unwrap();
    assert!(context.contains("Make the parser faster"), "{context}");
    // The second prompt is of the same session: no other run begins.
    hook(&place, "claude", &event("UserPromptSubmit", "Go on"), &[]);
    let runs = place.json(&["runs", "--json"]);
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    // In a task of Fornax's own nothing is said.
    let own = [("FORNAX_SESSION_TOKEN", "x")];
    let silent = hook(&place, "claude", &prompt, &own);
    assert_eq!((silent.code, silent.stdout.as_str()), (0, ""));
}
