//! A long session replayed three ways: as one conversation, as one whose old outputs are masked, and
//! in frames. What each request's input is, what of it a cached prefix covers, and which of the facts
//! that a step needs stand in it.
//!
//! A trajectory (`trajectories/*.json`) says what an agent sets out to do, in how many turns, which
//! facts it finds on the way and at which later turn it needs them. What fills the tools' outputs
//! around the facts is made here, the same every time.

use std::fmt::Write;
use std::ops::AddAssign;

use fornax_core::context::BUDGET;
use fornax_core::frame::{FrameLimits, SessionId};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Actor;
use fornax_core::state::{Command, Limits, State};
use fornax_core::time::Time;
use fornax_core::tools::{Call, Profile};
use serde::Deserialize;
use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

/// What an agent's own system prompt and tools take, of which no way of working spares anything.
const SYSTEM_TOKENS: u64 = 3_000;
/// Outputs of this many last turns are not masked.
const UNMASKED_TURNS: usize = 10;
const PLACEHOLDER: &str = "[The output of this call was left out to save room.]";

/// A session of an agent: goals one after the other.
#[derive(Deserialize)]
pub struct Trajectory {
    pub title: String,
    task: String,
    seed: u64,
    goals: Vec<Goal>,
    /// Facts that the last words of the session need.
    closing: Vec<String>,
}

#[derive(Deserialize)]
struct Goal {
    title: String,
    goal: String,
    /// The places of the goals whose results it is known to need.
    #[serde(default)]
    needs: Vec<usize>,
    turns: usize,
    /// At which turn which fact comes up in an output.
    finds: Vec<(usize, String)>,
    /// At which turn which fact is needed: its goal's place and its own, as in `0.1`.
    #[serde(default)]
    uses: Vec<(usize, String)>,
    #[serde(default)]
    decides: Option<String>,
}

/// What a way of working came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    pub requests: u64,
    /// Input tokens of all requests.
    pub input: u64,
    /// Those of them that stood at the beginning of the conversation's request before, too.
    pub cached: u64,
    pub needed: u64,
    /// How many of the needed facts stood in the request that needed them.
    pub recalled: u64,
    /// Those that did not.
    pub missed: Vec<String>,
}

impl Outcome {
    /// What the input costs where a cached token costs a tenth, in tokens.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.input - self.cached + self.cached / 10
    }
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Outcome) {
        self.requests += other.requests;
        self.input += other.input;
        self.cached += other.cached;
        self.needed += other.needed;
        self.recalled += other.recalled;
        self.missed.extend(other.missed);
    }
}

/// What a model is sent: a text that stays as it is, with its tokens.
#[derive(Clone, PartialEq)]
struct Message {
    text: String,
    tokens: u64,
}

/// A turn: what the agent says and does, and what comes back.
struct Turn {
    said: Message,
    output: Message,
    needs: Vec<String>,
}

/// A goal worked on, turn by turn, and what the agent says came of it.
struct Worked {
    turns: Vec<Turn>,
    results: String,
}

/// A trajectory replayed in each way.
pub struct Replay<'a> {
    tokenizer: &'a CoreBPE,
    trajectory: &'a Trajectory,
    worked: Vec<Worked>,
}

/// A conversation with a model: its requests are counted.
#[derive(Default)]
struct Conversation {
    before: Vec<Message>,
    outcome: Outcome,
}

impl Conversation {
    fn request(&mut self, input: &[Message], needs: &[String]) {
        let same = input
            .iter()
            .zip(&self.before)
            .take_while(|(one, other)| one == other);
        self.outcome.cached += same.map(|(message, _)| message.tokens).sum::<u64>();
        self.outcome.input += input.iter().map(|message| message.tokens).sum::<u64>();
        self.outcome.requests += 1;
        for need in needs {
            self.outcome.needed += 1;
            let found = input.iter().any(|message| message.text.contains(need));
            match found {
                true => self.outcome.recalled += 1,
                false => self.outcome.missed.push(need.clone()),
            }
        }
        self.before = input.to_vec();
    }
}

