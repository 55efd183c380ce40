"""Which names mark their values as secrets (`DB_PASSWORD`, `apiKey`, `--auth-token`), and which values look like secrets.

Owns the words, in ranks. After some words any value is a secret (`password`); after others any value but small numbers and
addresses (`token`); then only an invented value (`session`); and after a mere hint only one that looks random (`key`). A name is
split into words once, and each word is looked up, so the work is linear in the length of any name. Pure functions of text.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

Judge: TypeAlias = Callable[[str], bool]
"""Decides whether a value is a secret."""

_JUDGED = 256
"""The number of characters of a value that are examined; more change nothing."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STRONG = _words(
    "pass password passwd passphrase passcode passwort kennwort senha pw upw opw secret pin pincode otp mnemonic psk webhook"
)
_USUAL = _words(
    "token jwt pat credential credentials cred creds cookie cookies sid sessionid phpsessid jsessionid auth basicauth bearer pwd"
    " sig signature salt pepper seed"
)
_WEAK = _words("auths oauth authorization session connstr")
# As a part of a longer word: `rpcpassword`, `walletpassphrase`, `appsecret`.
_INSIDE = re.compile("password|passwd|passphrase|passcode|secret|credential|apikey|accesskey|privatekey|authkey|seedphrase")
# As the end of a longer word: `requirepass`, `masterauth`, `authtoken`, `MYSQLPWD`.
_ENDS = ("pass", "auth", "token", "pwd", "pin")
_WORDS_THAT_END_SO = _words("compass bypass encompass surpass trespass overpass underpass multipass spin noauth oldpwd")
_PAIRS = {
    "id": _words("session secret token"),
    "code": _words("recovery backup access auth security verification mfa confirmation reset"),
    "codes": _words("recovery backup"),
    "phrase": _words("pass seed secret recovery"),
    "string": _words("connection conn"),
    "str": _words("connection conn"),
    "pem": _words("private"),
    "key": _words(
        "api access secret private encryption encrypt signing master account shared storage admin auth license service role"
        " fernet aes hmac jwt deploy subscription session cipher preshared unseal decryption webhook consumer client"
    ),
}
# As a separate argument, the name of the next one: `nmcli … password X`, `pdftk … input_pw X`.
_BARE = ("password", "passphrase", "psk", "pw", "requirepass")
_NO_KEYS = _words("public pub gpg pgp sort primary foreign partition cache row host pubkey known trusted authorized")

# Words about a secret that do not introduce it: where it is stored, what it is called, how long it lasts.
_ABOUT = _words(
    "file files path dir directory folder name names url uri endpoint host port type mode method methods policy length len size"
    " limit count max min age ttl expiry expires expiration timeout lifetime interval enabled disabled required secure domain"
    " algorithm alg provider backend format prefix header field column version class arn ref manager stdin fd prompt store helper"
    " sock socket user username jar reset rotation config opt opts iterations strength cache bus address parallelism schema"
    " browser profile"
    " in via from"
)
_ASKING = _words("no not ask askpass use enable disable skip without with allow force max min num is has show print public pub")
_COUNTS = _words("tokens seeds pins sessions secrets passes signatures")
_HINTS = _words("login")

_NOTHING = _words(
    "true false yes no on off none null nil default required optional undefined enabled disabled stdin prompt read write basic"
    " digest bearer ntlm kerberos ldap plain anonymous oauth oauth2 mtls jwt login"
)
# A reference to where the secret is: a variable, a template, a file, a call in a script.
_REFERENCE = re.compile(
    r"\$(?:[A-Z_][A-Z0-9_]*|\{[^}]*\}?|\(.*)[\"']?|\{\{.*\}\}|%\(\w*\)s|<[\w -]*>|@[\w./~-]*[./][\w./~-]*"
    r"|(?:file|env|fd|unix|id|src|type)[:=].*"
    r"|[a-z_]{2,32}(?:\.[a-z_]{1,32}){0,4}\([\"')].*",
    re.DOTALL,
)
_PATH = re.compile(r"(?:file:|~|\.{0,2})(?:/[\w.@%:+ -]{1,128})+/?|[a-z]{1,32}(?:/[a-z._-]{1,32}){1,8}")
_FILE = re.compile(r"[\w.-]{1,128}\.(?:pem|key|crt|cer|p12|pfx|jks|txt|conf|cfg|ini|json|ya?ml|kdbx|gpg|asc|netrc)")
_PLAIN_URL = re.compile(r"[a-z][a-z0-9+.-]{0,32}://[^\s@?]*", re.I)
_NAME_OF_ONE = re.compile(r"[a-z]{1,32}(?:[_.-][a-z]{1,32}){1,8}")
_TURN = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_CLASSES = ("[a-z]", "[A-Z]", "[0-9]", r"[^a-zA-Z0-9]")


