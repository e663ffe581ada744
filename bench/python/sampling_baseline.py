"""The official client against the scripted service: prints what measure.ts prints.

usage: sampling_baseline.py URL COUNT IN_FLIGHT
"""

import json
import resource
import sys
import time
from collections import deque

import tinker
from tinker import types

url, count, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
service = tinker.ServiceClient(base_url=url, api_key="tml-bench")
sampling = service.create_sampling_client(base_model="bench")
if hasattr(sampling, "result"):
    sampling = sampling.result()
prompt = types.ModelInput.from_ints(list(range(128)))
params = types.SamplingParams(max_tokens=16)


def run(n: int) -> list[float]:
    took: list[float] = []
    waiting = deque()
    left = n
    while left > 0 or waiting:
        while left > 0 and len(waiting) < in_flight:
            left -= 1
            future = sampling.sample(prompt=prompt, num_samples=1, sampling_params=params)
            waiting.append((time.perf_counter(), future))
        start, future = waiting.popleft()
        future.result()
        took.append((time.perf_counter() - start) * 1000)
    return took


run(100)
before = resource.getrusage(resource.RUSAGE_SELF)
start = time.perf_counter()
took = sorted(run(count))
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(
    json.dumps(
        {
            "samplesPerSecond": count / seconds,
            "p50Millis": took[len(took) // 2],
            "p99Millis": took[int(len(took) * 0.99)],
            "cpuMicrosPerSample": cpu / count * 1e6,
            "peakMiB": after.ru_maxrss / 1024,
        }
    ),
    flush=True,
)
