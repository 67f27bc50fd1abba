//! What real servers said, played back to the driver: `FORNAX_RECORD=folder` makes the recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fornax_agents::driver::{Driver, Heard, Out, Say};
use fornax_agents::drivers;
use fornax_agents::happening::{Happening, TurnEnd};
use fornax_agents::job::Job;
use fornax_core::agent::{Decision, DriverKind, Order, OrderKind, Permissions, Usage};
use fornax_core::spec::ErrorClass;
use proptest::prelude::*;
use serde_json::Value;

/// One line of a recording: what the driver said, or heard.
#[derive(Debug, Clone)]
struct Line {
    out: bool,
    text: String,
}

fn recordings(case: &str) -> Vec<(PathBuf, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/opencode");
    let versions = fs::read_dir(folder).unwrap();
    let files = versions.map(|version| version.unwrap().path().join(format!("{case}.jsonl")));
    let mut all: Vec<_> = files.map(|file| (file.clone(), read(&file))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(all.len() >= 2, "recordings of two versions");
    all
}

fn read(file: &Path) -> Vec<Line> {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        Line {
            out: line["dir"] == "out",
            text: line["line"].as_str().unwrap().to_owned(),
        }
    });
    lines.collect()
}

/// The driver, and all that it said and told.
struct Player {
    driver: Box<dyn Driver>,
    calls: Vec<String>,
    told: Vec<Happening>,
    orders: u32,
    prompts: u32,
}

impl Player {
    fn new(lines: &[Line], permissions: Permissions) -> Player {
        let argv = vec!["opencode".to_owned()];
        let mut job = Job::new(
            "/tmp/x/t".into(),
            DriverKind::Opencode,
            argv,
            "/tmp/x/project".into(),
        );
        job.permissions = permissions;
        job.model = Some("stub/stub-model".to_owned());
        let prompt = lines
            .iter()
            .find_map(|line| prompt(&line.text))
            .unwrap_or_default();
        job.title.clone_from(&prompt);
        job.prompt = prompt;
        let mut player = Player {
            driver: drivers::of(&job),
            calls: Vec::new(),
            told: Vec::new(),
            orders: 0,
            prompts: 0,
        };
        let mut out = Out::default();
        player.driver.begin(&mut out);
        player.take(out);
        player
    }

    fn take(&mut self, out: Out) {
        for say in out.says {
            if let Say::Call {
                call,
                method,
                path,
                body,
            } = say
            {
                let body = body.map(|body| body.to_string()).unwrap_or_default();
                self.calls.push(format!("{call} {method} {path} {body}"));
            }
        }
        self.told.extend(out.happenings);
    }

    fn hear(&mut self, heard: Heard<'_>) {
        let mut out = Out::default();
        self.driver.hear(heard, &mut out);
        self.take(out);
    }

    fn order(&mut self, kind: OrderKind) {
        self.orders += 1;
        let order = Order {
            id: self.orders,
            kind,
        };
        let mut out = Out::default();
        self.driver.order(&order, &mut out);
        self.take(out);
    }

    /// Plays a line: hears it, or gives the order that brought the driver to say it.
    fn play(&mut self, line: &Line) {
        if line.out {
            return self.prompted_by(&line.text);
        }
        if line.text == "connected" {
            return self.hear(Heard::Connected { again: true });
        }
        let reply = line.text.split_once(' ').and_then(|(call, rest)| {
            let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
            Some((call.parse().ok()?, status.parse().ok()?, body))
        });
        match reply {
            Some((call, status, body)) => self.hear(Heard::Reply { call, status, body }),
            None => self.hear(Heard::Event(&line.text)),
        }
    }

