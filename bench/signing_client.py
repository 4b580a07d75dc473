# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run by signing.py in the machine, as root: asks acme-keyd for signatures as acme-clientd does, and prints what each
took. Nothing but the standard library, so that what is measured is acme-keyd's.
"""

import base64
import hashlib
import json
import multiprocessing
import socket
import sys
import time

PERMIT, KEY = "/run/acmed/key-permit.sock", "/run/acmed/key.sock"
CSR = b"what acme-keyd takes for a CSR, of which it knows the digest " * 8
PAYLOAD = base64.urlsafe_b64encode(json.dumps({"csr": base64.urlsafe_b64encode(CSR).rstrip(b"=").decode()}).encode())
# A permit is good for 128 signatures of a kind.
_BATCH = 100


def call(path: str, method: str, **parameters: object) -> dict[str, object]:
    """One call on a connection of its own, as all of acmed's are."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps({"method": method, "parameters": parameters}).encode() + b"\0")
        answer = b""
        while not answer.endswith(b"\0"):
            if not (chunk := connection.recv(65536)):
                raise SystemExit(f"{method}: no answer")
            answer += chunk
    reply: dict[str, object] = json.loads(answer[:-1])
    if "error" in reply:
        raise SystemExit(f"{method}: {reply}")
    return reply


def permit(certificate: str) -> None:
    """Leaves a permit to finalize with the CSR."""
    parameters = {
        "account": "default",
        "certificate": certificate,
        "identifiers": [{"type": "dns", "value": f"{certificate}.example.com"}],
        "csrSha256": hashlib.sha256(CSR).hexdigest(),
        "profile": None,
        "replaces": None,
        "notBefore": None,
        "notAfter": None,
        "lifetime": 3600,
    }
    call(PERMIT, "org.acmed.KeyPermit.PermitOrder", **parameters)


def sign(count: int, url: str, certificate: str) -> list[float]:
    """The seconds that each of so many signatures of a finalize request took."""
    payload, taken = PAYLOAD.rstrip(b"=").decode(), []
    for number in range(count):
        if number % _BATCH == 0:
            permit(certificate)
        started = time.perf_counter()
        call(KEY, "org.acmed.Key.Sign", account="default", url=url, nonce=f"nonce{number}", payload=payload)
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    """Arguments: how many clients there are at once, how many signatures each has made, and the URL. JSON on stdout."""
    clients, count, url = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sign(_BATCH, url, "warm")
    with multiprocessing.Pool(clients) as pool:
        print(json.dumps(pool.starmap(sign, [(count, url, f"client{number}") for number in range(clients)])))


if __name__ == "__main__":
    main()
