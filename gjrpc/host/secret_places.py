"""Where in a command line secrets are: after a name (`--password X`, `token=X`), or where a known program expects one.

Owns the forms in which names and values are written, and the table of programs with short options for secrets: `-p` is harmless
in `ssh -p 22` and `mkdir -p`. A command line is text with NUL between its arguments; a variable is `NAME=value`. Each function
returns the spans of the secrets, and reads each character a bounded number of times: a name ends where the next may begin, and
the end of a value is searched only after its beginning was judged to be a secret. Pure functions of text.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from gjrpc.host.secret_names import Judge, is_any, is_drawn, is_password, is_random, is_strong_password, judge_of, judge_of_bare

Span: TypeAlias = tuple[int, int]

_LOOK = 300
"""The number of characters by which a value is judged."""

# A whole name, and what separates it from its value. A blank separates them only after an option or as a separate argument.
_NAMED = re.compile(
    r"(?<![\w.-])(?P<name>[-+]{0,2}[\w.$][\w.-]*)"
    r"(?:(?P<mark>[\"'\\\]]{0,3}\s{0,3}(?:=>|:=|={1,2}|:)\s{0,3})|(?P<blank>\0|(?<=[\w])[ \t]{1,8}))"
)
_HEADERS = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie", re.I)
_OPTION = re.compile(r"-\w(?![\w.-])|--\w")
_QUOTED = re.compile(r"\\{0,3}(?:\"(?:\\[^\0]|[^\"\\\0])*\"?|'(?:\\[^\0]|[^'\\\0])*'?)|[^\0\s&;]+")


def named(text: str) -> Iterator[Span]:
    """Find the values after names that mark them as secrets."""
    done = 0
    for match in _NAMED.finditer(text):
        judge = judge_of(match["name"]) if match.start() >= done else None
        if judge is None or not _has_value(match, text):
            continue
        at = match.end()
        end = _value_end(match, text, at, at + _LOOK)
        if end > at and _is_secret(match["name"], text[at:end], judge):
            done = _value_end(match, text, at, len(text))
            yield at, done


def _is_secret(name: str, value: str, judge: Judge) -> bool:
    return is_any(value.rpartition(" ")[2]) if _HEADERS.fullmatch(name) else judge(value)


def _has_value(match: re.Match[str], text: str) -> bool:
    """Return whether a name's value follows: not in paths and identifiers (`x/token:y`, `a:secret:b`), but in `/password:x`."""
    if match["blank"]:
        return _takes_a_blank(match, text)
    before = text[max(0, match.start() - 2) : match.start()]
    return ":" not in match["mark"] or before in ("/", "\0/", " /") or before[-1:] not in ("/", ":")


def _takes_a_blank(match: re.Match[str], text: str) -> bool:
    """Return whether a blank separates a name from its value: after an option, or after `password` as a separate argument."""
    name, at = match["name"], match.end()
    if _OPTION.match(text, at):
        return False
    if name.startswith(("-", "+", "$")):
        return True
    value = text[at : _argument_end(text, at, at + _LOOK)]
    before = text[match.start() - 1 : match.start()]
    return match["blank"] == "\0" and before in ("\0", ":") and judge_of_bare(name)(value)


def _value_end(match: re.Match[str], text: str, at: int, limit: int) -> int:
    """Return where a value ends: with its argument, if it or its name begins one; within a text, at a blank or quote."""
    before = text[match.start() - 1 : match.start()]
    if match["blank"] == "\0" or (before in ("", "\0") and match["mark"]):
        return _argument_end(text, at, limit)
    if _HEADERS.fullmatch(match["name"]):
        end = text.find(before, at, limit) if before in ("'", '"') else -1
        return end if end >= 0 else _argument_end(text, at, limit)
    return _word_end(text, at, limit)


def _argument_end(text: str, at: int, limit: int) -> int:
    end = text.find("\0", at, limit)
    return min(len(text), limit) if end < 0 else end