impl<'a> Replay<'a> {
    #[must_use]
    pub fn new(trajectory: &'a Trajectory, tokenizer: &'a CoreBPE) -> Replay<'a> {
        let mut replay = Replay {
            tokenizer,
            trajectory,
            worked: Vec::new(),
        };
        let mut noise = Noise(trajectory.seed);
        let goals = trajectory.goals.iter();
        replay.worked = goals.map(|goal| replay.work(goal, &mut noise)).collect();
        replay
    }

    fn message(&self, text: String) -> Message {
        let tokens = self.tokenizer.encode_ordinary(&text).len() as u64;
        Message { text, tokens }
    }

    fn fact(&self, name: &str) -> String {
        let (goal, place) = name.split_once('.').expect("a fact is named GOAL.PLACE");
        let number = |text: &str| text.parse::<usize>().expect("a place is a number");
        self.trajectory.goals[number(goal)].finds[number(place)]
            .1
            .clone()
    }

    fn work(&self, goal: &Goal, noise: &mut Noise) -> Worked {
        let turns = (0..goal.turns).map(|at| {
            let (said, mut output) = noise.turn();
            for (_, fact) in goal.finds.iter().filter(|(found, _)| *found == at) {
                let half = (output.len() / 2..).find(|at| output.is_char_boundary(*at));
                output.insert_str(half.unwrap_or(0), &format!("\n{fact}\n"));
            }
            let uses = goal.uses.iter().filter(|(used, _)| *used == at);
            Turn {
                said: self.message(said),
                output: self.message(output),
                needs: uses.map(|(_, name)| self.fact(name)).collect(),
            }
        });
        let mut results = format!("Done: {}", goal.goal);
        for (_, fact) in &goal.finds {
            let _ = write!(results, " {fact}");
        }
        Worked {
            turns: turns.collect(),
            results,
        }
    }

    fn closing(&self) -> Vec<String> {
        self.trajectory
            .closing
            .iter()
            .map(|name| self.fact(name))
            .collect()
    }

    fn system(&self, more: u64) -> Message {
        Message {
            text: String::new(),
            tokens: SYSTEM_TOKENS + more,
        }
    }

    /// One conversation, in which outputs are masked that are older than so many turns. The agent
    /// says what came of a goal when it goes on to the next.
    fn as_one(&self, unmasked: usize) -> Outcome {
        let mut conversation = Conversation::default();
        let start = [self.system(0), self.message(self.trajectory.task.clone())];
        let placeholder = self.message(PLACEHOLDER.to_owned());
        let mut done: Vec<(Message, Option<Message>)> = Vec::new();
        let input = |done: &[(Message, Option<Message>)]| {
            let mut input = start.to_vec();
            let turns = done.iter().filter(|(_, output)| output.is_some()).count();
            let mut turn = 0;
            for (said, output) in done {
                input.push(said.clone());
                if let Some(output) = output {
                    turn += 1;
                    let masked = turns - turn >= unmasked && output.tokens > placeholder.tokens;
                    input.push(if masked {
                        placeholder.clone()
                    } else {
                        output.clone()
                    });
                }
            }
            input
        };
        for worked in &self.worked {
            for turn in &worked.turns {
                conversation.request(&input(&done), &turn.needs);
                done.push((turn.said.clone(), Some(turn.output.clone())));
            }
            done.push((self.message(worked.results.clone()), None));
        }
        conversation.request(&input(&done), &self.closing());
        conversation.outcome
    }

    #[must_use]
    pub fn linear(&self) -> Outcome {
        self.as_one(usize::MAX)
    }

    #[must_use]
    pub fn masked(&self) -> Outcome {
        self.as_one(UNMASKED_TURNS)
    }

    /// Each goal in a frame and a conversation of its own, which begins with the frame's context; the
    /// conversation that pushes them goes on with the results. The tools for frames are part of every
    /// request.
    #[must_use]
    pub fn framed(&self) -> Outcome {
        let system = self.system(self.tools());
        let mut stack = Stack::open(&self.trajectory.task);
        let mut all = Outcome::default();
        let mut above = Conversation::default();
        let mut told = vec![system.clone(), self.message(self.trajectory.task.clone())];
        let mut frames = Vec::new();
        for (goal, worked) in self.trajectory.goals.iter().zip(&self.worked) {
            above.request(&told, &[]);
            let needs: Vec<String> = goal
                .needs
                .iter()
                .map(|place| frames[*place])
                .map(|id: FrameId| id.to_string())
                .collect();
            let push = json!({ "title": goal.title, "goal": goal.goal, "depends_on": needs });
            told.push(self.message(format!("flame_push {push}")));
            let frame = stack.push(push);
            frames.push(frame);

            let mut within = Conversation::default();
            let context = stack.context(frame);
            let mut input = vec![
                system.clone(),
                self.message(context),
                self.message(goal.goal.clone()),
            ];
            for turn in &worked.turns {
                within.request(&input, &turn.needs);
                input.extend([turn.said.clone(), turn.output.clone()]);
            }
            // One more request, in which it pops the frame.
            within.request(&input, &[]);
            all += within.outcome;
            stack.pop(&worked.results);
            told.push(self.message(worked.results.clone()));
            if let Some(decision) = &goal.decides {
                stack.decide(decision);
            }
        }
        above.request(&told, &self.closing());
        all += above.outcome;
        all
    }

    /// What the definitions of the core tools take.
    fn tools(&self) -> u64 {
        let definitions = Profile::Core.tools().map(|tool| {
            json!({ "name": tool.name, "description": tool.about, "input_schema": tool.input_schema() })
        });
        definitions
            .map(|definition| self.message(definition.to_string()).tokens)
            .sum()
    }
}

