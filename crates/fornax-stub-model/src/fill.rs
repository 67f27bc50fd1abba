//! Filling `{{name}}` in the strings of a reply.

use std::collections::BTreeMap;

/// The names that every request gives a value to.
const OF_REQUESTS: [&str; 4] = ["n", "model", "last_user", "last_tool_result"];

/// Whether a variable can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    is_word(name) && !OF_REQUESTS.contains(&name)
}

/// The first name used in `text` that has no value in any request.
pub(crate) fn first_unknown<'a>(text: &'a str, vars: &BTreeMap<String, String>) -> Option<&'a str> {
    pieces(text).find_map(|piece| match piece {
        Piece::Name(name) if !OF_REQUESTS.contains(&name) && !vars.contains_key(name) => Some(name),
        _ => None,
    })
}

/// `text` with each name's value in its place. Values are not read again, so whatever a user
/// or a tool said stays text. A name without a value stays as it is.
pub(crate) fn fill<'v>(text: &str, value_of: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Name(name) => match value_of(name) {
                Some(value) => filled.push_str(value),
                None => filled.extend(["{{", name, "}}"]),
            },
        }
    }
    filled
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Cuts a text into names in double braces and what lies between them.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(name) = name_at_start(rest) {
            rest = &rest[name.len() + 4..];
            return Some(Piece::Name(name));
        }
        // The brace at the start, if any, opens no name: look for the next one.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find("{{").map_or(rest.len(), |at| first + at);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

fn name_at_start(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("{{")?.split_once("}}")?;
    is_word(name).then_some(name)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        fill(text, |name| match name {
            "a" => Some("{{b}}"),
            "b" => Some("B"),
            _ => None,
        })
    }

    #[test]
    fn fills_each_name_once_and_leaves_other_braces() {
        assert_eq!(filled("x {{a}}{{b}} y"), "x {{b}}B y");
        assert_eq!(filled("{{{b}} {{ b }} {{c}} {{"), "{B {{ b }} {{c}} {{");
        assert_eq!(filled("é{{b}}é"), "éBé");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn names_what_has_no_value() {
        let vars = BTreeMap::from([("dir".to_owned(), "/x".to_owned())]);
        assert_eq!(first_unknown("{{dir}} {{n}} {{last_user}}", &vars), None);
        assert_eq!(first_unknown("{{dir}}/{{file}}", &vars), Some("file"));
        assert!(is_name("dir_2") && !is_name("model") && !is_name("a b") && !is_name(""));
    }
}
