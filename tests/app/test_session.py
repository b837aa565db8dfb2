"""A clip comes in as bytes, an answer comes out, the files go; what does not work is told in our words."""

import threading
import time

import pytest

from emo.app.models import Answered, Models, Piece
from emo.app.private import PrivateFolder
from emo.app.refusals import Refused, refusal_of
from emo.app.session import Kept, Session, Waiting
from emo.app.timeline import Timeline
from emo.app.uploads import Uploads
from emo.cache import open_cache
from emo.clip import Clip
from emo.errors import ConfigError
from emo.pipeline.predict import predict
from emo.pipeline.systems import load_system
from emo.testing import drawn_face, write_clip


@pytest.fixture
def session(models, small):
    made = Session(models, small)
    yield made
    made.close()


def uploaded(session, path):
    upload = session.uploads.begin()
    upload.write(path.read_bytes())
    upload.finish()
    return session.uploads.take(session.uploads.keep(upload))


def test_an_upload_is_answered_as_emo_predict_answers_and_its_files_are_gone(session, study, tmp_path):
    upload = uploaded(session, study / "new.mp4")
    events = list(session.answer(upload, "It is.", timeline=True))
    assert session.folder.places() == []
    by_kind = {kind: [one for one in events if isinstance(one, kind)] for kind in (Timeline, Answered, Piece)}
    (timeline,) = by_kind[Timeline]
    assert timeline.energy is not None and timeline.face is not None and timeline.peak is not None
    assert len(timeline.faces) == len(timeline.face_times) == 16
    answered = {one.model: one for one in by_kind[Answered]}
    (told,) = predict(study / "new.mp4", study / "runs/head", tmp_path / "f.zarr", text="It is.", jobs=1)
    assert answered["head"].answer.probabilities == pytest.approx(told.probabilities, abs=1e-6)
    assert answered["head"].answer.label == told.label
    for name in ("llm", "head"):
        assert answered[name].missing == ()
    (kept,) = [one for one in events if isinstance(one, Kept)]
    again = [list(session.ask(kept.token, "What does the voice add?")) for _ in range(2)]
    assert again[0] == again[1] and all(isinstance(one, Piece) for one in again[0])


def test_a_missing_modality_is_named_with_its_reason(session, tmp_path):
    upload = uploaded(session, write_clip(tmp_path / "mute.mp4", [drawn_face(160, 120)] * 6, None))
    answered = [one for one in session.answer(upload) if isinstance(one, Answered)]
    assert [[(one.feature, one.reason) for one in each.missing] for each in answered] == [
        [("hubert", "The clip has no sound.")]
    ] * 2
    assert answered[0].answer.missing == ("hubert",)


def test_a_clip_that_gives_nothing_is_refused(models, small, study):
    head = Models({"mae": load_system(study / "runs/head")})
    session = Session(head, small)
    try:
        upload = session.uploads.begin()
        upload.discard()
        with pytest.raises(Refused, match="Nothing of the clip can be used"):
            list(session.answer(upload))
    finally:
        session.close()


def test_a_clip_of_the_cache_needs_no_media(models, small, study):
    session = Session(models, small, cache=open_cache(study / "features.zarr"))
    try:
        events = list(session.answer_of_ours(Clip(clip_id="c1", path=study / "gone.mp4")))
        assert [one.model for one in events if isinstance(one, Answered)] == ["llm", "head"]
        assert not any(isinstance(one, Timeline) for one in events)
    finally:
        session.close()


def test_one_job_runs_at_a_time_and_the_queue_ends_somewhere(session, small):
    let_go, running, most = threading.Event(), [], []

    def work():
        running.append(1)
        most.append(len(running))
        let_go.wait(10)
        running.pop()
        yield Piece("x")

    told = []
    threads = [
        threading.Thread(target=lambda: told.append(list(session._run(work)))) for _ in range(small.queue + 1)
    ]
    for thread in threads:
        thread.start()
    while session.jobs < small.queue + 1:
        time.sleep(0.01)
    with pytest.raises(Refused) as refused:
        list(session._run(work))
    assert refused.value.status == 429
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert max(most) == 1
    assert sorted(len(events) for events in told) == [1, 2, 2]
    assert sorted(one.ahead for events in told for one in events if isinstance(one, Waiting)) == [1, 2]


