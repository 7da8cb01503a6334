"""Packs one ONNX file as an MLflow model with a tensor signature: `python mlflow_onnx.py FILE FOLDER COLUMNS`."""

from __future__ import annotations

import sys

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec


def main(file: str, folder: str, columns: int) -> None:
    """Writes the folder that `mlflow models serve` takes."""
    mlflow.onnx.save_model(
        onnx.load(file),
        folder,
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, columns), "features")]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 1), "prediction")]),
        ),
        onnx_execution_providers=["CPUExecutionProvider"],
        onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        pip_requirements=[],
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
