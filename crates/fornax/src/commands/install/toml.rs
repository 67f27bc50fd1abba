//! A table in settings that are TOML. All that is not ours stays as it is, to the byte.

use std::path::Path;

use toml_edit::{Document, DocumentMut, Item, TableLike};

use super::edits::Edit;
use super::json::is_fornax;
use super::refusal;
use crate::failure::Failure;

/// The table that MCP servers stand in, and what ours is called.
const TABLE: &str = "mcp_servers";
const NAME: &str = "fornax";

/// Whether the table stands in the text as it should.
pub fn has(file: &Path, text: &str, section: &str) -> Result<bool, Failure> {
    let fields = |text: &str| -> Result<Option<String>, Failure> {
        let document = parse(file, text)?;
        let found = document.get(TABLE).and_then(|servers| servers.get(NAME));
        Ok(found.and_then(Item::as_table_like).map(plain))
    };
    Ok(
        fields(text)?
            .is_some_and(|found| fields(section).is_ok_and(|wanted| wanted == Some(found))),
    )
}

/// A table's fields, whatever they look like.
fn plain(table: &dyn TableLike) -> String {
    let mut fields: Vec<String> = table
        .iter()
        .map(|(name, item)| format!("{name}={}", item.to_string().trim()))
        .collect();
    fields.sort_unstable();
    fields.join("\n")
}

/// The text with the table at its end, and what was changed for it.
pub fn add(file: &Path, text: &str, section: &str) -> Result<(String, Vec<Edit>), Failure> {
    let document = parse(file, text)?;
    let servers = document.get(TABLE);
    if let Some(other) = servers.and_then(|servers| servers.get(NAME)) {
        let what = format!("there is another `{TABLE}.{NAME}` already");
        return Err(refusal(
            file,
            line_of(text, other),
            &what,
            "rename it, then install again",
        ));
    }
    let after = appended(text, section);
    if after.parse::<DocumentMut>().is_err() {
        let line = servers.map_or(1, |servers| line_of(text, servers));
        let what = format!("`{TABLE}` is written so that no table can be added to it");
        let help = format!("write it as [{TABLE}.NAME] tables, then install again");
        return Err(refusal(file, line, &what, &help));
    }
    let edit = Edit::between(text, &after);
    Ok((after, vec![edit]))
}

fn appended(text: &str, section: &str) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut after = text.to_owned();
    if !text.is_empty() {
        if !text.ends_with('\n') {
            after.push_str(newline);
        }
        after.push_str(newline);
    }
    after.push_str(&section.replace('\n', newline));
    after
}

/// The text without the table.
pub fn remove(file: &Path, text: &str, section: &str) -> Result<String, Failure> {
    for newline in ["\n", "\r\n"] {
        let section = section.replace('\n', newline);
        for whole in [format!("{newline}{section}"), section] {
            if let Some(at) = text.find(&whole) {
                return Ok(format!("{}{}", &text[..at], &text[at + whole.len()..]));
            }
        }
    }
    let document = parse(file, text)?;
    let found = document.get(TABLE).and_then(|servers| servers.get(NAME));
    let is_ours = |item: &Item| {
        let command = item.get("command").and_then(Item::as_str);
        let first = item
            .get("args")
            .and_then(|args| args.as_array()?.get(0)?.as_str());
        command.is_some_and(is_fornax) && first == Some("mcp")
    };
    if !found.is_some_and(is_ours) {
        return Ok(text.to_owned());
    }
    let mut document = document.into_mut();
    if let Some(servers) = document.get_mut(TABLE).and_then(Item::as_table_like_mut) {
        servers.remove(NAME);
        if servers.is_empty() {
            document.remove(TABLE);
        }
    }
    Ok(document.to_string())
}

fn parse<'a>(file: &Path, text: &'a str) -> Result<Document<&'a str>, Failure> {
    Document::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        let what = format!("this is no TOML: {}", error.message());
        refusal(file, line, &what, "put it right, then do it again")
    })
}

fn line_of(text: &str, item: &Item) -> usize {
    item.span().map_or(1, |span| line_at(text, span.start))
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
