//! Which known name was probably meant.

/// The known name that is nearest to `name`, where one is near enough to be meant: one slip in a
/// short name, one in three letters of a longer one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = name.chars().take(64).collect();
    let limit = (letters.len() / 3).max(usize::from(letters.len() > 1));
    known
        .filter_map(|other| Some((distance(&letters, other, limit)?, other)))
        .min()
        .map(|(_, other)| other)
}

/// How many letters must be changed, added, left out or swapped with their neighbour to make one
/// name of the other (optimal string alignment), where it is at most `limit`.
fn distance(name: &[char], other: &str, limit: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().take(name.len() + limit + 1).collect();
    if name.len().abs_diff(other.len()) > limit {
        return None;
    }
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in name.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let same = a.eq_ignore_ascii_case(b);
            let mut best = (last[j] + usize::from(!same)).min(last[j + 1].min(row[j]) + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && name[i - 1] == *b {
                let swapped: &Vec<usize> = &before_last;
                best = best.min(swapped[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&found| found <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["depends_on", "prompt", "pool", "priority", "run"];
        let find = |name| nearest(name, known.into_iter());
        assert_eq!(find("depend_on"), Some("depends_on"));
        assert_eq!(find("promt"), Some("prompt"));
        assert_eq!(find("porol"), Some("pool"));
        assert_eq!(find("Run"), Some("run"));
        assert_eq!(nearest("x", ["a", "b"].into_iter()), None);
        assert_eq!(find("colour"), None);
        assert_eq!(find(""), None);
    }
}
