"""A small study that tests stand in: sounds of four people, their manifest, features and a trained head."""

import pytest

HERTZ = {"happy": 440.0, "sad": 150.0}
SPLITS = {"anna": "train", "bo": "train", "cai": "val", "dee": "test"}
MOST_EPOCHS = "2"


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A folder: `clips/`, `clips.csv`, `features.zarr` and `runs/head`; clip1 is anna's."""
    from click.testing import CliRunner

    from emo.cli.main import emo
    from emo.testing import tone, write_clip

    folder = tmp_path_factory.mktemp("study")
    (folder / "clips").mkdir()
    rows = ["clip_id,path,label,speaker,split,text"]
    for place, (speaker, split) in enumerate(SPLITS.items()):
        for turn, (label, hertz) in enumerate(HERTZ.items()):
            name = f"clip{2 * place + turn + 1}"
            seconds = 0.4 + 0.05 * place
            write_clip(folder / f"clips/{name}.wav", None, tone(seconds, hertz=hertz + 9 * place))
            rows.append(f"{name},clips/{name}.wav,{label},{speaker},{split},no wonder")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")

    def typed(*words):
        done = CliRunner().invoke(emo, ["-q", *words])
        assert done.exit_code == 0, (done.output, done.exception)

    cache = ["--cache", str(folder / "features.zarr")]
    manifest = str(folder / "clips.csv")
    typed("extract", manifest, "--encoder", "hubert", "--preset", "tiny", "--jobs", "1", *cache)
    head = ["--out", str(folder / "runs/head"), "--epochs", MOST_EPOCHS]
    typed("train-head", "--manifest", manifest, "--features", "hubert", *head, *cache)
    return folder
