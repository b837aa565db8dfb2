"""A Hub on this machine: repositories with commits and large files, spoken to as huggingface_hub speaks."""

import base64
import contextlib
import hashlib
import http.server
import itertools
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_emoFakeTokenNeverToBeSeen"


def blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class File:
    """A file of a commit: its bytes, or the digest of a large file."""

    data: bytes = b""
    large: str = ""
    size: int = 0

    def entry(self, path):
        oid = blob_id(self.data)
        found = {"type": "file", "path": path, "rfilename": path, "size": self.size, "oid": oid}
        if self.large:
            lfs = {"oid": self.large, "sha256": self.large, "size": self.size, "pointerSize": 134}
            found |= {"lfs": lfs, "oid": "0" * 40}
        return found


@dataclass
class Repository:
    branches: dict = field(default_factory=dict)
    commits: dict = field(default_factory=dict)
    objects: dict = field(default_factory=dict)
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    def commit(self, files, branch="main"):
        sha = f"{next(self.numbers):040x}"
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def head(self, branch="main"):
        return self.commits[self.branches[branch]]

    def add(self, path, data, *, large=False, told=None):
        """Put a file into the head itself; `told` is the digest that the Hub claims."""
        digest = told or hashlib.sha256(data).hexdigest()
        if large:
            self.objects[digest] = data
        self.head()[path] = File(b"" if large else data, digest if large else "", len(data))

    def holds(self, path, commit):
        file = self.commits[commit][path]
        return self.objects[file.large] if file.large else file.data

    def everything(self):
        """All bytes that anybody who may read the repository can get."""
        small = [file.data for files in self.commits.values() for file in files.values() if not file.large]
        return [*small, *self.objects.values()]


