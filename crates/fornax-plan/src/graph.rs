//! A plan's frames as text, in layers: each frame below everything that it waits for.

use std::fmt::Write as _;

use fornax_core::spec::{FrameSpec, RunSpec};

/// How many frames of a layer are drawn one by one.
const MAX_PER_LAYER: usize = 24;
/// How many layers are drawn.
const MAX_LAYERS: usize = 100;
/// How many dependencies of a frame are named.
const MAX_NAMED: usize = 6;
/// How wide a title is drawn, in characters.
const MAX_TITLE: usize = 60;

/// The run's frames in layers. Frames of one layer wait for nothing in it; `<-` names what a frame
/// waits for. Of a large graph only the outline is drawn, and it is said what is left out.
#[must_use]
pub fn draw(run: &RunSpec) -> String {
    let frames: Vec<&FrameSpec> = run.frames.iter().collect();
    draw_frames(&run.name, &frames)
}

pub(crate) fn draw_frames(name: &str, frames: &[&FrameSpec]) -> String {
    let layers = layers(frames);
    let count = frames.len().saturating_sub(1);
    let mut text = format!(
        "{} ({}, {})\n",
        one_line(name),
        counted(count, "frame"),
        counted(layers.len(), "layer")
    );
    for (number, layer) in layers.iter().take(MAX_LAYERS).enumerate() {
        text.push('\n');
        let shown = &layer[..layer.len().min(MAX_PER_LAYER)];
        let width = shown.iter().map(|&at| frames[at].key.len()).max();
        for (place, &at) in shown.iter().enumerate() {
            let label = if place == 0 {
                (number + 1).to_string()
            } else {
                String::new()
            };
            draw_frame(&mut text, &label, width.unwrap_or(0).min(40), frames, at);
        }
        if layer.len() > shown.len() {
            let more = counted(layer.len() - shown.len(), "more frame");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "     ... {more} in this layer");
        }
    }
    if layers.len() > MAX_LAYERS {
        let left_out = &layers[MAX_LAYERS..];
        let held: usize = left_out.iter().map(Vec::len).sum();
        let _ = writeln!(
            text,
            "\n     ... {} with {}",
            counted(left_out.len(), "more layer"),
            counted(held, "frame")
        );
    }
    text
}

fn draw_frame(text: &mut String, label: &str, width: usize, frames: &[&FrameSpec], at: usize) {
    let frame = frames[at];
    let title: String = one_line(&frame.title).chars().take(MAX_TITLE).collect();
    let _ = write!(text, "{label:>4} {:width$}  {title}", frame.key);
    // What the frame around waits for stands there.
    let around = frame
        .parent
        .map_or(&[][..], |parent| &frames[parent].depends_on);
    let own = frame.depends_on.iter().filter(|dep| !around.contains(dep));
    let names: Vec<&str> = own.map(|&dep| frames[dep].key.as_str()).collect();
    if !names.is_empty() {
        let named = &names[..names.len().min(MAX_NAMED)];
        let _ = write!(text, "  <- {}", named.join(", "));
        if names.len() > named.len() {
            let _ = write!(text, " and {} more", names.len() - named.len());
        }
    }
    text.push('\n');
}

/// The frames by layer, without the root. A frame stands one layer below the lowest of what it waits
/// for, and no higher than the frame around it; what waits for a frame waits for all that is in it.
fn layers(frames: &[&FrameSpec]) -> Vec<Vec<usize>> {
    let mut layer = vec![0_usize; frames.len()];
    let mut lowest = vec![0_usize; frames.len()];
    for event in order(frames) {
        match event {
            Event::Start(at) => {
                let frame = frames[at];
                let around = frame.parent.map_or(0, |parent| layer[parent]);
                let around = around + usize::from(frame.parent.is_some_and(|parent| parent > 0));
                let deps = frame.depends_on.iter().map(|&dep| lowest[dep] + 1);
                layer[at] = deps.max().unwrap_or(0).max(around);
                lowest[at] = lowest[at].max(layer[at]);
            }
            Event::End(at) => {
                if let Some(parent) = frames[at].parent {
                    lowest[parent] = lowest[parent].max(lowest[at]);
                }
            }
        }
    }
    let mut layers: Vec<Vec<usize>> = Vec::new();
    for (at, &layer) in layer.iter().enumerate().skip(1) {
        if layers.len() <= layer {
            layers.resize(layer + 1, Vec::new());
        }
        layers[layer].push(at);
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

#[derive(Clone, Copy)]
enum Event {
    Start(usize),
    End(usize),
}

/// Starts and ends of all frames, each after what it waits for.
fn order(frames: &[&FrameSpec]) -> Vec<Event> {
    let mut waits_start = vec![0_usize; frames.len()];
    let mut waits_end = vec![1_usize; frames.len()];
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); frames.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); frames.len()];
    for (at, frame) in frames.iter().enumerate() {
        waits_start[at] = frame.depends_on.len() + usize::from(frame.parent.is_some());
        for &dep in &frame.depends_on {
            dependants[dep].push(at);
        }
        if let Some(parent) = frame.parent {
            waits_end[parent] += 1;
            children[parent].push(at);
        }
    }
    let mut order = vec![Event::Start(0)];
    let mut next = 0;
    while let Some(&event) = order.get(next) {
        next += 1;
        let ended = match event {
            Event::Start(at) => {
                for &child in &children[at] {
                    release(&mut waits_start, child, Event::Start(child), &mut order);
                }
                at
            }
            Event::End(at) => {
                for &after in &dependants[at] {
                    release(&mut waits_start, after, Event::Start(after), &mut order);
                }
                match frames[at].parent {
                    Some(parent) => parent,
                    None => continue,
                }
            }
        };
        release(&mut waits_end, ended, Event::End(ended), &mut order);
    }
    order
}

fn release(waits: &mut [usize], at: usize, event: Event, order: &mut Vec<Event>) {
    waits[at] -= 1;
    if waits[at] == 0 {
        order.push(event);
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