def judge_of(name: str) -> Judge | None:
    """Return the judge of values after this name; None if the name says that they are not secrets."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[0] in _ASKING or "public" in words or _is_about(words):
        return None
    return _rank(words)


def judge_of_bare(name: str) -> Judge:
    """Return the judge of the argument after a name without dashes or `=`, as in `user me password X`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[0] in _ASKING or not words[-1].endswith(_BARE):
        return is_random
    return is_any if words[0] in _BARE else is_made_up


def _is_about(words: list[str]) -> bool:
    """Return whether a name is about a secret, not of one; but a session's ID or a webhook's URL is the secret itself."""
    if words[-1] == "url":
        return "webhook" not in words
    if words[-1] == "id":
        return not {"session", "secret", "key", "token"} & set(words)
    return words[-1] in _ABOUT or "expires" in words


def _rank(words: list[str]) -> Judge | None:
    """Return the judge for the word of the highest rank."""
    found = {_rank_of(before, word) for before, word in zip(["", *words], words, strict=False)}
    if _NO_KEYS & set(words):
        found.discard(is_random)
    return next((judge for judge in (is_any, is_word, is_made_up, is_random) if judge in found), None)


def _rank_of(before: str, word: str) -> Judge | None:
    if word in _STRONG or (_INSIDE.search(word) and word not in _COUNTS):
        return is_any
    if word in _USUAL or before in _PAIRS.get("key" if word == "keys" else word, ()) or _ends(word):
        return is_word
    if word in _WEAK:
        return is_made_up
    return is_random if word.endswith("key") or word in _COUNTS or word in _HINTS else None


def _ends(word: str) -> bool:
    return len(word) > 4 and word.endswith(_ENDS) and word not in _WORDS_THAT_END_SO


def is_any(value: str) -> bool:
    """Return whether there is a value at all, and it is neither a setting such as `true` nor a reference to a secret."""
    value = value[:_JUDGED].strip("\"'\\")
    if not value.strip("*") or value.lower() in _NOTHING or not any(map(str.isalnum, value)):
        return False
    if value.isdigit():
        return len(value) > 2
    if _NAME_OF_ONE.fullmatch(value) and judge_of(value) is not None:
        return False  # the name of a secret: `--secret db_password`
    return not (_REFERENCE.fullmatch(value) or _is_place(value))


def is_word(value: str) -> bool:
    """Return whether a value is more than a small number or an address."""
    value = value[:_JUDGED]
    return is_any(value) and not (value.isdigit() and len(value) < 6) and _PLAIN_URL.fullmatch(value) is None


def is_made_up(value: str) -> bool:
    """Return whether a value looks invented: not short, and more than a plain word."""
    return len(value) > 5 and _kinds(value) > 1 and is_word(value)


def is_password(value: str) -> bool:
    """Return whether a value looks like a password without a name that says so: invented, with digits or of three kinds."""
    return is_made_up(value) and _has("[A-Za-z]", value) and (_has("[0-9]", value) or _kinds(value) > 2)


def is_strong_password(value: str) -> bool:
    """Return whether a value satisfies common password rules: 8 characters of three kinds, and no version, path or pair."""
    value = value[:_JUDGED]
    return len(value) > 7 and _kinds(re.sub("[-_]", "", value)) > 2 and is_password(value) and re.search("[./:,=]", value) is None


def is_drawn(value: str) -> bool:
    """Return whether a value looks random and is no hash, public key or name: digits in mixed case, or letters after `f`."""
    value = value[:_JUDGED]
    small, capitals, digits = (len(re.findall(kind, value)) for kind in _CLASSES[:3])
    mixed = min(small, capitals, digits) > 2 and not value.startswith("AAAA")
    one_case = (
        value.isalnum()
        and capitals == 0
        and digits * 8 > len(value)
        and _has("[g-z]", value)
        and len(_TURN.findall(value)) * 3 > len(value)
    )
    return (mixed or one_case) and is_random(value)


def is_random(value: str) -> bool:
    """Return whether a value looks machine-made: long, and often changing between small letters, capitals and digits."""
    value = value[:_JUDGED]
    turns, digits = len(_TURN.findall(value)), len(re.findall("[0-9]", value))
    return len(value) >= 16 and " " not in value and digits > 1 and turns * 6 >= len(value) and is_made_up(value)


def _has(kind: str, value: str) -> bool:
    return re.search(kind, value[:_JUDGED]) is not None


def _kinds(value: str) -> int:
    return sum(_has(kind, value) for kind in _CLASSES)


def _is_place(value: str) -> bool:
    value = value.partition(",")[0]
    if _FILE.fullmatch(value):
        return True
    return _PATH.fullmatch(value) is not None and not any(is_random(part) for part in value.split("/") if len(part) < len(value))
