"""Files over HTTPS onto this machine: gone on with where a download stopped, and checked before they count.

A file that is not whole is called `NAME.part`. A body that is cut is asked for again from where it ended;
bytes that are not those of the digest are removed. Follows redirects to https only. Knows no data set.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emo.errors import ConfigError, ServiceDown

PIECE = 1 << 18
TIMEOUT_S = 60.0
TRIES = 5
SEVERAL = 8  # small files at a time
BESIDE = 1.02  # of the bytes to come that must be free
ALGORITHMS = ("sha256", "md5")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file to fetch: `path` below the folder, `digest` such as `sha256:...`, and `room` bytes that it
    takes in all, unpacked beside itself."""

    url: str
    path: str
    size: int
    digest: str
    room: int = 0

    def __post_init__(self) -> None:
        algorithm, _, value = self.digest.partition(":")
        if algorithm not in ALGORITHMS or not value:
            raise ConfigError(f"{self.url}: its host names no digest that is known, but {self.digest!r}.")


@dataclass(slots=True)
class Fetcher:
    """Fetches from hosts, or from what stands in for them in `servers`. `on_bytes` is told how many bytes are
    there, from one thread at a time. `pause_s` is the first pause between tries, which double."""

    servers: dict[str, str] = field(default_factory=dict)
    on_bytes: Callable[[int], None] = lambda _: None
    pause_s: float = 1.0
    _there: int = 0
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def address(self, host: str) -> str:
        """Where a host is asked: itself over https, unless another address stands in for it."""
        return self.servers.get(host, f"https://{host}")

    def small(self, url: str, most: int = 8 << 20) -> bytes:
        """All of a small file. ServiceDown where it cannot be had."""
        data: bytes = self._tried(url, lambda: self._read(url, most))
        return data

    def all(self, parts: Sequence[Part], folder: Path) -> Iterator[Part]:
        """Fetch what is not there, several at a time; yields each part when it is whole."""
        pool = ThreadPoolExecutor(SEVERAL)
        try:
            work: list[tuple[Part, Future[None]]] = [
                (part, pool.submit(self.one, part, folder)) for part in parts
            ]
            for part, done in work:
                done.result()
                yield part
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def one(self, part: Part, folder: Path) -> None:
        """One file into its place below `folder`. ServiceDown where the server does not give it, ConfigError
        where it gives other bytes."""
        target = folder / part.path
        if target.is_file() and target.stat().st_size == part.size and _is(target, part):
            self._tell(part.size)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(target.name + ".part")
        self._tried(part.url, lambda: self._go_on(part, half))
        if not _is(half, part):
            half.unlink()
            raise ConfigError(
                f"{part.url} arrived with another digest than {part.digest} and was removed. Run the same "
                "command again; if that repeats, its host changed the file."
            )
        half.replace(target)

    def _go_on(self, part: Part, half: Path) -> None:
        """Append what is missing of a half file."""
        have = half.stat().st_size if half.exists() else 0
        if have > part.size:
            half.unlink()
            have = 0
        told = 0
        try:
            for count in self._pieces(part, half, have):
                self._tell(count)
                told += count
        except BaseException:
            self._tell(-told)
            raise

    def _pieces(self, part: Part, half: Path, have: int) -> Iterator[int]:
        """Bytes that are there, piece by piece. OSError where the body ends before the file does."""
        if have == part.size:
            yield have
            return
        request = urllib.request.Request(part.url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
        with _open(request) as answer, half.open("ab" if answer.status == 206 else "wb") as stream:
            yield stream.tell()
            while piece := answer.read(PIECE):
                stream.write(piece)
                yield len(piece)
                if stream.tell() > part.size:
                    raise ConfigError(f"{part.url} is longer than the {part.size} bytes that its host names.")
            if stream.tell() < part.size:
                raise OSError(f"the connection ended after {stream.tell()} of {part.size} bytes")

    def _tell(self, count: int) -> None:
        with self._telling:
            self._there += count
            self.on_bytes(self._there)

    def _read(self, url: str, most: int) -> bytes:
        with _open(urllib.request.Request(url)) as answer:  # noqa: S310 - _open lets https through only
            data: bytes = answer.read(most + 1)
        if len(data) > most:
            raise ConfigError(f"{url} is longer than {most} bytes.")
        return data

    def _tried(self, url: str, work: Callable[[], Any]) -> Any:
        said = ""
        for number in range(TRIES):
            try:
                return work()
            except urllib.error.HTTPError as error:
                said = f"HTTP {error.code}"
                if error.code in (401, 403, 404, 410):
                    break
            except (OSError, HTTPException) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise
                said = str(error) or type(error).__name__
            time.sleep(self.pause_s * 2**number)
        raise ServiceDown(
            f"{url} could not be fetched: {said}. Run the same command again: what arrived is kept."
        )


def refuse_full_disk(folder: Path, parts: Sequence[Part]) -> None:
    """OSError where what is to come, unpacked too, has no room."""
    there = [part for part in parts if (folder / part.path).exists()]
    needed = int(BESIDE * sum(part.room or part.size for part in parts if part not in there))
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"No space left on device: {needed} bytes are needed, {free} are free. Nothing was begun. Name "
            "another --out, or fewer parts",
            str(folder),
        )


def _is(path: Path, part: Part) -> bool:
    algorithm, _, value = part.digest.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest() == value.lower()


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Redirects from https go to https alone, not to this machine either."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _refuse_insecure(newurl, from_here=urlsplit(req.full_url).scheme == "http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request) -> Any:
    _refuse_insecure(request.full_url, from_here=True)
    request.add_header("User-Agent", "emo-toolkit")
    return urllib.request.build_opener(_HttpsOnly).open(request, timeout=TIMEOUT_S)


def _refuse_insecure(url: str, *, from_here: bool) -> None:
    """ConfigError unless `url` is https, or of a server on this machine that was named as such."""
    parts = urlsplit(url)
    here = from_here and parts.scheme == "http" and parts.hostname == "127.0.0.1"
    if parts.scheme != "https" and not here:
        raise ConfigError(f"{url} is not fetched: only https is.")
