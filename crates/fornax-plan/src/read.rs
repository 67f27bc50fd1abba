//! From the tree of a file to typed values.
//!
//! [`keys!`] declares a mapping once; from that one declaration come the struct, its reader with
//! its messages, and the JSON Schema for editors, so that they cannot disagree.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use super::diagnostic::{At, Problem, Report, show};
use super::document::{Node, Value};
use super::duration;

/// A value that can stand in a file.
pub(crate) trait Read: Sized + JsonSchema {
    /// The value; none where something was wrong and has been reported.
    fn read(node: &Node, report: &mut Report) -> Option<Self>;
}

/// The value with its place.
pub(crate) fn read_at<T: Read>(node: &Node, report: &mut Report) -> Option<At<T>> {
    T::read(node, report).map(|value| At::new(node.at, value))
}

/// Reports that something else was expected.
pub(crate) fn expected<T>(what: &str, node: &Node, report: &mut Report) -> Option<T> {
    let problem = Problem::at(node.at, format!("expected {what}, found {}", found(node)));
    report.push(match &node.value {
        Value::Map(entries) if entries.len() == 1 && is_null(&entries[0].1) => {
            problem.help("a text that starts with `{` must be quoted")
        }
        _ => problem,
    });
    None
}

fn is_null(node: &Node) -> bool {
    matches!(node.value, Value::Null)
}

fn found(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar { text, .. } => show(text),
    }
}

/// Any scalar as it stands in the file: `1.10` stays `1.10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub String);

impl Read for Text {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::Scalar { text, .. } = &node.value else {
            return expected("a text", node, report);
        };
        if text.contains('\0') {
            // Neither an argument nor a variable of the environment nor a path can hold one.
            report.push(Problem::at(node.at, "a text cannot hold a NUL character"));
            return None;
        }
        Some(Text(text.clone()))
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub bool);

impl Read for Flag {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(Flag(true)),
            Value::Scalar { text, plain: true } if text == "false" => Some(Flag(false)),
            _ => expected("`true` or `false`", node, report),
        }
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Read for Count<MIN, MAX> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        if let Value::Scalar { text, plain: true } = &node.value
            && let Ok(number) = text.parse::<i64>()
            && (MIN..=MAX).contains(&number)
        {
            return Some(Count(number));
        }
        expected(&format!("a whole number from {MIN} to {MAX}"), node, report)
    }
}

/// A time that may be zero, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delay(pub u64);

/// A time longer than zero, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub u64);

impl Read for Delay {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::Scalar { text, .. } = &node.value else {
            return expected("a duration such as `30s`", node, report);
        };
        match duration::parse(text) {
            Ok(ms) => Some(Delay(ms)),
            Err(error) => {
                report.push(
                    Problem::at(node.at, format!("bad duration {}: {error}", show(text)))
                        .help(duration::HELP),
                );
                None
            }
        }
    }
}

impl Read for Deadline {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Delay(ms) = Delay::read(node, report)?;
        if ms == 0 {
            report.push(
                Problem::at(node.at, "the duration must be longer than zero")
                    .help("leave the key out for no limit"),
            );
            return None;
        }
        Some(Deadline(ms))
    }
}

/// One of the names that an enum gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice<T>(pub T);

impl<T: serde::de::DeserializeOwned + JsonSchema> Read for Choice<T> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let text = match &node.value {
            Value::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let names: StrDeserializer<'_, Names> = text.into_deserializer();
        match T::deserialize(names) {
            Ok(value) => Some(Choice(value)),
            Err(Names(names)) => {
                let all = names.iter().map(|name| format!("`{name}`"));
                let all = all.collect::<Vec<_>>().join(", ");
                let one_of = if names.len() > 1 { "one of " } else { "" };
                let message = format!("expected {one_of}{all}, found {}", found(node));
                report.push(Problem::at(node.at, message).suggest(text, names.iter().copied()));
                None
            }
        }
    }
}

