"""HubStore: a dataset repository of the Hugging Face Hub, through huggingface_hub.

What is read is one commit, the one that the revision named when it was first asked for. What is put is sent
as it comes and counts when `settle` makes one commit of it all, on that commit or not at all. Knows no cache.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emo.cache.remote.hub_client import HubClient
from emo.cache.remote.store import ChangedMeanwhile, Passing, StoreError, Tag
from emo.cache.remote.urls import HubPlace
from emo.config.remote import RemoteSettings
from emo.errors import ConfigError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Staged:
    """A file of the next commit, and what the Hub will call its bytes."""

    operation: CommitOperationAdd
    sha256: str
    blob: str


class HubStore:
    """One folder of one dataset repository. Safe to use from threads, but for `settle` and `squash`."""

    has_history = True
    remains = (
        "Older commits of the repository still hold what was removed or replaced, for everybody who may read "
        "it. --squash-history makes one commit of the branch and deletes the large files that nothing names."
    )

    def __init__(self, place: HubPlace, settings: RemoteSettings) -> None:
        self.where = place.url
        self._place, self._settings = place, settings
        self._client = HubClient(self.where, settings)
        self._api = self._client.api
        self._commit = place.revision if COMMIT.fullmatch(place.revision) else ""
        self._files: dict[str, RepoFile] | None = None
        self._put: dict[str, Staged] = {}
        self._gone: set[str] = set()
        self._sent_to: dict[str, str] = {}

    @property
    def snapshot(self) -> str:
        """The URL of the commit that is read."""
        return replace(self._place, revision=self._read_commit()).url

    def get(self, name: str) -> bytes:
        """The whole object; NotThere where there is none."""
        return self._client.asked(name, lambda: self._resolved(name, {})[0])

    def get_tagged(self, name: str) -> tuple[bytes, Tag]:
        """The object and the commit it was read from."""
        return self.get(name), Tag(self._read_commit())

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Exactly these bytes, by one request to where the Hub keeps them; NotThere where there are none.

        The Hub is asked where that is for the first range of an object, and when its answer has expired.
        """
        span = {"Range": f"bytes={start}-{start + length - 1}"}

        def get() -> bytes:
            data, is_part = self._straight(name, span) or self._resolved(name, span)
            found = data if is_part else data[start : start + length]
            if len(found) != length:
                raise Passing(f"{self.where}/{name}: {len(found)} of {length} bytes arrived.")
            return found

        return self._client.asked(name, get)

    def holds(self, name: str, data: bytes) -> bool:
        """Whether the object is there with exactly these bytes, by the digest that the commit tells."""
        return _is(self._tree().get(self._key(name)), _sha256(data), _blob(data))

    def put(self, name: str, data: bytes) -> None:
        """Send the object for the next commit. What an unfinished push had sent is not sent again."""
        staged = self._stage(name, data)
        self._client.asked(
            name,
            lambda: self._api.preupload_lfs_files(
                self._place.repo, [staged.operation], repo_type="dataset", revision=self._branch()
            ),
            once=True,
        )

    def put_first(self, name: str, data: bytes) -> None:
        """Make the object with the next commit; ChangedMeanwhile where there is one."""
        if self._key(name) in self._tree():
            raise self._client.changed()
        self._stage(name, data)

    def put_over(self, name: str, data: bytes, tag: Tag) -> None:
        """Replace the object with the next commit; ChangedMeanwhile where that is on another commit."""
        if tag.value != self._read_commit():
            raise self._client.changed()
        self._stage(name, data)

    def delete(self, names: Collection[str]) -> None:
        """Remove objects with the next commit."""
        keys = {self._key(name) for name in names}
        for key in keys:
            self._put.pop(key, None)
        self._gone |= keys & set(self._tree())

    def listed(self) -> list[str]:
        """Names of objects below the place, in the commit that is read."""
        begin = f"{self._place.path}/" if self._place.path else ""
        return [key.removeprefix(begin) for key in self._tree() if key.startswith(begin)]

    def settle(self) -> None:
        """Make one commit of what was put and deleted; ChangedMeanwhile where the branch has moved."""
        from huggingface_hub import CommitOperationDelete

        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(staged.operation for staged in self._put.values()),
            *(CommitOperationDelete(key, is_folder=False) for key in sorted(self._gone)),
        ]
        if not operations:
            return
        refused: StoreError | None = None
        try:
            self._client.asked(
                "",
                lambda: self._api.create_commit(
                    self._place.repo,
                    operations,
                    commit_message="Features pushed by emo",
                    repo_type="dataset",
                    revision=self._branch(),
                    parent_commit=self._read_commit(),
                ),
            )
        except ChangedMeanwhile as error:
            refused = error  # unless it is an answer that was lost: the first try did it
        self._commit, self._files = "", None
        missing = self._unsettled()
        if missing:
            raise refused or StoreError(
                f"{self.where}: the Hub did not keep {missing[0]} as it was sent (does a .gitignore of the "
                "repository name it?). Correct that and push again."
            )
        self._put, self._gone = {}, set()

    def squash(self) -> None:
        """Make one commit of the branch's history, and delete large files that no branch, tag or pull
        request names any more. What they name in commits of their own stays."""
        settings: dict[str, Any] = {"repo_type": "dataset"}
        repo, api = self._place.repo, self._api
        self._client.asked(
            "",
            lambda: api.super_squash_history(
                repo, branch=self._branch(), commit_message="Features pushed by emo", **settings
            ),
        )
        self._commit, self._files, self._sent_to = "", None, {}

        def unnamed() -> list[Any]:
            refs = api.list_repo_refs(repo, include_pull_requests=True, **settings)
            every = [*refs.branches, *refs.converts, *refs.tags, *(refs.pull_requests or ())]
            named = {
                file.lfs.sha256
                for commit in {ref.target_commit for ref in every}
                for file in self._listed(commit).values()
                if file.lfs
            }
            return [file for file in api.list_lfs_files(repo, **settings) if file.file_oid not in named]

        left = self._client.asked("", unnamed)
        if left:
            self._client.asked(
                "", lambda: api.permanently_delete_lfs_files(repo, left, rewrite_history=False, **settings)
            )

    def _unsettled(self) -> list[str]:
        """Files that are not in the head's commit as they were put, or are and were deleted."""
        tree = self._tree()
        wrong = [key for key, one in self._put.items() if not _is(tree.get(key), one.sha256, one.blob)]
        return [*wrong, *sorted(self._gone & set(tree))]

    def _stage(self, name: str, data: bytes) -> Staged:
        from huggingface_hub import CommitOperationAdd

        key = self._key(name)
        staged = Staged(CommitOperationAdd(key, data), _sha256(data), _blob(data))
        self._put[key] = staged
        self._gone.discard(key)
        return staged

    def _branch(self) -> str:
        if COMMIT.fullmatch(self._place.revision):
            raise ConfigError(f"{self.where} names a commit, which nobody can change. Name a branch.")
        return self._place.revision or "main"

    def _read_commit(self) -> str:
        if not self._commit:
            revision = self._place.revision or None
            info = self._client.asked(
                "", lambda: self._api.repo_info(self._place.repo, repo_type="dataset", revision=revision)
            )
            self._commit = info.sha or ""
        return self._commit

    def _tree(self) -> dict[str, RepoFile]:
        if self._files is None:
            self._files = self._client.asked("", lambda: self._listed(self._read_commit()))
        return self._files

    def _listed(self, commit: str) -> dict[str, RepoFile]:
        from huggingface_hub.hf_api import RepoFile

        found = self._api.list_repo_tree(
            self._place.repo, recursive=True, revision=commit, repo_type="dataset"
        )
        return {file.path: file for file in found if isinstance(file, RepoFile)}

    def _straight(self, name: str, span: dict[str, str]) -> tuple[bytes, bool] | None:
        """The range from where the Hub sent an earlier one; None where that is not known or over."""
        address = self._sent_to.get(name)
        if address is None:
            return None
        answer = self._client.session().get(address, headers=span, follow_redirects=False)
        if answer.status_code != 206:
            self._sent_to.pop(name, None)
            return None
        return answer.content, True

    def _resolved(self, name: str, span: dict[str, str]) -> tuple[bytes, bool]:
        """What the Hub gives, or the place it sends to; whether it is the part that was asked for."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

        url = hf_hub_url(
            self._place.repo,
            self._key(name),
            repo_type="dataset",
            revision=self._read_commit(),
            endpoint=self._api.endpoint,
        )
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", **span}
        answer = self._client.session().get(url, headers=headers)
        hf_raise_for_status(answer)
        if span and answer.history:
            self._sent_to[name] = str(answer.url)
        return answer.content, answer.status_code == 206

    def _key(self, name: str) -> str:
        """A name that begins with `.` is of an object of the repository: `.README.md` is its card."""
        if name.startswith("."):
            return name[1:]
        return f"{self._place.path}/{name}" if self._place.path else name


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    """Git's name of these bytes: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _is(file: RepoFile | None, sha256: str, blob: str) -> bool:
    if file is None:
        return False
    return file.lfs.sha256 == sha256 if file.lfs else file.blob_id == blob
