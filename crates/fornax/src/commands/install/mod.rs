//! `fornax install` and `fornax uninstall`: an agent's own settings, so that it works with frames also
//! where a person starts it.
//!
//! All that is written is planned first, shown as a diff, and written after: a file that is not
//! understood leaves all of them as they are. What was written is remembered beside the daemon's state,
//! so that taking it out leaves the bytes that were there before.

mod agents;
mod edits;
mod files;
mod json;
mod record;
mod toml;

use std::path::{Path, PathBuf};

use fornax_core::error::{EXIT_DONE, Error, ErrorKind};
use fornax_daemon::home::Home;
use similar::TextDiff;

use self::agents::{Content, Wanted};
use self::edits::{Edit, digest, undo};
use self::files::Current;
use self::record::{Installed, Record};
use super::Context;
use crate::agents_cli::{InstallScope, InstalledAgent};
use crate::failure::{Failure, Outcome};
use crate::out::{self, BOLD, DIM, GREEN, RED, paint};
use crate::text::safe;

/// What is to become of one file.
struct Change {
    /// As the person knows it.
    shown: PathBuf,
    /// Where it really is.
    file: PathBuf,
    before: Current,
    /// None where the file goes.
    after: Option<String>,
    /// What is remembered of it from now on.
    record: Option<Record>,
    private: bool,
}

/// `fornax install`
pub fn install(context: &Context, args: &crate::agents_cli::Install) -> Outcome {
    carry_out(context, args, true)
}

/// `fornax uninstall`
pub fn uninstall(context: &Context, args: &crate::agents_cli::Install) -> Outcome {
    carry_out(context, args, false)
}

fn carry_out(context: &Context, args: &crate::agents_cli::Install, is_install: bool) -> Outcome {
    let home = Home::from_env()?;
    let mut installed = Installed::read(home.dir())?;
    let base = match args.scope {
        InstallScope::Project => context.project_dir()?.dir,
        InstallScope::User => agents::user_home()?,
    };
    let wanted = agents::wanted(args.agent, args.scope, &base)?;
    let mut changes = Vec::new();
    for wanted in &wanted {
        let change = match is_install {
            true => put_in(wanted, &installed),
            false => take_out(wanted, &installed),
        };
        changes.extend(change?);
    }
    let mut shown = String::new();
    for change in &changes {
        shown.push_str(&difference(change));
    }
    if !shown.is_empty() {
        out::print(&shown)?;
    }
    if changes.is_empty() {
        out::note(match is_install {
            true => "All of it is there already.",
            false => "Nothing of Fornax is there.",
        });
    } else if args.dry_run {
        out::note("Nothing was written: this is what would be.");
    } else {
        let mut emptied = Vec::new();
        for change in changes {
            if change.after.is_none() {
                emptied.extend(change.record.iter().flat_map(|record| record.dirs.clone()));
            }
            installed.forget(&change.file);
            if let Some(mut record) = write(&change)? {
                record.path = change.file.clone();
                installed.add(record);
            }
            // After each, so that what stands on the disk is what is remembered.
            installed.write(home.dir())?;
        }
        // Last: one folder may have held several files.
        files::remove_empty(&emptied);
    }
    if is_install {
        for line in agents::advice(args.agent, args.scope) {
            out::note(line);
        }
    }
    Ok(EXIT_DONE)
}

/// Writes a change; the record with what was made for it.
fn write(change: &Change) -> Result<Option<Record>, Failure> {
    let Some(after) = &change.after else {
        files::remove(&change.file, &change.before)?;
        return Ok(None);
    };
    let made = files::write(&change.file, &change.before, after, change.private)?;
    Ok(change.record.clone().map(|mut record| {
        if record.dirs.is_empty() {
            record.dirs = made;
        }
        record
    }))
}

/// What installing makes of a file; none where all is there.
fn put_in(wanted: &Wanted, installed: &Installed) -> Result<Option<Change>, Failure> {
    let file = files::within(&wanted.root, &wanted.path)?;
    let before = Current::read(&file)?;
    let known = installed.of(&file);
    let text = before.text();
    if is_there(wanted, text)? {
        return Ok(None);
    }
    // What an older version put in goes first, so that this file never holds two of them.
    let (base, was_exact) = without(wanted, text, known)?;
    let (after, edits) = with(wanted, &base)?;
    let existed = match known {
        Some(record) => record.existed,
        None => before.exists(),
    };
    let dirs = known.map(|record| record.dirs.clone()).unwrap_or_default();
    // Where the base is not what once was there, undoing gives the base: the nearest that is known.
    let record = Record {
        path: file.clone(),
        existed: existed || (!was_exact && !json::is_empty(&base)),
        digest: digest(&after),
        edits,
        dirs,
    };
    Ok(Some(Change {
        shown: wanted.path.clone(),
        file,
        before,
        after: Some(after),
        record: Some(record),
        private: wanted.private,
    }))
}

