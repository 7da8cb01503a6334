"""The Open Inference Protocol V2, apart from any model: bytes or messages in, tensors out, and back. Pure."""
