"""Data sets from a host on this machine that answers as the official ones do: whole, cut and wrong."""

import hashlib
import http.server
import io
import json
import threading
import zipfile

import pytest
from click.testing import CliRunner

from emo.cli.main import emo, exit_code
from emo.corpora import read_manifest
from emo.corpora.fetching import crema_d, ravdess
from emo.corpora.fetching.downloads import Fetcher, Part, refuse_full_disk
from emo.errors import ConfigError, ServiceDown

CREMA = f"/{crema_d.REPOSITORY}/{crema_d.COMMIT}"
ZENODO = "/api/records/1188976"


class Host:
    """Files by path; `cut` are paths whose first answer ends in the middle; `asked` are paths and ranges."""

    def __init__(self):
        self.files, self.cut, self.asked, self.ranges = {}, set(), [], True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request):
        span = request.headers.get("Range")
        self.asked.append((request.path, span))
        if request.path not in self.files:
            request.send_error(404)
            return
        data = self.files[request.path]
        if isinstance(data, str):
            request.send_response(302)
            request.send_header("Location", data)
            request.end_headers()
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and self.ranges else 0
        request.send_response(206 if span and self.ranges else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        whole = data[start:]
        if request.path in self.cut:
            self.cut.discard(request.path)
            whole = whole[: len(whole) // 2]
        request.wfile.write(whole)


@pytest.fixture
def host():
    found = Host()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def fetch(host, tmp_path):
    def typed(name, *more):
        servers = [f"--server={each}={host.url}" for each in ("zenodo.org", crema_d.RAW, crema_d.MEDIA)]
        words = ["corpus", "fetch", name, "--out", str(tmp_path / "got"), *servers, *more]
        done = CliRunner().invoke(emo, words)
        wrong = done.exception if not isinstance(done.exception, SystemExit) else None
        return (exit_code(wrong) if wrong else done.exit_code), f"{done.stdout}{done.stderr}{wrong or ''}"

    return typed


def archive(*names, data=b"sound" * 100):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as writer:
        for name in names:
            writer.writestr(name, data)
    return held.getvalue()


def md5(data):
    return f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}"


def zenodo(host, **archives):
    """Lists and holds `Video_Speech_Actor_01=...` and so on."""
    rows = [
        {"key": f"{name}.zip", "size": len(data), "checksum": md5(data)} for name, data in archives.items()
    ]
    host.files[ZENODO] = json.dumps({"files": rows}).encode()
    for name, data in archives.items():
        host.files[f"{ZENODO}/files/{name}.zip/content"] = data


FILM = "01-01-03-01-01-01-01.mp4"


def test_the_licence_is_shown_and_nothing_is_asked_before_it_is_accepted(host, fetch):
    code, said = fetch("ravdess")
    assert code == 9 and "CC BY-NC-SA 4.0" in said and "--accept-licence" in said and host.asked == []
    code, said = fetch("dfew", "--accept-licence")
    assert code == 2 and "on request" in said and "Fetched are ravdess, crema-d" in said
    code, said = fetch("ravdess", "--part", "films")
    assert code == 2 and "audio-speech, video-speech" in said


def test_archives_are_fetched_checked_unpacked_and_read(host, fetch, tmp_path):
    other = "01-01-04-01-01-01-05.mp4"
    zenodo(
        host,
        Video_Speech_Actor_01=archive(f"Actor_01/{FILM}", "Actor_01/readme.txt"),
        Video_Speech_Actor_05=archive(other),
        Video_Song_Actor_01=archive("01-02-03-01-01-01-01.mp4"),
    )
    code, said = fetch("ravdess", "--part", "video-speech", "--accept-licence")
    assert code == 0 and "2 files" in said and "MD5, as Zenodo publishes them" in said
    got = tmp_path / "got"
    assert sorted(path.name for path in got.rglob("*.*")) == [FILM, other, "fetched.json"]
    out = tmp_path / "m.jsonl"
    assert CliRunner().invoke(emo, ["corpus", "read", "ravdess", str(got), "--out", str(out)]).exit_code == 0
    assert [clip.split for clip in read_manifest(out)] == ["test", "train"]
    before = len(host.asked)
    code, said = fetch("ravdess", "--part", "video-speech", "--accept-licence", "--json")
    assert code == 0 and len(host.asked) == before + 1  # the list alone


def test_a_name_in_an_archive_is_never_a_path(host, fetch, tmp_path):
    zenodo(host, Video_Speech_Actor_01=archive("../../escaped.mp4", f"../../{FILM}", "/etc/passwd"))
    code, _ = fetch("ravdess", "--part", "video-speech", "--accept-licence")
    assert code == 0
    assert [path.name for path in tmp_path.rglob("*.mp4")] == [FILM]
    assert (tmp_path / "got/Actor_01" / FILM).is_file()


def test_bytes_of_another_digest_are_removed_and_told(host, fetch, tmp_path):
    zenodo(host, Video_Speech_Actor_01=archive(FILM))
    whole = host.files[f"{ZENODO}/files/Video_Speech_Actor_01.zip/content"]
    host.files[f"{ZENODO}/files/Video_Speech_Actor_01.zip/content"] = whole[:-1] + b"x"
    code, said = fetch("ravdess", "--part", "video-speech", "--accept-licence")
    assert code == 2 and "another digest" in said and list((tmp_path / "got").iterdir()) == []


def test_an_archive_whose_list_says_other_than_what_is_pinned_is_refused(host, fetch):
    zenodo(host, **{"Audio_Speech_Actors_01-24": archive(FILM)})
    code, said = fetch("ravdess", "--accept-licence")
    assert code == 2 and "It was changed" in said


@pytest.fixture
def body():
    return bytes(range(256)) * 4000


def part(host, body, path="/body"):
    return Part(
        url=host.url + path,
        path="x/body",
        size=len(body),
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
    )


def test_a_body_that_is_cut_is_gone_on_with_by_range(host, body, tmp_path):
    host.files["/body"] = body
    host.cut.add("/body")
    seen = []
    Fetcher(on_bytes=seen.append, pause_s=0).one(part(host, body), tmp_path)
    assert (tmp_path / "x/body").read_bytes() == body
    assert host.asked == [("/body", None), ("/body", f"bytes={len(body) // 2}-")]
    assert seen[-1] == len(body) and list(tmp_path.rglob("*.part")) == []


def test_a_later_run_goes_on_and_a_host_without_ranges_starts_over(host, body, tmp_path):
    (tmp_path / "x").mkdir()
    half = tmp_path / "x/body.part"
    for ranges in (True, False):
        host.ranges, host.files["/body"] = ranges, body
        half.write_bytes(body[:1000])
        Fetcher(pause_s=0).one(part(host, body), tmp_path)
        assert (tmp_path / "x/body").read_bytes() == body and host.asked[-1][1] == "bytes=1000-"
        (tmp_path / "x/body").unlink()
    half.write_bytes(b"z" * 1000)  # of something else: its digest tells
    host.ranges = True
    with pytest.raises(ConfigError, match="another digest"):
        Fetcher(pause_s=0).one(part(host, body), tmp_path)
    assert not half.exists()


def test_what_is_not_there_is_not_asked_for_again_and_again(host, body, tmp_path):
    with pytest.raises(ServiceDown, match="HTTP 404"):
        Fetcher(pause_s=0).one(part(host, body), tmp_path)
    assert len(host.asked) == 1
    with pytest.raises(ServiceDown, match="what arrived is kept"):
        Fetcher(pause_s=0).small("http://127.0.0.1:9/nobody")


def test_only_https_is_fetched_and_followed(host, body, tmp_path):
    for url in ("http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"):
        with pytest.raises(ConfigError, match="only https is"):
            Fetcher(pause_s=0).small(url)
    host.files["/body"] = "file:///etc/passwd"
    with pytest.raises((ConfigError, ServiceDown)):
        Fetcher(pause_s=0).one(part(host, body), tmp_path)


def test_a_longer_body_than_named_and_a_full_disk_are_refused(host, body, tmp_path):
    host.files["/body"] = body + b"more"
    with pytest.raises(ConfigError, match="longer than"):
        Fetcher(pause_s=0).one(part(host, body), tmp_path)
    huge = Part(url="https://x", path="y", size=1 << 60, digest="md5:0")
    with pytest.raises(OSError, match="Nothing was begun"):
        refuse_full_disk(tmp_path / "not" / "there", [huge])
    with pytest.raises(ConfigError, match="names no digest that is known"):
        Part(url="https://x", path="y", size=1, digest="crc:00")


@pytest.fixture
def repository(host, monkeypatch):
    """Two sounds as pointers and as files, with the pinned digests of this small repository."""
    names, files = ["1001_DFA_ANG_XX", "1091_IEO_HAP_HI"], {}
    tables = {
        crema_d.NAMES: "".join(f'{row},"{name}"\n' for row, name in enumerate(names, start=1)).encode(),
        crema_d.PEOPLE: b"ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n",
    }
    pinned = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in tables.items()}
    lines = ""
    for name in names:
        data, path = name.encode() * 50, f"AudioWAV/{name}.wav"
        oid = hashlib.sha256(data).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
        files[f"{CREMA}/{path}"] = pointer.encode()
        files[f"/media{CREMA}/{path}"] = data
        lines += f"{oid} {len(data)} {path}\n"
    monkeypatch.setattr(crema_d, "TABLES", pinned)
    monkeypatch.setattr(crema_d, "LISTS", {"audio": hashlib.sha256(lines.encode()).hexdigest()})
    host.files = files | {f"{CREMA}/{name}": data for name, data in tables.items()}
    return names


