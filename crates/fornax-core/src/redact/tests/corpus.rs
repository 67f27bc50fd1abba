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

/// The BEGIN line, the body and the END line of a private key, with `eol` between its lines.
pub(super) fn private_key(fake: &mut Fake, label: &str, eol: &str) -> (String, String, String) {
    let mut body = String::from(eol);
    for _ in 0..6 {
        body += &(fake.fill(BASE64, 64) + eol);
    }
    body += &(fake.fill(BASE64, 30) + "==" + eol);
    let line = |word: &str| format!("-----{word} {label}-----");
    (line("BEGIN"), body, line("END"))
}

/// Private keys of all kinds, as files, JSON strings and logs hold them.
pub(super) fn private_keys() -> Vec<(String, String, String)> {
    const LABELS: &[&str] = &[
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ];
    const EOLS: &[&str] = &[
        "\n",
        "\r\n",
        "\\n",
        "\n    ",
        "\nweb_1  | 2026-11-20T10:00:00Z ",
    ];
    let mut fake = Fake::new(41);
    let mut out = Vec::new();
    for label in LABELS {
        for eol in EOLS {
            out.push(private_key(&mut fake, label, eol));
        }
    }
    let (begin, body, end) = private_key(&mut fake, "RSA PRIVATE KEY", "\n");
    let headers =
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123456789ABCDEF0123456789ABCDEF\n";
    out.push((begin, format!("{headers}{body}"), end));
    out
}

