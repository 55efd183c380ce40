"""What is masked, and what is not."""

import time

import pytest

from gjrpc.masking import MASK, mask

SECRET = "hunter2"
LONGEST = 32_768  # characters of a command line that `system` hands over


@pytest.mark.parametrize(
    "words",
    [
        ["x", f"--password={SECRET}"],
        ["x", "--password", f"{SECRET} {SECRET}"],
        ["x", "--client-secret", f"-{SECRET}"],
        ["x", f"--db-pass={SECRET} {SECRET}"],
        ["x", f"--apiKey={SECRET}"],
        ["java", f"-Dspring.datasource.password={SECRET}", "-jar", "x"],
        ["env", f"DB_PASSWORD={SECRET}", "x"],
        ["docker", "run", "-e", f"NAME_SECRET={SECRET}", "image"],
        ["docker", "run", f"--env=API_TOKEN={SECRET}", "image"],
        ["/usr/bin/mysqldump", "--host", "h", f"-p{SECRET}", "db"],
        ["sshpass", "-p", SECRET, "ssh", "host"],
        ["redis-cli", "-h", "host", "-a", SECRET],
        ["curl", "-sSu", f"me:{SECRET}"],
        ["curl", "--user", f"me:{SECRET}"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}"],
        ["curl", "-H", f'Authorization: Digest username="a", response="{SECRET}"'],
        ["curl", "-H", f"X-Api-Key:{SECRET}"],
        ["curl", "-H", f"Cookie: a=1; b={SECRET}"],
        ["openssl", "-passin", f"pass:{SECRET}"],
        ["sh", "-c", f"mysql -u root -p{SECRET} db"],
        ["sh", "-c", f"x --password '{SECRET} {SECRET}' y"],
        ["sh", "-c", f"DB_SECRET={SECRET} run"],
        [f"a title --password {SECRET}"],
        ["x", f"postgres://me:{SECRET}@host/db"],
        ["x", f"redis://:{SECRET}@host"],
        ["x", f"amqp://me:a@{SECRET}@host"],
        ["git", "clone", f"https://{SECRET}@github.com/x"],
        ["x", f"https://host/?a=1&token={SECRET}&b=2"],
        ["x", f"https://hooks.slack.com/services/T0/B0/{SECRET}"],
        ["x", f'{{"password": "{SECRET}"}}'],
        ["x", f"Server=h;Password={SECRET};"],
        ["x", f"host=h password={SECRET} dbname=x"],
        ["x", f"EndpointsProtocol=https;AccountKey={SECRET}=="],
        ["x", f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----"],
        ["x", f"-----BEGIN PRIVATE KEY-----\n{SECRET}"],
        ["x", f"AKIA{SECRET.upper():A<16}"],
        ["x", f"ghp_{SECRET:a<36}"],
    ],
)
def test_masked(words):
    """What looks like a secret in a command line is masked."""
    shown = mask(*words)
    assert SECRET not in shown.lower()
    assert MASK in shown
    assert shown.startswith(words[0][:5])


@pytest.mark.parametrize(
    "line",
    [
        "ssh -p22 me@host",
        "mkdir -p a",
        "docker run -p8080:80 -v /run/secrets:/run/secrets:ro nginx",
        "mysqld --port=3306 -P3306",
        "find -path x",
        "git clone git@github.com:x/y",
        "x --password-file /etc/x --no-auth --port 80",
        "x --keyboard=de",
        "postgres: me db 127.0.0.1(5432) idle",
    ],
)
def test_harmless(line):
    """What only resembles a secret is shown."""
    assert mask(*line.split(" ")) == line


def test_rest_is_shown():
    """Only the secret is masked, the rest of the line stays."""
    shown = mask("x", "--token", SECRET, "-v", f"postgres://me:{SECRET}@host/db", "end")
    assert shown == "x --token ******** -v postgres://me:********@host/db end"


def test_bounded():
    """A command line made to keep the patterns busy is masked within bounded time."""
    start = time.monotonic()
    for evil in ("mysql ", "a://:", "\0-pass", "-----BEGIN PRIVATE KEY-----", 'pass="', "keys"):
        mask(evil * (LONGEST // len(evil)))
    assert time.monotonic() - start < 10
