//! Everything about one frame or one task, as labelled lines.

use fornax_core::view::{FrameDetail, TaskView};
use fornax_daemon::http::backend::TaskDetail;
use serde_json::Value;

use crate::out::{BOLD, DIM, paint};
use crate::render::table::Table;
use crate::render::{frame_sign, task_state, time, usage};
use crate::text::{one_line, safe};

/// Labelled lines; a label whose value is empty is left out.
#[derive(Default)]
pub struct Fields(String);

impl Fields {
    /// Adds a line. The value may hold colours, and must be fit for a terminal.
    pub fn add(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            self.0 += &format!("{}  {value}\n", paint(DIM, &format!("{label:<10}")));
        }
    }

    /// Adds a part with a heading of its own.
    pub fn part(&mut self, heading: &str, body: &str) {
        if !body.trim().is_empty() {
            self.0 += &format!("\n{}\n{}\n", paint(BOLD, heading), body.trim_end());
        }
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A frame.
pub fn frame(detail: &FrameDetail, now_ms: i64, columns: usize) -> String {
    let frame = &detail.frame;
    let (sign, style) = frame_sign(frame.status);
    let mut fields = Fields::default();
    fields.add(
        "Frame",
        &format!(
            "{}  {}",
            paint(BOLD, &frame.id.to_string()),
            one_line(&frame.key)
        ),
    );
    fields.add("Title", &one_line(&frame.title));
    fields.add("Run", &frame.run.to_string());
    let status = paint(style, &format!("{sign} {}", frame.status));
    let reason = frame.reason.as_deref().map(one_line).unwrap_or_default();
    fields.add("Status", format!("{status}  {reason}").trim_end());
    fields.add(
        "Took",
        &time::span(frame.started_ms, frame.ended_ms, now_ms),
    );
    for (label, value) in [
        ("Tool", &frame.tool),
        ("Phase", &frame.phase),
        ("Role", &frame.agent_role),
    ] {
        fields.add(label, &value.as_deref().map(one_line).unwrap_or_default());
    }
    for (label, ids) in [
        ("Waits for", &frame.depends_on),
        ("Needed by", &detail.dependants),
        ("Holds", &detail.children),
    ] {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        fields.add(label, &ids.join(" "));
    }
    if detail.goal != frame.title {
        fields.part("Goal", &safe(&detail.goal));
    }
    fields.part("History", &history(detail, now_ms));
    fields.part("Tasks", &tasks(&detail.tasks, now_ms, columns));
    let artifacts: Vec<_> = detail
        .artifacts
        .iter()
        .map(|file| format!("{}  {} bytes", one_line(&file.path), file.bytes))
        .collect();
    fields.part("Artifacts", &artifacts.join("\n"));
    fields.part("Results", &safe(&detail.results));
    fields.into_text()
}

fn history(detail: &FrameDetail, now_ms: i64) -> String {
    let lines = detail.status_history.iter().map(|change| {
        let (sign, style) = frame_sign(change.status);
        let at = paint(DIM, &time::moment(change.at_ms, now_ms));
        let status = paint(style, &format!("{sign} {}", change.status));
        let reason = change.reason.as_deref().map(one_line).unwrap_or_default();
        let gap = if reason.is_empty() {
            String::new()
        } else {
            " ".repeat(13_usize.saturating_sub(change.status.as_str().len()))
        };
        format!("{at}  {status}{gap}{reason}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn tasks(tasks: &[TaskView], now_ms: i64, columns: usize) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["TASK", "STATE", "TIME", "TOKENS", "COST", "ERROR"]);
    for task in tasks {
        table.row(vec![
            task.id.to_string(),
            task_state(task.state),
            time::span(task.started_ms, task.ended_ms, now_ms),
            usage::tokens(task.usage.as_ref()),
            usage::cost(task.usage.as_ref()),
            task.error.as_deref().map(one_line).unwrap_or_default(),
        ]);
    }
    table.render(columns)
}

/// A task.
pub fn task(detail: &TaskDetail, now_ms: i64) -> String {
    let task = &detail.task;
    let mut fields = Fields::default();
    fields.add(
        "Task",
        &format!(
            "{}  attempt {}",
            paint(BOLD, &task.id.to_string()),
            task.attempt
        ),
    );
    fields.add("Frame", &task.frame.to_string());
    fields.add("Run", &task.run.to_string());
    let stopping = if task.stopping { ", told to stop" } else { "" };
    fields.add("State", &format!("{}{stopping}", task_state(task.state)));
    fields.add("Tool", &one_line(&task.tool));
    fields.add("Queued", &time::moment(task.queued_ms, now_ms));
    for (label, at) in [
        ("Not before", task.due_ms),
        ("Started", task.started_ms),
        ("Ended", task.ended_ms),
    ] {
        fields.add(
            label,
            &at.map(|at| time::moment(at, now_ms)).unwrap_or_default(),
        );
    }
    fields.add("Took", &time::span(task.started_ms, task.ended_ms, now_ms));
    for (label, number) in [("Exit code", task.exit_code), ("Signal", task.signal)] {
        fields.add(
            label,
            &number.map(|number| number.to_string()).unwrap_or_default(),
        );
    }
    fields.add(
        "Error",
        &task.error.as_deref().map(one_line).unwrap_or_default(),
    );
    agent(&mut fields, task);
    if let Some(record) = &detail.record {
        fields.add(
            "Directory",
            &one_line(record["cwd"].as_str().unwrap_or_default()),
        );
        fields.part("Command", &command(&record["argv"]));
    }
    fields.into_text()
}

/// What is known of a task's agent.
fn agent(fields: &mut Fields, task: &TaskView) {
    fields.add(
        "Session",
        &task.session.as_deref().map(one_line).unwrap_or_default(),
    );
    fields.add(
        "Model",
        &task.model.as_deref().map(one_line).unwrap_or_default(),
    );
    if task.turns > 0 {
        fields.add("Turns", &task.turns.to_string());
    }
    fields.add(
        "Does",
        &task.step.as_deref().map(one_line).unwrap_or_default(),
    );
    if let Some(used) = task.usage.filter(|used| !used.is_zero()) {
        fields.add("Tokens", &usage::in_full(&used));
        fields.add("Cost", &usage::cost(Some(&used)));
    }
    for wait in &task.waits {
        let what = format!("{}: {}", wait.tool, wait.title);
        fields.add(
            "Asks",
            &format!("{}  {}", one_line(&wait.id), one_line(&what)),
        );
    }
    if task.idle {
        fields.add("Waits", "for you to tell it something: `fornax tell`");
    }
}

/// A command as a person would type it, one argument a word.
fn command(argv: &Value) -> String {
    let words = argv
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    words
        .map(|word| safe(&quoted(word)).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as a shell reads it as one.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        let argv = serde_json::json!(["sh", "-c", "echo 'a b'", "", "x=1", "\x1b[2J"]);
        assert_eq!(command(&argv), r"sh -c 'echo '\''a b'\''' '' x=1 '\x1b[2J'");
    }
}
