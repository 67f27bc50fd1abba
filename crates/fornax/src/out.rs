//! Writing to the terminal or to whatever is there instead.
//!
//! Everything is rendered with colours; the streams take them out where they are not wanted: no
//! terminal, `NO_COLOR`, `--color never`.

use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::Color;
use crate::failure::Failure;

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const RED: Style = AnsiColor::Red.on_default();
pub const GREEN: Style = AnsiColor::Green.on_default();
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
pub const BLUE: Style = AnsiColor::Blue.on_default();

/// The text in a style.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Settles for the whole process when colours are used.
pub fn use_color(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether what is printed is seen in colours.
pub fn has_color() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Whether a person sees what is printed.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person can be asked something.
pub fn can_ask() -> bool {
    is_terminal() && io::stdin().is_terminal()
}

/// Whether a person can be asked something on standard error, whatever becomes of the output.
pub fn can_ask_aside() -> bool {
    io::stderr().is_terminal() && io::stdin().is_terminal()
}

/// Asks a person a question that is answered with yes or no; everything but a yes is a no.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    anstream::eprint!("{question}");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// How many columns and lines there are; none where it is no terminal, so that nothing is cut.
pub fn size() -> Option<(usize, usize)> {
    let (columns, lines) = terminal_size::terminal_size_of(io::stdout())?;
    Some((usize::from(columns.0), usize::from(lines.0)))
}

/// How many columns there are.
pub fn columns() -> usize {
    size().map_or(usize::MAX, |(columns, _)| columns)
}

/// Prints lines to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// Prints a value as JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    text.push('\n');
    raw(text.as_bytes())
}

/// Writes bytes to standard output as they are.
pub fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Tells the person something that is not the command's answer. Nobody being there to read it is
/// no reason to fail.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
