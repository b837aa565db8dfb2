"""A sweep trains every cell once, chooses on validation clips, and goes on where it was."""

import json
from dataclasses import replace

import pytest

from emo.config.heads import HeadConfig
from emo.errors import ConfigError
from emo.heads.grid import grid
from emo.heads.sweep import CELL, Sweep, run_sweep, write_sweep
from emo.heads.trained import TrainedHead
from emo.records import Record


def test_a_grid_is_every_combination_with_fields_and_options_of_the_head(kit):
    cells = grid(["head=attention,lmf", "lr=1e-4,1e-3", "width=8"], kit.config)
    assert [cell.name for cell in cells] == [
        "head=attention,lr=1e-4,width=8",
        "head=attention,lr=1e-3,width=8",
        "head=lmf,lr=1e-4,width=8",
        "head=lmf,lr=1e-3,width=8",
    ]
    assert cells[3].config.head == "lmf" and cells[3].config.learning_rate == 1e-3
    assert cells[3].config.options == {"width": 8.0, "dropout": 0.1}
    assert grid([], kit.config)[0].config == kit.config
    typed = grid(["class_balanced=false", "batch_size=8", "select=weighted_f1"], kit.config)[0].config
    assert (typed.class_balanced, typed.batch_size, typed.select) == (False, 8, "weighted_f1")


@pytest.mark.parametrize(
    ("sweeps", "said"),
    [
        (["lr"], r"--sweep lr: not SETTING=VALUE"),
        (["lr=,"], r"--sweep lr=,: not SETTING=VALUE"),
        (["lr=1e-3", "lr=1e-4"], "--sweep lr: is there twice"),
        (["lr=1e-3,1e-3"], "lr=1e-3 is there twice"),
        (["learning_rat=1"], "did you mean `learning_rate`"),
        (["head=tfn", "rank=3"], "rank: neither a setting nor an option of the head 'tfn'"),
        (["epochs=many"], "--sweep epochs: Input should be a valid integer"),
        (["batch_size=0,-1"], "batch_size: 0 is out of range.\n--sweep batch_size: -1"),
        (["select=combined"], "combined needs a valence"),
        (["width=wide"], "--sweep width: 'wide' is no number"),
        (["head=attntion"], r"no head 'attntion'\. Known: mlp"),
        (["arrays=x"], "arrays: neither a setting nor an option"),
        ([f"seed={','.join(map(str, range(2000)))}"], "2,000 cells, more than 1,000"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused_before_anything_is_trained(kit, sweeps, said):
    with pytest.raises(ConfigError, match=said):
        grid(sweeps, kit.config)


BASE = HeadConfig(epochs=4, options={"width": 8})


@pytest.fixture
def clips(kit):
    return [
        replace(clip, split=("train", "train", "val", "test")[index % 4])
        for index, clip in enumerate(kit.clips(120))
    ]


@pytest.fixture
def swept(kit, clips, tmp_path):
    """A sweep of two heads, what it takes to run it again, and how often an epoch was trained."""
    spaces, trained = kit.spaces(clips), []

    def again(changed=clips, sweeps=()):
        trained.clear()
        cells = grid(list(sweeps), BASE)
        return list(
            run_sweep(
                cells,
                changed,
                spaces,
                kit.labels,
                tmp_path,
                on_epoch=lambda number, cell, _: trained.append(cell.name),
            )
        )

    return again, trained, spaces, tmp_path


def test_the_choice_is_the_best_on_validation_and_its_files_lie_in_the_folder(swept):
    again, _, _, folder = swept
    sweep = Sweep(tuple(again(sweeps=["lr=1e-6,2e-2"])))
    best = max(sweep.results, key=lambda one: one.found["validation"]["weighted_f1"])
    assert sweep.chosen.found["validation"]["weighted_f1"] == best.found["validation"]["weighted_f1"]
    assert "lr=2e-2" in sweep.chosen.cell.name
    write_sweep(sweep, folder)
    chosen = TrainedHead.load(folder)
    assert chosen.config == sweep.chosen.cell.config
    table = (folder / "sweep.md").read_text()
    assert table.splitlines()[2].split("|")[1].strip() == sweep.chosen.cell.name
    interval = sweep.chosen.found["validation"]
    assert "-" not in sweep.chosen.row[4] and interval["clusters"] > 1
    alone = {**sweep.chosen.found, "validation": {**interval, "clusters": 1}}
    assert replace(sweep.chosen, found=alone).row[4] == "-"
    written = json.loads((folder / "sweep.json").read_text())
    assert written["chosen"] == sweep.chosen.cell.name and len(written["cells"]) == 2


def test_labels_of_test_clips_do_not_move_the_choice(swept, clips):
    again, _, _, _ = swept
    lies = [replace(clip, label="sad") if clip.split == "test" else clip for clip in clips]
    first, second = (Sweep(tuple(again(some, ["lr=1e-6,2e-2"]))) for some in (clips, lies))
    assert first.chosen.cell == second.chosen.cell
    assert [one.rank for one in first.results] == [one.rank for one in second.results]


def test_finished_cells_are_not_trained_again(swept):
    again, trained, _, folder = swept
    first = again(sweeps=["head=concat,mlp"])
    assert not any(one.again for one in first) and len(set(trained)) == 2
    assert all(one.again for one in again(sweeps=["head=concat,mlp"])) and not trained
    (folder / "sweep" / first[1].cell.name / CELL).unlink()  # as a kill before the end leaves it
    second = again(sweeps=["head=concat,mlp"])
    assert set(trained) == {first[1].cell.name}
    assert [one.found for one in second] == [one.found for one in first]
    again(sweeps=["head=concat,mlp,lmf"])
    assert set(trained) == {"head=lmf"}


def test_options_out_of_range_show_before_any_cell_is_trained(swept):
    again, trained, _, _ = swept
    with pytest.raises(ConfigError, match="width 6 is no multiple of 4"):
        again(sweeps=["head=concat,mult", "width=8,6"])
    with pytest.raises(ConfigError, match="refuses its options"):
        again(sweeps=["dropout=0.1,7"])
    assert not trained


def test_a_cell_of_other_labels_features_or_settings_is_trained_again(swept, clips):
    again, trained, spaces, folder = swept
    sweeps = ("head=concat",)
    again(sweeps=sweeps)
    again([replace(clips[0], label="sad" if clips[0].label != "sad" else "angry"), *clips[1:]], sweeps)
    assert trained
    again(sweeps=sweeps)
    assert trained
    spaces["face"].records[clips[1].clip_id] = Record(clip_id=clips[1].clip_id, status="missing:no_face")
    again(sweeps=sweeps)
    assert trained
    again(sweeps=sweeps)
    assert not trained
    (folder / "sweep/head=concat" / CELL).write_text("{")
    again(sweeps=sweeps)
    assert trained
