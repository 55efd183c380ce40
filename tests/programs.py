"""The programs that tests run, besides Python packages; as a script it prints the Debian packages of the missing ones."""

import os
import shutil

PACKAGES = {
    "/bin/kill": "procps",
    "caddy": "caddy",
    "curl": "curl",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    "systemd-socket-activate": "systemd",
    "unshare": "util-linux",
    "wrk": "wrk",
}
"""Each program and its Debian package."""


def find(program: str) -> str | None:
    """Return the path of a program, also in /usr/sbin and /sbin; None if it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


if __name__ == "__main__":
    print(*sorted({package for program, package in PACKAGES.items() if find(program) is None}))
