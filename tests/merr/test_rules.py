"""Action units speak for labels as the published tables say."""

import numpy as np
import pytest

from emo.config.corpus import CorpusConfig
from emo.config.merr import MerrConfig
from emo.corpora.rendered.cast import cast_corpus
from emo.corpora.rendered.film import frame_times
from emo.corpora.rendered.openface import write_unit_csv
from emo.corpora.rendered.planning import plan_clip
from emo.extractors.action_units import read_units
from emo.extractors.container import Span
from emo.labels import MER2023
from emo.merr.rules import (
    RULES,
    SPEECH,
    evidence,
    label_by_rules,
    peak_row,
    summed_peak,
    supported,
    units_at,
    units_seen,
)

WHOLE = Span(start=0.0, end=float("inf"))
CONFIG = MerrConfig()


@pytest.fixture
def table(tmp_path):
    """A table of the given columns, one row a frame at 25 a second; AUxx_c follow from AUxx_r >= 1."""

    def make(**columns):
        rows = len(next(iter(columns.values())))
        present = {f"{name[:-2]}_c": [int(level >= 1) for level in levels]
                   for name, levels in columns.items() if name.endswith("_r")}  # fmt: skip
        everything = {**present, **columns}
        path = tmp_path / "au.csv"
        lines = [",".join(["frame", "timestamp", "success", *everything])]
        for at in range(rows):
            cells = [at + 1, at / 25, 1, *(column[at] for column in everything.values())]
            lines += [",".join(map(str, cells))]
        path.write_text("\n".join(lines) + "\n")
        return read_units(path, WHOLE, 25.0)

    return make


def test_the_published_example_of_a_peak(table):
    """Emotion-LLaMA, MERR/README.md: frame 1 has .36 + 1.02 = 1.38, frame 7 0 + 1.25."""
    lid = [0, 0.36, 0.1, 0, 0, 0, 0, 0.00]
    jaw = [0, 1.02, 0.2, 0, 0, 0, 0, 1.25]
    found = table(AU05_r=lid, AU26_r=jaw, AU12_r=[0, 0, 0, 0, 5, 0, 0, 0])
    assert summed_peak(found, (5, 26)) == 1


def test_of_an_expression_that_is_held_the_middle_is_the_peak(table):
    assert summed_peak(table(AU12_r=[0, 1, 3, 3, 3, 3, 3, 1, 0]), (12,)) == 4


def test_the_three_rules_look_at_their_own_units(table):
    found = table(
        AU06_r=[0, 2, 0, 0, 0, 0],
        AU12_r=[0, 2, 0, 0, 0, 0],
        AU14_r=[0, 1, 0, 0, 0, 0],
        AU17_r=[1, 1, 1, 1.5, 1, 1],
        AU25_r=[0, 0, 0, 0, 0, 5],
    )
    rules = ("emotion", "frequent", "overall")
    assert [peak_row(found, "happy", MerrConfig(peak=rule)) for rule in rules] == [1, 1, 5]
    assert peak_row(found, "neutral", CONFIG) == 5


@pytest.mark.parametrize(
    ("label", "rules"),
    [(label, name) for name, table in RULES.items() for label in table if label != "disgust"],
)
def test_a_face_with_all_units_of_a_label_bears_it_out(table, label, rules):
    config = MerrConfig(rules=rules)
    units = RULES[rules][label]
    shown = {f"AU{unit:02d}_r": [0.0, 2.0, 0.0] for unit in units if unit != 28}
    found = evidence(table(**shown, **({"AU28_c": [0, 1, 0]} if 28 in units else {})), config)
    assert supported(found, label, config)
    assert supported(found, "neutral", config) is (units == SPEECH[:1]), "talking alone is neutral too"
    assert found[label].share == 1.0 and found[label].intensity == 2.0


def test_half_of_the_units_at_too_low_an_intensity_are_not_enough(table):
    found = evidence(table(AU06_r=[0.7], AU12_r=[0.7], AU14_r=[0.7]), CONFIG)
    assert not supported(found, "happy", CONFIG)
    found = evidence(table(AU06_r=[3.0], AU12_r=[0.0], AU14_r=[0.0]), CONFIG)
    assert not supported(found, "happy", CONFIG), "one of three units"


