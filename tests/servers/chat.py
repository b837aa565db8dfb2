"""A model that chats, on this machine: an OpenAI-compatible server whose answers a test writes."""

import http.server
import json
import threading
import time

import pytest


class ChatServer(http.server.ThreadingHTTPServer):
    """An OpenAI-compatible server: `answer(request)` is a text, a status, raw bytes, or None to hang."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _ChatAnswers)
        self.answer = lambda request: "yes"
        self.finish = "stop"
        self.headers_out = {}
        self.requests = []
        self.keys = set()
        self.hang_s = 1.0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _ChatAnswers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        self.server.keys.add(self.headers["authorization"])
        found = self.server.answer(request)
        if found is None:
            time.sleep(self.server.hang_s)
            return None
        if isinstance(found, int):
            key = self.headers["authorization"]
            return self._send(found, json.dumps({"error": {"message": f"no: your key is {key}"}}).encode())
        if isinstance(found, bytes):
            return self._send(200, found)
        reply = {
            "id": "1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{"index": 0, "finish_reason": self.server.finish,
                         "message": {"role": "assistant", "content": found}}],
            "usage": {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100},
        }  # fmt: skip
        return self._send(200, json.dumps(reply).encode())

    def _send(self, status, body):
        self.send_response(status)
        for name, value in self.server.headers_out.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def chat_servers():
    """Starts servers that the test does not have to stop."""
    running = []

    def start():
        running.append(ChatServer())
        return running[-1]

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(chat_servers):
    return chat_servers()
