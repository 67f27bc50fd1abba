//! The events of Claude Code's `stream-json` output, which both of its drivers read.

use std::collections::{BTreeMap, BTreeSet};

use fornax_core::agent::{Failure, Usage};
use fornax_core::spec::ErrorClass;
use serde_json::Value;

use super::claude_usage::{share_of, tell_call, usage_of_message, usage_of_model};
use crate::classify::classify;
use crate::driver::Out;
use crate::happening::{Happening, TurnEnd};

/// What was heard so far of one process of Claude Code's.
#[derive(Debug, Default)]
pub(super) struct Events {
    session: Option<String>,
    resumed: bool,
    turn: u32,
    /// Whether a turn goes on.
    busy: bool,
    /// Prompts that were given, for the turns that begin with them.
    prompt: String,
    /// The agent was told to end its turn.
    interrupted: bool,
    /// The agent shortens the conversation: that it answers to that is no turn.
    shortens: bool,
    /// Tools that were called: name, and whether it is a subagent.
    tools: BTreeMap<String, (String, bool)>,
    /// Subagents in the background.
    background: BTreeSet<String>,
    /// The calls that began those.
    apart: BTreeSet<String>,
    /// What each subagent said last.
    last_words: BTreeMap<String, String>,
    /// The tokens that a conversation had that was shortened, until its summary comes.
    shortened: Option<Option<u64>>,
    /// The result of a turn whose subagents in the background still work.
    held: Option<TurnEnd>,
    /// Each model's running total, as it was told last.
    totals: BTreeMap<String, Usage>,
    results: u32,
    /// Partial usage of messages since the last result, by message; for an agent that is killed.
    partial: BTreeMap<String, Partial>,
    /// Rules of denial and other things that ended a turn.
    last_error: Option<String>,
}

/// What a message said of its own usage. Its output is not whole by then.
#[derive(Debug)]
struct Partial {
    model: Option<String>,
    usage: Usage,
    child: Option<String>,
}

impl Events {
    pub fn new(resumed: bool) -> Events {
        Events {
            resumed,
            ..Events::default()
        }
    }

    /// Whether a turn goes on.
    pub fn busy(&self) -> bool {
        self.busy
    }

    /// The agent is told something; its turn begins with its `init`, or at once where the session is
    /// known.
    pub fn prompted(&mut self, prompt: &str, out: &mut Out) {
        prompt.clone_into(&mut self.prompt);
        self.interrupted = false;
        if self.session.is_some() && !self.busy {
            self.start_turn(out);
        }
    }

    /// The agent is told to end its turn.
    pub fn interrupting(&mut self) {
        self.interrupted = true;
    }

    /// The agent is told to shorten the conversation. Whether it has one, and is not at that.
    pub fn shortening(&mut self) -> bool {
        let idle = self.session.is_some() && !self.busy && !self.shortens;
        self.shortens |= idle;
        idle
    }

    /// Whether the agent shortens the conversation.
    pub fn shortens(&self) -> bool {
        self.shortens
    }

    /// A turn ends that the agent has not been told of.
    pub fn withdraw(&mut self, out: &mut Out) {
        self.end_turn(TurnEnd::Interrupted, out);
    }

    /// A turn began, if none goes on.
    fn begin_turn(&mut self, out: &mut Out) {
        if !self.busy && !self.shortens {
            self.start_turn(out);
        }
    }

    fn start_turn(&mut self, out: &mut Out) {
        self.busy = true;
        self.turn += 1;
        out.tell(Happening::TurnStarted {
            turn: self.turn,
            prompt: std::mem::take(&mut self.prompt),
        });
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        self.begin_turn(out);
        self.busy = false;
        self.interrupted = false;
        self.tools.clear();
        self.partial.clear();
        out.tell(Happening::TurnEnded(end));
    }

