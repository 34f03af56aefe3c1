"""Encoders: cards, families read through transformers, ONNX towers, and the built-in encoder."""
