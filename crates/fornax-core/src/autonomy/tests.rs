//! Each heuristic with a trace on which it alone is enough, and a harmless one that looks alike.

use super::*;
use crate::frame::Report;
use crate::time::Time;

/// What happened, with the minute in which it did.
type Scene = Vec<(u64, Report)>;

fn told(text: &str) -> Report {
    Report::Prompted {
        text: text.to_owned(),
    }
}

fn ran(title: &str, success: bool) -> Report {
    Report::ToolEnded {
        tool: "bash".to_owned(),
        title: title.to_owned(),
        success,
    }
}

fn wrote(path: &str) -> Report {
    Report::FileChanged {
        path: path.to_owned(),
    }
}

fn used(tokens: u64) -> Report {
    Report::Used { tokens }
}

fn fold(about: &About<'_>, scene: &Scene) -> Signals {
    let mut trace = Trace::default();
    for (minute, report) in scene {
        trace.fold(Time(0).plus_ms(minute * 60_000), about, report);
    }
    trace.signals().clone()
}

const LOGIN: About<'_> = About {
    goal: "Add token refresh to the login flow",
    criteria: "",
    children: 0,
};

/// The heuristic alone reaches its threshold on the first scene, and all heuristics of its kind
/// together do not on the other.
fn reached_and_not(heuristic: &str, about: &About<'_>, real: &Scene, harmless: &Scene) {
    let settings = Settings::default();
    let both = |signals: &Signals| {
        [
            Advice::push(&settings, signals, *about, None),
            Advice::pop(&settings, signals, *about),
        ]
    };
    let of = |advice: [Advice; 2]| {
        let speaks = |advice: &Advice| {
            let mut shares = advice.shares.iter();
            shares.any(|share| share.heuristic == heuristic)
        };
        advice.into_iter().find(speaks).unwrap()
    };
    let signals = fold(about, real);
    let advice = of(both(&signals));
    let mut shares = advice.shares.iter();
    let share = shares.find(|share| share.heuristic == heuristic).unwrap();
    assert!(share.score >= advice.threshold, "{share:?}\n{signals:?}");
    assert!(advice.advised);
    let signals = fold(about, harmless);
    let advice = of(both(&signals));
    assert!(!advice.advised, "{advice:?}\n{signals:?}");
}

#[test]
fn another_goal() {
    let work = vec![
        (0, told("Add token refresh to the login flow.")),
        (2, ran("rg refresh src", true)),
        (5, wrote("src/login/refresh.rs")),
        (6, Report::TurnEnded),
    ];
    let and = |text: &str| [work.clone(), vec![(9, told(text))]].concat();
    reached_and_not(
        "goal_change",
        &LOGIN,
        &and("Now draw the price chart of the landing page in blue and grey"),
        &and("The refresh of an expired token at login should also log the user's name"),
    );
}

#[test]
fn what_only_steers_is_no_other_goal() {
    for text in [
        "go on",
        "Yes, please commit this now",
        "Why did the tests fail?",
    ] {
        let scene = vec![
            (0, told("Add token refresh to the login flow.")),
            (1, told(text)),
        ];
        let signals = fold(&LOGIN, &scene);
        assert_eq!(signals.goal_distance, 0, "{text}");
    }
}

#[test]
fn several_pieces_of_work() {
    let log = "Find out why it says this:\n```\n- a\n- b\n- c\n- d\n- e\n- f\n```";
    reached_and_not(
        "goal_complexity",
        &LOGIN,
        &vec![(
            0,
            told(
                "Do this:\n1. parse the file\n2. store it\n3. serve it\n4. draw it\n5. tell of it",
            ),
        )],
        &vec![(0, told(log))],
    );
    let divided = About {
        children: 2,
        ..LOGIN
    };
    let signals = fold(&divided, &vec![(0, told("1. a\n2. b\n3. c\n4. d\n5. e"))]);
    let advice = Advice::push(&Settings::default(), &signals, divided, None);
    assert_eq!(advice.score, 0, "who has divided it needs no advice");
}

/// Tries, each a change and then the tests.
fn tries(outcomes: &[bool]) -> Scene {
    let mut scene = vec![(0, told("Make the login tests pass"))];
    for (minute, success) in (1..).zip(outcomes) {
        scene.push((minute, wrote("src/login.rs")));
        scene.push((minute, ran("cargo test -p login", *success)));
    }
    scene
}