def test_a_job_that_takes_too_long_is_given_up_and_the_next_one_runs(models):
    from emo.config.app import AppLimits

    session = Session(models, AppLimits(job_seconds=0.2))
    done = threading.Event()

    def slow():
        time.sleep(0.8)
        yield Piece("late")

    try:
        with pytest.raises(Refused) as refused:
            list(session._run(slow, after=done.set))
        assert refused.value.status == 408
        assert done.wait(10)
        assert list(session._run(lambda: iter_of(Piece("next"))))[-1] == Piece("next")
    finally:
        session.close()


def test_whoever_waits_when_the_server_stops_is_told_and_does_not_wait_on(models, small):
    session, let_go, refused = Session(models, small), threading.Event(), []

    def work():
        let_go.wait(10)
        yield Piece("x")

    def wait():
        with pytest.raises(Refused) as told:
            list(session._run(work))
        refused.append(told.value.status)

    first, second = threading.Thread(target=lambda: list(session._run(work))), threading.Thread(target=wait)
    for number, thread in enumerate((first, second), start=1):
        thread.start()
        while session.jobs < number:
            time.sleep(0.01)
    while session._worker._work_queue.empty():
        time.sleep(0.01)
    session.close()
    second.join(10)
    let_go.set()
    first.join(10)
    assert refused == [503] and session.jobs == 0


def iter_of(*events):
    yield from events


def test_an_error_of_ours_is_told_by_its_id_alone(caplog):
    refusal = refusal_of(ConfigError("/srv/secret/weights.bin is broken"))
    assert "secret" not in str(refusal.to_json()) and refusal.status == 500
    assert refusal.id in caplog.text and "/srv/secret/weights.bin" in caplog.text


def test_words_are_cleaned_and_have_an_end(session, small):
    assert session.words(" a\x00b\n\u202ec ") == "a b c"
    with pytest.raises(Refused, match="letters of text"):
        session.words("x" * (small.most_letters + 1))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("empty", lambda path: path.write_bytes(b"")),
        ("failed:unreadable", lambda path: path.write_text("ffconcat version 1.0\nfile /etc/passwd\n")),
        ("failed:unreadable", lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")),
        ("failed:too_long", lambda path: write_clip(path, [drawn_face(32, 24)] * 88, None)),
        ("failed:too_long", lambda path: write_clip(path, [drawn_face(32, 24)] * 100, None, live=True)),
        ("failed:too_large", lambda path: write_clip(path, [drawn_face(320, 240)], None)),
    ],
    ids=[
        "no bytes",
        "a list of files",
        "a list of addresses",
        "too long",
        "too long and silent about it",
        "wide",
    ],
)
def test_what_is_no_clip_for_us_is_refused_before_any_work(small, tmp_path, kind, make):
    make(path := tmp_path / "clip.mkv")
    folder = PrivateFolder()
    upload = Uploads(folder, small, 2).begin()
    upload.write(path.read_bytes())
    with pytest.raises(Refused) as refused:
        upload.finish()
    assert (refused.value.status, refused.value.kind) == (422, kind)
    assert str(folder.root) not in str(refused.value) and folder.places() == []
    folder.close()


def test_uploads_are_counted_and_old_ones_go(small):
    folder, now = PrivateFolder(), [0.0]
    uploads = Uploads(folder, small, 2, lambda: now[0])
    first = uploads.begin()
    with pytest.raises(Refused, match="this is more"):
        first.write(bytes(small.most_bytes + 1))
    uploads.drop(first)
    sent = [uploads.begin() for _ in range(2)]
    with pytest.raises(Refused, match="Too many clips"):
        uploads.begin()
    tokens = [uploads.keep(one) for one in sent]
    uploads.keep(uploads.begin())
    assert len(folder.places()) == 2
    with pytest.raises(Refused, match="not here any more"):
        uploads.take(tokens[0])
    assert uploads.take(tokens[1]) is sent[1]
    with pytest.raises(Refused, match="not here any more"):
        uploads.take(tokens[1])
    uploads.drop(sent[1])
    now[0] = small.keep_seconds + 1
    uploads.sweep()
    assert folder.places() == []
    folder.close()


def test_a_folder_whose_server_was_killed_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    live = PrivateFolder()
    left = tmp_path / "emo-app-left"
    (left / "clip").mkdir(parents=True)
    (left / "lock").write_text("")
    PrivateFolder().close()
    assert live.root.exists() and not left.exists()
    assert live.root.stat().st_mode & 0o077 == 0
    live.close()
