//! Variables in shell scripts.
//!
//! What fills a variable is data: it must never be parsed as code. So a script never holds it. Each
//! variable becomes a reference to a variable of the environment, `"${FORNAX_VAR_1}"`, written so
//! that it stays one word wherever it stands. Following the shell's quoting decides only how the
//! reference is written: were it judged wrongly, the data would still be no code.

use std::collections::BTreeMap;

use fornax_core::template::{Template, Variable};

/// The names of the variables of the environment start so.
pub(crate) const PREFIX: &str = "FORNAX_VAR_";

/// Programs that take a script after `-c`.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox"];

/// Where a command line hands a script to a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// This argument is one.
    Argument(usize),
    /// Standard input is one.
    Stdin,
}

/// Where in an argument vector a script stands, if a shell is called at all: directly or by
/// something like `env` or `timeout`.
pub(crate) fn script_of(cmd: &[Template]) -> Option<Script> {
    let words: Vec<Option<String>> = cmd.iter().map(literal).collect();
    let is_shell = |word: &Option<String>| {
        let name = word.as_deref().and_then(|word| word.rsplit('/').next());
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    let mut at = words.iter().position(is_shell)? + 1;
    if words.get(at).is_some_and(is_shell) {
        at += 1; // busybox sh
    }
    while let Some(Some(word)) = words.get(at) {
        let Some(flags) = word
            .strip_prefix(['-', '+'])
            .filter(|flags| !flags.is_empty())
        else {
            return None; // a script's file
        };
        at += 1;
        let long = flags.starts_with('-');
        if !long && flags.contains('c') {
            return (at < cmd.len()).then_some(Script::Argument(at));
        }
        if !long && flags.contains('s') {
            return Some(Script::Stdin);
        }
        if !long && flags.ends_with(['o', 'O']) {
            at += 1; // the option's name
        }
    }
    // Without operands a shell reads its script from standard input.
    (at >= cmd.len()).then_some(Script::Stdin)
}

/// The text of a template without variables.
fn literal(template: &Template) -> Option<String> {
    template.fill(|_| Err(())).ok()
}

/// A place in a script where a variable cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub variable: Variable,
    pub why: &'static str,
    pub help: &'static str,
}

/// The script with its variables replaced by references. What they refer to is added to `env`,
/// which holds nothing else.
pub(crate) fn guard(
    script: &Template,
    env: &mut BTreeMap<String, Template>,
) -> Result<Template, Refused> {
    let mut lexer = Lexer::new();
    let mut read = 0;
    let mut names: BTreeMap<Variable, String> = BTreeMap::new();
    let mut refused = None;
    let guarded = script.replace(|before, variable| {
        for c in before[read..].chars() {
            lexer.feed(c);
        }
        read = before.len();
        let name = names.entry(variable.clone()).or_insert_with(|| {
            let name = format!("{PREFIX}{}", env.len() + 1);
            env.insert(name.clone(), Template::variable(variable.clone()));
            name
        });
        match lexer.reference(name) {
            Ok(reference) => Template::literal(reference),
            Err((why, help)) => {
                let variable = variable.clone();
                refused.get_or_insert(Refused {
                    variable,
                    why,
                    help,
                });
                Template::default()
            }
        }
    });
    refused.map_or(Ok(guarded), Err)
}

/// What the shell is in the middle of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Context {
    /// Commands; the script itself, or up to the closing mark.
    Commands { close: Option<char>, parens: usize },
    /// `# ...`
    Comment,
    /// `"..."`
    Double,
    /// `'...'`
    Single,
    /// `$'...'`
    Escaped,
    /// `${...}`; inside of double quotes or not.
    Expansion { quoted: bool },
    /// `$((...))`
    Arithmetic { parens: usize },
    /// The word after `<<`.
    Delimiter {
        word: String,
        quote: Option<char>,
        quoted: bool,
        tabs: bool,
    },
    /// The lines after it.
    Here {
        word: String,
        quoted: bool,
        tabs: bool,
        line: String,
    },
}

/// Characters that mean something only together with what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    None,
    Backslash,
    Dollar,
    /// `$(`: a command, or arithmetic.
    DollarParen,
    Less,
    LessLess,
}

/// Follows the quoting of a POSIX shell, one character at a time.
struct Lexer {
    stack: Vec<Context>,
    pending: Pending,
    /// Whether a `#` here would start a comment.
    word_start: bool,
    /// Here documents whose lines start after the end of this line.
    here: Vec<(String, bool, bool)>,
}

const COMMANDS: Context = Context::Commands {
    close: None,
    parens: 0,
};

impl Lexer {
    fn new() -> Lexer {
        Lexer {
            stack: vec![COMMANDS],
            pending: Pending::None,
            word_start: true,
            here: Vec::new(),
        }
    }

