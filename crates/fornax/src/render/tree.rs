//! A run's frames as a tree.

use std::collections::HashMap;

use anstyle::Style;
use fornax_core::status::{FrameStatus, TaskState};
use fornax_core::view::{FrameView, RunView};

use crate::out::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use crate::render::table::cut_styled;
use crate::render::{frame_sign, run_status, time};
use crate::run_state::RunState;
use crate::text::{cut, one_line, width};

/// The widest that the column with the names gets.
const NAME_COLUMNS: usize = 56;

/// A run in one line: id, name, status, duration, how much is done.
pub fn headline(run: &RunView, now_ms: i64) -> String {
    let counts = run.counts;
    let over = counts.completed + counts.invalidated;
    let all = over + counts.planned + counts.in_progress + counts.failed + counts.blocked;
    let mut line = format!(
        "{}  {}  {}  {}  {over}/{all} done",
        paint(BOLD, &run.id.to_string()),
        one_line(&run.name),
        run_status(run.status),
        time::span(Some(run.started_ms), run.ended_ms, now_ms),
    );
    if run.paused {
        line += &format!(", {}", paint(YELLOW, "paused"));
    }
    for (count, word, style) in [
        (counts.failed, "failed", RED),
        (counts.blocked, "blocked", YELLOW),
    ] {
        if count > 0 {
            line += &format!(", {}", paint(style, &format!("{count} {word}")));
        }
    }
    if let Some(reason) = &run.reason {
        line += &format!("  {}", paint(DIM, &one_line(reason)));
    }
    line
}

/// The frames of a run as lines of at most so many columns, the headline first. With `lines_max`,
/// what is least interesting is left out and counted in the last line.
pub fn tree(
    state: &RunState,
    now_ms: i64,
    columns: usize,
    lines_max: Option<usize>,
) -> Vec<String> {
    let nodes = Nodes::new(state);
    let room = lines_max.map_or(usize::MAX, |lines| lines.saturating_sub(1));
    let shown = nodes.choose(state, room);
    let rows = nodes.rows(&shown);

    let name_columns = rows
        .iter()
        .map(|row| width(&row.branch) + 2 + width(&one_line(&state.frames[row.place].title)))
        .max()
        .unwrap_or(0)
        .min(NAME_COLUMNS);
    let mut lines = vec![cut_styled(&headline(&state.run, now_ms), columns)];
    lines.extend(
        rows.iter()
            .map(|row| cut_styled(&frame_line(state, row, name_columns, now_ms), columns)),
    );
    let hidden = nodes.order.len() - rows.len();
    if hidden > 0 && room > 0 {
        lines.push(cut_styled(
            &paint(DIM, &format!("… and {hidden} more")),
            columns,
        ));
    }
    lines
}

fn frame_line(state: &RunState, row: &Row, name_columns: usize, now_ms: i64) -> String {
    let frame = &state.frames[row.place];
    let (sign, style) = frame_sign(frame.status);
    let title = one_line(&frame.title);
    let name = cut(&title, name_columns.saturating_sub(width(&row.branch) + 2));
    let name_style = if frame.group { BOLD } else { Style::new() };
    let pad = name_columns.saturating_sub(width(&row.branch) + 2 + width(&name));
    let line = format!(
        "{}{} {}{:pad$}  {}  {:>7}  {}",
        paint(DIM, &row.branch),
        paint(style, &sign.to_string()),
        paint(name_style, &name),
        "",
        paint(DIM, &frame.id.to_string()),
        time::span(frame.started_ms, frame.ended_ms, now_ms),
        notes(state, frame, now_ms),
    );
    line.trim_end().to_owned()
}

/// What else there is to say of a frame.
fn notes(state: &RunState, frame: &FrameView, now_ms: i64) -> String {
    let mut notes = Vec::new();
    if let Some(tool) = &frame.tool {
        notes.push(paint(DIM, &one_line(tool)));
    }
    if frame.skipped {
        notes.push(paint(GREEN, "skipped"));
    }
    if let Some(task) = state.task(frame) {
        if task.attempt > 1 {
            notes.push(format!("attempt {}", task.attempt));
        }
        if task.stopping {
            notes.push(paint(YELLOW, "stopping"));
        } else if frame.paused {
            notes.push(paint(YELLOW, "paused"));
        } else if task.state == TaskState::Queued {
            notes.push(match task.due_ms.filter(|due| *due > now_ms) {
                Some(due) => format!("starts in {}", time::duration(due - now_ms)),
                None => paint(DIM, "waits for a slot"),
            });
        }
    }
    if let Some(reason) = frame.reason.as_deref().filter(|_| !frame.skipped) {
        notes.push(paint(frame_sign(frame.status).1, &one_line(reason)));
    }
    notes.join("  ")
}

