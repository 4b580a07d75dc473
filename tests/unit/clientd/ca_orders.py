# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders of the CA (RFC 8555 section 7.4), authorizations (section 7.5), and chains."""

from typing import TYPE_CHECKING, Any

from tests.unit.clientd.ca_parts import Authorization, Json, Order, Outcome, Refusal

if TYPE_CHECKING:
    from tests.unit.clientd.ca import FaultyCa

PROFILES = ("classic", "shortlived")


def new_order(ca: "FaultyCa", payload: Json, _: str, __: str) -> Outcome:
    if payload.get("profile", PROFILES[0]) not in PROFILES:
        raise Refusal(400, "invalidProfile", f"profile {payload['profile']} is unknown")
    if refusal := ca.replaced.get(payload.get("replaces", "")):
        raise refusal
    names = _names(payload["identifiers"])
    for url, known in ca.orders.items():
        if _names(known.identifiers) == names and known.status == "pending" and not ca.lists:
            return 201, {"Location": url}, _show(ca, url)
    authorizations = [_authorize(ca, item) for item in payload["identifiers"]]
    url = f"{ca.base}/order/{ca.number()}"
    chosen: Json = {name: payload[name] for name in ("profile", "notBefore", "notAfter", "replaces") if name in payload}
    ca.orders[url] = Order(payload["identifiers"], authorizations, chosen=chosen)
    return 201, {"Location": url}, _show(ca, url)


def listed(ca: "FaultyCa", payload: Any, _: str, page: str) -> Outcome:
    """RFC 8555 section 7.1.2.1."""
    if payload != "":
        raise Refusal(400, "malformed", "this is a list")
    end = int(page) * 3
    following = {"Link": f'<{ca.base}/orders/{int(page) + 1}>;rel="next"'} if end < len(ca.orders) else {}
    return 200, following, {"orders": [*ca.orders][end - 3 : end]}


def new_authorization(ca: "FaultyCa", payload: Json, _: str, __: str) -> Outcome:
    if payload["identifier"]["value"].startswith("*."):
        raise Refusal(400, "malformed", "no wildcards here")
    url = _authorize(ca, payload["identifier"])
    return 201, {"Location": url}, authorization(ca, "", "", url.rpartition("/")[2])[2]


def order(ca: "FaultyCa", _: Any, __: str, number: str) -> Outcome:
    url = f"{ca.base}/order/{number}"
    if url not in ca.orders:
        raise Refusal(404, "malformed", "no such order")
    known = ca.orders[url]
    if known.status == "processing":
        known.polls += 1
        if known.polls >= ca.issuance_polls:
            known.status = "valid"
    return 200, {}, _show(ca, url)


def authorization(ca: "FaultyCa", _: Any, __: str, number: str) -> Outcome:
    url = f"{ca.base}/authz/{number}"
    if url not in ca.authorizations:
        raise Refusal(404, "malformed", "no such authorization")
    known = ca.authorizations[url]
    if known.answered and known.status == "pending":
        known.polls += 1
        if known.polls >= ca.validation_polls:
            known.error = ca.verdicts.get(known.identifier["value"])
            known.status = "invalid" if known.error else "valid"
    value = known.identifier["value"]
    challenges: list[Json] = [
        {"type": kind, "url": f"{ca.base}/challenge/{kind}/{number}", "status": "pending", "token": f"{kind}-{number}"}
        for kind in ("dns-01", "http-01")
    ]
    if known.answered:
        error = {"error": known.error} if known.error else {}
        status = "processing" if known.status == "pending" else known.status
        challenges[1] |= {"status": status} | error
    identifier = known.identifier | {"value": value.removeprefix("*.")}
    shown = {"status": known.status, "identifier": identifier, "challenges": challenges, "expires": known.expires}
    return 200, {}, shown | ({"wildcard": True} if value.startswith("*.") else {})


def challenge(ca: "FaultyCa", payload: Any, _: str, number: str) -> Outcome:
    known = ca.authorizations[f"{ca.base}/authz/{number}"]
    if payload != {} or known.answered:
        raise Refusal(400, "malformed", "this challenge cannot be answered now")
    known.answered = True
    return 200, {}, {"type": "http-01", "status": "processing", "url": f"{ca.base}/challenge/http-01/{number}"}


def finalize(ca: "FaultyCa", payload: Json, _: str, number: str) -> Outcome:
    url = f"{ca.base}/order/{number}"
    known = ca.orders[url]
    if _show(ca, url)["status"] != "ready":
        raise Refusal(403, "orderNotReady", f"the order is {known.status}")
    known.csr = payload["csr"]
    known.status = "processing" if ca.issuance_polls else "valid"
    return 200, {}, _show(ca, url)


def certificate(ca: "FaultyCa", _: Any, __: str, number: str) -> Outcome:
    """/certificate/ORDER is the default chain, /certificate/ORDER-1 the first alternate."""
    base, _, which = number.partition("-")
    chains = ca.chains or [ca.certificate.read_bytes() * 2]
    links = [f'<{ca.base}/certificate/{base}-{index}>;rel="alternate"' for index in range(1, len(chains))]
    headers = {"Link": ", ".join([f'<{ca.directory}>;rel="index"', *links])}
    return 200, headers | {"Content-Type": "application/pem-certificate-chain"}, chains[int(which or 0)]


def _authorize(ca: "FaultyCa", identifier: Json) -> str:
    url = f"{ca.base}/authz/{ca.number()}"
    ca.authorizations[url] = Authorization(identifier)
    return url


def _names(identifiers: list[Json]) -> set[tuple[str, str]]:
    return {(item["type"], item["value"]) for item in identifiers}


def _show(ca: "FaultyCa", url: str) -> Json:
    known = ca.orders[url]
    found = {ca.authorizations[item].status for item in known.authorizations}
    if known.status == "pending" and found == {"valid"}:
        known.status = "ready"
    if known.status == "pending" and found - {"pending", "valid"}:
        known.status = "invalid"
    number = url.rpartition("/")[2]
    shown = known.chosen | {
        "status": known.status,
        "expires": known.expires,
        "identifiers": known.identifiers,
        "authorizations": known.authorizations,
        "finalize": f"{ca.base}/finalize/{number}",
    }
    return shown | ({"certificate": f"{ca.base}/certificate/{number}"} if known.status == "valid" else {})