    fn prompted_by(&mut self, said: &str) {
        if said.contains("/abort?") {
            self.order(OrderKind::Interrupt);
        } else if said.contains("/summarize?") {
            self.order(OrderKind::Compact { guide: None });
        } else if let Some(text) = prompt(said) {
            self.prompts += 1;
            // As the host does: only between turns.
            if self.prompts > 1 && !self.turn_goes_on() {
                self.order(OrderKind::Prompt { text });
            }
        } else if let Some((_, rest)) = said.split_once("/permission/")
            && let Some((id, _)) = rest.split_once("/reply")
        {
            let allow = said.contains(r#""reply":"once""#);
            self.order(OrderKind::Decide {
                permission: id.replace("%5F", "_"),
                decision: if allow {
                    Decision::Allow
                } else {
                    Decision::Deny
                },
                note: Some("not on a Tuesday".to_owned()).filter(|_| !allow),
            });
        }
    }

    /// Its turns and subagents, and that each turn has ended once.
    fn check_turns(&self) {
        let mut open = false;
        for happening in &self.told {
            match happening {
                Happening::TurnStarted { .. } => assert!(!std::mem::replace(&mut open, true)),
                Happening::TurnEnded(_) => assert!(std::mem::replace(&mut open, false)),
                _ => {}
            }
        }
        assert!(!open, "a turn has not ended");
    }

    fn turn_goes_on(&self) -> bool {
        let turns = self
            .told
            .iter()
            .rev()
            .find_map(|happening| match happening {
                Happening::TurnStarted { .. } => Some(true),
                Happening::TurnEnded(_) => Some(false),
                _ => None,
            });
        turns.unwrap_or(true)
    }

    fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        for happening in &self.told {
            if let Happening::ModelCall { usage, .. } = happening {
                sum.add(usage);
            }
        }
        sum
    }

    fn ends(&self) -> Vec<&TurnEnd> {
        let ends = self.told.iter().filter_map(|happening| match happening {
            Happening::TurnEnded(end) => Some(end),
            _ => None,
        });
        ends.collect()
    }

    fn count(&self, pick: fn(&Happening) -> bool) -> usize {
        self.told.iter().filter(|happening| pick(happening)).count()
    }
}

/// The prompt in what the driver said.
fn prompt(said: &str) -> Option<String> {
    let (_, body) = said.split_once("/prompt_async")?;
    let body: Value = serde_json::from_str(body.split_once(' ')?.1).ok()?;
    Some(body["parts"][0]["text"].as_str()?.to_owned())
}

/// Plays the recordings of a case; what the driver asks of the server must be what was recorded.
fn play(case: &str, permissions: Permissions, check: impl Fn(&Player)) {
    for (file, lines) in recordings(case) {
        let mut player = Player::new(&lines, permissions);
        lines.iter().for_each(|line| player.play(line));
        let said: Vec<&str> = lines
            .iter()
            .filter(|line| line.out)
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(player.calls, said, "{}", file.display());
        player.check_turns();
        check(&player);
    }
}

fn fails_as(player: &Player, class: ErrorClass, word: &str) {
    let ends = player.ends();
    let [TurnEnd::Failed(failure)] = ends.as_slice() else {
        panic!("{ends:?}");
    };
    assert_eq!(failure.class, class);
    assert!(failure.message.contains(word), "{}", failure.message);
}

fn completes(player: &Player, said: &str) {
    let last = player.ends().last().copied().cloned();
    let result = said.to_owned();
    assert_eq!(last, Some(TurnEnd::Completed { result }));
}

