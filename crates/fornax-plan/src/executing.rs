//! The executing part of a `fornax.yaml`: the keys that decide which programs run, with which
//! arguments, input, environment and permissions, in one canonical form.
//!
//! A person trusts the digest of this text. Comments, formatting, the order of keys and keys that
//! execute nothing do not change it. Each mapping is destructured in full, so a new key does not
//! compile before it is classified here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::diagnostic::At;
use super::keys::{ConfigKeys, DefaultsKeys, ToolKeys};
use super::read::{Choice, Many, Table, Text};

/// What a `fornax.yaml` executes, as a person reads it before they trust it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executing {
    text: String,
    programs: Vec<String>,
}

impl Executing {
    /// Whether the file executes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The canonical text. It is injective: two files with the same text execute the same.
    /// Characters that a terminal or a page would not show as they are, are escaped.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The programs that are named by a relative path: files of the project, whose content is not
    /// part of the text.
    #[must_use]
    pub fn programs(&self) -> &[String] {
        &self.programs
    }

    pub(crate) fn of(keys: &ConfigKeys) -> Executing {
        let ConfigKeys {
            tools,
            defaults,
            pools: _,
            limits: _,
            context: _,
            redact: _,
            flawed: _,
        } = keys;
        let mut form = Form::default();
        let mut programs = Vec::new();
        if let Some(tools) = tools.as_ref().filter(|tools| !tools.value.0.is_empty()) {
            form.open(0, "tools");
            let sorted: BTreeMap<&str, &ToolKeys> = tools
                .value
                .0
                .iter()
                .map(|(name, tool)| (name.value.as_str(), &tool.value))
                .collect();
            for (name, tool) in sorted {
                form.open(1, &key(name));
                form.tool(tool);
                programs.extend(program(tool));
            }
        }
        if let Some(defaults) = defaults {
            form.defaults(&defaults.value);
        }
        programs.sort();
        programs.dedup();
        Executing {
            text: form.0,
            programs,
        }
    }
}

/// The program of a tool, where it is a file relative to the project.
fn program(tool: &ToolKeys) -> Option<String> {
    let program = &tool.cmd.as_ref()?.value.0.first()?.value.0;
    (program.contains('/') && !program.starts_with('/')).then(|| program.clone())
}

#[derive(Default)]
struct Form(String);

impl Form {
    fn tool(&mut self, keys: &ToolKeys) {
        let ToolKeys {
            cmd,
            env,
            // The model is filled into arguments, and may name variables of the environment.
            model,
            // A shell executes its standard input.
            stdin,
            // The driver decides which arguments are added.
            driver,
            // What an agent may do without a question.
            permissions,
            mode: _,
            timeout_sec: _,
            silence_sec: _,
            output: _,
            jsonl: _,
            model_retries: _,
            stack: _,
            success_exit_codes: _,
            redact: _,
            flawed: _,
        } = keys;
        if let Some(cmd) = cmd {
            self.list(
                2,
                "cmd",
                cmd.value.0.iter().map(|text| text.value.0.as_str()),
            );
        }
        self.choice(2, "driver", driver.as_ref());
        self.table(2, "env", env.as_ref());
        self.text(2, "model", model.as_ref());
        self.choice(2, "permissions", permissions.as_ref());
        self.text(2, "stdin", stdin.as_ref());
    }

    fn defaults(&mut self, keys: &DefaultsKeys) {
        let DefaultsKeys {
            // Which tool runs where a plan names none.
            tool,
            permissions,
            model,
            env,
            // Where programs run.
            workdir,
            fallback_on: _,
            pool: _,
            priority: _,
            timeout: _,
            silence_timeout: _,
            retries: _,
            backoff: _,
            retry_on: _,
            flawed: _,
        } = keys;
        let start = self.0.len();
        self.open(0, "defaults");
        let header = self.0.len();
        self.table(1, "env", env.as_ref());
        self.text(1, "model", model.as_ref());
        self.choice(1, "permissions", permissions.as_ref());
        if let Some(At {
            value: Many(tools), ..
        }) = tool
        {
            self.list(1, "tool", tools.iter().map(|text| text.value.0.as_str()));
        }
        self.text(1, "workdir", workdir.as_ref());
        if self.0.len() == header {
            self.0.truncate(start);
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:1$}{text}", "", depth * 2);
    }

    fn open(&mut self, depth: usize, name: &str) {
        self.line(depth, &format!("{name}:"));
    }

    /// A text on one line for each of its own lines.
    fn value(&mut self, depth: usize, before: &str, text: &str) {
        let mut pieces = text.split_inclusive('\n').map(quoted);
        let first = pieces.next().unwrap_or_else(|| quoted(""));
        self.line(depth, &format!("{before} {first}"));
        for piece in pieces {
            self.line(depth, &format!("{:1$} {piece}", "", before.chars().count()));
        }
    }

    fn text(&mut self, depth: usize, name: &str, text: Option<&At<Text>>) {
        if let Some(text) = text {
            self.value(depth, &format!("{name}:"), &text.value.0);
        }
    }

    fn list<'a>(&mut self, depth: usize, name: &str, items: impl Iterator<Item = &'a str>) {
        self.open(depth, name);
        items.for_each(|item| self.value(depth, "-", item));
    }

    fn table(&mut self, depth: usize, name: &str, table: Option<&At<Table<Text>>>) {
        let Some(table) = table.filter(|table| !table.value.0.is_empty()) else {
            return;
        };
        self.open(depth, name);
        let sorted: BTreeMap<&str, &str> = table
            .value
            .0
            .iter()
            .map(|(name, value)| (name.value.as_str(), value.value.0.as_str()))
            .collect();
        for (name, value) in sorted {
            self.value(depth + 1, &format!("{}:", key(name)), value);
        }
    }

    fn choice<T: Serialize>(&mut self, depth: usize, name: &str, choice: Option<&At<Choice<T>>>) {
        if let Some(choice) = choice {
            // The words of these enums are texts.
            let word = serde_json::to_value(&choice.value.0).unwrap_or_default();
            let word = word.as_str().unwrap_or_default();
            self.line(depth, &format!("{name}: {word}"));
        }
    }
}

/// A key as it is, where it is a plain word.
fn key(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A text in quotes, with escapes for everything that is not seen as it is.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_hidden(c) => {
                let _ = write!(quoted, "\\u{{{:x}}}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a character is invisible, or moves or reorders others.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
