# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon in a machine, called over Varlink: org.acmed.Priv as acmed does it, or any other."""

import json
from typing import Any

from tests.machine import Machine

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from acmed import varlink

async def main():
    client = varlink.Client(varlink.load(sys.argv[1]), Path(sys.argv[2]))
    calls = json.load(sys.stdin)
    for answer in await asyncio.gather(*(call(client, **one) for one in calls)):
        print(json.dumps(answer))

async def call(client, method, parameters):
    try:
        return await client.call(method, timeout=120, **parameters)
    except varlink.VarlinkError as error:
        return {"error": error.name.rpartition(".")[2], **error.parameters}
    except varlink.ConnectionLost as error:
        return {"error": str(error)}

asyncio.run(main())
"""


def call(machine: Machine, method: str, user: str | None = "acmed", **parameters: Any) -> dict[str, Any]:
    """What a method of org.acmed.Priv answers, or its error's name and parameters."""
    (answer,) = call_all(machine, [(method, parameters)], user)
    return answer


def call_all(
    machine: Machine, calls: list[tuple[str, dict[str, Any]]], user: str | None = "acmed"
) -> list[dict[str, Any]]:
    """Several at once."""
    given = [(method, {"job": 1, **parameters}) for method, parameters in calls]
    return ask(machine, "org.acmed.Priv", "/run/acmed/priv.sock", given, user)


def ask(
    machine: Machine, interface: str, path: str, calls: list[tuple[str, dict[str, Any]]], user: str | None = None
) -> list[dict[str, Any]]:
    """The answers of the daemon whose socket that is to calls at once, each as call() gives it."""
    text = json.dumps([{"method": method, "parameters": given} for method, given in calls])
    done = machine.run(["python3", "-c", PROGRAM, interface, path], user=user, input=text, timeout=180)
    return [json.loads(line) for line in done.stdout.splitlines()]
