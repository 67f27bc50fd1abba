//! Changes of a text that can be undone.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One change: from `at`, `now` bytes stand where `was` stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    at: usize,
    was: String,
    now: usize,
}

impl Edit {
    /// What makes the one text of the other.
    pub fn between(old: &str, new: &str) -> Edit {
        let same = |a: &mut dyn Iterator<Item = (char, char)>| -> usize {
            a.take_while(|(a, b)| a == b)
                .map(|(a, _)| a.len_utf8())
                .sum()
        };
        let at = same(&mut old.chars().zip(new.chars()));
        let (old_rest, new_rest) = (&old[at..], &new[at..]);
        let end = same(&mut old_rest.chars().rev().zip(new_rest.chars().rev()));
        Edit {
            at,
            was: old_rest[..old_rest.len() - end].to_owned(),
            now: new_rest.len() - end,
        }
    }
}

/// The text before all these were made; none where they do not fit it.
pub fn undo(text: &str, edits: &[Edit]) -> Option<String> {
    let mut text = text.to_owned();
    for edit in edits.iter().rev() {
        let end = edit.at.checked_add(edit.now)?;
        text.get(edit.at..end)?;
        text.replace_range(edit.at..end, &edit.was);
    }
    Some(text)
}

/// What tells one text from every other.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_undone() {
        let texts = [
            "",
            "a",
            "aa",
            "é",
            "éa",
            "aé\n",
            "a\u{1f525}b",
            "aaab",
            "baaa",
        ];
        for old in texts {
            for middle in texts {
                for new in texts {
                    let edits = [Edit::between(old, middle), Edit::between(middle, new)];
                    assert_eq!(
                        undo(new, &edits).as_deref(),
                        Some(old),
                        "{old} {middle} {new}"
                    );
                }
            }
        }
        let edit = Edit::between("", "long");
        assert_eq!(undo("é", &[edit]), None);
    }
}
