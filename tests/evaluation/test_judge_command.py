"""`emo judge` against a real server on loopback that speaks the chat-completions protocol."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from emo.cli.main import emo, exit_code
from emo.errors import RightsError

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


AWAY = "http://judge.example/v1"


def refused(arguments, *more):
    """What is said to texts that would go to another machine."""
    elsewhere = [AWAY if word.startswith("http://127.") else word for word in arguments]
    done = CliRunner().invoke(emo, [*elsewhere, *more])
    assert not Handler.asked
    return done.exception


def test_texts_go_to_another_machine_only_where_the_owner_allows_it(arguments, tmp_path):
    nobody = refused(arguments)
    assert isinstance(nobody, RightsError) and exit_code(nobody) == 9
    assert "undeclared (unknown): may not be sent to judge.example" in str(nobody)
    forbidden = refused(arguments, "--rights", "mer2023")
    assert isinstance(forbidden, RightsError) and "mer2023 (EULA" in str(forbidden)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["mer2023", "meld", "one nobody describes"])
@pytest.mark.parametrize("table", ["gt.csv", "secret-system.csv"])
def test_the_data_set_that_either_table_names_is_asked(arguments, tmp_path, table, name):
    lines = (tmp_path / table).read_text().splitlines()
    (tmp_path / table).write_text(
        "\n".join([lines[0] + ",dataset", *(f"{line},{name}" for line in lines[1:])])
    )
    assert isinstance(refused(arguments), RightsError)


def test_what_the_owner_allows_is_sent(arguments, tmp_path, monkeypatch):
    allowed = {"name": "mine", "licence": "CC0", "may_send_to_cloud": True}
    (tmp_path / "mine.json").write_text(json.dumps(allowed))
    monkeypatch.setattr("emo.services.ChatService._connected", _unreachable)
    assert isinstance(refused(arguments, "--rights", str(tmp_path / "mine.json")), Reached)
    (tmp_path / "gt.csv.rights.json").write_text(json.dumps({"data": [allowed]}))
    assert isinstance(refused(arguments), Reached)
    (tmp_path / "secret-system.csv.rights.json").write_text(json.dumps({"data": [{"name": "theirs"}]}))
    assert isinstance(refused(arguments), RightsError)


class Reached(Exception):
    """The command got as far as asking."""


def _unreachable(self):
    raise Reached(self.base_url)


@pytest.mark.parametrize("text", ["10", "not JSON", '{"score": 99, "reason": "x"}', "[" * 5000])
def test_a_server_that_answers_otherwise_gives_no_score(arguments, text):
    Handler.broken = text
    done = CliRunner().invoke(emo, arguments)
    assert "gave no sound score" in str(done.exception)
