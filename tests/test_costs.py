"""What an attacker's bytes may cost: rules that hold in every module."""

import ast
import gc
import importlib
import re
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice, permutations
from typing import Any

import pytest
from test_design import FILES

import gjrpc
from gjrpc.http.reader import Memory, Reader
from gjrpc.limits import Limits

if sys.version_info >= (3, 11):
    from re import _parser as parser
else:
    import sre_parse as parser

MODULES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
"""The syntax tree of each module, by its name within the package, as in `http.head`."""


# Regular expressions: `re` does not count its steps, so this matcher does.


CHARACTERS = ("LITERAL", "NOT_LITERAL", "IN", "ANY")
_LOOK_BEHIND = 60  # characters that a look-behind may see


class Budget(Exception):
    """The match took more steps than allowed."""


class Matcher:
    """Matches by backtracking, as `re` does, and counts each comparison of an element with a position in the text."""

    def __init__(self, pattern: re.Pattern[Any], most: int) -> None:
        self.text = ""
        self.steps = 0
        self.most = most
        self.flags = pattern.flags
        source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        flags = pattern.flags & ~(re.DEBUG | re.UNICODE | re.LOCALE)
        self.tree = list(parser.parse(source, flags))

    def run(self, text: str, anchored: bool) -> int:
        """Return the steps of a match at the beginning, or of a search for all matches."""
        self.text, self.steps, at = text, 0, 0
        while at <= len(text):
            end = next(self.all(self.tree, 0, at, {}), None)
            if anchored:
                break
            at = max(end, at + 1) if end is not None else at + 1
        return self.steps

    def step(self) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise Budget

    def all(self, nodes: list[Any], index: int, at: int, groups: dict[int, tuple[int, int]]) -> Any:
        """Yield all ends of a sequence of elements that begins here, the preferred one first."""
        if index == len(nodes):
            yield at
            return
        kind, value = nodes[index]
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = value
            for end in self.repeat(name, low, high, list(body), at, groups):
                yield from self.all(nodes, index + 1, end, groups)
        else:
            for end in self.one(name, value, at, groups):
                yield from self.all(nodes, index + 1, end, groups)

    def repeat(self, name: str, low: Any, high: Any, body: list[Any], at: int, groups: Any) -> Any:
        """Yield the ends of a repetition, without recursion for single characters."""
        if len(body) == 1 and str(body[0][0]) in CHARACTERS:
            ends = [at]
            while len(ends) <= high and next(self.one(str(body[0][0]), body[0][1], ends[-1], groups), None) is not None:
                ends.append(ends[-1] + 1)
            ends = ends[int(low) :]
            if name == "POSSESSIVE_REPEAT":
                ends = ends[-1:]
            for end in ends if name == "MIN_REPEAT" else reversed(ends):
                self.step()
                yield end
            return
        found = self.longer(low, high, body, at, groups, 0)
        if name == "POSSESSIVE_REPEAT":
            found = [last] if (last := next(found, None)) is not None else []
        yield from found if name != "MIN_REPEAT" else reversed(list(found))

    def longer(self, low: Any, high: Any, body: list[Any], at: int, groups: Any, count: int) -> Any:
        """Yield the ends of a repetition of a group, the longest first, with an explicit stack instead of recursion."""
        stack = [(at, count, self.all(body, 0, at, groups) if count < high else iter(()))]
        while stack:
            at, count, ends = stack[-1]
            self.step()
            end = next(ends, None)
            if end is not None and end > at:
                stack.append((end, count + 1, self.all(body, 0, end, groups) if count + 1 < high else iter(())))
            elif end is None:
                stack.pop()
                if count >= low:
                    yield at

    def one(self, name: str, value: Any, at: int, groups: Any) -> Any:
        """Return the ends of one element, by its kind."""
        self.step()
        if name in CHARACTERS:
            return iter([at + 1] if at < len(self.text) and self.fits(name, value, ord(self.text[at])) else [])
        if name == "ASSERT":
            return iter([at] if self.assertion(value, at, groups) else [])
        return getattr(self, name.lower())(value, at, groups)

    def subpattern(self, value: Any, at: int, groups: Any) -> Any:
        group, *_, body = value
        for end in self.all(list(body), 0, at, groups):
            if group is not None:
                groups[group] = (at, end)
            yield end

    def branch(self, value: Any, at: int, groups: Any) -> Any:
        for branch in value[1]:
            yield from self.all(list(branch), 0, at, groups)

    def atomic_group(self, value: Any, at: int, groups: Any) -> Any:
        yield from islice(self.all(list(value), 0, at, groups), 1)

    def assertion(self, value: Any, at: int, groups: Any) -> bool:
        direction, body = value
        starts = [at] if direction > 0 else range(max(at - _LOOK_BEHIND, 0), at + 1)
        return any(direction > 0 or end == at for start in starts for end in self.all(list(body), 0, start, groups))

    def assert_not(self, value: Any, at: int, groups: Any) -> Any:
        return iter([] if self.assertion(value, at, groups) else [at])

    def at(self, value: Any, at: int, groups: Any) -> Any:
        return iter([at] if self.is_at(str(value), at) else [])

    def groupref(self, value: Any, at: int, groups: Any) -> Any:
        begin, stop = groups.get(value, (0, 0))
        return iter([at + stop - begin] if self.text.startswith(self.text[begin:stop], at) else [])

    def fits(self, name: str, value: Any, character: int) -> bool:
        if self.flags & re.IGNORECASE:
            return any(self.fits_exactly(name, value, ord(c)) for c in {chr(character).lower(), chr(character).upper()[0]})
        return self.fits_exactly(name, value, character)

    def fits_exactly(self, name: str, value: Any, character: int) -> bool:
        if name == "LITERAL":
            return bool(character == value)
        if name == "NOT_LITERAL":
            return bool(character != value)
        if name == "ANY":
            return character != 10 or bool(self.flags & re.DOTALL)
        negated, held = False, False
        for kind, detail in value:
            if str(kind) == "NEGATE":
                negated = True
            elif str(kind) == "LITERAL":
                held |= character == detail
            elif str(kind) == "RANGE":
                held |= detail[0] <= character <= detail[1]
            else:
                held |= self.in_category(str(detail), chr(character))
        return held != negated

    def in_category(self, category: str, character: str) -> bool:
        kind = category.removeprefix("CATEGORY_")
        tests = {"DIGIT": str.isdigit, "SPACE": str.isspace, "WORD": lambda c: c.isalnum() or c == "_"}
        return tests[kind.removeprefix("NOT_")](character) != kind.startswith("NOT_")

    def is_at(self, place: str, at: int) -> bool:
        if place in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            return at == 0 or bool(self.flags & re.MULTILINE and place == "AT_BEGINNING" and self.text[at - 1] == "\n")
        if place in ("AT_END", "AT_END_STRING"):
            return at >= len(self.text) - (place == "AT_END" and self.text.endswith("\n"))
        around = [self.in_category("CATEGORY_WORD", c) for c in (self.text[at - 1 : at], self.text[at : at + 1]) if c]
        boundary = any(around) and not (len(around) == 2 and all(around))
        return boundary == (place == "AT_BOUNDARY")


