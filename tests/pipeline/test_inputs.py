"""What an encoder reads of a clip decides its digest, and each file is looked at once."""

import pytest

from emo.canonical import canonical_json
from emo.clip import REGIONS, Clip
from emo.digests import StatCache, sha256_file
from emo.pipeline.inputs import InputDigests
from emo.records import NO_INPUT
from emo.views import AudioView, FacesView, FrameView, MomentView

SPEECH = frozenset({AudioView(rate=16_000)})
PEAK_FRAME = FrameView("peak")
PEAK = frozenset({PEAK_FRAME})


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    return path


class Counting(StatCache):
    looks = 0

    def sha256(self, path):
        self.looks += 1
        return super().sha256(path)


def test_a_film_of_many_clips_and_encoders_is_looked_at_once(film):
    files = Counting(None)
    clips = [Clip(clip_id=f"cut{n}", path=film, start=n, end=n + 1) for n in range(50)]
    digests = InputDigests(clips, files)
    assert digests.of(SPEECH) == digests.of({FrameView("middle")})
    assert files.looks == 1
    assert len(set(digests.of(SPEECH).values())) == 50


def test_the_digest_is_that_of_the_media_and_the_cut(film):
    import hashlib

    digest = InputDigests([Clip(clip_id="a", path=film, end=2.5)], StatCache(None)).of(SPEECH)["a"]
    reads = {"media": sha256_file(film), "start": None, "end": 2.5, "region": None}
    assert digest == hashlib.sha256(canonical_json(reads)).digest()


def test_only_a_peak_frame_reads_the_action_units(film, tmp_path):
    units = tmp_path / "film.csv"
    units.write_text("AU01_r")
    clip = Clip(clip_id="a", path=film, au_path=units)
    before = InputDigests([clip], StatCache(None))
    before.of(SPEECH), before.of(PEAK)
    units.write_text("AU02_r")
    after = InputDigests([clip], StatCache(None))
    assert before.of(SPEECH) == after.of(SPEECH)
    assert before.of(PEAK) != after.of(PEAK)
    units.unlink()
    assert InputDigests([clip], StatCache(None)).of(PEAK) == {"a": NO_INPUT}


def test_the_region_is_read_by_what_looks_at_pictures_alone(film):
    def digests(needs):
        clips = [Clip(clip_id=str(region), path=film, region=region) for region in (None, *REGIONS)]
        return set(InputDigests(clips, StatCache(None)).of({needs}).values())

    assert len(digests(AudioView())) == 1
    assert len(digests(FacesView(alignment="openface"))) == 1
    for needs in (FacesView(), FrameView("middle"), PEAK_FRAME, MomentView(0.5)):
        assert len(digests(needs)) == 3


def test_what_cannot_be_read_is_never_fresh(tmp_path):
    clip = Clip(clip_id="a", path=tmp_path / "gone.mp4")
    assert InputDigests([clip], StatCache(None)).of(SPEECH) == {"a": NO_INPUT}


def test_a_digest_is_remembered_whatever_way_leads_to_the_file(film, tmp_path, monkeypatch):
    monkeypatch.setattr("emo.digests.SETTLED_NS", -(10**12))  # digests of new files are remembered too
    other = tmp_path / "way"
    other.symlink_to(tmp_path, target_is_directory=True)
    store = tmp_path / "digests.jsonl"
    first = StatCache(store).sha256(film)
    before = store.read_bytes()
    assert StatCache(store).sha256(other / "film.mp4") == first
    assert store.read_bytes() == before
    film.write_bytes(b"another film")
    assert StatCache(store).sha256(other / "film.mp4") != first