/// A frame's line: where it is in the tree.
struct Row {
    place: usize,
    branch: String,
}

/// The frames below the root, in the order in which they are shown.
struct Nodes {
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Depth first, the root left out: the headline stands for it.
    order: Vec<usize>,
    /// A run of one frame shows it: its root is all there is.
    is_single: bool,
}

impl Nodes {
    fn new(state: &RunState) -> Nodes {
        let frames = &state.frames;
        let places: HashMap<_, _> = frames
            .iter()
            .enumerate()
            .map(|(place, frame)| (frame.id, place))
            .collect();
        let parents: Vec<_> = frames
            .iter()
            .map(|frame| frame.parent.and_then(|parent| places.get(&parent).copied()))
            .collect();
        let mut children = vec![Vec::new(); frames.len()];
        let mut waiting = Vec::new();
        for (place, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) => children[*parent].push(place),
                None => waiting.push(place),
            }
        }
        let is_single = frames.len() == 1;
        let mut order = Vec::with_capacity(frames.len());
        waiting.reverse();
        while let Some(place) = waiting.pop() {
            if parents[place].is_some() || is_single {
                order.push(place);
            }
            waiting.extend(children[place].iter().rev());
        }
        Nodes {
            parents,
            children,
            order,
            is_single,
        }
    }

    /// Which frames are shown when there is room for so many lines below the headline.
    fn choose(&self, state: &RunState, room: usize) -> Vec<bool> {
        let mut shown = vec![self.order.len() <= room; state.frames.len()];
        if self.order.len() <= room {
            return shown;
        }
        // One line says how many are not shown.
        let mut left = room.saturating_sub(1);
        let mut by_interest = self.order.clone();
        by_interest.sort_by_key(|&place| interest(&state.frames[place]));
        for place in by_interest {
            let path: Vec<_> = self.path(place).filter(|&above| !shown[above]).collect();
            if path.len() > left {
                break;
            }
            left -= path.len();
            path.into_iter().for_each(|above| shown[above] = true);
        }
        shown
    }

    /// The frame and those that hold it, without the root.
    fn path(&self, place: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(place), |&below| self.parents[below])
            .filter(|&above| self.parents[above].is_some() || self.is_single)
    }

    fn rows(&self, shown: &[bool]) -> Vec<Row> {
        let last: Vec<Option<usize>> = self
            .children
            .iter()
            .map(|children| children.iter().rev().copied().find(|&child| shown[child]))
            .collect();
        let row = |&place: &usize| {
            let mut branch = String::new();
            for (distance, above) in self.path(place).enumerate() {
                let is_last = self.parents[above].is_none_or(|parent| last[parent] == Some(above));
                branch.insert_str(
                    0,
                    match (distance, is_last) {
                        (0, false) => "├─ ",
                        (0, true) => "└─ ",
                        (_, false) => "│  ",
                        (_, true) => "   ",
                    },
                );
            }
            Row { place, branch }
        };
        self.order
            .iter()
            .filter(|&&place| shown[place])
            .map(row)
            .collect()
    }
}

