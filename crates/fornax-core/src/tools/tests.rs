use serde_json::json;

use super::*;

#[test]
fn the_core_tools_fit_into_a_prompt() {
    let core = Profile::Core;
    assert_eq!(core.tools().count(), 12);
    let tokens = core.tokens();
    assert!(tokens <= 1_500, "{tokens} tokens");
    assert!(Profile::All.tokens() <= 4_000, "{}", Profile::All.tokens());
}

#[test]
fn every_tool_says_what_it_takes() {
    for tool in TOOLS {
        let schema = tool.input_schema();
        assert_eq!(schema["type"], "object", "{}: {schema}", tool.name);
        assert!(schema["properties"].is_object(), "{}: {schema}", tool.name);
    }
}

#[test]
fn calls_are_read_and_wrong_ones_refused() {
    let call = Call::parse("flame_push", json!({ "goal": "Mend it" })).unwrap();
    assert!(matches!(&call, Call::Push(push) if push.goal == "Mend it"));
    assert_eq!(call.tool().name, "flame_push");
    assert!(matches!(
        Call::parse("flame_status", Value::Null).unwrap(),
        Call::Status(_)
    ));
    for (name, arguments) in [
        ("flame_push", json!({})),
        ("flame_push", json!({ "goal": 1 })),
        ("flame_push", json!({ "goal": "a", "gaol": "b" })),
        ("flame_pop", json!({ "status": "done" })),
        ("flame_fly", json!({})),
    ] {
        assert!(Call::parse(name, arguments).is_err(), "{name}");
    }
}

#[test]
fn a_profile_is_a_word_or_a_list() {
    assert!(matches!("core".parse::<Profile>().unwrap(), Profile::Core));
    let list: Profile = "flame_push, flame_pop".parse().unwrap();
    assert_eq!(list.tools().count(), 2);
    assert!("flame_push,nothing".parse::<Profile>().is_err());
}
