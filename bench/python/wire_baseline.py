"""The official client's codec on the batch of bench/src/wire.ts. Run in the environment of interop/record.py.

Prints one line for each figure: a name, a tab, and bytes per second.
"""

from __future__ import annotations

import sys
import time
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")

import numpy as np
from tinker import types
from tinker.proto import tinker_public_pb2 as pb
from tinker.proto.request_conv import forward_backward_request_to_proto
from tinker.proto.response_conv import deserialize_forward_backward_output
from tinker.types.forward_backward_input import ForwardBackwardInput
from tinker.types.forward_backward_request import ForwardBackwardRequest

DATUMS, TOKENS = int(sys.argv[1]), int(sys.argv[2])


def best(work, repeats: int = 5) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def datum(i: int) -> types.Datum:
    tokens = (np.arange(TOKENS) * 7 + i * 31) % 150_000
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens.tolist()),
        loss_fn_inputs={"target_tokens": tokens.astype(np.int64), "weights": np.ones(TOKENS, dtype=np.float32)},
    )


request = ForwardBackwardRequest(
    forward_backward_input=ForwardBackwardInput(data=[datum(i) for i in range(DATUMS)], loss_fn="cross_entropy"),
    model_id="s:train:0",
    seq_id=1,
)
body = forward_backward_request_to_proto(request).SerializeToString()
print(f"client\ttinker {version('tinker')}")
print(f"encode\t{len(body) / best(lambda: forward_backward_request_to_proto(request).SerializeToString())}")

output = pb.ForwardBackwardOutput(loss_fn_output_type="ArrayRecord")
record = output.loss_fn_outputs.add(num_datums=DATUMS)
record.fields["logprobs"].CopyFrom(
    pb.BatchedTensor(
        data=np.full(DATUMS * TOKENS, -1.5, dtype="<f4").tobytes(),
        offsets=(np.arange(DATUMS + 1, dtype="<i8") * 4 * TOKENS).tobytes(),
        dtype=pb.DTYPE_FLOAT32,
    )
)
encoded = output.SerializeToString()
print(f"decode\t{len(encoded) / best(lambda: deserialize_forward_backward_output(encoded))}")
