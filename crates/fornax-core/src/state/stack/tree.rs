//! The frames as a tree of text.

use serde_json::{Value, json};

use crate::error::Error;
use crate::frame::SessionId;
use crate::ids::FrameId;
use crate::tools::{Reply, Tree};

use super::super::{Frame, State};

/// How many frames one tree shows.
const FRAMES_MAX: usize = 500;

/// A frame in one line.
pub(super) fn line(id: FrameId, frame: &Frame) -> String {
    let stale = if frame.stale { ", stale" } else { "" };
    format!("{id} [{}{stale}] {}", frame.status, frame.spec.title)
}

impl State {
    /// `flame_tree`: from a frame, or from the root of the session's run; a session that has none sees
    /// all runs.
    pub(super) fn tree_reply(&self, session: &SessionId, wanted: &Tree) -> Result<Reply, Error> {
        let roots = match (&wanted.root_id, self.session(session)) {
            (Some(id), _) => vec![self.frame_of_call(session, Some(id))?],
            (None, Some(own)) => self.path_to(own.home).pop().into_iter().collect(),
            (None, None) => self.runs.values().filter_map(|run| run.root).collect(),
        };
        let active = self.session(session).map(|own| own.active);
        let depth_max = wanted.depth.map_or(usize::MAX, |depth| depth as usize);
        let mut text = String::new();
        let mut nodes: Vec<Value> = Vec::new();
        let mut open: Vec<(FrameId, usize)> = roots.into_iter().rev().map(|id| (id, 0)).collect();
        let mut unseen = 0;
        while let Some((id, depth)) = open.pop() {
            let Some(frame) = self.frames.get(&id) else {
                continue;
            };
            if nodes.len() >= FRAMES_MAX {
                unseen += 1;
                continue;
            }
            let here = if active == Some(id) {
                "  <- you work here"
            } else {
                ""
            };
            text.push_str(&format!(
                "{}{}{here}\n",
                "  ".repeat(depth),
                line(id, frame)
            ));
            if wanted.show_details {
                push_details(&mut text, depth, frame);
            }
            nodes.push(json!({
                "id": id,
                "parent": frame.parent,
                "depth": depth,
                "title": frame.spec.title,
                "goal": frame.goal,
                "status": frame.status,
                "depends_on": frame.depends_on,
            }));
            if depth < depth_max {
                let mut children = frame.children.clone();
                children.sort_by_key(|id| self.frames.get(id).map(|child| child.status.rank()));
                open.extend(children.into_iter().rev().map(|id| (id, depth + 1)));
            } else if !frame.children.is_empty() {
                let indent = "  ".repeat(depth + 1);
                text.push_str(&format!(
                    "{indent}... {} more within it\n",
                    frame.children.len()
                ));
            }
        }
        if unseen > 0 {
            text.push_str(&format!(
                "... and {unseen} more: ask with root_id or depth.\n"
            ));
        }
        Ok(Reply {
            text,
            data: json!({ "frames": nodes, "left_out": unseen }),
        })
    }
}

fn push_details(text: &mut String, depth: usize, frame: &Frame) {
    let results = match frame.results_compact.is_empty() {
        true => &frame.results,
        false => &frame.results_compact,
    };
    for (what, said) in [("goal", &frame.goal), ("results", results)] {
        if let Some(first) = said.lines().find(|line| !line.trim().is_empty()) {
            text.push_str(&format!("{}  {what}: {first}\n", "  ".repeat(depth)));
        }
    }
}
