"""A server is asked over HTTP on loopback: what passes is tried again, keys stay secret."""

import logging

import pytest

from emo.errors import ConfigError, RightsError, ServiceDown
from emo.merr.sending import check_sending, host_of, is_this_machine
from emo.rights import DataRights
from emo.services import ChatService

pytest.importorskip("openai")
KEY = "sk-secret-0123456789abcdef"
SCHEMA = {"type": "object"}
QUESTION = [{"role": "user", "content": "Well?"}]


@pytest.fixture
def service(server, monkeypatch):
    monkeypatch.setenv("EMO_TEST_KEY", KEY)
    server.answer = lambda request: "yes"
    return ChatService(
        base_url=server.url, model="tiny", key_env="EMO_TEST_KEY", timeout_s=0.4, tries=3, wait_s=0.001
    )


def ask(service):
    return service.ask(QUESTION, SCHEMA, most_tokens=9)


def test_an_answer_comes_with_its_cost_and_the_schema_goes_along(service, server):
    reply = ask(service)
    assert (reply.text, reply.tokens, reply.whole) == ("yes", 100, True)
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert server.requests[0]["max_tokens"] == 9
    assert server.keys == {f"Bearer {KEY}"}


def test_an_answer_that_was_cut_off_says_so(service, server):
    server.finish = "length"
    assert not ask(service).whole


@pytest.mark.parametrize(
    "trouble", [500, 503, 429, None, b"<html>", b'{"choices": []}', b'{"choices": null}', b""]
)
def test_trouble_that_passes_costs_another_try(service, server, trouble):
    seen = []

    def answer(request):
        seen.append(request)
        return trouble if len(seen) < 3 else "yes"

    server.answer = answer
    assert ask(service).text == "yes"
    assert len(seen) == 3


@pytest.mark.parametrize("trouble", [500, None, b"{"])
def test_trouble_that_stays_is_a_service_that_is_down(service, server, trouble):
    server.answer = lambda request: trouble
    with pytest.raises(ServiceDown, match="3 times"):
        ask(service)
    assert len(server.requests) == 3


def test_nobody_listening_is_a_service_that_is_down(service):
    service.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(ServiceDown):
        ask(service)


@pytest.mark.parametrize(
    ("status", "says"), [(401, "EMO_TEST_KEY"), (403, "EMO_TEST_KEY"), (404, "model's name")]
)
def test_a_refusal_is_told_at_once_and_without_the_key(service, server, status, says):
    server.answer = lambda request: status
    with pytest.raises(ConfigError, match=says) as told:
        ask(service)
    assert len(server.requests) == 1
    assert KEY not in str(told.value) and KEY not in repr(told.value) and KEY not in repr(service)
    assert told.value.__suppress_context__


def test_a_server_without_schemas_is_asked_without_one(service, server):
    server.answer = lambda request: 400 if "response_format" in request else "yes"
    assert ask(service).text == "yes"
    assert ask(service).text == "yes"
    assert len(server.requests) == 3


def test_a_redirect_is_not_followed(service, server, chat_servers):
    other = chat_servers()
    server.answer = lambda request: 307
    server.headers_out = {"location": f"{other.url}/chat/completions"}
    with pytest.raises(ConfigError, match="307"):
        ask(service)
    assert other.requests == []


def test_the_wait_that_a_server_asks_for_is_kept(service, server, monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    server.headers_out = {"retry-after": "7"}
    server.answer = lambda request: 503 if len(server.requests) < 2 else "yes"
    ask(service)
    assert waited == [7.0]


def test_keys_are_in_no_log(service, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.answer = lambda request: 500
    with pytest.raises(ServiceDown):
        ask(service)
    assert KEY not in caplog.text


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://user:pass@host/v1", "http://"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(url):
    with pytest.raises(ConfigError):
        host_of(url)


def test_this_machine_is_loopback_and_nothing_that_looks_like_it():
    assert all(map(is_this_machine, ["localhost", "127.0.0.1", "127.8.8.8", "::1"]))
    assert not any(
        map(is_this_machine, ["localhost.example.org", "127.0.0.1.nip.io", "192.168.0.2", "10.0.0.1"])
    )


MER2023 = DataRights(name="MER2023", licence="EULA", may_send_to_cloud=False)


def test_a_data_set_that_may_not_be_sent_is_not_sent_but_to_this_machine():
    with pytest.raises(RightsError, match=r"MER2023 \(EULA\)"):
        check_sending("api.example.org", [MER2023], media=False, send_media_to="api.example.org")
    check_sending("127.0.0.1", [MER2023], media=True, send_media_to="")


def test_pictures_leave_only_for_the_host_that_was_named():
    with pytest.raises(ConfigError, match=r"--send-media-to api\.example\.org"):
        check_sending("api.example.org", [], media=True, send_media_to="")
    with pytest.raises(ConfigError):
        check_sending("api.example.org", [], media=True, send_media_to="example.org")
    check_sending("api.example.org", [], media=True, send_media_to="api.example.org")
    check_sending("api.example.org", [], media=False, send_media_to="")


def test_the_command_leaves_with_nine_where_the_data_may_not_be_sent(tmp_path, capsys):
    from emo.cli.main import main

    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").write_bytes(b"no film")
    server = ["--explain", "https://api.example.org/v1", "--model", "m", "--rights", "mer2023"]
    with pytest.raises(SystemExit) as left:
        main(["merr", "build", str(tmp_path / "clips"), "--out", str(tmp_path / "merr"), *server])
    assert left.value.code == 9
    assert "mer2023" in capsys.readouterr().err