def _word_end(text: str, at: int, limit: int) -> int:
    value = _QUOTED.match(text, at, limit)
    return at if value is None else value.end()


class _Option(NamedTuple):
    """An option of a program.

    Attributes:
        form: matches the option; the value is the rest of the word, or the next word if nothing is left.
        judge: decides whether the value is a secret.
    """

    form: re.Pattern[str]
    judge: Judge


def _option(form: str, judge: Judge = is_any) -> _Option:
    return _Option(re.compile(form), judge)


def _pair(mark: str) -> Judge:
    """Return a judge of a name and a secret with this mark between them, or of a random value alone."""
    return lambda value: is_any(value) and (mark in value or is_random(value))


def _is_pair(value: str) -> bool:
    return "/" not in value and is_password(value.partition(":")[2])


_LAST = _option("(?!)")
"""No option: the last word is the secret."""

# By program, or by two words if only a sub-command has the option. The first match counts.
_PROGRAMS: dict[str, tuple[_Option, ...]] = {
    r"(?:mysql|mariadb)[\w-]*|7z\w?": (_option("-p(?=.)"),),
    r"sshpass|mongo\w*|cqlsh|cypher-shell|yt-dlp|youtube-dl|hydra|rdesktop|twine|steghide|xmrig|useradd|beeline|security": (
        _option("-p"),
    ),
    "unrar|rar": (_option("-h?p(?=.)"),),
    r"zip|unzip|sqlcmd|mssql-cli|[ot]sql|bcp|mosquitto_[ps]ub|ipmitool|knife|p4": (_option("-P"),),
    "curl": (
        _option(r"-[a-zA-Z#]{0,8}?[uU]|--(?:proxy-)?user=?", _pair(":")),
        _option(r"-[a-zA-Z#]{0,8}?b|--cookie=?", _pair("=")),
        _option(r"-[a-zA-Z#]{0,8}?E|--cert=?", _pair(":")),
    ),
    "https?|httpie|xhs?": (_option("-a|--auth=?", _pair(":")),),
    "lftp": (_option("-u", _pair(",")),),
    "net (?:user|use)": (_option(r"(?=[^-/\\])", is_password),),
    r"smb\w+|rpcclient|net": (_option("-U|--user=?", _pair("%")),),
    r"(?:redis|valkey)-\w+": (_option("-a|(?i:auth)(?=$)"),),
    "codecov": (_option("-t"),),
    "ldappasswd": (_option("-[was]"),),
    r"ldap\w+": (_option("-w"),),
    r"ss-?(?:local|server|redir|tunnel)|shadowsocks[\w-]*": (_option("-k"),),
    r"openssl passwd|mkpasswd|wpa_passphrase|rclone obscure|(?:htpasswd|mosquitto_passwd) -[a-zA-Z]*b[a-zA-Z]*": (_LAST,),
    r"rasdial|radtest"
    r"|(?:vault|cargo|wandb|bw) login|snyk auth|ngrok (?:add-)?authtoken|operator unseal|alias set|addauth digest|bw unlock"
    r"|rabbitmqctl|token set|config http-basic[\w.-]*|ansible-vault encrypt_string|qpdf --encrypt|create_ap|steam": (
        _option(r"(?=[^-/\\])", is_password),
    ),
    r"oathtool|travis encrypt|zrok \w+": (_option("(?=[^-])", is_random),),
    r"\w+\.py": (_option(r"[\w.-]{1,64}/[\w.-]{1,64}:", is_password),),
    "openssl": (_option("-(?:k|K|hmac)(?=$)"),),
    r"[\w-]+ login": (_option("-p"),),
    "sqlplus|impdp|expdp|rman|sqlldr": (_option("(?=[^-])", _pair("/")),),
    "ssh-keygen": (_option("-[NP]"),),
    r"[xw]freerdp\w?": (_option("/p(?:assword)?:"),),
    "signtool|schtasks": (_option("/r?p", is_password),),
    "ab": (_option("-[AP]", _pair(":")), _option("-C", _pair("="))),
    "transmission-remote": (_option("-n", _pair(":")),),
    "ttyd": (_option("-c", _pair(":")),),
    "nikto": (_option("-id", _pair(":")),),
    "etcdctl": (_option("--user=?", _pair(":")),),
    "squidclient": (_option("-w"),),
    r"snmp(?:get|set|walk|bulk\w*|trap|inform)|check_snmp": (_option("-[AX]"), _option("-[Cc]", is_password)),
    "consul": (_option("-encrypt=?"),),
    "sendemail": (_option("-xp"),),
    "gh secret": (_option("-b|--body=?"),),
}
# For any program: a user name with a password, a strong password, and any password after the option for a user name.
_ANYWHERE: tuple[_Option, ...] = (
    _option("-[auU](?=$)|--(?:user|login|userpass|auth)(?:=|(?=$))", _is_pair),
    _option("-[pk](?=$)", is_strong_password),
)
_USER = re.compile("[-/][uU]|--user(?:name)?(?:=.*)?", re.DOTALL)
_PASSWORD = _option("[-/][pP](?=$)", lambda value: "/" not in value and is_password(value))
_PROGRAM = re.compile("|".join(f"({program})" for program in _PROGRAMS))
_ROWS = list(_PROGRAMS.values())
_WORDS = re.compile(r"[^\0\s]+")
_BETWEEN = frozenset({"|", "||", "&&", "&", ";"})


