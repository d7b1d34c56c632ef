import socket
import struct
import sys

import gym_pb2 as gym

stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.connect(sys.argv[1].removeprefix("unix:"))


def exactly(count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            sys.exit("the server closed the connection")
        data += piece
    return data


def ask(**fields):
    """Sends a request and waits for the response: a header of eight bytes, then a protobuf message, each way."""
    body = gym.Request(id=1, **fields).SerializeToString()
    stream.sendall(struct.pack("<IBBH", len(body), 1, 0, 0) + body)  # kind 1: a request
    kind = 0
    while kind != 2:  # kind 2: a response; 3 is a notice, which needs no answer
        length, kind, _, _ = struct.unpack("<IBBH", exactly(8))
        body = exactly(length)
    response = gym.Response.FromString(body)
    if response.WhichOneof("message") == "error":
        sys.exit(response.error.message)
    return response


hello = ask(hello=gym.HelloRequest(major=1, client_name="my client")).hello
print(hello.server_name, "can do", ", ".join(hello.capabilities), file=sys.stderr)
handle = ask(make=gym.MakeRequest(id="CartPole-v1", num_envs=8)).make.handle
result = ask(handle=handle, reset=gym.ResetRequest(seeds=[gym.Seed(value=42)])).reset

episodes, total = 0, 0.0
for _ in range(500):
    observations = struct.unpack("<32f", result.observation[0].tensor.data)  # 8 rows of 4
    actions = [int(observations[4 * row + 2] + observations[4 * row + 3] > 0) for row in range(8)]
    tensor = gym.Tensor(dtype=gym.INT64, shape=[8], data=struct.pack("<8q", *actions))
    result = ask(handle=handle, step=gym.StepRequest(action=[gym.Leaf(tensor=tensor)])).step
    # The rows whose episode ended with this step are in final_index, their returns in episode_returns.
    episodes += len(result.final_index)
    total += sum(struct.unpack(f"<{len(result.final_index)}d", result.episode_returns))
print(f"{episodes} episodes, mean return {total / episodes}")
