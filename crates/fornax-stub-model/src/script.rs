//! Reading a script and saying what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::fill;
use crate::reply::{Defaults, Object, OneOrMany, Reply};

/// The name under which the reply for requests that no rule fits is recorded.
pub(crate) const FALLBACK: &str = "fallback";

/// What the model will say: rules in order, and a fallback.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) defaults: Defaults,
    pub(crate) rules: Vec<Rule>,
    pub(crate) fallback: Reply,
}

/// A script that cannot be used, and the place where that shows.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a script.
    #[error("bad script, at {place}: {problem}")]
    Bad {
        /// The place in the document, such as `rules[2].when`.
        place: String,
        /// What is wrong there and what is allowed.
        problem: String,
    },
    /// The text of a file is not a script.
    #[error("{}: {source}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ScriptError>,
    },
}

impl ScriptError {
    fn bad(place: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self::Bad {
            place: place.into(),
            problem: problem.to_string(),
        }
    }
}

/// One rule: when it fits, and what it answers.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) when: When,
    pub(crate) times: Option<NonZeroU64>,
    /// Never empty.
    pub(crate) replies: Vec<Reply>,
    pub(crate) index: Index,
}

/// Which of several replies is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Index {
    #[default]
    Round,
    Use,
}

/// The conditions of a rule; every one that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct When {
    pub(crate) n: Option<OneOrMany<u64>>,
    pub(crate) user: Option<Pattern>,
    pub(crate) system: Option<Pattern>,
    pub(crate) model: Option<Pattern>,
    pub(crate) path: Option<Pattern>,
    pub(crate) headers: BTreeMap<String, Pattern>,
    pub(crate) tools: Option<Offer>,
    pub(crate) round: Option<OneOrMany<u64>>,
    pub(crate) tool_result: Option<Pattern>,
}

/// A regex that is searched for; `.` matches a line's end too.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(pub(crate) Regex);

/// What the request must offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Some tool (`true`), or none (`false`).
    Any(bool),
    /// The tool of this name.
    Named(String),
}

/// The document as written, before the checks that span several keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    defaults: Object<Defaults>,
    #[serde(default)]
    rules: Vec<Object<RuleText>>,
    fallback: Option<Object<Reply>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: Option<String>,
    #[serde(default)]
    when: Object<When>,
    times: Option<NonZeroU64>,
    reply: Option<Object<Reply>>,
    replies: Option<Vec<Object<Reply>>>,
    index: Option<Index>,
}

