#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What PyTorch's int4 product (aten::_weight_int4pack_mm, "tinygemm") takes for the shapes of
segue-bench-gemv: one CUDA graph of many calls on distinct weights, time of a call.

    tinygemm.py [--batch M[,M...]] [--group G[,G...]] [--shape NxK]
"""
import argparse

import torch

from chain import numbers, time_graph

SHAPES = [(512, 2048), (2048, 2048), (3072, 2048), (8192, 2048), (16384, 2048), (2048, 8192),
          (4096, 4096), (6144, 4096), (14336, 4096), (28672, 4096), (4096, 14336), (8192, 8192),
          (8192, 28672), (128256, 2048), (128256, 4096)]
INNER_TILES = 8
WEIGHT_BYTES = 1200 << 20
MAX_COPIES = 384


def pack(rows, columns, group):
    """Random weights in tinygemm's layout, and their scales and zeros."""
    weights = torch.randint(0, 256, (rows, columns // 2), dtype=torch.uint8, device="cuda")
    packed = torch.ops.aten._convert_weight_to_int4pack(weights, INNER_TILES)
    scales = torch.rand(columns // group, rows, 2, device="cuda").to(torch.bfloat16) / 100
    return packed, scales


def measure(rows, columns, group, batch):
    """ns a call."""
    packed, scales = pack(rows, columns, group)
    one = packed.numel() * packed.element_size() + scales.numel() * scales.element_size()
    copies = max(2, min(MAX_COPIES, WEIGHT_BYTES // one))
    weights = [(packed.clone(), scales.clone()) for _ in range(copies)]
    x = torch.randn(batch, columns, device="cuda", dtype=torch.bfloat16)

    def call_all():
        for tensor, parameters in weights:
            torch.ops.aten._weight_int4pack_mm(x, tensor, group, parameters)

    return time_graph(call_all, copies)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=numbers, default=[1])
    parser.add_argument("--group", type=numbers, default=[128, 32])
    parser.add_argument("--shape", help="NxK: only this one")
    options = parser.parse_args()
    for rows, columns in SHAPES:
        if options.shape not in (None, f"{rows}x{columns}"):
            continue
        for group in options.group:
            for batch in options.batch:
                time_us = measure(rows, columns, group, batch) / 1e3
                print(f"{rows:6} x {columns:5}  g{group:<3} m{batch:<2}  tinygemm {time_us:8.2f} us",
                      flush=True)


if __name__ == "__main__":
    main()
