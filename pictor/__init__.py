"""pictor: search any photo collection by meaning, in English or Chinese, on your own machine.

The names below are loaded when they are first used, so that the command can start without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pictor import answers as answers
    from pictor import duplicates as duplicates
    from pictor import models as models
    from pictor import query as query
    from pictor import service as service
    from pictor import tagging as tagging
    from pictor.api import Library as Library
    from pictor.api import open_library as open_library
    from pictor.evaluation.problems import Problem as Problem
    from pictor.evaluation.run import Evaluation as Evaluation
    from pictor.evaluation.run import evaluate as evaluate
    from pictor.evaluation.task import ClassResult as ClassResult
    from pictor.evaluation.task import Confusion as Confusion
    from pictor.evaluation.task import CutoffResult as CutoffResult
    from pictor.evaluation.task import NegationResult as NegationResult
    from pictor.evaluation.task import RetrievalResult as RetrievalResult
    from pictor.evaluation.task import ZeroShotResult as ZeroShotResult
    from pictor.indexer.embedding import Embedded as Embedded
    from pictor.indexer.embedding import embed as embed
    from pictor.indexer.originals import Originals as Originals
    from pictor.indexer.run import Summary as Summary
    from pictor.library.config import SETTINGS_FILE as SETTINGS_FILE
    from pictor.library.config import DuplicateSettings as DuplicateSettings
    from pictor.library.config import EncoderSettings as EncoderSettings
    from pictor.library.config import IndexSettings as IndexSettings
    from pictor.library.config import LibrarySettings as LibrarySettings
    from pictor.library.config import NetworkSettings as NetworkSettings
    from pictor.library.config import SearchSettings as SearchSettings
    from pictor.library.config import Settings as Settings
    from pictor.library.config import default_library_dir as default_library_dir
    from pictor.library.config import load_settings as load_settings
    from pictor.library.encoders.base import Attention as Attention
    from pictor.library.encoders.base import Dtype as Dtype
    from pictor.library.encoders.base import Runtime as Runtime
    from pictor.library.errors import ConfigError as ConfigError
    from pictor.library.errors import DecisionError as DecisionError
    from pictor.library.errors import EvaluationError as EvaluationError
    from pictor.library.errors import ImageError as ImageError
    from pictor.library.errors import LabelError as LabelError
    from pictor.library.errors import LibraryCorrupt as LibraryCorrupt
    from pictor.library.errors import LibraryError as LibraryError
    from pictor.library.errors import LibraryFull as LibraryFull
    from pictor.library.errors import LibraryLocked as LibraryLocked
    from pictor.library.errors import LibraryNotFound as LibraryNotFound
    from pictor.library.errors import LibraryTooNew as LibraryTooNew
    from pictor.library.errors import ModelError as ModelError
    from pictor.library.errors import ModelNotAvailable as ModelNotAvailable
    from pictor.library.errors import ModelUnsupported as ModelUnsupported
    from pictor.library.errors import PictorError as PictorError
    from pictor.library.errors import PlanError as PlanError
    from pictor.library.errors import QueryError as QueryError
    from pictor.library.errors import QuerySyntaxError as QuerySyntaxError
    from pictor.library.errors import RuleError as RuleError
    from pictor.library.errors import SidecarError as SidecarError
    from pictor.library.errors import SourceError as SourceError
    from pictor.library.item_facts import ItemDecision as ItemDecision
    from pictor.library.item_facts import ItemDuplicate as ItemDuplicate
    from pictor.library.item_facts import ItemFacts as ItemFacts
    from pictor.library.item_facts import ItemFile as ItemFile
    from pictor.library.item_facts import ItemTag as ItemTag
    from pictor.library.observer import Observer as Observer
    from pictor.library.observer import Progress as Progress
    from pictor.library.purge import PurgeSummary as PurgeSummary
    from pictor.library.records import Caption as Caption
    from pictor.library.records import Hit as Hit
    from pictor.library.records import JsonObject as JsonObject
    from pictor.library.records import Level as Level
    from pictor.library.records import Match as Match
    from pictor.library.records import Metadata as Metadata
    from pictor.library.records import Reason as Reason
    from pictor.library.status import FileProblem as FileProblem
    from pictor.library.status import RootStatus as RootStatus
    from pictor.library.status import SpaceStatus as SpaceStatus
    from pictor.library.status import Status as Status
    from pictor.library.verify import VerifyReport as VerifyReport
    from pictor.search.facets import FacetValue as FacetValue
    from pictor.tagging.classification import Classification as Classification
    from pictor.tagging.classification import LabelScore as LabelScore
    from pictor.tagging.classification import classify as classify
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
