//! Only a person trusts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{config, is_asked};
use crate::support::{Ended, Place, wait_for_file};

const FORNAX: &str = env!("CARGO_BIN_EXE_fornax");

/// What every form of trust, and what runs into a refusal, answers to a program.
const FORMS: &[&str] = &[
    "trust",
    "trust --always",
    "trust --path .",
    "trust revoke",
    "task mark x",
    "open --print",
];

/// Whether a program was refused, and no command was named to it.
fn check_refusal(place: &Place, form: &str, code: &str, said: &str) {
    assert_eq!(code.trim(), "6", "{form}: {said}");
    assert!(
        !said.contains("fornax trust") && !said.contains("chmod"),
        "{form}: {said}"
    );
    assert!(said.contains("a person has to"), "{form}: {said}");
    is_asked(place, "one");
}

#[test]
fn a_task_trusts_nothing_however_it_calls() {
    let place = Place::new();
    let other = place.dir().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("fornax.yaml"), config("one")).unwrap();
    for form in FORMS {
        for wrap in [
            "{}",
            "setsid -w sh -c '{}'",
            "env -i PATH=\"$PATH\" HOME=\"$HOME\" \
                      XDG_STATE_HOME=\"$XDG_STATE_HOME\" sh -c '{}'",
        ] {
            let line = format!("{FORNAX} -C {} {form}", other.display());
            let line = wrap.replace("{}", &line);
            place.run(&[
                "task",
                "shell",
                &format!("{{ {line}; }} >said 2>&1; echo $? >code"),
            ]);
            let read = |name: &str| fs::read_to_string(place.dir().join(name)).unwrap();
            let (code, said) = (read("code"), read("said"));
            assert_eq!(code.trim(), "6", "{line}: {said}");
            assert!(!said.contains("fornax trust"), "{line}: {said}");
            assert!(said.contains("a person has to"), "{line}: {said}");
        }
    }
    // What is left behind by a task is below its shim until it is ended.
    let line = format!(
        "(setsid sh -c '(sleep 0.2; env -i PATH=\"$PATH\" HOME=\"$HOME\" \
         XDG_STATE_HOME=\"$XDG_STATE_HOME\" {FORNAX} -C {} trust >late 2>&1; echo $? >late.code) &') \
         ; until [ -s late.code ]; do sleep 0.05; done",
        other.display()
    );
    place.run(&["task", "shell", &line]);
    wait_for_file(&place.dir().join("late.code"));
    let said = fs::read_to_string(place.dir().join("late")).unwrap();
    assert!(said.contains("a task of Fornax"), "{said}");
}

#[test]
fn an_agent_that_a_person_started_trusts_nothing() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    let program = |name: &str, text: &str| {
        place.write(name, text);
        fs::set_permissions(place.dir().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    for agent in ["claude", "codex", "opencode", "gemini"] {
        program(
            &format!("bin/{agent}"),
            "#!/bin/sh\nsh -c \"$*\"; exit $?\n",
        );
        for form in FORMS {
            let mut command = Command::new(place.dir().join("bin").join(agent));
            command
                .arg(format!("{FORNAX} {form}; exit $?"))
                .current_dir(place.dir())
                .env_clear()
                .envs(
                    place
                        .command(&[])
                        .get_envs()
                        .filter_map(|(n, v)| Some((n, v?))),
                );
            let ended = Ended::of(command.output().unwrap());
            check_refusal(&place, form, &ended.code.to_string(), &ended.stderr);
        }
    }
    place.ok(&["trust"]);
}

#[test]
fn tokens_trust_nothing_and_a_browser_does() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    place.ok(&["up", "-d", "--bind", "127.0.0.1:0"]);
    let home = place.state().join("fornax");
    let info: serde_json::Value =
        serde_json::from_slice(&fs::read(home.join("daemon.json")).unwrap()).unwrap();
    let url = info["url"].as_str().unwrap().to_owned();
    let token = fs::read_to_string(home.join("token")).unwrap();
    let body = serde_json::json!({ "decision": "accept", "dir": place.dir() }).to_string();
    let post = |more: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"])
            .args(["-H", "Content-Type: application/json", "-d", &body])
            .args(more)
            .arg(format!("{url}/api/trust"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(post(&[]), "401");
    assert_eq!(
        post(&["-H", &format!("Authorization: Bearer {}", token.trim())]),
        "403"
    );
    is_asked(&place, "one");
    let link = place.ok(&["open", "--print"]);
    let jar = place.state().join("jar");
    let login = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-c",
            jar.to_str().unwrap(),
            link.trim(),
        ])
        .status();
    assert!(login.unwrap().success());
    assert_eq!(post(&["-b", jar.to_str().unwrap()]), "200");
    super::runs(&place, "one");
}
