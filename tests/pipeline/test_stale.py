"""Stale features are never served: every change of weights, recipe, code or media ends in a new space, in
another encoding or in a refusal."""

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from emo import digests
from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.clip import Clip
from emo.digests import StatCache
from emo.errors import CheckpointError, EmoError, StaleCache
from emo.extractors import eva, hubert, mae, speech, stills, tiny, videomae, waveform
from emo.extractors import faces as face_crops
from emo.extractors.detector import DETECTOR_RECIPE
from emo.extractors.running import Running
from emo.pipeline.extract import extract
from emo.pipeline.inputs import InputDigests
from emo.pipeline.plan import make_plan
from emo.records import Record

NEW_SPACE, AGAIN, REFUSED = "a new space", "encoded again", "refused"
STALE = "stale, and served"
TICK_S = 0.03  # the kernel's clock of files goes in steps
AU = "frame,timestamp,success,AU04_r,AU12_r\n1,0.0,1,0.5,0.1\n2,0.04,1,2.5,0.1\n"


def encoders(weights):
    return [hubert.Hubert("tiny", weights=weights), mae.Mae(), videomae.VideoMae(), eva.Eva()]


class World:
    """One clip with features of every encoder, put into the cache as if each had been encoded."""

    def __init__(self, root):
        self.root, self.media, self.au = root, root / "a.mp4", root / "a.csv"
        self.weights = root / "weights"
        self.media.write_bytes(bytes(range(256)) * 8)
        self.au.write_text(AU)
        self._write_weights()
        self.clip = Clip(clip_id="a", path=self.media, au_path=self.au, start=0.5, end=1.5)
        self.rehash = False
        self.settle()
        self.remember = root / "f.zarr.journal" / "media-digests.jsonl"
        cache, files = open_cache(root / "f.zarr", "a"), StatCache(self.remember)
        rng = np.random.default_rng(0)
        for encoder in encoders(self.weights):
            arrays = {
                name: rng.normal(
                    size={"tokens": (at.tokens, at.dim), "frames": (3, at.dim)}.get(at.kind, at.dim)
                )
                for name, at in encoder.spec.arrays.items()
            }
            digest = InputDigests([self.clip], files).of(encoder.needs)[self.clip.clip_id]
            with cache.create(encoder.spec).writer("none") as writer:
                writer.put(Record(clip_id="a", arrays=arrays, input_sha256=digest))
        assert self.outcome(encoders(self.weights)) == STALE
        assert len(self.remember.read_text().splitlines()) == 2

    def _write_weights(self):
        from safetensors.numpy import save_file

        self.weights.mkdir()
        rng = np.random.default_rng(1)
        self.tensors = {name: rng.normal(size=(4, 4)).astype(np.float32) for name in ("one", "two")}
        save_file(self.tensors, self.weights / "model.safetensors")
        (self.weights / "config.json").write_text(json.dumps(hubert.TINY_CONFIG))
        (self.weights / "preprocessor_config.json").write_text('{"do_normalize": true}')

    def settle(self):
        """Let every file be old, so that its digest is remembered."""
        for path in (self.media, self.au, *self.weights.iterdir()):
            os.utime(path, (1e9, 1e9))

    def outcome(self, made):
        """What an extraction with these encoders would do with the record that is stored."""
        cache = open_cache(self.root / "f.zarr", "a")
        spaces = {space.name for space in cache.spaces()}
        files = StatCache(self.remember, rehash=self.rehash)
        plan = make_plan([self.clip], made, cache, files)
        changed = [part for part in plan.parts if part.to_do]
        if not changed:
            return STALE
        return NEW_SPACE if any(part.space.name not in spaces for part in changed) else AGAIN


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("emo.digests.SETTLED_NS", -(10**12))  # digests of new files are remembered too
    return World(tmp_path)


