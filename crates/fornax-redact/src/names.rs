//! Which names say that their value is a secret.

/// The longest name that is judged, in bytes.
pub(super) const NAME_MAX: usize = 96;

/// What the name of a secret says of its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    /// A person may have chosen the value: any text may be it.
    Password,
    /// Several words.
    Phrase,
    /// A machine made the value.
    Secret,
    /// The name has other meanings too (`token` in a parser): only a value that looks random.
    Weak,
    /// `Authorization` and its kin: the value may begin with a scheme.
    Authorization,
    /// `Cookie`, `Set-Cookie`: the value is the rest of the line.
    Cookie,
}

/// Names whose last word is `key` are secrets after one of these.
#[rustfmt::skip]
const KEY_OWNERS: &[&str] = &[
    "access", "account", "admin", "api", "app", "application", "auth", "client", "consumer",
    "deploy", "encrypt", "encryption", "hmac", "ingestion", "integration", "jwt", "license",
    "master", "private", "role", "root", "secret", "service", "shared", "sign", "signing", "ssh",
    "storage", "webhook", "write",
];

/// Tokens of parsers, pagers and models.
#[rustfmt::skip]
const TOKEN_STRANGERS: &[&str] = &[
    "bos", "byte", "cancel", "cancellation", "cls", "completion", "continuation", "cost",
    "cursor", "end", "eof", "eos", "expected", "first", "image", "input", "invalid", "is",
    "keyword", "last", "lookahead", "mask", "max", "min", "next", "num", "out", "output", "pad",
    "page", "parse", "parser", "peek", "per", "prev", "prompt", "punct", "sep", "special",
    "start", "stop", "string", "syntax", "time", "total", "unexpected", "unk", "unknown", "word",
];

/// Words before `pass` and `pwd` that make them passwords.
#[rustfmt::skip]
const PASS_OWNERS: &[&str] = &[
    "admin", "auth", "basic", "broker", "cert", "database", "db", "email", "ftp", "git", "http",
    "imap", "key", "keystore", "ldap", "login", "mail", "mongo", "mongodb", "mqtt", "mysql", "pg",
    "pop3", "postgres", "postgresql", "proxy", "rabbitmq", "redis", "registry", "root", "sftp",
    "smtp", "sql", "ssh", "sudo", "user", "vnc", "vpn", "wifi",
];

/// Words after the one that counts, which change nothing.
#[rustfmt::skip]
const QUALIFIERS: &[&str] = &[
    "b64", "backup", "base64", "ci", "current", "default", "dev", "live", "local", "main", "new",
    "old", "plain", "plaintext", "previous", "primary", "prod", "production", "raw", "ro", "rw",
    "secondary", "stage", "staging", "test", "v1", "v2", "value",
];

/// What the name says of its value; `None` where it names no secret.
pub(super) fn classify(name: &[u8]) -> Option<Name> {
    if name.len() > NAME_MAX || name.len() < 4 {
        return None;
    }
    let mut buffer = [0; 2 * NAME_MAX];
    let words = split(name, &mut buffer);
    let mut words = words
        .split(|b| *b == b' ')
        .filter_map(|w| std::str::from_utf8(w).ok())
        .filter(|w| !w.is_empty())
        .rev()
        .skip_while(|w| QUALIFIERS.contains(w) || w.bytes().all(|b| b.is_ascii_digit()));
    let last = words.next()?;
    let last = last.trim_end_matches(|c: char| c.is_ascii_digit());
    let before = words.next();
    let owned = |owners: &[&str]| before.is_some_and(|b| owners.contains(&b));
    match last {
        "password" | "passwd" | "passcode" => Some(Name::Password),
        "pass" | "pwd" if owned(PASS_OWNERS) => Some(Name::Password),
        "passphrase" | "mnemonic" => Some(Name::Phrase),
        "phrase" if owned(&["pass", "recovery", "secret", "seed"]) => Some(Name::Phrase),
        "secret" => Some(Name::Secret),
        "key" if owned(KEY_OWNERS) => Some(Name::Secret),
        "token" => match before {
            None => Some(Name::Weak),
            Some(b) => (!TOKEN_STRANGERS.contains(&b)).then_some(Name::Secret),
        },
        "pat" if before.is_some() => Some(Name::Secret),
        "authorization" | "authorisation" => Some(Name::Authorization),
        "cookie" | "cookies" => Some(Name::Cookie),
        "credential" | "credentials" | "creds" => Some(Name::Weak),
        fused => classify_fused(fused),
    }
}

/// Names written as one word: `dbpassword`, `APIKEY`.
fn classify_fused(word: &str) -> Option<Name> {
    if word.ends_with("password") || word.ends_with("passwd") {
        return Some(Name::Password);
    }
    if word.ends_with("secret") {
        return Some(Name::Secret);
    }
    if let Some(owner) = word.strip_suffix("key") {
        let owner = owner.strip_suffix("api").map_or(owner, |_| "api");
        return KEY_OWNERS.contains(&owner).then_some(Name::Secret);
    }
    let owner = word.strip_suffix("token")?;
    let known = [
        "access", "api", "auth", "bearer", "bot", "csrf", "id", "refresh", "session", "user",
        "xsrf",
    ];
    known.contains(&owner).then_some(Name::Secret)
}

/// Writes the words of a name, lower case, with a space between: `dbAPIKey_2` is `db api key 2`.
fn split<'b>(name: &[u8], buffer: &'b mut [u8; 2 * NAME_MAX]) -> &'b [u8] {
    let mut len = 0;
    for (at, byte) in name.iter().enumerate() {
        let before = at.checked_sub(1).map(|b| name[b]);
        let after = name.get(at + 1);
        let begins = byte.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_ascii_uppercase() && after.is_some_and(u8::is_ascii_lowercase))
            });
        if begins {
            buffer[len] = b' ';
            len += 1;
        }
        buffer[len] = if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            b' '
        };
        len += 1;
    }
    &buffer[..len]
}
