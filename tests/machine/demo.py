# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate's whole life on a throw-away Debian 13, as an administrator would see it: `make demo`."""

import argparse
import contextlib
import re
import shlex
import sys
import time

from tests.machine import package
from tests.machine.machine import Machine
from tests.machine.pebble import Pebble, Profile

# Certificates that are due within the demonstration: half of their life is less than what comes before the timer's run.
VALIDITY = 24  # seconds
NAME = "www.example.com"

NGINX = f"""\
server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {NAME};
    ssl_certificate /var/lib/acme/{NAME}/fullchain.pem;
    ssl_certificate_key /var/lib/acme/{NAME}/privkey.pem;
    location / {{ return 200 "Served over TLS by nginx.\\n"; }}
}}
"""
SHOW = f"""\
curl --silent --cacert /root/pebble-root.pem --connect-to ::127.0.0.1: https://{NAME}/ &&
openssl s_client -connect 127.0.0.1:443 -servername {NAME} </dev/null 2>/dev/null |
openssl x509 -noout -serial -issuer -enddate -ext subjectAltName"""


def main() -> int:
    """Run the demonstration; with --shell, leave the machine up for a shell."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--shell", action="store_true", help="give a shell in the machine at the end")
    arguments = parser.parse_args()
    began = time.monotonic()
    say("Building the package, and booting a throw-away Debian 13")
    debs = package.build_deb()
    with contextlib.suppress(KeyboardInterrupt), Machine() as machine:
        say(f"It is up. Installing {debs[0].name}, as `apt install` would on a host of yours")
        package.install(machine, debs)
        with Pebble(machine, profiles={"short": Profile("Certificates for demonstrations", VALIDITY)}) as pebble:
            demonstrate(machine, pebble)
            say(f"That took {time.monotonic() - began:.0f} s, with building and booting.")
            if arguments.shell:
                say(f"A shell in the machine. Try: acmectl list; acmectl status {NAME}. Ctrl-D ends it.")
                machine.shell()
                return 0
        say("The machine is gone. To look around in one: make demo-shell. On a host of your own: README.md.")
        return 0
    return 130


def demonstrate(machine: Machine, pebble: Pebble) -> None:
    """An account, an order, a served certificate, a renewal by the timer's unit, a revocation."""
    machine.write("/root/pebble-root.pem", pebble.root_pem())
    machine.write(f"/etc/nginx/sites-available/{NAME}", NGINX)
    say("An account at the CA (Pebble, in the machine). Its key is made here and sealed by systemd-creds:")
    show(
        machine,
        f"acmectl account add --directory {pebble.directory} --ca-file {pebble.ca_file} "
        "--contact admin@example.com --agree-tos",
    )
    say("A certificate. Port 80 is open only while the CA asks:")
    show(machine, f"acmectl order {NAME} example.com --service nginx")
    show(machine, f"ls -l /var/lib/acme/{NAME}/")
    show(machine, "systemctl is-active acme-http01.socket", ok=(3,))
    say("nginx serves it:")
    machine.run(["ln", "-s", f"../sites-available/{NAME}", "/etc/nginx/sites-enabled/"])
    machine.run(["rm", "-f", "/etc/nginx/sites-enabled/default"])  # it would hold port 80
    show(machine, "systemctl restart nginx")
    first = serial(show(machine, SHOW))
    say(f"This CA's certificates live {VALIDITY} s. When half of that is over, the timer's unit renews, nginx reloads:")
    machine.wait_until("the certificate to be due", lambda: due(machine), timeout=VALIDITY)
    show(machine, "systemctl start acme-renew.service")
    machine.wait_until("nginx to serve it", lambda: serial(machine.run(["sh", "-c", SHOW]).stdout) != first)
    show(machine, SHOW)
    say("What acme-keyd signed for that, and for whom:")
    show(machine, "journalctl -q -o cat -u acme-keyd.service -n 4")
    say("Revoking it:")
    show(machine, f"acmectl revoke {NAME} --reason superseded --no-replace")
    show(machine, "acmectl list")


def due(machine: Machine) -> bool:
    """Whether acmed would renew the certificate now."""
    path = f"/org/acmed1/certificate/{escaped(NAME)}"
    get = ["busctl", "get-property", "org.acmed1", path, "org.acmed1.Certificate", "State"]
    return "due" in machine.run(get).stdout


def escaped(name: str) -> str:
    """A name as the last part of its object path."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", name)


def serial(text: str) -> str:
    """The serial number in what openssl printed."""
    found = re.search(r"serial=(\w+)", text)
    if not found:
        raise RuntimeError(f"nothing is served: {text}")
    return found[1]


def show(machine: Machine, command: str, ok: tuple[int, ...] = (0,)) -> str:
    """Run a command as one would type it, and print it with what it says; live where there is a terminal."""
    print(f"\x1b[1m# {command}\x1b[0m" if sys.stdout.isatty() else f"# {command}", flush=True)
    argv = shlex.split(command) if re.fullmatch(r"[\w\s./:@=-]+", command) else ["sh", "-c", command]
    if sys.stdout.isatty() and argv[0] == "acmectl":
        status, output = machine.attach(argv), ""
    else:
        with machine.popen(argv) as process:
            output, _ = process.communicate()
        status = process.returncode
        print(output, end="", flush=True)
    if status not in ok:
        raise SystemExit(f"It ended with status {status}.\n{machine.journal(lines=60)}")
    return output


def say(text: str) -> None:
    """A line between the commands."""
    print(f"\n\x1b[36m{text}\x1b[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