/// Secrets in their surroundings: what is replaced is a part of the text.
pub(super) fn placed() -> Vec<Sample> {
    let mut fake = Fake::new(99);
    let mut out = Vec::new();
    let mut add = |kind, before: &str, secret: String, after: &str| {
        out.push(Sample {
            kind,
            text: format!("{before}{secret}{after}"),
            secret,
        });
    };
    add(
        "password",
        "postgres://app:",
        fake.fill(ALNUM, 12),
        "@db.local:5432/app?sslmode=require",
    );
    add("password", "redis://:", fake.fill(ALNUM, 9), "@cache:6379");
    add(
        "password",
        "https://deploy:",
        "p@ss:w0rd".into(),
        "@git.example.com/x.git",
    );
    add(
        "azure",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=",
        fake.fill(BASE64, 86) + "==",
        ";EndpointSuffix=core.windows.net",
    );
    add(
        "azure",
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=",
        fake.fill(BASE64, 43) + "=",
        "",
    );
    add(
        "azure",
        "https://a.blob.core.windows.net/c/b?sv=2022-11-02&sr=b&sig=",
        fake.fill(ALNUM, 43) + "%3D",
        "&se=2030",
    );
    add(
        "azure",
        "client id abc, x1.",
        ["8", "Q~"].concat() + &fake.fill(ALNUM, 34),
        " end",
    );
    add(
        "slack",
        "curl https://hooks.slack.com/services/",
        format!(
            "T{}/B{}/{}",
            fake.fill(BASE32, 8),
            fake.fill(BASE32, 8),
            fake.fill(ALNUM, 24)
        ),
        " -d x",
    );
    add(
        "discord",
        "https://discord.com/api/webhooks/",
        format!(
            "{}/{}",
            fake.fill(DIGITS, 19),
            fake.fill(BASE64URL, 67) + "Ab"
        ),
        " ok",
    );
    add(
        "telegram",
        "https://api.telegram.org/bot1234567890:",
        "AA".to_owned() + &fake.fill(ALNUM, 33),
        "/getMe",
    );
    add(
        "twilio",
        "TWILIO_KEY_SID=",
        "SK".to_owned() + &fake.fill(HEX, 32),
        "\n",
    );
    add(
        "secret",
        "aws_secret_access_key = ",
        fake.fill(BASE64, 40),
        "\n",
    );
    add("secret", "AWS_SESSION_TOKEN=", fake.fill(BASE64, 300), "\n");
    add(
        "basic",
        "> Authorization: Basic ",
        encode64(b"user:correct-horse"),
        "\r\n",
    );
    add("bearer", "using Bearer ", fake.fill(ALNUM, 32), " as told");
    add(
        "bearer",
        "-H 'Authorization: Bearer ",
        "letmein-please".into(),
        "' https://x",
    );
    add(
        "authorization",
        "authorization: token ",
        fake.fill(HEX, 40),
        "",
    );
    add(
        "bearer",
        "{\"Authorization\":\"Bearer ",
        fake.fill(ALNUM, 20),
        "\",\"x\":1}",
    );
    add(
        "cookie",
        "Cookie: ",
        "sid=abc123def; theme=dark".into(),
        "\r\nAccept: */*",
    );
    add(
        "cookie",
        "set-cookie: ",
        "session=8f7d6a5b; Path=/; HttpOnly".into(),
        "\n",
    );
    add(
        "cookie",
        "curl -H \"Cookie: ",
        "sid=abc123def".into(),
        "\" https://x",
    );
    add("password", "DB_PASSWORD=", "hunter2".into(), "\nDB_HOST=x");
    add(
        "password",
        "export PGPASS=1; MYSQL_PWD=",
        "letmein".into(),
        " mysql -u root",
    );
    add("password", "password: ", "hunter22".into(), "\n");
    add("password", "password: ", "letmein".into(), "\n");
    add("password", "db.password = ", "s3cr3t!x".into(), "\n");
    add(
        "password",
        "Server=x;Uid=sa;Pwd=",
        "Adm1n!pw".into(),
        ";Database=y",
    );
    add(
        "password",
        "https://x/login?user=a&password=",
        "hunter2".into(),
        "&next=/",
    );
    add(
        "password",
        "{\\\"password\\\":\\\"",
        "hunter2".into(),
        "\\\",\\\"user\\\":\\\"a\\\"}",
    );
    add(
        "password",
        "{\"Password\" : \"",
        "hun\\\"ter2".into(),
        "\"}",
    );
    add(
        "password",
        "const password: string = \"",
        "hunter2".into(),
        "\";",
    );
    add(
        "password",
        "mysql --password=",
        "letmein".into(),
        " -u root",
    );
    add(
        "password",
        "login --password ",
        "hunt3r-2x".into(),
        " --user bob",
    );
    add(
        "password",
        "wallet passphrase: \"",
        "correct horse battery staple".into(),
        "\"",
    );
    add("secret", "client_secret='", fake.fill(ALNUM, 32), "'");
    add("secret", "apiKey: \"", fake.fill(ALNUM, 24), "\",");
    add("secret", "api-key: ", fake.fill(HEX, 32), "\n");
    add("secret", "X-Api-Key: ", fake.fill(HEX, 32), "\r\n");
    add(
        "secret",
        "process.env['API_KEY'] = '",
        fake.fill(HEX, 32),
        "'",
    );
    add(
        "secret",
        "[\"claude\", \"--api-key\", \"",
        fake.fill(HEX, 32),
        "\"]",
    );
    add("secret", "?access_token=", fake.fill(ALNUM, 32), "&x=1");
    add(
        "secret",
        "//registry.npmjs.org/:_authToken=",
        fake.fill(HEX, 36),
        "\n",
    );
    add("secret", "fornax run --token ", fake.fill(ALNUM, 20), " x");
    add(
        "secret",
        "\\u001b[32mGITHUB_TOKEN=",
        fake.fill(HEX, 40),
        "\\u001b[0m",
    );
    add("secret", "ENCRYPTION_KEY=", fake.fill(HEX, 64), "\n");
    add("secret", "\"refreshToken\": \"", fake.fill(ALNUM, 40), "\"");
    add("secret", "line\\nAPI_TOKEN=", fake.fill(HEX, 40), "\\nnext");
    out
}
