"""What killed writers leave half-made goes at the next publish; what a live one is making stays."""

import os

from emo.cache import fsops, open_cache
from emo.cache.leftovers import clear_leftovers
from emo.cache.publish import publish


def half_made(space):
    return sorted(path.name for path in space._paths.cache.aside.rglob("*.new"))


def test_leftovers_of_the_dead_go_at_the_next_publish(space):
    aside = space._paths.aside
    (aside / "shard1-1.new").write_bytes(b"half a shard")
    (aside / "index.new").write_bytes(b"half a chunk")
    (aside / "compacted.new" / "frames").mkdir(parents=True)
    (aside / "compacted.new" / "frames" / "zarr.json").write_bytes(b"{}")
    publish(space._paths)
    assert half_made(space) == []


def test_what_a_live_writer_makes_stays(space):
    descriptor = fsops.create_locked(space._paths.scratch("shard1-1"))
    publish(space._paths)
    assert half_made(space) == ["shard1-1.new"]
    os.close(descriptor)
    assert clear_leftovers(space._paths.aside, remove=False) == [space._paths.scratch("shard1-1")]
    assert half_made(space) == ["shard1-1.new"]
    publish(space._paths)
    assert half_made(space) == []


def test_a_maker_whose_file_was_cleared_before_its_lock_makes_another(space, monkeypatch):
    path, real, cleared = space._paths.scratch("shard1-1"), fsops.flock, []

    def lock(descriptor, *, wait):
        if not cleared:
            cleared.append(path)
            path.unlink()
        return real(descriptor, wait=wait)

    monkeypatch.setattr(fsops, "flock", lock)
    descriptor = fsops.create_locked(path)
    assert cleared
    assert os.fstat(descriptor).st_nlink == 1
    os.close(descriptor)


def test_leftovers_beside_the_cache_go_when_a_space_is_made(path, space, make_spec):
    (path.with_name("features.zarr.journal") / "folder1-1.new" / "x").mkdir(parents=True)
    open_cache(path, "a").create(make_spec("mae"))
    assert half_made(space) == []