def keeping_times(path, data):
    """Other bytes under the same name, size, inode and mtime."""
    before = path.stat()
    time.sleep(TICK_S)
    assert len(data) == before.st_size
    with path.open("r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def weights_change(change):
    def mutate(world, monkeypatch):
        change(world)
        return [hubert.Hubert("tiny", weights=world.weights)]

    return NEW_SPACE, mutate


def a_tensor_moves(world):
    from safetensors.numpy import save_file

    world.tensors["one"][2, 3] += 1e-3
    save_file(world.tensors, world.weights / "model.safetensors")


def a_tensor_moves_under_the_same_times(world):
    path = world.weights / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    keeping_times(path, bytes(data))


def other_config(world):
    (world.weights / "config.json").write_text(json.dumps(hubert.TINY_CONFIG | {"layerdrop": 0.5}))


def other_preprocessing(world):
    (world.weights / "preprocessor_config.json").write_text('{"do_normalize": false}')


def one_more_file(world):
    (world.weights / "adapter.safetensors").write_bytes(b"x")


def made(make):
    """Another encoder than the one whose features are stored."""
    return NEW_SPACE, lambda world, monkeypatch: [make(world)]


def patched(module, name, value, make):
    def mutate(world, monkeypatch):
        monkeypatch.setattr(module, name, value)
        return [make(world)]

    return NEW_SPACE, mutate


def preset_with(module, make, **changes):
    def mutate(world, monkeypatch):
        monkeypatch.setitem(module.PRESETS, "tiny", replace(module.PRESETS["tiny"], **changes))
        return [make(world)]

    return NEW_SPACE, mutate


def faces_with(**changes):
    return made(lambda world: mae.Mae(faces=replace(mae.TINY_FACES, **changes)))


def detector_with(**changes):
    return patched(face_crops, "DETECTOR_RECIPE", DETECTOR_RECIPE | changes, lambda world: mae.Mae())


def media_change(change, make=encoders):
    def mutate(world, monkeypatch):
        change(world)
        return make(world.weights)

    return AGAIN, mutate


def clip_with(**changes):
    def change(world):
        world.clip = replace(world.clip, **changes)

    return media_change(change)


def flipped(path):
    data = bytearray(path.read_bytes())
    data[100 % len(data)] ^= 1
    return bytes(data)


def replaced_by_rename(world):
    """Another inode with the same size and mtime, as rsync and editors leave."""
    other = world.root / "other.mp4"
    other.write_bytes(flipped(world.media))
    os.utime(other, (1e9, 1e9))
    other.replace(world.media)


def link_to_another(world):
    other = world.root / "other.mp4"
    other.write_bytes(flipped(world.media))
    link = world.root / "link.mp4"
    link.symlink_to(world.media)
    StatCache(world.remember).sha256(link)
    link.unlink()
    link.symlink_to(other)
    world.clip = replace(world.clip, path=link)


def a_memory_that_lies(world):
    """Whoever can write the memory of digests can make it lie; --rehash does not ask it."""
    keeping_times(world.media, flipped(world.media))
    lines = map(json.loads, world.remember.read_text().splitlines())
    (line,) = [line for line in lines if line[0] == str(world.media)]
    status = world.media.stat()
    stamp = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
    world.remember.write_text(json.dumps([line[0], stamp, line[2]]) + "\n")
    assert world.outcome([mae.Mae()]) == STALE
    world.rehash = True


def lost_bytes(world):
    space = open_cache(world.root / "f.zarr", "a")["hubert"]
    with space.writer("none") as writer:
        digest = space.info("a").input_sha256
        writer.put(Record(clip_id="a", status="failed:damaged", input_sha256=digest))


def with_stored(dtype):
    def make(world):
        encoder = mae.Mae()
        arrays = {name: replace(layout, dtype=dtype) for name, layout in encoder.spec.arrays.items()}
        encoder.spec = replace(encoder.spec, arrays=arrays)
        return encoder

    return made(make)


def hub(world, **options):
    return hubert.Hubert("tiny", weights=world.weights, **options)


MUTATIONS = {
    "weights: one value of one tensor by 1e-3": weights_change(a_tensor_moves),
    "weights: one bit, size and mtime set back": weights_change(a_tensor_moves_under_the_same_times),
    "weights: the model's config.json": weights_change(other_config),
    "weights: preprocessor_config.json": weights_change(other_preprocessing),
    "weights: one more file": weights_change(one_more_file),
    "weights: another folder, the shipped ones": made(lambda world: hubert.Hubert("tiny")),
    "hubert: layer": made(lambda world: hub(world, layer=2)),
    "hubert: precision": made(lambda world: hub(world, running=Running(precision="bfloat16"))),
    "hubert: recipe version": patched(speech, "RECIPE_VERSION", 99, hub),
    "hubert: normalisation of the sound": preset_with(hubert, hub, normalise=True),
    "hubert: length of pieces": patched(waveform, "LONGEST_S", 30, hub),
    "mae: pooling": made(lambda world: mae.Mae(pooling="class")),
    "mae: precision": made(lambda world: mae.Mae(running=Running(precision="float16"))),
    "mae: recipe version": patched(stills, "RECIPE_VERSION", 99, lambda world: mae.Mae()),
    "mae: mean of pixels": preset_with(mae, lambda world: mae.Mae(), mean=(0.5, 0.5, 0.5)),
    "mae: standard deviation of pixels": preset_with(mae, lambda world: mae.Mae(), std=(0.5, 0.5, 0.5)),
    "faces: sampling rule": faces_with(sampling="uniform:17"),
    "faces: every frame": faces_with(sampling="all"),
    "faces: crop margin": faces_with(margin=0.11),
    "faces: size": faces_with(size=97),
    "faces: one box a frame": faces_with(box="tracked"),
    "faces: policy": faces_with(policy="central"),
    "faces: aligned by OpenFace": faces_with(alignment="openface"),
    "faces: how often the detector looks": faces_with(detect=5),
    "detector: weights": detector_with(weights={"pnet": "00" * 32}),
    "detector: thresholds": detector_with(thresholds=[0.6, 0.7, 0.8]),
    "detector: version of its code": detector_with(version=2),
    "videomae: sampling rule": made(
        lambda world: videomae.VideoMae(faces=replace(mae.TINY_FACES, sampling="segments:8x2"))
    ),
    "videomae: recipe version": patched(videomae, "RECIPE_VERSION", 99, lambda world: videomae.VideoMae()),
    "eva: which frame": made(lambda world: eva.Eva(frame="first")),
    "eva: before the last LayerNorm": made(lambda world: eva.Eva(ln_vision="before")),
    "eva: LayerNorm without weights": preset_with(eva, lambda world: eva.Eva(), norm="identity"),
    "eva: eps": preset_with(eva, lambda world: eva.Eva(), eps=1e-5),
    "eva: size of the frame": preset_with(eva, lambda world: eva.Eva(), side=168),
    "eva: recipe version": patched(eva, "RECIPE_VERSION", 99, lambda world: eva.Eva()),
    "stored type: bfloat16": with_stored("bfloat16"),
    "stored type: float32": with_stored("float32"),
    "media: other bytes": media_change(lambda world: world.media.write_bytes(b"another film")),
    "media: other bytes, size and mtime set back": media_change(
        lambda world: keeping_times(world.media, flipped(world.media))
    ),
    "media: other bytes, renamed into place": media_change(replaced_by_rename),
    "media: a link to another file": media_change(link_to_another),
    "media: a memory of digests that lies, --rehash": media_change(a_memory_that_lies),
    "media: gone": media_change(lambda world: world.media.unlink()),
    "person: the second from the left": media_change(
        lambda world: setattr(world, "clip", replace(world.clip, person=2)), lambda _: [mae.Mae()]
    ),
    "region: the left half": media_change(
        lambda world: setattr(world, "clip", replace(world.clip, region="left-half")), lambda _: [mae.Mae()]
    ),
    "cut: start": clip_with(start=0.6),
    "cut: end": clip_with(end=1.4),
    "cut: none": clip_with(start=None, end=None),
    "action units: no file": media_change(
        lambda world: setattr(world, "clip", replace(world.clip, au_path=None)), lambda _: [eva.Eva()]
    ),
    "action units: other numbers, size and mtime set back": media_change(
        lambda world: keeping_times(world.au, AU.replace("2.5", "0.2").encode()), lambda _: [eva.Eva()]
    ),
    "record: its bytes were lost and requeued": media_change(lost_bytes),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_change_is_never_answered_with_the_stored_record(name, world, monkeypatch):
    expected, mutate = MUTATIONS[name]
    assert world.outcome(mutate(world, monkeypatch)) == expected


def nearest(picture, box, margin, side):
    from PIL import Image

    square = (box.left, box.top, box.right, box.bottom)
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST, box=square))


