"""An S3 server on this machine, a proxy before it that misbehaves when told to, a bucket for each test."""

import contextlib
import http.client
import http.server
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from emo.config.remote import RemoteSettings

pytest.importorskip("obstore", reason="the extra `remote` is not installed")
pytest.importorskip("moto.server", reason="moto, of the extra `dev`, is not installed")

KEY, SECRET = "AKIAEMOFAKEKEY000042", "emo-fake-secret-never-to-be-seen"
QUICK = RemoteSettings(tries=6, first_wait_s=0.001, longest_wait_s=0.01, request_s=5.0, connect_s=5.0)
NAMES = itertools.count()


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to the store, counts them, and lets `fault(method, path, number)` spoil some.

    Faults: `500`, `hang`, `drop` (no answer, nothing done), `lost` (done, no answer), `half` (half of the
    answer's body), `wrong` (a byte of the answer changed), `partial` (half of what is put is stored).
    """

    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), _Request)
        self.upstream = upstream
        self.seen = []
        self.lock = threading.Lock()
        self.one_at_a_time = threading.Lock()  # moto's tables are not safe to use from threads
        self.fault = lambda method, path, number: None
        self.denied = b""
        self.stale_list = None  # an answer that every listing gets

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self):
        return [(path, ranged) for method, path, ranged in self.seen if method == "GET"]


class _Request(http.server.BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self):
        body = self._body()
        with self.server.lock:
            self.server.seen.append((self.command, self.path, self.headers.get("Range")))
            number = len(self.server.seen)
        fault = self.server.fault(self.command, self.path, number)
        if fault == "hang":
            time.sleep(1.5)
        if fault in ("hang", "drop"):
            return self._hang_up()
        if fault == "500":
            return self._send(500, {}, b"<Error><Code>InternalError</Code></Error>")
        if fault == "403":
            return self._send(403, {}, self.server.denied)
        if fault == "partial":
            body = body[: len(body) // 2]
        with self.server.one_at_a_time:
            status, headers, data = self._upstream(body)
        listing = self.command == "GET" and "list-type" in self.path
        if listing and self.server.stale_list is not None:
            data = self.server.stale_list
        if fault == "lost":
            return self._hang_up()
        if fault == "wrong" and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        return self._send(status, headers, data, half=fault == "half")

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815 - the library's names

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _upstream(self, body):
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in ("content-length", "connection")}
        connection.request(self.command, self.path, body, kept | {"Content-Length": str(len(body))})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def _send(self, status, headers, data, *, half=False):
        self.send_response_only(status)
        length = headers.get("Content-Length", headers.get("content-length", len(data)))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length if self.command == "HEAD" else len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self._hang_up()

    def _hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def s3_server():
    """Host and port of an S3 server on loopback, and a client of it that is not emo's."""
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    yield (host, port), client
    server.stop()


@pytest.fixture
def proxy(s3_server, monkeypatch):
    """The proxy before the server; emo's environment points at it."""
    upstream, _ = s3_server
    with Proxy(upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in list(os.environ):
            if name.startswith(("AWS_", "HF_")) or name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield server
        server.shutdown()


@pytest.fixture
def bucket(s3_server, proxy):
    """A new bucket: its name, and all of its objects when asked."""
    _, client = s3_server

    class Bucket:
        name = f"emo-test-{next(NAMES)}"

        @property
        def url(self):
            return f"s3://{self.name}/lab/features.zarr"

        def objects(self):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            return {key: client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

        def put(self, key, data):
            client.put_object(Bucket=self.name, Key=key, Body=data)

        def listing(self):
            """What the server answers to a listing now, as bytes."""
            connection = http.client.HTTPConnection(*proxy.upstream)
            head = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}
            connection.request("GET", f"/{self.name}?list-type=2&prefix=lab%2Ffeatures.zarr", headers=head)
            data = connection.getresponse().read()
            connection.close()
            return data

    client.create_bucket(Bucket=Bucket.name)
    return Bucket()


@pytest.fixture
def emo():
    """The command as a user types it, in a process of its own: exit code, standard output, standard error."""

    def run(*arguments, **settings):
        done = subprocess.run(
            [sys.executable, "-m", "emo", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **settings,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def quick(monkeypatch):
    """Waits of milliseconds between tries."""
    from emo.cache.remote import store

    monkeypatch.setattr(store.open_store, "__defaults__", (QUICK,))
    return QUICK


@pytest.fixture
def ranged():
    """How many of the requests in a list are for a range of a shard."""

    def count(gets):
        return sum(1 for path, span in gets if span and re.search(r"/c/\d+/0", path))

    return count


@pytest.fixture
def push():
    """Push a cache with consent; the steps that sent something."""
    from emo.cache import open_cache
    from emo.cache.remote.push import Push
    from emo.cache.remote.store import open_store

    def send(path, url, **settings):
        with Push(open_cache(path), open_store(url)) as pushed:
            return [step for step in pushed.run(consent=True, **settings) if step.what == "sent"]

    return send


@pytest.fixture
def filled(path, make_spec, make_records, fill):
    """A space of 24 records and a canary, in shards of a few clips."""
    from emo.cache import open_cache

    space = open_cache(path, "a").create(make_spec(), shard_bytes=3000)
    fill(space, make_records(24))
    space.write_canary({"frames": np.ones((2, 6))})
    return space
