"""The inference server beside what users would pick instead, on one ONNX file, in one run."""
