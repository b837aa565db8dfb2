"""What is wanted of a clip's pictures: sampled faces, all faces, one chosen frame.

A request says which pictures it takes while the file is read, and makes its view when reading is over.
Knows no files and no encoders.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.clip import Clip
from emo.config.extract import MediaLimits
from emo.errors import ConfigError, MediaError
from emo.extractors.container import Media, Span
from emo.extractors.decode import PictureSink
from emo.extractors.detector import Box
from emo.extractors.faces import FaceFinder, Look, Track, continued, crop, follow
from emo.extractors.onsets import expressive_moments
from emo.extractors.peak import PEAK_FACES, au_course, au_peak, change_peak
from emo.extractors.people import People, Person
from emo.extractors.pictures import EveryPicture, NearestPictures, Picture
from emo.extractors.sampling import expressive, moment_count, moments
from emo.views import FacesView, FrameView, PeopleView, View, ViewData

MANY_WITHOUT_FACE = 0.5  # share of looks without a face from which on the record is flagged


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What every request of one clip shares: the open file, the faces found so far, the limits.

    `people` is everybody in the clip, where a view needs them followed (see `needs_people`).
    """

    clip: Clip
    media: Media
    finder: FaceFinder
    limits: MediaLimits
    people: People | None = None

    def shown(self) -> Span:
        """The stretch in which pictures are shown: the cut, inside what the header claims."""
        assert self.media.video is not None
        start, end = self.media.stream_span(self.media.video)
        start = max(start, self.media.cut.start)
        end = min(self.media.cut.end, float("inf") if end is None else end)
        if not np.isfinite(end):
            raise MediaError("failed:unreadable", "neither the header nor the cut says how long the video is")
        return Span(start=start, end=max(start, end))

    def person(self, view: FacesView) -> Person | None:
        """Whose face the view is of, where that was settled beforehand; MediaError missing:no_person."""
        if self.people is None or not needs_people(self.clip, view):
            return None
        return self.people.chosen(view.policy, self.clip.person)

    def measured(self, span: Span) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Times and summed action units in `span` where the clip has an action-unit file."""
        if self.clip.au_path is None or self.media.video is None:
            return None
        shift, _ = self.media.stream_span(self.media.video)
        rate = float(self.media.video.average_rate or 25)
        cut = Span(start=span.start - shift, end=span.end - shift)
        times, strengths = au_course(self.clip.au_path, cut, rate)
        return times + shift, strengths


def needs_people(clip: Clip, view: FacesView) -> bool:
    """Whether everybody in the clip has to be followed before the view can be made."""
    if view.alignment == "openface":
        return False
    if clip.person is not None or view.policy in ("active", "listener"):
        return True
    return expressive(view.sampling) and clip.au_path is None


def follows_people(clip: Clip, views: Collection[View]) -> bool:
    """Whether one of the views needs everybody in the clip followed."""
    for view in views:
        if isinstance(view, PeopleView) or (isinstance(view, FacesView) and needs_people(clip, view)):
            return True
        peak = isinstance(view, FrameView) and view.choice == "peak" and clip.au_path is None
        if peak and needs_people(clip, PEAK_FACES):
            return True
    return False


class VisualRequest(Protocol):
    """One view in the making."""

    sink: PictureSink

    def view(self, degraded: str | None) -> ViewData:
        """The view, when every picture has been seen; MediaError where it cannot be had."""


class SampledFaces:
    """Faces at fixed moments of the clip, one a moment."""

    def __init__(self, view: FacesView, scene: Scene) -> None:
        self._view = view
        self._scene = scene
        self._person = scene.person(view)
        span = scene.shown()
        if expressive(view.sampling):
            self._moments = self._expressive(span)
        else:
            self._moments = moments(view.sampling, span.start, span.end)
        self._nearest = NearestPictures(self._moments)
        self.sink: PictureSink = self._nearest

    def _expressive(self, span: Span) -> list[float]:
        count = moment_count(self._view.sampling) or 0
        measured = self._scene.measured(span)
        if measured is None:
            assert self._person is not None
            measured = self._person.moments, self._person.course
        return expressive_moments(*measured, span.start, span.end, count)

    def view(self, degraded: str | None) -> ViewData:
        """(N, size, size, 3); flagged `short` where moments share a frame. MediaError missing:no_face."""
        pictures = self.pictures()
        track, faces = self.faces()
        flags = ["short"] if len({picture.time for picture in pictures}) < len(pictures) else []
        meta = _about(self._scene, self._person)
        if expressive(self._view.sampling):
            meta["course"] = "face_change" if self._scene.clip.au_path is None else "au"
        times = [picture.time for picture in pictures]
        return _faces_view(self._view, track, faces, times, flags, degraded, meta)

    def faces(self) -> tuple[Track, NDArray[np.uint8]]:
        """The followed face and its crops (N, size, size, 3). MediaError missing:no_face."""
        pictures = self.pictures()
        track = self._person.track if self._person else self._scene.finder.track(pictures, self._view)
        if track is None:
            looks = self._view.detect or len(pictures)
            raise MediaError("missing:no_face", f"no face in any of {looks} frames looked at")
        return track, cropped_faces(pictures, self._view, track)

    def pictures(self) -> list[Picture]:
        """The picture of each moment."""
        return [self._nearest.at(moment) for moment in self._moments]


class AllFaces:
    """The face of every frame that shows one, cropped while the file is read."""

    def __init__(self, view: FacesView, scene: Scene) -> None:
        if view.box != "tracked" or view.detect:
            raise ConfigError("The sampling `all` looks at every frame: it needs box='tracked' and detect=0.")
        self._view = view
        self._scene = scene
        self._looks: list[Look] = []
        self._times: list[float] = []
        self._crops: list[NDArray[np.uint8]] = []
        self._last: Box | None = None
        self._size = (0, 0)
        self._person = scene.person(view)
        self.sink: PictureSink = EveryPicture(self._take)

    def _take(self, picture: Picture) -> None:
        if len(self._crops) > self._scene.limits.most_faces:
            return
        if self._person is not None:
            self._take_of(self._person.track, picture)
            return
        boxes = self._scene.finder.look(picture)
        self._looks.append((picture.time, boxes))
        self._size = picture.size
        if boxes:
            self._last = continued(boxes, self._last, self._view.policy, picture.size)
            self._times.append(picture.time)
            self._crops.append(crop(picture.rgb(), self._last, self._view.margin, self._view.size))

    def _take_of(self, track: Track, picture: Picture) -> None:
        if track.times[0] <= picture.time <= track.times[-1]:
            self._times.append(picture.time)
            self._crops.append(
                crop(picture.rgb(), track.at(picture.time), self._view.margin, self._view.size)
            )

    def view(self, degraded: str | None) -> ViewData:
        """(F, size, size, 3), F the frames with a face. MediaError missing:no_face, failed:too_long."""
        if len(self._crops) > self._scene.limits.most_faces:
            raise MediaError("failed:too_long", f"more than {self._scene.limits.most_faces} faces")
        track = self._person.track if self._person else follow(self._looks, self._view.policy, self._size)
        if track is None or not self._crops:
            raise MediaError("missing:no_face", f"no face in {len(self._looks)} frames")
        about = _about(self._scene, self._person)
        return _faces_view(self._view, track, np.stack(self._crops), self._times, [], degraded, about)


class ChosenFrame:
    """One whole frame: the first, the middle one, or the one in which the face says most."""

    def __init__(self, view: FrameView, scene: Scene) -> None:
        self._scene = scene
        span = scene.shown()
        middle = (span.start + span.end) / 2
        self._faces: SampledFaces | None = None
        self._rule: str = view.choice
        self._moment = middle
        if view.choice == "first":
            self._moment = span.start
        elif view.choice == "peak" and scene.clip.au_path is not None:
            self._rule, self._moment = "peak:au", self._measured(span)
        elif view.choice == "peak":
            self._faces = SampledFaces(PEAK_FACES, scene)
        self._nearest = NearestPictures([self._moment])
        self.sink: PictureSink = (
            self._nearest if self._faces is None else _Both(self._nearest, self._faces.sink)
        )

    def _measured(self, span: Span) -> float:
        media, path = self._scene.media, self._scene.clip.au_path
        assert media.video is not None and path is not None
        shift, _ = media.stream_span(media.video)
        rate = float(media.video.average_rate or 25)
        return shift + au_peak(path, Span(start=span.start - shift, end=span.end - shift), rate)

    def view(self, degraded: str | None) -> ViewData:
        """(H, W, 3), with the rule that chose it; without a face the peak rule falls back to the middle."""
        rule, picture, flags = self._rule, self._nearest.at(self._moment), tuple[str, ...]()
        if self._faces is not None:
            rule, picture, flags = self._largest_change(self._faces, picture)
        meta: dict[str, Json] = {"rule": rule, "width": picture.size[0], "height": picture.size[1]}
        return ViewData(
            array=picture.rgb(), times=np.array([picture.time]), meta=meta, flags=flags, degraded=degraded
        )

    @staticmethod
    def _largest_change(sampled: SampledFaces, middle: Picture) -> tuple[str, Picture, tuple[str, ...]]:
        try:
            _, faces = sampled.faces()
        except MediaError:
            return "middle:no_face", middle, ("no_peak",)
        return "peak:face_change", sampled.pictures()[change_peak(faces)], ()


class _Both:
    def __init__(self, *sinks: PictureSink) -> None:
        self._sinks = sinks

    def feed(self, picture: Picture) -> None:
        for sink in self._sinks:
            sink.feed(picture)

    def finish(self) -> None:
        for sink in self._sinks:
            sink.finish()


def cropped_faces(pictures: Sequence[Picture], view: FacesView, track: Track) -> NDArray[np.uint8]:
    """The crops (N, size, size, 3) of a followed face, one a picture."""
    boxes = [track.median() if view.box == "median" else track.at(picture.time) for picture in pictures]
    return np.stack(
        [
            crop(picture.rgb(), box, view.margin, view.size)
            for picture, box in zip(pictures, boxes, strict=True)
        ]
    )


def _about(scene: Scene, person: Person | None) -> dict[str, Json]:
    """What the record says of everybody who was followed."""
    if scene.people is None or person is None:
        return {}
    return {"people": scene.people.meta(person), "role": scene.people.role(person)}


def _faces_view(
    view: FacesView,
    track: Track,
    faces: NDArray[np.uint8],
    times: Sequence[float],
    flags: list[str],
    degraded: str | None,
    about: Mapping[str, Json],
) -> ViewData:
    meta = {**track.meta(view), **about}
    if len(track.times) < (1 - MANY_WITHOUT_FACE) * track.looks:
        flags = [*flags, "few_faces"]
    if view.policy in ("active", "listener") and about.get("role") == "unknown":
        flags = [*flags, "no_speaker"]
    return ViewData(array=faces, times=np.array(times), meta=meta, flags=tuple(flags), degraded=degraded)
