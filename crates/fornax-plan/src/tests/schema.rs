//! The schemas and the reference against the reader.

use serde_json::{Map, Value as Json};

use super::super::config::{self, Config};
use super::super::diagnostic::Report;
use super::super::document::{self, Node, Value};
use super::super::schema;
use super::*;

const REFERENCE: &str = include_str!("../../../../docs/plans.md");

/// The examples of the reference.
fn examples() -> Vec<&'static str> {
    let blocks = REFERENCE.split("```yaml\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, plain: true } => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()))
        }
        Value::Scalar { text, .. } => Json::String(text.clone()),
        Value::List(items) => items.iter().map(|item| json(item)).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.value.clone(), json(value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn parse(text: &str) -> Json {
    let mut report = Report::default();
    let source = Source {
        name: "example".to_owned(),
        text: text.to_owned(),
    };
    let file = report.add_file(source);
    json(&document::parse(file, &mut report).unwrap())
}

/// The part of JSON Schema that ours use.
fn fits(value: &Json, schema: &Json, root: &Json) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if *schema == Json::Bool(false) {
            Err(format!("{value} is not allowed"))
        } else {
            Ok(())
        };
    };
    for (word, rule) in schema {
        let ok = match word.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                fits(value, root.pointer(pointer).unwrap(), root)?;
                true
            }
            "type" => {
                let is = |name: &Json| match name.as_str().unwrap() {
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    other => panic!("unknown type {other}"),
                };
                rule.as_array()
                    .map_or_else(|| is(rule), |names| names.iter().any(is))
            }
            "anyOf" | "oneOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|rule| fits(value, rule, root).is_ok()),
            "allOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|rule| fits(value, rule, root).is_ok()),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .all(|item| fits(item, rule, root).is_ok()),
            "required" => {
                let names = rule.as_array().unwrap().iter();
                names
                    .map(|name| name.as_str().unwrap())
                    .all(|name| value.as_object().is_none_or(|map| map.contains_key(name)))
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value
                .as_i64()
                .is_none_or(|number| number <= rule.as_i64().unwrap()),
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        fits(value, rule, root)?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Json::as_object);
                let others = value.as_object().into_iter().flatten();
                let others = others.filter(|(key, _)| {
                    !key.starts_with("x-") && known.is_none_or(|known| !known.contains_key(*key))
                });
                for (key, value) in others {
                    fits(value, rule, root).map_err(|error| format!("{key}: {error}"))?;
                }
                true
            }
            "$schema" | "title" | "description" | "definitions" | "patternProperties"
            | "pattern" | "examples" => true,
            other => panic!("the check does not know `{other}`"),
        };
        if !ok {
            return Err(format!("{value} does not fit `{word}`: {rule}"));
        }
    }
    Ok(())
}

#[test]
fn the_reference_is_right() {
    let examples = examples();
    assert_eq!(examples.len(), 8);
    for text in &examples {
        if text.starts_with("tools:") {
            let schema = config::schema();
            fits(&parse(text), &schema, &schema).unwrap();
            let source = Source {
                name: "fornax.yaml".to_owned(),
                text: (*text).to_owned(),
            };
            Config::load(Some(source)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
            continue;
        }
        let schema = schema();
        fits(&parse(text), &schema, &schema).unwrap();
        let build =
            "name: b\ninputs: {target: }\nframes:\n- {id: a, run: 'echo {inputs.target}'}\n";
        let files = [("plan.yaml", *text), ("build.yaml", build)];
        let plan = load_files("", &files);
        plan.unwrap_or_else(|errors| panic!("{}", render(&errors)));
    }
}

/// Every key is named in the reference.
#[test]
fn the_reference_is_whole() {
    let schemas = [schema(), config::schema()];
    let definitions = schemas
        .iter()
        .flat_map(|schema| schema["definitions"].as_object().unwrap());
    let objects = definitions.map(|(_, schema)| schema).chain(&schemas);
    for schema in objects {
        for key in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            let at = |(at, _): (usize, &str)| {
                let around = (
                    REFERENCE[..at].chars().last(),
                    REFERENCE[at + key.len()..].chars().next(),
                );
                !matches!(around.0, Some(c) if c.is_alphanumeric() || c == '_')
                    && matches!(around.1, Some('`' | ',' | '}' | '.' | ':'))
            };
            assert!(
                REFERENCE.match_indices(key.as_str()).any(at),
                "`{key}` is not in the reference"
            );
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = schema();
    for wrong in [
        "name: p",
        "name: p\nframes: {}",
        "name: p\nframes: [{id: a, rum: ls}]",
        "name: p\nframes: [{run: ls}]",
        "name: p\nframes: [{id: a, run: ls, retries: 1000}]",
        "name: p\nframes: [{id: a, run: ls, retry_on: [weather]}]",
        "name: p\nframes: [{id: a, frames: [{id: b, timeout: [5s]}]}]",
        "name: p\non_failure: ignore\nframes: [{id: a, run: ls}]",
    ] {
        assert!(load_text(wrong).is_err(), "{wrong}");
        assert!(fits(&parse(wrong), &schema, &schema).is_err(), "{wrong}");
    }
}
