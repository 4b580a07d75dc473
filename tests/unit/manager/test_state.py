# SPDX-License-Identifier: LGPL-2.1-or-later
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import AccountState, CertificateState, Issuance, Told, Window
from acmed.manager.known.state import UPDATE, AccountRequest, JobRecord, Owed, Presented, Store

_INSTALLED = Installed("1-2-3", "f1", "01", "CN=CA", ("a.example.com", "b.example.com"), 1, 2)
_STATE = CertificateState(2, "name", "message", 5, 6, "f0", {"nginx": "f1"}, {"postfix": "no"}, _INSTALLED)
_JOB = JobRecord(
    3,
    "account",
    "default",
    0,
    9,
    presented=(Presented("dns-01", "www.example.com", UPDATE, "v", "https://ca.example/1", "example.com", "x"),),
    identifiers=("www.example.com", "192.0.2.1"),
    contact=("mailto:a@b.c",),
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


def test_all_that_is_known_is_read_by_the_next_run(tmp_path: Path) -> None:
    state = replace(
        _STATE,
        replace=True,
        issued=Issuance(
            "f1",
            "default",
            "rsa-2048",
            "classic",
            True,
            "a.example.com",
            "1-2-3",
            "c1",
            "keyAgreement",
            "sha512",
            "u",
            9,
            10,
        ),
        window=Window("f1", "a.b", 1, 2, "https://ca.example/why", 3),
        files="1-2-3 -",
        csr="c1",
        told=Told(1, "f1", "f0"),
    )
    account = AccountState(
        *(3, "x", "y", 4, 5), "valid", "https://ca.example/terms", ("ca.example",), 1, ("a.example.com",), 2, 6
    )
    store = Store(tmp_path)
    store.save_certificate("www", state)
    store.cache_account("default", account)
    assert Store(tmp_path).certificate("www") == state
    assert Store(tmp_path).account("default") == account
    store.forget_account("default")
    assert Store(tmp_path).account("default") == store.account("default") == AccountState()


def test_that_a_ca_was_asked_survives_a_power_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, and its name. What else is known of an account can be asked again."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    store = Store(tmp_path)
    store.cache_account("default", AccountState(status="valid"))
    assert len(synced) == 0
    for state in (AccountState(asked="https://ca.example/"), AccountState(asked="https://ca.example/", told=1)):
        synced.clear()
        store.cache_account("default", state)
        assert len(synced) == 2


def test_that_a_ca_was_asked_is_not_taken_as_kept_where_it_is_not(tmp_path: Path) -> None:
    store, asked = Store(tmp_path), AccountState(asked="https://ca.example/")
    (tmp_path / "accounts" / ".default.json.new").mkdir()
    for _ in range(2):
        with pytest.raises(OSError, match="default"):
            store.cache_account("default", asked)
        assert store.account("default") == AccountState()
    store.cache_account("default", AccountState(status="valid"))


def test_what_is_owed_is_read_by_the_next_run(tmp_path: Path) -> None:
    store, owed = Store(tmp_path), Owed(_JOB.presented, 1, 2, 3, 4)
    store.save_owed("www.example.com", owed)
    store.save_owed("other", owed)
    store.forget_owed("other")
    (tmp_path / "owed" / "broken.json").write_text('{"presented": []}')
    assert Store(tmp_path).owed == store.owed == {"www.example.com": owed}
    assert (tmp_path / "owed" / "broken.json.broken").exists()


def test_file_of_an_older_acmed(tmp_path: Path) -> None:
    """It has less in it."""
    store = Store(tmp_path)
    old = {
        "failures": 2, "error_name": "x", "error_message": "y", "error_time": 1, "retry_at": 3, "revoked": "f0",
        "delivered": {"nginx": "f1"}, "delivery_errors": {}, "installed": None, "account": "default",
    }  # fmt: skip
    (tmp_path / "certificates" / "www.json").write_text(json.dumps(old))
    assert store.certificate("www") == CertificateState(2, "x", "y", 1, 3, "f0", {"nginx": "f1"}, account="default")


def test_job_of_an_older_acmed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = {"id": 7, "type": "order", "name": "www", "uid": 0, "started": 9, "new_key": True}
    (tmp_path / "jobs" / "7.json").write_text(json.dumps(old))
    (tmp_path / "jobs" / "8.json").write_text(json.dumps(old | {"id": None}))
    (tmp_path / "jobs" / "9.json").write_text(json.dumps({"name": "www"}))
    (tmp_path / "jobs" / "10.json").write_text(json.dumps(old | {"presented": [{"type": "http-01"}]}))
    (tmp_path / "jobs" / "11.json").write_text(json.dumps(old | {"id": 2**53}))
    (tmp_path / "jobs" / "12.json").write_text(json.dumps(old | {"uid": 2**32}))
    assert store.jobs() == [JobRecord(7, "order", "www", 0, 9, new_key=True)]
    assert len(list((tmp_path / "jobs").glob("*.broken"))) == 5


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"issuers": 1}', '{"failures": 4294967296}', '{"authorized": [1]}', '{"status": null}']
)
def test_broken_file_of_an_account_is_set_aside(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    (tmp_path / "accounts" / "default.json").write_text(content)
    assert store.account("default") == AccountState()
    assert (tmp_path / "accounts" / "default.json.broken").exists()


def test_files_are_for_acmed_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_certificate("www", _STATE)
    store.save_job(_JOB)
    store.cache_account("default", AccountState(status="valid"))
    store.next_job()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert [store.next_job(), store.next_job(), Store(tmp_path).next_job()] == [1, 2, 3]
    store.save_job(replace(_JOB, id=7))
    (tmp_path / "last-job").unlink()
    assert Store(tmp_path).next_job() == 8


def test_what_an_older_acmed_ordered_had_what_it_always_had(tmp_path: Path) -> None:
    issued = Issuance("f1", "default", "rsa-2048", "classic", True, "a.example.com", "1-2-3", "c1")
    Store(tmp_path).save_certificate("www", replace(_STATE, issued=issued))
    (path,) = (tmp_path / "certificates").iterdir()
    written = json.loads(path.read_text())
    for later in ("key_usage", "hash", "directory", "backdated", "obtained", "settled"):
        del written["issued"][later]
    path.write_text(json.dumps(written))
    assert Store(tmp_path).certificate("www").issued == issued


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
        whole | {"told": 1},
        whole | {"window": {"start": 1}},
        whole | {"issued": []},
        whole | {"retry_at": 10**30},
        whole | {"retry_at": -1},
        whole | {"retry_at": 253_402_300_800_000_000},
        whole | {"failures": 2**32},
        whole | {"retry_at": 1e30},
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


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("put", [_directory, _loop])
def test_what_cannot_be_read_is_set_aside(tmp_path: Path, put: Callable[[Path], None]) -> None:
    Store(tmp_path)
    for name in ("certificates/www.json", "accounts/default.json", "owed/www.json", "jobs/3.json", "last-job"):
        put(tmp_path / name)
    store = Store(tmp_path)
    assert (store.certificate("www"), store.account("default")) == (CertificateState(), AccountState())
    assert (store.owed, store.jobs(), store.next_job(), store.next_job()) == ({}, [], 1, 2)
    assert len(list(tmp_path.rglob("*.broken"))) == 5
    store.save_certificate("www", _STATE)
    assert Store(tmp_path).certificate("www") == _STATE


def test_what_cannot_be_set_aside_counts_as_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    (tmp_path / "certificates" / "www.json").write_text("{")
    (tmp_path / "certificates" / "www.json.broken").mkdir()
    assert store.certificate("www") == CertificateState()
    assert "cannot be set aside: Is a directory" in capfd.readouterr().err


def test_no_file_is_set_aside_for_want_of_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).save_certificate("www", _STATE)

    def none_left(_: Path) -> bytes:
        raise OSError(24, "Too many open files")

    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", none_left)
        with pytest.raises(OSError, match="Too many open files"):
            store.certificate("www")
    assert store.certificate("www") == _STATE


@pytest.mark.parametrize("content", ["", "x", "-1", str(10**30), "9" * 5000])
def test_counter_of_jobs_that_is_broken(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    store.save_job(_JOB)
    (tmp_path / "last-job").write_text(content)
    assert (store.next_job(), store.next_job()) == (4, 5)
    assert (tmp_path / "last-job.broken").read_text() == content


def test_file_is_whole_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.save_certificate("www", _STATE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save_certificate("www", CertificateState())
    assert Store(tmp_path).certificate("www") == _STATE