#[test]
fn the_same_failure_again_and_again() {
    // The tests fail, are mended, and other things fail that are tried once.
    let mut harmless = tries(&[false, true, false, true, false, true]);
    harmless.push((8, ran("ls nowhere", false)));
    harmless.push((8, ran("cat nothing", false)));
    reached_and_not(
        "failure_repetition",
        &LOGIN,
        &tries(&[false, false, false]),
        &harmless,
    );
}

#[test]
fn a_conversation_that_grows() {
    let calls = |tokens: &[u64]| {
        let calls = (0..)
            .zip(tokens)
            .map(|(minute, tokens)| (minute, used(*tokens)));
        calls.collect::<Scene>()
    };
    // As many tokens in all, in calls that stay small.
    reached_and_not(
        "context_growth",
        &LOGIN,
        &calls(&[12_000, 40_000, 80_000, 110_000]),
        &calls(&[20_000; 13]),
    );
    let mut shortened = calls(&[12_000, 60_000, 110_000]);
    let compacted = Report::Compacted {
        summary: String::new(),
        tokens_before: None,
        tokens_after: None,
    };
    shortened.extend([(9, compacted), (9, used(15_000))]);
    assert_eq!(fold(&LOGIN, &shortened).growth, 0);
}

#[test]
fn work_all_over_the_project() {
    let wide = (0..16).map(|n| (n, wrote(&format!("src/part{}/file{n}.rs", n % 5))));
    // As many changes, to the files of two folders.
    let near = (0..40).map(|n| (n, wrote(&format!("src/part{}/file{}.rs", n % 2, n % 8))));
    reached_and_not("file_breadth", &LOGIN, &wide.collect(), &near.collect());
}

#[test]
fn tests_that_pass_after_a_change() {
    let done = |rest: &[Report]| {
        let mut scene = vec![
            (0, told("Add token refresh to the login flow")),
            (1, ran("cargo test", true)),
            (3, wrote("src/login.rs")),
            (4, ran("cargo test", false)),
            (6, wrote("src/login.rs")),
        ];
        scene.extend(rest.iter().map(|report| (7, report.clone())));
        scene
    };
    let end = Report::TurnEnded;
    let passes = done(&[ran("cargo test", true), end.clone()]);
    // A change comes after the tests.
    let changed = done(&[ran("cargo test", true), wrote("src/token.rs"), end.clone()]);
    reached_and_not("clean_success", &LOGIN, &passes, &changed);
    for harmless in [
        // What was piped into something has its exit code.
        done(&[ran("cargo test 2>&1 | tail -3", true), end.clone()]),
        // Something else fails.
        done(&[
            ran("cargo test", true),
            ran("cargo clippy", false),
            end.clone(),
        ]),
        // The agent is still at it.
        done(&[ran("cargo test", true)]),
        // The tests passed, and nothing was done.
        vec![(0, ran("cargo test", true)), (1, end)],
    ] {
        reached_and_not("clean_success", &LOGIN, &passes, &harmless);
    }
}

#[test]
fn criteria_that_are_met() {
    let about = About {
        criteria: "docs/login.md is written; cargo clippy is clean and cargo doc passes",
        ..LOGIN
    };
    let scene = |clippy: bool| {
        vec![
            (0, told("Write down how the login works")),
            (2, wrote("docs/login.md")),
            (3, ran("cargo doc", true)),
            (4, ran("cargo clippy -p login", clippy)),
            (5, Report::TurnEnded),
        ]
    };
    reached_and_not("criteria_met", &about, &scene(true), &scene(false));
}

#[test]
fn a_failure_that_no_try_mends() {
    // As many failures, of which some are mended in between.
    let harmless = tries(&[false, false, false, true, false, false, false, true, false]);
    reached_and_not("stuck_on_failure", &LOGIN, &tries(&[false; 7]), &harmless);
    let signals = fold(&LOGIN, &tries(&[false; 7]));
    let advice = Advice::pop(&Settings::default(), &signals, LOGIN);
    assert_eq!(advice.status, Some(PopStatus::Failed));
}

