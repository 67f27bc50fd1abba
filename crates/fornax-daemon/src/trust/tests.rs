//! Decisions: who is asked again, and when.

use std::fs;
use std::path::{Path, PathBuf};

use fornax_core::error::ErrorKind;
use proptest::prelude::*;

use super::*;

struct Place {
    _temp: tempfile::TempDir,
    root: PathBuf,
    trust: Trust,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap().join("project");
    fs::create_dir(&root).unwrap();
    let home = Home::open(temp.path().join("state/fornax")).unwrap();
    Place {
        trust: Trust::of(&home),
        root,
        _temp: temp,
    }
}

const ONE: &str = "tools: {a: {cmd: [one]}}\n";
const TWO: &str = "tools: {a: {cmd: [two]}}\n";

impl Place {
    fn write(&self, text: &str) {
        fs::write(self.root.join(plans::CONFIG_FILE), text).unwrap();
    }

    fn standing(&self) -> Standing {
        self.trust.read(&self.root).unwrap().standing
    }

    fn accept(&self, digest: Option<String>, always: bool) -> Result<Review, Error> {
        self.trust.decide(&Decision::Accept {
            dir: self.root.clone(),
            digest,
            filters: Vec::new(),
            always,
        })
    }
}

#[test]
fn each_text_is_asked_about_once() {
    let place = place();
    assert_eq!(place.standing(), Standing::ExecutesNothing);
    place.write("limits: {tasks: 1}\n");
    assert_eq!(place.standing(), Standing::ExecutesNothing);
    place.trust.config(&place.root).unwrap();
    for text in [ONE, TWO] {
        place.write(text);
        assert_eq!(place.standing(), Standing::Undecided);
        let error = place.trust.config(&place.root).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden);
        assert!(error.help.unwrap().contains("`fornax trust`"));
        place.accept(None, false).unwrap();
        assert_eq!(place.standing(), Standing::Trusted);
    }
    // Back and forth between two that are trusted, and what executes nothing beside them.
    for text in [
        ONE,
        TWO,
        &format!("# other\n{ONE}limits: {{tasks: 2}}\n"),
        TWO,
    ] {
        place.write(text);
        assert_eq!(place.standing(), Standing::Trusted, "{text}");
    }
}

#[test]
fn only_what_was_shown_is_accepted() {
    let place = place();
    place.write(ONE);
    let shown = place.trust.review(&place.root).unwrap();
    assert_eq!(shown.executes, "tools:\n  a:\n    cmd:\n    - \"one\"\n");
    assert_eq!(shown.diff, None);
    place.write(TWO);
    let error = place.accept(shown.digest.clone(), false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(place.standing(), Standing::Undecided);
    place.write(ONE);
    place.accept(shown.digest, false).unwrap();
    place.write(TWO);
    let diff = place.trust.review(&place.root).unwrap().diff.unwrap();
    assert!(
        diff.contains("-    - \"one\"") && diff.contains("+    - \"two\""),
        "{diff}"
    );
}

#[test]
fn no_is_remembered_and_trust_takes_it_back() {
    let place = place();
    place.write(ONE);
    let digest = place.trust.review(&place.root).unwrap().digest.unwrap();
    let decline = Decision::Decline {
        dir: place.root.clone(),
        digest,
    };
    place.trust.decide(&decline).unwrap();
    assert_eq!(place.standing(), Standing::Declined);
    place.write(TWO);
    assert_eq!(place.standing(), Standing::Undecided);
    place.write(ONE);
    place.accept(None, false).unwrap();
    assert_eq!(place.standing(), Standing::Trusted);
}

#[test]
fn always_holds_for_this_project_until_it_is_revoked() {
    let place = place();
    place.write(ONE);
    place.accept(None, true).unwrap();
    place.write(TWO);
    assert_eq!(place.standing(), Standing::Always);
    let decided = place.trust.decided().unwrap();
    assert_eq!(decided.projects[0].dir, place.root);
    assert!(decided.projects[0].always);
    let elsewhere = place.root.parent().unwrap().join("other");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join(plans::CONFIG_FILE), TWO).unwrap();
    assert_eq!(
        place.trust.read(&elsewhere).unwrap().standing,
        Standing::Undecided
    );
    let revoke = Decision::Revoke {
        dir: place.root.clone(),
    };
    place.trust.decide(&revoke).unwrap();
    assert_eq!(place.standing(), Standing::Undecided);
    assert_eq!(place.trust.decided().unwrap(), Decided::default());
}

#[test]
fn digests_are_bounded_and_the_oldest_goes() {
    let place = place();
    let text = |number: usize| format!("tools: {{a: {{cmd: ['{number}']}}}}\n");
    for number in 0..=64 {
        place.write(&text(number));
        place.accept(None, false).unwrap();
    }
    assert_eq!(place.trust.decided().unwrap().projects[0].digests.len(), 64);
    place.write(&text(0));
    assert_eq!(place.standing(), Standing::Undecided);
    place.write(&text(1));
    assert_eq!(place.standing(), Standing::Trusted);
}