/// The error of an enum that was given an unknown name: the names that it knows.
#[derive(Debug)]
struct Names(&'static [&'static str]);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected one of {}", self.0.join(", "))
    }
}

impl std::error::Error for Names {}

impl serde::de::Error for Names {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Names(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Names(expected)
    }
}

/// How long a list gets.
const MAX_ITEMS: usize = 100_000;

/// A list.
#[derive(Debug)]
pub(crate) struct List<T>(pub Vec<At<T>>);

impl<T: Read> Read for List<T> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::List(items) = &node.value else {
            return expected("a list", node, report);
        };
        if items.len() > MAX_ITEMS {
            let message = format!("a list holds at most {MAX_ITEMS} values");
            report.push(Problem::at(node.at, message));
            return None;
        }
        let items = items.iter().filter_map(|item| read_at(item, report));
        Some(List(items.collect()))
    }
}

/// A list, or one value that stands for a list of one.
#[derive(Debug)]
pub(crate) struct Many<T>(pub Vec<At<T>>);

impl<T: Read> Read for Many<T> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::List(_) => List::read(node, report).map(|List(items)| Many(items)),
            _ => Some(Many(vec![read_at(node, report)?])),
        }
    }
}

/// A mapping whose keys are the user's own names.
#[derive(Debug)]
pub(crate) struct Table<T>(pub Vec<(At<String>, At<T>)>);

impl<T: Read> Read for Table<T> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            return expected("a mapping", node, report);
        };
        let entries = entries
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), read_at(value, report)?)));
        Some(Table(entries.collect()))
    }
}

impl<T: Read> Read for Rc<T> {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        T::read(node, report).map(Rc::new)
    }
}

/// The `#[doc]` lines of a declaration as one text.
pub(crate) fn doc(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ").trim().to_owned()
}

/// Declares mappings with known keys: `name: Type`, further spellings in brackets, `= required`
/// where it must be there. Every field is an `Option<At<Type>>`.
macro_rules! keys {
    ($(
        $(#[doc = $doc:literal])*
        struct $name:ident {$(
            $(#[doc = $field_doc:literal])*
            $field:ident $([$($alias:literal),+])? : $ty:ty $(= $required:ident)?,
        )*}
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $($(#[doc = $field_doc])* pub $field: Option<$crate::diagnostic::At<$ty>>,)*
            /// Whether something in it could not be read, so that what seems to be missing may
            /// only be misspelt.
            #[allow(dead_code, reason = "not every mapping asks")]
            pub flawed: bool,
        }

        impl $name {
            const KEYS: &[&str] = &[$(stringify!($field),)*];
        }

        impl $crate::read::Read for $name {
            fn read(
                node: &$crate::document::Node,
                report: &mut $crate::diagnostic::Report,
            ) -> Option<Self> {
                let entries = $crate::read::entries(node, report)?;
                let mut read = $name::default();
                for (key, value) in entries {
                    match key.value.as_str() {
                        $(stringify!($field) $($(| $alias)+)? => {
                            $crate::read::check_once(&read.$field, key, report);
                            read.$field = $crate::read::read_at(value, report);
                            read.flawed |= read.$field.is_none();
                        })*
                        _ => {
                            read.flawed = true;
                            $crate::read::unknown_key(key, Self::KEYS, report);
                        }
                    }
                }
                $($crate::read::keys!(@required $($required)? entries, $field, node, report);)*
                Some(read)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_end_matches("Keys").into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema =
                    $crate::read::MapSchema::new($crate::read::doc(&[$($doc),*]));
                $({
                    let doc = $crate::read::doc(&[$($field_doc),*]);
                    let ty = generator.subschema_for::<$ty>();
                    $($(schema.key($alias, &doc, ty.clone());)+)?
                    schema.key(stringify!($field), &doc, ty);
                    $($crate::read::keys!(@require $required schema, $field);)?
                })*
                schema.finish()
            }
        }
    )*};
    (@required $entries:ident, $field:ident, $node:ident, $report:ident) => {};
    (@required required $entries:ident, $field:ident, $node:ident, $report:ident) => {
        $crate::read::require($entries, stringify!($field), $node, $report);
    };
    (@require required $schema:ident, $field:ident) => {
        $schema.require(stringify!($field));
    };
}
pub(crate) use keys;

pub(crate) fn entries<'n>(
    node: &'n Node,
    report: &mut Report,
) -> Option<&'n [super::document::Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => expected("a mapping", node, report),
    }
}

