//! What a text is about, and how far that is from what a frame is about.

use std::collections::BTreeSet;

use crate::context::words;

/// The share of a text's words from which it is about the same.
const SAME: f64 = 0.3;
/// How many words a text needs to be about something of its own.
const TELLING: usize = 3;
/// How many words are kept of what a frame is about.
pub(super) const TOPIC_MAX: usize = 600;

/// Words that any piece of work is described with, or that steer a conversation: they say nothing of
/// what the work is about.
const STEERING: &[&str] = &[
    "add",
    "after",
    "again",
    "all",
    "also",
    "any",
    "ask",
    "before",
    "better",
    "build",
    "but",
    "change",
    "check",
    "code",
    "commit",
    "continue",
    "correct",
    "could",
    "create",
    "did",
    "does",
    "done",
    "each",
    "every",
    "explain",
    "file",
    "find",
    "finish",
    "first",
    "fix",
    "get",
    "give",
    "go",
    "good",
    "great",
    "how",
    "implement",
    "instead",
    "keep",
    "let",
    "lint",
    "list",
    "look",
    "make",
    "me",
    "mend",
    "merge",
    "more",
    "my",
    "need",
    "new",
    "next",
    "now",
    "ok",
    "okay",
    "one",
    "our",
    "pass",
    "please",
    "problem",
    "push",
    "read",
    "really",
    "remove",
    "review",
    "run",
    "same",
    "see",
    "should",
    "show",
    "some",
    "still",
    "sure",
    "tell",
    "test",
    "thank",
    "that",
    "them",
    "there",
    "they",
    "thing",
    "those",
    "too",
    "try",
    "update",
    "us",
    "use",
    "want",
    "we",
    "well",
    "what",
    "when",
    "where",
    "why",
    "will",
    "work",
    "would",
    "write",
    "wrong",
    "yes",
    "yet",
    "you",
    "your",
];

/// The words that tell what a text is about, without their endings.
pub(super) fn topic(text: &str) -> BTreeSet<String> {
    words(&[text])
        .filter(|word| !word.chars().all(|c| c.is_ascii_digit()))
        .map(|word| stem(&word).to_owned())
        .filter(|word| !STEERING.iter().any(|steering| stem(steering) == word))
        .take(TOPIC_MAX)
        .collect()
}

/// How far a text is from what a frame is about, from 0 to 100. A text of few words says less, and
/// one that says too little says nothing.
pub(super) fn distance(text: &BTreeSet<String>, about: &BTreeSet<String>) -> Option<u8> {
    if text.len() < TELLING || about.is_empty() {
        return None;
    }
    let shared = text.iter().filter(|word| about.contains(*word)).count();
    let share = shared as f64 / text.len() as f64;
    let apart = (1.0 - share / SAME).max(0.0);
    let sure = match text.len() {
        TELLING => 0.65,
        4 => 0.78,
        5 => 0.88,
        _ => 0.95,
    };
    Some((100.0 * apart * sure).round() as u8)
}

/// How many pieces of work a text names: items of its lists, and the joints of its sentences. What
/// is between fences is quoted and not asked for.
pub(super) fn pieces(text: &str) -> usize {
    let mut fenced = false;
    let (mut items, mut joints) = (0, 0);
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && is_item(line) {
            items += 1;
        } else if !fenced {
            joints += line
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| is_joint(word))
                .count();
        }
    }
    items.max(1) + joints
}

fn is_item(line: &str) -> bool {
    let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered =
        numbered.len() < line.len() && (numbered.starts_with(". ") || numbered.starts_with(") "));
    numbered || ["- ", "* ", "• "].iter().any(|mark| line.starts_with(mark))
}

fn is_joint(word: &str) -> bool {
    [
        "then",
        "also",
        "additionally",
        "afterwards",
        "finally",
        "furthermore",
    ]
    .iter()
    .any(|joint| word.eq_ignore_ascii_case(joint))
}

/// A word without the ending that English gives it.
fn stem(word: &str) -> &str {
    for ending in ["ing", "ers", "ed", "es", "er", "s"] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() >= 4
        {
            return stem;
        }
    }
    word.strip_suffix('e')
        .filter(|stem| stem.len() >= 4)
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(text: &str, goal: &str) -> Option<u8> {
        distance(&topic(text), &topic(goal))
    }

    #[test]
    fn another_subject_is_far_and_the_same_in_other_words_is_near() {
        let goal = "Add token refresh to the login flow";
        let far = "Write release notes for version 2 and put them on the landing page";
        assert!(between(far, goal).is_some_and(|distance| distance > 80));
        let near = "Refreshing the tokens at login still fails when the clock is off";
        assert!(between(near, goal).is_some_and(|distance| distance < 20));
        for steering in ["yes, please go on", "Run the tests again", "fix it", ""] {
            assert_eq!(between(steering, goal), None, "{steering}");
        }
    }

    #[test]
    fn lists_and_joints_are_pieces_and_what_is_quoted_is_not() {
        assert_eq!(pieces("Mend the parser"), 1);
        assert_eq!(pieces("Do this:\n- parse\n- print\n- test"), 3);
        assert_eq!(pieces("Parse it, then print it and then also test it"), 4);
        assert_eq!(pieces("Why?\n```\n- a\n- b\nthen\n```"), 1);
    }
}
