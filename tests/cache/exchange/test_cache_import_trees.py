"""Trees of .npy and .npz files of other tools: what becomes a feature, a status, or an error."""

import io
import json
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cache.exchange.arrays import import_arrays
from emo.cache.exchange.emotion_llama import FEATURES, import_emotion_llama
from emo.cache.exchange.foreign import Refused
from emo.cache.exchange.mertools import import_mertools
from emo.cache.exchange.npy import read_npy
from emo.cache.forget import forget
from emo.cli.cache import cache as command
from emo.errors import AmbiguousSpace, ConfigError

DIM = 5


def values(*key, rows=None, dtype=np.float32):
    rng = np.random.default_rng([sum(map(ord, str(key)))])
    return rng.normal(size=(rows, DIM) if rows else DIM).astype(dtype)


@pytest.fixture
def tree(tmp_path):
    """Makes a folder of .npy files, one a clip."""

    def make(folder, clips, root="features"):
        target = tmp_path / root / folder
        for name, array in clips.items():
            file = target / f"{name}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, array)
        return target

    return make


@pytest.fixture
def target(path):
    return open_cache(path, "a")


def statuses(taken):
    return {one.clip_id: one.status for one in taken}


@pytest.mark.parametrize("folder", ["clip-large-UTT", "clip-large_UTT"])
def test_a_mertools_folder_becomes_a_space(tree, target, folder):
    clips = {f"sample_{number}": values(number) for number in range(3)} | {"sample_9": values(9)[None]}
    taken = list(import_mertools(target, tree(folder, clips)))
    space = target["clip-large"]
    assert all(one.stored and one.status == "ok" for one in taken)
    assert dict(space.spec.weights) == {}
    assert space.spec.recipe["imported"]["folder"] == folder
    for name, array in clips.items():
        np.testing.assert_array_equal(space.read(name, "utterance"), array.reshape(-1))
        assert space.read(name, "utterance").dtype == np.float32


def test_utterances_and_frames_of_an_encoder_share_a_space(tree, target):
    tree("clip-UTT", {"a": values("a"), "b": values("b")})
    frames = tree("clip-FRA", {"a": values("a", rows=4), "b": values("one frame")})
    for number in range(3):
        np.save(frames / f"{number}.x", 0)  # another suffix is no feature
    list(import_mertools(target, frames.parent))
    space = target["clip"]
    assert {name: layout.kind for name, layout in space.spec.arrays.items()} == {
        "utterance": "utterance",
        "frames": "frames",
    }
    assert space.read("a", "frames").shape == (4, DIM)
    np.testing.assert_array_equal(space.read("b", "frames"), values("one frame")[None])


def test_frames_that_are_a_folder_of_files_are_stacked_by_name(tree, target):
    frames = {f"clip1/{number:03d}": values(number) for number in range(12)}
    list(import_mertools(target, tree("manet-FRA", frames)))
    np.testing.assert_array_equal(target["manet"].read("clip1", "frames"), np.stack(list(frames.values())))


def test_zeros_are_missing_and_do_not_widen_the_others(tree, target):
    clips = {"a": values("a"), "b": np.zeros(DIM), "c": np.zeros((0, DIM))}
    found = statuses(import_mertools(target, tree("clip-UTT", clips)))
    assert found == {"a": "ok", "b": "missing:all_zero", "c": "failed:refused"}
    assert target["clip"].spec.arrays["utterance"].dtype == "float32"
    assert "b" not in target["clip"]


@pytest.mark.parametrize("encoder", ["chinese-hubert-large", "wavlm-base", "chinese-wav2vec2-base"])
def test_a_hubert_like_name_needs_its_variant(tree, target, encoder):
    folder = tree(f"{encoder}-UTT", {"a": values("a")})
    with pytest.raises(ConfigError, match="--variant mer2023"):
        list(import_mertools(target, folder))
    assert target.spaces() == []
    list(import_mertools(target, folder, variant="mer2023"))
    list(import_mertools(target, folder, variant="merbench"))
    assert len(target.spaces()) == 2


def test_a_tree_that_grew_is_the_same_space(tree, target):
    folder = tree("clip-UTT", {"a": values("a")})
    list(import_mertools(target, folder))
    tree("clip-UTT", {"b": values("b")})
    taken = list(import_mertools(target, folder))
    assert [(one.clip_id, one.stored) for one in taken] == [("a", False), ("b", True)]
    assert len(target.spaces()) == 1


def test_another_tree_of_the_same_name_is_another_space(tree, target):
    list(import_mertools(target, tree("clip-UTT", {"a": values("a")})))
    list(import_mertools(target, tree("clip-UTT", {"a": values("other")}, root="later")))
    with pytest.raises(AmbiguousSpace):
        target["clip"]


