//! Which frame must wait for which: dependencies, circles, promises of parallel work.
//!
//! Every frame has a start and an end. A start waits for the ends of the dependencies and for the
//! start of the frame around; an end waits for its start and for the ends of the frames inside.

use std::collections::VecDeque;

use super::diagnostic::{Problem, Report, Span, show};
use super::expand::{Item, Layout};

/// How many names of a circle are told.
const MAX_TOLD: usize = 1_000;

/// Finds the frames that `depends_on` names.
pub(crate) fn link(layout: &mut Layout, report: &mut Report) {
    for at in 0..layout.items.len() {
        let Some(frame) = layout.items[at].frame.clone() else {
            continue;
        };
        if report.is_full() {
            return;
        }
        let mut found: Vec<(usize, _)> = Vec::new();
        for name in frame.depends_on.iter().flat_map(|names| &names.value.0) {
            let level = layout.items[at].level;
            match layout.find(level, &name.value.0) {
                Some(other) => found.push((other, name.at)),
                None => report.push(unknown(layout, at, "dependency", &name.value.0, name.at)),
            }
        }
        // To say a thing twice is no mistake, and waiting twice is no longer wait.
        found.sort_by_key(|(other, at)| (*other, at.offset));
        found.dedup_by_key(|(other, _)| *other);
        layout.items[at].depends_on = found;
    }
}

fn unknown(layout: &Layout, at: usize, what: &str, name: &str, place: Span) -> Problem {
    let level = layout.items[at].level;
    let mut known: Vec<&str> = layout.names(level).collect();
    known.sort_unstable();
    let help = match known.len() {
        ..=12 => format!("frames that it can name are {}", known.join(", ")),
        _ => "name a frame beside this one, or further out; one inside of it as `a.b`".to_owned(),
    };
    Problem::at(place, format!("unknown {what} {}", show(name)))
        .help(help)
        .suggest(name, layout.names(level))
}

/// The starts and ends with what waits for them: `2 * frame` is a start, `2 * frame + 1` an end.
struct Graph {
    /// What comes after a node starts here in `after`.
    first: Vec<usize>,
    after: Vec<usize>,
}

fn start(item: usize) -> usize {
    2 * item
}

fn end(item: usize) -> usize {
    2 * item + 1
}

impl Graph {
    fn new(items: &[Item]) -> Graph {
        let edges = || {
            items.iter().enumerate().flat_map(|(at, item)| {
                let own = std::iter::once((start(at), end(at)));
                let around = item.parent.into_iter();
                let around = around.flat_map(move |p| [(start(p), start(at)), (end(at), end(p))]);
                let deps = item.depends_on.iter();
                let deps = deps.map(move |(dep, _)| (end(*dep), start(at)));
                own.chain(around).chain(deps)
            })
        };
        let mut first = vec![0; 2 * items.len() + 1];
        for (before, _) in edges() {
            first[before + 1] += 1;
        }
        for node in 1..first.len() {
            first[node] += first[node - 1];
        }
        let mut next = first.clone();
        let mut after = vec![0; next.last().copied().unwrap_or(0)];
        for (before, node) in edges() {
            after[next[before]] = node;
            next[before] += 1;
        }
        Graph { first, after }
    }

    fn after(&self, node: usize) -> &[usize] {
        &self.after[self.first[node]..self.first[node + 1]]
    }

    fn len(&self) -> usize {
        self.first.len() - 1
    }

    /// The nodes in an order in which each stands after what it waits for, as far as there is one,
    /// and how much each of the others still waits for.
    fn sorted(&self) -> (Vec<usize>, Vec<usize>) {
        let mut waits = vec![0; self.len()];
        for &node in &self.after {
            waits[node] += 1;
        }
        let mut sorted: Vec<usize> = (0..self.len()).filter(|&node| waits[node] == 0).collect();
        let mut next = 0;
        while let Some(&node) = sorted.get(next) {
            next += 1;
            for &after in self.after(node) {
                waits[after] -= 1;
                if waits[after] == 0 {
                    sorted.push(after);
                }
            }
        }
        (sorted, waits)
    }
}

/// Reports a circle, and promises of parallel work that the order breaks.
pub(crate) fn check(layout: &Layout, report: &mut Report) {
    let graph = Graph::new(&layout.items);
    let (sorted, waits) = graph.sorted();
    if sorted.len() < graph.len() {
        report.push(circle(&layout.items, &graph, &waits));
        return;
    }
    parallel(layout, &graph, &sorted, report);
}

