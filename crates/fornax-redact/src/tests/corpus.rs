//! Fake secrets of every kind, built from pieces at run time so that no scanner of repositories
//! takes them for real.

/// A reproducible source of characters.
pub(super) struct Fake(u64);

pub(super) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const BASE64URL: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub(super) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const HEX: &str = "0123456789abcdef";
pub(super) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(super) const DIGITS: &str = "0123456789";

impl Fake {
    pub(super) fn new(seed: u64) -> Self {
        Fake(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// `len` characters of the alphabet.
    pub(super) fn fill(&mut self, alphabet: &str, len: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..len)
            .map(|_| letters[self.number() as usize % letters.len()] as char)
            .collect()
    }
}

/// A secret of a kind; `secret` is the part that must not survive.
pub(super) struct Sample {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) secret: String,
}

/// kind, what the token begins with (in pieces), alphabet, length.
#[rustfmt::skip]
const TOKENS: &[(&str, &[&str], &str, usize)] = &[
    ("anthropic", &["sk-", "ant-", "api03-"], BASE64URL, 95),
    ("anthropic", &["sk-", "ant-", "oat01-"], BASE64URL, 95),
    ("anthropic", &["sk-", "ant-", "admin01-"], BASE64URL, 95),
    ("openrouter", &["sk-", "or-v1-"], HEX, 64),
    ("openai", &["sk-", "proj-"], BASE64URL, 156),
    ("openai", &["sk-", "svcacct-"], BASE64URL, 156),
    ("openai", &["sk-", "admin-"], BASE64URL, 156),
    ("openai", &["sk", "-"], ALNUM, 48),
    ("deepseek", &["sk", "-"], HEX, 32),
    ("langsmith", &["lsv2", "_pt_"], HEX, 43),
    ("google", &["AI", "za"], BASE64URL, 35),
    ("google", &["GOC", "SPX-"], BASE64URL, 28),
    ("google", &["ya", "29."], BASE64URL, 200),
    ("groq", &["gs", "k_"], ALNUM, 52),
    ("xai", &["xa", "i-"], ALNUM, 80),
    ("perplexity", &["ppl", "x-"], ALNUM, 48),
    ("replicate", &["r8", "_"], ALNUM, 37),
    ("huggingface", &["hf", "_"], ALNUM, 34),
    ("tavily", &["tvl", "y-dev-"], ALNUM, 32),
    ("github", &["gh", "p_"], ALNUM, 36),
    ("github", &["gh", "o_"], ALNUM, 36),
    ("github", &["gh", "u_"], ALNUM, 36),
    ("github", &["gh", "s_"], ALNUM, 36),
    ("github", &["gh", "r_"], ALNUM, 76),
    ("github", &["github", "_pat_", "11ABCDEFG0", "abcdefghijklm", "_"], ALNUM, 59),
    ("gitlab", &["glp", "at-"], BASE64URL, 24),
    ("gitlab", &["glr", "t-"], BASE64URL, 24),
    ("gitlab", &["gld", "t-"], BASE64URL, 24),
    ("gitlab", &["glcb", "t-"], BASE64URL, 24),
    ("npm", &["np", "m_"], ALNUM, 36),
    ("pypi", &["pyp", "i-AgE", "IcHlwaS5vcmc"], BASE64URL, 150),
    ("rubygems", &["ruby", "gems_"], HEX, 48),
    ("docker", &["dck", "r_pat_"], BASE64URL, 27),
    ("postman", &["PM", "AK-"], HEX, 59),
    ("aws", &["AK", "IA"], BASE32, 16),
    ("aws", &["AS", "IA"], BASE32, 16),
    ("alibaba", &["LT", "AI5t"], ALNUM, 20),
    ("digitalocean", &["dop", "_v1_"], HEX, 64),
    ("digitalocean", &["doo", "_v1_"], HEX, 64),
    ("databricks", &["da", "pi"], HEX, 32),
    ("heroku", &["HR", "KU-AA"], BASE64URL, 58),
    ("netlify", &["nf", "p_"], ALNUM, 36),
    ("pulumi", &["pu", "l-"], HEX, 40),
    ("planetscale", &["pscale", "_tkn_"], BASE64URL, 43),
    ("supabase", &["sb", "p_"], HEX, 40),
    ("supabase", &["sb", "_secret_"], BASE64URL, 31),
    ("tailscale", &["ts", "key-auth-k", "1234CNTRL-"], ALNUM, 32),
    ("vault", &["hv", "s."], BASE64URL, 95),
    ("vault", &["hv", "b."], BASE64URL, 150),
    ("doppler", &["dp", ".pt."], ALNUM, 43),
    ("grafana", &["gl", "sa_"], ALNUM, 41),
    ("sentry", &["sntr", "yu_"], HEX, 64),
    ("slack", &["xox", "b-12345678901-12345678901-"], ALNUM, 24),
    ("slack", &["xox", "p-12345678901-12345678901-"], HEX, 32),
    ("slack", &["xox", "e.xox", "p-1-"], BASE64URL, 120),
    ("slack", &["xa", "pp-1-A0123456789-1234567890123-"], HEX, 64),
    ("stripe", &["sk", "_live_"], ALNUM, 24),
    ("stripe", &["sk", "_test_51"], ALNUM, 99),
    ("stripe", &["rk", "_live_"], ALNUM, 24),
    ("stripe", &["wh", "sec_"], ALNUM, 32),
    ("square", &["sq0", "atp-"], BASE64URL, 22),
    ("square", &["sq0", "csp-"], BASE64URL, 43),
    ("square", &["EA", "AA"], BASE64URL, 60),
    ("shopify", &["shp", "at_"], HEX, 32),
    ("mailgun", &["key", "-"], HEX, 32),
    ("linear", &["lin", "_api_"], ALNUM, 40),
    ("notion", &["nt", "n_123456"], ALNUM, 40),
    ("notion", &["sec", "ret_"], ALNUM, 43),
    ("figma", &["fig", "d_"], BASE64URL, 40),
    ("atlassian", &["AT", "ATT3xFfGF0"], BASE64URL, 180),
    ("age", &["AGE-", "SECRET-", "KEY-1"], "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    ("elevenlabs", &["sk", "_"], HEX, 48),
];

/// Tokens that are replaced whole.
pub(super) fn tokens() -> Vec<Sample> {
    let mut out = Vec::new();
    for (at, (kind, pieces, alphabet, len)) in TOKENS.iter().enumerate() {
        for seed in 0..4 {
            let mut fake = Fake::new(at as u64 * 1000 + seed + 1);
            let mut text = pieces.concat();
            text.push_str(&fake.fill(alphabet, *len));
            // A token ends in a letter or digit here, so that the text around it can be a sentence's.
            text.pop();
            text.push('7');
            out.push(Sample {
                kind,
                secret: text.clone(),
                text,
            });
        }
    }
    let mut fake = Fake::new(7);
    let send = ["S", "G."].concat() + &fake.fill(BASE64URL, 22) + "." + &fake.fill(ALNUM, 43);
    out.push(Sample {
        kind: "sendgrid",
        secret: send.clone(),
        text: send,
    });
    let jwt = jwt(&mut fake);
    out.push(Sample {
        kind: "jwt",
        secret: jwt.clone(),
        text: jwt,
    });
    out
}

pub(super) fn jwt(fake: &mut Fake) -> String {
    let header = encode64(br#"{"alg":"HS256","typ":"JWT"}"#);
    let payload =
        encode64(format!(r#"{{"sub":"{}","iat":1516239022}}"#, fake.fill(DIGITS, 12)).as_bytes());
    format!("{header}.{payload}.{}", fake.fill(ALNUM, 43))
}

pub(super) fn encode64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let mut block = [0; 3];
        block[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, block[0], block[1], block[2]]);
        for at in 0..=three.len() {
            out.push(BASE64URL.as_bytes()[(bits >> (18 - 6 * at)) as usize & 63] as char);
        }
    }
    out
}
