"""What looks like a secret in a command line or a variable, and must not be shown.

Owns the patterns, in one table that is open to embedding code: add to `SECRETS`, or call `SECRETS.clear()` to show everything. No
request can ask for that. Pure functions of text.
"""

import re

MASK = "********"

_NAME = r"[\w.-]{0,64}"  # all repetitions are bounded: any local user can write a command line to keep a pattern busy
_SECRET_NAME = (
    rf"{_NAME}(?:pass(?:w(?:or)?d|phrase|code|key)|pass(?![a-z])|(?<!old)(?<=[a-z_.-])pwd?(?![a-z])|secret|token(?!iz)|credential"
    r"|(?<![a-z])creds?(?![a-z])|(?:(?<![a-z])|api|access|private|account|master|ssh)keys?(?![a-z])"
    r"|(?<![a-z])o?auth(?:orization)?(?![a-z])|cookie|signature|(?<![a-z])sig(?![a-z])|salt(?![a-z])|jwt|psk|webhook"
    rf"|conn(?:ection)?_?str){_NAME}(?<!file)(?<!sock)"
)
_VALUE = r"""(?:"[^"\0]*"?|'[^'\0]*'?|[^\0\s&;]+)"""
# Programs whose option for a secret is too short to tell by itself: `-p` is harmless in `ssh -p22` and `mkdir -p`.
_OPTION_OF = {
    r"(?:mysql|mariadb)[\w-]*|sshpass|7z\w?": "-p",
    "curl": r"(?:-[a-zA-Z]{0,8}[uU]|--(?:proxy-)?user=?)",
    r"ldap\w{2,16}": "-w",
    "redis-cli": "-a",
    "smbclient": "-U",
    r"xfreerdp\w?": "/p(?:assword)?:",
    "zip": "-P",
}
_SHORT = "|".join(rf"(?:{program})(?:[\0\s]+[^\0\s]{{1,256}}){{0,30}}?[\0\s]+{option}" for program, option in _OPTION_OF.items())

SECRETS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    "header": re.compile(r"(?P<keep>\b(?:authorization|cookie)[\"'\\]{0,2}\s{0,3}[:=]\s{0,3})[^\0]+", re.I),
    "variable or option": re.compile(rf"(?P<keep>(?:^|\0)(?:{_SECRET_NAME}=|-{_SECRET_NAME}\0(?!--\w)))[^\0]+", re.I),
    "option in a script": re.compile(rf"(?P<keep>\s-{_SECRET_NAME}\s{{1,8}}){_VALUE}", re.I),
    "name=value in a text": re.compile(rf"(?P<keep>(?<![\w.-]){_SECRET_NAME}[\"'\\]{{0,2}}\s{{0,3}}=\s{{0,3}}){_VALUE}", re.I),
    "name: value in a text": re.compile(rf"(?P<keep>(?<![\w./-]){_SECRET_NAME}[\"'\\]{{0,2}}\s{{0,3}}:\s{{0,3}}){_VALUE}", re.I),
    "short option": re.compile(rf"(?P<keep>(?<![\w-])(?:{_SHORT})[\0\s]?)[^\0]+"),
    "scheme": re.compile(r"(?P<keep>\b(?:bearer|basic)\s{1,3})[\w.~+/=-]{8,}", re.I),
    "password in a URL": re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,32}://[^\s\0/?#@:]{0,64}:)[^\s\0]{1,512}(?=@)", re.I),
    "user in a URL": re.compile(r"(?P<keep>\bhttps?://)[^\s\0/?#@:]{1,256}(?=@)", re.I),
    "webhook": re.compile(r"(?P<keep>\b(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks)/)[^\s\0]+", re.I),
    "known token": re.compile(
        r"\b(?:A(?:KIA|SIA)[A-Z0-9]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{8,}|sk[-_][\w-]{16,}"
        r"|AIza[\w-]{30,}|npm_\w{30,}|pypi-[\w-]{16,}|hf_\w{20,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)"
    ),
}
"""What looks like a secret, by kind. Patterns see a command line with NUL between its arguments, or a variable as `NAME=value`;
of a match, the group `keep` stays."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def mask(*words: str) -> str:
    """The words as one line of text that JSON can hold, with `MASK` for what `SECRETS` finds."""
    text = "\0".join(words)
    for pattern in SECRETS.values():
        text = pattern.sub(lambda match: (match.groupdict().get("keep") or "") + MASK, text)
    return clean(text.replace("\0", " "))


def clean(text: str) -> str:
    """Without the lone surrogates that `os.fsdecode` leaves for bytes it can't decode, and JSON can't hold."""
    return _SURROGATE.sub("\ufffd", text)