class Hub(http.server.ThreadingHTTPServer):
    """Repositories by name. `fault(method, path, number)` spoils answers: `500`, `hang`, `drop` (nothing is
    done), `lost` (done, no answer), `half` (half of the body), `expired` (403)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories = {}
        self.seen = []
        self.lock = threading.Lock()
        self.fault = lambda method, path, number: None
        self.cut_after = None  # bytes of the next long body
        self.needs_token = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def make(self, name, kind="datasets"):
        repository = self.repositories[kind, name] = Repository()
        repository.commit({".gitattributes": File(b"x", "", 1)})
        return repository

    @property
    def environment(self):
        """What a process needs to speak to it. xet, another protocol, is switched off."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self):
        body = self._body()
        with self.server.lock:
            self.server.seen.append(
                (self.command, self.path, self.headers.get("Range"), self.headers.get("Authorization"))
            )
            number = len(self.server.seen)
        self.fault = self.server.fault(self.command, self.path, number)
        if self.fault == "hang":
            threading.Event().wait(1.5)
        if self.fault in ("hang", "drop"):
            return self._hang_up()
        if self.fault in ("500", "expired"):
            return self._send(500 if self.fault == "500" else 403, {}, b"no")
        path = unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":  # of a card, before a commit with one
            return self._json({"errors": [], "warnings": []})
        if large := re.fullmatch(r"/large/(\w+)/(\w+)/([\w.-]+/[\w.-]+)", path):
            return self._large(*large.groups(), body)
        for pattern, method in ROUTES:
            if fits := re.fullmatch(pattern, path):
                found = fits.groupdict()
                kind = found.pop("kind") or "models"
                repository = self.server.repositories.get((kind.rstrip("/"), found.pop("name")))
                if repository is None or (
                    self.server.needs_token and self.headers.get("Authorization") != f"Bearer {TOKEN}"
                ):
                    return self._fail(401 if repository else 404, "RepoNotFound")
                self.name = fits["name"]
                self.kind = kind.rstrip("/")
                with self.server.lock:
                    return method(self, repository, body, **found)
        return self._fail(404, "")

    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - the library's names

    def info(self, repository, _, revision=None):
        sha = self._commit(repository, revision or "main")
        if sha is None:
            return self._fail(404, "RevisionNotFound")
        files = [file.entry(path) for path, file in repository.commits[sha].items()]
        return self._json({"id": self.name, "sha": sha, "siblings": files})

    def tree(self, repository, _, revision):
        sha = self._commit(repository, revision)
        if sha is None:
            return self._fail(404, "RevisionNotFound")
        return self._json([file.entry(path) for path, file in repository.commits[sha].items()])

    def resolve(self, repository, _, revision, path):
        sha = self._commit(repository, revision)
        if sha is None:
            return self._fail(404, "RevisionNotFound")
        file = repository.commits[sha].get(path)
        if file is None:
            return self._fail(404, "EntryNotFound")
        if file.large:
            headers = {
                "Location": self._address(file.large),
                "X-Repo-Commit": sha,
                "X-Linked-Size": str(file.size),
            }
            return self._send(302, headers | {"X-Linked-Etag": f'"{file.large}"'}, b"")
        return self._ranged(file.data, {"X-Repo-Commit": sha, "ETag": f'"{blob_id(file.data)}"'})

    def preupload(self, repository, body, branch):
        files = [
            {
                "path": asked["path"],
                "uploadMode": "lfs" if b"\0" in base64.b64decode(asked["sample"]) else "regular",
                "shouldIgnore": False,
            }
            for asked in json.loads(body)["files"]
        ]
        return self._json({"files": files})

    def batch(self, repository, body):
        objects = []
        for asked in json.loads(body)["objects"]:
            upload = {"href": self._address(asked["oid"])}
            there = asked["oid"] in repository.objects
            objects.append(asked | ({} if there else {"actions": {"upload": upload}}))
        return self._json({"transfer": "basic", "objects": objects})

    def commit(self, repository, body, branch):
        lines = [json.loads(line) for line in body.splitlines()]
        parent = lines[0]["value"].get("parentCommit")
        if parent not in (None, repository.branches.get(branch)):
            return self._send(412, {}, b'{"error": "A commit has happened since."}')
        files = dict(repository.head(branch))
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                data = base64.b64decode(value["content"])
                files[value["path"]] = File(data, "", len(data))
            elif line["key"] == "lfsFile":
                if value["oid"] not in repository.objects:
                    return self._send(400, {}, b'{"error": "the large file was not sent"}')
                files[value["path"]] = File(b"", value["oid"], value["size"])
            else:
                del files[value["path"]]
        sha = repository.commit(files, branch)
        return self._json({"commitUrl": f"{self.server.url}/c/{sha}", "commitOid": sha})

    def squash(self, repository, _, branch):
        files = repository.head(branch)
        repository.commits.clear()
        repository.commit(files, branch)
        return self._json({})

    def refs(self, repository, _):
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": sha}
            for name, sha in repository.branches.items()
        ]
        return self._json({"branches": branches, "converts": [], "tags": [], "pullRequests": []})

    def large_files(self, repository, _):
        when = "2026-01-01T00:00:00.000Z"
        return self._json(
            [
                {
                    "fileOid": oid,
                    "filename": "x",
                    "oid": oid,
                    "pushedAt": when,
                    "size": len(data),
                }
                for oid, data in repository.objects.items()
            ]
        )

    def delete_large(self, repository, body):
        for oid in json.loads(body)["deletions"]["sha"]:
            del repository.objects[oid]
        return self._json({})

    def _large(self, kind, oid, name, body):
        repository = self.server.repositories[kind, name]
        if self.command != "PUT":
            at = repository.branches["main"]
            return self._ranged(repository.objects[oid], {"ETag": f'"{oid}"', "X-Repo-Commit": at})
        if hashlib.sha256(body).hexdigest() != oid:
            return self._send(400, {}, b"other bytes")
        repository.objects[oid] = body
        return self._send(200, {}, b"")

    def _address(self, oid):
        return f"{self.server.url}/large/{self.kind}/{oid}/{self.name}?signature=secret"

    def _commit(self, repository, revision):
        sha = repository.branches.get(revision, revision)
        return sha if sha in repository.commits else None

    def _ranged(self, data, headers):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        headers = headers | {"Accept-Ranges": "bytes"}
        if self.command == "HEAD" or not asked:
            return self._send(200, headers, data)
        start, end = int(asked[1]), int(asked[2] or len(data) - 1)
        span = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        return self._send(206, headers | span, data[start : end + 1])

    def _json(self, found):
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    def _fail(self, status, code):
        return self._send(status, {"X-Error-Code": code}, b"{}")

    def _send(self, status, headers, data):
        if self.fault == "lost":
            return self._hang_up()
        self.send_response_only(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return None
        cut = len(data) // 2 if self.fault == "half" else self.server.cut_after
        if cut is None or len(data) <= cut:
            return self.wfile.write(data)
        self.server.cut_after = None
        self.wfile.write(data[:cut])
        return self._hang_up()

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


API = r"/api/(?P<kind>\w+)/(?P<name>[\w.-]+/[\w.-]+)"
ROUTES = (
    (API + r"(?:/revision/(?P<revision>[\w.-]+))?", _Answers.info),
    (API + r"/tree/(?P<revision>[\w.-]+)", _Answers.tree),
    (API + r"/preupload/(?P<branch>[\w.-]+)", _Answers.preupload),
    (API + r"/commit/(?P<branch>[\w.-]+)", _Answers.commit),
    (API + r"/super-squash/(?P<branch>[\w.-]+)", _Answers.squash),
    (API + r"/refs", _Answers.refs),
    (API + r"/lfs-files", _Answers.large_files),
    (API + r"/lfs-files/batch", _Answers.delete_large),
    (r"/(?P<kind>datasets/)?(?P<name>[\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", _Answers.batch),
    (
        r"/(?P<kind>datasets/)?(?P<name>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[\w.-]+)/(?P<path>.+)",
        _Answers.resolve,
    ),
)


@pytest.fixture
def hub():
    """A Hub without repositories; no process speaks to it by itself: see `Hub.environment`."""
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
