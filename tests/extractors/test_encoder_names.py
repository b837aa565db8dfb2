"""Names of encoders: presets, variants, layers, and what stands in a store for those of the hub."""

import pytest

from emo.errors import ConfigError
from emo.extractors import ENCODERS, make_encoder
from emo.extractors.names import hub_name, stored_name
from emo.extractors.registry import encoder_class

# Another fingerprint makes another space of every cache: only a new RECIPE_VERSION may move these.
SHIPPED = {
    "hubert": "190b110799e77f55",
    "mae": "af6159d61c304472",
    "videomae": "58af12e1aa327557",
    "eva": "9813e789802895d9",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_encoders_keep_their_fingerprints(name):
    assert make_encoder(name).spec.short == SHIPPED[name]


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_spec_names_a_licence_and_its_source(name):
    if name == "opensmile":
        pytest.importorskip("opensmile")
    licence = make_encoder(name).spec.licence
    assert licence.name not in ("", "unknown")
    assert licence.source


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_preset_names_a_licence_and_where_it_is_written(name):
    made_by = encoder_class(name)
    for preset in getattr(made_by, "family", made_by).presets.values():
        assert preset.source.licence.name
        assert preset.source.licence.source, (name, preset)


@pytest.mark.parametrize(
    ("name", "preset", "label"),
    [
        ("hubert", "tiny", "tiny"),
        ("hubert@tiny", "base", "tiny"),
        ("hubert@merbench", "tiny", "tiny+merbench"),
        ("hubert@tiny+merbench", "base", "tiny+merbench"),
        ("hubert", "tiny+merbench", "tiny+merbench"),
        ("wavlm@layers1.3", "tiny", "tiny-random+layers1.3"),
        ("wavlm", "tiny-random+layers1.3", "tiny-random+layers1.3"),
        ("eva@pool1+int8", "tiny", "tiny+pool1+int8"),
    ],
)
def test_a_name_and_a_label_make_the_same_encoder(name, preset, label):
    made = make_encoder(name, preset)
    assert made.spec.preset == label
    again = make_encoder(made.spec.encoder, label)
    assert again.spec.fingerprint == made.spec.fingerprint


def test_layers_are_a_variant_that_says_itself():
    asked, named = make_encoder("hubert", layers=(1, 3)), make_encoder("hubert@layers1.3")
    assert asked.spec.preset == named.spec.preset == "tiny+layers1.3"
    assert asked.spec.fingerprint == named.spec.fingerprint != make_encoder("hubert").spec.fingerprint
    assert list(asked.spec.arrays) == ["frames@1", "utterance@1", "frames@3", "utterance@3"]


# Some of these are what the tiny preset does anyway, or need a finer grid than it has.
USUAL = {"class", "mean", "pool4", "pool16", "pool64"}


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - {"opensmile"}))
def test_every_variant_is_another_feature(name):
    variants = encoder_class(name).variants.keys() - USUAL
    prints = {make_encoder(f"{name}@{variant}").spec.fingerprint for variant in variants}
    assert len(prints | {make_encoder(name).spec.fingerprint}) == len(variants) + 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hubert@nonsense", "merbench"),
        ("eva@pool64", "2 x 2 patches cannot be pooled to 64"),
        ("hubert@layers7", "layers 0 to 3"),
        ("hubert@layers1.1", "not different"),
        ("mae@layers0", "layers 1 to 3"),
        ("hubert@merbench+layers1", "not for both"),
        ("eva@layers1", "no layers"),
        ("mae@every99", "every10"),
        ("clip@projected+layers1", "projected"),
        ("hf:nobody", "hf:owner/name"),
        ("hf:../../etc", "hf:owner/name"),
        ("ftp:a/b", "hf:owner/name"),
        ("timm:a/b", "hf:owner/name"),
    ],
)
def test_what_an_encoder_has_not_is_said(name, said):
    with pytest.raises(ConfigError, match=said):
        make_encoder(name)


@pytest.mark.parametrize("name", ["hf:facebook/dinov2-base", "timm:vit_small_patch14_dinov2.lvd142m"])
def test_a_name_of_the_hub_can_be_stored_and_read_back(name):
    from emo.cache.state import NAME

    assert NAME.fullmatch(stored_name(name))
    assert hub_name(stored_name(name)) == name
