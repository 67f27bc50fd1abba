//! Giving a section's items their room: what must be shown gets its part fairly, the rest in the
//! order of what matters.

use std::fmt::Write;

use super::text::{escape, fit};
use super::tokens::estimate;
use super::{Cut, Item, Section, SectionUse};

/// What must be shown has at least so many tokens of its text, if it has so many.
const LEAST_REQUIRED: usize = 6;
/// What need not be shown is not worth showing with less.
const LEAST: usize = 12;

/// The most tokens that the ids of merged frames may take, and the most of such ids.
const IDS_MAX_TOKENS: usize = 60;
const IDS_MAX: usize = 10;

/// What became of an item.
enum Fate {
    Shown(String, bool),
    Merged,
    Dropped,
}

/// The room that each section keeps for what it must show: all that it needs, or where that is too
/// much for all of them, what it cannot do without and a fair part of the rest.
pub(super) fn reserves(sections: &[Section<'_>], room: usize) -> Vec<usize> {
    let whole: Vec<usize> = sections.iter().map(Section::least).collect();
    let needed: usize = whole.iter().sum();
    if needed <= room {
        return whole;
    }
    let floors: Vec<usize> = sections.iter().map(Section::floor).collect();
    let rest = room.saturating_sub(floors.iter().sum());
    let wished: usize = needed - floors.iter().sum::<usize>();
    let part = |(whole, floor): (&usize, &usize)| floor + rest * (whole - floor) / wished.max(1);
    whole.iter().zip(&floors).map(part).collect()
}

impl Item<'_> {
    /// The fewest tokens in which it can be shown, if it must.
    fn least(&self) -> usize {
        self.shell + self.wanted.min(LEAST_REQUIRED)
    }
}

impl Section<'_> {
    /// Counts the tokens of its items; of a text with certainly more than `most` not exactly.
    pub(super) fn measure(&mut self, most: usize) {
        for item in &mut self.items {
            let mut shell = String::new();
            write_element(&mut shell, item.tag, &item.attributes, "");
            item.shell = estimate(&shell);
            // By being escaped, no text becomes shorter.
            let body = item.body.trim();
            item.wanted = match body.len().div_ceil(4) {
                least if least > most => least,
                _ => estimate(&escape(body)),
            };
        }
    }

    /// The fewest tokens in which all that must be shown can be.
    fn least(&self) -> usize {
        let required = self.items.iter().filter(|item| item.required);
        match required.map(Item::least).sum::<usize>() + self.merged_least() {
            0 => 0,
            least => least + self.frame(),
        }
    }

    /// The fewest tokens in which it can say of all that must be shown that it is there.
    fn floor(&self) -> usize {
        if !self.merges {
            return self.least();
        }
        let merged = more(self.items.len() + self.unseen, "");
        self.least().min(self.frame() + estimate(&merged))
    }

    /// What must be said of those that are not looked at.
    fn merged_least(&self) -> usize {
        match self.merges && self.unseen > 0 {
            true => estimate(&more(self.items.len() + self.unseen, "")),
            false => 0,
        }
    }

    /// The tokens of its own element.
    fn frame(&self) -> usize {
        estimate(&self.open()) + estimate(&self.close())
    }

    fn open(&self) -> String {
        format!("<{}>\n", self.name)
    }

    fn close(&self) -> String {
        format!("</{}>\n", self.name)
    }
}

/// The section's text and how its room was used: `room` tokens, or `reserve` where what must be shown
/// needs that.
pub(super) fn allot(section: &Section<'_>, room: usize, reserve: usize) -> (String, SectionUse) {
    let items = &section.items;
    let mut fates: Vec<Fate> = items.iter().map(|_| Fate::Dropped).collect();
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|place| (!items[*place].required, items[*place].priority));
    let split = order.partition_point(|place| items[*place].required);
    let (required, others) = order.split_at(split);
    let frame = section.frame();
    let bound = room.max(reserve).saturating_sub(frame);
    let (merged, mut spent) = show_required(section, required, bound, &mut fates);
    spent += frame;
    for place in others {
        let item = &items[*place];
        let Some(left) = room.checked_sub(spent + item.shell) else {
            continue;
        };
        if item.wanted > left && left < LEAST {
            continue;
        }
        let (body, shortened) = fit(item.body, left);
        if body.is_empty() && item.wanted > 0 {
            continue;
        }
        spent += item.shell + estimate(&body);
        fates[*place] = Fate::Shown(body, shortened);
    }
    write_section(section, &merged, fates, room)
}

