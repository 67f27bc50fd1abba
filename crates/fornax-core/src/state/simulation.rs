//! A seeded simulation: the state is driven through a world in which the daemon dies between any
//! two steps, outcomes are lost, doubled and late, people stop and retry things, and the clock
//! jumps. How often each happens is drawn per seed. After every step the invariants are checked.
//!
//! A failing seed is printed; `FORNAX_SIM_SEED=<seed> cargo test -p fornax-core simulation` replays
//! it, and `FORNAX_SIM_RUNS` sets how many seeds are tried.

mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::samples::random_spec;
use super::*;
use crate::ids::mix;
use crate::spec::ErrorClass;

const RUNS: u64 = 20_000;

/// SplitMix64: small, seedable, the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }
}

/// A process of the world. It outlives the daemon.
struct Process {
    ends_at: i64,
    outcome: Outcome,
    told_to_stop: bool,
    /// Since when it is suspended.
    suspended: Option<i64>,
}

/// How often things go wrong, per mille of the occasions; drawn for each seed.
struct Faults {
    crash: u64,
    lost: u64,
    doubled: u64,
    fails: u64,
    clock: u64,
    meddle: u64,
}

struct World {
    random: Random,
    faults: Faults,
    clock: i64,
    state: State,
    limits: Limits,
    /// What is durable: all that survives a crash of the daemon.
    journal: Vec<Record>,
    processes: BTreeMap<TaskId, Process>,
    /// The folders of tasks: a task whose folder is there is never started again.
    folders: BTreeSet<TaskId>,
    /// Words of processes that the daemon has not been told, or will be told once more.
    words: Vec<(TaskId, Outcome)>,
    commands: u64,
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test may be told its seed")]
fn invariants_hold_whatever_happens() {
    let first = std::env::var("FORNAX_SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    if let Some(seed) = first {
        simulate(seed);
        return;
    }
    let runs = std::env::var("FORNAX_SIM_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    // Other seeds every day, the same seeds all day: a failure can be looked into.
    let base = u64::from(option_env!("FORNAX_SIM_BASE").is_some());
    for seed in base..base + runs.unwrap_or(RUNS) {
        let result = std::panic::catch_unwind(|| simulate(seed));
        if let Err(panic) = result {
            eprintln!("FORNAX_SIM_SEED={seed} replays this failure");
            std::panic::resume_unwind(panic);
        }
    }
}

fn simulate(seed: u64) {
    let mut world = World::new(seed);
    let runs = 1 + world.random.below(3);
    for number in 1..=runs {
        world.start_run(u32::try_from(number).unwrap());
    }
    for _ in 0..2_000 {
        if world.is_over() {
            break;
        }
        world.step();
        world.check();
    }
    // Let it come to rest without further faults: everything that was begun ends.
    world.faults = Faults {
        crash: 0,
        lost: 0,
        doubled: 0,
        fails: 0,
        clock: 0,
        meddle: 0,
    };
    world.let_all_go_on();
    for _ in 0..4_000 {
        if world.is_over() {
            break;
        }
        world.step();
        world.check();
    }
    world.check_rest();
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let mut rate = |most| {
            if random.chance(300) {
                0
            } else {
                random.below(most)
            }
        };
        let faults = Faults {
            crash: rate(120),
            lost: rate(100),
            doubled: rate(200),
            fails: rate(500),
            clock: rate(50),
            meddle: rate(30),
        };
        let limits = Limits {
            tasks: 1 + u32::try_from(random.below(4)).unwrap(),
            pools: BTreeMap::from([("narrow".to_owned(), 1)]),
            ageing_ms: 1_000,
        };
        World {
            random,
            faults,
            clock: 1_000_000,
            state: State::new(limits.clone()),
            limits,
            journal: Vec::new(),
            processes: BTreeMap::new(),
            folders: BTreeSet::new(),
            words: Vec::new(),
            commands: 0,
        }
    }

    fn start_run(&mut self, number: u32) {
        let spec = random_spec(&mut self.random);
        let ids = (0..spec.frames.len())
            .map(|place| FrameId::nth(7, number * 1_000 + u32::try_from(place).unwrap()));
        let command = Command::StartRun {
            run: RunId {
                date: 20_260_101,
                number,
            },
            frames: ids.collect(),
            spec: Arc::new(spec),
        };
        assert!(
            self.command(&Actor::HUMAN, &command),
            "a new run is accepted"
        );
    }

    /// Gives a command, as the engine does: what it leads to becomes durable, whole or only a first
    /// part of it, and in the latter case the daemon has died.
    fn command(&mut self, actor: &Actor, command: &Command) -> bool {
        self.commands += 1;
        let id: CmdId = format!("c{}", self.commands).parse().unwrap();
        let Ok(executed) = self
            .state
            .execute(Time(self.clock), actor, Some(&id), command)
        else {
            return false;
        };
        self.check_starts(&executed.records);
        let torn = self.random.chance(self.faults.crash);
        let all = executed.records.len();
        let durable = if torn {
            usize::try_from(self.random.below(all as u64 + 1)).unwrap()
        } else {
            all
        };
        self.journal
            .extend(whole_steps(&executed.records[..durable]));
        if torn {
            self.crash();
            // The caller heard nothing and asks again with the same id.
            let again = self
                .state
                .execute(Time(self.clock), actor, Some(&id), command);
            if let Ok(executed) = again {
                assert_eq!(
                    executed.answer.repeated,
                    self.answers_to(&id),
                    "carried out once"
                );
                self.journal.extend(executed.records);
            }
            return true;
        }
        let again = self
            .state
            .execute(Time(self.clock), actor, Some(&id), command);
        if self.answers_to(&id) {
            let again = again.expect("a repeated command is answered");
            assert!(
                again.records.is_empty() && again.answer.repeated,
                "a repeated command does nothing"
            );
        } else if let Ok(again) = again {
            self.journal.extend(again.records);
        }
        true
    }

    /// Whether a command's own step is durable.
    fn answers_to(&self, id: &CmdId) -> bool {
        self.journal
            .iter()
            .any(|record| record.cmd_id.as_ref() == Some(id))
    }

    /// The daemon dies and is started again: all it knows is what is durable.
    fn crash(&mut self) {
        self.state = State::new(self.limits.clone());
        self.state.load(Time(self.clock), &self.journal);
        self.words.clear();
        let ended: Vec<_> = self
            .folders
            .iter()
            .filter(|id| !self.processes.contains_key(id))
            .copied()
            .collect();
        for id in ended {
            // The shim left its word in the task's folder; where it was killed, nobody knows.
            let lost = Outcome::lost();
            self.words.push((id, lost));
        }
    }

    fn step(&mut self) {
        self.clock += i64::try_from(self.random.below(400)).unwrap();
        if self.random.chance(self.faults.clock) {
            self.clock += i64::try_from(self.random.below(20_000)).unwrap() - 10_000;
        }
        if self.random.chance(self.faults.crash) {
            self.crash();
        }
        self.effects();
        self.advance_processes();
        if self.random.chance(self.faults.meddle) {
            self.meddle();
        }
        if !self.words.is_empty() {
            let word = self.random.below(self.words.len() as u64);
            let (task, outcome) = self.words.swap_remove(usize::try_from(word).unwrap());
            if self.random.chance(self.faults.doubled) {
                self.words.push((task, outcome.clone()));
            }
            self.command(&Actor::DAEMON, &Command::TaskEnded { task, outcome });
        }
        self.command(&Actor::DAEMON, &Command::Tick);
    }

    /// Brings the world to what the state wants, as the supervisor does: level-triggered.
    fn effects(&mut self) {
        let wanted: Vec<(TaskId, bool, bool)> = self
            .state
            .running()
            .map(|(id, task)| (id, task.stopping.is_some(), task.state == TaskState::Paused))
            .collect();
        for (id, stop, paused) in wanted {
            if self.folders.insert(id) {
                let process = self.random_process(id);
                self.processes.insert(id, process);
            } else if !self.processes.contains_key(&id)
                && !self.words.iter().any(|(word, _)| *word == id)
            {
                self.words.push((id, Outcome::lost()));
            }
            if let Some(process) = self
                .processes
                .get_mut(&id)
                .filter(|process| stop && !process.told_to_stop)
            {
                process.told_to_stop = true;
                process.ends_at = process.ends_at.min(self.clock + 50);
                process.outcome = Outcome::failed(ErrorClass::Cancelled);
            }
            if let Some(process) = self.processes.get_mut(&id) {
                process.suspend(paused && !stop, self.clock);
            }
        }
    }

    fn random_process(&mut self, id: TaskId) -> Process {
        let running = self
            .processes
            .keys()
            .filter(|other| other.frame == id.frame)
            .count();
        assert_eq!(running, 0, "a frame has one process at a time");
        let classes = [
            ErrorClass::ExitNonzero,
            ErrorClass::Timeout,
            ErrorClass::Spawn,
            ErrorClass::ToolMissing,
        ];
        let outcome = if self.random.chance(self.faults.fails) {
            Outcome::failed(classes[usize::try_from(self.random.below(4)).unwrap()])
        } else {
            Outcome::done(id.to_string())
        };
        Process {
            ends_at: self.clock + i64::try_from(self.random.below(1_500)).unwrap(),
            outcome,
            told_to_stop: false,
            suspended: None,
        }
    }

    fn advance_processes(&mut self) {
        let clock = self.clock;
        let ended: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, p)| p.ends_at <= clock && p.suspended.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            let Some(process) = self.processes.remove(&id) else {
                continue;
            };
            if !self.random.chance(self.faults.lost) {
                self.words.push((id, process.outcome));
            }
        }
    }

    /// Nothing starts where a human holds it.
    fn check_starts(&self, records: &[Record]) {
        for record in records {
            if let Event::FrameStarted(_) | Event::TaskStarted(_) = record.event {
                let id = record.frame_id.unwrap();
                assert!(
                    !self.state.is_held_back(id),
                    "{id} was started though it is held back"
                );
            }
        }
    }

    fn is_over(&self) -> bool {
        self.state.runs().all(|(_, run)| run.ended.is_some())
            && self.processes.is_empty()
            && self.words.is_empty()
    }

    fn check(&self) {
        let running: Vec<_> = self.state.running().collect();
        assert!(
            running.len() <= self.limits.tasks as usize,
            "the project's limit holds"
        );
        let narrow = running
            .iter()
            .filter(|(id, _)| self.state.frames[&id.frame].spec.pool.as_deref() == Some("narrow"));
        assert!(narrow.count() <= 1, "a pool's limit holds");
        for (id, frame) in &self.state.frames {
            if frame.status == FrameStatus::InProgress {
                for dependency in &frame.depends_on {
                    let status = self.state.frames[dependency].status;
                    assert_eq!(
                        status,
                        FrameStatus::Completed,
                        "{id} was started before {dependency}"
                    );
                }
            }
        }
        for (id, task) in running.iter().filter(|(_, task)| task.stopping.is_none()) {
            let paused = self.state.paused_by(id.frame).is_some();
            assert_eq!(
                task.state == TaskState::Paused,
                paused,
                "{id} is suspended where it is paused"
            );
        }
        for id in self.processes.keys() {
            let others = self
                .processes
                .keys()
                .filter(|other| other.frame == id.frame);
            assert_eq!(others.count(), 1, "a frame has one process at a time");
        }
        if self.commands.is_multiple_of(64) {
            self.check_replay();
        }
    }

    /// The records, applied again, give the same state.
    fn check_replay(&self) {
        let mut replayed = State::new(self.limits.clone());
        replayed.load(Time(self.clock), &self.journal);
        assert_eq!(self.state.runs, replayed.runs);
        for (id, frame) in &self.state.frames {
            assert_eq!(Some(frame), replayed.frames.get(id));
        }
        let ids = |state: &State| state.running().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(&self.state), ids(&replayed));
    }

    fn check_rest(&self) {
        assert!(
            self.is_over(),
            "everything comes to an end: {:#?}",
            self.state.runs
        );
        self.check_replay();
        for (id, frame) in &self.state.frames {
            assert!(frame.status.is_settled(), "{id} is settled at the end");
            assert!(!frame.paused, "{id} is over and not paused");
            assert_eq!(
                frame.open_children, 0,
                "{id} knows that its children are settled"
            );
        }
        for (id, run) in self.state.runs() {
            let seqs: Vec<u64> = self
                .journal
                .iter()
                .filter(|r| r.run_id == id)
                .map(|r| r.seq)
                .collect();
            assert_eq!(
                seqs,
                (1..=run.seq).collect::<Vec<_>>(),
                "numbers have no gaps"
            );
            assert_eq!((run.tasks_running, run.tasks_queued), (0, 0));
            let all = run.frames.iter().all(|id| self.is_done(*id));
            assert_eq!(
                run.status == RunStatus::Completed,
                all,
                "a run is completed when its frames are"
            );
        }
        self.check_each_frame_completed_once();
    }

    /// Whether a frame is completed, or in a group that was skipped.
    fn is_done(&self, id: FrameId) -> bool {
        let frame = &self.state.frames[&id];
        let skipped = |id| self.state.frames[&id].skipped && self.is_done(id);
        frame.status == FrameStatus::Completed || frame.parent.is_some_and(skipped)
    }

    /// Between two resets a frame completes at most once, and each task ends at most once.
    fn check_each_frame_completed_once(&self) {
        let mut completed = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for record in &self.journal {
            match &record.event {
                Event::FrameCompleted(_) => {
                    assert!(
                        completed.insert(record.frame_id),
                        "completed twice: {record:?}"
                    );
                }
                Event::StateReset(reset) => {
                    for id in &reset.frames {
                        completed.remove(&Some(*id));
                    }
                }
                event if event.task_end().is_some() => {
                    assert!(ended.insert(record.task_id), "ended twice: {record:?}");
                }
                _ => {}
            }
        }
    }
}

