//! What an OpenCode session may do: the rules it is given, what it asks, and what is answered.
//!
//! By itself OpenCode asks little: it runs commands and edits files unless its user's configuration
//! says otherwise. With `allow` that stays so. With `ask` and `deny` the session is given rules by
//! which it asks before anything that changes or reaches something.
//!
//! A subagent's session inherits only rules that deny (seen with 1.18), and rules that it is given
//! later do not count: it cannot be made to ask. So with `ask` and `deny` the rules begin with ones
//! that deny, which those that follow undo for the session itself. Its subagents may read and
//! search, and no more.

use std::collections::{BTreeMap, BTreeSet};

use fornax_core::agent::{Decision, Permission, Permissions};
use serde_json::{Value, json};

use crate::driver::Out;
use crate::happening::Happening;

/// What changes or reaches something. The last one is what tools of MCP servers are called.
const POWERS: [&str; 5] = ["edit", "bash", "webfetch", "websearch", "*_*"];
/// What only reads, or is judged by what it does in turn.
const HARMLESS: [&str; 9] = [
    "read",
    "glob",
    "grep",
    "list",
    "lsp",
    "todoread",
    "todowrite",
    "skill",
    "task",
];
/// What waits for a human at OpenCode's own surface.
const SURFACE: [&str; 3] = ["question", "plan_enter", "plan_exit"];

/// The rules for a session; of those that fit, the last one counts.
pub(super) fn rules(policy: Permissions) -> Value {
    let rule = |name: &str, pattern: &str, action: &str| json!({"permission": name, "pattern": pattern, "action": action});
    let mut rules = Vec::new();
    if policy != Permissions::Allow {
        rules.extend(POWERS.map(|name| rule(name, "*", "deny")));
        rules.push(rule("*", "*", "ask"));
        rules.push(rule("external_directory", "*", "ask"));
        rules.extend(HARMLESS.map(|name| rule(name, "*", "allow")));
        // As OpenCode itself has it.
        rules.push(rule("read", "*.env", "ask"));
        rules.push(rule("read", "*.env.*", "ask"));
        rules.push(rule("read", "*.env.example", "allow"));
    }
    rules.extend(SURFACE.map(|name| rule(name, "*", "deny")));
    Value::Array(rules)
}

/// What is to be answered: the permission's id, and the body of the answer.
pub(super) type Answer = (String, Value);

/// What was asked and what was decided.
#[derive(Debug)]
pub(super) struct Desk {
    policy: Permissions,
    /// What waits for a human.
    waiting: BTreeMap<String, Value>,
    /// What was answered: it can be told of once more.
    answered: BTreeSet<String>,
    /// What a human decided for good: a permission and a pattern. OpenCode would remember it for
    /// every session in the directory, so it is not told.
    always: Vec<(String, String)>,
}

impl Desk {
    pub fn new(policy: Permissions) -> Desk {
        Desk {
            policy,
            waiting: BTreeMap::new(),
            answered: BTreeSet::new(),
            always: Vec::new(),
        }
    }