def test_the_two_tables_differ_in_contempt_and_doubt(table):
    face = table(AU12_r=[0.0], AU10_r=[1.0], AU14_r=[2.0], AU15_r=[0.0], AU17_r=[0.0])
    for rules, borne_out in (("mer-factory", True), ("paper-copy", False)):
        config = MerrConfig(rules=rules, least_intensity=0.7)
        assert supported(evidence(face, config), "contempt", config) is borne_out
    assert "doubt" in evidence(face, MerrConfig(rules="paper-copy"))
    assert "doubt" not in evidence(face, CONFIG)


def test_a_face_that_shows_nothing_is_neutral_where_that_is_a_label(table):
    still = evidence(table(AU06_r=[0.1, 0.1], AU12_r=[0.0, 0.2]), CONFIG)
    assert label_by_rules(still, CONFIG) == "neutral"
    assert label_by_rules(still, MerrConfig(labels=("happy", "sad"))) is None


def test_a_face_that_shows_something_else_is_not_neutral(table):
    smile = evidence(table(AU12_r=[3.0], AU06_r=[0.0], AU14_r=[0.0]), CONFIG)
    assert label_by_rules(smile, CONFIG) is None
    assert not supported(smile, "neutral", CONFIG)
    talking = evidence(table(AU25_r=[3.0], AU26_r=[2.0], AU12_r=[0.0]), CONFIG)
    assert label_by_rules(talking, CONFIG) == "neutral"


def test_a_label_that_talking_alone_would_show_is_confirmed_and_never_proposed(table):
    config = MerrConfig(rules="paper-copy")
    talking = evidence(table(AU25_r=[3.0], AU12_r=[0.0]), config)
    assert supported(talking, "doubt", config)
    assert label_by_rules(talking, config) == "neutral"


def test_the_best_borne_out_label_wins(table):
    found = table(AU06_r=[1.2], AU12_r=[1.2], AU14_r=[0.0], AU01_r=[3], AU04_r=[3], AU15_r=[3])
    assert label_by_rules(evidence(found, CONFIG), CONFIG) == "sad"


def test_blinks_are_no_expression(table):
    found = table(AU12_r=[0, 1.5], AU45_r=[5, 0])
    assert units_seen(found) == [12]
    assert units_at(found, 0) == {}
    assert units_at(found, 1) == {12: 1.5}


def test_rows_that_openface_gave_up_do_not_count_but_frames_keep_their_number(tmp_path):
    path = tmp_path / "au.csv"
    path.write_text("frame,timestamp,success,AU12_r\n1,0.0,0,5\n2,0.04,1,1\n3,0.08,1,nan\n4,0.12,1,2\n")
    found = read_units(path, WHOLE, 25.0)
    np.testing.assert_array_equal(found.frames, [1, 3])
    assert found.length == 4
    np.testing.assert_array_equal(read_units(path, Span(start=0.1, end=9.0), 25.0).frames, [0])


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Tables of sixty planned clips that nobody rendered, with what was planted in each."""
    folder = tmp_path_factory.mktemp("planted")
    config = CorpusConfig(clips=60, seed=3)
    found = []
    for role in cast_corpus(config):
        plan = plan_clip(config, role)
        path = folder / f"{role.clip_id}.csv"
        write_unit_csv(path, plan.performance, frame_times(plan.performance))
        found.append((read_units(path, WHOLE, 25.0), plan))
    return found


def test_rules_recover_the_planted_faces_far_above_chance(planted):
    config = MerrConfig(labels=MER2023)
    said = [
        (label_by_rules(evidence(table, config), config), plan.performance.face) for table, plan in planted
    ]
    labelled = [pair for pair in said if pair[0]]
    assert len(labelled) > 0.6 * len(said)
    assert sum(one == other for one, other in labelled) > 0.6 * len(labelled), "chance is a sixth"


def test_the_peak_is_found_where_it_was_planted(planted):
    config = MerrConfig(labels=MER2023)
    errors = [
        abs(int(table.frames[peak_row(table, plan.performance.face, config)]) - plan.peak_frame)
        for table, plan in planted
        if plan.performance.face != "neutral" and "face" not in plan.performance.weak
    ]
    assert len(errors) > 30
    assert np.median(errors) <= 3
