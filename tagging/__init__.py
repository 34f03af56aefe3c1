"""Tagging: labels become scores, scores become tags, and tags stand beside the photos.

The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.library.catalog.tags import TagCount as TagCount
    from pictor.tagging.classification import Classification as Classification
    from pictor.tagging.classification import LabelScore as LabelScore
    from pictor.tagging.classification import classify as classify
    from pictor.tagging.labels import Label as Label
    from pictor.tagging.labels import LabelSet as LabelSet
    from pictor.tagging.labels import given_labels as given_labels
    from pictor.tagging.labels import presets as presets
    from pictor.tagging.labels import read_labels as read_labels
    from pictor.tagging.run import TagOptions as TagOptions
    from pictor.tagging.run import TagSummary as TagSummary
    from pictor.tagging.sidecars.files import SidecarChange as SidecarChange
    from pictor.tagging.sidecars.files import SidecarOptions as SidecarOptions
    from pictor.tagging.sidecars.files import SidecarSummary as SidecarSummary
    from pictor.tagging.verbs import Tags as Tags
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
