//! Plans that the tests run.

use std::collections::BTreeMap;

use super::simulation::Random;
use crate::spec::{
    Compare, Condition, ErrorClass, FrameSpec, Invocation, Mode, OnFailure, OutputFormat, Retry,
    RunSpec,
};
use crate::template::Template;

/// A plan of a few frames, some in groups, with random edges, retries, conditions and pools.
pub(super) fn random_spec(random: &mut Random) -> RunSpec {
    let mut frames = vec![frame_spec("root", None, false)];
    let mut group = 0;
    for place in 1..=(2 + random.below(9)) {
        let is_group = random.chance(150);
        let parent = if random.chance(400) { group } else { 0 };
        let mut frame = frame_spec(&format!("k{place}"), Some(parent), !is_group);
        // Only siblings that were made before, and with work or children of their own.
        let siblings: Vec<usize> = (1..frames.len())
            .filter(|other| frames[*other].parent == Some(parent))
            .collect();
        for sibling in siblings {
            if random.chance(350) {
                frame.depends_on.push(sibling);
            }
        }
        if random.chance(200) {
            frame.pool = Some("narrow".to_owned());
        }
        frame.priority = i32::try_from(random.below(5)).unwrap() - 2;
        frame.retry = random_retry(random);
        if random.chance(80) {
            frame.when = Some(Condition {
                left: Template::literal("a"),
                compare: Compare::Equal,
                right: Template::literal("b"),
            });
        }
        frames.push(frame);
        if is_group {
            group = frames.len() - 1;
        }
    }
    RunSpec {
        limits: crate::frame::FrameLimits::default(),
        name: "simulated".to_owned(),
        plan: None,
        inputs: BTreeMap::new(),
        on_failure: if random.chance(200) {
            OnFailure::Stop
        } else {
            OnFailure::Continue
        },
        pools: BTreeMap::new(),
        frames,
    }
}

fn random_retry(random: &mut Random) -> Retry {
    let mut retry = Retry {
        retries: u32::try_from(random.below(3)).unwrap(),
        backoff_ms: random.below(500),
        backoff_max_ms: 2_000,
        ..Retry::default()
    };
    if random.chance(300) {
        retry.on.push(ErrorClass::Lost);
    }
    retry
}

pub(super) fn frame_spec(key: &str, parent: Option<usize>, work: bool) -> FrameSpec {
    let invocation = Invocation {
        tool: "shell".to_owned(),
        mode: Mode::Batch,
        cmd: vec![Template::literal("true")],
        stdin: None,
        prompt: None,
        model: None,
        env: BTreeMap::new(),
        workdir: None,
        timeout_ms: None,
        silence_ms: None,
        success_exit_codes: vec![0],
        output: OutputFormat::Text,
        redact: true,
        driver: None,
        permissions: Default::default(),
        model_retries: None,
        stack: Default::default(),
        mapping: None,
        resume: None,
    };
    FrameSpec {
        key: key.to_owned(),
        parent,
        depends_on: Vec::new(),
        result_from: None,
        title: key.to_owned(),
        goal: key.to_owned(),
        success_criteria: None,
        invocation: work.then_some(invocation),
        fallbacks: Vec::new(),
        fallback_on: Vec::new(),
        outputs: Vec::new(),
        phase: None,
        agent_role: None,
        pool: None,
        priority: 0,
        when: None,
        retry: Retry::default(),
    }
}
