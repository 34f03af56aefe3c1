"""A model from ModelScope, by its own client: the extra `pictor-search[modelscope]`."""

from __future__ import annotations

import shutil
from pathlib import Path

from pictor.library import config
from pictor.library.encoders.checkpoint import INDEX, SMALL_FILES, WEIGHTS
from pictor.library.encoders.models.install import install_folder
from pictor.library.encoders.models.places import Stored
from pictor.library.errors import ModelNotAvailable
from pictor.library.observer import SILENT, Observer

#: What the client is asked to fetch; of this, `install_folder` copies what is needed.
_PATTERNS = [*SMALL_FILES, WEIGHTS, INDEX, "model-*-of-*.safetensors"]


def pull_from_modelscope(
    repo: str, revision: str = "", *, licence: str = "", observer: Observer = SILENT
) -> Stored:
    """Fetch a model by ModelScope's client, then copy it into the models folder.

    The client resumes its own interrupted downloads: partial files are kept until all are complete.

    Raises:
        ModelNotAvailable: the client is not installed, or cannot get the model.
        ModelError: what it got is damaged.
    """
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise ModelNotAvailable(
            "ModelScope's client is not installed; run: pip install 'pictor-search[modelscope]', "
            "or download the model in a browser and run: pictor models pull NAME --from FOLDER"
        ) from error
    kept = config.models_dir() / f".modelscope-{repo.replace('/', '--')}"
    kept.mkdir(parents=True, exist_ok=True)
    try:
        wanted = {"revision": revision or None, "allow_file_pattern": _PATTERNS}
        folder = snapshot_download(repo, local_dir=str(kept), **wanted)
    except Exception as error:  # it has a dozen errors of its own, and lets its transport's through
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelNotAvailable(
            f"ModelScope's client cannot get {repo!r} ({reason}); check the id there, it may "
            "differ from the hub's"
        ) from error
    stored = install_folder(
        repo, Path(folder), source="modelscope", licence=licence, observer=observer
    )
    shutil.rmtree(kept, ignore_errors=True)
    return stored
