//! Any command that writes lines of JSON, read by the user's mapping.

use fornax_core::agent::{Order, Usage};
use fornax_core::spec::ErrorClass;
use serde_json::Value;

use super::ended;
use crate::classify::classify;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;

/// The most of plain lines that is kept for a result, in bytes.
const TEXT_MAX_BYTES: usize = 64 << 10;

/// One run of a command.
pub(crate) struct Jsonl {
    job: Job,
    session: Option<String>,
    model: Option<String>,
    result: Option<String>,
    /// What it wrote that is no JSON: the result where no line has one.
    text: String,
    error: Option<String>,
    total: Usage,
    calls: u32,
    over: bool,
}

impl Jsonl {
    pub fn new(job: &Job) -> Jsonl {
        Jsonl {
            model: job.model.clone(),
            job: job.clone(),
            session: None,
            result: None,
            text: String::new(),
            error: None,
            total: Usage::default(),
            calls: 0,
            over: false,
        }
    }

    fn line(&mut self, line: &Value, out: &mut Out) {
        let mapping = self.job.mapping.clone();
        if let Some(session) = at(line, mapping.session.as_ref()).and_then(text)
            && self.session.as_ref() != Some(&session)
        {
            self.session = Some(session.clone());
            out.tell(Happening::SessionStarted {
                session,
                model: self.model.clone(),
                version: None,
                resumed: false,
            });
        }
        if let Some(model) = at(line, mapping.model.as_ref()).and_then(text) {
            self.model = Some(model);
        }
        if let Some(result) = at(line, mapping.result.as_ref()).and_then(text) {
            out.tell(Happening::Text {
                text: result.clone(),
                child: None,
            });
            self.result = Some(result);
        }
        let error = at(line, mapping.error.as_ref());
        let is_error = |error: &&Value| {
            !matches!(error, Value::Null | Value::Bool(false)) && error.as_str() != Some("")
        };
        if let Some(error) = error.filter(is_error) {
            self.error = Some(text(error).unwrap_or_else(|| error.to_string()));
        }
        self.usage(line, out);
    }

    fn usage(&mut self, line: &Value, out: &mut Out) {
        let mapping = &self.job.mapping;
        let count = |path: &Option<String>| at(line, path.as_ref()).and_then(Value::as_u64);
        let fields = [
            &mapping.input,
            &mapping.output,
            &mapping.cache_read,
            &mapping.cache_write,
        ]
        .map(count);
        let cost = at(line, mapping.cost_usd.as_ref()).and_then(Value::as_f64);
        if cost.is_none() && fields.iter().all(Option::is_none) {
            return;
        }
        let [input, output, cache_read, cache_write] = fields.map(Option::unwrap_or_default);
        let told = Usage {
            input,
            output,
            cache_read,
            cache_write,
            cost_usd: cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
            ..Usage::default()
        };
        let usage = match mapping.cumulative {
            true => told.since(&std::mem::replace(&mut self.total, told)),
            false => told,
        };
        if usage.is_zero() {
            return;
        }
        self.calls += 1;
        out.tell(Happening::ModelCall {
            call: format!("line-{}", self.calls),
            model: self.model.clone(),
            provider: None,
            usage,
            duration_ms: None,
            child: None,
        });
    }

    fn exited(&mut self, code: Option<i32>, signal: Option<i32>, out: &mut Out) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let success = code.is_some_and(|code| self.job.success_exit_codes.contains(&code));
        let end = match (self.error.take(), success) {
            (Some(error), _) => {
                let class = match classify(None, None, &error) {
                    ErrorClass::Api => ErrorClass::ExitNonzero,
                    class => class,
                };
                TurnEnd::failed(class, error)
            }
            (None, true) => TurnEnd::Completed {
                result: self
                    .result
                    .take()
                    .unwrap_or_else(|| self.text.trim().to_owned()),
            },
            (None, false) => match (code, signal) {
                (Some(code), _) => {
                    TurnEnd::failed(ErrorClass::ExitNonzero, format!("exit code {code}"))
                }
                _ => TurnEnd::Failed(ended(code, signal)),
            },
        };
        out.tell(Happening::TurnEnded(end));
    }
}