#[test]
fn what_fornax_writes_itself_is_trusted() {
    let place = place();
    place.write(ONE);
    let config = plans::parse_config(&place.root).unwrap();
    place.trust.record_own(&place.root, &config, &[]).unwrap();
    assert_eq!(place.standing(), Standing::Trusted);
}

#[test]
fn a_refusal_names_no_command_to_an_agent() {
    let place = place();
    place.write(ONE);
    let error = for_agent(place.trust.config(&place.root).unwrap_err());
    let text = format!("{error} {}", error.help.clone().unwrap());
    assert!(
        !text.contains("fornax trust") && text.contains("a person has to"),
        "{text}"
    );
    let other = Error::new(ErrorKind::Forbidden, "x").with_help("y");
    assert_eq!(for_agent(other.clone()), other);
}

/// Files that are no files, at every place from which the daemon reads one.
#[test]
fn nothing_is_waited_for_and_nothing_leads_out() {
    let place = place();
    let root = &place.root;
    type Make = fn(&Path);
    let kinds: [(&str, Make); 5] = [
        ("pipe", |path| {
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        }),
        ("device", |path| {
            std::os::unix::fs::symlink("/dev/ptmx", path).unwrap()
        }),
        ("folder", |path| fs::create_dir(path).unwrap()),
        ("dangling link", |path| {
            std::os::unix::fs::symlink("nowhere", path).unwrap()
        }),
        ("large", |path| {
            fs::File::create(path).unwrap().set_len(1 << 40).unwrap()
        }),
    ];
    for (kind, make) in kinds {
        let file = root.join(plans::CONFIG_FILE);
        make(&file);
        place.trust.read(root).unwrap_err();
        place.accept(None, true).unwrap_err();
        assert_eq!(place.trust.decided().unwrap(), Decided::default(), "{kind}");
        match file.is_dir() {
            true => fs::remove_dir(&file).unwrap(),
            false => fs::remove_file(&file).unwrap(),
        }
        make(&root.join("plan.yaml"));
        fs::write(
            root.join("outer.yaml"),
            "name: p\nframes: [{id: a, uses: plan.yaml}]\n",
        )
        .unwrap();
        let config = Config::load(None).unwrap();
        for plan in ["plan.yaml", "outer.yaml"] {
            for by in [plans::NamedBy::Person, plans::NamedBy::Agent] {
                let loaded = plans::load_plan(root, Path::new(plan), &config, by);
                assert!(loaded.is_err(), "{kind} {plan} {by:?}");
            }
        }
        let plan = root.join("plan.yaml");
        match plan.is_dir() {
            true => fs::remove_dir(&plan).unwrap(),
            false => fs::remove_file(&plan).unwrap(),
        }
    }
}

#[test]
fn an_agents_plan_is_a_file_of_the_project_and_a_persons_is_anywhere() {
    let place = place();
    let outside = place.root.parent().unwrap().join("outside.yaml");
    fs::write(&outside, "name: p\nframes: [{id: a, run: 'true'}]\n").unwrap();
    fs::write(
        place.root.join("inside.yaml"),
        "name: p\nframes: [{id: a, run: 'true'}]\n",
    )
    .unwrap();
    std::os::unix::fs::symlink(&outside, place.root.join("link.yaml")).unwrap();
    let config = Config::load(None).unwrap();
    let load = |path: &Path, by| plans::load_plan(&place.root, path, &config, by);
    let named = [
        outside.as_path(),
        Path::new("link.yaml"),
        Path::new("../outside.yaml"),
    ];
    for path in named {
        load(path, plans::NamedBy::Person).unwrap();
        assert!(
            load(path, plans::NamedBy::Agent).is_err(),
            "{}",
            path.display()
        );
    }
    load(Path::new("inside.yaml"), plans::NamedBy::Agent).unwrap();
    load(&place.root.join("inside.yaml"), plans::NamedBy::Agent).unwrap();
    let error = load(Path::new("/etc/shadow"), plans::NamedBy::Agent).unwrap_err();
    let error = Error::from(error);
    assert_eq!(error.kind, ErrorKind::Forbidden);
}

proptest! {
    /// Whatever bytes a project's files hold, they are read or refused; nothing is followed that
    /// nobody accepted.
    #[test]
    fn files_of_others_never_panic_and_never_execute(
        config in proptest::collection::vec(any::<u8>(), 0..200),
        yaml in "(tools: \\{a: \\{cmd: \\[x\\]\\}\\}|limits|[a-z:\\[\\]{}\n&* -]){0,40}",
        plan in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let place = place();
        for bytes in [config, yaml.into_bytes()] {
            fs::write(place.root.join(plans::CONFIG_FILE), bytes).unwrap();
            if let Ok(reading) = place.trust.read(&place.root) {
                let is_free = reading.config.executing.is_empty();
                prop_assert_eq!(reading.standing.is_followed(), is_free);
            }
        }
        fs::write(place.root.join("plan.yaml"), plan).unwrap();
        let built_in = Config::load(None).unwrap();
        let named_by = plans::NamedBy::Agent;
        let _ = plans::load_plan(&place.root, Path::new("plan.yaml"), &built_in, named_by);
    }
}
