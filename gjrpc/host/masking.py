"""Masks what looks like a secret in a command line or an environment variable.

Owns the table of kinds of secrets, which embedding code may change: add to `SECRETS`, or call `SECRETS.clear()` to show
everything. No request can do that. Pure functions of text.

Why rules of our own and no library: `tests/host/command_lines` has 872 lines with secrets and 382 harmless ones. These rules miss
1.4 % of the first and change none of the second. On lines that they were not tuned for, they missed 4 % (a half that was held
back), 19 % (264 lines written last, to find gaps) and 24 % (404 lines from the pages of tldr, before those gaps were closed; now
8 %). Of the 31,000 other lines of tldr they change 0.3 %. detect-secrets 1.5.0 (which needs PyYAML and requests) misses 67 % if
it reads the lines as files, and 91 % with its rules without entropy; with entropy it masks part of 99 % of the harmless lines.
bugiongrep 0.1.0 misses 67 %. secretscreen 0.6.0 misses 35 to 56 % and changes 5 to 10 % of the harmless lines. They search for
secrets in source code, which are assigned, quoted, long and random. Command lines have passwords that people chose, after options
of one letter.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from gjrpc.host.secret_names import is_any, is_made_up
from gjrpc.host.secret_places import Span, drawn, named, short_options

MASK = "********"

LONGEST = 32_768
"""The number of characters that are searched and shown; Java's class paths fit."""

Finder: TypeAlias = Callable[[str], Iterable[Span]]
"""Returns the spans of secrets in a text."""

# The tokens of services, by their prefixes. A token has no blanks, and begins at a word boundary.
_TOKENS = (
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}|LTAI[A-Za-z0-9]{12,}",  # AWS, Alibaba
    r"AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}|1//[\w-]{30,}",  # Google
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|gl(?:pat|ptt|dt|rt|cbt|ft|soat|imt|agent|ffct)-[\w.-]{16,}|GR1348941[\w-]{16,}",
    r"xox[a-z]{1,2}[.-][\w.-]{8,}|xapp-[\w-]{8,}",  # Slack
    r"[sr]k_(?:live|test)_\w{16,}|whsec_\w{16,}|sk-(?:proj|ant|or|live|test)-[\w-]{16,}",  # Stripe, OpenAI, Anthropic
    r"npm_\w{30,}|pypi-[\w-]{16,}|rubygems_\w{16,}|oy2[a-z0-9]{40,}|cio[A-Za-z0-9]{32}",  # package registries
    r"dckr_[a-z]{2,4}_[\w-]{16,}|do[oprt]_v1_\w{16,}|hv[sbr]\.[\w-]{16,}",  # Docker, DigitalOcean, Vault
    r"(?:[\w-]{1,32}\.)?atlasv1\.[\w-]{16,}|AT[AC]TT3[\w=-]{16,}|pul-[0-9a-f]{16,}",  # Terraform, Atlassian, Pulumi
    r"shp[a-z]{2,3}_\w{16,}|SG\.[\w-]{16,32}\.[\w-]{8,}|key-[0-9a-f]{32}|SK[0-9a-f]{32}|sq0[a-z]{3}-[\w-]{16,}",  # Shopify, mail
    r"hf_\w{20,}|gsk_\w{20,}|r8_\w{20,}|lin_api_\w{16,}|ntn_\w{20,}|figd_[\w-]{16,}|dp\.[a-z]{2,4}\.[\w.-]{16,}",
    r"PMAK-[\w-]{16,}|NRAK-\w{16,}|sntry[su]_[\w+/=-]{16,}|gl(?:sa|c)_[\w+/=]{16,}|sqp_\w{16,}|bkua_\w{16,}|tskey-[\w-]{16,}",
    r"ops_[\w-]{30,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{16,}|SWMTKN-1-[\w-]{16,}|sha256~[\w-]{16,}|K10[0-9a-f]{20,}::[\w:-]+",
    r"dapi[0-9a-f]{32}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|live_\d{6,12}_\w{20,}|gjrpc_[\w-]{20,}",
    r"p8e-\w{32}|pat\w{14}\.\w{32,}|ABSK[\w+/]{60,}|AKCp\w{60,}|cmVmd\w{50,}|4b1d\w{38}|[\w~.]{3}\dQ~[\w~.-]{31,}|t1\.[\w.-]{80,}",
    r"duffel_(?:test|live)_[\w=-]{20,}|dt0c01\.\w{24}\.\w{32,}|FLWSECK\w*-\w{12,}|f[mo][12]\w?_[\w+/-]{30,}|fio-u-[\w=-]{30,}",
    r"pat\.[\w-]{16,}\.\w{16,}\.\w{12,}|api_org_\w{30,}|s-s4t2\w{2}-\w{32,}|NRII-[\w-]{20,}|pscale_(?:tkn|oauth|pw)_[\w=.-]{20,}",
    r"pnu_\w{30,}|rdme_\w{40,}|xkeysib-[\w-]{40,}|sm_[aps]at_\w{16,}|sgp_\w{20,}|EAAA[\w-]{40,}|tfp_[\w=.-]{30,}|v1\.0-\w{24}-\w{60,}",
    r"(?:ey[JI]|ZXlK)[\w+/.=-]{24,}",  # JSON Web Tokens, and other JSON in Base64
    r"(?:bot)?\d{8,10}:[\w-]{35}|[MNO][\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,38}",  # bots of Telegram, Discord
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_TOKENS)})[\w+/=~.-]*")  # longer, in case a later form is
_MAYBE_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_])(?:[sr]k[-_][\w-]{16,}|secret_\w{30,}|s\.[A-Za-z0-9]{24}(?!\w))"
)  # it may also be a long name
_AUTHORITY = re.compile(r"://(?P<rest>(?:[^\s\0\"<>:]|:(?!//))+)")
_USER_PASSWORD = re.compile(
    r"(?<![\w.%+:@-])(?!mailto|sips?:|npm:)(?P<keep>[\w.%+:-]+:)[^\s\0/:]+(?=@(?!sha\d)(?:[A-Za-z\[]|\d+\.\d+\.\d+\.\d))"
)
_NETWORK = re.compile(r"@(?:tcp|udp|unix)\(")
_BEARER = re.compile(r"(?P<keep>\b(?:bearer|basic|token|digest)[ \t]{1,3})[\w.~+/=:-]{8,}", re.I)


