"""HDF5 out and in again; a hostile file reads nothing outside itself."""

import h5py
import numpy as np
import pytest

from emo.cache import open_cache
from emo.cache.exchange.hdf5 import export_h5, import_h5
from emo.errors import ConfigError, EmoError
from emo.records import Record
from emo.spec import ArrayLayout

SECRET = b"kept outside of the file" * 4


@pytest.fixture
def exported(tmp_path, path, space, make_records, fill):
    fill(space, make_records(9))
    list(export_h5(open_cache(path), tmp_path / "out.h5"))
    return tmp_path / "out.h5"


def taken_in(file, tmp_path):
    target = tmp_path / "in.zarr"
    list(import_h5(open_cache(target, "a"), file))
    return open_cache(target)


def test_export_and_import_keep_every_record(tmp_path, exported, make_records, assert_holds):
    assert_holds(taken_in(exported, tmp_path)["hubert"], make_records(9))


def test_importing_again_stores_nothing(tmp_path, exported):
    taken_in(exported, tmp_path)
    assert list(import_h5(open_cache(tmp_path / "in.zarr", "a"), exported)) == []


def test_h5py_alone_reads_a_record(exported, space, make_records):
    item = make_records(9)[4]
    with h5py.File(exported, "r") as file:
        values = file[space.name]["frames"]["clip%2F004%20%C3%A9"][:]
        np.testing.assert_array_equal(values, item.arrays["frames"].astype(np.float16))


def test_bfloat16_goes_out_as_uint16_and_comes_back_the_same(tmp_path, path, make_spec, fill):
    spec = make_spec(arrays={"frames": ArrayLayout(kind="frames", dim=3, dtype="bfloat16")})
    space = open_cache(path, "a").create(spec)
    values = np.array([[0.1, -3e38, 7.0]], np.float32)
    fill(space, [Record(clip_id="..", arrays={"frames": values})])
    list(export_h5(open_cache(path), tmp_path / "out.h5"))
    with h5py.File(tmp_path / "out.h5") as file:
        folder = file[f"{space.name}/frames"]
        assert folder.attrs["emo:dtype"] == "bfloat16"
        assert list(folder) == ["%2E."]
        assert folder["%2E."].dtype == np.uint16
    stored = taken_in(tmp_path / "out.h5", tmp_path)["hubert"].read("..", "frames")
    np.testing.assert_array_equal(stored, space.read("..", "frames"))


def test_an_existing_file_is_not_replaced(tmp_path, path, space):
    (tmp_path / "out.h5").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        list(export_h5(open_cache(path), tmp_path / "out.h5"))
    assert (tmp_path / "out.h5").read_bytes() == b"precious"
    assert not (tmp_path / "out.h5.part").exists()


def one(space):
    return f"{space.name}/frames/clip%2F000%20%C3%A9"


def external_link(file, space, outside):
    del file[one(space)]
    file[one(space)] = h5py.ExternalLink(outside, "secret")


def external_group(file, space, outside):
    del file[space.name]
    file[space.name] = h5py.ExternalLink(outside, "/")


def external_encoder(file, space, outside):
    file["wavlm"] = h5py.ExternalLink(outside, "/")


def soft_link(file, space, outside):
    file["elsewhere"] = h5py.SoftLink(f"/{space.name}")


def soft_link_to_a_dataset(file, space, outside):
    other = one(space).replace("000", "001")
    del file[one(space)]
    file[one(space)] = h5py.SoftLink(f"/{other}")


def external_storage(file, space, outside):
    shape = file[one(space)].shape
    del file[one(space)]
    file.create_dataset(one(space), shape, "<f2", external=[(outside, 0, h5py.h5f.UNLIMITED)])


def virtual_data(file, space, outside):
    shape = file[one(space)].shape
    del file[one(space)]
    layout = h5py.VirtualLayout(shape, "<f2")
    layout[:] = h5py.VirtualSource(outside, "secret", shape)
    file.create_virtual_dataset(one(space), layout)


def compressed(file, space, outside):
    values = file[one(space)][:]
    del file[one(space)]
    file.create_dataset(one(space), data=values, compression="gzip")


def lying_shape(file, space, outside):
    del file[one(space)]
    file.create_dataset(one(space), (10**9, 6), "<f2")  # never allocated


def another_dtype(file, space, outside):
    values = file[one(space)][:]
    del file[one(space)]
    file.create_dataset(one(space), data=values.astype("f8"))


def missing_dataset(file, space, outside):
    del file[one(space)]


def another_spec(file, space, outside):
    file.move(space.name, f"hubert/{'0' * 16}")


def broken_records(file, space, outside):
    del file[f"{space.name}/records"]
    file.create_dataset(f"{space.name}/records", data=np.frombuffer(b'{"clip_id": 3}\n', np.uint8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_link, "ExternalLink, which is refused"),
        (external_group, "ExternalLink, which is refused"),
        (external_encoder, "ExternalLink, which is refused"),
        (soft_link, "SoftLink, which is refused"),
        (soft_link_to_a_dataset, "SoftLink, which is refused"),
        (external_storage, "in another file"),
        (virtual_data, "in another file"),
        (compressed, "chunked or filtered"),
        (lying_shape, "claims 12000000000 bytes and has 0"),
        (another_dtype, "is float64, not float16"),
        (missing_dataset, "is missing"),
        (another_spec, "holds the spec of"),
        (broken_records, "no exported space"),
    ],
)
def test_a_file_that_export_would_not_write_is_refused(tmp_path, exported, space, change, message):
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.frombuffer(SECRET, np.uint8)
    with h5py.File(exported, "a") as file:
        change(file, space, str(outside))
    with pytest.raises(ConfigError, match=message):
        taken_in(exported, tmp_path)
    stored = [file for file in (tmp_path / "in.zarr").rglob("*") if file.is_file()]
    assert not any(SECRET[:24] in file.read_bytes() for file in stored)


def test_what_is_no_hdf5_is_refused(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(EmoError, match="no HDF5 file"):
        taken_in(tmp_path / "x.h5", tmp_path)
