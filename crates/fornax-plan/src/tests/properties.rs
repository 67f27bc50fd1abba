//! What holds for every graph.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// Edges of a random graph over `count` frames; each from a later frame to an earlier one, so that
/// there is no circle, the frames then shuffled.
fn dag() -> impl Strategy<Value = (Vec<usize>, HashSet<(usize, usize)>)> {
    (2..40_usize).prop_flat_map(|count| {
        let edge =
            (0..count, 0..count).prop_filter_map("forward", |(a, b)| (a > b).then_some((a, b)));
        let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
        (order, proptest::collection::hash_set(edge, 0..80))
    })
}

/// Every frame is in a group of its number modulo four, except those of remainder zero.
fn key(frame: usize) -> String {
    match frame % 4 {
        0 => format!("f{frame}"),
        group => format!("g{group}.f{frame}"),
    }
}

fn flat(order: &[usize], edges: &HashSet<(usize, usize)>) -> String {
    let mut text = "name: p\nframes:\n".to_owned();
    for frame in order {
        let deps: Vec<String> = edges
            .iter()
            .filter(|(from, _)| from == frame)
            .map(|(_, to)| format!("f{to}"))
            .collect();
        text.push_str(&format!(
            "- {{id: f{frame}, run: ls, needs: [{}]}}\n",
            deps.join(", ")
        ));
    }
    text
}

fn grouped(order: &[usize], edges: &HashSet<(usize, usize)>) -> String {
    let frame = |frame: &usize| {
        let deps: Vec<String> = edges
            .iter()
            .filter(|(from, _)| from == frame)
            .map(|(_, to)| key(*to))
            .collect();
        format!("{{id: f{frame}, run: ls, needs: [{}]}}", deps.join(", "))
    };
    let mut text = "name: p\nframes:\n- {id: first, run: ls}\n".to_owned();
    for group in 1..4 {
        let frames: Vec<String> = order
            .iter()
            .filter(|f| *f % 4 == group)
            .map(frame)
            .collect();
        if !frames.is_empty() {
            text.push_str(&format!(
                "- {{id: g{group}, needs: first, frames: [{}]}}\n",
                frames.join(", ")
            ));
        }
    }
    for f in order.iter().filter(|f| *f % 4 == 0) {
        text.push_str(&format!("- {}\n", frame(f)));
    }
    text
}

