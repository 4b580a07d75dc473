# SPDX-License-Identifier: LGPL-2.1-or-later
"""What services have of a certificate: nginx serves it, files are copied, and what failed is owed until it works."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble

WEB = "delivery-web.example.com"
COPIES = "delivery-copies.example.com"
UNDELIVERED = 8  # acmectl(1)

SITE = f"""
server {{
    listen 127.0.0.1:8443 ssl;
    server_name {WEB};
    ssl_certificate /var/lib/acme/{WEB}/fullchain.pem;
    ssl_certificate_key /var/lib/acme/{WEB}/privkey.pem;
    return 204;
}}
"""
DEFAULT_SITE = "/etc/nginx/sites-enabled/default"  # holds port 80
BROKEN = "/etc/nginx/conf.d/broken.conf"

# A service that notes what happens to it, and fails where a file is in its way.
NOTING = """
[Service]
ExecStartPre=/bin/sh -c 'echo start %N >>/run/delivery'
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reload %N >>/run/delivery; test ! -e /run/%N-fails'
"""
UNITS = ("delivery-a", "delivery-b", "delivery-off")
CONFIGURATION = """
[service.delivery-a]
units = ["delivery-a.service", "delivery-off.service", "delivery-nowhere.service"]
group = "www-data"
mode = "0440"

[service.delivery-a.files]
privkey = "/etc/delivery/{name}.key"
cert = "/etc/delivery/{name}.crt"
chain = "/etc/delivery/{name}.ca"
fullchain = "/etc/delivery/{name}.pem"

[service.delivery-b]
units = ["delivery-b.service"]
action = "restart"

[service.delivery-b.files]
combined = "/etc/delivery/all-{name}.pem"

[service.delivery-late]
units = ["delivery-b.service"]

[service.delivery-typo]
units = ["delivery-c.service", "delivery-nowhere.service"]
"""
DROP_IN = "/etc/systemd/system/acme-privd.service.d/delivery.conf"


@dataclass
class Host:
    """The machine as its administrator knows it."""

    machine: Machine
    root_pem: str

    def acmectl(self, *words: str) -> tuple[int, str]:
        done = self.machine.run(["acmectl", *words], check=False)
        return done.returncode, done.stdout + done.stderr

    def shell(self, command: str) -> str:
        return self.machine.run(["sh", "-c", command]).stdout

    def served(self) -> str:
        """The serial number of what a client gets that verifies it as browsers do."""
        connect = f"openssl s_client -connect 127.0.0.1:8443 -servername {WEB} -verify_hostname {WEB}"
        return self.shell(
            f"{connect} -verify_return_error -CAfile {self.root_pem} </dev/null 2>/dev/null |"
            " openssl x509 -noout -serial"
        )

    def installed(self, name: str) -> str:
        """The serial number of what is installed."""
        return self.shell(f"openssl x509 -noout -serial -in /var/lib/acme/{name}/cert.pem")

    def wait_served(self) -> None:
        """nginx says that it has reloaded before its new workers are there."""
        self.machine.wait_until("nginx to serve it", lambda: self.served() == self.installed(WEB))

    def events(self) -> list[str]:
        """What has happened to the services since it was last asked."""
        return self.shell("touch /run/delivery; cat /run/delivery; rm /run/delivery").splitlines()

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a certificate's file by hand."""
        path = f"/etc/acmed/certificates.d/{name}.toml"
        text = self.machine.read(path)
        assert old in text
        self.machine.write(path, text.replace(old, new))

    def renew_by_timer(self) -> str:
        """Run the timer's unit; its result."""
        self.machine.run(["systemctl", "start", "acme-renew.service"], check=False)
        show = ["systemctl", "show", "--property=Result", "--value", "acme-renew.service"]
        return self.machine.run(show).stdout.strip()


