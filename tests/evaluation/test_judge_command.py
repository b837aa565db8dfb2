"""`emo judge` against a real server on loopback that speaks the chat-completions protocol."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from emo.cli.main import emo

pytest.importorskip("openai", reason="the openai package is not installed")

TRUTH = "Her brow is furrowed and she is anxious."


class Handler(BaseHTTPRequestHandler):
    """Gives 7 to every pair and 'anxious' to every text; or what `broken` says."""

    asked = ()
    broken = None

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Handler.asked.append(question)
        schema = question["response_format"]["json_schema"]["schema"]
        answer = {"label": "anxious"} if "label" in schema["properties"] else {"score": 7, "reason": "close"}
        text = self.broken or json.dumps(answer)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        data = json.dumps({**body, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Handler.asked, Handler.broken = [], None
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1"
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def arguments(server, tmp_path):
    (tmp_path / "gt.csv").write_text(f'name,reason\nc1,"{TRUTH}"\nc2,"{TRUTH}"\n')
    (tmp_path / "secret-system.csv").write_text('name,text\nc1,"She frowns."\nc2,"She is worried."\n')
    given = [tmp_path / "secret-system.csv", "--truth", tmp_path / "gt.csv", "--out", tmp_path / "out"]
    return ["judge", *map(str, given), "--url", server, "--model", "local"]


def test_scores_are_written_for_the_report_and_the_second_run_asks_nothing(arguments, tmp_path):
    first = CliRunner().invoke(emo, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(first.stdout)
    assert found["scores"]["clue_overlap"]["value"] == 7 and found["judge"] == "local"
    assert all(question["temperature"] == 0 and question["model"] == "local" for question in Handler.asked)
    assert "secret-system" not in json.dumps(Handler.asked)
    count = len(Handler.asked)
    again = CliRunner().invoke(emo, arguments, catch_exceptions=False)
    assert "0 questions asked" in again.stdout and len(Handler.asked) == count
    shown = CliRunner().invoke(emo, ["report", f"ours={tmp_path / 'out'}", "--board", "emer"]).stdout
    assert "→ ours†" in shown and "judge local here" in shown


@pytest.mark.parametrize("text", ["10", "not JSON", '{"score": 99, "reason": "x"}', "[" * 5000])
def test_a_server_that_answers_otherwise_gives_no_score(arguments, text):
    Handler.broken = text
    done = CliRunner().invoke(emo, arguments)
    assert "gave no sound score" in str(done.exception)
