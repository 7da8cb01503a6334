"""An inference server: Open Inference Protocol V2 over ONNX Runtime, fed by signed releases."""

__version__ = "0.1.0"