/// What uninstalling makes of a file; none where nothing of it is ours.
fn take_out(wanted: &Wanted, installed: &Installed) -> Result<Option<Change>, Failure> {
    let file = files::within(&wanted.root, &wanted.path)?;
    let before = Current::read(&file)?;
    if !before.exists() {
        return Ok(None);
    }
    let known = installed.of(&file);
    let text = before.text();
    let (after, _) = without(wanted, text, known)?;
    if after == text {
        return Ok(None);
    }
    let is_ours = match &wanted.content {
        Content::Whole(_) => true,
        _ => known.is_some_and(|record| !record.existed) && json::is_empty(&after),
    };
    Ok(Some(Change {
        shown: wanted.path.clone(),
        file,
        before,
        after: (!is_ours).then_some(after),
        record: known.filter(|_| is_ours).cloned(),
        private: wanted.private,
    }))
}

fn is_there(wanted: &Wanted, text: &str) -> Result<bool, Failure> {
    match &wanted.content {
        Content::Whole(whole) => Ok(text == *whole),
        Content::Json(entries) => json::has_all(&wanted.path, text, entries),
        Content::Toml(section) => toml::has(&wanted.path, text, section),
    }
}

fn with(wanted: &Wanted, base: &str) -> Result<(String, Vec<Edit>), Failure> {
    match &wanted.content {
        Content::Whole(whole) if base.is_empty() => Ok(((*whole).to_owned(), Vec::new())),
        Content::Whole(_) => Err(refusal(
            &wanted.path,
            1,
            "this file is not Fornax's",
            "move it away, then install again",
        )),
        Content::Json(entries) => json::add(&wanted.path, base, entries),
        Content::Toml(section) => toml::add(&wanted.path, base, section),
    }
}

/// The text without what is ours, and whether it is what was there before, to the byte.
fn without(wanted: &Wanted, text: &str, known: Option<&Record>) -> Result<(String, bool), Failure> {
    let untouched = known.filter(|record| record.digest == digest(text));
    match (&wanted.content, untouched) {
        (Content::Whole(_), Some(_)) => Ok((String::new(), true)),
        (Content::Whole(whole), None) if text == *whole || text.is_empty() => {
            Ok((String::new(), true))
        }
        (Content::Whole(_), None) => Err(refusal(
            &wanted.path,
            1,
            "this file is not as Fornax wrote it",
            "look at it and remove it yourself",
        )),
        (_, Some(record)) => match undo(text, &record.edits) {
            Some(before) => Ok((before, true)),
            None => removed(wanted, text),
        },
        (_, None) => removed(wanted, text),
    }
}

fn removed(wanted: &Wanted, text: &str) -> Result<(String, bool), Failure> {
    let removed = match &wanted.content {
        Content::Json(entries) => json::remove(&wanted.path, text, entries)?,
        Content::Toml(section) => toml::remove(&wanted.path, text, section)?,
        Content::Whole(_) => String::new(),
    };
    let is_exact = removed == text;
    Ok((removed, is_exact))
}

/// A file that is not changed, because what stands in it is not understood.
fn refusal(path: &Path, line: usize, what: &str, help: &str) -> Failure {
    let message = format!("{}:{line}: {what}", path.display());
    Failure::Error(Error::new(ErrorKind::Conflict, message).with_help(help))
}

/// What changes, as `diff -u` shows it.
fn difference(change: &Change) -> String {
    let before = change.before.text();
    let after = change.after.as_deref().unwrap_or_default();
    let name = change.shown.display().to_string();
    let is_gone = change.after.is_none();
    let old = if change.before.exists() {
        &name
    } else {
        "/dev/null"
    };
    let new = if is_gone { "/dev/null" } else { &name };
    let diff = TextDiff::from_lines(before, after);
    let mut shown = String::new();
    for line in diff.unified_diff().header(old, new).to_string().lines() {
        let line = safe(line);
        let style = match line.as_bytes().first() {
            Some(b'@') => DIM,
            _ if line.starts_with("---") || line.starts_with("+++") => BOLD,
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => {
                shown.push_str(&line);
                shown.push('\n');
                continue;
            }
        };
        shown.push_str(&paint(style, &line));
        shown.push('\n');
    }
    shown
}

/// The name of the agent's program.
pub fn name_of(agent: InstalledAgent) -> &'static str {
    match agent {
        InstalledAgent::Opencode => "opencode",
        InstalledAgent::Claude => "claude",
        InstalledAgent::Codex => "codex",
    }
}
