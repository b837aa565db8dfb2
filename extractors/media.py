"""A clip to the views that encoders ask for: one decode for all of them.

A view that cannot be had is a ViewProblem with a status, never zeros. Knows no encoders and no storage.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TypeAlias

from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.errors import MediaError
from emo.extractors.aligned import aligned_faces
from emo.extractors.audio import Sound
from emo.extractors.container import Media, open_media
from emo.extractors.course import Changes, Levels
from emo.extractors.decode import Kind, Pass
from emo.extractors.faces import FaceFinder
from emo.extractors.moment import FrameOfMoment
from emo.extractors.people import watch_people
from emo.extractors.portraits import Portraits
from emo.extractors.visual import (
    AllFaces,
    ChosenFrame,
    SampledFaces,
    Scene,
    VisualRequest,
    follows_people,
)
from emo.views import (
    ChangeView,
    FacesView,
    FrameView,
    LevelView,
    MediaView,
    MomentView,
    PeopleView,
    PictureView,
    SoundView,
    View,
    ViewData,
    ViewProblem,
)

ReadViews: TypeAlias = "dict[View, ViewData | ViewProblem]"


def read_views(
    clip: Clip, views: Collection[MediaView], limits: MediaLimits = DEFAULTS, *, data: bytes | None = None
) -> ReadViews:
    """Every view of a clip's media, or why it could not be had, in this process.

    The file is opened and decoded once, and once before where everybody in it has to be followed. For files
    that are not trusted there is `emo.extractors.reading`. `data` are the media's bytes where there is no
    file. Statuses: failed:unreadable, failed:outside_root, failed:too_large, failed:too_long,
    failed:no_frames, failed:nonfinite, failed:bad_au_file, failed:bad_faces_file, missing:no_audio,
    missing:no_video, missing:no_face, missing:no_person. Damaged but readable media gives data with
    `degraded` set. Raises ConfigError for a sampling rule that is none.
    """
    try:
        finder = FaceFinder()
        people = watch_people(clip, limits, finder, data) if follows_people(clip, views) else None
        with open_media(clip, limits, data) as media:
            return _read(Scene(clip=clip, media=media, finder=finder, limits=limits, people=people), views)
    except MediaError as error:
        return dict.fromkeys(views, ViewProblem(status=error.status, reason=error.reason))


def _read(scene: Scene, views: Collection[MediaView]) -> ReadViews:
    found: ReadViews = {}
    sounds: dict[MediaView, Sound | Levels] = {}
    visuals: dict[MediaView, VisualRequest] = {}
    media = scene.media
    for view in views:
        try:
            if isinstance(view, SoundView):
                sounds[view] = _sound(view, media)
            elif isinstance(view, FacesView) and view.alignment == "openface":
                found[view] = aligned_faces(view, scene)
            else:
                visuals[view] = _visual(view, scene)
        except MediaError as error:
            found[view] = ViewProblem(status=error.status, reason=error.reason)
    reading = Pass(media, [request.sink for request in visuals.values()], list(sounds.values()))
    if visuals or sounds:
        reading.read()
    for view, request in (visuals | sounds).items():
        kind: Kind = "audio" if isinstance(view, SoundView) else "video"
        found[view] = _outcome(request, reading, kind, media)
    return found


def _sound(view: SoundView, media: Media) -> Sound | Levels:
    if media.audio is None:
        raise MediaError("missing:no_audio", "the file has no sound track")
    if isinstance(view, LevelView):
        return Levels(view, media)
    return Sound(view, media.cut, media.origin)


def _visual(view: PictureView, scene: Scene) -> VisualRequest:
    if scene.media.video is None:
        raise MediaError("missing:no_video", "the file has no moving pictures")
    if isinstance(view, ChangeView):
        return Changes(scene.media)
    if isinstance(view, PeopleView):
        return Portraits(view, scene)
    if isinstance(view, MomentView):
        return FrameOfMoment(view, scene)
    if isinstance(view, FrameView):
        return ChosenFrame(view, scene)
    return AllFaces(view, scene) if view.sampling == "all" else SampledFaces(view, scene)


def _outcome(
    request: Sound | Levels | VisualRequest, reading: Pass, kind: Kind, media: Media
) -> ViewData | ViewProblem:
    degraded = reading.degraded(kind)
    if kind == "video" and not reading.frames:
        return ViewProblem(status="failed:no_frames", reason="no frame of this cut could be decoded")
    try:
        view = request.view(degraded)
    except MediaError as error:
        return ViewProblem(status=error.status, reason=error.reason)
    region = {"region": media.region} if kind == "video" and media.region is not None else {}
    return replace(view, media_seconds=media.seconds, meta={**view.meta, **region})