def test_other_clips_join_only_where_the_caller_says_so(tree, target):
    list(import_mertools(target, tree("clip-UTT", {"a": values("a")})))
    more = tree("clip-UTT", {"b": values("b")}, root="test")
    list(import_mertools(target, more, append=True))
    assert set(target["clip"]) == {"a", "b"}
    with pytest.raises(ConfigError, match="other values"):
        list(import_mertools(target, tree("clip-UTT", {"b": values("x")}, root="third"), append=True))
    with pytest.raises(ConfigError, match="there is none"):
        list(import_mertools(target, tree("dino-UTT", {"b": values("x")}), append=True))
    list(import_mertools(target, tree("clip-UTT", {"c": values("c")}, root="fourth")))
    assert len(target.spaces()) == 2


def test_a_forgotten_clip_stays_forgotten(tree, target):
    folder = tree("clip-UTT", {"a": values("a"), "b": values("b")})
    list(import_mertools(target, folder))
    forget(target, ["a"])
    assert statuses(import_mertools(target, folder))["a"] == "retracted"
    tree("clip-UTT", {"a": values("other values")})
    assert statuses(import_mertools(target, folder))["a"] == "retracted"
    assert set(target["clip"]) == {"b"}


def test_a_clip_that_was_repaired_is_stored(tree, target):
    folder = tree("clip-UTT", {"a": values("a")})
    (folder / "b.npy").write_bytes(b"\x93NUMPY nothing")
    assert statuses(import_mertools(target, folder))["b"] == "failed:refused"
    tree("clip-UTT", {"b": values("b")})
    assert statuses(import_mertools(target, folder)) == {"a": "ok", "b": "ok"}
    assert len(target.spaces()) == 1


def test_a_file_that_broke_later_does_not_take_its_record_away(tree, target):
    folder = tree("clip-UTT", {"a": values("a"), "b": values("b")})
    list(import_mertools(target, folder))
    (folder / "b.npy").write_bytes(b"")
    assert statuses(import_mertools(target, folder)) == {"a": "ok", "b": "failed:refused"}
    assert set(target["clip"]) == {"a", "b"}


@pytest.mark.parametrize(
    "folders",
    [("mae_340_UTT", "maeV_399_UTT", "HL-UTT"), ("mae_340_23_UTT", "maeVideo_399_23_UTT", "HL_23_UTT")],
)
def test_the_authors_folders_become_the_three_features(tree, target, folders):
    for folder in folders:
        root = tree(folder, {"samplenew_1": values(folder), "samplenew_2": values(folder, 2)[None]}).parent
    list(import_emotion_llama(target, root))
    for folder in folders:
        assert target[FEATURES[folder]].read("samplenew_2", "utterance").shape == (DIM,)
        np.testing.assert_array_equal(target[FEATURES[folder]]["samplenew_1"].values, values(folder))


def test_two_folders_of_one_feature_are_refused(tree, target):
    tree("mae_340_UTT", {"a": values("a")})
    root = tree("mae_340_23_UTT", {"a": values("a")}).parent
    with pytest.raises(ConfigError, match="both mae"):
        list(import_emotion_llama(target, root))


