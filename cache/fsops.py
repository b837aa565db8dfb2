"""Every file operation of the cache, one call each: the seam where faults can be injected.

Knows nothing of arrays, records or the order in which things must reach the disk. Whatever the rooms above
do to a file they do through here, so failing or killing the process at the N-th call covers them all.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

_LINKS_MISSING = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)
_NOT_AT_ONCE = {errno.EAGAIN, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_MODE = 0o644
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


def open_read(path: Path) -> int:
    """Descriptor for reading an existing file."""
    return os.open(path, os.O_RDONLY)


def open_update(path: Path) -> int:
    """Descriptor for reading and writing an existing file in place."""
    return os.open(path, os.O_RDWR)


def create(path: Path, *, append: bool = False) -> int:
    """Descriptor of a new file; FileExistsError where the name is taken."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | (os.O_APPEND if append else 0)
    return os.open(path, flags, _MODE)


def create_locked(path: Path, *, append: bool = False) -> int:
    """`create`, with the exclusive lock held: a file that others can tell from a killed process's."""
    while True:
        descriptor = create(path, append=append)
        flock(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        close(descriptor)  # whoever removes leftovers came between the two


def open_lock(path: Path) -> int:
    """Descriptor of a lock file, made where it is missing. Lock files are never removed."""
    return os.open(path, os.O_CREAT | os.O_RDWR, _MODE)


def close(descriptor: int) -> None:
    """Close; locks held through this descriptor are released."""
    os.close(descriptor)


def flock(descriptor: int, *, wait: bool, shared: bool = False) -> bool:
    """Take the lock of an open file, exclusive unless `shared`; False where another holds it and `wait` is
    off."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def pwrite(descriptor: int, data: Buffer, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls that takes."""
    view = memoryview(data).cast("B")
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def write(descriptor: int, data: Buffer) -> None:
    """Write all of `data` at the descriptor's position (the end, where it was opened to append)."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]


def ftruncate(descriptor: int, size: int) -> None:
    """Make the file `size` bytes long; what is added reads as zeros and takes no space."""
    os.ftruncate(descriptor, size)


def pread(descriptor: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer at the end of the file."""
    return os.pread(descriptor, size, offset)


def pread_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill a buffer of bytes from `offset`; the number of bytes read, short only at the end of the file."""
    done = 0
    while done < len(buffer):
        count = os.preadv(descriptor, [buffer[done:] if done else buffer], offset + done)
        if count == 0:
            break
        done += count
    return done


def pread_cached(descriptor: int, buffer: memoryview, offset: int) -> int:
    """As `pread_into`, but of the bytes that are in memory already; 0 where the platform cannot tell."""
    if not _NO_WAIT:
        return 0
    try:
        return os.preadv(descriptor, [buffer], offset, _NO_WAIT)
    except OSError as error:
        if error.errno in _NOT_AT_ONCE:
            return 0
        raise


def map_read(descriptor: int) -> mmap.mmap:
    """The file's bytes in memory, read by the kernel when they are touched."""
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def will_need(descriptor: int, offset: int, length: int) -> None:
    """Tell the kernel that these bytes are read soon; nothing where the platform has no such call."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_WILLNEED)


def read_file(path: Path) -> bytes:
    """The whole file."""
    return path.read_bytes()


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Inode, time of the last change and length: what differs once the file was replaced or grew."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def size_of(descriptor: int) -> int:
    """Length of an open file in bytes."""
    return os.fstat(descriptor).st_size


def free_bytes(path: Path) -> int:
    """Bytes that may still be written to the file system of an existing path."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def touch(descriptor: int) -> None:
    """Set the time of an open file's last change to now."""
    os.utime(descriptor)


def touched_at(descriptor: int) -> int:
    """Time of an open file's last change, in nanoseconds of the file system's clock."""
    return os.fstat(descriptor).st_mtime_ns


def is_named(descriptor: int, path: Path) -> bool:
    """Whether `path` still names this open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def fdatasync(descriptor: int) -> None:
    """Wait until the file's data and length are on the disk."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in the folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(source: Path, target: Path) -> bool:
    """Give the file a second name, atomically. FileExistsError where it is taken; False where the file
    system has no hard links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _LINKS_MISSING:
            return False
        raise
    return True


def rename(source: Path, target: Path) -> None:
    """Rename atomically, replacing a file or an empty folder at `target`."""
    source.rename(target)


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(one))


def unlink(path: Path) -> None:
    """Remove a name; nothing where it is gone already."""
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it; nothing where it is gone already."""
    for name in names_in(path):
        child = path / name
        if child.is_dir() and not child.is_symlink():
            remove_tree(child)
        else:
            unlink(child)
    remove_folder(path)


def remove_folder(path: Path) -> None:
    """Remove an empty folder; nothing where it is gone already."""
    with suppress(FileNotFoundError):
        path.rmdir()


def make_folder(path: Path) -> None:
    """Make the folder and those above it; nothing where they exist."""
    path.mkdir(parents=True, exist_ok=True)


def names_in(path: Path) -> list[str]:
    """Sorted names in the folder, none where there is no folder."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []


def replace_file(path: Path, data: Buffer, scratch: Path, *, durable: bool) -> None:
    """Give the file at `path` new contents in one step: readers see the old bytes or the new ones.

    `scratch` is a name on the same file system, outside the Zarr hierarchy. The caller syncs the folder.
    """
    unlink(scratch)
    descriptor = create(scratch)
    try:
        write(descriptor, data)
        if durable:
            fdatasync(descriptor)
    finally:
        close(descriptor)
    rename(scratch, path)
