//! Real agents and the call stack: what they push is worked on apart, and they go on with its results.

use serde_json::Value;

use crate::stage::Stage;

const PLAN: &str = "name: Frames\nframes:\n- id: survey\n  run: echo UNCLERESULT-77\n\
                    - id: work\n  depends_on: survey\n  tool: agent\n  permissions: allow\n  \
                    prompt: PARENTWORK please\n  goal: PARENTWORK please\n";

fn frames(stage: &Stage, run: &str) -> Vec<Value> {
    let detail = stage.run(run);
    let ids = detail["frames"]["id"].as_array().unwrap().clone();
    let show = |id: Value| stage.place.json(&["show", id.as_str().unwrap(), "--json"]);
    ids.into_iter().map(show).collect()
}

fn named<'a>(frames: &'a [Value], title: &str) -> &'a Value {
    let found = frames.iter().find(|frame| frame["frame"]["title"] == title);
    found.unwrap_or_else(|| panic!("no {title} in {frames:#?}"))
}

pub fn pushes_a_frame_and_goes_on_with_its_results(agent: &str) {
    let stage = Stage::with_script(agent, include_str!("frames.json"));
    stage.place.write("frames.yaml", PLAN);
    let run = stage.place_ok(&["run", "frames.yaml", "--detach"]);
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let all = frames(&stage, &run);
    let hunt = named(&all, "The hunt");
    assert_eq!(hunt["results"], "The port is 4711", "{hunt:#}");
    let work = named(&all, "PARENTWORK please");
    assert_eq!(work["results"], "All is done.");
    assert_eq!(
        work["tasks"].as_array().unwrap().len(),
        2,
        "one for each turn"
    );
    assert_eq!(stage.read("looked.txt"), "looked\n");
    // The request log of the model is the evidence.
    let child = stage.bodies("child");
    assert!(child[0].contains("UNCLERESULT-77"), "{}", child[0]);
    assert!(child[0].contains("PARENTWORK"), "{}", child[0]);
    assert!(child.iter().any(|body| body.contains("OWNTRANSCRIPT")));
    let next = stage.bodies("goes_on");
    for body in &next {
        assert!(body.contains("The port is 4711"), "{body}");
        assert!(body.contains("UNCLERESULT-77"), "{body}");
        assert!(!body.contains("OWNTRANSCRIPT"), "{body}");
        // It is the conversation that pushed.
        assert!(body.contains("Waiting for what I pushed"), "{body}");
    }
    assert_eq!(next.len(), 1);
}