def short_options(text: str) -> Iterator[Span]:
    """Find the values of options whose meaning depends on the program."""
    options = _ANYWHERE
    before = ""
    last: re.Match[str] | None = None
    for word in _WORDS.finditer(text):
        name = word[0][:_LOOK].lstrip("\"'(`").rpartition("/")[2].rpartition("=")[2].removesuffix(".exe")
        if (row := _row(before, name)) is not None:
            options, last = (*row, *_ANYWHERE), None
        elif name not in _BETWEEN:
            last = word
            yield from _values(text, word, options)
            if _USER.fullmatch(word[0]) and _PASSWORD not in options:
                options += (_PASSWORD,)
        if name in _BETWEEN or word[0].endswith(";"):
            yield from _as_last(options, last)
            options, last = _ANYWHERE, None
        before = name
    yield from _as_last(options, last)


def _as_last(options: tuple[_Option, ...], word: re.Match[str] | None) -> Iterator[Span]:
    if word is not None and _LAST in options and not _OPTION.match(word[0]) and is_any(word[0][:_LOOK]):
        yield word.span()


def _row(before: str, name: str) -> tuple[_Option, ...] | None:
    found = _PROGRAM.fullmatch(f"{before} {name}") or _PROGRAM.fullmatch(name)
    return None if found is None or found.lastindex is None else _ROWS[found.lastindex - 1]


def _values(text: str, word: re.Match[str], options: tuple[_Option, ...]) -> Iterator[Span]:
    bare = word[0].lstrip("\"'")
    for option in options:
        found = option.form.match(bare)
        if found:
            at = word.end() - len(bare) + found.end()
            whole = text[word.start() - 1 : word.start()] in ("", "\0")  # a separate argument, not a word of a script
            if at == word.end():
                at, whole = at + 1, text[at : at + 1] == "\0"
            find_end = _argument_end if whole else _word_end
            value = text[at : find_end(text, at, at + _LOOK)]
            if not _OPTION.match(value) and option.judge(value):
                yield at, find_end(text, at, len(text))


# A random-looking word is a secret wherever it is.
_LONG = re.compile(r"(?<![^\s\0=:\"'])[\w-]{24,}(?![^\s\0\"',;=])")


def drawn(text: str) -> Iterator[Span]:
    """Find long random words, whatever precedes them."""
    return (match.span() for match in _LONG.finditer(text) if is_drawn(match[0][:_LOOK]))