@pytest.fixture(scope="module")
def host(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    for unit in UNITS:
        machine.write(f"/etc/systemd/system/{unit}.service", NOTING)
    machine.write("/etc/acmed/acmed.toml.d/delivery.toml", CONFIGURATION)
    machine.write(DROP_IN, "[Service]\nReadWritePaths=-/etc/delivery\n")
    machine.run(["mkdir", "/etc/delivery"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    machine.run(["systemctl", "start", "delivery-a.service", "delivery-b.service"])
    machine.write("/root/delivery-root.pem", pebble.root_pem())
    host = Host(machine, "/root/delivery-root.pem")
    assert sorted(host.events()) == ["start delivery-a", "start delivery-b"]
    yield host
    for name in (WEB, COPIES):
        machine.run(["acmectl", "forget", name])
    machine.run(["systemctl", "stop", *UNITS])
    left = ["/etc/delivery", "/etc/acmed/acmed.toml.d/delivery.toml", "/root/delivery-root.pem", DROP_IN]
    machine.run(["rm", "-rf", *left])
    machine.run(["sh", "-c", "rm /etc/systemd/system/delivery-*"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    machine.run(["systemctl", "reset-failed"])


@pytest.fixture(scope="module")
def web(host: Host) -> Iterator[Host]:
    """nginx with a certificate of ours."""
    host.machine.run(["acmectl", "order", WEB, "--service", "nginx"])
    host.machine.run(["mv", DEFAULT_SITE, "/root/default-site"])
    host.machine.write("/etc/nginx/sites-enabled/delivery", SITE)
    host.machine.run(["systemctl", "start", "nginx.service"])
    yield host
    host.machine.run(["systemctl", "stop", "nginx.service"])
    host.machine.run(["rm", "-f", "/etc/nginx/sites-enabled/delivery", BROKEN])
    host.machine.run(["mv", "/root/default-site", DEFAULT_SITE])


@pytest.fixture(scope="module")
def copies(host: Host) -> Host:
    """A certificate for two services."""
    host.machine.run(["acmectl", "order", COPIES, "--service", "delivery-a", "--service", "delivery-b"])
    assert host.events() == ["reload delivery-a", "start delivery-b"]
    return host


def test_nginx_serves_what_was_renewed(web: Host) -> None:
    first = web.served()
    assert first == web.installed(WEB)
    assert web.acmectl("renew", "--force", WEB)[0] == 0
    assert web.installed(WEB) != first
    web.wait_served()


def test_nginx_serves_what_the_timer_renewed(web: Host) -> None:
    first = web.installed(WEB)
    web.edit(WEB, f'"{WEB}"', f'"{WEB}", "www.{WEB}"')
    assert web.renew_by_timer() == "success"
    assert web.installed(WEB) != first
    web.wait_served()


def test_a_reload_that_fails_is_owed_until_it_works(web: Host) -> None:
    machine, before = web.machine, web.served()
    machine.write(BROKEN, "this is no directive;\n")
    status, words = web.acmectl("renew", "--force", WEB)
    assert status == UNDELIVERED, words
    assert "nginx.service" in words
    assert "journalctl -u nginx.service" in words
    assert "acme-renew.timer" in words
    renewed = web.installed(WEB)
    assert (renewed != before, web.served()) == (True, before)

    machine.run(["systemctl", "stop", "acmed.service", "acme-privd.service"])
    status, words = web.acmectl("status", WEB)
    assert status == UNDELIVERED
    assert "Undelivered: nginx: reload of nginx.service: failed; see: journalctl -u nginx.service\n" in words
    assert "State: valid\n" in words
    assert f"What to do: The new certificate is in place; once the cause is gone, 'acmectl renew {WEB}'" in words
    assert web.acmectl("status")[0] == UNDELIVERED
    assert f"{WEB}  valid, undelivered  " in web.acmectl("list")[1]

    assert web.renew_by_timer() == "exit-code"
    assert web.acmectl("status", WEB)[0] == UNDELIVERED

    machine.run(["rm", BROKEN])
    assert web.renew_by_timer() == "success"
    status, words = web.acmectl("status", WEB)
    assert status == 0, words
    assert "Undelivered" not in words
    assert "Last error" not in words
    web.wait_served()
    assert web.installed(WEB) == renewed, "it was delivered, not ordered again"


def test_files_are_copied_with_their_modes_and_groups(copies: Host) -> None:
    listing = copies.shell("cd /etc/delivery && stat --format '%a %U:%G %n' *").splitlines()
    assert listing == [
        f"600 root:root all-{COPIES}.pem",
        f"644 root:root {COPIES}.ca",
        f"644 root:root {COPIES}.crt",
        f"440 root:www-data {COPIES}.key",
        f"644 root:root {COPIES}.pem",
    ]
    check_copies(copies)
    key = f"/var/lib/acme/{COPIES}/privkey.pem"
    assert copies.shell(f"stat --format '%a %U:%G' {key}") == "440 root:www-data\n"


def test_a_renewal_reaches_each_service_once(copies: Host) -> None:
    before = copies.installed(COPIES)
    assert copies.acmectl("renew", "--force", COPIES)[0] == 0
    assert copies.events() == ["reload delivery-a", "start delivery-b"]
    assert copies.installed(COPIES) != before
    check_copies(copies)


def test_one_service_that_fails_does_not_stop_the_other(copies: Host) -> None:
    copies.machine.write("/run/delivery-a-fails", "")
    status, words = copies.acmectl("renew", "--force", COPIES)
    assert status == UNDELIVERED
    assert "delivery-a.service" in words
    assert "the service delivery-b" not in words
    assert copies.events() == ["reload delivery-a", "start delivery-b"]
    check_copies(copies)

    copies.machine.run(["rm", "/run/delivery-a-fails"])
    status, words = copies.acmectl("renew", COPIES)
    assert status == 0
    assert f"{COPIES}: delivered\n" in words
    assert copies.events() == ["reload delivery-a"], "the other one has it"


def test_a_service_that_comes_later_gets_what_is_there(copies: Host) -> None:
    before = copies.installed(COPIES)
    copies.edit(COPIES, '"delivery-b"', '"delivery-b", "delivery-late"')
    assert copies.acmectl("status", COPIES)[0] == UNDELIVERED
    status, words = copies.acmectl("renew", COPIES)
    assert status == 0
    assert f"{COPIES}: delivered\n" in words
    assert copies.events() == ["reload delivery-b"]
    assert copies.installed(COPIES) == before
    assert copies.acmectl("status", COPIES)[0] == 0


def test_a_service_of_which_no_unit_is_installed_is_told_of(copies: Host) -> None:
    """There may be a mistake in the name, or it comes later: nothing is owed to it."""
    copies.edit(COPIES, '"delivery-late"', '"delivery-late", "delivery-typo"')
    status, words = copies.acmectl("renew", "--force", COPIES)
    assert status == 0, words
    remark = "no unit of service delivery-typo is installed (delivery-c.service, delivery-nowhere.service)"
    assert f"  note: {remark}, so none was told" in words
    journal = copies.shell("journalctl --sync; journalctl --unit acme-privd.service --priority warning --output cat")
    assert remark in journal
    assert copies.acmectl("status", COPIES)[0] == 0
    copies.edit(COPIES, ', "delivery-typo"', "")
    assert copies.events() == ["reload delivery-a", "start delivery-b", "reload delivery-b"]


def test_a_copy_that_cannot_be_written_says_how_to_make_it_work(copies: Host) -> None:
    """The directory's drop-in is gone: what is installed stays whole, and so do the copies."""
    machine = copies.machine
    machine.run(["mv", DROP_IN, "/root/delivery-drop-in"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    before = copies.shell("cd /etc/delivery && sha256sum *")
    status, words = copies.acmectl("renew", "--force", COPIES)
    assert status == UNDELIVERED
    assert "'acmectl config check' prints the drop-in" in words
    assert "ReadWritePaths=-/etc/delivery" in copies.acmectl("config", "check")[1]
    assert copies.events() == ["reload delivery-b"], "delivery-late has no files"
    assert copies.shell("cd /etc/delivery && sha256sum *") == before

    machine.run(["mv", "/root/delivery-drop-in", DROP_IN])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    assert copies.renew_by_timer() == "success"
    assert copies.events() == ["reload delivery-a", "start delivery-b"]
    check_copies(copies)


def check_copies(host: Host) -> None:
    """They are what is installed, and nothing lies beside them."""
    host.shell(
        f"set -e; cd /var/lib/acme/{COPIES}; to=/etc/delivery/{COPIES}; cmp privkey.pem $to.key; cmp cert.pem $to.crt;"
        f" cmp chain.pem $to.ca; cmp fullchain.pem $to.pem;"
        f" cat privkey.pem fullchain.pem | cmp - /etc/delivery/all-{COPIES}.pem; "
        " test $(ls -A /etc/delivery | wc -l) = 5"
    )
