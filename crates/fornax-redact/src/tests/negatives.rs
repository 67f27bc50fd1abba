//! Ordinary text stays byte for byte.

use super::super::Rules;
use super::corpus::{ALNUM, BASE64, DIGITS, Fake, HEX};

/// What looks like a secret, or stands beside the name of one, and is none.
const ORDINARY: &[&str] = &[
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "\"integrity\": \"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==\"",
    "id = 550e8400-e29b-41d4-a716-446655440000",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "/home/user/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/aho-corasick-1.1.5/src/packed/teddy/generic.rs",
    "{\"tokens_in\":12345,\"tokens_out\":67,\"tokens_total\":12412,\"tokens_cache_read\":1024,\"tokens_cache_write\":8}",
    "max_tokens=4096 max_tokens: 4096 token count: 1234567 total_tokens=123456789",
    "token: 50256, eos_token_id: 50256, \"eos_token\": \"<|endoftext|>\", \"pad_token\": \"[PAD]\"",
    "{\"token\": \"playground\", \"id\": 5123456} {\"token\": \"function\"}",
    ".sk-spinner-double-bounce .sk-child { animation: sk-bounce-delay 2.0s infinite ease-in-out }",
    "a task-force-one-hundred-and-twenty-eight-people-strong-organisation",
    "the sk-learn-contrib-and-other-packages-are-installed",
    "use hf_hub_download_with_a_rather_long_function_name_here",
    "npm_config_registry_and_some_other_long_environment_name",
    "pub token: String, password: str, secret: SecretString, api_key: Option<String>,",
    "fn login(password: &str, token: &'a Token<'a>, secret: impl Into<String>)",
    "let token = parser.next_token(); let token = self.peek(); password = getpass()",
    "token = tokens[i]; password = request.form['x']; api_key = os.environ[\"API_KEY\"]",
    "const apiKey = process.env.OPENAI_API_KEY; const token = import.meta.env.VITE_TOKEN;",
    "connect(user=user, password=password, token=auth_token, api_key=settings.api_key)",
    "API_KEY=${API_KEY} TOKEN=$TOKEN password=<password> secret=*** token={{ token }}",
    "password: \"${DB_PASSWORD}\" token: \"<your token>\" api_key: \"YOUR_API_KEY\" secret: \"xxxxxxxx\"",
    "DB_PASSWORD=changeme...",
    "API_TOKEN: null, API_SECRET: none, PASSWORD: true, api_key=undefined",
    "password: required, token: invalid token, secret: the one that nobody knows",
    "token: the next token of the input; password: at least eight characters",
    "usage: tool --token <TOKEN> --password PASSWORD [--api-key string]",
    "use --password to authenticate and --token for scripts",
    "Authorization: Bearer <token>   Authorization: Bearer $TOKEN   Authorization: Bearer ${TOKEN}",
    "the bearer of this letter; Bearer authentication; WWW-Authenticate: Bearer realm=\"example\"",
    "basic authentication; Basic dXNlcg is no pair; BASIC programming",
    "\"password\": \"Enter your password\", \"token\": \"Your API token\"",
    "token_type: bearer, token_url: https://example.com/oauth/token, secret_name: my-app-secret-1",
    "secretKeyRef: { name: db-credentials-2024, key: password }",
    "kubectl get secret my-secret-name; secret/my-secret-name-1234 created",
    "12 passed; 0 failed; passing: 1234567; compass: 12345678",
    "PWD=/home/user/projects/fornax OLDPWD=/var/lib/something pwd: /srv/app/releases/20240101",
    "the author: 12345678abc, authority=something12345, authenticated: yes12345",
    "monkey=banana12345 keyboard: qwerty12345 cache_key=9f86d081884c7d65 primary_key: id12345678 public_key=abc12345678",
    "https://example.com:8443/path?x=1#frag http://localhost:3000/@scope/name ssh://git@github.com/a/b",
    "https://user:${PASSWORD}@host postgres://user:<password>@host/db https://user:password@example.com/",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo\n-----END PUBLIC KEY-----",
    "grep -q '-----BEGIN RSA PRIVATE KEY-----' key.pem && echo found",
    "cookie: a small biscuit; set the cookie=yes; cookies are 12345678",
    "eyJ is how a web token begins; eyJhbGciOiJub25lIn0 alone is none",
    "MTIzNDU2Nzg5.abc.def version 1.2.3-beta.4+build.567 v1.0-rc1",
    "{\"key\":\"cmd_id\",\"keys\":[\"frame_id\",\"session_id\"],\"cmd_id\":\"0192f0c1-7b1e-7cc3-9f5a-3d1c5a0b1c2d\"}",
    "next_token: AAAAB3NzaC1yc2EAAAADAQAB12345 nextPageToken=CAUQAA1234567 page_token: abc12345678",
    "pub const ERROR_NO_TOKEN: WIN32_ERROR = 1008u32; SHARED_KEY: DOT11_AUTH_ALGORITHM = 2",
    "[redacted:anthropic] password=[redacted:password] \"token\": \"[redacted:secret]\" Bearer [redacted:bearer]",
];

fn stays(rules: &Rules, text: &str) {
    let got = rules.redact(text);
    assert!(
        matches!(got, std::borrow::Cow::Borrowed(_)),
        "{text}\nbecame\n{got}"
    );
}

#[test]
fn ordinary_text_stays() {
    let rules = Rules::builtin();
    for text in ORDINARY {
        stays(&rules, text);
    }
}

#[test]
fn ordinary_text_stays_inside_json() {
    let rules = Rules::builtin();
    for text in ORDINARY {
        let json = serde_json::json!({ "stdout": text, "lines": [text] });
        let mut value = json.clone();
        assert!(!rules.redact_json(&mut value), "{value}");
        assert_eq!(value, json);
    }
}

#[test]
fn hashes_ids_and_pictures_stay() {
    let rules = Rules::builtin();
    let mut fake = Fake::new(2026);
    for _ in 0..2000 {
        let hex = fake.fill(HEX, 64);
        let text = format!(
            "commit {} tree {hex}\nid {}-{}-4{}-a{}-{} n {}\nimg {}==\nname {}\n",
            &hex[..40],
            &hex[..8],
            &hex[8..12],
            &hex[12..15],
            &hex[15..18],
            &hex[18..30],
            fake.fill(DIGITS, 18),
            fake.fill(BASE64, 3000),
            fake.fill(ALNUM, 40),
        );
        stays(&rules, &text);
    }
}

#[test]
fn sources_and_lockfiles_stay() {
    let rules = Rules::builtin();
    let lock = include_str!("../../../../Cargo.lock");
    let sources = [
        include_str!("../engine.rs"),
        include_str!("../exact.rs"),
        include_str!("../names.rs"),
        include_str!("../scan.rs"),
        include_str!("../shapes.rs"),
        include_str!("../stream.rs"),
        include_str!("../text.rs"),
        include_str!("../walls.rs"),
    ];
    for text in sources.into_iter().chain([lock]) {
        for line in text.lines() {
            stays(&rules, line);
        }
        stays(&rules, text);
    }
}
