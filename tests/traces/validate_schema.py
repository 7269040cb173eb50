#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""validate_schema.py SCHEMA TRACES [FILE...]: the schema takes all good traces and files, and
refuses what breaks the form. Exits with 77 where python3-jsonschema is missing."""
import copy
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

# What only the reader can know: references, sizes, order, contents of files.
BEYOND_THE_SCHEMA = (
    "there is no", "same name", "exceeds", "the tensor has", "overflow", "may not be among",
    "could not be opened", "a header of", "earlier file", "comes in elements", "dtype's range",
    "low below high", "a multiple of", "overlap", "bytes, the target", "bytes, the data", "bytes of constants", "bindings;",
    "static size", "not \"opaque\"", "waits", "not above", "is one_shot", "uses slot", "of slot",
    "copies", "no whole number", "has dtype", "open at the end", "no group is open",
    "slot may be named here", "control characters", "not allowed in a trace", "the product is",
    "the source has", "more than 1024", "may be inline", "may not be written", "is not in",
    "no constant memory", "has a content, too", "a packing already", "bindings that it reads", "is opaque", "sizes; the packing",
    "in one constant of", "before the one before it ends", "has no value", "has a value before it",
)


def find_parent(root, pointer):
    keys = pointer.split("/")[1:]
    for key in keys[:-1]:
        root = root[int(key)] if isinstance(root, list) else root[key]
    return root, int(keys[-1]) if isinstance(root, list) else keys[-1]


def main():
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    traces = pathlib.Path(sys.argv[2])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = 0
    good = sorted(traces.glob("good/*.json")) + [pathlib.Path(path) for path in sys.argv[3:]]
    for path in good:
        for error in validator.iter_errors(json.loads(path.read_text())):
            print(f"{path}: {error.json_path}: {error.message[:200]}")
            failures += 1
    base = json.loads((traces / "good" / "everything.json").read_text())
    refused = 0
    for case in json.loads((traces / "bad" / "patches.json").read_text())["cases"]:
        trace = copy.deepcopy(base)
        for pointer in case.get("remove", []):
            parent, key = find_parent(trace, pointer)
            del parent[key]
        for pointer, value in case.get("set", {}).items():
            parent, key = find_parent(trace, pointer)
            parent[key] = value
        if not validator.is_valid(trace):
            refused += 1
        elif not any(text in case["message"] for text in BEYOND_THE_SCHEMA):
            print(f"the schema takes what the reader refuses: {case['message']}")
            failures += 1
    print(f"{len(good)} good traces, {refused} bad ones refused by the schema, {failures} failures")
    return 1 if failures != 0 or refused < 100 or len(good) < 4 else 0


if __name__ == "__main__":
    sys.exit(main())
