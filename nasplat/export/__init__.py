"""Floor 4: winners as plain source, weights, ONNX and torch.export programs, with proof of equality."""