    /// Something is asked; the answer, where it is clear.
    pub fn asked(&mut self, request: &Value, out: &mut Out) -> Option<Answer> {
        let id = request["id"].as_str()?.to_owned();
        if self.waiting.contains_key(&id) || self.answered.contains(&id) {
            return None;
        }
        match self.policy {
            Permissions::Allow => Some(self.answer(&id, Decision::Allow, "", "policy", out)),
            Permissions::Deny => {
                let why = "This task may not do that. Go on without it, or end.";
                Some(self.answer(&id, Decision::Deny, why, "policy", out))
            }
            Permissions::Ask if self.is_decided(request) => {
                Some(self.answer(&id, Decision::Allow, "", "human", out))
            }
            Permissions::Ask => {
                out.tell(Happening::PermissionAsked(Permission {
                    id: id.clone(),
                    tool: request["permission"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                    title: title(request),
                }));
                self.waiting.insert(id, request.clone());
                None
            }
        }
    }

    /// A human has decided; the answer, if it is waited for.
    pub fn decide(
        &mut self,
        id: &str,
        decision: Decision,
        note: Option<&str>,
        out: &mut Out,
    ) -> Option<Answer> {
        let request = self.waiting.remove(id)?;
        if decision == Decision::Always {
            let name = request["permission"].as_str().unwrap_or_default();
            let patterns = strings(&request["always"]);
            self.always
                .extend(patterns.map(|pattern| (name.to_owned(), pattern.to_owned())));
        }
        // With a word to the agent it goes on; without one its turn would end here.
        let why = note.unwrap_or("The user does not want this to be done.");
        Some(self.answer(id, decision, why, "human", out))
    }

    fn answer(
        &mut self,
        id: &str,
        decision: Decision,
        why: &str,
        by: &str,
        out: &mut Out,
    ) -> Answer {
        self.answered.insert(id.to_owned());
        out.tell(Happening::PermissionAnswered {
            id: id.to_owned(),
            decision,
            by: by.to_owned(),
        });
        let body = match decision {
            Decision::Allow | Decision::Always => json!({"reply": "once"}),
            Decision::Deny => json!({"reply": "reject", "message": why}),
        };
        (id.to_owned(), body)
    }

    /// The server says that something was answered, perhaps at its own surface. Where one of
    /// several is refused, it refuses the others of the session as well.
    pub fn replied(&mut self, id: &str, reply: &str, out: &mut Out) {
        if self.waiting.remove(id).is_some() {
            self.answered.insert(id.to_owned());
            out.tell(Happening::PermissionAnswered {
                id: id.to_owned(),
                decision: match reply {
                    "once" => Decision::Allow,
                    "always" => Decision::Always,
                    _ => Decision::Deny,
                },
                by: "agent".to_owned(),
            });
        }
    }

    /// What the server waits for. All else was answered while nobody listened, or is forgotten with
    /// an earlier server.
    pub fn still_asked(&mut self, requests: &[Value], out: &mut Out) {
        let asked = |id: &String| requests.iter().any(|request| request["id"] == **id);
        let ids = self.waiting.keys().filter(|id| !asked(id));
        for id in ids.cloned().collect::<Vec<_>>() {
            self.replied(&id, "reject", out);
        }
    }

    /// The turn is over: nothing is waited for any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    fn is_decided(&self, request: &Value) -> bool {
        let known = |wanted: &str| {
            self.always
                .iter()
                .any(|(name, pattern)| request["permission"] == **name && fits(pattern, wanted))
        };
        strings(&request["patterns"]).next().is_some() && strings(&request["patterns"]).all(known)
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether a text fits OpenCode's pattern: `*` stands for any text, and ` *` at the end for nothing
/// at all as well.
fn fits(pattern: &str, text: &str) -> bool {
    if pattern.strip_suffix(" *") == Some(text) {
        return true;
    }
    let mut pieces: Vec<&str> = pattern.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    let Some((first, middle)) = pieces.split_first() else {
        return text == last;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// One line about what is asked.
fn title(request: &Value) -> String {
    let telling = ["command", "filepath", "url", "query", "description"];
    let told = telling
        .iter()
        .find_map(|key| request["metadata"][key].as_str());
    told.map_or_else(
        || strings(&request["patterns"]).collect::<Vec<_>>().join(", "),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_opencode_means_them() {
        for (pattern, text, fit) in [
            ("*", "anything", true),
            ("git *", "git push", true),
            ("git *", "git", true),
            ("git *", "gitk", false),
            ("git push", "git push", true),
            ("git push", "git push -f", false),
            ("*.env", "a/.env", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn what_was_decided_for_good_is_not_asked_again_and_the_server_is_not_told() {
        let mut desk = Desk::new(Permissions::Ask);
        let mut out = Out::default();
        let ask = |id: &str, command: &str| {
            json!({"id": id, "permission": "bash", "patterns": [command],
                "always": ["git *"], "metadata": {"command": command}})
        };
        assert_eq!(desk.asked(&ask("per_1", "git log"), &mut out), None);
        let answer = desk.decide("per_1", Decision::Always, None, &mut out);
        assert_eq!(answer.unwrap().1, json!({"reply": "once"}));
        assert!(desk.asked(&ask("per_2", "git push"), &mut out).is_some());
        assert_eq!(desk.asked(&ask("per_3", "rm x"), &mut out), None);
        assert_eq!(desk.asked(&ask("per_3", "rm x"), &mut out), None);
        let asked = out
            .happenings
            .iter()
            .filter(|happening| matches!(happening, Happening::PermissionAsked(_)));
        assert_eq!(asked.count(), 2);
    }
}