def alphabet(nodes: Any, found: set[int]) -> set[int]:
    """Collect a few characters of each set and literal in a pattern."""
    for node in nodes:
        if isinstance(node, tuple) and len(node) == 2 and str(node[0]) == "LITERAL":
            found.add(node[1])
        elif isinstance(node, tuple) and len(node) == 2 and str(node[0]) == "RANGE":
            found.add(node[1][0])
        elif isinstance(node, (tuple, list, parser.SubPattern)):
            alphabet(node, found)
    return found


def pieces_of(pattern: re.Pattern[Any]) -> list[str]:
    """Return texts whose repetition may be expensive: a few of the pattern's own characters and words."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = list(parser.parse(source, pattern.flags & ~(re.DEBUG | re.UNICODE | re.LOCALE)))
    own = [chr(code) for code in sorted(alphabet(tree, set())) if code < 128]
    words = re.findall(r"[\w.:/=-]{2,}", re.sub(r"\\.|\(\?[^:)]*[:)]?|[][(){}*+?|^$]", " ", source))
    return [*dict.fromkeys([*own[:: max(len(own) // 4, 1)][:5], '"', "\\", " ", "a", *words[:2]])]


def hostile(pattern: re.Pattern[Any], size: int) -> Iterator[str]:
    """Yield texts of about this size that make a pattern backtrack, if anything does."""
    pieces = pieces_of(pattern)
    for piece in [*pieces, *("".join(pair) for pair in permutations(pieces[:7], 2))]:
        for begin in ("", pieces[-1]):
            yield begin + piece * (size // len(piece)) + "\0!"


def compiled(value: Any, depth: int = 0) -> list[re.Pattern[Any]]:
    """Return the patterns in a value, also if it is a table of them."""
    if isinstance(value, re.Pattern):
        return [value]
    if depth < 3 and isinstance(value, dict):
        value = list(value.values())
    if depth < 3 and isinstance(value, (list, tuple, set, frozenset)):
        return [pattern for item in value for pattern in compiled(item, depth + 1)]
    return []


# Modules whose many expressions are not checked, because they only see text of a limited length.
CUT = {
    name: "the line of a process is cut at masking.LONGEST"
    for name in ("host.masking", "host.secret_names", "host.secret_places")
}
COMPILES = sorted(name for name, tree in MODULES.items() if "re.compile" in ast.unparse(tree) and name not in CUT)
"""The modules with expressions; the others are not imported, since some patch the standard library."""


def expressions() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Return each compiled expression by its place, and whether all its uses are anchored at the beginning."""
    found = {}
    for name in COMPILES:
        tree = MODULES[name]
        uses: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                uses.setdefault(node.value.id, set()).add(node.attr)
        for variable, value in vars(importlib.import_module(f"gjrpc.{name}")).items():
            for number, pattern in enumerate(compiled(value)):
                if any(pattern is other for other, _ in found.values()):
                    continue
                anchored = bool(uses.get(variable)) and uses[variable] <= {"match", "fullmatch", "pattern"}
                found[f"{name}.{variable}[{number}]"] = pattern, anchored
    return found


