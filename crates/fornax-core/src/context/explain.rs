//! A context explained: what is in it, what is not and why, what it costs, and what changed.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Context;

/// The most frames that are named for one reason.
const NAMED_MAX: usize = 5;

/// A table of the sections, what they do not show and why, and which bytes are those of the context
/// before: plain text for a terminal.
#[must_use]
pub fn explain(context: &Context, before: Option<&Context>) -> String {
    let mut text = String::new();
    let starts = context.starts();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} of {} tokens (estimated), {} bytes",
        context.tokens,
        context.budget,
        context.xml.len()
    );
    let _ = writeln!(
        text,
        "\n{:<14}{:>7}{:>7}{:>7}{:>7}{:>9}  {}",
        "section", "room", "used", "shown", "cut", "from", "bytes"
    );
    for (section, start) in context.sections.iter().zip(starts) {
        let bytes = match (start, before) {
            (None, _) => "-",
            (Some(_), None) => "new",
            (Some(start), Some(before)) => match same(context, before, &section.name) {
                true if start < context.shared_prefix(before) => "the same, at the same place",
                true => "the same, at another place",
                false => "changed",
            },
        };
        let start = start.map_or("-".to_owned(), |start| start.to_string());
        let _ = writeln!(
            text,
            "{:<14}{:>7}{:>7}{:>7}{:>7}{start:>9}  {bytes}",
            section.name,
            section.room,
            section.used,
            section.shown,
            section.cut.len()
        );
    }
    write_cuts(&mut text, context);
    if let Some(before) = before {
        let shared = context.shared_prefix(before);
        let hundredths = shared * 100 / context.xml.len().max(1);
        let _ = writeln!(
            text,
            "\nThe first {shared} of {} bytes ({hundredths} %) are those of the context before: \
             a provider that caches prefixes has them.",
            context.xml.len()
        );
    }
    text
}

/// What is not shown, or not whole, by section and reason.
fn write_cuts(text: &mut String, context: &Context) {
    for section in &context.sections {
        let mut reasons: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
        for cut in &section.cut {
            let named = format!("{} ({})", cut.frame, cut.what);
            reasons
                .entry((cut.dropped, &cut.why))
                .or_default()
                .push(named);
        }
        for ((dropped, why), frames) in reasons {
            let done = if dropped { "left out" } else { "cut" };
            let _ = write!(
                text,
                "\n{}: {} {done}: {why}\n  ",
                section.name,
                frames.len()
            );
            text.push_str(&frames[..frames.len().min(NAMED_MAX)].join(", "));
            if frames.len() > NAMED_MAX {
                let _ = write!(text, " and {} more", frames.len() - NAMED_MAX);
            }
            text.push('\n');
        }
        if section.unseen > 0 {
            let unseen = section.unseen;
            let name = &section.name;
            let _ = writeln!(text, "\n{name}: {unseen} not looked at: there are too many");
        }
    }
}

fn same(context: &Context, before: &Context, section: &str) -> bool {
    let bytes = |context: &Context| context.section(section).map(str::to_owned);
    bytes(context) == bytes(before)
}

impl Context {
    /// Where each section begins; none where it shows nothing.
    fn starts(&self) -> Vec<Option<usize>> {
        // Texts of frames are escaped: only a section's own tag reads so.
        let start = |name: &str| self.xml.find(&format!("\n<{name}>\n")).map(|at| at + 1);
        let sections = self.sections.iter();
        sections.map(|section| start(&section.name)).collect()
    }

    /// The text of a section.
    fn section(&self, name: &str) -> Option<&str> {
        let start = self.xml.find(&format!("\n<{name}>\n"))? + 1;
        let close = format!("\n</{name}>\n");
        let length = self.xml[start..].find(&close)? + close.len();
        Some(&self.xml[start..start + length])
    }
}