/// The frames by which every frame can be finished, if there is a way.
fn runs_through(run: &RunSpec) -> bool {
    let mut done = vec![false; run.frames.len()];
    let mut started = vec![false; run.frames.len()];
    loop {
        let mut moved = false;
        for (at, frame) in run.frames.iter().enumerate() {
            if !started[at] {
                let ready = frame.depends_on.iter().all(|&dep| done[dep]);
                started[at] = ready && frame.parent.is_none_or(|parent| started[parent]);
                moved |= started[at];
            }
            let mut children =
                (at + 1..run.frames.len()).filter(|&child| run.frames[child].parent == Some(at));
            if started[at] && !done[at] && children.all(|child| done[child]) {
                done[at] = true;
                moved = true;
            }
        }
        if !moved {
            return done.into_iter().all(|done| done);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_graph_without_a_circle_resolves_as_it_is_written((order, edges) in dag(), nested: bool) {
        let text = if nested { grouped(&order, &edges) } else { flat(&order, &edges) };
        let run = resolve(&text, &[]);
        for (at, frame) in run.frames.iter().enumerate() {
            prop_assert!(frame.parent.map_or(at == 0, |parent| parent < at));
            let parent = frame.parent.map(|parent| run.frames[parent].key.as_str());
            let expected = frame.key.rsplit_once('.').map_or("p", |(group, _)| group);
            prop_assert!(at == 0 || parent == Some(expected));
        }
        let name = |frame: usize| if nested { key(frame) } else { format!("f{frame}") };
        let found: HashSet<(String, String)> = run.frames.iter().flat_map(|frame| {
            frame.depends_on.iter().map(|&dep| (frame.key.clone(), run.frames[dep].key.clone()))
        }).filter(|(_, to)| to != "first").collect();
        let written = edges.iter().map(|&(from, to)| (name(from), name(to))).collect();
        prop_assert_eq!(found, written);
        prop_assert!(runs_through(&run));
    }

    #[test]
    fn a_circle_is_named_whole((order, mut edges) in dag(), from in 0..1_000_usize, to in 0..1_000_usize) {
        // A way back from an earlier frame to a later one, and a way there, make a circle.
        let (a, b) = (from % order.len(), to % order.len());
        let (low, high) = (a.min(b), a.max(b));
        edges.insert((low, high));
        if low != high {
            edges.insert((high, low + (high - low) / 2));
            edges.insert((low + (high - low) / 2, low));
            edges.remove(&(low, low));
        }
        let said = load_text(&flat(&order, &edges)).unwrap_err();
        let (_, circle) = said[0].message.split_once("circle: ").unwrap();
        let names: Vec<usize> = circle.split(" -> ").map(|name| name[1..].parse().unwrap()).collect();
        prop_assert_eq!(names.first(), names.last());
        for pair in names.windows(2) {
            prop_assert!(edges.contains(&(pair[0], pair[1])), "{} -> {} of {}", pair[0], pair[1], circle);
        }
        let inner: HashSet<_> = names[1..].iter().collect();
        prop_assert_eq!(inner.len(), names.len() - 1, "no frame stands twice");
        if names.len() > 2 {
            prop_assert_eq!(said[0].related.len(), names.len() - 1);
        }
    }

    #[test]
    fn a_promise_holds_when_no_way_leads_from_one_to_the_other((order, edges) in dag(), a in 0..1_000_usize, b in 0..1_000_usize) {
        let (a, b) = (a % order.len(), b % order.len());
        prop_assume!(a != b);
        let mut reached = HashSet::from([a.max(b)]);
        for frame in (0..order.len()).rev() {
            if reached.contains(&frame) {
                reached.extend(edges.iter().filter(|(from, _)| *from == frame).map(|(_, to)| *to));
            }
        }
        let text = flat(&order, &edges).replace(&format!("id: f{a},"), &format!("id: f{a}, parallel: f{b},"));
        prop_assert_eq!(load_text(&text).is_err(), reached.contains(&a.min(b)));
    }

    #[test]
    fn any_text_is_answered(text in "(\\PC|[\\n{}\\[\\]:,&*#|>'\"-]){0,80}") {
        let _ = load_text(&text);
        let _ = load_text(&format!("name: p\nframes:\n- id: a\n  run: {text}\n"));
        let _ = load_files(&text, &[("plan.yaml", &text)]);
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test has a clock")]
fn ten_thousand_frames() {
    let shapes: [fn(usize) -> String; 3] = [
        |i| {
            if i == 0 {
                String::new()
            } else {
                format!("f{}", i - 1)
            }
        },
        |i| {
            let layer = i / 100 * 100;
            let deps = (0..if i < 100 { 0 } else { 5 })
                .map(|d| format!("f{}", layer - 100 + (i + d * 17) % 100));
            deps.collect::<Vec<_>>().join(", ")
        },
        |i| {
            if i == 0 {
                String::new()
            } else {
                "f0".to_owned()
            }
        },
    ];
    for shape in shapes {
        let frames = (0..10_000).map(|i| {
            format!(
                "- {{id: f{i}, tool: claude, prompt: 'do {i}', parallel: [], needs: [{}]}}\n",
                shape(i)
            )
        });
        let text = format!("name: big\nframes:\n{}", frames.collect::<String>());
        let start = std::time::Instant::now();
        let run = resolve(&text, &[]);
        assert_eq!(run.frames.len(), 10_001);
        assert!(
            start.elapsed() < std::time::Duration::from_secs(60),
            "{:?}",
            start.elapsed()
        );
    }
}
