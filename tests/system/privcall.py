# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Priv in a machine, called as acmed does."""

import json
from typing import Any

from tests.machine import Machine

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from acmed import varlink

async def main():
    client = varlink.Client(varlink.load("org.acmed.Priv"), Path("/run/acmed/priv.sock"))
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


def call(machine: Machine, method: str, **parameters: Any) -> dict[str, Any]:
    """What a method answers, or its error's name and parameters."""
    (answer,) = call_all(machine, [(method, parameters)])
    return answer


def call_all(machine: Machine, calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Several at once."""
    text = json.dumps([{"method": method, "parameters": {"job": 1, **given}} for method, given in calls])
    done = machine.run(["python3", "-c", PROGRAM], user="acmed", input=text, timeout=180)
    return [json.loads(line) for line in done.stdout.splitlines()]
