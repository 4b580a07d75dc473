# SPDX-License-Identifier: LGPL-2.1-or-later
"""A token of SoftHSM's with account keys, by which acme-store-pkcs11.service may sign."""

from tests.machine import Machine

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
TOKENS = "/var/lib/softhsm/tokens"
PIN = "271828"
PINS = "/etc/credstore.encrypted/acmed.pins"
UNIT = "acme-store-pkcs11.service"
KINDS = {"rsa": "--key-type rsa:2048 --id 01", "ec": "--key-type EC:prime256v1 --id 02"}

# As acme-keyd(8) has it.
DROP_IN = f"""
[Service]
SupplementaryGroups=softhsm
ReadWritePaths={TOKENS}
"""
GIVE = f"chgrp -R softhsm {TOKENS}; chmod -R g+rwX {TOKENS}"
INIT = f"softhsm2-util --init-token --free --label acme --pin {PIN} --so-pin 31415926"
GENERATE = f"pkcs11-tool --module {MODULE} --token-label acme --login --pin {PIN} --keypairgen"


def make(machine: Machine) -> None:
    """The token acme, with a key of each kind."""
    script = [INIT, *(f"{GENERATE} --label {kind} {options}" for kind, options in KINDS.items()), GIVE]
    machine.run(["sh", "-euc", "\n".join(script)])
    machine.write(f"/etc/systemd/system/{UNIT}.d/softhsm.conf", DROP_IN)
    machine.run(["systemctl", "daemon-reload"])


def source(kind: str) -> str:
    """What an account's key is to be."""
    return f"pkcs11:token=acme;object={kind}?module-path={MODULE}"


def seal(machine: Machine, account: str, pin: str = PIN) -> None:
    machine.run(["systemd-creds", "encrypt", f"--name=pin_{account}", "-", f"{PINS}/{account}"], input=pin)
    machine.run(["systemctl", "try-restart", UNIT])
