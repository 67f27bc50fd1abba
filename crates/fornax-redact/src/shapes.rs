//! The token shapes: one line a shape. To teach Fornax a new one, add a line to [`SHAPES`] and its
//! example to the corpus in the tests.

use super::text::{
    ALNUM, BASE64, Class, DOTTED, Found, HEX, IDENT, PATH, QUERY, TOKEN, Text, Then, UNRESERVED,
    UPPER, Verdict, WORD,
};

/// A token that a prefix gives away: the prefix, then `min` to `max` bytes of a class.
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) prefix: &'static str,
    class: Class,
    min: usize,
    /// `OPEN`: any length from `min`.
    max: usize,
    mark: Mark,
    /// Leave the prefix in place, since it is no part of the secret.
    keep: bool,
    /// Bytes of the class that must stand before the prefix, and stay.
    lead: usize,
}

/// What else must hold of the body; random text of its length nearly always passes.
#[derive(Clone, Copy)]
enum Mark {
    /// Nothing.
    Any,
    /// Upper and lower case letters: not a row of words.
    Mixed,
    /// A digit.
    Digit,
    /// This text, somewhere.
    Has(&'static str),
}

/// Any length from the minimum on.
pub(super) const OPEN: usize = usize::MAX;

/// Bytes of one token that are held at most; what is longer is dropped as it comes.
pub(super) const TOKEN_HELD: usize = 512;

const fn shape(
    kind: &'static str,
    prefix: &'static str,
    class: Class,
    min: usize,
    max: usize,
) -> Shape {
    assert!(
        prefix.len() >= 3 && prefix.is_ascii(),
        "a prefix has at least 3 ASCII bytes"
    );
    assert!(
        min >= 1 && min <= TOKEN_HELD && max >= min,
        "1 <= min <= max, min <= TOKEN_HELD"
    );
    assert!(
        max == OPEN || max < TOKEN_HELD,
        "max is below TOKEN_HELD, or OPEN"
    );
    Shape {
        kind,
        prefix,
        class,
        min,
        max,
        mark: Mark::Any,
        keep: false,
        lead: 0,
    }
}

/// Where a token ends that runs to `end`: after the padding of base64, before a sentence's full stop.
fn trim(bytes: &[u8], body: usize, end: usize) -> usize {
    let run = &bytes[body..end];
    let padding = run.iter().position(|b| *b == b'=').map_or(run.len(), |at| {
        at + run[at..].iter().take_while(|b| **b == b'=').count()
    });
    let stops = run[..padding]
        .iter()
        .rev()
        .take_while(|b| **b == b'.')
        .count();
    body + padding - stops
}

impl Shape {
    const fn mixed(mut self) -> Self {
        self.mark = Mark::Mixed;
        self
    }
    const fn digit(mut self) -> Self {
        self.mark = Mark::Digit;
        self
    }
    const fn has(mut self, text: &'static str) -> Self {
        self.mark = Mark::Has(text);
        self
    }
    const fn after(mut self) -> Self {
        self.keep = true;
        self
    }
    const fn lead(mut self, bytes: usize) -> Self {
        self.lead = bytes;
        self
    }

    /// Judges the text at `at`, where the first bytes of the prefix were seen in some case.
    pub(super) fn at(&'static self, text: &Text<'_>, at: usize) -> Verdict<'static> {
        match text.starts_with(at, self.prefix.as_bytes()) {
            Some(true) => {}
            Some(false) => return Verdict::No,
            None if self.begins(text, at) => return Verdict::More(at),
            None => return Verdict::No,
        }
        if !self.begins(text, at) {
            return Verdict::No;
        }
        let body = at + self.prefix.len();
        let start = if self.keep { body } else { at };
        let end = text.run(body, self.class, body + TOKEN_HELD);
        if text.open(end) && end < body + TOKEN_HELD {
            return Verdict::More(start);
        }
        let whole = end < body + TOKEN_HELD;
        let end = if whole {
            trim(text.bytes, body, end)
        } else {
            end
        };
        let len = end - body;
        let goes_on = |at: usize| text.get(at).is_some_and(|byte| IDENT.has(byte));
        let bordered = !whole || !goes_on(end - 1) || !goes_on(end);
        if len < self.min || len > self.max || !bordered || !self.marked(&text.bytes[body..end]) {
            return Verdict::No;
        }
        Verdict::Found(Found {
            start,
            end,
            kind: self.kind,
            then: if whole {
                Then::Plain
            } else {
                Then::Run(self.class)
            },
        })
    }

