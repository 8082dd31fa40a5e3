import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.cases import CaseStore, resolve
from chaosfuzz.domain.case import Case, Found, Rate
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Signature

CASE = Case(
    title="a task is never picked up again",
    target="reference",
    defects=("no-lease-recovery",),
    contract="at-least-once",
    signature=Signature(invariant="eventual_completion", kind="STUCK", role="worker"),
    schedule=Schedule(
        workers=1, steps=(make_step("create_tasks", count=1), make_step("kill_worker", worker=1))
    ),
    reproduces=Rate(violations=20, attempts=20),
    found=Found(date="2026-11-23", seed=1, steps=9, executions_to_shrink=40),
)
OTHER = replace(CASE, schedule=CASE.schedule.prefix(1))


class TestSaving:
    def test_the_name_tells_what_breaks(self, tmp_path: Path):
        path = CaseStore(tmp_path).save(CASE)
        assert path == tmp_path / "reference" / "stuck-no-lease-recovery.yaml"
        assert CaseStore(tmp_path).load(path) == CASE

    def test_without_defects_the_name_tells_the_faults(self, tmp_path: Path):
        path = CaseStore(tmp_path).save(replace(CASE, defects=()))
        assert path.name == "stuck-kill-worker.yaml"

    def test_the_same_failure_by_the_same_steps_is_saved_anew(self, tmp_path: Path):
        store = CaseStore(tmp_path)
        first = store.save(CASE)
        again = replace(CASE, reproduces=Rate(violations=1, attempts=9))
        assert store.save(again) == first
        assert store.load(first) == again
        assert store.find() == [first]

    def test_another_case_is_never_overwritten(self, tmp_path: Path):
        store = CaseStore(tmp_path)
        first, second = store.save(CASE), store.save(OTHER)
        assert second.name == "stuck-no-lease-recovery-2.yaml"
        assert (store.load(first), store.load(second)) == (CASE, OTHER)

    def test_a_file_that_is_no_case_is_never_overwritten(self, tmp_path: Path):
        folder = tmp_path / "reference"
        folder.mkdir()
        (folder / "stuck-no-lease-recovery.yaml").write_text("notes of mine")
        (folder / "stuck-no-lease-recovery-2.yaml").mkdir()
        assert CaseStore(tmp_path).save(CASE).name == "stuck-no-lease-recovery-3.yaml"
        assert (folder / "stuck-no-lease-recovery.yaml").read_text() == "notes of mine"

    def test_a_file_system_without_links_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def no_links(_self: Path, _target: Path) -> None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

        monkeypatch.setattr(Path, "hardlink_to", no_links)
        store = CaseStore(tmp_path)
        paths = [store.save(CASE), store.save(OTHER), store.save(CASE)]
        assert [path.name for path in paths] == [
            "stuck-no-lease-recovery.yaml",
            "stuck-no-lease-recovery-2.yaml",
            "stuck-no-lease-recovery.yaml",
        ]

    def test_no_name_leaves_the_directory(self, tmp_path: Path):
        strange = replace(CASE, target="../../etc", defects=("/x", "..", "ö"))
        path = CaseStore(tmp_path / "cases").save(strange)
        assert path == tmp_path / "cases" / "etc" / "stuck-x.yaml"

    def test_a_full_disk_leaves_nothing_half_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InfrastructureError) as caught:
            CaseStore(tmp_path).save(CASE)
        told = caught.value.text
        assert "No space left on device" in told
        assert "\nfree space or choose another directory" in told
        assert "- kill_worker: {worker: 1}" in told
        assert list((tmp_path / "reference").iterdir()) == []

    def test_a_directory_that_cannot_be_made_is_told(self, tmp_path: Path):
        (tmp_path / "cases").write_text("a file")
        with pytest.raises(InfrastructureError, match="choose another directory with --cases"):
            CaseStore(tmp_path / "cases").save(CASE)

    def test_others_may_read_a_case(self, tmp_path: Path):
        before = os.umask(0o022)
        try:
            path = CaseStore(tmp_path).save(CASE)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o644


class TestLoading:
    def refusal(self, path: Path) -> str:
        with pytest.raises(UsageError) as caught:
            CaseStore(path.parent).load(path)
        return caught.value.text

    def test_refuses_a_missing_file(self, tmp_path: Path):
        path = tmp_path / "none.yaml"
        expected = f"{path}: cannot be read: No such file or directory\ngive the path of a case"
        assert self.refusal(path).startswith(expected)

    def test_refuses_a_directory(self, tmp_path: Path):
        assert self.refusal(tmp_path) == f"{tmp_path}: not a file\ngive the path of a case file"

    def test_refuses_a_pipe_without_waiting_for_it(self, tmp_path: Path):
        os.mkfifo(tmp_path / "pipe.yaml")
        assert "not a file" in self.refusal(tmp_path / "pipe.yaml")

    def test_refuses_what_is_not_utf_8(self, tmp_path: Path):
        path = tmp_path / "latin.yaml"
        path.write_bytes(b"chaosfuzz_case: 1\ntitle: \xff\n")
        assert self.refusal(path).startswith(f"{path}:2: not a case: it is not text in UTF-8")

    def test_refuses_a_huge_file_without_reading_it(self, tmp_path: Path):
        path = tmp_path / "huge.yaml"
        with path.open("wb") as stream:
            stream.truncate(2**40)
        assert "over 131072 bytes" in self.refusal(path)

    def test_refuses_an_unreadable_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        path = tmp_path / "secret.yaml"
        path.write_text("")

        def denied(_self: Path, *_: str) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "open", denied)
        assert self.refusal(path).startswith(f"{path}: cannot be read: Permission denied\ngive")

    def test_refuses_a_path_that_no_file_can_have(self):
        assert "cannot be read" in self.refusal(Path("x" * 5000))


class TestResolving:
    def test_takes_files_and_directories_once_each(self, tmp_path: Path):
        store = CaseStore(tmp_path)
        first, second = store.save(CASE), store.save(OTHER)
        (tmp_path / "notes.txt").write_text("")
        (tmp_path / "folder.yaml").mkdir()
        assert resolve([second, tmp_path]) == [second, first]

    def test_refuses_what_is_not_there(self, tmp_path: Path):
        with pytest.raises(
            UsageError, match="no such file or directory\nchoose a case that `chaosfuzz cases`"
        ):
            resolve([tmp_path / "none"])

    def test_refuses_a_path_that_no_file_can_have(self):
        for name in ("x" * 5000, "a\0b"):
            with pytest.raises(UsageError, match="choose a case that `chaosfuzz cases` lists"):
                resolve([Path(name)])

    def test_refuses_a_directory_without_cases(self, tmp_path: Path):
        with pytest.raises(UsageError, match="no cases there\ngive a case file"):
            resolve([tmp_path])
