//! The estimate beside two real tokenizers.

use std::collections::HashSet;
use std::sync::LazyLock;

use tiktoken_rs::{CoreBPE, cl100k_base, o200k_base};

use super::*;
use crate::ids::mix;

/// Texts of the kinds that contexts hold: what they are, and whether that is prose.
const CORPUS: &[(&str, bool, &str)] = &[
    ("English", true, include_str!("corpus/prose/english.txt")),
    ("Western", true, include_str!("corpus/prose/western.txt")),
    ("Eastern", true, include_str!("corpus/prose/eastern.txt")),
    ("CJK", true, include_str!("corpus/prose/cjk.txt")),
    ("others", true, include_str!("corpus/prose/others.txt")),
    ("Rust", false, include_str!("corpus/code/rust.txt")),
    ("Python", false, include_str!("corpus/code/python.txt")),
    (
        "TypeScript",
        false,
        include_str!("corpus/code/typescript.txt"),
    ),
    ("data", false, include_str!("corpus/code/data.txt")),
    ("output", false, include_str!("corpus/code/output.txt")),
    ("dense", false, include_str!("corpus/code/dense.txt")),
];

static REAL: LazyLock<[CoreBPE; 2]> =
    LazyLock::new(|| [o200k_base().unwrap(), cl100k_base().unwrap()]);

/// The larger of the counts of `o200k_base` and `cl100k_base`.
pub(in crate::context) fn count(text: &str) -> usize {
    let counts = REAL.iter().map(|real| real.encode_ordinary(text).len());
    counts.max().unwrap()
}

fn covers(text: &str) {
    let (estimated, counted) = (estimate(text), count(text));
    assert!(estimated >= counted, "{estimated} < {counted}: {text}");
}

/// The definitions of all tools, as a model gets them.
fn definitions() -> String {
    let all = crate::tools::TOOLS.iter().map(|tool| {
        let schema = tool.input_schema();
        format!(
            "{{\"name\":\"{}\",\"description\":\"{}\",\"input_schema\":{schema}}}\n",
            tool.name, tool.about
        )
    });
    all.collect()
}

#[test]
fn never_under_a_real_count_and_never_far_over_it() {
    let tools = definitions();
    for (name, prose, text) in CORPUS.iter().copied().chain([("tools", false, &*tools)]) {
        covers(text);
        text.lines().for_each(covers);
        let (estimated, counted) = (estimate(text), count(text));
        let most = if prose { 16 } else { 20 };
        assert!(
            estimated * 10 <= counted * most,
            "{name}: {estimated} for {counted}"
        );
    }
}

#[test]
fn never_under_a_real_count_whatever_stands_beside_what() {
    let tools = definitions();
    let texts = CORPUS.iter().map(|(_, _, text)| *text).chain([&*tools]);
    let lines: Vec<&str> = texts.flat_map(str::lines).collect();
    let seed = 20_261_120;
    let mut noise: u64 = seed;
    let mut next = |most: usize| {
        noise = mix(noise);
        usize::try_from(noise % most as u64).unwrap()
    };
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..2 + next(6) {
            let line = lines[next(lines.len())];
            // Whole lines, and parts of them that begin and end at a word's border.
            let words: Vec<&str> = line.split(' ').collect();
            let from = next(words.len());
            text.push_str(&words[from..=from + next(words.len() - from)].join(" "));
            text.push_str(["\n", " ", "\n\n", "</a>\n<b>"][next(4)]);
        }
        let (estimated, counted) = (estimate(&text), count(&text));
        assert!(
            estimated >= counted,
            "seed {seed}: {estimated} < {counted}: {text}"
        );
    }
}

#[test]
fn parts_that_meet_at_tags_bound_the_whole() {
    let starts = [
        "a", "Word", "----", "-- x", "(y)", "]]>x", "12", "é", "漢字", "&lt;b", "=", "...",
    ];
    for one in starts {
        for other in starts {
            let whole = format!("<a id=\"{one}\">{one}{other}</a>\n<b>{other}</b>\n");
            let parts = [
                format!("<a id=\"{one}\"></a>\n"),
                format!("{one}{other}"),
                "<b></b>\n".to_owned(),
                other.to_owned(),
            ];
            let sum: usize = parts.iter().map(|part| estimate(part)).sum();
            assert!(
                estimate(&whole) <= sum,
                "{} > {sum}: {whole}",
                estimate(&whole)
            );
        }
    }
}

#[test]
fn plain_words_cost_about_a_quarter_of_their_bytes() {
    let text = "the quick brown fox jumps over the lazy dog and runs away";
    assert!((text.len() / 4..=text.len() / 3).contains(&estimate(text)));
}

/// The tokens of a vocabulary that are text.
fn vocabulary(real: &CoreBPE) -> HashSet<String> {
    let tokens = (0..200_000).filter_map(|rank| real.decode_bytes(&[rank]).ok());
    tokens
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it writes a file of the sources")]
fn the_words_are_those_of_the_tokenizers() {
    let [one, other] = [&REAL[0], &REAL[1]].map(vocabulary);
    let words = one
        .intersection(&other)
        .filter_map(|token| token.strip_prefix(' '));
    let words =
        words.filter(|word| word.len() >= 3 && word.bytes().all(|b| b.is_ascii_lowercase()));
    let mut bits = vec![0_u8; WORDS.len()];
    for place in words.flat_map(|word| places(word.as_bytes())) {
        bits[place / 8] |= 1 << (place % 8);
    }
    if bits != WORDS {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/context/tokens/words.bin");
        std::fs::write(file, bits).unwrap();
        panic!("words.bin was stale; it is written again: commit it");
    }
}

#[test]
fn the_tables_are_those_of_the_tokenizers() {
    let alone: Vec<usize> = (0..0x1_0000)
        .map(|code| {
            char::from_u32(code).map_or(9, |c| {
                if code < 0x80 {
                    1
                } else {
                    count(&c.to_string())
                }
            })
        })
        .collect();
    let alone = |code: u32| alone[code as usize];
    for (place, sign) in SIGNS.iter().enumerate() {
        let with = SIGNS.iter().enumerate().filter(|(_, other)| {
            count(&format!("{}{}", char::from(*sign), char::from(**other))) == 1
        });
        let bits = with.fold(0_u32, |bits, (at, _)| bits | 1 << at);
        assert_eq!(PAIRS[place], bits, "{}", char::from(*sign));
    }
    for code in 0x80..0x800_u32 {
        let known = TWO_BYTES[(code as usize - 0x80) / 64] & (1 << (code % 64)) != 0;
        assert_eq!(known, alone(code) == 1, "U+{code:04X}");
    }
    let known = (0x800..0x1_0000).filter(|code| alone(*code) == 1);
    let known: Vec<u16> = known.map(|code| u16::try_from(code).unwrap()).collect();
    assert_eq!(THREE_BYTES.as_slice(), known);
    for block in 0..1_024_u32 {
        let short = (0..64).all(|at| alone(block * 64 + at) <= 2);
        assert_eq!(
            BLOCKS[block as usize / 64] & (1 << (block % 64)) != 0,
            short,
            "block {block}"
        );
    }
    // So no character has more tokens than it is counted with.
    for c in (0x80..0x1_0000).filter_map(char::from_u32) {
        assert!(other(c) >= alone(u32::from(c)), "{c:?}");
    }
    for c in ('\u{1f300}'..='\u{1faff}').step_by(7) {
        assert!(other(c) >= count(&c.to_string()), "{c:?}");
    }
}
