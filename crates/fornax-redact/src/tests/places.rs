//! Fake secrets in the places where real ones are found.

use super::corpus::{ALNUM, BASE32, BASE64, BASE64URL, DIGITS, Fake, HEX, Sample, encode64};

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
    for password in [
        "$ecret!1",
        "#Passw0rd",
        "&x7%Q!z",
        "*3arrow*9",
        "pa(ss)w0rd!",
    ] {
        add("password", "password: '", password.into(), "'");
    }
    add("password", "SMTP_PASSWORD=", "$ecret!1".into(), "\n");
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