fn write_section(
    section: &Section<'_>,
    merged: &str,
    fates: Vec<Fate>,
    room: usize,
) -> (String, SectionUse) {
    let mut used = SectionUse {
        name: section.name.to_owned(),
        room,
        used: 0,
        shown: 0,
        cut: section.cut.clone(),
        unseen: section.unseen,
    };
    let mut text = section.open() + merged;
    for (item, fate) in section.items.iter().zip(fates) {
        let (dropped, why) = match fate {
            Fate::Shown(body, shortened) => {
                used.shown += 1;
                write_element(&mut text, item.tag, &item.attributes, &body);
                if !shortened {
                    continue;
                }
                (false, "shortened: the section has no more room")
            }
            Fate::Merged => (true, "merged with others: the section has no room for each"),
            Fate::Dropped => (true, "the section has no room for it"),
        };
        used.cut.push(Cut {
            frame: item.frame,
            what: item.what.to_owned(),
            dropped,
            why: why.to_owned(),
        });
    }
    if used.shown == 0 && merged.is_empty() {
        return (String::new(), used);
    }
    text.push_str(&section.close());
    used.used = estimate(&text);
    (text, used)
}

/// Shows what must be shown: each as much as it needs, or as much as the others get. Where not even
/// their elements have room, the last of them in rank are merged into one, which is returned, with
/// the tokens that were spent.
fn show_required(
    section: &Section<'_>,
    required: &[usize],
    room: usize,
    fates: &mut [Fate],
) -> (String, usize) {
    let items = &section.items;
    let needed: usize = required.iter().map(|place| items[*place].least()).sum();
    let merges = section.merges && (section.unseen > 0 || needed > room);
    let shell = match merges {
        true => estimate(&more(required.len() + section.unseen, "")),
        false => 0,
    };
    let mut spent = shell;
    let fitting = required.iter().take_while(|place| {
        spent += items[**place].least();
        spent <= room
    });
    let (kept, rest) = required.split_at(fitting.count());
    let least: usize = kept.iter().map(|place| items[*place].least()).sum();
    let mut merged = String::new();
    if merges && shell <= room {
        let left = (room - shell).saturating_sub(least) / 2;
        let ids = named(rest.iter().map(|place| &items[*place]), left);
        merged = more(rest.len() + section.unseen, &ids);
        for place in rest {
            fates[*place] = Fate::Merged;
        }
    }
    let mut spent = estimate(&merged);
    let shells: usize = kept.iter().map(|place| items[*place].shell).sum();
    let wanted: Vec<usize> = kept.iter().map(|place| items[*place].wanted).collect();
    let level = level(&wanted, room.saturating_sub(spent + shells));
    for (place, wanted) in kept.iter().zip(wanted) {
        let item = &items[*place];
        let (body, shortened) = fit(item.body, wanted.min(level));
        spent += item.shell + estimate(&body);
        fates[*place] = Fate::Shown(body, shortened);
    }
    (merged, spent)
}

/// The element that stands for many.
fn more(count: usize, ids: &str) -> String {
    format!("<more count=\"{count}\">{ids}</more>\n")
}

/// The ids of the first of some items, in at most so many tokens.
fn named<'a>(items: impl Iterator<Item = &'a Item<'a>>, tokens: usize) -> String {
    let mut ids = String::new();
    for item in items.take(IDS_MAX) {
        let separator = if ids.is_empty() { "" } else { ", " };
        let longer = format!("{ids}{separator}{}", item.frame);
        if estimate(&longer) > tokens.min(IDS_MAX_TOKENS) {
            break;
        }
        ids = longer;
    }
    ids
}

/// The most that each may have so that together they have no more than `room`.
fn level(wanted: &[usize], room: usize) -> usize {
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (place, want) in sorted.iter().enumerate() {
        let fair = left / (sorted.len() - place);
        if *want > fair {
            return fair;
        }
        left -= want;
    }
    usize::MAX
}

fn write_element(text: &mut String, tag: &str, attributes: &[(&'static str, String)], body: &str) {
    text.push('<');
    text.push_str(tag);
    for (name, value) in attributes {
        // Their values are escaped already. Writing to a string cannot fail.
        let _ = write!(text, " {name}=\"{value}\"");
    }
    text.push('>');
    text.push_str(body);
    text.push_str("</");
    text.push_str(tag);
    text.push_str(">\n");
}