/// The value at a dotted path: names of fields and places in lists.
fn at<'a>(line: &'a Value, path: Option<&String>) -> Option<&'a Value> {
    path?.split('.').try_fold(line, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// A value as text; a structure as JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

impl Driver for Jsonl {
    fn launch(&self) -> Launch {
        Launch::Process {
            argv: self.job.argv.clone(),
            env: Vec::new(),
            converse: false,
        }
    }

    fn begin(&mut self, out: &mut Out) {
        out.tell(Happening::TurnStarted {
            turn: 1,
            prompt: self.job.prompt.clone(),
        });
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Line(line) => match serde_json::from_slice::<Value>(line) {
                Ok(value) if value.is_object() => self.line(&value, out),
                _ => {
                    // It may be meant for people: it stands in the log, and counts where nothing
                    // else does.
                    out.garbage += 1;
                    let room = TEXT_MAX_BYTES.saturating_sub(self.text.len());
                    let line = String::from_utf8_lossy(line);
                    self.text.extend(line.chars().take(room / 4));
                    self.text.push('\n');
                }
            },
            Heard::Exited { code, signal } => self.exited(code, signal, out),
            _ => {}
        }
    }

    fn order(&mut self, _order: &Order, _out: &mut Out) {}

    fn finish(&mut self, _out: &mut Out) {}

    fn interrupt(&mut self, out: &mut Out) {
        out.say(Say::Interrupt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_core::agent::{DriverKind, Mapping};

    fn run(mapping: Mapping, lines: &[&str], code: i32) -> Vec<Happening> {
        let mut job = Job::new("/t".into(), DriverKind::Jsonl, vec!["x".into()], "/".into());
        job.mapping = mapping;
        let mut driver = Jsonl::new(&job);
        let mut out = Out::default();
        driver.begin(&mut out);
        for line in lines {
            driver.hear(Heard::Line(line.as_bytes()), &mut out);
        }
        let code = Some(code);
        driver.hear(Heard::Exited { code, signal: None }, &mut out);
        out.happenings
    }

    fn mapping() -> Mapping {
        Mapping {
            result: Some("choices.0.text".to_owned()),
            error: Some("error.message".to_owned()),
            input: Some("usage.in".to_owned()),
            cost_usd: Some("usage.usd".to_owned()),
            cumulative: true,
            ..Mapping::default()
        }
    }

    #[test]
    fn paths_lead_to_result_usage_and_error() {
        let lines = [
            r#"{"usage": {"in": 10, "usd": 0.5}, "choices": [{"text": "first"}]}"#,
            "not JSON",
            r#"{"usage": {"in": 25, "usd": 1.5}, "choices": [{"text": "last"}], "error": {"message": ""}}"#,
        ];
        let happened = run(mapping(), &lines, 0);
        let used: Vec<_> = happened
            .iter()
            .filter_map(|happening| match happening {
                Happening::ModelCall { usage, .. } => Some((usage.input, usage.cost_usd)),
                _ => None,
            })
            .collect();
        assert_eq!(used, [(10, Some(0.5)), (15, Some(1.0))]);
        let result = "last".to_owned();
        let end = Happening::TurnEnded(TurnEnd::Completed { result });
        assert_eq!(happened.last(), Some(&end));
        let failed = run(
            mapping(),
            &[r#"{"error": {"message": "429 slow down"}}"#],
            0,
        );
        let Some(Happening::TurnEnded(TurnEnd::Failed(failure))) = failed.last() else {
            panic!("{failed:?}");
        };
        assert_eq!(failure.class, ErrorClass::RateLimit);
    }

    #[test]
    fn without_a_result_plain_lines_count() {
        let happened = run(Mapping::default(), &["hello", "world"], 0);
        let result = "hello\nworld".to_owned();
        let end = Happening::TurnEnded(TurnEnd::Completed { result });
        assert_eq!(happened.last(), Some(&end));
        assert!(matches!(
            run(Mapping::default(), &["hello"], 3).last(),
            Some(Happening::TurnEnded(TurnEnd::Failed(_)))
        ));
    }
}
