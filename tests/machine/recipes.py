# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes into each root tree."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOOKS = Path(__file__).parent / "hooks"

MACHINE_PACKAGES = """
    systemd systemd-sysv dbus polkitd pkexec libnss-systemd libpam-systemd
    nftables iptables iproute2 nginx-light curl openssl netcat-openbsd ca-certificates
    python3 python3-dbus-next python3-cryptography python3-acme python3-josepy python3-urllib3
    python3-systemd python3-dnspython python3-publicsuffix2
    procps util-linux debconf apt less
    pebble
""".split()

# For DNS updates; what asks them by hand, too.
NAME_SERVER_PACKAGES = "bind9 bind9-dnsutils knot knot-dnsutils".split()

TRIXIE_PACKAGES = "dbus-broker firewalld ufw".split()

# Where account keys may be: with ssh, gpg and a token.
KEY_PACKAGES = "openssh-server openssh-client gnupg gpg-agent pinentry-tty softhsm2 opensc python3-pykcs11".split()

# With what it only recommends and cannot do without.
LACME_PACKAGES = "lacme lacme-accountd libcrypt-openssl-rsa-perl liblwp-protocol-https-perl".split()

# The other ACME clients; acmebot comes from PyPI, by a hook.
BENCH_PACKAGES = "certbot lego uacme dehydrated python3-venv".split()

BUILD_PACKAGES = """
    build-essential debhelper dh-python pybuild-plugin-pyproject python3-all python3-setuptools
    python3-systemd python3-dbus-next python3-cryptography python3-acme python3-josepy python3-urllib3 python3-dnspython
    python3-publicsuffix2 lintian po-debconf devscripts fakeroot man-db
""".split()

OPTIONS = [
    "--mode=root",
    "--variant=apt",
    "--format=directory",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
]


@dataclass(frozen=True)
class Recipe:
    """One root tree: a Debian release, what is installed in it, and the hooks of mmdebstrap that finish it."""

    name: str
    suite: str
    packages: tuple[str, ...]
    hooks: tuple[tuple[str, str], ...]

    def command(self, target: Path) -> list[str]:
        """What builds the tree."""
        hooks = [f"--{stage}-hook={HOOKS / script}" for stage, script in self.hooks]
        return ["mmdebstrap", *OPTIONS, *hooks, f"--include={','.join(self.packages)}", self.suite, str(target)]

    @property
    def key(self) -> str:
        """Names the tree; another one as soon as anything in the recipe changes."""
        scripts = [stage + (HOOKS / script).read_text() for stage, script in self.hooks]
        digest = hashlib.sha256("\0".join([*OPTIONS, *self.packages, self.suite, *scripts]).encode())
        return f"{self.name}-{digest.hexdigest()[:12]}"


def _machine(name: str, suite: str, packages: Sequence[str] = (), *customize: str) -> Recipe:
    scripts = ("allow-documentation", *customize, "make-quiet")
    hooks = (("setup", "pin-pebble"), *(("customize", script) for script in scripts))
    return Recipe(name, suite, (*MACHINE_PACKAGES, *packages), hooks)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        _machine("trixie", "trixie", [*TRIXIE_PACKAGES, *NAME_SERVER_PACKAGES], "stop-name-servers", "add-old-pebbles"),
        _machine("bookworm", "bookworm", [*NAME_SERVER_PACKAGES, *KEY_PACKAGES], "stop-name-servers", "stop-ssh"),
        _machine("keys", "trixie", [*KEY_PACKAGES, *LACME_PACKAGES], "stop-ssh"),
        _machine("bench", "trixie", [*LACME_PACKAGES, *BENCH_PACKAGES], "add-acmebot"),
        Recipe("build", "trixie", tuple(BUILD_PACKAGES), (("customize", "allow-documentation"),)),
    )
}
