"""What may be sent, what the card says, and that a forgotten clip goes from the store too."""

import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import emo as package
from emo.cache import open_cache
from emo.cache.merge import merge
from emo.cache.remote.erase import erase_there, known_there
from emo.cache.remote.layout import CARD
from emo.cache.remote.push import Push
from emo.cache.remote.store import StoreError, open_store
from emo.cli.cache import cache as command
from emo.cli.main import exit_code
from emo.corpora.declared import known_rights, load_rights
from emo.errors import ConfigError, MissingDependency, RightsError
from emo.records import Record
from emo.rights import UNDECLARED, DataRights, check_sharing, strictest
from emo.spec import Licence

KEY, SECRET = "AKIAEMOFAKEKEY000042", "emo-fake-secret-never-to-be-seen"  # those of conftest.py
WHO = "secret/anna_042"
ROW = np.float16(42.42).tobytes() * 6


@pytest.fixture
def with_anna(filled, fill):
    anna = Record(
        clip_id=WHO,
        arrays={"frames": np.full((5, 6), 42.42, np.float32), "utterance": np.full(6, 77.0, np.float32)},
        input_sha256=b"s" * 32,
    )
    fill(filled, [anna])
    return filled


def call(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


@pytest.mark.parametrize("named", [None, "mer2023"])
def test_the_command_refuses_data_that_may_not_be_shared_with_exit_9(named, path, filled, bucket, emo):
    if named:
        assert call("rights", "--declare", named, "--replace", "--cache", path).exit_code == 0
    code, _, said = emo("cache", "push", bucket.url, "--cache", path)
    assert code == 9
    assert "--i-have-rights" in said and (named or "undeclared") in said
    assert "licence unknown" in said or "EULA" in said
    assert bucket.objects() == {}


def test_with_consent_or_a_licence_that_allows_it_features_are_sent(path, filled, bucket):
    done = call("push", bucket.url, "--cache", path, "--i-have-rights", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0 and told["sent"] > 30 and told["schema_version"] == 1
    open_cache(path, "a").declare([load_rights("rendered")])
    dry = call("push", bucket.url, "--cache", path, "--dry-run")
    assert dry.exit_code == 0 and "Nothing was sent" in dry.output and "may be shared" in dry.output
    assert "rendered" not in bucket.objects()["lab/features.zarr.README.md"].decode()
    assert call("push", bucket.url, "--cache", path).exit_code == 0
    assert package.open(bucket.url).data == (known_rights()["rendered"],)


def test_a_space_of_pictures_is_never_sent(path, filled, bucket, make_spec, make_records, fill, quick):
    space = open_cache(path, "a").create(make_spec("faces-of", recipe={"kind": "crops"}), shard_bytes=3000)
    fill(space, make_records(3))
    with pytest.raises(RightsError, match="no pictures"):
        Push(open_cache(path), open_store(bucket.url)).__enter__()
    assert bucket.objects() == {}


def test_the_card_tells_licences_counts_and_reading_and_no_ids(
    path, filled, bucket, push, make_spec, make_records, fill, quick
):
    other = make_spec("mae", licence=Licence(name="CC-BY-NC-4.0", source="https://example.org/mae"))
    fill(open_cache(path, "a").create(other, shard_bytes=3000), make_records(8))
    mine = DataRights(name="mine", licence="CC-BY-4.0", may_share_features=True, citation="Us, 2026")
    open_cache(path, "a").declare([mine])
    push(path, bucket.url)
    text = bucket.objects()["lab/features.zarr.README.md"].decode()
    _, front, body = text.split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["source_datasets"] == ["mine"]
    assert head["license"] == "unknown"  # hubert's weights say nothing: that is the strictest
    assert head["emo"]["encoders"] == ["hubert", "mae"]
    for said in (other.fingerprint, "CC-BY-NC-4.0", "https://example.org/mae", "CC-BY-4.0", "Us, 2026",
                 "21 ok", "3 missing:no_face", f'emo.open("{bucket.url}")', "personal data"):  # fmt: skip
        assert said in body
    assert "clip/" not in text and KEY not in text and SECRET not in text
    assert call("card", "--cache", path).output.split("## Read it")[0] == text.split("## Read it")[0]


def test_the_strictest_licence_wins():
    assert strictest(["MIT", "CC-BY-4.0"]) == "MIT" or strictest(["MIT", "CC-BY-4.0"]) == "CC-BY-4.0"
    assert strictest(["MIT", "CC-BY-NC-4.0", "CC0"]) == "CC-BY-NC-4.0"
    assert strictest(["CC-BY-NC-4.0", "unknown"]) == "unknown"
    assert strictest([]) == "unknown"
    with pytest.raises(RightsError, match="undeclared"):
        check_sharing((), consent=False)


@pytest.mark.soak
def test_rights_stay_with_the_features_through_merge_and_pull(
    path, filled, tmp_path, make_spec, make_records, fill, bucket, push, quick
):
    open_cache(path, "a").declare([known_rights()["mer2023"]])
    other = open_cache(tmp_path / "other.zarr", "a")
    fill(other.create(make_spec("mae"), shard_bytes=3000), make_records(4))
    target = open_cache(tmp_path / "both.zarr", "a")
    merge([open_cache(path), other], target)
    assert target.data == (known_rights()["mer2023"], UNDECLARED)
    push(path, bucket.url)
    assert call("pull", bucket.url, "--cache", tmp_path / "copy.zarr").exit_code == 0
    assert open_cache(tmp_path / "copy.zarr").data == (known_rights()["mer2023"],)


def test_rights_that_are_no_rights_are_refused_with_every_mistake(tmp_path):
    file = tmp_path / "rights.json"
    file.write_text(json.dumps({"licence": 3, "share": True}))
    with pytest.raises(ConfigError) as refused:
        load_rights(file)
    assert len(refused.value.mistakes) == 3
    with pytest.raises(ConfigError, match="none of the data sets"):
        load_rights("mer1999")


def left(bucket):
    """Objects that hold the clip, also once index chunks are unpacked."""
    from emo.cache.columns import Column, decode_chunk

    found = []
    for key, data in bucket.objects().items():
        ids = decode_chunk(Column("x"), data, 20) if "/clip_id/c/" in key else b""
        if "anna" in key or ROW in data or WHO.encode() in data + ids:
            found.append(key)
    return found


@pytest.mark.soak
def test_a_push_sends_no_id_that_was_forgotten_and_takes_it_from_the_store(
    path, with_anna, bucket, push, quick, make_records, assert_holds
):
    push(path, bucket.url)
    assert left(bucket)
    assert call("forget", "--clip", WHO, "--cache", path, "--yes").exit_code == 0
    refused = call("push", bucket.url, "--cache", path, "--i-have-rights")
    assert "gc --compact" in str(refused.exception)
    assert call("gc", "--compact", "--yes", "--cache", path).exit_code == 0
    push(path, bucket.url)
    assert left(bucket) == []
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))


