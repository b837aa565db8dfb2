"""A face detector for photographs finds the drawn faces, in every skin group."""

import io
from collections import defaultdict

import av
import numpy as np
import pytest

from emo.corpora.rendered.face import FaceRenderer
from emo.corpora.rendered.film import write_mp4
from emo.corpora.rendered.identity import draw_identity
from emo.corpora.rendered.performance import plan_performance, pose_at, units_at
from emo.labels import MER2023

PEOPLE = 21


def overlap(box, true):
    wide = max(0.0, min(box[2], true[2]) - max(box[0], true[0]))
    high = max(0.0, min(box[3], true[3]) - max(box[1], true[1]))
    areas = (box[2] - box[0]) * (box[3] - box[1]) + (true[2] - true[0]) * (true[3] - true[1])
    return wide * high / (areas - wide * high)


@pytest.mark.slow
def test_mtcnn_finds_the_faces_of_every_skin_group(tmp_path):
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=40, device="cpu")
    found = defaultdict(list)
    for number in range(PEOPLE):
        person, rng = draw_identity("corpus", 11, number), np.random.default_rng(number)
        plan = plan_performance(rng, person, MER2023[number % 6])
        renderer = FaceRenderer(person, rng)
        drawn = [renderer.frame(units_at(plan, time), pose_at(plan, time)) for time in (0.4, plan.peak)]
        path = tmp_path / f"{number}.mp4"
        write_mp4(path, [frame for frame, _ in drawn], np.zeros(1280, np.float32), width=320, height=240)
        with av.open(io.BytesIO(path.read_bytes())) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        boxes, _ = detector.detect(frames)
        for seen, (_, true) in zip(boxes, drawn, strict=True):
            best = max((overlap(box, true) for box in seen), default=0.0) if seen is not None else 0.0
            found[person.skin_group].append(best > 0.4)
    assert set(found) == set(range(1, 8))
    assert {group: np.mean(hits) >= 0.95 for group, hits in found.items()} == dict.fromkeys(range(1, 8), True)
