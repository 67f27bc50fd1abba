//! What fills a variable of a `run` script reaches the shell as data, byte for byte, wherever it
//! stands. Real shells judge.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the core is pure, its tests are not"
)]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use fornax_core::spec::Invocation;
use fornax_core::template::Variable;
use fornax_plan::config::Config;
use fornax_plan::{Diagnostic, Source, load};
use proptest::prelude::*;

/// The work of a plan with one frame that runs `script`, `{inputs.v}` being `value`; it depends on
/// a frame `d`.
fn invocation(script: &str, value: &str) -> Invocation {
    let plan = serde_json::json!({
        "name": "shell",
        "inputs": {"v": null},
        "frames": [{"id": "d", "run": "true"}, {"id": "a", "needs": "d", "run": script}],
    });
    let source = Source {
        name: "plan.json".to_owned(),
        text: plan.to_string(),
    };
    let told =
        |errors: Vec<Diagnostic>| -> String { errors.iter().map(Diagnostic::render).collect() };
    let config = Config::load(None).expect("the presets are fine");
    let no_file = |_: &str, _: &str| Err("none".to_owned());
    let plan = load(source, &config, &no_file).unwrap_or_else(|errors| panic!("{}", told(errors)));
    let inputs = BTreeMap::from([("v".to_owned(), value.to_owned())]);
    let run = plan
        .resolve(inputs)
        .unwrap_or_else(|errors| panic!("{}", told(errors)));
    run.frames[2].invocation.clone().expect("it has work")
}

/// What the work prints, `{deps.d.results}` being `results`, in each shell of this machine.
fn outputs(work: &Invocation, results: &str) -> Vec<String> {
    let plain = |variable: &Variable| match variable {
        Variable::DepResults(id) if id == "d" => Ok(results.to_owned()),
        other => Err(format!("{other} is left")),
    };
    let prompt = work.prompt.as_ref().expect("a script is its prompt");
    let script = prompt.fill(plain).unwrap();
    assert_eq!(work.cmd.len(), 3);
    let argv = work.cmd.iter().map(|argument| {
        argument.fill(|variable| match variable {
            Variable::Prompt => Ok(script.clone()),
            other => plain(other),
        })
    });
    let argv: Vec<String> = argv.collect::<Result<_, _>>().unwrap();
    assert_eq!(argv[..2], ["sh", "-c"]);
    let env = work.env.iter();
    let env: Vec<_> = env
        .map(|(name, value)| (name, value.fill(plain).unwrap()))
        .collect();
    let others = ["dash", "bash", "busybox"].into_iter();
    let shells = std::iter::once("sh").chain(others.filter(|shell| on_path(shell)));
    let run = |shell: &str| {
        let mut command = Command::new(shell);
        if shell == "busybox" {
            command.arg("sh");
        }
        let command = command.args(&argv[1..]).envs(env.iter().cloned());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shell}: {said}\n{script}");
        String::from_utf8(output.stdout).unwrap()
    };
    shells.map(run).collect()
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Checks that a script prints what it should in every shell.
fn check(script: &str, value: &str, results: &str, expected: &str) {
    for found in outputs(&invocation(script, value), results) {
        assert_eq!(found, expected, "script {script:?}, value {value:?}");
    }
}

#[test]
fn a_hostile_value_is_one_word() {
    let file = std::env::temp_dir().join(format!("fornax-shell-test-{}", std::process::id()));
    let path = file.display();
    let touch = format!("$(touch {path}); `touch {path}`; \"' ; touch {path} #");
    for value in [
        touch.as_str(),
        "a  b\tc\n\n",
        "*",
        "~",
        "-n",
        "${HOME} $HOME $1",
        "'; exit 9; '",
        "\"; exit 9; \"",
        "\\",
        "{goal} {{",
        "é\u{1f600}",
        "",
    ] {
        let one = format!("[{value}]");
        check("printf '[%s]' {inputs.v}", value, "", &one);
        check("printf '[%s]' {deps.d.results}", "", value, &one);
        check(
            "for w in {inputs.v}; do printf '[%s]' \"$w\"; done",
            value,
            "",
            &one,
        );
    }
    assert!(!file.exists(), "a value was run as code");
}

