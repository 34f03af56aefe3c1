"""Files of vectors, written row by row: .npz, .parquet and .jsonl. Whole, or not there."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from pictor.indexer.sources.external_sort import split_records
from pictor.library.errors import PictorError
from pictor.library.names import path_fields

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENDINGS = (".npz", ".parquet", ".jsonl")
_COPY_BYTES = 1 << 20


class VectorFile(Protocol):
    """A file that grows by rows."""

    def add(self, paths: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        """Append n paths and (n, …) float32 rows of one shape."""
        ...

    def finish(self) -> None:
        """Write what is left."""
        ...

    def close(self) -> None:
        """Give back what is open, whether it is finished or not."""
        ...


@contextlib.contextmanager
def open_vector_file(path: Path) -> Iterator[VectorFile]:
    """A file at `path`, which takes the place of what was there when the block ends well.

    Raises:
        PictorError: the ending is none of `ENDINGS`, the folder is not there, or .parquet is asked
            for without pyarrow.
    """
    kinds: dict[str, type[Any]] = {".npz": _Npz, ".parquet": _Parquet, ".jsonl": _JsonLines}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise PictorError(f"{str(path)!r} must end in one of {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise PictorError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".pictor-") as folder:
        made = Path(folder) / "file"
        file: VectorFile = kind(made)
        try:
            yield file
            file.finish()
        finally:
            file.close()
        os.replace(made, path)


class _Npz:
    """Two arrays, gathered in plain files first, since an array's header states its length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: IO[bytes] = path.with_name("rows").open("w+b")
        self._paths: IO[bytes] = path.with_name("paths").open("w+b")
        self._count = self._width = 0
        self._shape: tuple[int, ...] = (0,)

    def add(self, paths: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        self._rows.write(rows.astype("<f4").tobytes())
        self._paths.write(b"".join(path + b"\0" for path in paths))
        self._count += len(paths)
        self._width = max(self._width, *(len(path) for path in paths))
        self._shape = rows.shape[1:]

    def close(self) -> None:
        self._rows.close()
        self._paths.close()

    def finish(self) -> None:
        with zipfile.ZipFile(self._path, "w") as archive:
            self._rows.seek(0)
            with self._member(archive, "vectors", "<f4", (self._count, *self._shape)) as member:
                shutil.copyfileobj(self._rows, member, _COPY_BYTES)
            self._paths.seek(0)
            width = max(1, self._width)
            with self._member(archive, "paths", f"|S{width}", (self._count,)) as member:
                for path in split_records(self._paths, b"\0"):
                    member.write(path.ljust(width, b"\0"))

    @contextlib.contextmanager
    def _member(
        self, archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...]
    ) -> Iterator[IO[bytes]]:
        from numpy.lib import format as npy

        header = {"descr": kind, "fortran_order": False, "shape": shape}
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            npy.write_array_header_1_0(member, header)
            yield member


class _JsonLines:
    """One object a line: `path` and `vector`; numbers have the nine digits that float32 needs."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def add(self, paths: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        for path, row in zip(paths, rows, strict=True):
            line = path_fields(path) | {"vector": _shortened(row.tolist())}
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _shortened(value: Any) -> Any:  # Any: nested lists of floats
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return float(f"{value:.9g}")


class _Parquet:
    """A row group a batch: `path` (binary) and `vector` (a list of fixed length), with its shape.

    Rows of more than one dimension are flat; the schema's metadata has `shape`.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise PictorError(
                "writing .parquet needs pyarrow; run: pip install 'pictor-search[parquet]', "
                "or choose .npz or .jsonl"
            ) from error
        self._arrow: Any = pyarrow
        self._path = path
        self._writer: Any = None

    def add(self, paths: Sequence[bytes], rows: NDArray[np.float32]) -> None:
        arrow = self._arrow
        if self._writer is None:
            self._open(rows.shape[1:])
        flat = arrow.array(rows.reshape(-1))
        vectors = arrow.FixedSizeListArray.from_arrays(flat, rows[0].size)
        columns = [arrow.array(list(paths), arrow.binary()), vectors]
        self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))

    def finish(self) -> None:
        if self._writer is None:
            self._open((0,))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, shape: tuple[int, ...]) -> None:
        arrow = self._arrow
        vector = arrow.list_(arrow.float32(), math.prod(shape))
        fields = [("path", arrow.binary()), ("vector", vector)]
        self._schema = arrow.schema(fields, metadata={"shape": json.dumps(list(shape))})
        self._writer = arrow.parquet.ParquetWriter(self._path, self._schema)
