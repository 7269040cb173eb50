# SPDX-License-Identifier: Apache-2.0
"""Times of calls in a CUDA graph, for the programs beside this one."""
import statistics

import torch

REPEATS = 9


def time_graph(call_all, count):
    """ns of one of the `count` calls that `call_all` makes: the median over replays of a graph of
    them."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call_all()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call_all()
    times = []
    for _ in range(REPEATS + 1):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e6 / count)
    return statistics.median(times[1:])


def numbers(text):
    return [int(part) for part in text.split(",")]
