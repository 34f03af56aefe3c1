"""ONNX Runtime sessions: one place for their options and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pictor.library.errors import ModelError, ModelNotAvailable


def open_session(
    path: Path, threads: int = 0, *, optimise: bool = True
) -> Any:  # Any: onnxruntime has no types
    """A CPU session of an ONNX file.

    Args:
        path: the file; external data lies beside it.
        threads: of one run; 0 is one a physical core.
        optimise: rewrite the graph for speed, which takes time at every opening.

    Raises:
        ModelNotAvailable: there is no such file.
        ModelError: it is damaged.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    if not path.is_file():
        raise ModelNotAvailable(
            f"{str(path)!r} is missing; run: pictor index, which makes it again"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # waiting threads that spin take the cores the decoders need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    damaged = (
        *(state.Fail, state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument),
        *(state.NoModel, state.RuntimeException, state.NotImplemented),
    )
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except damaged as error:
        raise ModelError(
            f"{str(path)!r} is damaged and cannot be loaded; "
            "delete its folder and run: pictor index"
        ) from error