pub(crate) fn check_once<T>(before: &Option<At<T>>, key: &At<String>, report: &mut Report) {
    if let Some(before) = before {
        let message = format!("{} says again what another key said", show(&key.value));
        report.push(Problem::at(key.at, message).related(before.at, "it is said here first"));
    }
}

pub(crate) fn unknown_key(key: &At<String>, known: &[&str], report: &mut Report) {
    // As elsewhere, a key that starts with `x-` is the user's own: a place for anchors.
    let own = key.value.starts_with("x-") || key.value == "$schema";
    if own || report.count_untold() {
        return;
    }
    let problem = Problem::at(key.at, format!("unknown key {}", show(&key.value)))
        .help(format!("known keys are {}", known.join(", ")))
        .suggest(&key.value, known.iter().copied());
    report.push(problem);
}

pub(crate) fn require(
    entries: &[super::document::Entry],
    name: &str,
    node: &Node,
    report: &mut Report,
) {
    if !entries.iter().any(|(key, _)| key.value == name) {
        report.push(Problem::at(node.at, format!("the key `{name}` is missing")));
    }
}

/// The schema of a mapping with known keys, in the making.
pub(crate) struct MapSchema {
    description: String,
    properties: serde_json::Map<String, serde_json::Value>,
    required: Vec<&'static str>,
}

impl MapSchema {
    pub fn new(description: String) -> MapSchema {
        MapSchema {
            description,
            properties: serde_json::Map::new(),
            required: Vec::new(),
        }
    }

    pub fn key(&mut self, name: &str, doc: &str, mut schema: Schema) {
        schema.insert("description".to_owned(), doc.into());
        self.properties.insert(name.to_owned(), schema.into());
    }

    pub fn require(&mut self, name: &'static str) {
        self.required.push(name);
    }

    pub fn finish(self) -> Schema {
        json_schema!({
            "type": "object",
            "description": self.description,
            "properties": self.properties,
            "patternProperties": { r"^(x-.*|\$schema)$": true },
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

/// Schemas of the values above; none is worth a definition of its own.
macro_rules! inline_schema {
    ($([$($generic:tt)*] $ty:ty, |$generator:ident| $schema:expr;)+) => {$(
        impl<$($generic)*> JsonSchema for $ty {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($ty).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

inline_schema! {
    [] Text, |_generator| json_schema!({ "type": ["string", "number", "boolean"] });
    [] Flag, |_generator| json_schema!({ "type": "boolean" });
    [] Delay, |_generator| duration_schema();
    [] Deadline, |_generator| duration_schema();
    [const MIN: i64, const MAX: i64] Count<MIN, MAX>, |_generator| json_schema!({
        "type": "integer", "minimum": MIN, "maximum": MAX,
    });
    [T: JsonSchema] Choice<T>, |generator| T::json_schema(generator);
    [T: JsonSchema] List<T>, |generator| json_schema!({
        "type": "array", "items": generator.subschema_for::<T>(),
    });
    [T: JsonSchema] Many<T>, |generator| {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item.clone(), { "type": "array", "items": item }] })
    };
    [T: JsonSchema] Table<T>, |generator| json_schema!({
        "type": "object", "additionalProperties": generator.subschema_for::<T>(),
    });
}

fn duration_schema() -> Schema {
    json_schema!({ "type": "string", "pattern": duration::PATTERN, "examples": ["90s", "1h30m"] })
}

/// The whole schema of a file.
pub(crate) fn root_schema<T: JsonSchema>(title: &str) -> serde_json::Value {
    let mut schema = schemars::generate::SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}
