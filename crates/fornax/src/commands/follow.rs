//! Staying with a run until it ends: `run`, `task`, `retry` and `tree --watch`.
//!
//! The feed is opened before the run is read whole, so that nothing falls between the two; changes
//! that were in the reading already are taken over again, which does no harm.

use std::io;
use std::path::Path;
use std::time::Duration;

use fornax_core::error::{EXIT_INTERRUPTED, ErrorKind};
use fornax_core::ids::RunId;
use fornax_core::request::Request;
use fornax_core::status::FrameStatus;
use fornax_core::view::{Change, ProjectView, RunDetail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::trust;
use crate::cli::Follow;
use crate::daemon::{Changes, Daemon, News};
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, DIM, YELLOW, paint};
use crate::render::live::Live;
use crate::render::tree::{headline, tree};
use crate::render::{frame_sign, time};
use crate::run_state::{RunState, Step, exit_code};
use crate::text::one_line;

/// The shortest time between two drawings.
const DRAW_MIN: Duration = Duration::from_millis(80);
/// The longest: durations go on while nothing else happens.
const DRAW_MAX: Duration = Duration::from_secs(1);

/// How a command that starts work tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    /// A tree that is drawn again in place.
    Live,
    /// A line for each step.
    Lines,
    /// Only the run at its end, as JSON.
    Json,
    /// Only the run's id, at once.
    Detach,
    /// Only the run as it is at once, as JSON.
    DetachJson,
}

impl Follow {
    /// What these options mean here.
    pub fn manner(&self) -> Manner {
        match (self.detach, self.json) {
            (true, true) => Manner::DetachJson,
            (true, false) => Manner::Detach,
            (false, true) => Manner::Json,
            (false, false) => watching(),
        }
    }
}

/// A tree where a person sees it, else lines.
pub fn watching() -> Manner {
    if out::is_terminal() {
        Manner::Live
    } else {
        Manner::Lines
    }
}

/// Gives a command that works on a run, and stays with the run as far as is wanted.
pub async fn command(
    daemon: &Daemon,
    project: &ProjectView,
    request: Request,
    manner: Manner,
) -> Outcome {
    let changes = daemon.changes().await?;
    let answer = match daemon.command(project, request.clone()).await {
        Err(Failure::Error(error)) if error.kind == ErrorKind::Forbidden => {
            if !trust::ask(daemon, Path::new(&project.dir)).await? {
                return Err(error.into());
            }
            daemon.command(project, request).await?
        }
        answer => answer?,
    };
    let Some(run) = answer.run else {
        return fail(
            ErrorKind::Internal,
            "the daemon did not say which run it is",
            "`fornax runs` lists the runs",
        );
    };
    match manner {
        Manner::Detach => out::print(&run.to_string()).map(|()| 0),
        Manner::DetachJson => {
            out::json(&daemon.run(project, run).await?.run)?;
            Ok(0)
        }
        _ => follow(daemon, project, changes, run, manner).await,
    }
}

/// Stays with the run until it ends or the person leaves.
pub async fn follow(
    daemon: &Daemon,
    project: &ProjectView,
    mut changes: Changes,
    run: RunId,
    manner: Manner,
) -> Outcome {
    let mut interrupts = Interrupts::new()?;
    let mut view = View::new(RunState::new(daemon.run(project, run).await?), manner)?;
    while !view.state.is_over() {
        let draw_at = view.draw_at();
        tokio::select! {
            news = changes.next() => match news.map_err(|error| gone(error, run))? {
                News::Change(change) => view.take(*change)?,
                News::Reset => view.replace(daemon.run(project, run).await?)?,
            },
            () = sleep_until(draw_at), if manner == Manner::Live => view.draw()?,
            wish = interrupts.next(run) => match wish {
                Wish::Asked => view.pause(),
                Wish::Detach => return view.detach(),
                Wish::Stop => {
                    view.paused = false;
                    let target = run.to_string();
                    let reason = Some("interrupted at the terminal".to_owned());
                    match daemon.command(project, Request::Stop { target, reason }).await {
                        // It ended while the question was open.
                        Err(Failure::Error(error)) if error.kind == ErrorKind::Conflict => {}
                        answer => drop(answer?),
                    }
                }
            },
        }
    }
    view.conclude()
}

/// The daemon went away in the middle.
fn gone(failure: Failure, run: RunId) -> Failure {
    match failure {
        Failure::Error(error) if error.kind == ErrorKind::Unavailable => {
            Failure::Error(error.with_help(format!(
                "tasks live on; `fornax tree {run} --watch` starts the daemon and goes on watching"
            )))
        }
        other => other,
    }
}

/// What is shown of the run.
struct View {
    state: RunState,
    manner: Manner,
    live: Live,
    drawn_at: Instant,
    changed: bool,
    /// The person is being asked something: nothing is drawn over the question.
    paused: bool,
}

impl View {
    fn new(state: RunState, manner: Manner) -> Result<View, Failure> {
        let view = View {
            state,
            manner,
            live: Live::default(),
            drawn_at: Instant::now(),
            changed: true,
            paused: false,
        };
        if manner == Manner::Lines {
            out::print(&headline(&view.state.run, time::now_ms()))?;
        }
        Ok(view)
    }

    fn draw_at(&self) -> Instant {
        self.drawn_at + if self.changed { DRAW_MIN } else { DRAW_MAX }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        self.drawn_at = Instant::now();
        self.changed = false;
        if self.paused {
            return Ok(());
        }
        let (columns, lines) = out::size().unwrap_or((80, 24));
        // The line below the last belongs to the cursor.
        let lines = lines.saturating_sub(1).max(2);
        self.live
            .draw(&tree(&self.state, time::now_ms(), columns, Some(lines)))
    }