impl Process {
    /// Suspends it or lets it go on; again is no different from once.
    fn suspend(&mut self, suspended: bool, clock: i64) {
        match (self.suspended, suspended) {
            (None, true) => self.suspended = Some(clock),
            (Some(since), false) => {
                self.suspended = None;
                self.ends_at += clock - since;
            }
            _ => {}
        }
    }
}

/// What a journal keeps of a step that was cut short: of each run the part that is whole.
fn whole_steps(records: &[Record]) -> Vec<Record> {
    let whole = |at: usize| {
        records[at..]
            .iter()
            .any(|later| later.run_id == records[at].run_id && !later.more)
    };
    (0..records.len())
        .filter(|at| whole(*at))
        .map(|at| records[at].clone())
        .collect()
}

impl Outcome {
    pub(super) fn done(results: String) -> Outcome {
        Outcome {
            verdict: Ok(()),
            note: None,
            exit_code: Some(0),
            signal: None,
            duration_ms: 1,
            results,
            artifacts: Vec::new(),
            agent: None,
        }
    }

    pub(super) fn failed(class: ErrorClass) -> Outcome {
        Outcome {
            verdict: Err((class, format!("{class:?}"))),
            note: None,
            exit_code: None,
            ..Outcome::done(String::new())
        }
    }

    pub(super) fn lost() -> Outcome {
        Outcome::failed(ErrorClass::Lost)
    }
}
