//! What is wrong with a file, and where.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Source;

/// How many diagnostics are kept; of the others only the number is told.
const MAX_DIAGNOSTICS: usize = 50;
/// How many places beside the first a diagnostic carries.
const MAX_RELATED: usize = 50;
/// How much of a long line a snippet shows, in characters.
const SNIPPET_WIDTH: usize = 120;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing starts before this is mended.
    Error,
    /// It works, but perhaps not as it was meant.
    Warning,
}

/// One finding about a plan or the project's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What is the matter, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; absent where no file is to blame.
    pub place: Option<Place>,
    /// Further places that play a part.
    pub related: Vec<Related>,
}

/// A further place that plays a part in a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// Which part it plays.
    pub message: String,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as its [`Source`] gives it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// Where it starts, in bytes from the start of the file.
    pub offset: usize,
    /// How long it is, in bytes.
    pub len: usize,
    /// Its first line, or the part of a long line around it, without control characters.
    pub snippet: String,
    /// Where in the snippet it starts, in characters from 0.
    pub snippet_start: usize,
    /// How many characters of the snippet it covers; at least one.
    pub snippet_len: usize,
}

impl Place {
    /// The same with stars for what it covers.
    fn masked(mut self) -> Place {
        let covered = self.snippet_start..self.snippet_start + self.snippet_len;
        let letters = self.snippet.chars().enumerate();
        let letters = letters.map(|(at, c)| if covered.contains(&at) { '*' } else { c });
        self.snippet = letters.collect();
        self
    }
}

impl Diagnostic {
    /// The diagnostic as plain text: `file:line:column: error: message`, the line with carets
    /// below, notes and help. It ends with a line break.
    #[must_use]
    pub fn render(&self) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = String::new();
        render_part(&mut text, self.place.as_ref(), word, &self.message);
        for related in &self.related {
            render_part(&mut text, Some(&related.place), "note", &related.message);
        }
        if let Some(help) = &self.help {
            text.push_str("help: ");
            text.push_str(&visible(help));
            text.push('\n');
        }
        text
    }
}

fn render_part(text: &mut String, place: Option<&Place>, word: &str, message: &str) {
    if let Some(place) = place {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}:{}:{}: ",
            visible(&place.file),
            place.line,
            place.column
        );
    }
    let _ = writeln!(text, "{word}: {}", visible(message));
    let Some(place) = place else { return };
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let pad = " ".repeat(place.snippet_start);
    let carets = "^".repeat(place.snippet_len);
    let _ = writeln!(text, "{number} | {}", place.snippet);
    let _ = writeln!(text, "{margin} | {pad}{carets}");
}

/// The text with what could move a terminal's cursor or reorder the line taken out.
fn visible(text: &str) -> String {
    let safe = |c: char| match c {
        '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

/// Text of a file for a message: in backticks, cut where it is long.
pub(crate) fn show(text: &str) -> String {
    const MAX: usize = 60;
    let mut shown: String = text.chars().take(MAX).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// A piece of one of the files of a [`Report`]; made into a [`Place`] only when it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Span {
    pub file: u32,
    pub line: u32,
    pub column: u32,
    pub offset: u32,
    pub len: u32,
}

/// A value with the place from which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub at: Span,
    pub value: T,
}

impl<T> At<T> {
    pub fn new(at: Span, value: T) -> At<T> {
        At { at, value }
    }
}

/// A diagnostic in the making.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    at: Option<Span>,
    severity: Severity,
    message: String,
    help: Option<String>,
    related: Vec<(Span, String)>,
    masked: bool,
}

impl Problem {
    pub fn at(at: Span, message: impl Into<String>) -> Problem {
        Problem {
            at: Some(at),
            severity: Severity::Error,
            message: message.into(),
            help: None,
            related: Vec::new(),
            masked: false,
        }
    }

    pub fn nowhere(message: impl Into<String>) -> Problem {
        Problem {
            at: None,
            ..Problem::at(Span::default(), message)
        }
    }

    pub fn warning(mut self) -> Problem {
        self.severity = Severity::Warning;
        self
    }

