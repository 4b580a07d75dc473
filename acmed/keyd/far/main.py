# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd --socket and --stdio: without units, for anybody who has an account key."""

import os
import resource
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from acmed import __version__, journal
from acmed.config.keysource import BadKeySource
from acmed.keyd.far import opening, settings
from acmed.keyd.far.conversation import Conversation
from acmed.keyd.far.hourly import Hourly
from acmed.keyd.far.policy import Policy
from acmed.keyd.far.record import Record
from acmed.keyd.far.settings import Settings, Source
from acmed.keyd.far.signer import Signer
from acmed.keyd.keys import LocalKey
from acmed.specifiers import UnknownSpecifier, expand, state_directory
from acmed.varlink import Call

_SOCKET = "%t/acme-keyd.sock"
_CONFIG = "%E/acmed/keyd.toml"
# That are put on record in an hour, of one client.
_REFUSALS = 1000


def main(words: Sequence[str]) -> None:
    """Runs until the client hangs up (--stdio), or a signal ends it (--socket). Raises SystemExit for what is wrong."""
    options = _options(words)
    journal.setup("acme-keyd", "debug" if options.debug else "warning" if options.quiet else "info")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no key in a dump
    try:
        signer = _signer(options)
        if options.stdio:
            from acmed.keyd.far.stdio import converse  # noqa: PLC0415  one of the two is enough

            converse(Conversation(signer, Call(os.getppid(), os.getuid(), os.getgid())))
        else:
            _serve(signer, Path(expand(options.socket or _SOCKET)))
    except UnknownSpecifier as error:
        raise SystemExit(f"acme-keyd: {error}") from error


def _options(words: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        "acme-keyd",
        description="Sign ACME requests of lacme and other hosts with the key of an account. Without options, it is "
        "the daemon of acme-keyd.service.",
        epilog="acme-keyd(8) describes the configuration, and what is signed.",
        allow_abbrev=False,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--socket", nargs="?", metavar="PATH", help=f"listen there (default: {_SOCKET})".replace("%", "%%")
    )
    where.add_argument("--stdio", action="store_true", help="serve one client on standard input and output")
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {_CONFIG})".replace("%", "%%"))
    parser.add_argument("--client", metavar="NAME", help="serve by the policy [client.NAME]")
    parser.add_argument(
        "--key", metavar="KIND:PLACE", help="the key, instead of the configuration's: file:PATH, gpg:PATH or pkcs11:URI"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but what goes wrong")
    parser.add_argument("--debug", action="store_true", help="say more; stronger than --quiet")
    parser.add_argument("--version", action="version", version=f"acme-keyd {__version__}")
    return parser.parse_args(words)


def _serve(signer: Signer, path: Path) -> None:
    import asyncio  # noqa: PLC0415  not for --stdio, which is started for each connection

    from acmed.keyd.far.listener import CannotListen  # noqa: PLC0415
    from acmed.keyd.far.server import serve  # noqa: PLC0415

    try:
        asyncio.run(serve(path, signer))
    except CannotListen as error:
        raise SystemExit(f"acme-keyd: {error}") from error


def _signer(options: Namespace) -> Signer:
    configured, path = _settings(options.config)
    policy = _policy(configured, options.client)
    source = _source(options.key, configured, policy)
    if not policy.names and {"order", "authorize"} & policy.operations:
        journal.warning("No names are allowed, so no order is signed: give names = [...] in %s", path)
    record = Record(policy.name, configured.log_file)
    try:
        record.check()
    except OSError as error:
        raise SystemExit(f"acme-keyd: log-file {error.filename}: {error.strerror}") from error
    digest = sha256(f"{path}\0{policy.name}".encode()).hexdigest()[:16]
    of_client = f"{policy.name or 'policy'}-{digest}"
    signatures = Hourly(state_directory() / f"signatures-{of_client}", "signatures", policy.signatures)
    refusals = Hourly(state_directory() / f"refusals-{of_client}", "refusals", _REFUSALS)
    return Signer(source.name, _key(source), source.uri, policy, signatures, refusals, record)


def _settings(config: str | None) -> tuple[Settings, Path]:
    """A default file that is not there is an empty one."""
    path = Path(expand(config or _CONFIG)).absolute()
    try:
        found, problems = settings.load(path)
    except FileNotFoundError:
        if config is None:
            return Settings(), path
        raise SystemExit(f"acme-keyd: {path} is not there") from None
    if problems:
        raise SystemExit("\n".join(f"acme-keyd: {problem}" for problem in problems))
    return found, path


def _policy(configured: Settings, client: str | None) -> Policy:
    if client is not None and client in configured.clients and client:
        return configured.clients[client]
    if client is not None:
        known = ", ".join(name for name in configured.clients if name) or "none"
        raise SystemExit(f"acme-keyd: there is no [client.{client}]; there are: {known}")
    if len(configured.clients) > 1:
        raise SystemExit(f"acme-keyd: which client? --client NAME, of {', '.join(configured.clients)}")
    return next(iter(configured.clients.values()))


def _source(option: str | None, configured: Settings, policy: Policy) -> Source:
    """Where the key is. --key stands for the whole of [key]."""
    if option is not None:
        if policy.hide_jwk:
            raise SystemExit("acme-keyd: hide-jwk needs the key's uri, so its key cannot be given by --key")
        try:
            return Source(settings.ONLY_KEY, settings.key_source(option, Path.cwd()))
        except BadKeySource as error:
            raise SystemExit(f"acme-keyd: --key {error}") from error
    if policy.key not in configured.keys:
        raise SystemExit('acme-keyd: no key: give --key file:PATH, or [key] with source = "file:PATH" in keyd.toml')
    return configured.keys[policy.key]


def _key(source: Source) -> LocalKey:
    """The key that is there. Raises SystemExit."""
    try:
        return opening.open_key(source)
    except opening.CannotOpen as error:
        raise SystemExit(f"acme-keyd: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
