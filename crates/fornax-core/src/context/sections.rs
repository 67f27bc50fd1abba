//! What the sections of a context are made of: which frames, and what of them.

use std::collections::HashSet;

use crate::ids::FrameId;
use crate::status::FrameStatus;

use super::relevance::{Document, THRESHOLD, scores};
use super::text::fit;
use super::{Cut, Entry, Item, Section, Stack};

/// The most tokens of a title.
const TITLE_MAX_TOKENS: usize = 12;
/// How many ancestors are looked at, the nearest; with the root.
const ANCESTORS_MAX: usize = 64;
/// How many frames of one family are looked at, the newest.
pub(crate) const FAMILY_MAX: usize = 256;
/// How many decisions and artifacts of one frame are looked at, the newest.
const NOTES_MAX: usize = 50;

/// The sections of a frame's context; none where there is no such frame.
pub(super) fn of<'a>(stack: &'a impl Stack, id: FrameId) -> Option<Vec<Section<'a>>> {
    let own = stack.entry(id)?;
    let mut path: Vec<(FrameId, Entry<'a>)> = Vec::new();
    for ancestor in shown_above(stack, id, own.parent) {
        path.push((ancestor, stack.entry(ancestor)?));
    }
    let parent = path.first().map(|(_, parent)| parent);
    let siblings = siblings(stack, id, &own, parent);
    Some(vec![
        ancestors(stack, id, &own, &path),
        dependencies(stack, &own),
        siblings,
        children(stack, &own),
        itself(stack, id, &own, parent),
    ])
}

/// The ancestors that a context shows: the nearest, nearest first, and the root.
pub(crate) fn shown_above(
    stack: &impl Stack,
    id: FrameId,
    parent: Option<FrameId>,
) -> Vec<FrameId> {
    let mut shown = Vec::new();
    let mut above = parent;
    while let Some(ancestor) = above
        && shown.len() < ANCESTORS_MAX
        && let Some(entry) = stack.entry(ancestor)
    {
        above = entry.parent;
        shown.push(ancestor);
    }
    if above.is_some() {
        let known = |root: &FrameId| stack.entry(*root).is_some() && !shown.contains(root);
        shown.extend(stack.root(id).filter(known));
    }
    shown
}

/// The ancestors, root first, and what came of the frames beside the way down.
fn ancestors<'a>(
    stack: &'a impl Stack,
    id: FrameId,
    own: &Entry<'a>,
    path: &[(FrameId, Entry<'a>)],
) -> Section<'a> {
    let mut section = section("ancestors", 25);
    section.unseen = own.depth.saturating_sub(path.len());
    let mut uncles_left = FAMILY_MAX;
    let mut items = Vec::new();
    // From the nearest on, so that those far away get what is left of what may be looked at.
    for (distance, (ancestor, entry)) in path.iter().enumerate() {
        let mut of_this = Vec::new();
        let far = u32::try_from(distance).unwrap_or(u32::MAX / 100);
        let of = || vec![("of", ancestor.to_string())];
        let named = titled(*ancestor, entry);
        of_this.push(Item {
            required: distance == 0,
            ..item(*ancestor, "ancestor", "goal", named, entry.goal, far * 10)
        });
        let texts = [
            ("criteria", "criteria", entry.criteria, 3),
            ("so_far", "results", so_far(entry), 4),
        ];
        for (tag, what, text, rank) in texts {
            if !text.trim().is_empty() {
                of_this.push(item(*ancestor, tag, what, of(), text, far * 10 + rank));
            }
        }
        for decision in newest(entry.decisions) {
            let body = decision.decision.as_str();
            let what = "decision";
            of_this.push(item(*ancestor, what, what, of(), body, far * 10 + 5));
        }
        // The parent's other children are the siblings, which have a section of their own.
        if distance > 0 {
            let below = path[distance - 1].0;
            debug_assert_ne!(below, id);
            let (uncles, unseen) = family(stack, entry.children, uncles_left, |uncle, entry| {
                let tells = matches!(entry.status, FrameStatus::Completed | FrameStatus::Failed);
                uncle != below && tells
            });
            uncles_left -= entry.children.len() - unseen;
            section.unseen += unseen;
            let count = u32::try_from(uncles.len()).unwrap_or(u32::MAX / 10);
            for (age, (uncle, entry)) in (0..count).rev().zip(uncles) {
                let rank = far.saturating_mul(10).saturating_add(6 + age.min(1_000));
                of_this.push(told("uncle", uncle, &entry, rank, false));
            }
        }
        items.push(of_this);
    }
    section.items = items.into_iter().rev().flatten().collect();
    section
}