/// Every node that still waits, waits for another that does: going from one to the next must come
/// back.
fn circle(items: &[Item], graph: &Graph, waits: &[usize]) -> Problem {
    let mut before = vec![usize::MAX; graph.len()];
    for node in (0..graph.len()).filter(|&node| waits[node] > 0) {
        for &after in graph.after(node) {
            before[after] = before[after].min(node);
        }
    }
    let mut node = waits.iter().position(|&waits| waits > 0).unwrap_or(0);
    let mut seen = vec![false; graph.len()];
    while !seen[node] {
        seen[node] = true;
        node = before[node];
    }
    let first = node;
    let mut frames: Vec<usize> = Vec::new();
    loop {
        if frames.last() != Some(&(node / 2)) {
            frames.push(node / 2);
        }
        node = before[node];
        if node == first {
            break;
        }
    }
    if frames.len() > 1 && frames.first() == frames.last() {
        frames.pop();
    }
    // Told from the frame that stands first in the file.
    let smallest = (0..frames.len()).min_by_key(|&place| frames[place]);
    frames.rotate_left(smallest.unwrap_or(0));
    tell_circle(items, &frames)
}

fn tell_circle(items: &[Item], frames: &[usize]) -> Problem {
    let key = |item: usize| items[item].key.as_str();
    let mut names: Vec<&str> = frames.iter().map(|&item| key(item)).collect();
    names.push(names[0]);
    let left_out = names.len().saturating_sub(MAX_TOLD);
    let more = format!("... {left_out} more ...");
    if left_out > 0 {
        names.splice(MAX_TOLD - 1..names.len() - 1, [more.as_str()]);
    }
    let steps = (0..frames.len()).map(|at| (frames[at], frames[(at + 1) % frames.len()]));
    let told = steps.map(|(from, to)| {
        let dependency = items[from].depends_on.iter().find(|(dep, _)| *dep == to);
        match dependency {
            Some((_, at)) => (*at, format!("`{}` depends on `{}`", key(from), key(to))),
            None if items[to].parent == Some(from) => (
                items[to].at,
                format!("`{}` ends with `{}`, which is in it", key(from), key(to)),
            ),
            None => (
                items[from].at,
                format!("`{}` starts with `{}`, which it is in", key(from), key(to)),
            ),
        }
    });
    let told: Vec<_> = told.collect();
    let problem = Problem::at(
        told[0].0,
        format!(
            "frames wait for one another in a circle: {}",
            names.join(" -> ")
        ),
    )
    .help("take one of these dependencies out");
    if told.len() == 1 {
        return problem;
    }
    told.into_iter().fold(problem, |problem, (at, message)| {
        problem.related(at, message)
    })
}

/// Checks each promise: no frame of it comes after another. Sixty-four promises are followed
/// through the graph at once, a bit each.
fn parallel(layout: &Layout, graph: &Graph, sorted: &[usize], report: &mut Report) {
    let mut promises: Vec<(usize, Vec<usize>)> = Vec::new();
    for (at, item) in layout.items.iter().enumerate() {
        let Some(names) = item
            .frame
            .as_ref()
            .and_then(|frame| frame.parallel.as_ref())
        else {
            continue;
        };
        let mut frames = vec![at];
        for name in &names.value.0 {
            match layout.find(item.level, &name.value.0) {
                Some(other) if other == at => report.push(Problem::at(
                    name.at,
                    format!("{} stands beside itself", show(&name.value.0)),
                )),
                Some(other) => frames.push(other),
                None => report.push(unknown(layout, at, "frame", &name.value.0, name.at)),
            }
        }
        frames.sort_unstable();
        frames.dedup();
        promises.push((at, frames));
    }
    // Frames that promise the same to one another promise it once.
    promises.sort_by(|a, b| a.1.cmp(&b.1));
    promises.dedup_by(|a, b| a.1 == b.1);
    for batch in promises.chunks(64) {
        let mut follows = vec![0_u64; graph.len()];
        for (bit, (_, frames)) in batch.iter().enumerate() {
            for &frame in frames {
                follows[end(frame)] |= 1 << bit;
            }
        }
        for &node in sorted {
            for &after in graph.after(node) {
                follows[after] |= follows[node];
            }
        }
        for (bit, (at, frames)) in batch.iter().enumerate() {
            if report.is_full() {
                return;
            }
            let late = frames
                .iter()
                .find(|&&frame| follows[start(frame)] >> bit & 1 == 1);
            if let Some(&late) = late {
                report.push(broken(layout, graph, *at, frames, late));
            } else if let Some((outer, inner)) = around(&layout.items, frames) {
                let (outer, inner) = (&layout.items[outer], &layout.items[inner]);
                let message = format!(
                    "`{}` cannot run beside `{}`, which is in it",
                    outer.key, inner.key
                );
                report.push(Problem::at(place_of(layout, *at), message));
            }
        }
    }
}

