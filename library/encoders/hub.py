"""Checkpoints from the hub, through huggingface_hub and nothing else.

The hub's own conventions hold: HF_HOME (cache), HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE.
Only the
files a checkpoint of ours needs are fetched: safetensors, JSON and tokenizer files at the top
level. huggingface_hub is imported in the functions, since searching a library must not load it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
from pathlib import Path
from typing import Any, NoReturn

from library.encoders.checkpoint import (
    CONFIG,
    INDEX,
    SMALL_FILES,
    WEIGHTS,
    Checkpoint,
    check_weights,
    pickle_only,
)
from library.errors import ModelError, ModelNotAvailable

_LOG = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_CONVERTER = "SFconvertbot"  # the hub's own account that offers safetensors of pickled checkpoints
_PATTERNS = [*SMALL_FILES, WEIGHTS, INDEX, "model-*-of-*.safetensors"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WAYS_OUT = (
    "set HF_ENDPOINT to a mirror, or copy the checkpoint here and run: "
    "pictor index --encoder /path/to/folder, or use --encoder builtin"
)


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/model."""
    return _HUB_ID.fullmatch(name) is not None


def fetch(repo: str, revision: str, *, offline: bool) -> Checkpoint:
    """The checkpoint of a hub id, from the local cache or downloaded.

    Args:
        repo: owner/model.
        revision: commit, branch, tag or "refs/pr/N"; "" is the main branch, or the hub's own
            safetensors conversion where the main branch has pickles only.
        offline: take it from the cache or fail, with no network call.

    Raises:
        ModelNotAvailable: it cannot be had; the message says how else.
        ModelUnsupported: it has pickles only.
        ModelError: a fetched file is damaged.
    """
    from huggingface_hub import constants

    if offline or constants.HF_HUB_OFFLINE:
        return _checked(repo, _from_cache(repo, revision))
    if _COMMIT.fullmatch(revision):  # never changes: a cached copy needs no question to the hub
        with contextlib.suppress(ModelNotAvailable):
            return _checked(repo, _from_cache(repo, revision))
    return _checked(repo, _download(repo, revision))


def _checked(repo: str, folder: Path) -> Checkpoint:
    if not (folder / CONFIG).is_file():
        raise ModelNotAvailable(
            f"{repo!r} has no {CONFIG}, so it is no transformers checkpoint; choose another id"
        )
    check_weights(folder, repo)
    return Checkpoint(repo, folder, folder.name)


def _from_cache(repo: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    cause: Exception | None = None
    for candidate in [revision] if revision else ["main", *_cached_pull_requests(repo)]:
        try:
            found = snapshot_download(
                repo, revision=candidate, local_files_only=True, allow_patterns=_PATTERNS
            )
        except (LocalEntryNotFoundError, CachedRepoTreeNotFoundError, OSError) as error:
            cause = error
            continue
        if any((Path(found) / name).is_file() for name in (WEIGHTS, INDEX)):
            return Path(found)
    at = f" at revision {revision!r}" if revision else ""
    raise ModelNotAvailable(
        f"{repo!r}{at} is not in the local cache and pictor is offline; "
        "go online once to fetch it, or copy the checkpoint here and run: "
        "pictor index --encoder /path/to/folder, or use --encoder builtin"
    ) from cause


def _cached_pull_requests(repo: str) -> list[str]:
    """Pull-request revisions in the cache: conversions that were fetched from one."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    refs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model") / "refs"
    return sorted(path.relative_to(refs).as_posix() for path in refs.glob("refs/pr/*"))


def _download(repo: str, revision: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its transport's

    wanted = revision or "main"
    try:
        info = HfApi().model_info(repo, revision=wanted, files_metadata=True)
        sizes = _needed(info)
        if not _has_weights(sizes) and not revision and (converted := _converted(repo)):
            wanted = converted
            sizes = _needed(HfApi().model_info(repo, revision=wanted, files_metadata=True))
        if not _has_weights(sizes):
            _refuse_weights(repo, info)
        _LOG.info("fetching %s: %d files, %d bytes", repo, len(sizes), sum(sizes.values()))
        return Path(snapshot_download(repo, revision=wanted, allow_patterns=list(sizes)))
    except (HTTPError, OSError) as error:
        return _after_failure(repo, revision, error)


def _needed(info: Any) -> dict[str, int]:  # Any: huggingface_hub's ModelInfo
    """Size in bytes (0 if unknown) of each file of a repository that a checkpoint needs."""
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    single = WEIGHTS in sizes
    return {
        name: size
        for name, size in sizes.items()
        if name in SMALL_FILES
        or name == WEIGHTS
        or (not single and (name == INDEX or re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)))
    }


def _has_weights(names: dict[str, int]) -> bool:
    return WEIGHTS in names or INDEX in names


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


def _after_failure(repo: str, revision: str, error: Exception) -> Path:
    """The cached copy where the hub cannot be reached; the one fitting sentence otherwise."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        raise ModelError(
            f"the disk of {constants.HF_HUB_CACHE!r} is full while fetching {repo!r}; "
            "free space, or set HF_HOME to another disk"
        ) from error
    if isinstance(error, GatedRepoError):
        raise ModelNotAvailable(
            f"{repo!r} is gated: accept its terms on {constants.ENDPOINT}/{repo} and set HF_TOKEN, "
            "or use --encoder builtin"
        ) from error
    if isinstance(error, RevisionNotFoundError):
        raise ModelNotAvailable(
            f"{repo!r} has no revision {revision or 'main'!r} on {constants.ENDPOINT}; "
            "leave it out for the newest"
        ) from error
    if isinstance(error, RepositoryNotFoundError):
        raise ModelNotAvailable(
            f"there is no {repo!r} on {constants.ENDPOINT}, or it is private; check the id, "
            "or set HF_TOKEN if it is yours"
        ) from error
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if status and status not in {408, 429} and status < 500:
        raise ModelError(
            f"{constants.ENDPOINT} refused {repo!r} with HTTP status {status}"
        ) from error
    try:
        return _from_cache(repo, revision)
    except ModelNotAvailable:
        raise ModelNotAvailable(
            f"{repo!r} is not in the local cache and {constants.ENDPOINT} cannot be reached; "
            + _WAYS_OUT
        ) from error
