//! Files made to do harm end in an error, soon and without much memory.

use std::time::{Duration, Instant};

use super::*;

/// What is said of a file, which must not take long: far longer than it does on a slow machine
/// without optimisation, far shorter than what any of these would take if it got its way. A small
/// stack, for a thread of the daemon's has no large one.
#[allow(clippy::disallowed_methods, reason = "a test has a clock")]
fn refused(text: String) -> String {
    let work = move || {
        let start = Instant::now();
        let said = load_text(&text).map(|plan| plan.frame_count());
        let said = said.expect_err("the file is refused");
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{:?}",
            start.elapsed()
        );
        assert!(said.len() <= 51);
        render(&said[..1])
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(work).unwrap().join().unwrap()
}

#[test]
fn a_billion_laughs() {
    let mut text = "x-a0: &a0 ha\n".to_owned();
    for i in 1..10 {
        let alias = format!("*a{}", i - 1);
        text.push_str(&format!(
            "x-a{i}: &a{i} [{}]\n",
            [alias.as_str(); 9].join(", ")
        ));
    }
    insta::assert_snapshot!(refused(text), @r#"
    plan.yaml:8:17: error: the file holds too much: 1000000 values and 16777216 bytes of text are allowed, an alias counted as all that it stands for
    8 | x-a7: &a7 [*a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6]
      |                 ^^^
    "#);
    // The same with mappings that are merged, and with one long text.
    let mut text = "x-a0: &a0 {k: v}\n".to_owned();
    for i in 1..40 {
        text.push_str(&format!(
            "x-a{i}: &a{i} {{l: *a{}, m: *a{}}}\n",
            i - 1,
            i - 1
        ));
    }
    insta::assert_snapshot!(refused(text), @r#"
    plan.yaml:18:13: error: the file holds too much: 1000000 values and 16777216 bytes of text are allowed, an alias counted as all that it stands for
    18 | x-a17: &a17 {l: *a16, m: *a16}
       |             ^
    "#);
    let text = format!(
        "x-a: &a {}\nx-b: [{}]\n",
        "y".repeat(1 << 20),
        ["*a"; 10_000].join(", ")
    );
    insta::assert_snapshot!(refused(text), @r#"
    plan.yaml:2:71: error: the file holds too much: 1000000 values and 16777216 bytes of text are allowed, an alias counted as all that it stands for
    2 | *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, 
      |                                                             ^^
    "#);
}

#[test]
fn deep_nesting() {
    for open in ["[", "{a: ", "- ", "? "] {
        let said = refused(open.repeat(100_000));
        assert!(said.contains("nest more than 64 deep"), "{open}: {said}");
    }
    let steps: String = (0..1_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    assert!(refused(steps).contains("nest more than 64 deep"));
    // As deep as it gets: groups in groups.
    let text = |depth: usize| {
        let open = "{\"id\": \"g\", \"frames\": [".repeat(depth);
        let close = "]}".repeat(depth);
        format!(
            "{{\"name\": \"p\", \"frames\": [{open}{{\"id\": \"a\", \"run\": \"ls\"}}{close}]}}"
        )
    };
    assert!(refused(text(40)).contains("nest more than 64 deep"));
    let deepest = text(30);
    let plan = std::thread::Builder::new().stack_size(1 << 20);
    let plan = plan.spawn(move || load_text(&deepest).map(|plan| plan.frame_count()));
    assert_eq!(plan.unwrap().join().unwrap(), Ok(31));
}

#[test]
fn huge_files_and_texts() {
    insta::assert_snapshot!(refused("a".repeat((4 << 20) + 1)), @r#"
    plan.yaml:1:1: error: the file is too large: 4194305 bytes, 4194304 are allowed
    1 | aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      | ^
    "#);
    assert!(refused("x".repeat(4 << 20)).contains("expected a mapping"));
    assert!(
        refused(format!(
            "name: p\nframes:\n- {{id: {}}}\n",
            "x".repeat(3 << 20)
        ))
        .contains("cannot be the name")
    );
    assert!(refused("- \n".repeat(900_000)).contains("expected a mapping"));
    assert!(refused("-\n".repeat(2 << 20)).contains("holds too much"));
    let keys: String = (0..300_000).map(|i| format!("k{i}:\n")).collect();
    assert!(refused(keys).contains("unknown key"));
    let frames = "- {}\n".repeat(300_000);
    let said = refused(format!("name: p\nframes:\n{frames}"));
    assert!(
        said.contains("a list holds at most 100000 values"),
        "{said}"
    );
    let group = |group: usize| {
        let frames = (0..60_000).map(|i| format!("{{id: f{i}, run: l}}"));
        let frames: Vec<String> = frames.collect();
        format!("- {{id: g{group}, frames: [{}]}}\n", frames.join(", "))
    };
    let said = refused(format!("name: p\nframes:\n{}{}", group(0), group(1)));
    assert!(said.contains("has more than 100000 frames"), "{said}");
}

#[test]
fn much_of_the_same_mistake() {
    let names: Vec<String> = (0..20_000).map(|i| format!("missing{i}")).collect();
    let frame = format!("- {{id: a, run: ls, needs: [{}]}}\n", names.join(", "));
    assert!(refused(format!("name: p\nframes:\n{frame}")).contains("unknown dependency"));
    let frames: String = (0..20_000)
        .map(|i| format!("- {{id: a{i}, run: ls, needs: b{i}}}\n"))
        .collect();
    assert!(refused(format!("name: p\nframes:\n{frames}")).contains("unknown dependency"));
    let ring: String = (0..50_000)
        .map(|i| format!("- {{id: a{i}, run: ls, needs: a{}}}\n", (i + 1) % 50_000))
        .collect();
    let said = refused(format!("name: p\nframes:\n{ring}"));
    assert!(said.contains("a0 -> a1 -> a2 -> "), "{}", &said[..200]);
    assert!(said.contains("more ... -> a0"), "the middle is left out");
    let braces = "{".repeat(1 << 20);
    assert!(
        refused(format!(
            "name: p\nframes:\n- {{id: a, run: '{braces}', x: y}}\n"
        ))
        .contains("unknown key `x`")
    );
    for brace in ["{ ", "{a", "{a.", "} ", "${"] {
        let braces = brace.repeat(1 << 20);
        let said = refused(format!(
            "name: p\nframes:\n- {{id: a, run: '{braces}', x: y}}\n"
        ));
        assert!(said.contains("unknown key `x`"), "{said}");
    }
    let variables = "{deps.b.results}".repeat(1 << 17);
    assert!(
        refused(format!(
            "name: p\nframes:\n- {{id: a, run: '{variables}'}}\n"
        ))
        .contains("there is no frame `b`")
    );
}

/// Sixteen plans that each use the next ten times would be 10^16 frames.
#[test]
fn plans_that_use_plans_without_end() {
    let name = |i: usize| format!("p{i}.yaml");
    let uses = |i: usize, count: usize| {
        let frames: String = (0..count)
            .map(|f| format!("- {{id: f{f}, uses: {}}}\n", name(i + 1)))
            .collect();
        format!("name: p\nframes:\n{frames}")
    };
    let check = |count: usize, depth: usize| {
        let config = Config::load(None).unwrap();
        let loader = |_: &str, path: &str| {
            let i: usize = path[1..path.len() - 5].parse().unwrap();
            let text = if i == depth {
                "name: p\nframes:\n- {id: a, run: ls}\n".to_owned()
            } else {
                uses(i, count)
            };
            Ok(Source {
                name: path.to_owned(),
                text,
            })
        };
        let first = Source {
            name: name(0),
            text: uses(0, count),
        };
        load(first, &config, &loader).map(|plan| plan.frame_count())
    };
    assert_eq!(check(1, 16), Ok(17));
    insta::assert_snapshot!(render(&check(1, 17).unwrap_err()), @r#"
    p16.yaml:3:18: error: plans use plans more than 16 deep
    3 | - {id: f0, uses: p17.yaml}
      |                  ^^^^^^^^
    "#);
    insta::assert_snapshot!(render(&check(10, 16).unwrap_err()), @r#"
    p16.yaml:3:3: error: the plan has more than 100000 frames
    3 | - {id: a, run: ls}
      |   ^
    "#);
}

/// What a short file shares is not short when every frame has it.
#[test]
fn long_texts_that_many_frames_share() {
    let frames: String = (0..10_000)
        .map(|i| format!("- {{id: f{i}, tool: t, goal: x}}\n"))
        .collect();
    let config = format!("tools: {{t: {{cmd: [a, {}]}}}}\n", "y".repeat(1 << 20));
    let text = format!("name: p\nframes:\n{frames}");
    let files = [("plan.yaml", text.as_str())];
    let said = load_files(&config, &files).map(|plan| plan.frame_count());
    let said = said.unwrap_err();
    insta::assert_snapshot!(render(&said), @r#"
    error: the texts of all frames are longer than 67108864 bytes
    help: put long texts into files and name the files
    "#);

    let text = format!(
        "name: p\ninputs: {{x: }}\ndefaults: {{env: {{A: '{{inputs.x}}'}}}}\nframes:\n{}",
        frames.replace("tool: t", "tool: claude")
    );
    let plan = load_text(&text).unwrap();
    let resolve = |len: usize| {
        let inputs = [("x".to_owned(), "y".repeat(len))];
        plan.resolve(inputs.into()).map(|run| run.frames.len())
    };
    assert_eq!(resolve(1 << 20), Err(said));
    assert_eq!(resolve(1 << 10), Ok(10_001));
}