fn dependencies<'a>(stack: &'a impl Stack, own: &Entry<'a>) -> Section<'a> {
    let mut section = section("dependencies", 20);
    section.merges = true;
    let looked_at = last(own.depends_on, FAMILY_MAX);
    section.unseen = own.depends_on.len() - looked_at.len();
    let mut seen = HashSet::new();
    let mut artifacts_left = FAMILY_MAX;
    for (rank, id) in (0_u32..).zip(looked_at) {
        let Some(entry) = stack.entry(*id).filter(|_| seen.insert(*id)) else {
            continue;
        };
        let told = told("dependency", *id, &entry, rank, true);
        section.items.push(told);
        for artifact in newest(entry.artifacts).take(artifacts_left) {
            artifacts_left -= 1;
            let of = vec![("of", id.to_string())];
            let path = artifact.path.as_str();
            let rank = rank.saturating_add(1);
            section
                .items
                .push(item(*id, "artifact", "artifact", of, path, rank));
        }
    }
    section
}

/// The frames beside this one, those first that have most to do with it.
fn siblings<'a>(
    stack: &'a impl Stack,
    id: FrameId,
    own: &Entry<'a>,
    parent: Option<&Entry<'a>>,
) -> Section<'a> {
    let mut section = section("siblings", 15);
    let Some(parent) = parent else {
        return section;
    };
    let depends: HashSet<&FrameId> = last(own.depends_on, FAMILY_MAX).iter().collect();
    let (beside, unseen) = family(stack, parent.children, FAMILY_MAX, |other, entry| {
        let tells = matches!(
            entry.status,
            FrameStatus::Completed | FrameStatus::Failed | FrameStatus::InProgress
        );
        other != id && tells && !depends.contains(&other)
    });
    section.unseen = unseen;
    let documents: Vec<Document<'_>> = beside.iter().map(|(_, entry)| document(entry)).collect();
    let scores = scores(&document(own), &documents);
    let mut ranked: Vec<(usize, f64)> = scores.into_iter().enumerate().collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut rank = 0;
    for (place, score) in ranked {
        let (other, entry) = &beside[place];
        if score < THRESHOLD {
            section.cut.push(Cut {
                frame: *other,
                what: "results".to_owned(),
                dropped: true,
                why: format!("its relevance is {score:.2}, under {THRESHOLD}"),
            });
            continue;
        }
        rank += 1;
        section
            .items
            .push(told("sibling", *other, entry, rank, false));
    }
    section
}

/// What came of the frames within this one: the returned values, newest last.
fn children<'a>(stack: &'a impl Stack, own: &Entry<'a>) -> Section<'a> {
    let mut section = section("children", 20);
    section.merges = true;
    let (within, unseen) = family(stack, own.children, FAMILY_MAX, |_, entry| {
        use FrameStatus::{Invalidated, Planned};
        !matches!(entry.status, Planned | Invalidated)
    });
    section.unseen = unseen;
    let count = u32::try_from(within.len()).unwrap_or(u32::MAX);
    for (age, (id, entry)) in (0..count).rev().zip(within) {
        let required = entry.status.is_settled();
        section.items.push(told("child", id, &entry, age, required));
    }
    section
}

