"""The frames in hex of Proto/PROTOCOL.md: an exchange with a server that has one small environment."""

import struct
import sys
from pathlib import Path

import gym_pb2 as gym

PAGE = Path(__file__).parent.parent / "Proto" / "PROTOCOL.md"
HEADING = "## Frames in hex\n"
REQUEST, RESPONSE, NOTICE = 1, 2, 3
NAMES = {REQUEST: "Request", RESPONSE: "Response", NOTICE: "Notice"}

INTRODUCTION = """
Each is a whole frame: a header (length, kind, flags, reserved), then the body. Encoders may order fields otherwise. `scripts/generate-frames` writes this section from `gym.proto`, and its check fails when they differ; the tests of the suite decode it with the suite's own codec.
"""


def floats(values, format="f"):
    return struct.pack(f"<{len(values)}{format}", *values)


def box(shape, low, high):
    low, high = (gym.Tensor(dtype=gym.FLOAT32, data=floats([bound])) for bound in (low, high))
    return gym.Space(box=gym.BoxSpace(shape=shape, low=low, high=high))


def observation(values):
    return [gym.Leaf(tensor=gym.Tensor(dtype=gym.FLOAT32, shape=[len(values), 1], data=floats(values)))]


def action(values):
    return [gym.Leaf(tensor=gym.Tensor(dtype=gym.INT64, shape=[len(values)], data=floats(values, "q")))]


def frames():
    """Title, kind and message of each."""
    discrete = gym.Space(discrete=gym.DiscreteSpace(n=2))
    spec = gym.EnvironmentSpec(
        id="Point-v0",
        autoreset_modes=[gym.NEXT_STEP],
        observation_space=box([1], -1, 1),
        action_space=discrete,
    )
    batched_actions = gym.Space(multi_discrete=gym.MultiDiscreteSpace(shape=[2], nvec=[2, 2]))
    hello = gym.HelloRequest(major=1, minor=1, client_name="me")
    limits = gym.Limits(
        max_frame_bytes=65536,
        max_connections=8,
        max_handles=4,
        max_environments=64,
        max_pending_requests=16,
        max_memory_bytes=1 << 20,
    )
    yield "hello", REQUEST, gym.Request(id=1, hello=hello)
    yield (
        "its answer",
        RESPONSE,
        gym.Response(
            id=1,
            hello=gym.HelloResponse(
                major=1, minor=1, server_name="point", server_version="1", limits=limits, session_id=1
            ),
        ),
    )
    yield (
        "ping, an empty message in a oneof",
        REQUEST,
        gym.Request(id=2, ping=gym.PingRequest()),
    )
    make = gym.MakeRequest(id="Point-v0", num_envs=2, max_episode_steps=0)
    make.options.add(name="speed").value.integer = 0
    yield (
        "make, with two zeros in oneofs: the option `speed` is 0, and the time limit is none rather than as registered",
        REQUEST,
        gym.Request(id=3, make=make),
    )
    yield (
        "its answer",
        RESPONSE,
        gym.Response(
            id=3,
            make=gym.MakeResponse(
                handle=1,
                num_envs=2,
                spec=spec,
                observation_space=spec.observation_space,
                action_space=discrete,
                batched_observation_space=box([2, 1], -1, 1),
                batched_action_space=batched_actions,
                autoreset=gym.NEXT_STEP,
                transport=gym.SOCKET,
            ),
        ),
    )
    reset = gym.ResetRequest(seeds=[gym.Seed(value=0), gym.Seed()])
    yield (
        "reset, of row 0 with the seed 0 and of row 1 without seed",
        REQUEST,
        gym.Request(id=4, handle=1, reset=reset),
    )
    yield (
        "its answer; the server drew the seed 7",
        RESPONSE,
        gym.Response(
            id=4,
            handle=1,
            reset=gym.ResetResponse(observation=observation([0.5, -0.25]), effective_seeds=[0, 7]),
        ),
    )
    yield "step", REQUEST, gym.Request(id=5, handle=1, step=gym.StepRequest(action=action([0, 1])))
    yield (
        "its answer: row 1 has terminated, after one step with the reward 1.5",
        RESPONSE,
        gym.Response(
            id=5,
            handle=1,
            step=gym.StepResponse(
                observation=observation([0.75, -1.0]),
                rewards=floats([1.0, 1.5], "d"),
                terminated=b"\0\1",
                truncated=b"\0\0",
                final_index=[1],
                episode_returns=floats([1.5], "d"),
                episode_lengths=floats([1], "q"),
            ),
        ),
    )
    refused = gym.Error(code=gym.INVALID_ACTION, message="not in Discrete(2)")
    refused.details.add(field="action", environment_index=0, expected="0 or 1", got="2")
    yield (
        "the answer to a step with the action 2 in row 0, which is a zero in a oneof again",
        RESPONSE,
        gym.Response(id=6, handle=1, error=refused),
    )
    yield "close", REQUEST, gym.Request(id=7, handle=1, close=gym.CloseRequest())
    yield "its answer", RESPONSE, gym.Response(id=7, handle=1, close=gym.CloseResponse())
    yield "a notice", NOTICE, gym.Notice(shutting_down=gym.ShuttingDown(reason="bye"))


def section():
    lines = [HEADING, INTRODUCTION]
    for title, kind, message in frames():
        body = message.SerializeToString(deterministic=True)
        data = struct.pack("<IBBH", len(body), kind, 0, 0) + body
        rows = [data[start : start + 24].hex(" ") for start in range(0, len(data), 24)]
        lines.append(f"\n**{NAMES[kind]}**: {title}\n\n```hex\n" + "\n".join(rows) + "\n```\n")
    return "".join(lines)


def main():
    page = PAGE.read_text()
    before = page[: page.index(HEADING)]
    wanted = before + section()
    if "--check" not in sys.argv:
        PAGE.write_text(wanted)
    elif page != wanted:
        sys.exit("Proto/PROTOCOL.md has other frames in hex than gym.proto gives: run scripts/generate-frames")
    else:
        print("the frames in hex of Proto/PROTOCOL.md match gym.proto")


main()
