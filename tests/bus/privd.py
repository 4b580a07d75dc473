# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Varlink server in the place of acme-privd."""

import asyncio
import base64
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acmed import varlink
from acmed.manager.known import installed
from acmed.manager.places import Places
from acmed.names import Identifier
from tests.bus.peers import THUMBPRINT, Peer, der


class Privd(Peer):
    """acme-privd. undeliverable: the error for each service that cannot be served; remarks: what is told of others.
    records: the TXT records that it has set (name and value). port_problem: what ProbeChallenge answers. replaces: what
    NewRequest does. restored: what Restore puts back. thumbprint: that of the account's key, None where it cannot be
    used. key and next_key: the types of an account's, "" for none. replaced: the certificates whose provided key is
    another one now; the others' are not. sharing: those that have the key of what is revoked. hanging: the services
    whose delivery does not end.
    """

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.undeliverable: dict[str, str] = {}
        self.remarks: dict[str, str] = {}
        self.challenge_method = "directory"
        self.port_problem = ""
        self.records: set[tuple[str, str]] = set()
        self.replaces: str | None = None
        self.restored: list[str] = []
        self.thumbprint: str | None = THUMBPRINT
        self.key, self.next_key = "ecdsa-p256", ""
        self.replaced: set[str] = set()
        self.sharing: list[str] = []
        self.hanging: set[str] = set()

    def configure(self, name: str, names: Sequence[str], **keys: Any) -> None:
        """Writes certificates.d/NAME.toml."""
        lines = [f"names = {json.dumps(list(names))}"]
        lines += [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
        directory = self.places.etc / "certificates.d"
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.toml").write_text("\n".join(lines) + "\n")

    def install(self, name: str, pem: str) -> None:
        """Puts a certificate where it belongs, all files with one switch."""
        base = self.places.certificates
        fresh, link = base / f".{name}.{len(list(base.iterdir()))}", base / f".{name}.new"
        fresh.mkdir(parents=True)
        for kind in installed.KINDS:
            (fresh / f"{kind}.pem").write_text(pem)
        (fresh / "privkey.pem").chmod(0o600)
        link.symlink_to(fresh.name)
        link.rename(base / name)

    def names(self, certificate: str) -> list[dict[str, str]]:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        identifiers = map(Identifier.parse, data["names"])
        return [{"type": identifier.type, "value": identifier.value} for identifier in identifiers]

    def account(self, certificate: str) -> str:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        return str(data.get("account", "default"))

    async def configure_method(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Configure", **given)
        settings = {_snake(key): value for key, value in given["settings"].items()}
        path = self.places.etc / "certificates.d" / f"{given['certificate']}.toml"
        there = tomllib.loads(path.read_text()) if path.exists() else {}
        settings["csr"] = True if settings["csr"] or there.get("csr") else None
        self.configure(given["certificate"], given["names"], **settings)
        return {}

    async def forget(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Forget", **given)
        (self.places.etc / "certificates.d" / f"{given['certificate']}.toml").unlink()
        return {}

    async def new_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewAccount", **given)
        path = self.account_file(given["account"])
        if not path.exists() or (given["directory"] and f'"{given["directory"]}"' not in path.read_text()):
            self.configure_account(given["account"], given["directory"])
        return {}

    async def import_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ImportAccountKey", **given)
        return {}

    async def seal_binding(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SealBinding", **given)
        return {}

    async def permit_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitAccount", **given)
        return {}

    async def set_contact(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SetContact", **given)
        path = self.account_file(given["account"])
        path.write_text(f"{path.read_text()}contact = {json.dumps(given['contact'])}\n")
        return {}

    async def new_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewAccountKey", **given)
        self.next_key = self.next_key or given["key_type"]
        return {"keyType": self.next_key}

    async def drop_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("DropAccountKey", **given)
        self.next_key = ""
        return {}

    async def adopt_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("AdoptAccountKey", **given)
        self.key, self.next_key = self.next_key or self.key, ""
        return {"keyType": self.key}

    async def retire_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RetireAccount", **given)
        self.account_file(given["account"]).unlink(missing_ok=True)
        return {}

    async def set_account_uri(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SetAccountUri", **given)
        self.configure_account(given["account"], "https://ca.example/directory", given["uri"])
        return {}

    def account_file(self, name: str) -> Path:
        return self.places.etc / "acmed.toml.d" / f"account-{name}.toml"

    def configure_account(self, name: str, directory: str, uri: str = "", more: str = "") -> None:
        path = self.account_file(name)
        path.parent.mkdir(exist_ok=True)
        lines = f'[account.{name}]\ndirectory = "{directory}"\n' + (f'uri = "{uri}"\n' if uri else "")
        path.write_text(lines + more)

    async def new_request(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewRequest", **given)
        name = given["certificate"]
        return {
            "request": "r1",
            "account": given["account"] or self.account(name),
            "identifiers": self.names(name),
            "csr": "Y3Ny",
            "profile": None,
            "notBefore": None,
            "notAfter": None,
            "replaces": self.replaces,
            "preferredChain": None,
            "thumbprint": self.thumbprint,
        }

    async def install_method(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Install", **given)
        self.install(given["certificate"], given["chain"])
        self.replaced.discard(given["certificate"])
        found = installed.read(self.places.certificates / given["certificate"] / "cert.pem")
        assert found
        return {
            "serialNumber": found.serial_number,
            "issuer": found.issuer,
            "fingerprint": found.fingerprint,
            "notBefore": found.not_before,
            "notAfter": found.not_after,
        }

    async def deliver(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Deliver", **given)
        while self.hanging & set(given["services"]):
            await asyncio.sleep(0.01)
        (self.places.certificates / given["certificate"] / "privkey.pem").chmod(0o640)
        return {
            "deliveries": [
                {
                    "service": service,
                    "error": self.undeliverable.get(service, ""),
                    "remark": self.remarks.get(service, ""),
                }
                for service in given["services"]
            ]
        }

    async def restore(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Restore", **given)
        return {"restored": self.restored}

    async def open_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("OpenChallenge", **given)
        return {"method": self.challenge_method}

    async def probe_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ProbeChallenge", **given)
        return {"problem": self.port_problem}

    async def publish_record(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PublishRecord", **given)
        self.records.add((given["name"], given["value"]))
        return {}

    async def withdraw_record(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("WithdrawRecord", **given)
        self.records.discard((given["name"], given["value"]))
        return {}

    async def provided_keys(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ProvidedKeys", **given)
        found = []
        for name, before in ((one["certificate"], one["seen"]) for one in given["keys"]):
            one, replaced = installed.read(self.places.certificates / name / "cert.pem"), name in self.replaced
            seen = f"{one.fingerprint} {replaced}" if one else before
            if one and seen != before:
                found.append({"certificate": name, "fingerprint": one.fingerprint, "replaced": replaced, "seen": seen})
        return {"keys": found}

    async def permit_authorize(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitAuthorize", **given)
        return {"thumbprint": self.thumbprint}

    async def drop_permit(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("DropPermit", **given)
        return {}

    async def close_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("CloseChallenge", **given)
        return {}

    async def publish_token(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PublishToken", **given)
        return {}

    async def withdraw_token(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("WithdrawToken", **given)
        return {}

    async def permit_revoke(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitRevoke", **given)
        found = der((self.places.certificates / given["certificate"] / "cert.pem").read_bytes())
        return {"account": "default", "der": base64.b64encode(found).decode(), "sharing": self.sharing}

    async def permit_revoke_other(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitRevokeOther", **given)
        return {"sharing": self.sharing}

    async def sign_revocation(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SignRevocation", **given)
        return {"protected": given["nonce"], "payload": "p", "signature": "s", "sharing": self.sharing}

    async def archive(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Archive", **given)
        return {}

    async def notify(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Notify", **given)
        return {}


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()