    /// How a reference to the variable is written here, or why it cannot be.
    fn reference(&self, name: &str) -> Result<String, (&'static str, &'static str)> {
        if self.pending == Pending::Backslash {
            return Err(("after a backslash", "leave the backslash out"));
        }
        let bare = format!("\"${{{name}}}\"");
        let inside = format!("${{{name}}}");
        match self.stack.last().unwrap_or(&COMMANDS) {
            Context::Commands { .. } | Context::Expansion { quoted: false }
                if self.pending == Pending::LessLess =>
            {
                Err(HERE_WORD)
            }
            Context::Commands { .. } | Context::Expansion { quoted: false } => Ok(bare),
            Context::Double
            | Context::Comment
            | Context::Expansion { quoted: true }
            | Context::Here { quoted: false, .. } => Ok(inside),
            Context::Single => Ok(format!("'{bare}'")),
            Context::Escaped => Err(("inside of $'...'", "use double quotes")),
            Context::Arithmetic { .. } => Err((
                "inside of $((...)), where some shells run what a value holds",
                "check the value with `case` and use the checked shell variable",
            )),
            Context::Delimiter { .. } => Err(HERE_WORD),
            Context::Here { quoted: true, .. } => Err((
                "in a here document whose delimiter is quoted, where nothing is expanded",
                "leave the quotes of the delimiter out",
            )),
        }
    }

    fn feed(&mut self, c: char) {
        match std::mem::replace(&mut self.pending, Pending::None) {
            Pending::Backslash => {
                self.word_start = false;
                return;
            }
            Pending::Dollar if self.after_dollar(c) => return,
            Pending::DollarParen => {
                let close = Some(')');
                self.stack.push(match c {
                    '(' => Context::Arithmetic { parens: 0 },
                    _ => Context::Commands { close, parens: 0 },
                });
                self.word_start = true;
                if c == '(' {
                    return;
                }
            }
            Pending::Less if c == '<' => {
                self.pending = Pending::LessLess;
                return;
            }
            Pending::LessLess if c != '<' => {
                self.stack.push(Context::Delimiter {
                    word: String::new(),
                    quote: None,
                    quoted: false,
                    tabs: c == '-',
                });
                if c == '-' {
                    return;
                }
            }
            _ => {}
        }
        self.step(c);
    }

    /// Whether the character belongs to the `$` before it.
    fn after_dollar(&mut self, c: char) -> bool {
        let quoted = matches!(
            self.stack.last(),
            Some(Context::Double | Context::Here { .. } | Context::Expansion { quoted: true })
        );
        match c {
            '(' => self.pending = Pending::DollarParen,
            '{' => self.stack.push(Context::Expansion { quoted }),
            '\'' if !quoted => self.stack.push(Context::Escaped),
            // `$#` and `$$` are parameters.
            '#' | '$' => self.word_start = false,
            _ => return false,
        }
        true
    }

    fn step(&mut self, c: char) {
        let Some(top) = self.stack.last_mut() else {
            return;
        };
        match top {
            Context::Comment => {
                if c == '\n' {
                    self.stack.pop();
                    self.step(c);
                }
            }
            Context::Single => self.close_on(c, '\''),
            Context::Escaped => match c {
                '\\' => self.pending = Pending::Backslash,
                _ => self.close_on(c, '\''),
            },
            Context::Double => match c {
                '"' => self.close_on(c, '"'),
                _ => self.expand(c),
            },
            Context::Arithmetic { parens } => match c {
                '(' => *parens += 1,
                ')' if *parens == 0 => {
                    // The second of the two stays: it closes a subshell that is none.
                    self.stack.pop();
                    self.stack.push(Context::Commands {
                        close: Some(')'),
                        parens: 0,
                    });
                }
                ')' => *parens -= 1,
                _ => {}
            },
            Context::Expansion { quoted } => match (c, *quoted) {
                ('}', _) => self.close_on(c, '}'),
                ('\'', false) => self.stack.push(Context::Single),
                ('"', _) => self.stack.push(Context::Double),
                _ => self.expand(c),
            },
            Context::Commands { .. } => self.command(c),
            Context::Delimiter { .. } => self.delimiter(c),
            Context::Here { .. } => self.here_line(c),
        }
    }

    fn close_on(&mut self, c: char, close: char) {
        if c == close {
            self.stack.pop();
            self.word_start = false;
        }
    }

    /// What is expanded inside of double quotes too.
    fn expand(&mut self, c: char) {
        match c {
            '\\' => self.pending = Pending::Backslash,
            '$' => self.pending = Pending::Dollar,
            '`' => self.backtick(),
            _ => {}
        }
    }

