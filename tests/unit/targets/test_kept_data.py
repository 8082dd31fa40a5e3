"""A directory that keeps a database, without a database."""

import stat
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.standing.kept_data import cluster_directory, kept_data


def test_the_password_stays_and_is_the_users_alone(tmp_path: Path):
    with kept_data(tmp_path / "new" / "data", 18) as first:
        cluster_directory(tmp_path / "new" / "data").mkdir()
    with kept_data(tmp_path / "new" / "data", 18) as second:
        assert second == first
    (mark,) = (tmp_path / "new" / "data").glob("*.json")
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    assert first.admin_password in mark.read_text()


def test_two_cannot_have_it_at_once(tmp_path: Path):
    with (
        kept_data(tmp_path, 18),
        pytest.raises(UsageError, match="another system is up on it"),
        kept_data(tmp_path, 18),
    ):
        pass
    with kept_data(tmp_path, 18):
        pass


def test_what_another_version_made_is_refused(tmp_path: Path):
    with kept_data(tmp_path, 16):
        pass
    with pytest.raises(UsageError, match="PostgreSQL 16 made it"), kept_data(tmp_path, 18):
        pass


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("chapter 1")
    with pytest.raises(UsageError, match="files in it"), kept_data(tmp_path, 18):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["", "{}", '{"postgres_major": "x", "admin_password": 1}'])
def test_a_broken_mark_is_said(tmp_path: Path, content: str):
    (tmp_path / "chaosfuzz-data.json").write_text(content)
    with pytest.raises(UsageError, match="remove the directory"), kept_data(tmp_path, 18):
        pass


def test_a_path_that_is_no_directory_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match="choose another directory"),
        kept_data(tmp_path / "file", 18),
    ):
        pass
