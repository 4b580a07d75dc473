# SPDX-License-Identifier: LGPL-2.1-or-later
"""The clients that are measured, and how each is used: as its documentation says, with its defaults, but P-256 keys.

All scripts are for sh. The CA's TLS certificate is in the system's store, so no client needs an option for it.
"""

from dataclasses import dataclass

from tests.machine.pebble import Pebble

WEBROOT = "/var/www/html/.well-known/acme-challenge"
ROOT = "/root/pebble-root.pem"
"""In the machine: what issued certificates are verified with."""


@dataclass(frozen=True)
class Peer:
    """One client."""

    name: str
    version: str
    """A command that prints it."""
    how: str
    """How http-01 is answered, and what else a reader has to know."""
    setup: str
    """Run once: configuration and account."""
    order: str
    """Orders a certificate for each of the names $@."""
    nothing_due: str
    """What a timer would run; every certificate, those of the names $@, is fresh."""
    certificate: str
    """Where the chain of {name} is then."""
    webroot: bool = False
    """Needs a web server; the others listen on port 80 themselves."""
    order_many: str = ""
    """The same, where many are ordered in another way than one."""
    most: int = 50
    """How many certificates are ordered in one go at most; more would take minutes."""
    stop: str = ""
    """Ends what stays running for a while."""


def _debian(*packages: str) -> str:
    return f"dpkg-query --show --showformat='${{Version}}\n' {' '.join(packages)} | uniq"


ACMED = Peer(
    name="acmed",
    version=_debian("acmed"),
    how="Own responder. Every daemon is stopped before each run, and ended and counted after it. "
    "Many: a file for each certificate, then `acmectl renew --due`.",
    setup=f"""
        for unit in acmed acme-; do
            mkdir -p /etc/systemd/system/$unit.service.d
            printf '[Service]\\nSlice=bench.slice\\n' >/etc/systemd/system/$unit.service.d/bench.conf
        done
        systemctl daemon-reload
        acmectl account add --directory {Pebble.directory} --contact admin@example.com --agree-tos
    """,
    order='acmectl order "$1"',
    order_many="""
        for name; do
            printf 'names = ["%s"]\\n' "$name" >"/etc/acmed/certificates.d/$name.toml"
        done
        acmectl renew --due
    """,
    nothing_due="acmectl renew --due",
    certificate="/var/lib/acme/{name}/fullchain.pem",
    stop="systemctl stop acmed.service 'acme-*.service'",
)

LACME = Peer(
    name="lacme",
    version=_debian("lacme", "lacme-accountd"),
    how="Own web server; lacme-accountd as its child, as shipped. Keys by openssl, as lacme makes none. "
    "Many: one run, with a section for each.",
    setup=f"""
        openssl genrsa -out /etc/lacme/account.key 2048
        mkdir -p /etc/lacme/tls
        echo 'privkey = file:/etc/lacme/account.key' >/etc/lacme/lacme-accountd.conf
        printf '[client]\\nserver = {Pebble.directory}\\n[webserver]\\nlisten = [::]:80\\n[accountd]\\n' \\
            >/etc/lacme/lacme.conf
        lacme account --register --tos-agreed mailto:admin@example.com
    """,
    order=f"""
        for name; do
            openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "/etc/lacme/tls/$name.key"
            printf '[%s]\\n%s\\n%s\\n%s\\n%s\\n%s\\n' "$name" \\
                "certificate-key = /etc/lacme/tls/$name.key" \\
                "certificate-chain = /etc/lacme/tls/$name.pem" \\
                "subject = /CN=$name" \\
                "subjectAltName = DNS:$name" \\
                "CAfile = {ROOT}" >"/etc/lacme/lacme-certs.conf.d/$name.conf"
        done
        lacme newOrder "$@"
    """,
    nothing_due="lacme newOrder",
    certificate="/etc/lacme/tls/{name}.pem",
)

CERTBOT = Peer(
    name="certbot",
    version=_debian("certbot"),
    how="`--standalone`. Many: a loop. Nothing due: what its Debian timer runs.",
    setup=f"certbot register --non-interactive --agree-tos --email admin@example.com --server {Pebble.directory}",
    order=f"""
        for name; do
            certbot certonly --non-interactive --standalone --server {Pebble.directory} --domain "$name" || exit
        done
    """,
    nothing_due="certbot -q renew --no-random-sleep-on-renew",
    certificate="/etc/letsencrypt/live/{name}/fullchain.pem",
    most=10,
)

