"""Every error a user can cause or meet, in one tree.

PictorError
├── ConfigError            a setting is unknown, of the wrong type, or out of range
├── LibraryError           a library cannot be opened, read or written
│   ├── LibraryNotFound    there is no library at that path
│   ├── LibraryTooNew      it was written by a newer release
│   ├── LibraryLocked      another process is writing it, or its catalog stays locked
│   ├── LibraryCorrupt     the stored data is inconsistent
│   └── LibraryFull        the disk that holds it is full
├── SourceError            a root cannot be read at all
├── ImageError             a file cannot be decoded (carries a `Reason`)
├── ModelError             an encoder is not available or does not support the request
│   ├── ModelNotAvailable  its files are not here and cannot be downloaded
│   └── ModelUnsupported   its family, format or tower is not supported
├── QueryError             a query cannot be understood or answered
│   └── QuerySyntaxError   its text breaks the grammar (carries the position)
├── LabelError             a set of labels cannot be read, or a tag cannot be given
├── SidecarError           an XMP file beside a photo cannot be read or written
├── RuleError              a keep rule cannot be parsed (carries the position)
├── DecisionError          a decision on two files is invalid
├── PlanError              a plan or a log cannot be read, written, applied or undone
└── EvaluationError        a set of captions or labels cannot be evaluated

A message is one sentence: what failed, on what, what was expected and found, what to do. Facts are
attributes, so that edges need not parse messages.
"""

from __future__ import annotations

import re

from pictor.library.records import Reason

#: Characters of what somebody gave that a message repeats.
_MOST_QUOTED = 200


def quoted(text: str, most: int = _MOST_QUOTED) -> str:
    """A text in quotes, for a message; the middle of a long one is left out."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) > most:
        text = _without_middle(text, most)
    return repr(text)


def shortened(message: str, most: int = _MOST_QUOTED) -> str:
    """A message of others that repeats what was given: long runs without a blank lose their middle.

    Those of pictor say `quoted` where they repeat a text.
    """
    return re.sub(rf"\S{{{most + 1},}}", lambda run: _without_middle(run[0], most), message)


def _without_middle(text: str, most: int) -> str:
    return f"{text[: most // 2]}…{text[len(text) - most // 2 :]}"


def reason_of(error: OSError) -> Reason:
    """What a failed system call says of the file it was for."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Reason.VANISHED
    return Reason.PERMISSION if isinstance(error, PermissionError) else Reason.IO_ERROR


class PictorError(Exception):
    """The base of every error pictor raises on purpose."""


class ConfigError(PictorError):
    """A setting is unknown, of the wrong type, or out of range."""


class LibraryError(PictorError):
    """A library cannot be opened, read or written."""


class LibraryNotFound(LibraryError):
    """There is no library at that path."""


class LibraryTooNew(LibraryError):
    """The library was written by a newer release of pictor."""


class LibraryLocked(LibraryError):
    """Another process is writing the library."""


class LibraryCorrupt(LibraryError):
    """The stored data of the library is inconsistent."""


class LibraryFull(LibraryError):
    """The disk that holds the library is full."""


class SourceError(PictorError):
    """A root cannot be read at all."""


class ImageError(PictorError):
    """A file cannot be decoded.

    Attributes:
        reason: the code that is stored as the file's outcome.
        detail: one sentence about this file.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        return (type(self), (self.reason, self.detail))


class ModelError(PictorError):
    """An encoder is not available or does not support the request."""


class ModelNotAvailable(ModelError):
    """The files of an encoder are not here and cannot be downloaded."""


class ModelUnsupported(ModelError):
    """The family, file format or tower of an encoder is not supported."""


class QueryError(PictorError):
    """A query cannot be understood or answered."""


class _AtPosition(PictorError):
    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position

    def __reduce__(self) -> tuple[type[_AtPosition], tuple[str, int]]:
        return (type(self), (str(self), self.position))


class QuerySyntaxError(_AtPosition, QueryError):
    """The text of a query breaks the grammar.

    Attributes:
        position: the character where it does, from 0.
    """


class LabelError(PictorError):
    """A set of labels cannot be read, or a tag cannot be given."""


class SidecarError(PictorError):
    """An XMP file beside a photo cannot be read or written."""


class RuleError(_AtPosition):
    """A keep rule cannot be parsed.

    Attributes:
        position: the character where it breaks, from 0.
    """


class DecisionError(PictorError):
    """A decision on two files is invalid."""


class PlanError(PictorError):
    """A plan or a log cannot be read, written, applied or undone."""


class EvaluationError(PictorError):
    """A set of captions or labels cannot be evaluated."""
