"""How steady measured latency is while other workers keep every core busy.

Prints the coefficient of variation over repeated measurements of a few networks: of the normalised value
and of the raw wall-clock median, on the machine as it is and with one burner for each core.

    python benchmarks/latency_noise.py
"""

from __future__ import annotations

import multiprocessing
import statistics
import time

from nasplat.export.onnx import to_onnx
from nasplat.graph.lower import lower
from nasplat.hardware.device import local_device
from nasplat.hardware.latency import LatencyMeasurement, calibrate, measure_latency
from tests.export.nets import network

REPETITIONS = 10


def burn() -> None:
    """Keep a core busy until terminated."""
    while True:
        sum(range(1000))


def variation(values: list[float]) -> float:
    """Standard deviation over mean."""
    return statistics.stdev(values) / statistics.mean(values)


def main() -> None:
    """Measure and print."""
    device = calibrate(local_device())
    print(f"{device.processor}, {device.cores} cores, reference {device.reference_ms:.4f} ms")
    models = {
        f"{channels} channels, {blocks} blocks, {side}x{side}": to_onnx(
            graph, lower(graph, seed=0), batch=1
        )
        for channels, blocks, side in ((8, 2, 8), (32, 4, 16), (64, 6, 32))
        for graph in (network(channels=channels, blocks=blocks, side=side),)
    }
    context = multiprocessing.get_context("spawn")
    for busy in (False, True):
        burners = [context.Process(target=burn, daemon=True) for _ in range(device.cores * busy)]
        for burner in burners:
            burner.start()
        time.sleep(2.0 if busy else 0.0)
        print(f"{len(burners)} burners")
        for name, model in models.items():
            started = time.perf_counter()
            found: list[LatencyMeasurement] = [
                measure_latency(model, device) for _ in range(REPETITIONS)
            ]
            seconds = (time.perf_counter() - started) / REPETITIONS
            values, raw = [m.value_ms for m in found], [m.raw_median_ms for m in found]
            print(
                f"  {name:36s} normalised {statistics.median(values):8.4f} ms, cv {variation(values):6.2%}"
                f"   raw {statistics.median(raw):8.4f} ms, cv {variation(raw):6.2%}   {seconds:.2f} s each"
            )
        for burner in burners:
            burner.terminate()


if __name__ == "__main__":
    main()
