//! What a command line tells of the work: whether it runs the tests, or something else that must be
//! in order before the work is done, and whether its success can be believed.

/// What a command looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The tests.
    Tests,
    /// Another gate: a linter, a formatter, a build.
    Gate,
}

/// A command that looks at the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// What it looks at.
    pub check: Check,
    /// The program and its first word: the same for every run of the same check.
    pub name: String,
    /// Whether the exit code of the line is that of the check: not where the check is piped into
    /// something, or something follows that succeeds in any case.
    pub honest: bool,
}

/// Commands that run the tests, by their beginnings.
const TESTS: &[&str] = &[
    "bun test",
    "bundle exec rspec",
    "cargo nextest",
    "cargo test",
    "ctest",
    "deno test",
    "dotnet test",
    "go test",
    "gradle test",
    "gradlew test",
    "jest",
    "just test",
    "make check",
    "make test",
    "mix test",
    "mvn test",
    "mvn verify",
    "npm run test",
    "npm t",
    "npm test",
    "phpunit",
    "playwright test",
    "pnpm run test",
    "pnpm test",
    "pytest",
    "rspec",
    "swift test",
    "tox",
    "unittest",
    "vitest",
    "yarn run test",
    "yarn test",
];

/// Commands that are other gates, by their beginnings.
const GATES: &[&str] = &[
    "biome",
    "cargo build",
    "cargo check",
    "cargo clippy",
    "cargo fmt",
    "eslint",
    "go build",
    "go vet",
    "golangci-lint",
    "gradle build",
    "just build",
    "just lint",
    "make",
    "make build",
    "make lint",
    "mypy",
    "npm run build",
    "npm run lint",
    "npm run typecheck",
    "pnpm build",
    "pnpm lint",
    "pnpm run build",
    "pnpm run lint",
    "pre-commit",
    "prettier",
    "pyright",
    "ruff",
    "tsc",
    "yarn build",
    "yarn lint",
];

/// Words in front of a command that are not the command.
const BEFORE: &[&str] = &[
    "bunx", "command", "env", "exec", "nice", "npx", "poetry", "pnpx", "python", "python3", "run",
    "sudo", "time", "timeout", "uv", "-m",
];

/// The check that a command line makes, if any; of several, the tests.
pub(super) fn checked(line: &str) -> Option<Checked> {
    let parts = parts(unwrap_shell(line));
    let mut found: Option<Checked> = None;
    for (place, (part, _)) in parts.iter().enumerate() {
        let Some((check, name)) = check_of(part) else {
            continue;
        };
        let honest = parts[place..]
            .iter()
            .all(|(_, after)| matches!(*after, "" | "&&"));
        let better = found
            .as_ref()
            .is_none_or(|known| known.check == Check::Gate && check == Check::Tests);
        if better {
            found = Some(Checked {
                check,
                name,
                honest,
            });
        }
    }
    found
}

/// The line within `bash -lc '...'`.
fn unwrap_shell(line: &str) -> &str {
    let line = line.trim();
    let Some((program, rest)) = line.split_once(' ') else {
        return line;
    };
    let is_shell = matches!(basename(program), "bash" | "sh" | "zsh" | "dash");
    let Some((flags, inner)) = rest.trim_start().split_once(' ') else {
        return line;
    };
    if !is_shell || !flags.starts_with('-') || !flags.ends_with('c') {
        return line;
    }
    let inner = inner.trim();
    let quoted = |quote: char| {
        inner
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    quoted('\'').or_else(|| quoted('"')).unwrap_or(inner)
}

/// The commands of a line, each with what joins it to the next.
fn parts(line: &str) -> Vec<(&str, &'static str)> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < line.len() {
        let rest = &line[at..];
        let joint = ["&&", "||", "|", ";", "\n"]
            .into_iter()
            .find(|joint| rest.starts_with(joint));
        match joint {
            Some(joint) => {
                found.push((&line[begin..at], joint));
                at += joint.len();
                begin = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found.push((&line[begin..], ""));
    found
}

fn check_of(command: &str) -> Option<(Check, String)> {
    let words = command
        .split_whitespace()
        .skip_while(|word| is_before(word))
        .take(3);
    let words: Vec<&str> = words
        .enumerate()
        .map(|(place, word)| if place == 0 { basename(word) } else { word })
        .collect();
    // The longest beginning that is known.
    (1..=words.len()).rev().find_map(|count| {
        let name = words[..count].join(" ");
        let known = |table: &[&str]| table.binary_search(&name.as_str()).is_ok();
        if known(TESTS) || name.starts_with("npm run test:") {
            Some((Check::Tests, name))
        } else if known(GATES) {
            Some((Check::Gate, name))
        } else {
            None
        }
    })
}

/// A word in front of a command: a setting of the environment, `sudo`, a time limit.
fn is_before(word: &str) -> bool {
    let setting = word
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && !name.starts_with('-'));
    let number = word.bytes().all(|byte| byte.is_ascii_digit());
    setting || number || BEFORE.contains(&basename(word))
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order() {
        for table in [TESTS, GATES] {
            assert!(table.is_sorted(), "{table:?}");
        }
    }

    #[test]
    fn checks_are_known_however_they_are_called() {
        for (line, check, name, honest) in [
            ("cargo test -p core", Check::Tests, "cargo test", true),
            ("cd web && npm test", Check::Tests, "npm test", true),
            (
                "RUST_BACKTRACE=1 cargo test",
                Check::Tests,
                "cargo test",
                true,
            ),
            ("python3 -m pytest -q", Check::Tests, "pytest", true),
            ("uv run pytest tests/a.py", Check::Tests, "pytest", true),
            ("./gradlew test", Check::Tests, "gradlew test", true),
            (
                "/bin/bash -lc 'go test ./...'",
                Check::Tests,
                "go test",
                true,
            ),
            (
                "cargo clippy && cargo test",
                Check::Tests,
                "cargo test",
                true,
            ),
            ("timeout 60 make test", Check::Tests, "make test", true),
            (
                "cargo test 2>&1 | tail -5",
                Check::Tests,
                "cargo test",
                false,
            ),
            ("cargo test || true", Check::Tests, "cargo test", false),
            ("npm test; echo done", Check::Tests, "npm test", false),
            ("npx tsc --noEmit", Check::Gate, "tsc", true),
            ("make", Check::Gate, "make", true),
        ] {
            let expected = Checked {
                check,
                name: name.to_owned(),
                honest,
            };
            assert_eq!(checked(line), Some(expected), "{line}");
        }
        for line in [
            "",
            "ls tests",
            "cat pytest.ini",
            "git commit -m 'cargo test'",
            "é|é",
        ] {
            assert_eq!(checked(line), None, "{line}");
        }
    }
}
