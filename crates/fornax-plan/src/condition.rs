//! Conditions: `{inputs.mode} == full`, `{deps.detect.results} != ''`, `{inputs.release}`.

use super::diagnostic::{At, Problem, Report, show};
use super::read::Text;
use super::settings;
use fornax_core::spec::{Compare, Condition};
use fornax_core::template::Template;

const HELP: &str = "write `\"{inputs.x} == text\"`, `\"{deps.a.results} != ''\"`, or a variable \
    alone, which holds when it is not empty";

/// The condition, or none where something is wrong with it, which is reported.
pub(crate) fn parse(text: &At<Text>, report: &mut Report) -> Option<Condition> {
    // A mistake in a variable is told before one in what is around it.
    settings::parse(text, report)?;
    match split(&text.value.0) {
        Some(condition) => Some(condition),
        None => {
            let message = format!("{} is not a condition", show(&text.value.0));
            report.push(Problem::at(text.at, message).help(HELP));
            None
        }
    }
}

fn split(text: &str) -> Option<Condition> {
    let Some((at, compare)) = operator(text) else {
        let left: Template = text.trim().parse().ok()?;
        let alone = left.variables().next().cloned().map(Template::variable);
        return (alone.as_ref() == Some(&left)).then(|| Condition {
            left,
            compare: Compare::NotEqual,
            right: Template::default(),
        });
    };
    let condition = Condition {
        left: side(&text[..at])?,
        compare,
        right: side(&text[at + 2..])?,
    };
    let variables = condition
        .left
        .variables()
        .chain(condition.right.variables());
    // Without a variable it always holds or never does: surely a slip.
    (variables.count() > 0).then_some(condition)
}

/// Where the comparison stands, quotes and braces passed over.
fn operator(text: &str) -> Option<(usize, Compare)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '=') if text[at..].starts_with("==") => return Some((at, Compare::Equal)),
            (None, '!') if text[at..].starts_with("!=") => return Some((at, Compare::NotEqual)),
            _ => {}
        }
    }
    None
}

/// One side, without the quotes around it. Without quotes it cannot be empty or hold an operator.
fn side(text: &str) -> Option<Template> {
    let text = text.trim();
    let quoted = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    let bare = !text.is_empty() && !text.contains(['\'', '"', '=']);
    match quoted {
        Some(inner) => inner.parse().ok(),
        None => bare.then(|| text.parse().ok()).flatten(),
    }
}
