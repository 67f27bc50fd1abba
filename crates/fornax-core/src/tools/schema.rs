//! Schemas as small as they can be: they stand in every prompt of every agent.

use serde_json::Value;

/// The schema without what a model does not need.
pub(super) fn small(mut schema: Value) -> Value {
    strip(&mut schema, true);
    schema
}

fn strip(schema: &mut Value, top: bool) {
    let Value::Object(fields) = schema else {
        return;
    };
    for name in [
        "$schema", "title", "format", "default", "minimum", "maximum",
    ] {
        fields.remove(name);
    }
    // Unknown arguments are refused in any case; saying so for each tool costs tokens.
    if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
        fields.remove("additionalProperties");
    }
    // What is said of a whole is for those who read the code.
    if fields.contains_key("properties") || fields.contains_key("oneOf") || top {
        fields.remove("description");
    }
    if top {
        fields
            .entry("properties")
            .or_insert_with(|| serde_json::json!({}));
    }
    // What may be left out may be null as well; that need not be said twice.
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            fields["type"] = one.clone();
        }
    }
    if let Some(Value::Array(options)) = fields.get_mut("anyOf") {
        options.retain(|option| option["type"] != "null");
        if let [one] = options.as_slice()
            && let Value::Object(one) = one.clone()
        {
            fields.remove("anyOf");
            for (name, value) in one {
                fields.entry(name).or_insert(value);
            }
        }
    }
    one_of_words(fields);
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        for property in properties.values_mut() {
            strip(property, false);
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            strip(inner, false);
        }
    }
}

/// Words that each have a description of their own become a plain list of words.
fn one_of_words(fields: &mut serde_json::Map<String, Value>) {
    let Some(Value::Array(options)) = fields.get("oneOf") else {
        return;
    };
    let words: Vec<Value> = options
        .iter()
        .filter_map(|option| option.get("const").cloned())
        .collect();
    if words.len() == options.len() {
        fields.remove("oneOf");
        fields.insert("enum".to_owned(), Value::Array(words));
    }
}