EXPRESSIONS = expressions()

# Calls of `re` with a pattern that is not a constant of its module, and why they are safe.
MADE = {
    ("host.callers", "split"): "at a literal name, once, in a process's line",
    ("client.proxies", "split"): "at single characters, in an environment variable",
    ("client.client", "compile"): "of names that the user of the client gives",
    ("calls.rights", "compile"): "of an operator's patterns, which fnmatch writes without backtracking",
}


def grows(pattern: re.Pattern[Any], anchored: bool, size: int) -> str | None:
    """Return a text for which four times the length takes over five times the steps, or None."""
    for few, many in zip(hostile(pattern, size), hostile(pattern, 4 * size), strict=True):
        try:
            before = Matcher(pattern, 20_000).run(few, anchored)
            Matcher(pattern, 5 * before + 300).run(many, anchored)
        except Budget:
            return few
    return None


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_each_regular_expression_is_linear(place):
    """A match of a text four times as long takes at most five times the steps, however hostile the text is."""
    pattern, anchored = EXPRESSIONS[place]
    if grows(pattern, anchored, 16):  # a repetition with a limit, such as {1,64}, grows only up to that limit
        assert grows(pattern, anchored, 150) is None


def test_the_check_finds_backtracking():
    """The check finds expressions that are known to backtrack: that of issue 10, nested and adjacent repetitions."""
    for text in (r'"(?:[^"\\]|\\.)*"', r"(a+)+$", r"a*a*b", r"\s+$", r"(?:a|aa)+b", r"x.*y"):
        assert grows(re.compile(text), False, 16)


