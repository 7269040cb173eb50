#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What PyTorch's attention takes for one token over a cache in bf16, laid out as segue-bench-decode
has it ([rows][kv heads][head size]): one CUDA graph of many calls on distinct caches, time of a call.

    attention.py [--context N[,N...]] [--backend flash|efficient|cudnn|math]
"""
import argparse

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from chain import numbers, time_graph

SHAPES = [("1B", 32, 8, 64), ("3B", 24, 8, 128), ("8B", 32, 8, 128)]
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION,
            "cudnn": SDPBackend.CUDNN_ATTENTION, "math": SDPBackend.MATH}
CACHE_BYTES = 1200 << 20
MAX_COPIES = 64


def measure(heads, kv_heads, head_size, context, backend):
    """ns a call."""
    one = 2 * 2 * context * kv_heads * head_size
    copies = max(2, min(MAX_COPIES, CACHE_BYTES // one))
    caches = torch.randn(copies, 2, context, kv_heads, head_size, device="cuda",
                         dtype=torch.bfloat16)
    q = torch.randn(1, heads, 1, head_size, device="cuda", dtype=torch.bfloat16)
    calls = [(cache[0].transpose(0, 1)[None], cache[1].transpose(0, 1)[None]) for cache in caches]

    def call_all():
        with sdpa_kernel([BACKENDS[backend]]):
            for k, v in calls:
                torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    return time_graph(call_all, copies)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", type=numbers, default=[512, 2048, 8192, 32768, 131072])
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    options = parser.parse_args()
    for model, heads, kv_heads, head_size in SHAPES:
        for context in options.context:
            for backend in [options.backend] if options.backend else ["flash", "cudnn"]:
                try:
                    time_us = measure(heads, kv_heads, head_size, context, backend) / 1e3
                    print(f"attention {model} bf16 {context:6} rows  {backend} {time_us:8.2f} us",
                          flush=True)
                except RuntimeError as error:
                    print(f"attention {model} bf16 {context:6} rows  {backend}: {error}"[:160],
                          flush=True)


if __name__ == "__main__":
    main()
