//! How much a frame matters to another: BM25 (Robertson, Zaragoza 2009) over what is said of them,
//! times how recent it is.

use std::collections::{HashMap, HashSet};

use crate::time::Time;

/// BM25's saturation of repeated words, and its weight of a text's length; the usual values.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What is this old counts half.
const HALF_LIFE_MS: f64 = 4.0 * 60.0 * 60.0 * 1_000.0;

/// What scores less than this is left out.
pub(super) const THRESHOLD: f64 = 0.05;

/// How many letters of a word are compared.
const BEGINNING: usize = 5;

/// How much of a text is looked at.
const TEXT_MAX_BYTES: usize = 256;

/// A text that may matter: what is said of a frame, and when it last changed.
pub(super) struct Document<'a> {
    pub texts: Vec<&'a str>,
    pub paths: Vec<&'a str>,
    pub at: Time,
}

/// How much each document matters to the query, from 0 to 1. Ages are counted from the newest of
/// them, so that the same frames always score the same.
pub(super) fn scores(query: &Document<'_>, documents: &[Document<'_>]) -> Vec<f64> {
    let mut wanted = HashSet::new();
    each_word(query, |word| {
        if !wanted.contains(word) {
            wanted.insert(word.to_owned());
        }
    });
    let counted: Vec<(HashMap<&str, f64>, f64)> = documents
        .iter()
        .map(|document| count(&wanted, document))
        .collect();
    let all = documents.len() as f64;
    let average = counted.iter().map(|(_, length)| length).sum::<f64>() / all.max(1.0);
    let mut holding: HashMap<&str, f64> = HashMap::new();
    for word in counted.iter().flat_map(|(counts, _)| counts.keys()) {
        *holding.entry(word).or_insert(0.0) += 1.0;
    }
    let idf = |word: &str| {
        let with = holding.get(word).copied().unwrap_or(0.0);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    };
    // What a text would score that repeats every word without end.
    let best: f64 = wanted.iter().map(|word| idf(word) * (K1 + 1.0)).sum();
    let newest = documents.iter().map(|document| document.at).max();
    let score = |((counts, length), document): (&(HashMap<&str, f64>, f64), &Document<'_>)| {
        let mut words: Vec<_> = counts.iter().collect();
        // The order of a sum changes its last digits.
        words.sort_unstable_by_key(|(word, _)| **word);
        let bm25: f64 = words
            .iter()
            .map(|(word, count)| {
                let norm = K1 * (1.0 - B + B * length / average.max(1.0));
                idf(word) * (*count * (K1 + 1.0)) / (*count + norm)
            })
            .sum();
        // Few words of the query are in any text: the root lifts small shares, and keeps their order.
        let matching = if best > 0.0 {
            (bm25 / best).clamp(0.0, 1.0).sqrt()
        } else {
            0.0
        };
        let age = newest.map_or(0.0, |newest| newest.ms_since(document.at) as f64);
        matching * 0.5_f64.powf(age / HALF_LIFE_MS)
    };
    counted.iter().zip(documents).map(score).collect()
}

/// The beginnings of the words of some texts, as they are compared.
pub(crate) fn words(texts: &[&str]) -> impl Iterator<Item = String> {
    let document = Document {
        texts: texts.to_vec(),
        paths: Vec::new(),
        at: Time(0),
    };
    let mut words = Vec::new();
    each_word(&document, |word| words.push(word.to_owned()));
    words.into_iter()
}

/// How often a document has each of the wanted words, and how many words it has.
fn count<'a>(wanted: &'a HashSet<String>, document: &Document<'_>) -> (HashMap<&'a str, f64>, f64) {
    let mut counts = HashMap::new();
    let mut length = 0.0;
    each_word(document, |word| {
        length += 1.0;
        if let Some(word) = wanted.get(word) {
            *counts.entry(word.as_str()).or_insert(0.0) += 1.0;
        }
    });
    (counts, length)
}

/// The beginnings of words of two letters and more, in small letters; of those of an identifier, too.
/// What differs behind them is most often an ending: renewed, renewals. Paths are words of their own:
/// two frames that touched the same file have something in common.
fn each_word(document: &Document<'_>, mut see: impl FnMut(&str)) {
    let mut word = String::new();
    for text in &document.texts {
        for part in beginning(text).split(|c: char| !c.is_alphanumeric()) {
            if part.chars().nth(1).is_none() {
                continue;
            }
            word.clear();
            // One letter more than is compared: enough to tell a common word from a longer one.
            let start = part.chars().take(BEGINNING + 1);
            word.extend(start.flat_map(char::to_lowercase));
            if is_common(&word) {
                continue;
            }
            if let Some((end, _)) = word.char_indices().nth(BEGINNING) {
                word.truncate(end);
            }
            see(&word);
        }
    }
    for path in &document.paths {
        word.clear();
        word.push_str("path:");
        word.push_str(path);
        see(&word);
    }
}

/// What of a text is looked at: what it is about shows in its beginning.
fn beginning(text: &str) -> &str {
    let end = text.len().min(TEXT_MAX_BYTES);
    let end = (0..=end).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Words that say nothing of what a text is about.
fn is_common(word: &str) -> bool {
    const COMMON: [&str; 36] = [
        "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "do", "for", "from",
        "has", "have", "if", "in", "into", "is", "it", "its", "no", "not", "of", "on", "or", "so",
        "that", "the", "then", "this", "to", "was", "were", "which", "with",
    ];
    COMMON.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document<'a>(text: &'a str, paths: &[&'a str], at: i64) -> Document<'a> {
        Document {
            texts: vec![text],
            paths: paths.to_vec(),
            at: Time(at),
        }
    }

    #[test]
    fn what_is_about_the_same_scores_most_and_what_is_not_falls_under_the_threshold() {
        let query = document("Add token refresh to the login flow", &["src/login.rs"], 0);
        let documents = [
            document(
                "Login with passwords; tokens live an hour",
                &["src/login.rs"],
                0,
            ),
            document("Refresh the token store", &[], 0),
            document("Paint the landing page blue", &[], 0),
        ];
        let scores = scores(&query, &documents);
        assert!(scores[0] > THRESHOLD && scores[1] > THRESHOLD, "{scores:?}");
        assert_eq!(scores[2], 0.0);
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }

    #[test]
    fn endings_do_not_matter() {
        let query = document("Count late renewals", &[], 0);
        let scores = scores(&query, &[document("How leases are renewed", &[], 0)]);
        assert!(scores[0] > THRESHOLD, "{scores:?}");
    }

    #[test]
    fn four_hours_count_half() {
        let query = document("login", &[], 0);
        let hours = 4 * 60 * 60 * 1_000;
        let documents = [document("login", &[], hours), document("login", &[], 0)];
        let scores = scores(&query, &documents);
        assert!((scores[0] / scores[1] - 2.0).abs() < 1e-9, "{scores:?}");
    }

    #[test]
    fn common_words_are_in_order() {
        for word in ["an", "the", "with", "have"] {
            assert!(is_common(word));
        }
        assert!(!is_common("parser"));
    }
}