/// The real state, worked on by the tools' calls.
struct Stack {
    state: State,
    session: SessionId,
    now: Time,
    frames: u32,
}

impl Stack {
    fn open(task: &str) -> Stack {
        let session: SessionId = "opencode:ses_1".parse().expect("a session's id");
        let mut stack = Stack {
            state: State::new(Limits::default()),
            session,
            now: Time(0),
            frames: 1,
        };
        let command = Command::OpenSession {
            session: stack.session.clone(),
            run: RunId {
                date: 20_261_121,
                number: 1,
            },
            frame: FrameId::nth(7, 0),
            title: task.to_owned(),
            limits: FrameLimits::default(),
        };
        stack.execute(&command);
        stack
    }

    fn execute(&mut self, command: &Command) {
        let executed = self.state.execute(self.now, &Actor::HUMAN, None, command);
        executed.expect("the replay's calls fit the state");
        // A goal takes some minutes.
        self.now = self.now.plus_ms(300_000);
    }

    fn call(&mut self, name: &str, arguments: Value, ids: Vec<FrameId>) {
        let call = Call::parse(name, arguments).expect("the tool takes these arguments");
        let session = self.session.clone();
        self.execute(&Command::Call {
            session,
            ids,
            call: Box::new(call),
            artifact: None,
        });
    }

    fn push(&mut self, arguments: Value) -> FrameId {
        let id = FrameId::nth(7, self.frames);
        self.frames += 1;
        self.call("flame_push", arguments, vec![id]);
        id
    }

    fn pop(&mut self, results: &str) {
        self.call("flame_pop", json!({ "results": results }), Vec::new());
    }

    fn decide(&mut self, decision: &str) {
        self.call(
            "flame_add_decision",
            json!({ "decision": decision }),
            Vec::new(),
        );
    }

    fn context(&self, id: FrameId) -> String {
        self.state
            .context(id, BUDGET)
            .expect("the frame is there")
            .xml
    }
}

/// What fills outputs: the same for the same seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self, most: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % most as u64) as usize
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 32] = [
            "request", "session", "buffer", "index", "handler", "config", "worker", "record",
            "token", "header", "account", "order", "invoice", "cursor", "batch", "retry", "metric",
            "layout", "parser", "schema", "column", "upload", "socket", "ledger", "notify",
            "filter", "render", "widget", "cache", "signal", "status", "reader",
        ];
        WORDS[self.next(WORDS.len())]
    }

    fn path(&mut self) -> String {
        format!("src/{}/{}_{}.rs", self.word(), self.word(), self.word())
    }

    fn line(&mut self, kind: usize) -> String {
        let (one, two, three) = (self.word(), self.word(), self.word());
        let number = self.next(9_000);
        match kind {
            0 => format!("    let {one}_{two} = self.{three}.get_{one}(&{two}, {number})?;\n"),
            1 => format!(
                "{}:{number}:    fn {one}_{two}(&self) -> Result<{three}::Id> {{\n",
                self.path()
            ),
            2 => format!("test {one}::tests::{two}_{three}_{number} ... ok\n"),
            3 => format!(
                "2026-11-20T10:{:02}:{:02}.{number:04}Z INFO {one}::{two}: {three} done in {number} us\n",
                number % 60,
                number % 59
            ),
            _ => format!(
                "warning: unused variable: `{one}_{two}` --> {}:{number}:9\n",
                self.path()
            ),
        }
    }

    fn text(&mut self, kind: usize, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 120);
        while text.len() < bytes {
            text += &self.line(kind);
        }
        text
    }

    /// What an agent says and does in a turn, and what comes of it: 0.5 to 8 kB, small ones more often.
    fn turn(&mut self) -> (String, String) {
        let share = self.next(1_000);
        let bytes = 500 + 7_500 * share * share / 1_000_000;
        let kind = self.next(5);
        let path = self.path();
        let said = format!(
            "I look at the {} of the {} next.\n",
            self.word(),
            self.word()
        );
        // A turn in four writes something, and gets a short answer.
        match self.next(4) {
            0 => {
                let written = 300 + self.next(1_500);
                (
                    said + "edit " + &path + "\n" + &self.text(0, written),
                    self.text(4, 500),
                )
            }
            1 => (
                said + "bash cargo test " + self.word(),
                self.text(2 + kind % 3, bytes),
            ),
            _ => (said + "read " + &path, self.text(kind % 2, bytes)),
        }
    }
}
