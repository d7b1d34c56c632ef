"""Records what NumPy draws and what Gymnasium's spaces sample, for the tests of NumPyGenerator and Space.sample.

    pip install numpy==2.4.6 gymnasium==1.4.0
    python3 Tests/Fixtures/record-draws.py

writes numpy-draws.json.gz and space-samples.json.gz beside itself. Doubles are hexadecimal bit patterns, so that no
digit is lost on the way; integers beyond 2^53 are strings.
"""

import gzip
import json
import pathlib
import struct

import gymnasium
import numpy as np
from gymnasium import spaces

folder = pathlib.Path(__file__).parent
versions = {"numpy": np.__version__, "gymnasium": gymnasium.__version__}


def bits(values):
    return [struct.pack(">d", float(value)).hex() for value in np.ravel(values)]


def write(name, data):
    text = json.dumps({"versions": versions, **data}, separators=(",", ":"))
    with gzip.GzipFile(folder / name, "wb", mtime=0) as file:
        file.write(text.encode())


def program(seed):
    """Draws of all kinds after each other, as (kind, arguments, result)."""
    rng = np.random.default_rng(seed)
    script = np.random.default_rng(1000 + seed)
    ranges = [(0, 1), (4, 5), (0, 2), (1, 5), (-7, 11), (0, 1000), (0, 2**31 - 1), (0, 2**32 - 1), (0, 2**32),
              (-(2**31), 2**31), (0, 2**32 + 1), (0, 3 * 2**61), (-(2**62), 2**62 + 5), (-(2**63), 2**63 - 1)]
    steps = []
    for _ in range(600):
        kind = ["random", "integer", "integer", "normal", "exponential", "full", "permutation"][script.integers(7)]
        if kind == "random":
            steps.append([kind, [], bits(rng.random())])
        elif kind == "integer":
            low, high = ranges[script.integers(len(ranges))]
            steps.append([kind, [str(low), str(high)], [str(rng.integers(low, high))]])
        elif kind == "full":
            steps.append([kind, [], [str(rng.integers(-(2**63), 2**63 - 1, endpoint=True))]])
        elif kind == "normal":
            steps.append([kind, [], bits(rng.normal(0.5, 2.0))])
        elif kind == "exponential":
            steps.append([kind, [], bits(rng.standard_exponential())])
        else:
            count = int(script.integers(1, 12))
            steps.append([kind, [str(count)], [str(i) for i in rng.permutation(count)]])
    return {"seed": seed, "steps": steps}


def folded(values):
    """All draws in 64 bits (FNV-1a over their bit patterns), so that rare paths are covered in little space."""
    digest = 0xCBF29CE484222325
    for word in np.asarray(values, np.float64).view(np.uint64):
        digest = ((digest ^ int(word)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def shuffled(seed, count):
    items = list(range(count))
    np.random.default_rng(seed).shuffle(items)
    array = np.arange(count)
    np.random.default_rng(seed).shuffle(array)
    return {"seed": seed, "list": items, "array": array.tolist()}


long = 200_000
write(
    "numpy-draws.json.gz",
    {
        "programs": [program(seed) for seed in range(8)],
        "long": [
            {
                "seed": seed,
                "count": long,
                "normal": folded(np.random.default_rng(seed).standard_normal(long)),
                "exponential": folded(np.random.default_rng(seed).standard_exponential(long)),
            }
            for seed in range(3)
        ],
        "shuffles": [shuffled(seed, count) for seed, count in ((0, 10), (1, 1), (2, 257))],
    },
)


def tree(value):
    """A sample in the form that the test takes Value apart into."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return {"list": [tree(item) for item in value.values()]}
    if isinstance(value, spaces.GraphInstance):
        return {
            "nodes": tree(value.nodes),
            "edges": None if value.edges is None else tree(value.edges),
            "links": [] if value.edge_links is None else np.ravel(value.edge_links).tolist(),
        }
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], np.int64) and value in one_of:
        return {"index": int(value[0]), "value": tree(value[1])}
    if isinstance(value, tuple):
        return {"list": [tree(item) for item in value]}
    array = np.asarray(value)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.tobytes().hex()}


inf = np.inf
mixed = np.array([-inf, -1, -inf, 0, -inf, 2], np.float32)
mixed_high = np.array([inf, inf, 3, 1, inf, 2.5], np.float32)
one_of = spaces.OneOf([spaces.Discrete(3), spaces.Box(-1, 1, (2,)), spaces.Text(4, charset="ab")])
cases = {
    "box-float32": spaces.Box(-2, 2, (3,)),
    "box-float64": spaces.Box(-1.5, 7, (2, 2), np.float64),
    "box-float16": spaces.Box(-1, 1, (5,), np.float16),
    "box-mixed": spaces.Box(mixed, mixed_high),
    "box-uint8": spaces.Box(0, 255, (4, 3), np.uint8),
    "box-int8": spaces.Box(-128, 127, (7,), np.int8),
    "box-int32": spaces.Box(-5, 5, (6,), np.int32),
    "box-int64": spaces.Box(-(10**6), 10**6, (4,), np.int64),
    "box-uint16": spaces.Box(3, 60000, (4,), np.uint16),
    "box-bool": spaces.Box(0, 1, (9,), np.bool_),
    "discrete": spaces.Discrete(6),
    "discrete-start": spaces.Discrete(5, start=-2),
    "discrete-one": spaces.Discrete(1),
    "multidiscrete": spaces.MultiDiscrete([3, 5, 2]),
    "multidiscrete-matrix": spaces.MultiDiscrete([[3, 5], [2, 9]], start=[[1, 0], [-4, 2]]),
    "multibinary": spaces.MultiBinary(11),
    "multibinary-matrix": spaces.MultiBinary([2, 3]),
    "text": spaces.Text(12, min_length=0, charset="abcde"),
    "text-digits": spaces.Text(6, min_length=6, charset="9876543210"),
    "dict": spaces.Dict({"b": spaces.Discrete(9), "a": spaces.Box(0, 1, (2,)), "c": spaces.MultiBinary(3)}),
    "tuple": spaces.Tuple([spaces.Discrete(9), spaces.Tuple([spaces.Box(0, 1, (2,)), spaces.Discrete(4)])]),
    "sequence": spaces.Sequence(spaces.Discrete(7)),
    "sequence-stacked": spaces.Sequence(spaces.Box(0, 1, (2,)), stack=True),
    "sequence-dict": spaces.Sequence(spaces.Dict(x=spaces.Discrete(3), y=spaces.Box(-1, 1, (1,)))),
    "graph": spaces.Graph(spaces.Box(-1, 1, (2,)), spaces.Discrete(4)),
    "graph-without-edges": spaces.Graph(spaces.Discrete(5), None),
    "oneof": one_of,
}


def sample(space):
    value = space.sample()
    assert space.contains(value), (space, value)
    if isinstance(space, spaces.Sequence) and space.stack:
        return {"list": [tree(row) for row in value]}
    return tree(value)


def samples(space, seed):
    space.seed(seed)
    return {"seed": seed, "samples": [sample(space) for _ in range(6)]}


write(
    "space-samples.json.gz",
    {
        "cases": [
            {"name": name, "description": str(space), "runs": [samples(space, seed) for seed in (0, 1, 42)]}
            for name, space in cases.items()
        ]
    },
)
