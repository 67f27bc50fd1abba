//! Giving a section's items their room: what must be shown gets its part fairly, the rest in the
//! order of what matters.

use std::fmt::Write;

use super::text::fit;
use super::tokens::estimate;
use super::{Cut, Item, Section, SectionUse};

/// What must be shown has at least so many tokens of its text, if it has so many.
const LEAST_REQUIRED: usize = 6;
/// What need not be shown is not worth showing with less.
const LEAST: usize = 12;

/// What became of an item.
enum Fate {
    Shown(String, bool),
    Dropped,
}

impl Section<'_> {
    /// The fewest tokens in which all that must be shown can be.
    pub(super) fn least(&self) -> usize {
        let required = self.items.iter().filter(|item| item.required);
        let least: usize = required
            .map(|item| shell(item) + estimate(item.body).min(LEAST_REQUIRED))
            .sum();
        if least == 0 { 0 } else { least + self.frame() }
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

/// The section's text and how its room was used: `room` tokens, or up to `most` where what must be
/// shown needs that.
pub(super) fn allot(section: &Section<'_>, room: usize, most: usize) -> (String, SectionUse) {
    let items = &section.items;
    let mut fates: Vec<Fate> = items.iter().map(|_| Fate::Dropped).collect();
    let mut used = SectionUse {
        name: section.name.to_owned(),
        room,
        used: 0,
        shown: 0,
        cut: section.cut.clone(),
    };
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|place| (!items[*place].required, items[*place].priority));
    let split = order.partition_point(|place| items[*place].required);
    let (required, others) = order.split_at(split);
    let mut spent = section.frame();
    let bound = room.max(section.least().min(most));
    spent += show_required(items, required, bound.saturating_sub(spent), &mut fates);
    for place in others {
        let item = &items[*place];
        let left = room.saturating_sub(spent + shell(item));
        let fits = estimate(item.body) <= left;
        if !fits && left < LEAST {
            continue;
        }
        let (body, shortened) = fit(item.body, left);
        if body.is_empty() && !item.body.trim().is_empty() {
            continue;
        }
        spent += shell(item) + estimate(&body);
        fates[*place] = Fate::Shown(body, shortened);
    }
    let mut text = section.open();
    for (item, fate) in items.iter().zip(fates) {
        let (dropped, why) = match fate {
            Fate::Shown(body, shortened) => {
                used.shown += 1;
                write_element(&mut text, item, &body);
                if !shortened {
                    continue;
                }
                (false, "shortened: the section has no more room")
            }
            Fate::Dropped => (true, "the section has no room for it"),
        };
        used.cut.push(Cut {
            frame: item.frame,
            what: item.what.to_owned(),
            dropped,
            why: why.to_owned(),
        });
    }
    if used.shown == 0 {
        return (String::new(), used);
    }
    text.push_str(&section.close());
    used.used = estimate(&text);
    (text, used)
}

/// Shows what must be shown: each as much as it needs, or as much as the others get. Where not even
/// their elements have room, the last of them in rank go. The tokens that were spent.
fn show_required(items: &[Item<'_>], required: &[usize], room: usize, fates: &mut [Fate]) -> usize {
    let mut shells = 0;
    let mut kept = Vec::with_capacity(required.len());
    for place in required {
        let least = shell(&items[*place]) + estimate(items[*place].body).min(LEAST_REQUIRED);
        if shells + least > room && !kept.is_empty() {
            break;
        }
        shells += least;
        kept.push(*place);
    }
    let fixed: usize = kept.iter().map(|place| shell(&items[*place])).sum();
    let wanted: Vec<usize> = kept
        .iter()
        .map(|place| estimate(items[*place].body))
        .collect();
    let level = level(&wanted, room.saturating_sub(fixed));
    let mut spent = 0;
    for (place, wanted) in kept.iter().zip(wanted) {
        let item = &items[*place];
        let (body, shortened) = fit(item.body, wanted.min(level));
        if spent + shell(item) + estimate(&body) > room {
            continue;
        }
        spent += shell(item) + estimate(&body);
        fates[*place] = Fate::Shown(body, shortened);
    }
    spent
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

/// The tokens of an item without its text.
fn shell(item: &Item<'_>) -> usize {
    let mut text = String::new();
    write_element(&mut text, item, "");
    estimate(&text)
}

fn write_element(text: &mut String, item: &Item<'_>, body: &str) {
    text.push('<');
    text.push_str(item.tag);
    for (name, value) in &item.attributes {
        // Their values are escaped already. Writing to a string cannot fail.
        let _ = write!(text, " {name}=\"{value}\"");
    }
    text.push('>');
    text.push_str(body);
    text.push_str("</");
    text.push_str(item.tag);
    text.push_str(">\n");
}
