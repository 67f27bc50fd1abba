//! Short titles for frames that have none.

/// Words that cannot end a title.
const SMALL: [&str; 17] = [
    "a", "about", "an", "and", "as", "at", "by", "for", "from", "in", "into", "of", "on", "or",
    "the", "to", "with",
];

/// Two to five words: those of the id where it has as many, else the goal's first.
pub fn of(id: &str, goal: &str) -> String {
    let id_words: Vec<&str> = id
        .split(['-', '_'])
        .filter(|word| !word.is_empty())
        .collect();
    let goal_line = goal.lines().find(|line| !line.trim().is_empty());
    let goal_words: Vec<&str> = goal_line.unwrap_or("").split_whitespace().collect();
    // A goal with variables is not known yet; half of one would be no help.
    let words = match (id_words.len(), goal_words.len()) {
        (2..=5, _) => id_words,
        (_, 2..) if !goal.contains(['{', '}']) => goal_words,
        _ => id_words,
    };
    let mut words: Vec<&str> = words.into_iter().take(5).collect();
    while words.len() > 2 && words.last().is_some_and(|last| SMALL.contains(last)) {
        words.pop();
    }
    let title = words.join(" ");
    let title = title.trim_end_matches(['.', ',', ':', ';']);
    let mut letters = title.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).take(80).collect(),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_title_is_a_few_words_of_the_id_or_the_goal() {
        assert_eq!(of("run-unit_tests", "whatever it is"), "Run unit tests");
        assert_eq!(
            of("a", "collect the facts about the bug"),
            "Collect the facts"
        );
        assert_eq!(
            of("a", "collect facts for and about it all"),
            "Collect facts"
        );
        assert_eq!(of("facts", "Fix it."), "Fix it");
        assert_eq!(of("facts", ""), "Facts");
        assert_eq!(of("facts", "look at {inputs.file} again"), "Facts");
        assert_eq!(of("--", ""), "--");
    }
}