#[test]
fn recorded_servers_are_understood() {
    play("write", Permissions::Allow, |player| {
        completes(player, "WRITE is done.");
        assert_eq!(player.usage().input, 2000);
        assert_eq!(player.usage().output, 100);
        let path = "/tmp/x/project/written.txt".to_owned();
        assert!(player.told.contains(&Happening::FileChanged { path }));
    });
    play("refused", Permissions::Ask, |player| {
        completes(player, "REFUSED is done.");
        assert_eq!(
            player.count(|it| matches!(it, Happening::PermissionAsked(_))),
            1
        );
    });
    play("auth", Permissions::Allow, |player| {
        fails_as(player, ErrorClass::Auth, "bad key")
    });
    play("length", Permissions::Allow, |player| {
        fails_as(player, ErrorClass::Api, "truncated")
    });
    play("limit", Permissions::Allow, |player| {
        completes(player, "Nothing to do.");
        assert_eq!(
            player.count(|it| matches!(
                it,
                Happening::Retry {
                    class: ErrorClass::RateLimit,
                    ..
                }
            )),
            2
        );
    });
    play("overflow", Permissions::Allow, |player| {
        fails_as(player, ErrorClass::ContextOverflow, "maximum context");
    });
    play("delegate", Permissions::Allow, |player| {
        completes(player, "DELEGATE is done.");
        assert_eq!(player.usage().input, 4000);
        assert_eq!(
            player.count(|it| matches!(it, Happening::ChildStarted { .. })),
            1
        );
        assert_eq!(
            player.count(|it| matches!(
                it,
                Happening::ChildEnded {
                    success: Some(true),
                    ..
                }
            )),
            1
        );
    });
    play("sleep", Permissions::Allow, |player| {
        completes(player, "Went on.");
        assert_eq!(player.ends()[0], &TurnEnd::Interrupted);
    });
    play("crash", Permissions::Allow, |player| {
        fails_as(player, ErrorClass::Signal, "in mid-turn")
    });
}

const CASES: [&str; 9] = [
    "write", "refused", "auth", "length", "limit", "overflow", "delegate", "sleep", "crash",
];

/// What becomes of a line on a bad way.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double,
    Drop,
    Late(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Harm::Flip(at, byte)),
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        Just(Harm::Double),
        Just(Harm::Drop),
        (1usize..20).prop_map(Harm::Late),
    ]
}

fn harmed(lines: &[Line], harms: &[(prop::sample::Index, Harm)]) -> Vec<Line> {
    let mut by_line: BTreeMap<usize, &Harm> = BTreeMap::new();
    for (at, harm) in harms {
        by_line.insert(at.index(lines.len()), harm);
    }
    let mut all: Vec<(usize, Line)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let place = number * 2;
        let bytes = line.text.as_bytes();
        let remade = |bytes: &[u8]| Line {
            out: line.out,
            text: String::from_utf8_lossy(bytes).into_owned(),
        };
        match by_line.get(&number) {
            None => all.push((place, line.clone())),
            Some(Harm::Drop) => {}
            Some(Harm::Double) => all.extend([(place, line.clone()), (place, line.clone())]),
            Some(Harm::Late(by)) => all.push((place + by * 2 + 1, line.clone())),
            Some(Harm::Cut(at)) => all.push((place, remade(&bytes[..at.index(bytes.len() + 1)]))),
            Some(Harm::Flip(at, byte)) => {
                let mut bytes = bytes.to_vec();
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= byte;
                }
                all.push((place, remade(&bytes)));
            }
        }
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, line)| line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever reaches it, a driver keeps its word: turns end once, and nothing is counted twice.
    #[test]
    fn harmed_recordings_harm_nothing(
        case in prop::sample::select(&CASES[..]),
        version in any::<prop::sample::Index>(),
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 0..12),
    ) {
        let recordings = recordings(case);
        let (_, lines) = &recordings[version.index(recordings.len())];
        let permissions = if case == "refused" { Permissions::Ask } else { Permissions::Allow };
        let mut player = Player::new(lines, permissions);
        for line in harmed(lines, &harms) {
            player.play(&line);
        }
        player.hear(Heard::Exited { code: None, signal: Some(9) });
        player.check_turns();
        let calls = player.told.iter().filter_map(|it| match it {
            Happening::ModelCall { call, .. } => Some(call),
            _ => None,
        });
        let calls: Vec<&String> = calls.collect();
        let once: std::collections::BTreeSet<&String> = calls.iter().copied().collect();
        prop_assert_eq!(calls.len(), once.len());
    }
}
