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

/// A text that may matter: what is said of a frame, and when it last changed.
pub(super) struct Document<'a> {
    pub texts: Vec<&'a str>,
    pub paths: Vec<&'a str>,
    pub at: Time,
}

/// How much each document matters to the query, from 0 to 1. Ages are counted from the newest of
/// them, so that the same frames always score the same.
pub(super) fn scores(query: &Document<'_>, documents: &[Document<'_>]) -> Vec<f64> {
    let wanted: HashSet<String> = words(&query.texts).chain(paths(&query.paths)).collect();
    let counted: Vec<(HashMap<String, f64>, f64)> = documents
        .iter()
        .map(|document| {
            let mut counts = HashMap::new();
            let mut length = 0.0;
            for word in words(&document.texts).chain(paths(&document.paths)) {
                length += 1.0;
                if wanted.contains(&word) {
                    *counts.entry(word).or_insert(0.0) += 1.0;
                }
            }
            (counts, length)
        })
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
    let score = |((counts, length), document): (&(HashMap<String, f64>, f64), &Document<'_>)| {
        let mut words: Vec<_> = counts.iter().collect();
        // The order of a sum changes its last digits.
        words.sort_unstable_by_key(|(word, _)| word.as_str());
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

/// Words of two letters and more, in small letters; those of an identifier, too.
pub(crate) fn words<'a>(texts: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let parts = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    parts
        .filter(|word| word.chars().nth(1).is_some())
        .map(str::to_lowercase)
        .filter(|word| !is_common(word))
}

/// Paths as words of their own: two frames that touched the same file have something in common.
fn paths<'a>(paths: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    paths.iter().map(|path| format!("path:{path}"))
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