def test_forgotten_at_the_store_alone_also_when_it_is_cut_short(
    path, with_anna, bucket, push, quick, make_records, assert_holds
):
    push(path, bucket.url)
    store = open_store(bucket.url)
    assert known_there(store, [WHO]).known == {with_anna.name: [WHO]}
    running = erase_there(store, [WHO])
    assert any(step.name == CARD for step in running)  # the root has flipped, the old objects are there
    running.close()
    assert left(bucket)
    space = package.open(bucket.url)["hubert"]
    assert set(space) == {item.clip_id for item in make_records(24) if item.arrays}
    done = call("forget", "--clip", WHO, "--remote", bucket.url, "--yes")
    assert done.exit_code == 0, done.output
    assert left(bucket) == []
    assert known_there(store, [WHO]).known == {}
    assert_holds(package.open(bucket.url)["hubert"], make_records(24))
    assert WHO in open_cache(path)["hubert"].index.ids  # the local cache is its own


def test_without_the_extra_the_line_that_installs_it_is_told(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingDependency, match=r"pip install 'emo-toolkit\[remote\]'") as missing:
        open_cache("s3://bucket/features.zarr")
    assert exit_code(missing.value) == 8


def test_credentials_are_in_no_output(path, filled, bucket, emo, proxy, quick, caplog):
    denied = (
        f"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>".encode()
    )
    proxy.fault = lambda method, path, number: "403"
    proxy.denied = denied
    code, out, said = emo("-vv", "cache", "push", bucket.url, "--cache", path, "--i-have-rights")
    assert code == 2 and "refuses these credentials" in said
    assert KEY not in out + said and SECRET not in out + said
    with caplog.at_level("DEBUG"), pytest.raises(StoreError) as told:
        open_cache(bucket.url)
    assert KEY not in caplog.text + str(told.value) + repr(told.value.__context__)
