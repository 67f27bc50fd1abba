//! Claude Code for one prompt: `claude -p`. It asks nobody; what its own settings do not allow is
//! denied.

use fornax_core::agent::Order;
use serde_json::Value;

use super::claude::{arguments, env, own_tools};
use super::claude_events::Events;
use super::ended;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::job::Job;

/// One run of `claude -p`.
pub(crate) struct ClaudePrint {
    job: Job,
    events: Events,
}

impl ClaudePrint {
    pub fn new(job: &Job) -> ClaudePrint {
        ClaudePrint {
            events: Events::new(job.resume.is_some()),
            job: job.clone(),
        }
    }
}

impl Driver for ClaudePrint {
    fn launch(&self) -> Launch {
        let mut argv = self.job.argv.clone();
        argv.extend(["-p", "--output-format", "stream-json", "--verbose"].map(str::to_owned));
        argv.extend(arguments(&self.job));
        if self.job.mcp.is_some() {
            argv.extend(["--allowedTools".to_owned(), own_tools()]);
        }
        argv.extend(["--".to_owned(), self.job.prompt.clone()]);
        Launch::Process {
            argv,
            env: env(&self.job),
            converse: false,
        }
    }

    fn begin(&mut self, out: &mut Out) {
        let prompt = self.job.prompt.clone();
        self.events.prompted(&prompt, out);
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Line(line) => {
                let event = serde_json::from_slice::<Value>(line);
                if !event.is_ok_and(|event| self.events.hear(&event, out)) {
                    out.garbage += 1;
                }
            }
            Heard::Exited { code, signal } => self.events.exited(ended(code, signal), out),
            _ => {}
        }
    }

    fn order(&mut self, _order: &Order, _out: &mut Out) {}

    fn finish(&mut self, _out: &mut Out) {}

    fn interrupt(&mut self, out: &mut Out) {
        self.events.interrupting();
        out.say(Say::Interrupt);
    }
}