    /// Backticks do not nest: a second one ends the first.
    fn backtick(&mut self) {
        let backtick = |context: &Context| {
            matches!(
                context,
                Context::Commands {
                    close: Some('`'),
                    ..
                }
            )
        };
        match self.stack.iter().rposition(backtick) {
            Some(open) => self.stack.truncate(open),
            None => self.stack.push(Context::Commands {
                close: Some('`'),
                parens: 0,
            }),
        }
        self.word_start = true;
    }

    fn command(&mut self, c: char) {
        let starts_word = self.word_start;
        self.word_start = c.is_whitespace() || matches!(c, ';' | '|' | '&' | '(' | ')');
        let Some(Context::Commands { close, parens }) = self.stack.last_mut() else {
            return;
        };
        match c {
            '\'' => self.stack.push(Context::Single),
            '"' => self.stack.push(Context::Double),
            '#' if starts_word => self.stack.push(Context::Comment),
            '<' => self.pending = Pending::Less,
            '(' => *parens += 1,
            ')' if *parens == 0 && *close == Some(')') => self.close_on(c, ')'),
            ')' => *parens = parens.saturating_sub(1),
            '\n' => self.next_here(),
            _ => self.expand(c),
        }
    }

    fn delimiter(&mut self, c: char) {
        let Some(Context::Delimiter {
            word,
            quote,
            quoted,
            tabs,
        }) = self.stack.last_mut()
        else {
            return;
        };
        match (c, *quote) {
            (c, Some(open)) if c == open => *quote = None,
            (_, Some(_)) => word.push(c),
            ('\'' | '"', None) => {
                *quote = Some(c);
                *quoted = true;
            }
            ('\\', None) => *quoted = true,
            (' ' | '\t', None) if word.is_empty() && !*quoted => {}
            (' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')', None) => {
                let here = (std::mem::take(word), *quoted, *tabs);
                self.here.push(here);
                self.stack.pop();
                self.step(c);
            }
            (_, None) => word.push(c),
        }
    }

    /// Goes into the lines of the next here document that was announced.
    fn next_here(&mut self) {
        if !self.here.is_empty() {
            let (word, quoted, tabs) = self.here.remove(0);
            let line = String::new();
            self.stack.push(Context::Here {
                word,
                quoted,
                tabs,
                line,
            });
        }
    }

    fn here_line(&mut self, c: char) {
        let Some(Context::Here {
            word,
            quoted,
            tabs,
            line,
        }) = self.stack.last_mut()
        else {
            return;
        };
        if c != '\n' {
            line.push(c);
            if !*quoted {
                self.expand(c);
            }
            return;
        }
        let found = if *tabs {
            line.trim_start_matches('\t')
        } else {
            line.as_str()
        };
        if found == word {
            self.stack.pop();
            self.word_start = true;
            self.next_here();
        } else {
            line.clear();
        }
    }
}

const HERE_WORD: (&str, &str) = (
    "as the delimiter of a here document",
    "write the delimiter out",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn script(cmd: &str) -> Option<Script> {
        let cmd: Vec<Template> = cmd.split(' ').map(|word| word.parse().unwrap()).collect();
        script_of(&cmd)
    }

    #[test]
    fn scripts_are_found_in_command_lines() {
        for (cmd, found) in [
            ("sh -c {prompt}", Some(Script::Argument(2))),
            ("/bin/bash -c {prompt} name arg", Some(Script::Argument(2))),
            ("bash -euo pipefail -c {prompt}", Some(Script::Argument(4))),
            ("bash -o pipefail -euc {prompt}", Some(Script::Argument(4))),
            ("bash --norc -c {prompt}", Some(Script::Argument(3))),
            (
                "env A=b timeout 5 dash -c {prompt}",
                Some(Script::Argument(6)),
            ),
            ("busybox sh -c {prompt}", Some(Script::Argument(3))),
            ("bash -s", Some(Script::Stdin)),
            ("bash -s -- {prompt}", Some(Script::Stdin)),
            ("sh", Some(Script::Stdin)),
            ("zsh -f", Some(Script::Stdin)),
            ("sh script.sh {prompt}", None),
            ("sh -e script.sh {prompt}", None),
            ("opencode run -- {prompt}", None),
            ("my-sh -c {prompt}", None),
        ] {
            assert_eq!(script(cmd), found, "{cmd}");
        }
    }

    #[test]
    fn a_variable_has_one_name_in_a_script() {
        let script: Template = "{goal} '{goal}' {prompt} \"{goal}\"".parse().unwrap();
        let mut env = BTreeMap::new();
        let guarded = guard(&script, &mut env).unwrap();
        assert_eq!(
            guarded.fill(|_| Err(())).unwrap(),
            r#""${FORNAX_VAR_1}" ''"${FORNAX_VAR_1}"'' "${FORNAX_VAR_2}" "${FORNAX_VAR_1}""#
        );
        assert_eq!(env.len(), 2);
        assert_eq!(env["FORNAX_VAR_2"].to_string(), "{prompt}");
    }
}
