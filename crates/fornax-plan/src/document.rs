//! YAML, and JSON with it, as a tree in which everything knows its place.
//!
//! The parser below gives events. Building the tree here rather than with serde keeps a place for
//! every key and value, finds several mistakes at once, and shares what an alias stands for
//! instead of copying it: a billion laughs are a dozen nodes, and a count that says no.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};

use super::diagnostic::{At, Problem, Report, Span, show};

/// The longest file that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// How deep lists and mappings nest.
const MAX_DEPTH: usize = 64;
/// How many values a file holds, an alias counted as all that it stands for.
const MAX_NODES: usize = 1_000_000;
/// How much text a file holds, counted in the same way, in bytes.
const MAX_TEXT: usize = 4 * MAX_BYTES;

/// A value of a file.
#[derive(Debug)]
pub(crate) struct Node {
    /// A scalar's whole text; of a list or mapping only its first character.
    pub at: Span,
    pub value: Value,
    weight: Weight,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    /// `plain` is a scalar without quotes: it may be a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

pub(crate) type Entry = (At<String>, Rc<Node>);

/// How large a value is with its aliases written out.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    text: usize,
}

impl Weight {
    fn add(&mut self, other: Weight) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.text = self.text.saturating_add(other.text);
    }
}

/// A list or mapping whose end has not been met.
struct Open {
    at: Span,
    anchor: usize,
    weight: Weight,
    items: Items,
}

enum Items {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        key: Option<At<String>>,
    },
}

/// The one document that a file holds. What is wrong with it goes to the report.
pub(crate) fn parse(file: u32, report: &mut Report) -> Option<Rc<Node>> {
    let source = report.file(file);
    let start = Span {
        file,
        line: 1,
        column: 1,
        ..Span::default()
    };
    let problem = if source.text.len() > MAX_BYTES {
        let size = source.text.len();
        Problem::at(
            start,
            format!("the file is too large: {size} bytes, {MAX_BYTES} are allowed"),
        )
    } else {
        let builder = Builder {
            file,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            report,
        };
        match builder.build(&source.text) {
            Ok(Some(root)) => return Some(root),
            Ok(None) => Problem::at(start, "the file is empty"),
            Err(problem) => *problem,
        }
    };
    report.push(problem);
    None
}

struct Builder<'r> {
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    report: &'r mut Report,
}

type Step<T> = Result<T, Box<Problem>>;