def test_expressions_are_constants():
    """Expressions are compiled once, as constants that the check above finds; the exceptions are listed with their reasons."""
    found = {}
    for name, tree in MODULES.items():
        inside = {id(node) for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)}
        for node in ast.walk(tree):
            if (
                name not in CUT
                and isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and id(node) in inside
                and node.func.attr not in ("escape",)
            ):
                found[name, node.func.attr] = node.lineno
    assert found.keys() == MADE.keys(), f"compile them as constants of their modules, or correct the list: {found}"


def test_the_checks_see_every_package():
    """The checks look into the packages, and find the expressions of those that read untrusted text."""
    assert {name.partition(".")[0] for name in MODULES} > {"http", "calls", "auth", "app", "server", "client", "tools"}
    assert {place.partition(".")[0] for place in EXPRESSIONS} >= {"http", "calls", "auth", "client"}
    assert len(EXPRESSIONS) > 20
    assert CUT.keys() <= MODULES.keys()


# Caches.

# Each cache that only `functools` bounds, if anything: what its keys are, and why no client can choose them.
CACHED = {
    ("server.peers", "cached_property"): "of a connection's peer, freed with it",
    ("calls.instances", "cached_property"): "only looked for",
    ("values.typed_decoder", "lru_cache"): "by the types of annotations",
    ("calls.signatures", "lru_cache"): "only looked for",
    ("process.outlets", "cache"): "without a key",
    ("calls.argument_errors", "lru_cache"): "by the names of a signature",
}


def test_each_cache_is_bounded():
    """Every cache is one of `gjrpc.http.recent`, which are bounded in bytes, or is listed above with the reason."""
    found = {
        (name, word)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        for word in ("lru_cache", "cache", "cached_property")
        if (isinstance(node, ast.Name) and node.id == word) or (isinstance(node, ast.Attribute) and node.attr == word)
    }
    assert found == CACHED.keys()


def kept_of(requests: Any) -> int:
    """Return the bytes that stay allocated after each request was read and answered twice, on new connections."""
    registry = gjrpc.Registry()
    registry.register(lambda **named: 0, "f")

    class Dispatching:
        """Answers every call."""

        def _dispatch(self, method: str, params: Any) -> int:
            return 0

    registry.register_instance(Dispatching())
    application, memory = gjrpc.Application(registry), Memory()
    gc.collect()
    tracemalloc.start()
    for data in requests:
        for _ in range(2):
            application.respond(Reader(Limits(), memory).receive(data))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept


HEAD = b"GET /f HTTP/1.1\r\nHost: a\r\n"
KEPT = {
    "paths": lambda i: b"GET /f%04d%b HTTP/1.1\r\nHost: a\r\n\r\n" % (i, b"x" * 7900),
    "arguments": lambda i: b"GET /f?x=%04d%b HTTP/1.1\r\nHost: a\r\n\r\n" % (i, b"".join(b"&%x" % n for n in range(40))),
    "names": lambda i: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100010\r\n\r\n" + b'{"%04d%b":1}' % (i, b"x" * 100_000),
    "hosts": lambda i: b"GET /f HTTP/1.1\r\nHost: %04d%b\r\n\r\n" % (i, b"x" * 7000),
    "headers": lambda i: HEAD + b"".join(b"%x%04d: b\r\n" % (n, i) for n in range(90)) + b"\r\n",
    "one header": lambda i: HEAD + b"%b: %04d%b\r\n\r\n" % (b"a" * (i % 300 + 1), i, b"x" * 1500),
}


@pytest.mark.parametrize("request_of", KEPT.values(), ids=KEPT)
def test_caches_are_bounded_in_bytes(request_of):
    """Whatever clients send, caching it takes a few megabytes at most."""
    assert kept_of(map(request_of, range(400))) < 4_000_000