def test_arrays_take_their_path_as_clip_id(tree, target):
    root = tree("x", {"s1/a": values("a", rows=3), "s1/b": values("b", rows=2)})
    np.savez(root / "c.npz", values("c", rows=1))
    list(import_arrays(target, root, "openface", "frames"))
    assert set(target["openface"]) == {"s1/a", "s1/b", "c"}
    np.testing.assert_array_equal(target["openface"].read("s1/a", "frames"), values("a", rows=3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_of_an_npz_are_clips(tmp_path, target, save):
    save(tmp_path / "all.npz", a=values("a"), b=np.asfortranarray(values("b")))
    list(import_arrays(target, tmp_path / "all.npz", "clip", "utterance"))
    assert set(target["clip"]) == {"a", "b"}


def test_fortran_order_and_big_endian_are_read_as_they_mean(tree, target):
    array = values("a", rows=4)
    root = tree("x", {"a": np.asfortranarray(array), "b": array.astype(">f4")})
    list(import_arrays(target, root, "e", "frames"))
    np.testing.assert_array_equal(target["e"].read("a", "frames"), array)
    np.testing.assert_array_equal(target["e"].read("b", "frames"), array)


def npy(header, body=b"", version=(1, 0)):
    text = header.encode() + b"\n"
    width = "<H" if version == (1, 0) else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(text)) + text + body


def described(shape, descr="<f4"):
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"


class Canary:
    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


def hostile(canary):
    pickled = io.BytesIO()
    np.save(pickled, np.array([Canary(canary)], object), allow_pickle=True)
    code = described("(__import__('os').system('touch canary'),)")
    return {
        "pickle": pickled.getvalue(),
        "shape of 10^12": npy(described((10**12,)), bytes(20)),
        "shape beyond 64 bit": npy(described((2**62, 2**62)), bytes(20)),
        "negative shape": npy(described((-1, 5)), bytes(20)),
        "a byte short": npy(described((5,)), bytes(19)),
        "a byte more": npy(described((5,)), bytes(21)),
        "header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(20),
        "header of 60 kB": npy(" " * 60_000),
        "code in the header": npy(code, bytes(20)),
        "deep header": npy("(" * 5000),
        "fields": npy(described((5,), [("a", "<f4")]), bytes(20)),
        "integers": npy(described((5,), "<i4"), bytes(20)),
        "no numpy": b"plain text",
        "empty": b"",
    }


@pytest.mark.parametrize("kind", list(hostile("unused")))
@pytest.mark.parametrize("packed", [False, True], ids=["npy", "npz"])
def test_a_hostile_array_is_refused_and_the_others_are_stored(tree, tmp_path, target, kind, packed):
    root, canary = tree("x", {"good": values("good")}), tmp_path / "canary"
    data = hostile(canary)[kind]
    if packed:
        with zipfile.ZipFile(root / "bad.npz", "w") as archive:
            archive.writestr("arr_0.npy", data)
    else:
        (root / "bad.npy").write_bytes(data)
    found = statuses(import_arrays(target, root, "clip", "utterance"))
    assert found == {"bad": "failed:refused", "good": "ok"}
    assert not canary.exists()


def test_no_memory_is_taken_for_what_a_header_claims(tmp_path):
    for kind, data in hostile(tmp_path / "canary").items():
        (tmp_path / "bad.npy").write_bytes(data)
        tracemalloc.start()
        with pytest.raises(Refused):
            read_npy(tmp_path / "bad.npy")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20, kind
        tracemalloc.stop()


def bomb(target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", npy(described((1 << 23,)), bytes(1 << 25)))


def lying_size(target):
    np.savez_compressed(target, values("a"))
    data = bytearray(target.read_bytes())
    place = data.rindex(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 100 << 20)
    target.write_bytes(data)


def flipped(target):
    np.savez_compressed(target, values("a", rows=40))
    data = bytearray(target.read_bytes())
    data[200] ^= 255
    target.write_bytes(data)


def linked(target):
    target.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("make", "why"),
    [(bomb, "unpacks"), (lying_size, "unpacks"), (flipped, "CRC|unpacked|claims"), (linked, "is a link")],
)
def test_a_hostile_archive_is_refused(tree, target, make, why):
    root = tree("x", {"good": values("good")})
    make(root / "bad.npz")
    assert statuses(import_arrays(target, root, "clip", "utterance"))["bad"] == "failed:refused"
    assert re.search(why, target["clip"].info("bad").reason)


def test_links_in_a_tree_are_not_followed(tree, tmp_path, target):
    np.save(tmp_path / "outside.npy", values("outside"))
    root = tree("clip-UTT", {"good": values("good")})
    (root / "bad.npy").symlink_to(tmp_path / "outside.npy")
    assert statuses(import_mertools(target, root))["bad"] == "failed:refused"


def test_of_another_size_than_most_is_refused(tree, target):
    clips = {"a": values("a"), "b": values("b"), "c": np.ones(DIM + 1, np.float32)}
    assert statuses(import_mertools(target, tree("clip-UTT", clips)))["c"] == "failed:refused"
    assert "shape" in target["clip"].info("c").reason


def test_nothing_readable_is_an_error_and_leaves_no_space(tree, target):
    root = tree("x", {"a": np.arange(3)})
    with pytest.raises(ConfigError, match="none of 1 features"):
        list(import_arrays(target, root, "clip", "utterance"))
    assert target.spaces() == []


def test_the_command_counts_statuses_and_exits_3_where_some_failed(tree, path):
    root = tree("clip-UTT", {"a": values("a"), "z": np.zeros(DIM)})
    run = [command, ["import", "mertools", str(root), "--cache", str(path), "--json"]]
    done = CliRunner().invoke(*run)
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["stored"] == 2
    assert list(found["spaces"].values()) == [{"ok": 1, "missing:all_zero": 1}]
    (root / "bad.npy").write_bytes(b"")
    done = CliRunner().invoke(*run)
    assert (done.exit_code, json.loads(done.output)["stored"]) == (3, 1)
