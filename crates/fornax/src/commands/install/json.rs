//! Entries in settings that are JSON, with or without comments. All that is not ours stays as it is, to
//! the byte.

use std::path::Path;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::cst::{CstArray, CstInputValue, CstObject, CstRootNode};
use jsonc_parser::{CollectOptions, ParseOptions};
use serde_json::Value;

use super::edits::Edit;
use super::refusal;
use crate::failure::Failure;

/// Something that is to stand in a file.
pub struct Entry {
    /// The keys that lead to what it stands in.
    pub path: Vec<&'static str>,
    /// What it is called there; none where it is an element of a list.
    pub name: Option<&'static str>,
    /// The entry.
    pub value: Value,
}

/// Comments and commas at the end are what agents take in their settings; nothing else is.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_extended_string_escapes: false,
        allow_non_finite_numbers: false,
    }
}

/// Whether nothing is said in the text.
pub fn is_empty(text: &str) -> bool {
    let bare = text.trim();
    bare.is_empty()
        || bare
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|rest| rest.trim().is_empty())
}

/// Whether all entries stand in the text as they should.
pub fn has_all(file: &Path, text: &str, entries: &[Entry]) -> Result<bool, Failure> {
    let root = value_of(&parse(file, text)?);
    Ok(entries.iter().all(|entry| {
        let found = entry.path.iter().try_fold(&root, |at, key| at.get(key));
        match (found, entry.name) {
            (Some(found), Some(name)) => found.get(name) == Some(&entry.value),
            (Some(Value::Array(list)), None) => {
                let mut ours = list.iter().filter(|value| is_ours(value));
                ours.next() == Some(&entry.value) && ours.next().is_none()
            }
            _ => false,
        }
    }))
}

/// The text with the entries, and what was changed for each.
pub fn add(file: &Path, text: &str, entries: &[Entry]) -> Result<(String, Vec<Edit>), Failure> {
    let root = parse(file, text)?;
    let mut edits = Vec::new();
    let mut now = text.to_owned();
    for entry in entries {
        let top = match root.value() {
            Some(_) => root.object_value(),
            None => Some(root.object_value_or_set()),
        };
        let top = top.ok_or_else(|| not(file, 1, "an object"))?;
        put(file, text, &top, entry)?;
        let mut after = root.to_string();
        if text.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        edits.push(Edit::between(&now, &after));
        now = after;
    }
    Ok((now, edits))
}

fn put(file: &Path, text: &str, top: &CstObject, entry: &Entry) -> Result<(), Failure> {
    let is_list = entry.name.is_none();
    let (outer, last) = match entry.path.split_last() {
        Some((last, outer)) if is_list => (outer, Some(*last)),
        _ => (entry.path.as_slice(), None),
    };
    let mut at = top.clone();
    for (depth, key) in outer.iter().enumerate() {
        let inner = at.object_value_or_create(key);
        at = inner.ok_or_else(|| not(file, line_of(text, &outer[..=depth]), "an object"))?;
    }
    if let Some(key) = last {
        let list = at.array_value_or_create(key);
        let list = list.ok_or_else(|| not(file, line_of(text, &entry.path), "a list"))?;
        list.ensure_multiline();
        list.append(input(&entry.value));
    }
    if let Some(name) = entry.name {
        if at.get(name).is_some() {
            let mut path = entry.path.clone();
            path.push(name);
            let what = format!("there is another `{name}` already");
            let help = "rename it, then install again";
            return Err(refusal(file, line_of(text, &path), &what, help));
        }
        at.append(name, input(&entry.value));
    }
    Ok(())
}

/// The text without what is ours, and without what is empty then.
pub fn remove(file: &Path, text: &str, entries: &[Entry]) -> Result<String, Failure> {
    let root = parse(file, text)?;
    for entry in entries {
        let Some(top) = root.object_value() else {
            continue;
        };
        match entry.name {
            Some(name) => remove_property(&top, &entry.path, name),
            None => remove_elements(&top, &entry.path),
        }
    }
    Ok(root.to_string())
}

