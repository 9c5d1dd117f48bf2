"""Downloads from the mirrors: to a temporary name, renamed once the contents are the official ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

from normlab.data.catalog import DATASETS, Content, Source
from normlab.data.contents import read_contents, require_content
from normlab.data.locate import data_folder, find_files
from normlab.errors import InputError, require_known

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 2**20


def get(name: str, data_dir: Path | str | None = None) -> list[Path]:
    """Find or download the files of a data set, verify their contents, and return their paths.

    Files that are in `data_dir` (default: NORMLAB_DATA, else the user's cache folder) stay; missing ones are
    downloaded to `data_dir/name/`. An embedded data set has no files.

    Raises:
        InputError: Unknown name, a file that is there is not the official one, or no mirror gave an official one.
    """
    require_known("data set", name, DATASETS)
    return get_files(name, DATASETS[name], data_folder(data_dir).path)


def get_files(name: str, source: Source, folder: Path) -> list[Path]:
    """`get` for a source and a folder."""
    there = find_files(name, source, folder)
    _verify([content for content in source.contents if content.name in there], there)
    for filename in source.downloads:
        contents = _contents_of(source, filename)
        if any(content.name not in there for content in contents):
            path = _download(name, source, filename, folder / name)
            there |= {content.name: path for content in contents}
    return list(dict.fromkeys(there[content.name] for content in source.contents))


def _download(name: str, source: Source, filename: str, folder: Path) -> Path:
    """Try the mirrors in turn; the first whose contents are right becomes `folder/filename`."""
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mirror in source.mirrors:
            failure = _try_mirror(mirror + filename, _contents_of(source, filename), folder / filename)
            if failure is None:
                return folder / filename
            failures.append(f"{mirror}{filename} ({failure})")
    except OSError as error:
        raise InputError(
            f"{folder} must be a folder that can be written to",
            f"{type(error).__name__}: {error}",
            "choose another one with --data-dir or the variable NORMLAB_DATA",
        ) from error
    raise InputError(
        f"a mirror of {name} must serve the official {filename}",
        " | ".join(failures),
        f"try again with a network connection, or put {filename} into {folder} by hand",
    )


def _try_mirror(url: str, contents: list[Content], path: Path) -> str | None:
    """Download `url` to `path`, or return why that failed; `path` never holds a partial or altered file."""
    import pooch
    import requests

    # "identity": some servers would otherwise unzip the .gz file on its way.
    fetch = pooch.HTTPDownloader(
        chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
    )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as partial_folder:
        partial = Path(partial_folder) / path.name
        try:
            fetch(url, str(partial), None)
        except requests.HTTPError as error:
            return f"status {error.response.status_code}" if error.response is not None else "HTTPError"
        except requests.RequestException as error:  # its text repeats the address and the pool's inner state
            return type(error).__name__
        try:
            _verify(contents, {content.name: partial for content in contents})
        except InputError as error:
            return f"{error.rule}, got {error.received}".replace(str(partial), path.name)
        partial.replace(path)
    return None


def _contents_of(source: Source, filename: str) -> list[Content]:
    """The contents that a downloaded file holds: an idx file its own, the archive all of them."""
    if source.kind == "cifar":
        return list(source.contents)
    return [content for content in source.contents if f"{content.name}.gz" == filename]


def _verify(contents: list[Content], files: dict[str, Path]) -> None:
    for content, data in read_contents(contents, files):
        require_content(content, data, files[content.name])