/// The frame itself.
fn itself<'a>(
    stack: &'a impl Stack,
    id: FrameId,
    own: &Entry<'a>,
    parent: Option<&Entry<'a>>,
) -> Section<'a> {
    let mut section = section("this", 20);
    let mut attributes = titled(id, own);
    let place = parent.and_then(|parent| parent.children.iter().position(|child| *child == id));
    if let (Some(place), Some(parent)) = (place, parent) {
        attributes.push((
            "step",
            format!("{} of {}", place + 1, parent.children.len()),
        ));
    }
    section.items.push(Item {
        required: true,
        ..item(id, "this", "goal", attributes, own.goal, 0)
    });
    let texts = [
        ("criteria", "criteria", own.criteria, 1),
        ("so_far", "results", so_far(own), 2),
    ];
    for (tag, what, text, rank) in texts {
        if !text.trim().is_empty() {
            section
                .items
                .push(item(id, tag, what, Vec::new(), text, rank));
        }
    }
    for decision in newest(own.decisions) {
        section.items.push(item(
            id,
            "decision",
            "decision",
            Vec::new(),
            &decision.decision,
            3,
        ));
    }
    for artifact in newest(own.artifacts) {
        section.items.push(item(
            id,
            "artifact",
            "artifact",
            Vec::new(),
            &artifact.path,
            4,
        ));
    }
    let (planned, unseen) = family(stack, own.children, FAMILY_MAX, |_, entry| {
        entry.status == FrameStatus::Planned
    });
    section.unseen = unseen;
    for (child, entry) in planned {
        let attributes = titled(child, &entry);
        section
            .items
            .push(item(child, "planned", "goal", attributes, entry.goal, 5));
    }
    // It changes more often than all else, so it stands last.
    if !own.advice.trim().is_empty() {
        section
            .items
            .push(item(id, "advice", "advice", Vec::new(), own.advice, 6));
    }
    section
}

fn section<'a>(name: &'static str, share: usize) -> Section<'a> {
    Section {
        name,
        share,
        ..Section::default()
    }
}

fn item<'a>(
    frame: FrameId,
    tag: &'static str,
    what: &'static str,
    attributes: Vec<(&'static str, String)>,
    body: &'a str,
    priority: u32,
) -> Item<'a> {
    Item {
        frame,
        tag,
        what,
        attributes,
        body,
        priority,
        required: false,
        shell: 0,
        wanted: 0,
    }
}

/// What came of a frame.
fn told<'a>(
    tag: &'static str,
    id: FrameId,
    entry: &Entry<'a>,
    priority: u32,
    required: bool,
) -> Item<'a> {
    let mut attributes = titled(id, entry);
    attributes.push(("status", entry.status.to_string()));
    Item {
        required,
        ..item(id, tag, "results", attributes, outcome(entry), priority)
    }
}

/// What those around a frame get to know of what came of it.
fn outcome<'a>(entry: &Entry<'a>) -> &'a str {
    let told = [entry.results_compact, entry.results, entry.reason];
    let found = told.into_iter().find(|text| !text.trim().is_empty());
    found.unwrap_or(match entry.status {
        FrameStatus::InProgress => entry.goal,
        FrameStatus::Completed => "Done; it left no results.",
        _ => "It gave no reason.",
    })
}

/// What is known of an open frame's results.
fn so_far<'a>(entry: &Entry<'a>) -> &'a str {
    if entry.results_compact.is_empty() {
        entry.results
    } else {
        entry.results_compact
    }
}

fn titled(id: FrameId, entry: &Entry<'_>) -> Vec<(&'static str, String)> {
    let mut attributes = vec![("id", id.to_string())];
    let (title, _) = fit(entry.title, TITLE_MAX_TOKENS);
    if !title.is_empty() {
        attributes.push(("title", title));
    }
    if entry.stale {
        attributes.push(("stale", "yes".to_owned()));
    }
    attributes
}

/// The frames of a family that are wanted, newest last, and how many were not looked at: of very many,
/// only the newest are worth a look.
fn family<'a>(
    stack: &'a impl Stack,
    ids: &[FrameId],
    most: usize,
    wanted: impl Fn(FrameId, &Entry<'a>) -> bool,
) -> (Vec<(FrameId, Entry<'a>)>, usize) {
    let looked_at = last(ids, most);
    let mut found: Vec<(FrameId, Entry<'a>)> = looked_at
        .iter()
        .filter_map(|id| Some((*id, stack.entry(*id)?)))
        .filter(|(id, entry)| wanted(*id, entry))
        .collect();
    found.sort_by_key(|(_, entry)| entry.at);
    (found, ids.len() - looked_at.len())
}

fn document<'a>(entry: &Entry<'a>) -> Document<'a> {
    Document {
        texts: vec![
            entry.goal,
            entry.title,
            entry.criteria,
            entry.results,
            entry.results_compact,
        ],
        paths: newest(entry.artifacts)
            .map(|artifact| artifact.path.as_str())
            .collect(),
        at: entry.at,
    }
}

fn newest<T>(items: &[T]) -> impl Iterator<Item = &T> {
    last(items, NOTES_MAX).iter()
}

fn last<T>(items: &[T], most: usize) -> &[T] {
    &items[items.len().saturating_sub(most)..]
}