#[test]
fn turns_in_which_nothing_is_done() {
    let turns = |worked: &[bool]| {
        let mut scene = vec![(0, ran("ls", true)), (0, Report::TurnEnded)];
        for (minute, worked) in (1..).zip(worked) {
            scene.push((minute, told("go on")));
            if *worked {
                scene.push((minute, ran(&format!("cat {minute}.txt"), true)));
            }
            scene.push((minute, Report::TurnEnded));
        }
        scene
    };
    let idle = turns(&[false; 4]);
    reached_and_not(
        "idle_turns",
        &LOGIN,
        &idle,
        &turns(&[false, false, true, false, false]),
    );
    // A conversation in which work has not begun.
    let mut talk = turns(&[false; 6]);
    talk.drain(..2);
    reached_and_not("idle_turns", &LOGIN, &idle, &talk);
    let advice = Advice::pop(&Settings::default(), &fold(&LOGIN, &idle), LOGIN);
    assert_eq!(advice.status, Some(PopStatus::Blocked));
}

#[test]
fn long_work_that_changes_nothing() {
    let looks = |last: &[(u64, Report)]| {
        let looks = (0..30).map(|n| (n * 2, ran(&format!("rg {n}"), true)));
        looks.chain(last.iter().cloned()).collect::<Scene>()
    };
    let in_vain = looks(&[(62, ran("rg more", true))]);
    // It led to something.
    let found = looks(&[(59, wrote("src/a.rs")), (62, ran("rg more", true))]);
    reached_and_not("no_progress", &LOGIN, &in_vain, &found);
    // Nobody was there.
    let away = vec![(0, ran("ls", true)), (300, ran("ls", true))];
    reached_and_not("no_progress", &LOGIN, &in_vain, &away);
}

#[test]
fn every_heuristic_is_tried_here() {
    let text = include_str!("tests.rs");
    for name in names() {
        assert!(text.contains(&format!("\"{name}\"")), "{name} has no test");
    }
}

#[test]
fn several_weak_signs_add_up() {
    assert_eq!(noisy_or([50, 50].into_iter()), 75);
    assert_eq!(noisy_or([100, 0].into_iter()), 100);
    assert_eq!(noisy_or(std::iter::empty()), 0);
    // Two failures, and a conversation that has grown: neither is enough.
    let mut scene = tries(&[false, false]);
    scene.extend([(8, used(10_000)), (9, used(90_000))]);
    let signals = fold(&LOGIN, &scene);
    let advice = Advice::push(&Settings::default(), &signals, LOGIN, None);
    assert!(
        advice
            .shares
            .iter()
            .all(|share| share.score < advice.threshold)
    );
    assert!(advice.advised, "{advice:?}");
    let settings = Settings {
        disabled: ["context_growth".to_owned()].into(),
        ..Settings::default()
    };
    assert!(!Advice::push(&settings, &signals, LOGIN, None).advised);
}

#[test]
fn settings_are_checked() {
    let settings = Settings::default();
    let change = AutonomyConfig {
        push_threshold: Some(60),
        disable: Some("idle_turns".to_owned()),
        ..AutonomyConfig::default()
    };
    let changed = settings.changed(&change).unwrap();
    assert_eq!(changed.push_threshold, 60);
    let text = serde_json::to_string(&changed).unwrap();
    assert_eq!(Settings::parse(&text).unwrap(), changed);
    let reset = AutonomyConfig {
        reset: true,
        ..AutonomyConfig::default()
    };
    assert_eq!(changed.changed(&reset).unwrap(), settings);
    for wrong in [
        AutonomyConfig {
            pop_threshold: Some(0),
            ..AutonomyConfig::default()
        },
        AutonomyConfig {
            push_threshold: Some(101),
            ..AutonomyConfig::default()
        },
        AutonomyConfig {
            enable: Some("intuition".to_owned()),
            ..AutonomyConfig::default()
        },
    ] {
        assert!(settings.changed(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn signals_can_be_said_to_be_otherwise() {
    let said = |value: Value| match value {
        Value::Object(said) => Signals::default().with(&said),
        _ => panic!("no object"),
    };
    let signals = said(serde_json::json!({ "repeated_failures": 7 })).unwrap();
    assert_eq!(signals.repeated_failures, 7);
    let error = said(serde_json::json!({ "mood": "bad" })).unwrap_err();
    assert!(error.help.unwrap().contains("idle_turns"));
}