_LEGO = f"lego --accept-tos --email admin@example.com --server {Pebble.directory} --path /var/lib/lego --http"

LEGO = Peer(
    name="lego",
    version=_debian("lego"),
    how="`--http`. Many, and nothing due: a loop, as one run has one certificate.",
    setup=f"{_LEGO} --domains first.lego.bench.example run",
    order=f'for name; do {_LEGO} --domains "$name" run || exit; done',
    nothing_due=f'for name; do {_LEGO} --domains "$name" renew --no-random-sleep || exit; done',
    certificate="/var/lib/lego/certificates/{name}.crt",
    most=10,
)

_UACME = (
    f"UACME_CHALLENGE_PATH={WEBROOT} uacme --acme-url {Pebble.directory} --hook /usr/share/uacme/uacme.sh --type EC"
)

UACME = Peer(
    name="uacme",
    version=_debian("uacme"),
    how="nginx (not counted) and the hook uacme.sh of its package. It cannot read the dns-persist-01 challenge and "
    "fails where Pebble, which shuffles them, names that one before http-01. Many: a loop, which is not "
    "run because of these failures.",
    setup=f"uacme --acme-url {Pebble.directory} --yes new admin@example.com",
    order=f'{_UACME} issue "$1"',
    nothing_due=f'for name; do {_UACME} issue "$name"; [ $? = 1 ] || exit; done',
    certificate="/etc/ssl/uacme/{name}/cert.pem",
    webroot=True,
    most=1,
)

_DEHYDRATED_CRON = 'printf "%s\\n" "$@" >/etc/dehydrated/domains.txt; dehydrated --cron'

DEHYDRATED = Peer(
    name="dehydrated",
    version=_debian("dehydrated"),
    how="nginx (not counted) with its WELLKNOWN directory. One run, with a line for each certificate in domains.txt.",
    setup=f"""
        printf '%s\\n' CA={Pebble.directory} WELLKNOWN={WEBROOT} KEY_ALGO=prime256v1 CONTACT_EMAIL=admin@example.com \\
            >/etc/dehydrated/conf.d/bench.sh
        dehydrated --register --accept-terms
    """,
    order=_DEHYDRATED_CRON,
    nothing_due=_DEHYDRATED_CRON,
    certificate="/var/lib/dehydrated/certs/{name}/fullchain.pem",
    webroot=True,
    most=10,
)

_ACMEBOT = "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt /opt/acmebot/bin/acmebot -c /etc/acmebot/acmebot.json"

ACMEBOT = Peer(
    name="acmebot",
    version="/opt/acmebot/bin/pip show acmebot | sed -n 's/^Version: //p'",
    how="nginx (not counted) with its http_challenge directory. `--certs`, its fastest way; no RSA key, DH or EC "
    "parameters, and no certificate transparency logs, which are on the Internet. It makes a backup key for each.",
    setup=f"""
        mkdir -p /etc/acmebot/conf.d
        cat >/etc/acmebot/acmebot.json <<END
            {{"account": {{"email": "admin@example.com"}},
              "settings": {{"acme_directory_url": "{Pebble.directory}", "key_types": ["ecdsa"],
                            "key_curve": "secp256r1", "dhparam_size": null, "ecparam_curve": null,
                            "ct_submit_logs": [], "reload_zone_command": null, "file_group": "root"}},
              "directories": {{"http_challenge": "{WEBROOT}"}}}}
END
        {_ACMEBOT} --accept --register
    """,
    order=f"""
        for name; do
            printf '{{"certificates": {{"%s": {{"alt_names": {{"%s": ["@"]}}}}}}}}' "$name" "$name" \\
                >"/etc/acmebot/conf.d/$name.json"
        done
        {_ACMEBOT} --certs "$@"
    """,
    nothing_due=f"{_ACMEBOT} --certs",
    certificate="/etc/ssl/certs/{name}.ecdsa.pem",
    webroot=True,
)

PEERS = {peer.name: peer for peer in (ACMED, LACME, CERTBOT, LEGO, UACME, DEHYDRATED, ACMEBOT)}