impl Builder<'_> {
    fn build(mut self, text: &str) -> Step<Option<Rc<Node>>> {
        let options = granit_parser::options! {
            emit_comments: false,
            // One more than is allowed, so that the builder meets the depth and names it.
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            if let Some(tag) = span.tag_span() {
                self.check_tag(&event, self.span(&tag))?;
            }
            let at = self.span(&span);
            self.take(event, at)?;
        }
        Ok(self.root)
    }

    fn take(&mut self, event: Event<'_>, at: Span) -> Step<()> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(Box::new(
                Problem::at(at, "the file holds more than one document")
                    .help("write each plan into a file of its own"),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !text_tag;
                let weight = Weight {
                    nodes: 1,
                    text: text.len(),
                };
                let null = matches!(&*text, "~" | "null" | "Null" | "NULL" | "");
                let value = if plain && null {
                    Value::Null
                } else {
                    let text = text.into_owned();
                    Value::Scalar { text, plain }
                };
                self.close(Node { at, value, weight }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.enter(at, anchor, Items::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                let (entries, key) = (Vec::new(), None);
                self.enter(at, anchor, Items::Map { entries, key })
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.place(node, at),
                None => Err(Box::new(Problem::at(
                    at,
                    "the alias stands for the value that it is part of",
                ))),
            },
            _ => Ok(()),
        }
    }

    fn check_tag(&self, event: &Event<'_>, at: Span) -> Step<()> {
        let (Event::Scalar(.., tag) | Event::SequenceStart(.., tag) | Event::MappingStart(.., tag)) =
            event
        else {
            return Ok(());
        };
        if tag.as_ref().is_none_or(|tag| tag.is_yaml_core_schema()) {
            return Ok(());
        }
        Err(Box::new(
            Problem::at(at, "tags such as `!name` mean nothing here").help("leave the tag out"),
        ))
    }

    fn enter(&mut self, at: Span, anchor: usize, items: Items) -> Step<()> {
        let at = Span { len: 1, ..at };
        if self.open.len() == MAX_DEPTH {
            return Err(Box::new(too_deep(at)));
        }
        let weight = Weight { nodes: 1, text: 0 };
        self.open.push(Open {
            at,
            anchor,
            weight,
            items,
        });
        Ok(())
    }

    fn leave(&mut self) -> Step<()> {
        let Some(Open {
            at,
            anchor,
            weight,
            items,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(self.settle(entries)?),
        };
        self.close(Node { at, value, weight }, anchor)
    }

    fn close(&mut self, node: Node, anchor: usize) -> Step<()> {
        let at = node.at;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, at)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Rc<Node>, at: Span) -> Step<()> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.weight.add(node.weight);
        if parent.weight.nodes > MAX_NODES || parent.weight.text > MAX_TEXT {
            return Err(Box::new(Problem::at(
                at,
                format!(
                    "the file holds too much: {MAX_NODES} values and {MAX_TEXT} bytes of text are \
                     allowed, an alias counted as all that it stands for"
                ),
            )));
        }
        match &mut parent.items {
            Items::List(items) => items.push(node),
            Items::Map { entries, key } => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(At::new(at, key_text(&node, at)?)),
            },
        }
        Ok(())
    }

    /// Reports keys that stand twice and fills in what `<<` merges.
    fn settle(&mut self, entries: Vec<Entry>) -> Step<Vec<Entry>> {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut settled = Vec::with_capacity(entries.len());
        let mut merged = Vec::new();
        for (key, node) in entries {
            if key.value == "<<" {
                merged.push(node);
                continue;
            }
            match seen.insert(key.value.clone(), key.at) {
                None => settled.push((key, node)),
                Some(first) => {
                    self.report.push(
                        Problem::at(key.at, format!("the key {} stands twice", show(&key.value)))
                            .related(first, "it stands here first"),
                    );
                    seen.insert(key.value, first);
                }
            }
        }
        for node in merged {
            let sources = match &node.value {
                Value::List(nodes) => nodes.clone(),
                _ => vec![node],
            };
            for source in sources {
                let Value::Map(entries) = &source.value else {
                    return Err(Box::new(Problem::at(
                        source.at,
                        "`<<` merges mappings only",
                    )));
                };
                for (key, node) in entries {
                    if !seen.contains_key(&key.value) {
                        seen.insert(key.value.clone(), key.at);
                        settled.push((key.clone(), Rc::clone(node)));
                    }
                }
            }
        }
        Ok(settled)
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or_default();
        Span {
            file: self.file,
            line: span.start.line() as u32,
            column: span.start.col() as u32 + 1,
            offset: range.start as u32,
            len: range.len() as u32,
        }
    }

    fn syntax(&self, error: &ScanError) -> Box<Problem> {
        let mark = error.marker();
        let at = Span {
            file: self.file,
            line: mark.line() as u32,
            column: mark.col() as u32 + 1,
            offset: mark.byte_offset().unwrap_or_default() as u32,
            len: 1,
        };
        Box::new(match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(at),
            ErrorKind::UnknownAnchor => Problem::at(at, "the alias stands for nothing"),
            ErrorKind::MappingValueNotAllowed => Problem::at(at, error.kind().to_string())
                .help("a text with `: ` in it must be quoted, or written as a block after `|`"),
            ErrorKind::ExpectedBlockMappingKey => Problem::at(at, error.kind().to_string())
                .help("a text that starts with `{`, `[`, `*`, `&` or a quote must be quoted whole"),
            kind => Problem::at(at, kind.to_string()),
        })
    }
}

fn too_deep(at: Span) -> Problem {
    Problem::at(
        at,
        format!("lists and mappings nest more than {MAX_DEPTH} deep"),
    )
}

fn key_text(node: &Node, at: Span) -> Step<String> {
    match &node.value {
        Value::Scalar { text, .. } => Ok(text.clone()),
        Value::Null => Err(Box::new(Problem::at(at, "a key is missing"))),
        Value::List(_) | Value::Map(_) => Err(Box::new(
            Problem::at(at, "a key must be a text")
                .help("a value that starts with `{` or `[` must be quoted"),
        )),
    }
}