fn remove_property(top: &CstObject, path: &[&str], name: &str) {
    let found = path
        .iter()
        .try_fold(top.clone(), |at, key| at.object_value(key));
    let Some(property) = found.and_then(|at| at.get(name)) else {
        return;
    };
    if property
        .value()
        .and_then(|value| value.to_serde_value())
        .is_some_and(|value| is_ours(&value))
    {
        property.remove();
        prune(top, path);
    }
}

fn remove_elements(top: &CstObject, path: &[&str]) {
    let Some((last, outer)) = path.split_last() else {
        return;
    };
    let found = outer
        .iter()
        .try_fold(top.clone(), |at, key| at.object_value(key));
    let Some(list): Option<CstArray> = found.and_then(|at| at.array_value(last)) else {
        return;
    };
    let is_mine = |value: Option<Value>| value.is_some_and(|value| is_ours(&value));
    let ours: Vec<_> = list
        .elements()
        .into_iter()
        .filter(|element| is_mine(element.to_serde_value()))
        .collect();
    if ours.is_empty() {
        return;
    }
    for element in ours {
        element.remove();
    }
    prune(top, path);
}

/// Removes what is empty along a path, from its end.
fn prune(top: &CstObject, path: &[&str]) {
    for depth in (0..path.len()).rev() {
        let found = path[..depth]
            .iter()
            .try_fold(top.clone(), |at, key| at.object_value(key));
        let Some(property) = found.and_then(|at| at.get(path[depth])) else {
            return;
        };
        let value = property.value().and_then(|value| value.to_serde_value());
        let is_empty = match value {
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(fields)) => fields.is_empty(),
            _ => false,
        };
        if !is_empty {
            return;
        }
        property.remove();
    }
}

/// Whether this runs Fornax for an agent: an MCP server, or hooks and no others.
fn is_ours(value: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(hooks) = value["hooks"].as_array() {
        let is_hook = |hook: &Value| {
            let command = text(&hook["command"]);
            let program = command
                .rsplit_once(" hook ")
                .map(|(program, _)| program.trim_matches(['\'', '"']).to_owned());
            program.is_some_and(|program| is_fornax(&program))
        };
        return !hooks.is_empty() && hooks.iter().all(is_hook);
    }
    is_fornax(&text(&value["command"])) && value["args"][0] == "mcp"
}

/// Whether a program is Fornax, wherever it is.
pub fn is_fornax(program: &str) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name == "fornax")
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(fields) => CstInputValue::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), input(value)))
                .collect(),
        ),
    }
}

fn parse(file: &Path, text: &str) -> Result<CstRootNode, Failure> {
    if text.starts_with('\u{feff}') {
        let what = "this file begins with a byte order mark";
        return Err(refusal(file, 1, what, "save it as UTF-8 without one"));
    }
    CstRootNode::parse(text, &options()).map_err(|error| {
        let what = format!("this is no JSON: {}", error.kind());
        let line = error.line_display();
        refusal(file, line, &what, "put it right, then do it again")
    })
}

fn value_of(root: &CstRootNode) -> Value {
    root.to_serde_value().unwrap_or_default()
}

fn not(file: &Path, line: usize, what: &str) -> Failure {
    let help = "make it one, or add the entry yourself as `fornax install --dry-run` shows it in an empty folder";
    refusal(file, line, &format!("here should be {what}"), help)
}

/// The line on which what a path leads to begins.
fn line_of(text: &str, path: &[&str]) -> usize {
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options());
    let Ok(Some(ast::Value::Object(mut at))) = parsed.map(|parsed| parsed.value) else {
        return 1;
    };
    let mut start = 0;
    for key in path {
        let Some(property) = at.take(key) else {
            break;
        };
        start = property.start();
        match property.value {
            ast::Value::Object(inner) => at = inner,
            _ => break,
        }
    }
    1 + text[..start].matches('\n').count()
}