def _secret_part(match: re.Match[str]) -> Span:
    return (match.end("keep") if "keep" in match.re.groupindex else match.start()), match.end()


def _found(pattern: re.Pattern[str], text: str, is_secret: Callable[[str], bool] = bool) -> Iterator[Span]:
    for match in pattern.finditer(text):
        at, end = _secret_part(match)
        if is_secret(text[at:end]):
            yield at, end


def _urls(text: str) -> Iterator[Span]:
    """Find the password before an `@`, whatever its characters; in an HTTP URL also a user name that looks like a token."""
    for match in _AUTHORITY.finditer(text):
        rest = match["rest"]
        authority = _ENDS_AUTHORITY.split(rest, 1)[0]
        path = rest.partition("?")[0]
        if "@" not in authority and (":" not in authority or authority[0] == "[" or authority.rpartition(":")[2].isdigit()):
            continue
        userinfo = (path if "@" in path else rest).rpartition("@")[0]
        user, colon, password = userinfo.partition(":")
        at = match.start("rest") + len(user) + len(colon)
        if colon and is_any(password):
            yield at, at + len(password)
        elif not colon and is_made_up(user) and text.endswith(("http", "https"), 0, match.start()):
            yield match.start("rest"), at


def _data_source_names(text: str) -> Iterator[Span]:
    """Find the password in a data source name of Go: `user:password@tcp(host)/name`."""
    for match in _NETWORK.finditer(text):
        before = _BLANK.split(text[max(0, match.start() - 256) : match.start()])[-1]
        password = before.partition(":")[2]
        if is_any(password):
            yield match.start() - len(password), match.start()


def _piped(text: str) -> Iterator[Span]:
    """Find a password that `echo` pipes to a program: `echo X | sudo -S id`."""
    for match in _READS_PASSWORD.finditer(text):
        before = max(0, match.start() - 256)
        words = _ECHO.split(text[before : match.start()].rstrip(" \0"))
        if len(words) > 1 and is_any(words[-1]):
            at = before + text[before : match.start()].rfind(words[-1])
            yield at, at + len(words[-1])


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


_READS_PASSWORD = re.compile(r"\|[^|]{0,200}?(?:sudo[\s\0]{1,3}-\w{0,8}S|stdin|passwd|argon2)")
_ECHO = re.compile(r"\b(?:echo|printf|yes)[\s\0]{1,3}(?:-n[\s\0]{1,3})?")
_ENDS_AUTHORITY = re.compile("[/?#]")
_BLANK = re.compile(r"[\s\0\"'=]")

SECRETS: dict[str, re.Pattern[str] | Finder] = {
    "private key": re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)", re.DOTALL
    ),
    "known token": _TOKEN,
    "likely token": lambda text: _found(_MAYBE_TOKEN, text, _has_digit),
    "value of a name": named,
    "option of a program": short_options,
    "random text": drawn,
    "scheme": lambda text: _found(_BEARER, text, lambda value: is_made_up(value) and _has_digit(value)),
    "password in a URL": _urls,
    "password in a data source name": _data_source_names,
    "user:password": lambda text: _found(_USER_PASSWORD, text, is_made_up),
    "webhook": re.compile(
        r"(?P<keep>\b(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|webhook\.office\.com|outlook\.office\.com/webhook)/)"
        r"[^\s\0]+",
        re.I,
    ),
    "statement": re.compile(
        r"(?P<keep>\b(?:identified\s{1,3}by|password|convertto-securestring)\s{0,3}[=(]?\s{0,3}')[^'\0]+", re.I
    ),
    "element": re.compile(r"(?P<keep><[\w.:-]{0,64}(?:password|passwd|secret|token|apikey)[^<>\0]{0,64}>)[^<\0]+", re.I),
    "piped password": _piped,
}
"""What looks like a secret, by kind: a pattern, whose group `keep` stays visible, or a function that returns spans. Both search a
command line with NUL between its arguments, or a variable as `NAME=value`."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def mask(*words: str) -> str:
    """Return the words as one line, with `MASK` for each secret that `SECRETS` finds, cut after `LONGEST` characters."""
    text = "\0".join(words)
    rest, text = text[LONGEST:], text[:LONGEST]
    pieces, done = [], 0
    for at, end in sorted(span for kind in SECRETS.values() for span in _spans(kind, text)):
        if at >= done:
            pieces += [text[done:at], MASK]
        done = max(done, end)
    shown = "".join([*pieces, text[done:]]).replace("\0", " ")
    return clean(shown + " …" * bool(rest))


def _spans(kind: re.Pattern[str] | Finder, text: str) -> Iterable[Span]:
    return _found(kind, text) if isinstance(kind, re.Pattern) else kind(text)


def clean(text: str) -> str:
    """Replace lone surrogates, which `os.fsdecode` makes of bytes that it can't decode, and which JSON can't hold."""
    return _SURROGATE.sub("\ufffd", text)
