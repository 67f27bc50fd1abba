//! A rehearsal without a script, with each of the agents.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;

use agents::Place;
use fornax_stub_model::recipes::Recipe;
use fornax_stub_model::{Options, Outcome, Script, StubModel};

#[tokio::test]
async fn every_turn_of_every_agent_ends_with_a_word_of_the_rehearsal() {
    let stub = StubModel::start(Script::rehearsal(), Options::default())
        .await
        .unwrap();
    for (agent, args) in [
        ("opencode", &["run", "Paint the shed"][..]),
        ("claude", &["-p", "Paint the shed"]),
        (
            "codex",
            &["exec", "--skip-git-repo-check", "Paint the shed"],
        ),
    ] {
        let place = Place::new();
        // An agent can be told apart by its path.
        let base_url = format!("{}/{agent}", stub.base_url());
        let recipe = Recipe::of(agent, &base_url, &place.state).unwrap();
        for (path, _) in &recipe.files {
            assert!(path.starts_with(&place.state), "{}", path.display());
        }
        let output = place.run(agent, &recipe, args).await;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("This is a rehearsal"), "{agent}: {said}");
        assert_eq!(place.left_behind(), Vec::<String>::new());

        stub.settle().await.unwrap();
        let requests = stub.requests();
        let own = requests
            .iter()
            .filter(|request| request.path.starts_with(&format!("/{agent}/")));
        let turns = own.filter(|request| request.rule.as_deref() == Some("turn"));
        assert_eq!(turns.count(), 1, "{agent}");
        assert!(
            requests
                .iter()
                .all(|request| request.outcome == Outcome::Ok)
        );
    }
    assert_eq!(
        Recipe::of("vim", &stub.base_url(), "/nowhere".as_ref()),
        None
    );
}