    /// Takes an event; false where it is none that belongs to the session's story.
    pub fn hear(&mut self, event: &Value, out: &mut Out) -> bool {
        let summary = event["isSynthetic"] == true && event["type"] == "user";
        if let Some(tokens_before) = self.shortened.take() {
            let summary = summary.then(|| text_of(&event["message"]["content"]));
            out.tell(Happening::Compacted {
                summary: summary.filter(|text| !text.is_empty()),
                tokens_before,
                tokens_after: None,
            });
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        match (text("/type"), text("/subtype")) {
            (Some("system"), Some("init")) => self.init(event, out),
            (Some("system"), Some("api_retry")) => retry(event, out),
            // Its summary is the next thing that is said.
            (Some("system"), Some("compact_boundary")) => {
                let before = event.pointer("/compact_metadata/pre_tokens");
                self.shortened = Some(before.and_then(Value::as_u64));
            }
            (Some("system"), Some("status")) => {
                if let Some(error) = text("/compact_error") {
                    out.tell(Happening::Warning {
                        message: format!("the conversation could not be shortened: {error}"),
                    });
                }
            }
            (Some("system"), Some("task_started")) => {
                if let Some(task) = text("/task_id") {
                    self.background.insert(task.to_owned());
                }
            }
            (Some("system"), Some("task_notification")) => {
                if let Some(task) = text("/task_id") {
                    self.background.remove(task);
                }
                self.subagent_ended(event, out);
            }
            (Some("assistant"), _) => self.assistant(event, out),
            (Some("user"), _) => self.user(event, out),
            (Some("result"), _) => self.result(event, out),
            (Some(_), _) => {}
            (None, _) => return false,
        }
        true
    }

    fn init(&mut self, event: &Value, out: &mut Out) {
        let Some(session) = event["session_id"].as_str() else {
            return;
        };
        if self.session.as_deref() != Some(session) {
            self.session = Some(session.to_owned());
            out.tell(Happening::SessionStarted {
                session: session.to_owned(),
                model: event["model"].as_str().map(str::to_owned),
                version: event["claude_code_version"].as_str().map(str::to_owned),
                resumed: self.resumed,
            });
        }
        self.begin_turn(out);
    }

    fn assistant(&mut self, event: &Value, out: &mut Out) {
        let message = &event["message"];
        let model = message["model"].as_str();
        let child = event["parent_tool_use_id"].as_str().map(str::to_owned);
        // What it says of an error of its own is in the result as well.
        if model == Some("<synthetic>") {
            self.last_error = message["content"][0]["text"].as_str().map(str::to_owned);
            return;
        }
        self.begin_turn(out);
        if let Some(id) = message["id"].as_str() {
            let usage = usage_of_message(&message["usage"]);
            let partial = Partial {
                model: model.map(str::to_owned),
                usage,
                child: child.clone(),
            };
            self.partial.insert(id.to_owned(), partial);
        }
        for block in message["content"].as_array().into_iter().flatten() {
            let text = |field: &str| block[field].as_str().unwrap_or_default().to_owned();
            match block["type"].as_str() {
                Some("text") if !text("text").is_empty() => {
                    if let Some(child) = &child {
                        self.last_words.insert(child.clone(), text("text"));
                    }
                    out.tell(Happening::Text {
                        text: text("text"),
                        child: child.clone(),
                    });
                }
                Some("thinking") if !text("thinking").is_empty() => {
                    out.tell(Happening::Thinking {
                        text: text("thinking"),
                    });
                }
                Some("tool_use") => self.tool_use(block, child.clone(), out),
                _ => {}
            }
        }
    }

    fn tool_use(&mut self, block: &Value, child: Option<String>, out: &mut Out) {
        let (Some(call), Some(tool)) = (block["id"].as_str(), block["name"].as_str()) else {
            return;
        };
        let input = &block["input"];
        let delegates = matches!(tool, "Task" | "Agent");
        self.tools
            .insert(call.to_owned(), (tool.to_owned(), delegates));
        out.tell(Happening::ToolCall {
            call: call.to_owned(),
            tool: tool.to_owned(),
            title: title(input),
            input: input.clone(),
            child: child.clone(),
        });
        if delegates {
            let named = input["description"].as_str().map(str::to_owned);
            out.tell(Happening::ChildStarted {
                session: call.to_owned(),
                title: named.unwrap_or_else(|| title(input)),
                parent: child,
            });
        }
    }

    fn user(&mut self, event: &Value, out: &mut Out) {
        let blocks = event["message"]["content"].as_array();
        for block in blocks.into_iter().flatten() {
            if block["type"] != "tool_result" {
                continue;
            }
            let Some(call) = block["tool_use_id"].as_str() else {
                continue;
            };
            let (tool, delegates) = self
                .tools
                .remove(call)
                .unwrap_or_else(|| ("unknown".to_owned(), false));
            let success = block["is_error"].as_bool() != Some(true);
            let told = &event["tool_use_result"];
            out.tell(Happening::ToolResult {
                call: call.to_owned(),
                success,
                output: text_of(&block["content"]),
                exit_code: None,
                tool,
            });
            if let (true, Some(path)) = (success, told["filePath"].as_str()) {
                let changed = told.get("structuredPatch").is_some();
                if changed {
                    out.tell(Happening::FileChanged {
                        path: path.to_owned(),
                    });
                }
            }
            if delegates && success && told["status"] == "async_launched" {
                self.apart.insert(call.to_owned());
            } else if delegates {
                let last = self.last_words.remove(call);
                let said = match (success, text_of(&told["content"])) {
                    (true, said) if !said.is_empty() => said,
                    (true, _) => last.clone().unwrap_or_else(|| text_of(&block["content"])),
                    (false, _) => text_of(&block["content"]),
                };
                if success && last.as_ref() != Some(&said) {
                    self.untold_message(call, &said, told, out);
                }
                out.tell(Happening::ChildEnded {
                    session: call.to_owned(),
                    success: Some(success),
                    result: said,
                });
            }
        }
    }

    /// The last message of a subagent that is not in the background comes with its end alone.
    fn untold_message(&mut self, call: &str, said: &str, told: &Value, out: &mut Out) {
        out.tell(Happening::Text {
            text: said.to_owned(),
            child: Some(call.to_owned()),
        });
        let partial = Partial {
            model: told["resolvedModel"].as_str().map(str::to_owned),
            usage: usage_of_message(&told["usage"]),
            child: Some(call.to_owned()),
        };
        self.partial.insert(format!("last of {call}"), partial);
    }

    /// A subagent in the background has ended.
    fn subagent_ended(&mut self, event: &Value, out: &mut Out) {
        let Some(call) = event["tool_use_id"].as_str() else {
            return;
        };
        if !self.apart.remove(call) {
            return;
        }
        let report = event["summary"].as_str().unwrap_or_default();
        let last = self.last_words.remove(call).unwrap_or_default();
        let said = match event["summary_is_report"] == true || last.is_empty() {
            true => report.to_owned(),
            false => last,
        };
        out.tell(Happening::ChildEnded {
            session: call.to_owned(),
            success: Some(event["status"] == "completed"),
            result: said,
        });
    }

    fn result(&mut self, event: &Value, out: &mut Out) {
        self.begin_turn(out);
        self.results += 1;
        self.tell_usage(event, out);
        if std::mem::take(&mut self.shortens) {
            return;
        }
        let end = self.judge(event);
        if matches!(end, TurnEnd::Completed { .. }) && !self.background.is_empty() {
            self.held = Some(end);
            return;
        }
        self.held = None;
        self.end_turn(end, out);
    }

    /// What each model used since the last result. The agent's totals are running ones, subagents
    /// included; of several numbers that it tells, these are those that add up. A subagent's share is
    /// what its messages said, but for the output, of which they do not know the whole: that is what
    /// the agent's own messages leave over.
    fn tell_usage(&mut self, event: &Value, out: &mut Out) {
        let own_output = event.pointer("/usage/output_tokens");
        let mut own_output = own_output.and_then(Value::as_u64).unwrap_or(0);
        let partial = std::mem::take(&mut self.partial);
        let models = event["modelUsage"].as_object();
        for (model, told) in models.into_iter().flatten() {
            let total = usage_of_model(told);
            let before = self.totals.insert(model.clone(), total).unwrap_or_default();
            let mut rest = total.since(&before);
            let whole = rest;
            let mut children: BTreeMap<&str, (Usage, u64)> = BTreeMap::new();
            for said in partial.values().filter(|said| said.is_of(model)) {
                if let Some(child) = &said.child {
                    let (usage, messages) = children.entry(child).or_default();
                    usage.add(&said.usage);
                    *messages += 1;
                }
            }
            let theirs = whole.output.saturating_sub(own_output);
            own_output = own_output.saturating_sub(whole.output);
            let messages: u64 = children.values().map(|(_, messages)| messages).sum();
            let call = format!("result-{}-{model}", self.results);
            for (child, (usage, count)) in children {
                let output = theirs.saturating_mul(count).checked_div(messages);
                let said = Usage {
                    output: output.unwrap_or(0),
                    ..usage
                };
                let share = share_of(&rest, &said, &whole);
                rest = rest.since(&share);
                tell_call(
                    format!("{call}-{child}"),
                    model,
                    share,
                    Some(child),
                    event,
                    out,
                );
            }
            tell_call(call, model, rest, None, event, out);
        }
    }

    fn judge(&mut self, event: &Value) -> TurnEnd {
        let said = event["result"].as_str().unwrap_or_default();
        let subtype = event["subtype"].as_str().unwrap_or_default();
        let failed = event["is_error"].as_bool().unwrap_or(subtype != "success");
        if self.interrupted {
            return TurnEnd::Interrupted;
        }
        if failed {
            let errors = event["errors"].as_array().into_iter().flatten();
            let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
            let message = match (said, errors.as_slice()) {
                ("", []) => self.last_error.take().unwrap_or_else(|| subtype.to_owned()),
                ("", errors) => errors.join("; "),
                (said, _) => said.to_owned(),
            };
            let status = event["api_error_status"].as_u64();
            let status = status.and_then(|status| u16::try_from(status).ok());
            let class = match subtype {
                "error_max_budget_usd" => ErrorClass::Budget,
                _ => classify(status, None, &message),
            };
            return TurnEnd::failed(class, message);
        }
        if event["stop_reason"] == "max_tokens" {
            return TurnEnd::failed(
                ErrorClass::Api,
                "the answer was truncated: it reached the model's longest output",
            );
        }
        TurnEnd::Completed {
            result: said.to_owned(),
        }
    }

    /// The process has ended; `why` says how.
    pub fn exited(&mut self, failure: Failure, out: &mut Out) {
        self.shortens = false;
        if let Some(tokens_before) = self.shortened.take() {
            out.tell(Happening::Compacted {
                summary: None,
                tokens_before,
                tokens_after: None,
            });
        }
        // Totals come with a result only: of a turn that was cut off, what its messages said of
        // themselves is all that is known.
        for (id, said) in std::mem::take(&mut self.partial) {
            if !said.usage.is_zero() {
                out.tell(Happening::ModelCall {
                    call: id,
                    model: said.model,
                    provider: Some("anthropic".to_owned()),
                    usage: said.usage,
                    duration_ms: None,
                    child: said.child,
                });
            }
        }
        if let Some(held) = self.held.take() {
            return self.end_turn(held, out);
        }
        if self.busy || self.turn == 0 {
            self.end_turn(TurnEnd::Failed(failure), out);
        }
    }
}

impl Partial {
    /// Whether the message is a model's; totals name the model with its window's size behind it.
    fn is_of(&self, model: &str) -> bool {
        let bare = |name: &str| name.split('[').next().unwrap_or(name).to_owned();
        self.model
            .as_deref()
            .is_some_and(|own| bare(own) == bare(model))
    }
}

fn retry(event: &Value, out: &mut Out) {
    let status = event["error_status"].as_u64();
    let kind = event["error"].as_str();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let wait_ms = event["retry_delay_ms"].as_f64().unwrap_or(0.0);
    out.tell(Happening::Retry {
        attempt: event["attempt"]
            .as_u64()
            .and_then(|attempt| u32::try_from(attempt).ok())
            .unwrap_or(1),
        class: classify(status, kind, ""),
        message: format!(
            "{} {}",
            status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
            kind.unwrap_or_default()
        ),
        at: None,
        wait_ms: Some(wait_ms.max(0.0) as u64),
    });
}

/// One line about a tool's arguments.
pub(super) fn title(input: &Value) -> String {
    const TELLING: [&str; 9] = [
        "command",
        "file_path",
        "filePath",
        "path",
        "pattern",
        "url",
        "description",
        "query",
        "prompt",
    ];
    let telling = TELLING.iter().find_map(|field| input[*field].as_str());
    telling.map_or_else(|| input.to_string(), str::to_owned)
}

/// The text of a tool's result: a string, or blocks.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