    /// The place holds a secret: it is not to be shown.
    pub fn masked(mut self) -> Problem {
        self.masked = true;
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean ...?` where a known name is near.
    pub fn suggest<'a>(mut self, name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
        if let Some(near) = super::nearest::nearest(name, known) {
            self.help = Some(format!("did you mean `{near}`?"));
        }
        self
    }

    pub fn related(mut self, at: Span, message: impl Into<String>) -> Problem {
        if self.related.len() < MAX_RELATED {
            self.related.push((at, message.into()));
        }
        self
    }
}

/// The files that are read and what was found in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    files: Vec<Arc<Source>>,
    diagnostics: Vec<Diagnostic>,
    /// The same mistake in a file that is used twice is one mistake.
    told: HashSet<(Option<Span>, String)>,
    untold: usize,
    errors: usize,
}

impl Report {
    /// A report that shares the files of another, so that places in them can be told here.
    pub fn with_files_of(other: &Report) -> Report {
        Report {
            files: other.files.clone(),
            ..Report::default()
        }
    }

    pub fn add_file(&mut self, mut source: Source) -> u32 {
        // A byte order mark is no part of the first line.
        if source.text.starts_with('\u{feff}') {
            source.text.remove(0);
        }
        self.files.push(Arc::new(source));
        (self.files.len() - 1) as u32
    }

    pub fn file(&self, file: u32) -> Arc<Source> {
        Arc::clone(&self.files[file as usize])
    }

    pub fn push(&mut self, problem: Problem) {
        let full = self.diagnostics.len() >= MAX_DIAGNOSTICS;
        if !full && !self.told.insert((problem.at, problem.message.clone())) {
            return;
        }
        if problem.severity == Severity::Error {
            self.errors += 1;
        }
        if full {
            self.untold += 1;
            return;
        }
        let related = problem.related.into_iter().map(|(at, message)| Related {
            place: self.place(at),
            message,
        });
        self.diagnostics.push(Diagnostic {
            severity: problem.severity,
            related: related.collect(),
            place: problem.at.map(|at| match problem.masked {
                true => self.place(at).masked(),
                false => self.place(at),
            }),
            message: problem.message,
            help: problem.help,
        });
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether as much was found as will be told: then there is no need to look for more.
    pub fn is_full(&self) -> bool {
        self.untold > 0
    }

    /// Counts an error that will not be told, if it would not be: then it need not be worded.
    pub fn count_untold(&mut self) -> bool {
        let full = self.is_full();
        if full {
            self.errors += 1;
            self.untold += 1;
        }
        full
    }

    /// Everything that was found, in the order of the files and lines.
    pub fn finish(self) -> Vec<Diagnostic> {
        let mut all = self.diagnostics;
        all.sort_by(|a, b| order(a).cmp(&order(b)));
        if self.untold > 0 {
            all.push(Diagnostic {
                severity: Severity::Error,
                message: format!("there are more problems ({} not shown)", self.untold),
                help: None,
                place: None,
                related: Vec::new(),
            });
        }
        all
    }

    /// The first place of `needle` inside of a scalar at `at`, not counting where a `$` stands
    /// before it; the whole scalar where it cannot be found because an escape hides it.
    pub fn find(&self, at: Span, needle: &str) -> Span {
        let source = &self.files[at.file as usize];
        let start = at.offset as usize;
        let Some(slice) = source.text.get(start..start + at.len as usize) else {
            return at;
        };
        let found = slice
            .match_indices(needle)
            .map(|(found, _)| found)
            .find(|&found| !slice[..found].ends_with('$'));
        let Some(found) = found else { return at };
        let before = &slice[..found];
        let (line, column) = match before.rfind('\n') {
            None => (at.line, at.column + before.chars().count() as u32),
            Some(end) => (
                at.line + before.matches('\n').count() as u32,
                before[end + 1..].chars().count() as u32 + 1,
            ),
        };
        Span {
            line,
            column,
            offset: at.offset + found as u32,
            len: needle.len() as u32,
            ..at
        }
    }

    fn place(&self, at: Span) -> Place {
        let source = &self.files[at.file as usize];
        let (start, len) = (at.offset as usize, at.len as usize);
        let text = &source.text;
        let start = floor(text, start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |end| start + end);
        let marked_end = floor(text, (start + len).min(line_end)).max(start);
        let before: Vec<char> = text[line_start..start].chars().collect();
        let marked = text[start..marked_end].trim_end().chars().count();
        // Of a long line only what is around the place.
        let skip = before.len().saturating_sub(SNIPPET_WIDTH / 2);
        let window = text[line_start..line_end].trim_end_matches('\r').chars();
        let snippet: String = window.skip(skip).take(SNIPPET_WIDTH).collect();
        let snippet_start = before.len() - skip;
        Place {
            file: source.name.clone(),
            line: at.line,
            column: at.column,
            offset: start,
            len: marked_end - start,
            snippet: visible(&snippet),
            snippet_start,
            snippet_len: marked.clamp(1, SNIPPET_WIDTH.saturating_sub(snippet_start).max(1)),
        }
    }
}

fn order(diagnostic: &Diagnostic) -> (bool, Option<(&str, usize)>) {
    let place = diagnostic.place.as_ref();
    (
        diagnostic.severity == Severity::Warning,
        place.map(|place| (place.file.as_str(), place.offset)),
    )
}

fn floor(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