impl Script {
    /// Reads a script from its JSON text.
    ///
    /// # Errors
    /// [`ScriptError::Bad`] with the place of whatever is not as the format says.
    pub fn parse(json: &str) -> Result<Self, ScriptError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let document: Object<Document> =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| {
                let place = error.path().to_string();
                ScriptError::bad(if place == "." { "the top" } else { &place }, error.inner())
            })?;
        reader
            .end()
            .map_err(|error| ScriptError::bad("the end", error))?;

        let Object(document) = document;
        let mut rules: Vec<Rule> = Vec::with_capacity(document.rules.len());
        for (position, Object(text)) in document.rules.into_iter().enumerate() {
            let place = format!("rules[{position}]");
            let rule = text.check(&place)?;
            if rule.id == FALLBACK || rules.iter().any(|other| other.id == rule.id) {
                let problem = format!("the id \"{}\" is taken: choose another", rule.id);
                return Err(ScriptError::bad(place, problem));
            }
            rules.push(rule);
        }
        let written = document.fallback.map(|Object(reply)| reply);
        let fallback = written.unwrap_or_else(|| Reply {
            text: "No rule of the script fits this request.".to_owned(),
            ..Reply::default()
        });
        match fallback.fault() {
            Some(problem) => Err(ScriptError::bad(FALLBACK, problem)),
            None => Ok(Self {
                defaults: document.defaults.0,
                rules,
                fallback,
            }),
        }
    }

    /// The script for a rehearsal without one: who offers no tools wants a title and gets
    /// one, and every turn ends at once with a short text.
    pub fn rehearsal() -> Self {
        let say = |text: &str| Reply {
            text: text.to_owned(),
            ..Reply::default()
        };
        let rule = |id: &str, when: When, text: &str| Rule {
            id: id.to_owned(),
            when,
            times: None,
            replies: vec![say(text)],
            index: Index::default(),
        };
        let no_tools = When {
            tools: Some(Offer::Any(false)),
            ..When::default()
        };
        let turn = "This is a rehearsal: no model was asked, and nothing was changed.";
        Self {
            defaults: Defaults::default(),
            rules: vec![
                rule("title", no_tools, "Rehearsal"),
                rule("turn", When::default(), turn),
            ],
            fallback: say(turn),
        }
    }

    /// Reads a script from a file.
    ///
    /// # Errors
    /// [`ScriptError::Read`] where the file cannot be read, [`ScriptError::BadFile`] where it
    /// is no script.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|source| ScriptError::BadFile {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Refuses variables that no reply could use under their name, and replies that use one
    /// nobody gave: `{{dir}}` left standing would become part of a file's name.
    pub(crate) fn check_vars(&self, vars: &BTreeMap<String, String>) -> Result<(), ScriptError> {
        if let Some(name) = vars.keys().find(|name| !fill::is_name(name)) {
            return Err(ScriptError::bad(
                format!("the variable \"{name}\""),
                "a name is letters, digits and _, and none of n, model, last_user, last_tool_result",
            ));
        }
        for (place, reply) in self.replies() {
            let mut reply = reply.clone();
            for text in reply.strings_mut() {
                if let Some(name) = fill::first_unknown(text, vars) {
                    return Err(ScriptError::bad(
                        place,
                        format!("{{{{{name}}}}} is used but not given: pass --var {name}=VALUE"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether requests can be recorded under this rule's name.
    pub(crate) fn has_rule(&self, id: &str) -> bool {
        id == FALLBACK || self.rules.iter().any(|rule| rule.id == id)
    }

    /// Every reply with its place.
    fn replies(&self) -> impl Iterator<Item = (String, &Reply)> {
        let of_rules = self.rules.iter().enumerate().flat_map(|(position, rule)| {
            rule.replies
                .iter()
                .enumerate()
                .map(move |(at, reply)| (reply_place(&format!("rules[{position}]"), at), reply))
        });
        of_rules.chain([(FALLBACK.to_owned(), &self.fallback)])
    }
}

/// The place of a rule's reply, whether it is the only one or one of a list.
fn reply_place(rule: &str, at: usize) -> String {
    format!("{rule}, reply {}", at + 1)
}

impl RuleText {
    fn check(self, place: &str) -> Result<Rule, ScriptError> {
        if self.index.is_some() && self.replies.is_none() {
            return Err(ScriptError::bad(
                place,
                "index is for replies, and there are none",
            ));
        }
        let replies = match (self.reply, self.replies) {
            (Some(Object(reply)), None) => vec![reply],
            (None, Some(replies)) if !replies.is_empty() => {
                replies.into_iter().map(|Object(reply)| reply).collect()
            }
            (Some(_), Some(_)) => {
                return Err(ScriptError::bad(
                    place,
                    "it has reply and replies: choose one",
                ));
            }
            (None, _) => return Err(ScriptError::bad(place, "give it a reply, or replies")),
        };
        for (at, reply) in replies.iter().enumerate() {
            if let Some(problem) = reply.fault() {
                return Err(ScriptError::bad(reply_place(place, at), problem));
            }
        }
        Ok(Rule {
            id: self.id.unwrap_or_else(|| place.to_owned()),
            when: self.when.0,
            times: self.times,
            replies,
            index: self.index.unwrap_or_default(),
        })
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let regex = RegexBuilder::new(&text).dot_matches_new_line(true).build();
        regex.map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Offer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tools;

        impl Visitor<'_> for Tools {
            type Value = Offer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the name of a tool")
            }

            fn visit_bool<E: de::Error>(self, any: bool) -> Result<Offer, E> {
                Ok(Offer::Any(any))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Offer, E> {
                Ok(Offer::Named(name.to_owned()))
            }
        }

        deserializer.deserialize_any(Tools)
    }
}
