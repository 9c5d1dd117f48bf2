"""Downloads, from a server on this machine."""

from __future__ import annotations

import dataclasses
import gzip
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from normlab.data import DATASETS, get, load
from normlab.data.catalog import Source
from normlab.data.download import get_files
from normlab.errors import InputError

Tiny = tuple[Source, dict[str, bytes]]


class _Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.asked.append(self.path)
        data = self.server.files.get(self.path)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _serve(server: _Server, folder: str, contents: dict[str, bytes]) -> None:
    server.files |= {f"/{folder}/{name}.gz": gzip.compress(data) for name, data in contents.items()}


def _with_mirrors(source: Source, *mirrors: str) -> Source:
    return dataclasses.replace(source, mirrors=mirrors)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_files_arrive_verified_and_are_not_fetched_twice(tmp_path: Path, server: _Server, tiny_idx: Tiny) -> None:
    source, contents = tiny_idx
    _serve(server, "a", contents)
    source = _with_mirrors(source, f"{server.url}a/")
    paths = get_files("tiny", source, tmp_path)
    assert [path.relative_to(tmp_path) for path in paths] == [Path("tiny") / name for name in source.downloads]
    assert [gzip.decompress(path.read_bytes()) for path in paths] == list(contents.values())
    assert _names(tmp_path) == sorted(["tiny", *source.downloads])
    assert get_files("tiny", source, tmp_path) == paths
    assert len(server.asked) == 4


@pytest.mark.parametrize("first", ["absent", "altered", "page"])
def test_second_mirror_serves_what_the_first_does_not(
    tmp_path: Path, server: _Server, tiny_idx: Tiny, first: str
) -> None:
    source, contents = tiny_idx
    _serve(server, "good", contents)
    if first == "altered":
        _serve(server, "bad", {name: data[:-1] + b"\xff" for name, data in contents.items()})
    elif first == "page":
        server.files |= {f"/bad/{name}": b"<html>" for name in source.downloads}
    paths = get_files("tiny", _with_mirrors(source, f"{server.url}bad/", f"{server.url}good/"), tmp_path)
    assert [gzip.decompress(path.read_bytes()) for path in paths] == list(contents.values())
    assert server.asked[:2] == [f"/bad/{source.downloads[0]}", f"/good/{source.downloads[0]}"]


def test_altered_content_leaves_no_file_and_names_every_mirror(tmp_path: Path, server: _Server, tiny_idx: Tiny) -> None:
    source, contents = tiny_idx
    _serve(server, "bad", {name: data[:-1] + b"\xff" for name, data in contents.items()})
    source = _with_mirrors(source, f"{server.url}bad/", f"{server.url}none/")
    with pytest.raises(InputError) as caught:
        get_files("tiny", source, tmp_path)
    message = str(caught.value)
    assert f"{server.url}bad/{source.downloads[0]} (the contents of" in message
    assert source.contents[0].sha256 in message
    assert f"{server.url}none/{source.downloads[0]} (status 404)" in message
    assert f"put {source.downloads[0]} into {tmp_path / 'tiny'} by hand" in message
    assert "\n" not in message
    assert _names(tmp_path) == ["tiny"]


def test_without_network_the_mirrors_are_named(tmp_path: Path, tiny_idx: Tiny) -> None:
    # Port 1 of this machine refuses connections.
    source = _with_mirrors(tiny_idx[0], "http://127.0.0.1:1/")
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/train-images.*ConnectionError.*by hand"):
        get_files("tiny", source, tmp_path)


def test_archive(tmp_path: Path, server: _Server, tiny_cifar: Tiny) -> None:
    source, contents = tiny_cifar
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    server.files["/cifar-10-binary.tar.gz"] = buffer.getvalue()
    paths = get_files("tiny", _with_mirrors(source, server.url), tmp_path)
    assert paths == [tmp_path / "tiny" / "cifar-10-binary.tar.gz"]
    assert paths[0].read_bytes() == buffer.getvalue()


def test_altered_file_that_is_there_is_refused_and_kept(tmp_path: Path, server: _Server, tiny_idx: Tiny) -> None:
    source, contents = tiny_idx
    _serve(server, "a", contents)
    path = tmp_path / source.contents[0].name
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"must hold 64 bytes, got 4 bytes"):
        get_files("tiny", _with_mirrors(source, f"{server.url}a/"), tmp_path)
    assert path.read_bytes() == b"mine"
    assert server.asked == []


def test_folder_that_cannot_be_made(tmp_path: Path, tiny_idx: Tiny) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="must be a folder that can be written to"):
        get_files("tiny", _with_mirrors(tiny_idx[0], "http://127.0.0.1:1/"), tmp_path / "file")


def test_load_downloads_to_the_cache_only(
    tmp_path: Path, server: _Server, tiny_idx: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, contents = tiny_idx
    _serve(server, "a", contents)
    monkeypatch.setitem(DATASETS, "mnist", _with_mirrors(source, f"{server.url}a/"))
    with pytest.raises(InputError, match="normlab data get mnist --data-dir"):
        load("mnist", data_dir=tmp_path)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match="normlab data get mnist --data-dir"):
        load("mnist")
    assert server.asked == []
    monkeypatch.delenv("NORMLAB_DATA")
    assert len(load("mnist").test) == 4
    assert _names(tmp_path / "cache" / "normlab") == sorted(["mnist", *source.downloads])


def test_get_knows_its_names() -> None:
    assert get("digits") == []
    with pytest.raises(InputError, match="data set must be a known name, got 'minst'; choose one of digits,"):
        get("minst")
