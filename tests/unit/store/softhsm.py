# SPDX-License-Identifier: LGPL-2.1-or-later
"""A token of SoftHSM's, below a temporary directory, and PyKCS11 to put keys on it."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PyKCS11 as P

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"
CURVES = {
    "P-256": "06082a8648ce3d030107",
    "P-384": "06052b81040022",
    "P-521": "06052b81040023",
    "P-192": "06082a8648ce3d030101",
}
EDWARDS = "130c656477617264733235353139"


@dataclass
class SoftHsm:
    """tokens: the directory with a directory for each token."""

    config: Path
    tokens: Path

    def configure(self, more: str = "") -> None:
        self.config.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n{more}\n"
        )

    def token(self, label: str) -> None:
        self.tokens.mkdir(exist_ok=True)
        command = ["softhsm2-util", "--module", MODULE, "--init-token", "--free", "--label", label]
        subprocess.run([*command, "--pin", PIN, "--so-pin", "5678"], check=True, capture_output=True)

    @contextlib.contextmanager
    def session(self, label: str, pin: str = PIN) -> Iterator[Any]:
        """For writing, and logged in."""
        library = P.PyKCS11Lib()
        library.load(MODULE)
        slot = next(slot for slot in library.getSlotList() if library.getTokenInfo(slot).label.rstrip() == label)
        session = library.openSession(slot, P.CKF_RW_SESSION)
        session.login(pin)
        try:
            yield session
        finally:
            session.closeSession()
            # Or the next one would get this one's tokens, as long as anything refers to this library.
            library.lib.C_Finalize()

    def key(
        self,
        token: str,
        kind: str,
        label: str = "account",
        id: bytes = b"\1",
        *,
        sign: bool = True,
        asks: bool = False,
    ) -> None:
        """A key pair. kind: bits, a curve, or Ed25519. sign, asks: CKA_SIGN, CKA_ALWAYS_AUTHENTICATE."""
        shared = [(P.CKA_TOKEN, True), (P.CKA_LABEL, label), (P.CKA_ID, id)]
        private = [*shared, (P.CKA_PRIVATE, True), (P.CKA_SENSITIVE, True), (P.CKA_SIGN, sign)]
        private += [(P.CKA_ALWAYS_AUTHENTICATE, True)] if asks else []
        public: list[tuple[int, Any]] = [*shared, (P.CKA_PRIVATE, False)]
        if kind.isdigit():
            way = P.CKM_RSA_PKCS_KEY_PAIR_GEN
            public += [(P.CKA_MODULUS_BITS, int(kind)), (P.CKA_PUBLIC_EXPONENT, b"\1\0\1")]
        elif kind == "Ed25519":
            way = P.CKM_EC_EDWARDS_KEY_PAIR_GEN
            public += [(P.CKA_EC_PARAMS, bytes.fromhex(EDWARDS))]
        else:
            way = P.CKM_EC_KEY_PAIR_GEN
            public += [(P.CKA_EC_PARAMS, bytes.fromhex(CURVES[kind]))]
        with self.session(token) as session:
            session.generateKeyPair(public, private, P.Mechanism(way, None))

    def remove_public_keys(self, token: str) -> None:
        with self.session(token) as session:
            for handle in session.findObjects([(P.CKA_CLASS, P.CKO_PUBLIC_KEY)]):
                session.destroyObject(handle)

    def certificate(self, token: str, der: bytes, id: bytes = b"\1") -> None:
        fields = [(P.CKA_CLASS, P.CKO_CERTIFICATE), (P.CKA_CERTIFICATE_TYPE, P.CKC_X_509), (P.CKA_TOKEN, True)]
        with self.session(token) as session:
            session.createObject([*fields, (P.CKA_SUBJECT, b"0"), (P.CKA_ID, id), (P.CKA_VALUE, der)])


def new(directory: Path) -> SoftHsm:
    """With one token, acme; SOFTHSM2_CONF has to name its config."""
    made = SoftHsm(directory / "softhsm2.conf", directory / "tokens")
    made.configure()
    made.token("acme")
    return made
