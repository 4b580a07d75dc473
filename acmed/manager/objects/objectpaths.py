# SPDX-License-Identifier: LGPL-2.1-or-later
"""Object paths, as sd_bus_path_encode(3) makes them: www.example.com is www_2eexample_2ecom."""

MANAGER = "/org/acmed1"
LOG_CONTROL = "/org/freedesktop/LogControl1"


def certificate(name: str) -> str:
    return f"{MANAGER}/certificate/{_encode(name)}"


def account(name: str) -> str:
    return f"{MANAGER}/account/{_encode(name)}"


def job(number: int) -> str:
    return f"{MANAGER}/job/_{number}"


def _encode(name: str) -> str:
    """Each byte but letters and digits, and a digit in front, as _ and two hexadecimal digits."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and (index or not chr(byte).isdigit()) and byte < 128 else f"_{byte:02x}"
        for index, byte in enumerate(name.encode())
    )