def bilinear(picture, side):
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))


def poor_resampler():
    from soxr import ResampleStream

    return lambda *arguments, **settings: ResampleStream(*arguments, **settings | {"quality": "QQ"})


eva_normalise = eva.normalise


def unlike(sound):
    return lambda *arguments: sound(*arguments) * 0.9


# What no fingerprint can see: code or a library that computes otherwise under the same recipe.
UNSEEN = {
    "the crop's resize filter": ("mae", "emo.pipeline.canary.crop", nearest),
    "the frame's resize filter": ("eva", "emo.extractors.eva.squash", bilinear),
    "the resampler": ("hubert", "soxr.ResampleStream", poor_resampler()),
    "the average over frames": ("hubert", "emo.extractors.speech.to_numpy", unlike(speech.to_numpy)),
    "the normalisation of pixels": (
        "eva",
        "emo.extractors.eva.normalise",
        lambda pictures, mean, std: eva_normalise(pictures, std, mean),
    ),
    "the pooling of tokens": ("mae", "emo.extractors.stills.pooled", unlike(stills.pooled)),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_code_that_computes_otherwise_under_the_same_recipe_is_refused(name, folder, tmp_path, monkeypatch):
    encoder, target, other = UNSEEN[name]
    cache = tmp_path / "f.zarr"
    (folder / "mute.mp4").unlink()
    (folder / "b.mp4").rename(tmp_path / "b.mp4")
    extract(folder, (encoder,), cache, preset="tiny", jobs=1)
    (tmp_path / "b.mp4").rename(folder / "b.mp4")
    rows = len(open_cache(cache)[encoder].index)
    monkeypatch.setattr(target, other)
    with pytest.raises(StaleCache, match="canary"):
        extract(folder, (encoder,), cache, preset="tiny", jobs=1)
    assert len(open_cache(cache)[encoder].index) == rows


def test_shipped_weights_that_are_not_those_of_their_digest_are_refused(tmp_path):
    for name in ("mae.safetensors", tiny.INDEX):
        (tmp_path / name).write_bytes((tiny.FOLDER / name).read_bytes())
    path = tmp_path / "mae.safetensors"
    path.write_bytes(flipped(path))
    with pytest.raises(CheckpointError, match="not the one"):
        tiny.load("mae", mae.build_tiny(), tmp_path)


def test_a_file_that_changed_just_now_is_not_remembered_for_it_may_change_again(tmp_path):
    file, memory = tmp_path / "a.mp4", tmp_path / "digests.jsonl"
    file.write_bytes(b"one film")
    StatCache(memory).sha256(file)
    assert not memory.exists()


def test_an_old_file_is_read_once_and_again_with_rehash(tmp_path, monkeypatch):
    monkeypatch.setattr("emo.digests.SETTLED_NS", -(10**12))
    file, memory, read = tmp_path / "a.mp4", tmp_path / "digests.jsonl", []
    file.write_bytes(b"one film")
    sound = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(path) or sound(path))
    known = {StatCache(memory).sha256(file), StatCache(memory).sha256(file)}
    assert (len(known), len(read)) == (1, 1)
    assert StatCache(memory, rehash=True).sha256(file) in known
    assert len(read) == 2


def test_the_command_reads_everything_again_with_rehash(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("emo.digests.SETTLED_NS", -(10**12))
    words = ["extract", str(folder), "--encoder", "hubert", "--preset", "tiny", "--jobs", "1", "--json"]
    words += ["--cache", str(tmp_path / "f.zarr")]
    assert json.loads(CliRunner().invoke(command, words).stdout)["stored"] == 2
    memory = tmp_path / "f.zarr.journal" / "media-digests.jsonl"
    a, b, mute = (json.loads(line) for line in sorted(memory.read_text().splitlines()))
    lies = [[a[0], a[1], b[2]], b, mute]
    memory.write_text("".join(json.dumps(line) + "\n" for line in lies))
    assert json.loads(CliRunner().invoke(command, [*words, "--rehash"]).stdout)["already"] == 2
    told = json.loads(CliRunner().invoke(command, [*words, "--dry-run"]).stdout)
    assert told["already"] == 2


def test_more_than_thirty_changes_are_listed():
    assert len(MUTATIONS) + len(UNSEEN) >= 50
    assert {outcome for outcome, _ in MUTATIONS.values()} == {NEW_SPACE, AGAIN}
    assert issubclass(StaleCache, EmoError)