    /// Whether what stands before `at` lets the prefix begin there.
    pub(super) fn begins(&self, text: &Text<'_>, at: usize) -> bool {
        if self.lead == 0 {
            return text.word_starts(at);
        }
        let bound = text.floor.max(at.saturating_sub(self.lead));
        at - bound == self.lead
            && text.bytes[bound..at].iter().all(|b| self.class.has(*b))
            && !text.before(bound).is_some_and(|b| self.class.has(b))
    }

    fn marked(&self, body: &[u8]) -> bool {
        match self.mark {
            Mark::Any => true,
            Mark::Digit => body.iter().any(u8::is_ascii_digit),
            Mark::Mixed => {
                body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase)
            }
            Mark::Has(part) => memchr::memmem::find(body, part.as_bytes()).is_some(),
        }
    }

    /// The fourth byte of the text where the prefix has but three.
    pub(super) const fn class(&self) -> Class {
        self.class
    }
}

/// kind, prefix, class of the body, shortest and longest body; then what else must hold of it
/// (`mixed`, `digit`, `has`), and `after` where the prefix stays.
#[rustfmt::skip]
pub(super) const SHAPES: &[Shape] = &[
    // Models
    shape("anthropic", "sk-ant-", WORD, 24, OPEN).mixed(),
    shape("openrouter", "sk-or-", WORD, 32, OPEN).digit(),
    shape("openai", "sk-proj-", WORD, 32, OPEN).mixed(),
    shape("openai", "sk-svcacct-", WORD, 32, OPEN).mixed(),
    shape("openai", "sk-admin-", WORD, 32, OPEN).mixed(),
    shape("openai", "sk-None-", WORD, 32, OPEN).mixed(),
    shape("openai", "sk-", ALNUM, 48, 48).mixed(),
    shape("openai", "sk-", WORD, 40, OPEN).has("T3BlbkFJ"),
    shape("deepseek", "sk-", HEX, 32, 32).digit(),
    shape("langfuse", "sk-lf-", WORD, 36, 36).digit(),
    shape("langsmith", "lsv2_", IDENT, 40, OPEN).digit(),
    shape("google", "AIza", WORD, 35, 35).mixed(),
    shape("groq", "gsk_", ALNUM, 40, OPEN).mixed(),
    shape("xai", "xai-", ALNUM, 60, OPEN).mixed(),
    shape("perplexity", "pplx-", ALNUM, 32, OPEN).mixed(),
    shape("cerebras", "csk-", ALNUM, 32, OPEN).digit(),
    shape("replicate", "r8_", ALNUM, 37, 37).mixed(),
    shape("huggingface", "hf_", ALNUM, 30, 64).mixed(),
    shape("huggingface", "api_org_", ALNUM, 30, 64).mixed(),
    shape("tavily", "tvly-", WORD, 28, OPEN).mixed(),
    shape("elevenlabs", "sk_", HEX, 48, 48).digit(),
    shape("e2b", "e2b_", HEX, 40, 40).digit(),
    shape("jina", "jina_", WORD, 40, OPEN).mixed(),
    shape("firecrawl", "fc-", HEX, 32, 32).digit(),
    // Code hosts, registries, CI
    shape("github", "ghp_", ALNUM, 36, OPEN).mixed(),
    shape("github", "gho_", ALNUM, 36, OPEN).mixed(),
    shape("github", "ghu_", ALNUM, 36, OPEN).mixed(),
    shape("github", "ghs_", DOTTED, 36, OPEN).mixed(),
    shape("github", "ghr_", ALNUM, 36, OPEN).mixed(),
    shape("github", "github_pat_", IDENT, 36, OPEN).mixed(),
    shape("gitlab", "glpat-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "gldt-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glrt-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glcbt-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glptt-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glft-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glimt-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glagent-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "gloas-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glsoat-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "glffct-", DOTTED, 20, OPEN).digit(),
    shape("gitlab", "GR1348941", WORD, 20, 20).mixed(),
    shape("npm", "npm_", ALNUM, 36, 36).mixed(),
    shape("pypi", "pypi-AgE", WORD, 50, OPEN).mixed(),
    shape("rubygems", "rubygems_", HEX, 48, 48).digit(),
    shape("docker", "dckr_pat_", WORD, 20, OPEN).mixed(),
    shape("docker", "dckr_oat_", WORD, 20, OPEN).mixed(),
    shape("circleci", "CCIPAT_", IDENT, 40, OPEN).digit(),
    shape("buildkite", "bkua_", ALNUM, 40, 40).digit(),
    shape("sonar", "squ_", HEX, 40, 40).digit(),
    shape("sonar", "sqp_", HEX, 40, 40).digit(),
    shape("sonar", "sqa_", HEX, 40, 40).digit(),
    shape("postman", "PMAK-", WORD, 50, OPEN).digit(),
    // Clouds
    shape("aws", "AKIA", UPPER, 16, 16),
    shape("aws", "ASIA", UPPER, 16, 16),
    shape("aws", "ABIA", UPPER, 16, 16),
    shape("aws", "ACCA", UPPER, 16, 16),
    shape("aws", "ABSK", BASE64, 100, OPEN).mixed(),
    shape("alibaba", "LTAI", ALNUM, 16, 26).mixed(),
    shape("google", "GOCSPX-", WORD, 28, 28).mixed(),
    shape("google", "ya29.", DOTTED, 20, OPEN).mixed(),
    shape("azure", "AccountKey=", BASE64, 80, 96).mixed().after(),
    shape("azure", "SharedAccessKey=", BASE64, 40, 96).mixed().after(),
    shape("azure", "sig=", QUERY, 40, 160).mixed().after(),
    shape("azure", "8Q~", UNRESERVED, 31, 34).mixed().lead(3),
    shape("azure", "7Q~", UNRESERVED, 31, 34).mixed().lead(3),
    shape("digitalocean", "dop_v1_", HEX, 64, 64).digit(),
    shape("digitalocean", "doo_v1_", HEX, 64, 64).digit(),
    shape("digitalocean", "dor_v1_", HEX, 64, 64).digit(),
    shape("cloudflare", "cfut_", WORD, 40, OPEN).mixed(),
    shape("cloudflare", "cfat_", WORD, 40, OPEN).mixed(),
    shape("cloudflare", "v1.0-", WORD, 150, OPEN).digit(),
    shape("databricks", "dapi", HEX, 32, 32).digit(),
    shape("databricks", "dkea", HEX, 32, 32).digit(),
    shape("heroku", "HRKU-", WORD, 36, OPEN).digit(),
    shape("fly", "fm2_", BASE64, 100, OPEN).mixed(),
    shape("fly", "fo1_", WORD, 43, 43).mixed(),
    shape("netlify", "nfp_", ALNUM, 36, OPEN).mixed(),
    shape("pulumi", "pul-", HEX, 40, 40).digit(),
    shape("planetscale", "pscale_tkn_", DOTTED, 32, OPEN).mixed(),
    shape("planetscale", "pscale_pw_", DOTTED, 32, OPEN).mixed(),
    shape("supabase", "sbp_", HEX, 40, 40).digit(),
    shape("supabase", "sb_secret_", WORD, 24, OPEN).mixed(),
    shape("tailscale", "tskey-", WORD, 20, OPEN).mixed(),
    shape("terraform", ".atlasv1.", WORD, 60, OPEN).mixed().lead(14),
    shape("vault", "hvs.", WORD, 24, OPEN).mixed(),
    shape("vault", "hvb.", WORD, 24, OPEN).mixed(),
    shape("vault", "hvr.", WORD, 24, OPEN).mixed(),
    shape("doppler", "dp.pt.", ALNUM, 40, 44).mixed(),
    shape("doppler", "dp.st.", DOTTED, 40, 80).mixed(),
    shape("onepassword", "ops_eyJ", BASE64, 200, OPEN).mixed(),
    shape("grafana", "glsa_", IDENT, 41, 41).mixed(),
    shape("grafana", "glc_", BASE64, 40, OPEN).mixed(),
    shape("sentry", "sntrys_", TOKEN, 40, OPEN).mixed(),
    shape("sentry", "sntryu_", HEX, 64, 64).digit(),
    shape("newrelic", "NRAK-", UPPER, 27, 27),
    // Messages, payment, shops, notes
    shape("slack", "xoxb-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxp-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxa-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxr-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxs-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxe-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxe.xox", DOTTED, 20, OPEN).digit(),
    shape("slack", "xoxc-", WORD, 20, OPEN).digit(),
    shape("slack", "xoxd-", QUERY, 20, OPEN).mixed(),
    shape("slack", "xapp-", WORD, 40, OPEN).digit(),
    shape("slack", "hooks.slack.com/services/", PATH, 24, OPEN).mixed().after(),
    shape("slack", "hooks.slack.com/workflows/", PATH, 24, OPEN).mixed().after(),
    shape("discord", "discord.com/api/webhooks/", PATH, 60, OPEN).mixed().after(),
    shape("discord", "discordapp.com/api/webhooks/", PATH, 60, OPEN).mixed().after(),
    shape("stripe", "sk_live_", ALNUM, 16, OPEN).digit(),
    shape("stripe", "sk_test_", ALNUM, 16, OPEN).digit(),
    shape("stripe", "rk_live_", ALNUM, 16, OPEN).digit(),
    shape("stripe", "rk_test_", ALNUM, 16, OPEN).digit(),
    shape("stripe", "sk_org_", ALNUM, 24, OPEN).digit(),
    shape("stripe", "whsec_", BASE64, 24, OPEN).mixed(),
    shape("square", "sq0atp-", WORD, 22, 22),
    shape("square", "sq0csp-", WORD, 43, 43),
    shape("square", "EAAA", WORD, 60, 60).mixed(),
    shape("shopify", "shpat_", ALNUM, 32, 40).digit(),
    shape("shopify", "shpca_", ALNUM, 32, 40).digit(),
    shape("shopify", "shppa_", ALNUM, 32, 40).digit(),
    shape("shopify", "shpss_", ALNUM, 32, 40).digit(),
    shape("sendgrid", "SG.", DOTTED, 60, 72).mixed(),
    shape("mailgun", "key-", HEX, 32, 32).digit(),
    shape("brevo", "xkeysib-", WORD, 80, 84).digit(),
    shape("linear", "lin_api_", ALNUM, 32, OPEN).mixed(),
    shape("linear", "lin_oauth_", ALNUM, 32, OPEN).digit(),
    shape("notion", "ntn_", ALNUM, 40, 50).mixed(),
    shape("notion", "secret_", ALNUM, 43, 43).mixed(),
    shape("figma", "figd_", WORD, 38, OPEN).mixed(),
    shape("atlassian", "ATATT3", TOKEN, 100, OPEN).mixed(),
    shape("age", "AGE-SECRET-KEY-1", UPPER, 58, 58),
];

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::{Mark, OPEN, SHAPES, Shape};

    /// A body of `len` bytes: those of the class in turn, the same for each run.
    fn body(shape: &Shape, len: usize) -> String {
        let class: Vec<char> = (0..=127_u8)
            .filter(|b| shape.class.has(*b) && !b"=.%".contains(b))
            .map(char::from)
            .collect();
        let body: String = (0..len)
            .map(|at| class[(at * 7 + 3) % class.len()])
            .collect();
        match shape.mark {
            Mark::Has(part) => format!("{part}{}", &body[part.len()..]),
            _ => body,
        }
    }

    #[test]
    fn every_shape_is_found_from_its_shortest_to_its_longest() {
        let rules = Rules::builtin();
        for shape in SHAPES {
            let longest = if shape.max == OPEN {
                shape.min + 2000
            } else {
                shape.max
            };
            for len in [shape.min, longest] {
                let lead = "x".repeat(shape.lead);
                let text = format!("see {lead}{}{} end", shape.prefix, body(shape, len));
                let kept = if shape.keep { shape.prefix } else { "" };
                let expected = format!("see {lead}{kept}[redacted:{}] end", shape.kind);
                assert_eq!(rules.redact(&text), expected, "{} of {len}", shape.prefix);
            }
            let short = format!("see {}{} end", shape.prefix, body(shape, shape.min - 1));
            let found = rules
                .redact(&short)
                .contains(&format!("[redacted:{}]", shape.kind));
            assert!(!found, "{} of one byte less is found", shape.prefix);
        }
    }
}
