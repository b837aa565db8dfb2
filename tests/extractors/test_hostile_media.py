"""Files made to read other files or to reach the network: none does, neither by path nor as bytes."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from emo.clip import Clip
from emo.extractors.media import read_views
from emo.extractors.reading import read_views_limited
from emo.testing import drawn_face, tone, write_clip
from emo.views import AudioView, FrameView, ViewProblem

VIEWS = (AudioView(), FrameView("first"))
SECRET = "zyxwvut private sentence"
XML = '<?xml version="1.0"?>\n'
DASH = (
    XML + '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT5S">'
    "<Period><AdaptationSet><Representation id='1' mimeType='video/mp4' bandwidth='1'>"
    "<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{what}\n#EXT-X-ENDLIST\n"
KEY = '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:5,\n{sibling}\n#EXT-X-ENDLIST\n'
FILES = {
    "sibling.mp4": "ffconcat version 1.0\nfile film.mp4\n",
    "sibling.mkv": "ffconcat version 1.0\nfile film.mp4\n",
    "absolute.mp4": "ffconcat version 1.0\nfile {secret}\n",
    "by_url.mp4": "ffconcat version 1.0\nfile {url}\n",
    "by_protocol.mp4": "ffconcat version 1.0\nfile file:{secret}\noption safe 0\n",
    "nested.mp4": "ffconcat version 1.0\nfile concat:film.mp4|{secret}\n",
    "list.m3u8": HLS.replace("{what}", "{url}"),
    "list.mp4": HLS.replace("{what}", "{url}"),
    "list.avi": HLS.replace("{what}", "file://{secret}"),
    "list.ts": HLS.replace("{what}", "film.mp4"),
    "list.aac": HLS.replace("{what}", "concat:{secret}|film.mp4"),
    "list.mp3": HLS.replace("{what}", "subfile,,start,0,end,100,,:{secret}"),
    "data.mp4": HLS.replace("{what}", "data:text/plain;base64,AAAA"),
    "crypto.mp4": HLS.replace("{what}", "crypto:{url}"),
    "key.mp4": KEY,
    "manifest.mpd": DASH,
    "manifest.mp4": DASH,
    "local.mpd": DASH.replace("{url}", "file://{secret}"),
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "call.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "stream.mp4": "rtsp://127.0.0.1:{port}/film\n",
    "reference.mov": "RTSPtextrtsp://127.0.0.1:{port}/film\r\n",
    "player.asx": "<asx version='3.0'><entry><ref href='{url}'/></entry></asx>",
    "player.wmv": "[Reference]\nRef1={url}\n",
    "smooth.mp4": XML + "<SmoothStreamingMedia><StreamIndex Url='{url}'/></SmoothStreamingMedia>",
    "script.avi": 'LoadPlugin("{secret}")\nDirectShowSource("{url}")\n',
    "subtitle.mp4": "1\n00:00:00,000 --> 00:00:05,000\n{url}\n",
    "layout.imf": XML + "<CompositionPlaylist><Id>urn:uuid:1</Id><Path>{secret}</Path></CompositionPlaylist>",
    "http:127.0.0.1.mp4": "ffconcat version 1.0\nfile {url}\n",
    "concat:film.mp4|secret.txt": "no film",
    "subfile,,start,0,end,9,,:film.mp4": "no film",
    "data:video;base64,AAAA": "no film",
    "pipe:0": "no film",
    "%03d.mp4": "no film",
}


class Listener:
    """A server on loopback that counts who connects, over TCP or UDP."""

    def __init__(self):
        self.hits = 0
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.udp.setblocking(False)
        self.waiting = threading.Thread(target=self.listen, daemon=True)
        self.open = True
        self.waiting.start()

    def listen(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                self.hits += connection.recv(3) != b"end"

    def end(self):
        if not self.open:
            return
        self.open = False
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"end")
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.waiting.join(timeout=10)
        with suppress(BlockingIOError):
            self.hits += len(self.udp.recv(1)) >= 0
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.end()


@pytest.fixture
def hostile(tmp_path, listener):
    """The hostile files, beside a good film and a secret that they name."""
    write_clip(tmp_path / "film.mp4", [drawn_face(160, 120)] * 3, tone(0.2))
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    url = f"http://127.0.0.1:{listener.port}/film.mp4"
    words = {"url": url, "secret": str(secret), "port": str(listener.port), "sibling": "film.mp4"}
    for name, text in FILES.items():
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", value)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("read", [read_views, read_views_limited])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_no_hostile_file_reaches_the_network_or_another_file(hostile, listener, read, as_bytes):
    assert len(FILES) >= 20
    told = {}
    for name in FILES:
        data = (hostile / name).read_bytes() if as_bytes else None
        told[name] = read(Clip(clip_id=name, path=hostile / name), VIEWS, data=data)
    listener.end()
    assert listener.hits == 0
    for name, found in told.items():
        for outcome in found.values():
            assert isinstance(outcome, ViewProblem), (name, outcome)
            assert outcome.status == "failed:unreadable", (name, outcome)
            assert not any(word in outcome.reason for word in SECRET.split()), name


def test_the_listener_would_see_a_file_that_reaches_it(hostile, listener):
    import av

    with pytest.raises((OSError, ValueError)):
        av.open(f"http://127.0.0.1:{listener.port}/x.mp4", timeout=2.0)
    listener.end()
    assert listener.hits == 1


@pytest.mark.parametrize(
    "name", ["http:x.mp4", "concat:a|b.mp4", "subfile,,start,0,end,9,,:x.mp4", "-.mp4", "%d.mp4"]
)
def test_a_name_that_looks_like_a_protocol_is_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_clip(Path("film.mp4"), [drawn_face(160, 120)] * 3, tone(0.2)).rename(name)
    for read in (read_views, read_views_limited):
        found = read(Clip(clip_id="x", path=Path(name)), VIEWS)
        assert not any(isinstance(outcome, ViewProblem) for outcome in found.values()), found


def test_bytes_give_what_the_file_gives(tmp_path):
    path = write_clip(tmp_path / "film.mp4", [drawn_face(160, 120)] * 3, tone(0.2))
    by_path = read_views(Clip(clip_id="x", path=path), VIEWS)
    by_bytes = read_views_limited(Clip(clip_id="x", path=Path("upload")), VIEWS, data=path.read_bytes())
    for view in VIEWS:
        assert by_path[view].array.tobytes() == by_bytes[view].array.tobytes()
        assert by_path[view].meta == by_bytes[view].meta
