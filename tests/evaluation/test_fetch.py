"""Fetched files are what they are said to be."""

import hashlib
import tarfile
import zipfile
from io import BytesIO

import pytest

from vlogger.errors import UserError
from vlogger.evaluation import fetch


def test_members_of_wheels_and_tarballs(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("package/data/x.bin", b"abc")
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo("b-1/data/x.bin")
        entry.size = 3
        archive.addfile(entry, BytesIO(b"abd"))
    assert fetch.member(tmp_path / "a.whl", "data/x.bin") == b"abc"
    assert fetch.member(tmp_path / "b.tgz", "data/x.bin") == b"abd"


def test_other_bytes_are_refused():
    wanted = fetch.Wanted("pip", "p", "1", "data/x.bin", hashlib.sha256(b"abc").hexdigest())
    assert fetch.checked(b"abc", wanted) == b"abc" and wanted.name == "x.bin"
    with pytest.raises(UserError, match=r"x\.bin"):
        fetch.checked(b"abd", wanted)


def test_what_is_there_is_not_fetched_again(tmp_path, monkeypatch, capsys):
    for wanted in fetch.FILES:
        (tmp_path / wanted.name).write_bytes(b"there")
    monkeypatch.setattr("sys.argv", ["fetch", f"out={tmp_path}"])
    fetch.main()
    assert "niqe_pris_params.npz" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["fetch"])
    with pytest.raises(SystemExit, match="out=FOLDER"):
        fetch.main()
