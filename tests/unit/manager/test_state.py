# SPDX-License-Identifier: LGPL-2.1-or-later
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from acmed.manager.installed import Installed
from acmed.manager.state import AccountRequest, CertificateState, JobRecord, Store

_INSTALLED = Installed("1-2-3", "f1", "01", "CN=CA", ("a.example.com", "b.example.com"), 1, 2)
_STATE = CertificateState(2, "name", "message", 5, 6, "f0", {"nginx": "f1"}, {"postfix": "no"}, _INSTALLED)
_JOB = JobRecord(
    3,
    "account",
    "default",
    0,
    9,
    tokens=("t",),
    account=AccountRequest("https://ca.example/", ("mailto:a@b.c",), "rsa-2048", None),
)


def test_what_is_saved_is_read_by_the_next_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_certificate("www", _STATE)
    store.save_job(_JOB)
    store.save_job(replace(_JOB, id=12, account=None))
    again = Store(tmp_path)
    assert again.certificate("www") == _STATE
    assert again.jobs() == [_JOB, replace(_JOB, id=12, account=None)]
    again.remove_job(3)
    again.forget_certificate("www")
    assert Store(tmp_path).certificate("www") == CertificateState()
    assert [job.id for job in Store(tmp_path).jobs()] == [12]


def test_files_are_for_acmed_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_certificate("www", _STATE)
    store.save_job(_JOB)
    store.next_job()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert [store.next_job(), store.next_job(), Store(tmp_path).next_job()] == [1, 2, 3]
    store.save_job(replace(_JOB, id=7))
    (tmp_path / "last-job").unlink()
    assert Store(tmp_path).next_job() == 8


def _broken() -> list[str]:
    whole = {
        "failures": 0, "error_name": "", "error_message": "", "error_time": 0, "retry_at": 0, "revoked": "",
        "delivered": {}, "delivery_errors": {}, "installed": None,
    }  # fmt: skip
    wrong = [
        whole | {"failures": "1"},
        whole | {"delivered": {"nginx": 1}},
        whole | {"more": 1},
        whole | {"installed": {}},
        [],
        1,
    ]
    return ["", "{", "null", "[" * 100_000, "\xff", *map(json.dumps, wrong)]


@pytest.mark.parametrize("content", _broken())
def test_broken_file_is_set_aside(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    path = tmp_path / "certificates" / "www.json"
    path.write_bytes(content.encode("latin-1"))
    assert store.certificate("www") == CertificateState()
    assert not path.exists()
    assert (tmp_path / "certificates" / "www.json.broken").read_bytes() == content.encode("latin-1")
    store.save_certificate("www", _STATE)
    assert Store(tmp_path).certificate("www") == _STATE


def test_file_is_whole_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.save_certificate("www", _STATE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save_certificate("www", CertificateState())
    assert Store(tmp_path).certificate("www") == _STATE