def test_crema_d_comes_by_its_pointers_and_goes_on(host, fetch, repository, tmp_path):
    last = f"/media{CREMA}/AudioWAV/{repository[1]}.wav"
    kept = host.files.pop(last)
    code, said = fetch("crema-d", "--accept-licence")
    assert code == 75 and "HTTP 404" in said
    host.files[last] = kept
    asked = len(host.asked)
    code, said = fetch("crema-d", "--accept-licence")
    assert code == 0 and "4 files" in said and "pinned at commit 1658cd3" in said
    assert [path for path, _ in host.asked[asked:]] == [last]
    out = tmp_path / "m.csv"
    words = ["corpus", "read", "crema-d", str(tmp_path / "got"), "--option", "media=audio", "--out", str(out)]
    assert CliRunner().invoke(emo, words).exit_code == 0
    assert [clip.label for clip in read_manifest(out)] == ["angry", "happy"]


def test_pointers_of_another_commit_are_refused(host, fetch, repository):
    path = f"{CREMA}/AudioWAV/{repository[0]}.wav"
    host.files[path] = host.files[path].replace(b"size 7", b"size 8")
    code, said = fetch("crema-d", "--accept-licence")
    assert code == 2 and "not those that emo knows" in said
    host.files[path] = b"<html>"
    assert "no pointer of Git LFS" in fetch("crema-d", "--accept-licence")[1]


def test_what_would_be_fetched_is_said_without_fetching(host, fetch, tmp_path):
    zenodo(host, Video_Speech_Actor_01=archive(FILM))
    code, said = fetch("ravdess", "--part", "video-speech", "--dry-run")
    assert code == 0 and "1 files" in said and not (tmp_path / "got").exists()
    assert ravdess.PINNED and len(host.asked) == 1
