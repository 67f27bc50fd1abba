//! What a person at a terminal sees and presses. `script` (util-linux) gives the terminal.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use support::terminal::Terminal;
use support::{Place, wait_for_file};

const WAIT: &str = "touch began; until [ -e go ]; do sleep 0.02; done";

/// The run that the terminal shows.
fn run_id(seen: &str) -> &str {
    let at = seen.find("RUN-").unwrap();
    &seen[at..at + "RUN-20261120-001".len()]
}

#[test]
fn a_run_is_drawn_in_place_and_once_more_at_its_end() {
    let place = Place::new();
    let frames: String = (1..40)
        .map(|n| format!("- {{id: f{n}, run: 'true'}}\n"))
        .collect();
    place.write(
        "plan.yaml",
        &format!("name: long\nframes:\n- {{id: f0, run: '{WAIT}'}}\n{frames}"),
    );
    let mut terminal = Terminal::open(&place, "run plan.yaml");
    // Twenty lines hold a headline, seventeen frames, and how many are not shown.
    terminal.wait_for("… and 23 more");
    terminal.wait_for("39/40 done");
    place.write("go", "");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("\x1b[19A"), "{seen}");
    let (_, last) = seen.rsplit_once("\x1b[J").unwrap();
    assert_eq!(last.lines().count(), 41, "{last}");
    assert!(last.contains("40/40 done"), "{last}");
}

#[test]
fn ctrl_c_asks_and_s_stops() {
    let place = Place::new();
    let mut terminal = Terminal::open(&place, &format!("task shell '{WAIT}'"));
    wait_for_file(&place.dir().join("began"));
    terminal.wait_for("RUN-");
    terminal.press("\x03");
    terminal.wait_for("[d]etach and let it go on, or [s]top it?");
    terminal.press("s\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 130, "{seen}");
    assert!(seen.contains("cancelled"), "{seen}");
    assert_eq!(place.json(&["runs", "--json"])[0]["status"], "cancelled");
}

#[test]
fn ctrl_c_twice_or_d_detaches() {
    for answer in ["\x03", "d\n", "\n", "\x04"] {
        let place = Place::new();
        let mut terminal = Terminal::open(&place, &format!("task shell '{WAIT}'"));
        wait_for_file(&place.dir().join("began"));
        terminal.wait_for("RUN-");
        terminal.press("\x03");
        terminal.wait_for("[s]top it?");
        terminal.press(answer);
        let (code, seen) = terminal.end();
        assert_eq!(code, 130, "{answer:?}: {seen}");
        assert!(
            seen.contains(&format!("{} goes on without you", run_id(&seen))),
            "{seen}"
        );
        assert_eq!(place.json(&["runs", "--json"])[0]["status"], "running");
        place.write("go", "");
        assert_eq!(place.run(&["tree", "--watch"]).code, 0);
    }
}

#[test]
fn a_run_that_ends_while_the_question_is_open_ends_the_command() {
    let place = Place::new();
    let mut terminal = Terminal::open(&place, &format!("task shell '{WAIT}'"));
    wait_for_file(&place.dir().join("began"));
    terminal.wait_for("RUN-");
    terminal.press("\x03");
    terminal.wait_for("[s]top it?");
    place.write("go", "");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
}

#[test]
fn logs_keep_their_colours_and_nothing_else() {
    let place = Place::new();
    let script = r"printf '\033[31mred\033[0m \033[2J\033]0;title\007 \033[8mhidden\r\033c\n'";
    place.write(
        "plan.yaml",
        &format!("name: x\nframes:\n- id: a\n  run: |\n    {script}\n"),
    );
    let run = place.json(&["run", "plan.yaml", "--json"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let raw = place.ok(&["logs", &run]);
    assert!(raw.contains("\x1b]0;title\x07"));
    let (code, seen) = Terminal::open(&place, &format!("logs {run}")).end();
    assert_eq!(code, 0);
    assert_eq!(
        seen.replace("\r\n", "\n"),
        "\x1b[31mred\x1b[0m  hidden\n\\x1bc\n\x1b[0m"
    );
    let (_, plain) = Terminal::open(&place, &format!("--color never logs {run}")).end();
    assert_eq!(plain.replace("\r\n", "\n"), "red  hidden\n\\x1bc\n");
}

#[test]
fn colours_are_for_terminals_and_can_be_turned_off() {
    let place = Place::new();
    place.ok(&["task", "shell", "true"]);
    assert!(
        Terminal::open(&place, "runs")
            .end()
            .1
            .contains("\x1b[32mcompleted")
    );
    assert!(
        !Terminal::open(&place, "runs --color never")
            .end()
            .1
            .contains('\x1b')
    );
    assert!(!place.ok(&["runs"]).contains('\x1b'));
    assert!(
        place
            .ok(&["runs", "--color", "always"])
            .contains("\x1b[32mcompleted")
    );
}
