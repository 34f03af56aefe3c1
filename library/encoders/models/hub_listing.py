"""What the hub says of a model: its files, their sizes and checksums, its licence, its refusals.

A checkpoint with pickles only is refused, unless the hub's own account offers a conversion of it.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pictor.library.encoders.checkpoint import CONFIG, INDEX, WEIGHTS, pickle_only
from pictor.library.encoders.models.lockfile import is_revision, needed
from pictor.library.encoders.models.places import unfinished
from pictor.library.encoders.models.transfer import RemoteFile
from pictor.library.errors import ModelError, ModelNotAvailable

_CONVERTER = "SFconvertbot"  # the hub's own account that offers safetensors of pickled checkpoints


@dataclass(frozen=True)
class Listing:
    """A model on the hub at one commit.

    Attributes:
        ref: the branch or tag it was found by; "" if by its commit.
    """

    id: str
    revision: str
    ref: str
    licence: str
    files: Mapping[str, RemoteFile]


def ways_out(repo: str) -> str:
    """How to get a model that cannot be fetched here and now, as the end of a sentence."""
    return (
        f"get it with: pictor models pull {repo} (HF_ENDPOINT names a mirror), or where there is "
        "no network with: pictor models import FILE (made by pictor models export elsewhere); "
        "or use --encoder builtin"
    )


def list_model(repo: str, revision: str) -> Listing:
    """A model's files at a commit, branch or tag; "" is the main branch.

    Raises:
        ModelUnsupported: it has pickles only.
        ModelNotAvailable: it has no weights.
        HTTPError (of huggingface_hub), OSError: the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    wanted = revision or "main"
    info = HfApi().model_info(repo, revision=wanted, files_metadata=True)
    if not _has_weights(info) and not revision and (converted := _converted(repo)):
        wanted = converted
        info = HfApi().model_info(repo, revision=wanted, files_metadata=True)
    if not _has_weights(info):
        _refuse_weights(repo, info)
    if not is_revision(str(info.sha)):
        raise ModelError(f"the hub gives {repo!r} the revision {info.sha!r}, which is no commit")
    files = {file.rfilename: file for file in info.siblings or ()}
    if CONFIG not in files:
        raise ModelNotAvailable(
            f"{repo!r} has no {CONFIG}, so it is no transformers checkpoint; choose another id"
        )
    return Listing(
        id=repo,
        revision=str(info.sha),
        ref="" if is_revision(wanted) else wanted,
        licence=_licence(info),
        files={name: _remote(repo, info, files[name]) for name in _needed(info)},
    )


def _needed(info: Any) -> dict[str, int]:  # Any: huggingface_hub's ModelInfo
    return needed({file.rfilename: int(file.size or 0) for file in info.siblings or ()})


def _remote(repo: str, info: Any, file: Any) -> RemoteFile:  # Any: of huggingface_hub
    from huggingface_hub import hf_hub_url

    lfs = getattr(file, "lfs", None)
    return RemoteFile(
        name=file.rfilename,
        url=hf_hub_url(repo, file.rfilename, revision=info.sha),
        size_bytes=-1 if file.size is None else int(file.size),
        sha256=str(lfs.sha256) if lfs else "",
        git_id="" if lfs else str(getattr(file, "blob_id", None) or ""),
    )


def _licence(info: Any) -> str:  # Any: huggingface_hub's ModelInfo
    card = getattr(info, "card_data", None)
    names = [getattr(card, key, None) for key in ("license_name", "license")]
    return next((str(name)[:200] for name in names if name), "")


def _has_weights(info: Any) -> bool:  # Any: huggingface_hub's ModelInfo
    return not {WEIGHTS, INDEX}.isdisjoint(_needed(info))


def _converted(repo: str) -> str:
    """The revision of the hub's own safetensors conversion of a repository, "" if there is none.

    transformers falls back on the same pull request by the same account.
    """
    from huggingface_hub import HfApi

    for thread in HfApi().get_repo_discussions(
        repo, author=_CONVERTER, discussion_type="pull_request"
    ):
        if (
            thread.author == _CONVERTER
            and thread.status in {"open", "merged"}
            and thread.git_reference
        ):
            return str(thread.git_reference)
    return ""


def _refuse_weights(repo: str, info: Any) -> NoReturn:  # Any: huggingface_hub's ModelInfo
    names = {file.rfilename for file in info.siblings or ()}
    if any(name.endswith((".bin", ".pt", ".ckpt")) for name in names):
        raise pickle_only(repo)
    raise ModelNotAvailable(f"{repo!r} has no {WEIGHTS}; choose a checkpoint that has one")


def refusal(repo: str, revision: str, error: Exception) -> ModelError | None:
    """The one fitting sentence for what the hub or the disk said; None if the hub is away."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = constants.ENDPOINT
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelError(
            f"the disk of {constants.HF_HUB_CACHE!r} is full while fetching {repo!r}; "
            "free space, or set HF_HOME to another disk; the partial download was kept and will "
            "be resumed"
        )
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return ModelError(
            f"{error.filename or constants.HF_HUB_CACHE!r} cannot be written "
            f"({error.strerror}); set HF_HOME to a folder of yours, on a working disk"
        )
    if isinstance(error, GatedRepoError):
        return ModelNotAvailable(
            f"{repo!r} is gated and its licence must be accepted first: do so on {where}/{repo} "
            "and set HF_TOKEN, or use --encoder builtin"
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelNotAvailable(
            f"{repo!r} has no revision {revision or 'main'!r} on {where}; "
            "leave it out for the newest"
        )
    if isinstance(error, RepositoryNotFoundError):
        return ModelNotAvailable(
            f"there is no {repo!r} on {where}, or it is private; check the id, "
            "or set HF_TOKEN if it is yours"
        )
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if status == 404:  # a plain one, as mirrors give
        return ModelNotAvailable(
            f"there is no {repo!r} on {where}, or a file of it is gone; check the id"
        )
    if status and status not in {408, 429} and status < 500:
        return ModelError(f"{where} refused {repo!r} with HTTP status {status}")
    return None


class Unreachable(ModelNotAvailable):
    """The hub is away. What is here already may serve."""


def unreachable(repo: str) -> Unreachable:
    """The sentence for a hub that is away, where there is no copy either."""
    from huggingface_hub import constants

    if unfinished(repo):
        return Unreachable(
            f"the download of {repo!r} was interrupted, as {constants.ENDPOINT} cannot be reached; "
            "the partial download was kept; resume it with: pictor models pull "
            f"{repo}; until then use --encoder builtin"
        )
    return Unreachable(
        f"{repo!r} is not on this machine and {constants.ENDPOINT} cannot be reached; try again "
        f"later, name a mirror (HF_ENDPOINT=URL pictor models pull {repo}), or where there is no "
        "network run: pictor models import FILE (made by pictor models export elsewhere); or use "
        "--encoder builtin"
    )