/// Where the frame's promise stands.
fn place_of(layout: &Layout, at: usize) -> Span {
    let item = &layout.items[at];
    let promise = item
        .frame
        .as_ref()
        .and_then(|frame| frame.parallel.as_ref());
    let first = promise.and_then(|promise| promise.value.0.first());
    first.map_or(item.at, |name| name.at)
}

/// A frame of the promise and another that is inside of it.
fn around(items: &[Item], frames: &[usize]) -> Option<(usize, usize)> {
    frames.iter().find_map(|&inner| {
        let mut outward = std::iter::successors(items[inner].parent, |&item| items[item].parent);
        let outer = outward.find(|outer| frames.binary_search(outer).is_ok())?;
        Some((outer, inner))
    })
}

/// The promise of `at` is broken: `late` comes after another frame of it.
fn broken(layout: &Layout, graph: &Graph, at: usize, frames: &[usize], late: usize) -> Problem {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); graph.len()];
    for node in 0..graph.len() {
        for &after in graph.after(node) {
            before[after].push(node);
        }
    }
    // The shortest way back to one of them.
    let mut from = vec![usize::MAX; graph.len()];
    let mut queue = VecDeque::from([start(late)]);
    let mut way = Vec::new();
    while let Some(node) = queue.pop_front() {
        if node % 2 == 1 && frames.binary_search(&(node / 2)).is_ok() {
            way.extend(std::iter::successors(Some(node), |&node| {
                Some(from[node]).filter(|&node| node != usize::MAX)
            }));
            break;
        }
        for &node_before in &before[node] {
            if from[node_before] == usize::MAX {
                from[node_before] = node;
                queue.push_back(node_before);
            }
        }
    }
    let key = |node: &usize| layout.items[node / 2].key.as_str();
    let early = way.first().map_or("", key);
    let mut names: Vec<&str> = way.iter().rev().map(key).collect();
    names.dedup();
    names.truncate(MAX_TOLD);
    let late = layout.items[late].key.as_str();
    Problem::at(
        place_of(layout, at),
        format!(
            "`{late}` cannot run beside `{early}`: it waits for it: {}",
            names.join(" -> ")
        ),
    )
    .help("take the dependency or the promise out")
}

/// Of each list of frames the one whose results stand for all: the one that `result` names, or the
/// only one on which no frame beside it depends.
pub(crate) fn results(layout: &Layout, report: &mut Report) -> Vec<Option<usize>> {
    let items = &layout.items;
    let mut needed = vec![false; items.len()];
    let mut depth = vec![0_usize; items.len()];
    for (at, item) in items.iter().enumerate() {
        depth[at] = item.parent.map_or(0, |parent| depth[parent] + 1);
    }
    for (at, item) in items.iter().enumerate() {
        for (dep, _) in &item.depends_on {
            needed[beside(items, &depth, *dep, at)] = true;
        }
    }
    let mut results = vec![None; items.len()];
    for level in &layout.levels {
        results[level.owner] = match &level.result {
            Some(name) => {
                let found = level.ids.get(&name.value).copied();
                if found.is_none() {
                    let message = format!("there is no frame {} among these", show(&name.value));
                    let known = level.ids.keys().map(String::as_str);
                    report.push(Problem::at(name.at, message).suggest(&name.value, known));
                }
                found
            }
            None => {
                let mut last = level.items.iter().copied().filter(|&item| !needed[item]);
                last.next().filter(|_| last.next().is_none())
            }
        };
    }
    results
}

/// Of `dep` and the frames around it the one that stands beside `at` or beside a frame around `at`.
fn beside(items: &[Item], depth: &[usize], mut dep: usize, mut at: usize) -> usize {
    while dep != at && items[dep].parent != items[at].parent {
        let (dep_depth, at_depth) = (depth[dep], depth[at]);
        if dep_depth >= at_depth {
            dep = items[dep].parent.unwrap_or(0);
        }
        if at_depth >= dep_depth {
            at = items[at].parent.unwrap_or(0);
        }
    }
    dep
}
