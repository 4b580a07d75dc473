# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every error that acme-privd raises is one of org.acmed.Priv, with its parameters."""

import ast
from pathlib import Path

import acmed.privd
from acmed import varlink


def test_errors_are_those_of_the_interface() -> None:
    interface = varlink.load("org.acmed.Priv")
    raised = set()
    for path in Path(acmed.privd.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refusal":
                (name,) = node.args
                assert isinstance(name, ast.Constant)
                assert isinstance(name.value, str)
                parameters = {keyword.arg for keyword in node.keywords}
                assert parameters == set(interface.errors[name.value].fields), f"{path.name}: {name.value}"
                raised.add(name.value)
    assert raised == set(interface.errors), "each error of the interface can be met"