    /// Leaves the lower end of the screen to a question.
    fn pause(&mut self) {
        self.paused = true;
        self.live.leave();
    }

    fn take(&mut self, change: Change) -> Result<(), Failure> {
        let steps = self.state.apply(change);
        self.changed = true;
        self.tell(&steps)
    }

    /// Takes the run whole again; what happened meanwhile is told from the difference.
    fn replace(&mut self, detail: RunDetail) -> Result<(), Failure> {
        let old = std::mem::replace(&mut self.state, RunState::new(detail));
        let differs = |place: &usize| {
            old.frames.get(*place).map(|frame| frame.status)
                != Some(self.state.frames[*place].status)
        };
        let steps: Vec<_> = (0..self.state.frames.len())
            .filter(differs)
            .map(Step::Status)
            .collect();
        self.changed = true;
        self.tell(&steps)
    }

    fn tell(&self, steps: &[Step]) -> Result<(), Failure> {
        if self.manner != Manner::Lines {
            return Ok(());
        }
        let lines: Vec<_> = steps.iter().filter_map(|step| self.line(*step)).collect();
        if lines.is_empty() {
            Ok(())
        } else {
            out::print(&lines.join("\n"))
        }
    }

    fn line(&self, step: Step) -> Option<String> {
        let now_ms = time::now_ms();
        let (Step::Status(place) | Step::Again(place)) = step;
        let frame = &self.state.frames[place];
        let key = one_line(&frame.key);
        let id = paint(DIM, &frame.id.to_string());
        if step == Step::Again(place) {
            let task = self.state.task(frame)?;
            let mut line = format!(
                "{} {key}  {id}  attempt {}",
                paint(YELLOW, "↻"),
                task.attempt
            );
            if let Some(due) = task.due_ms.filter(|due| *due > now_ms) {
                line += &format!(" in {}", time::duration(due - now_ms));
            }
            return Some(line);
        }
        // What is planned again is told when it starts.
        if frame.group || frame.status == FrameStatus::Planned {
            return None;
        }
        let (sign, style) = frame_sign(frame.status);
        let mut line = format!("{} {key}  {id}", paint(style, &sign.to_string()));
        if frame.status == FrameStatus::InProgress {
            line += "  started";
        } else {
            let took = time::span(frame.started_ms, frame.ended_ms, now_ms);
            line += &format!("  {}", paint(style, frame.status.as_str()));
            if !took.is_empty() {
                line += &format!("  {took}");
            }
        }
        if let Some(reason) = &frame.reason {
            line += &format!("  {}", one_line(reason));
        }
        Some(line)
    }

    fn detach(mut self) -> Outcome {
        self.live.leave();
        if self.paused {
            // Out of the line with the question.
            out::note("");
        }
        let run = self.state.run.id;
        out::note(&format!(
            "{run} goes on without you: `fornax tree {run} --watch` comes back to it, \
             `fornax stop {run}` stops it"
        ));
        Ok(EXIT_INTERRUPTED)
    }

    fn conclude(mut self) -> Outcome {
        let now_ms = time::now_ms();
        match self.manner {
            Manner::Live => {
                // The whole tree, once, where it may scroll.
                self.live.clear()?;
                out::print(&tree(&self.state, now_ms, usize::MAX, None).join("\n"))?;
            }
            Manner::Json | Manner::DetachJson => out::json(&self.state.run)?,
            Manner::Lines | Manner::Detach => out::print(&headline(&self.state.run, now_ms))?,
        }
        Ok(exit_code(self.state.run.status))
    }
}

/// What a person who pressed Ctrl-C wants.
enum Wish {
    /// That is being asked.
    Asked,
    Detach,
    Stop,
}

/// Ctrl-C: the first asks, where somebody can be asked; the second leaves at once.
struct Interrupts {
    signals: Signal,
    question: Option<oneshot::Receiver<String>>,
    stopped: bool,
}

impl Interrupts {
    fn new() -> Result<Interrupts, Failure> {
        let signals = signal(SignalKind::interrupt())?;
        Ok(Interrupts {
            signals,
            question: None,
            stopped: false,
        })
    }

    async fn next(&mut self, run: RunId) -> Wish {
        tokio::select! {
            _ = self.signals.recv() => {
                if self.question.is_some() || self.stopped || !out::can_ask() {
                    return Wish::Detach;
                }
                self.question = Some(ask(run));
                Wish::Asked
            }
            answer = answer(&mut self.question) => {
                self.question = None;
                if !answer.trim().to_lowercase().starts_with('s') {
                    return Wish::Detach;
                }
                self.stopped = true;
                Wish::Stop
            }
        }
    }
}

async fn answer(question: &mut Option<oneshot::Receiver<String>>) -> String {
    match question {
        // Whoever closes standard input has left.
        Some(answer) => answer.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// Asks on the terminal. A thread of its own waits for the answer, since nothing can take a read of
/// a terminal back; it ends with the process.
fn ask(run: RunId) -> oneshot::Receiver<String> {
    let (sender, receiver) = oneshot::channel();
    out::note(&format!(
        "\n{run} is running. [d]etach and let it go on, or [s]top it? "
    ));
    std::thread::spawn(move || {
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() {
            // Nobody waits any more when the run has ended meanwhile.
            let _ = sender.send(line);
        }
    });
    receiver
}