/// Least first: what runs, what went wrong, what comes next, what is done.
fn interest(frame: &FrameView) -> (u8, std::cmp::Reverse<i64>) {
    let rank = match frame.status {
        FrameStatus::InProgress => 0,
        FrameStatus::Failed => 1,
        FrameStatus::Blocked => 2,
        FrameStatus::Planned => 3,
        FrameStatus::Completed => 4,
        FrameStatus::Invalidated => 5,
    };
    (rank, std::cmp::Reverse(frame.ended_ms.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::table::visible_width;
    use fornax_core::ids::FrameId;
    use fornax_core::status::RunStatus;
    use fornax_core::view::{Counts, RunDetail, TaskColumns};

    fn frame(number: u32, parent: Option<u32>, title: &str, status: FrameStatus) -> FrameView {
        let settled = status.is_settled();
        FrameView {
            asks: Vec::new(),
            advice: None,
            id: FrameId::nth(1, number),
            run: "RUN-20261121-001".parse().unwrap(),
            parent: parent.map(|parent| FrameId::nth(1, parent)),
            key: title.to_owned(),
            title: title.to_owned(),
            status,
            reason: (status == FrameStatus::Failed).then(|| "exit code 3".to_owned()),
            group: false,
            skipped: false,
            phase: None,
            agent_role: None,
            tool: Some("shell".to_owned()),
            depends_on: Vec::new(),
            task: None,
            seq: 1,
            created_ms: 0,
            started_ms: (status != FrameStatus::Planned).then_some(1_000),
            ended_ms: settled.then_some(3_100),
            usage: None,
            turns: 0,
            artifacts: 0,
            stale: false,
            paused: false,

            spans: Vec::new(),
        }
    }

    fn state(frames: Vec<FrameView>) -> RunState {
        RunState::new(RunDetail {
            run: RunView {
                project: "0123abcd".to_owned(),
                id: frames[0].run,
                name: "release".to_owned(),
                plan: None,
                root: frames[0].id,
                status: RunStatus::Running,
                reason: None,
                paused: false,
                foreign: None,
                started_ms: 0,
                ended_ms: None,
                counts: Counts {
                    completed: 1,
                    failed: 1,
                    planned: 2,
                    ..Counts::default()
                },
                tasks_running: 1,
                tasks_queued: 0,
                stalled: Vec::new(),
                usage: Default::default(),
                seq: 9,
            },
            frames: frames.into_iter().collect(),
            tasks: TaskColumns::default(),
        })
    }

    fn plain(state: &RunState, columns: usize, lines_max: Option<usize>) -> String {
        let lines = tree(state, 61_000, columns, lines_max);
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    fn example() -> RunState {
        use FrameStatus as F;
        state(vec![
            frame(0, None, "release", F::InProgress),
            frame(1, Some(0), "build", F::InProgress),
            frame(2, Some(1), "compile", F::Completed),
            frame(3, Some(1), "test\x1b[2J", F::Failed),
            frame(4, Some(0), "publish 你好", F::Planned),
            frame(5, Some(0), "announce", F::Planned),
        ])
    }

    #[test]
    fn a_run_reads_as_a_tree() {
        insta::assert_snapshot!(plain(&example(), usize::MAX, None), @r"
        RUN-20261121-001  release  running  1m 01s  1/4 done, 1 failed
        ├─ ● build           f-7zx0gm   1m 00s  shell
        │  ├─ ✓ compile      f-j93fm4     2.1s  shell
        │  └─ ✗ test\x1b[2J  f-1asc3b     2.1s  shell  exit code 3
        ├─ ○ publish 你好    f-jygate           shell
        └─ ○ announce        f-5xkfkt           shell
        ");
    }

    #[test]
    fn what_matters_least_is_left_out_first() {
        insta::assert_snapshot!(plain(&example(), usize::MAX, Some(4)), @r"
        RUN-20261121-001  release  running  1m 01s  1/4 done, 1 failed
        └─ ● build           f-7zx0gm   1m 00s  shell
           └─ ✗ test\x1b[2J  f-1asc3b     2.1s  shell  exit code 3
        … and 3 more
        ");
    }

    #[test]
    fn a_run_of_one_frame_shows_it() {
        let one = state(vec![frame(0, None, "say hello", FrameStatus::InProgress)]);
        insta::assert_snapshot!(plain(&one, usize::MAX, None), @r"
        RUN-20261121-001  release  running  1m 01s  1/4 done, 1 failed
        └─ ● say hello  f-2n0yrk   1m 00s  shell
        ");
    }

    #[test]
    fn nothing_is_wider_or_longer_than_the_screen() {
        let state = example();
        for columns in 0..70 {
            for lines_max in 1..8 {
                let lines = tree(&state, 61_000, columns, Some(lines_max));
                assert!(lines.len() <= lines_max, "{columns}x{lines_max}");
                assert!(lines.iter().all(|line| visible_width(line) <= columns));
            }
        }
    }
}
