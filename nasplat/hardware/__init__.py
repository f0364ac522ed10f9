"""Floor 5: devices, and latency measured on them through exported artefacts."""
