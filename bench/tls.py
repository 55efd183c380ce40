"""TLS: the rate relative to the same server's plain HTTP, and whether sessions are resumed."""

import socket
import ssl
from contextlib import ExitStack
from functools import partial

from bench.load import SCENARIOS, load
from bench.pairs import Plan, Section, interleave, ratio, shown, spread
from bench.servers import Server, gjrpc, started


def run(plan: Plan) -> Section:
    """Measure the rate, and try to resume a session in both versions of TLS."""
    section = Section("TLS", ["what", "measured", "target"])
    with ExitStack() as stack:
        plain = stack.enter_context(started(gjrpc()))
        secure = stack.enter_context(started(gjrpc("--self-signed"), tls=True))
        for scenario in ("get",) if plan.quick else ("get", "post"):
            _rate(scenario, {"plain": plain, "tls": secure}, plan, section)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            resumed = resumes(secure, version)
            section.data[f"resumed {version.name}"] = resumed
            section.rows.append([f"a second connection resumes the session, {version.name}", "yes" if resumed else "no", "yes"])
    return section


def _rate(scenario: str, servers: dict[str, Server], plan: Plan, section: Section) -> None:
    runs = interleave(
        {name: partial(load, server, SCENARIOS[scenario], seconds=plan.seconds) for name, server in servers.items()}, plan
    )
    rates = {name: [one.rate for one in found] for name, found in runs.items()}
    section.data[scenario] = {name: spread(found) for name, found in rates.items()}
    section.rows.append([f"{scenario} over TLS, relative to plain HTTP", shown(ratio(rates["tls"], rates["plain"])), "≥ 0.5"])


def resumes(server: Server, version: ssl.TLSVersion) -> bool:
    """Return whether a second connection with this version of TLS resumes the session of the first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a throw-away certificate on loopback
    context.minimum_version = context.maximum_version = version
    session = None
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw,
            context.wrap_socket(raw, session=session) as connection,
        ):
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):  # in TLS 1.3 the server sends the session ticket after the handshake
                pass
            session, resumed = connection.session, connection.session_reused
    return bool(resumed)