#[test]
fn wherever_it_stands() {
    let value = "a  b*\n'\"$(exit 9)`exit 9`\\ #";
    for (script, expected) in [
        ("# don't \"stop {inputs.v}\nprintf '[%s]' {inputs.v}", "[V]"),
        (
            "echo x#'y' >/dev/null; printf '[%s]' \"it's {inputs.v}\"",
            "[it's V]",
        ),
        (
            "f() { printf '[%s]' \"$@\"; }; f {inputs.v} '{inputs.v}'",
            "[V][V]",
        ),
        ("printf '[%s]' \\'{inputs.v}\\\"\"{inputs.v}\"", "['V\"V]"),
        ("printf '[%s]' \"$(printf '%s' {inputs.v})\"", "[V]"),
        (
            "printf '[%s]' \"$(printf '%s' \"{inputs.v}\" # it's\n)\" {inputs.v}",
            "[V][V]",
        ),
        (
            "printf '[%s]' \"$( (printf '%s' {inputs.v}) )\" {inputs.v}",
            "[V][V]",
        ),
        (
            "printf '[%s]' \"`printf '%s' {inputs.v}`\" '{inputs.v}'",
            "[V][V]",
        ),
        (
            "printf '[%s]' ${NOT_SET_HERE:-{inputs.v}} {inputs.v}",
            "[V][V]",
        ),
        (
            "printf '[%s]' \"${NOT_SET_HERE:-{inputs.v}}\" '{inputs.v}'",
            "[V][V]",
        ),
        (
            "printf '[%s]' ${NOT_SET_HERE:-x #y} {inputs.v}",
            "[x][#y][V]",
        ),
        ("printf '[%s]' $((1 + (2 * 3))) {inputs.v}", "[7][V]"),
        (
            "case {inputs.v} in a*) printf '[%s]' {inputs.v};; esac",
            "[V]",
        ),
        (
            "cat <<EOF\n'{inputs.v}' \"it's\nEOF\nprintf '[%s]' {inputs.v}",
            "'V' \"it's\n[V]",
        ),
        (
            "cat <<-EOF; printf '[%s]' {inputs.v}\n\t\tit's\n\tEOF\nprintf '[%s]' '{inputs.v}'",
            "it's\n[V][V]",
        ),
        (
            "cat <<'EOF' <<\"B\" >/dev/null\n$(don't\nEOF\n`don't\nB\nprintf '[%s]' {inputs.v}",
            "[V]",
        ),
        (
            "cat <<EOF\n$(printf '%s' {inputs.v})\nEOF\nprintf '[%s]' {inputs.v}",
            "V\n[V]",
        ),
        ("x=$#; printf '[%s]' \"$x\"{inputs.v} # {inputs.v}", "[0V]"),
        (
            "awk 'BEGIN {print 1}' && printf '[%s]' {inputs.v}",
            "1\n[V]",
        ),
    ] {
        check(script, value, "", &expected.replace('V', value));
    }
}

/// A piece of a word of a script, and what it becomes, `V` standing for the value.
fn piece() -> impl Strategy<Value = (String, String)> {
    let texts = ("[a-z]{0,3}", "[a-z]{0,3}", 0..10_usize);
    texts.prop_map(|(a, b, shape)| match shape {
        0 => ("{inputs.v}".to_owned(), "V".to_owned()),
        1 => (a.clone(), a),
        2 => (format!("\"{a}'{{inputs.v}}'{b}\""), format!("{a}'V'{b}")),
        3 => (format!("'{a}\"{{inputs.v}}\\{b}'"), format!("{a}\"V\\{b}")),
        4 => (
            format!("\"{a}\\\"\\$\\`{{inputs.v}}{b}\""),
            format!("{a}\"$`V{b}"),
        ),
        5 => (format!("\\'\\\"{a}\\$\\#"), format!("'\"{a}$#")),
        6 => (
            format!("\"$(printf '%s' {{inputs.v}}'\"'{a})\""),
            format!("V\"{a}"),
        ),
        7 => (
            format!("\"$(printf '%s' \"{{inputs.v}}{a}.\")\""),
            format!("V{a}."),
        ),
        8 => (
            format!("\"${{NOT_SET:-{a}{{inputs.v}}.}}\""),
            format!("{a}V."),
        ),
        _ => (
            format!("${{NOT_SET:-'{a}{{inputs.v}}'.}}"),
            format!("{a}V."),
        ),
    })
}

/// A word that is not empty before the shell reads it.
fn word() -> impl Strategy<Value = (String, String)> {
    proptest::collection::vec(piece(), 1..5).prop_map(|pieces| {
        let (script, becomes): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        (format!("''{}", script.concat()), becomes.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_script_keeps_every_value(
        words in proptest::collection::vec(word(), 1..5),
        value in "[-a-z $`\"'\\\\!*?#&;|<>(){}\\[\\]~\n\té=%]{0,30}",
    ) {
        let (script, becomes): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        let script = format!("# it's a test\nprintf '[%s]' {}", script.join(" "));
        let expected = becomes.iter().map(|word| format!("[{}]", word.replace('V', &value)));
        check(&script, &value, "", &expected.collect::<String>());
    }
}
