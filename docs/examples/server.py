"""Serves Balance-v0, an environment of its own, to any client of gym.v1: python server.py PATH."""

import os
import random
import signal
import socket
import struct
import sys
import threading
import time

import gym_pb2 as gym

LIMIT = 200  # steps of an episode, unless the client says otherwise
LIMITS = gym.Limits(max_frame_bytes=1 << 22, max_connections=64, max_handles=16, max_environments=4096,
                    max_pending_requests=64, max_memory_bytes=1 << 24)


def float32(values):
    """A batch of numbers as a leaf: a tensor whose first axis are the environments."""
    data = struct.pack(f"<{len(values)}f", *values)
    return gym.Leaf(tensor=gym.Tensor(dtype=gym.FLOAT32, shape=[len(values), 1], data=data))


def box(shape, low, high):
    low, high = (gym.Tensor(dtype=gym.FLOAT32, data=struct.pack("<f", bound)) for bound in (low, high))
    return gym.Space(box=gym.BoxSpace(shape=shape, low=low, high=high))


def spec():
    return gym.EnvironmentSpec(
        id="Balance-v0", summary="Keep a point that runs away near the middle.", max_episode_steps=LIMIT,
        autoreset_modes=[gym.NEXT_STEP, gym.SAME_STEP, gym.DISABLED],
        observation_space=box([1], -1, 1), action_space=gym.Space(discrete=gym.DiscreteSpace(n=2)))


class Row:
    """One environment of a batch. The nearer the point is to an end, the faster it runs there."""

    def __init__(self):
        self.generator, self.seed = None, 0
        self.phase = "fresh"
        self.position = 0.0

    def reset(self, seed):
        if seed is None and self.generator is None:
            seed = random.SystemRandom().getrandbits(64)
        if seed is not None:
            self.generator, self.seed = random.Random(seed), seed
        self.phase, self.steps, self.total = "running", 0, 0.0
        self.position = self.generator.uniform(-0.5, 0.5)

    def step(self, action, limit):
        """Reward, terminated, truncated."""
        self.position += 0.1 * self.position + (0.03 if action else -0.03)
        terminated = abs(self.position) >= 1
        self.position = max(-1.0, min(1.0, self.position))
        self.steps += 1
        self.total += 1.0
        truncated = self.steps == limit
        if terminated or truncated:
            self.phase = "ended"
        return 1.0, terminated, truncated


class Refusal(Exception):
    """What is answered with an error; details are of gym.ErrorDetail."""

    def __init__(self, code, message, *details):
        super().__init__(message)
        self.code, self.details = code, details


def require(condition, code, message, *details):
    if not condition:
        raise Refusal(code, message, *details)


def depth(message):
    """How deep messages are nested in this one."""
    parts = [part for field, value in message.ListFields() if field.message_type
             for part in ([value] if hasattr(value, "ListFields") else value)]
    return max((1 + depth(part) for part in parts), default=0)


def detail(field, row=None):
    return gym.ErrorDetail(field=field) if row is None else gym.ErrorDetail(field=field, environment_index=row)


class Batch:
    """What a handle stands for: environments that are reset and stepped together."""

    def __init__(self, make):
        require(make.id == "Balance-v0", gym.UNKNOWN_ENVIRONMENT, f"no {make.id!r} here; there is Balance-v0")
        for options, name in (make.options, "options"), (make.autoreset_options, "autoreset_options"):
            names = [option.name for option in options]
            complete = all(option.value.WhichOneof("value") for option in options)
            require(complete and len(set(names)) == len(names), gym.MALFORMED_MESSAGE, "an option twice, or empty")
            require(not names, gym.INVALID_OPTION, "there are no options", *[detail(f"{name}.{n}") for n in names])
        require(not make.render_mode, gym.UNSUPPORTED_CAPABILITY, "render.v1 is not in force")
        require(make.transport != gym.SHARED_MEMORY, gym.UNSUPPORTED_CAPABILITY, "shared-memory.v1 is not in force")
        require(make.transport in (0, gym.SOCKET), gym.INVALID_ARGUMENT, "no such transport", detail("transport"))
        require(make.autoreset <= gym.DISABLED, gym.INVALID_ARGUMENT, "no such autoreset", detail("autoreset"))
        self.autoreset = make.autoreset or gym.NEXT_STEP
        self.limit = make.max_episode_steps if make.HasField("max_episode_steps") else LIMIT
        self.rows = [Row() for _ in range(make.num_envs or 1)]

    def describe(self, handle):
        n = len(self.rows)
        made = gym.MakeResponse(handle=handle, num_envs=n, spec=spec(), autoreset=self.autoreset,
                                transport=gym.SOCKET, max_episode_steps=self.limit)
        made.observation_space.CopyFrom(made.spec.observation_space)
        made.action_space.CopyFrom(made.spec.action_space)
        made.batched_observation_space.CopyFrom(box([n, 1], -1, 1))
        made.batched_action_space.multi_discrete.shape[:] = [n]
        made.batched_action_space.multi_discrete.nvec[:] = [2] * n
        return made

    def observation(self):
        return [float32([row.position for row in self.rows])]

    def reset(self, request):
        n = len(self.rows)
        mask = request.mask or bytes([1]) * n
        require(len(mask) == n and any(mask) and max(mask) == 1, gym.INVALID_MASK, f"the mask is not {n} of 0 and 1")
        for option in request.options:
            require(option.value.WhichOneof("value"), gym.MALFORMED_MESSAGE, "an option without value")
            raise Refusal(gym.INVALID_OPTION, "there are no options", detail(f"options.{option.name}"))
        seeds = [seed.value if seed.HasField("value") else None for seed in request.seeds]
        require(len(seeds) in (0, 1, n), gym.INVALID_ARGUMENT, f"{len(seeds)} seeds for {n}", detail("seeds"))
        if len(seeds) <= 1:  # one seed s gives row i the seed s + i
            seed = seeds[0] if seeds else None
            seeds = [None if seed is None else (seed + i) % 2**64 for i in range(n)]
        for row, seed, chosen in zip(self.rows, seeds, mask):
            if chosen:
                row.reset(seed)
        return gym.ResetResponse(observation=self.observation(), effective_seeds=[row.seed for row in self.rows])

    def step(self, request):
        n = len(self.rows)
        waiting = [i for i, row in enumerate(self.rows)
                   if row.phase == "fresh" or (row.phase == "ended" and self.autoreset == gym.DISABLED)]
        require(not waiting, gym.NEEDS_RESET, "reset first", *[detail("environment_index", i) for i in waiting])
        tensor = request.action[0].tensor if len(request.action) == 1 else gym.Tensor()
        fits = (tensor.dtype, list(tensor.shape), len(tensor.data)) == (gym.INT64, [n], 8 * n)
        require(fits, gym.INVALID_ACTION, f"the action is not one leaf of INT64 of shape ({n},)", detail("action"))
        actions = struct.unpack(f"<{n}q", tensor.data)
        wrong = [i for i, row in enumerate(self.rows) if row.phase == "running" and actions[i] not in (0, 1)]
        require(not wrong, gym.INVALID_ACTION, "actions are 0 and 1", *[detail("action", i) for i in wrong])
        # Nothing can be refused from here on: a request that is refused must not have stepped anything.
        results = []
        for row, action in zip(self.rows, actions):
            if row.phase == "ended":  # NEXT_STEP: this step resets, whatever the action
                row.reset(None)
                results.append((0.0, False, False))
            else:
                results.append(row.step(action, self.limit))
        ended = [i for i, (_, terminated, truncated) in enumerate(results) if terminated or truncated]
        response = gym.StepResponse(
            rewards=struct.pack(f"<{n}d", *[reward for reward, _, _ in results]),
            terminated=bytes(terminated for _, terminated, _ in results),
            truncated=bytes(truncated for _, _, truncated in results),
            final_index=ended,
            episode_returns=struct.pack(f"<{len(ended)}d", *[self.rows[i].total for i in ended]),
            episode_lengths=struct.pack(f"<{len(ended)}q", *[self.rows[i].steps for i in ended]))
        if ended and self.autoreset == gym.SAME_STEP:  # the last observations, before new episodes replace them
            response.final_observation.append(float32([self.rows[i].position for i in ended]))
            for i in ended:
                self.rows[i].reset(None)
        response.observation.extend(self.observation())
        return response


class Connection:
    """One client: frames in, frames out, and the handles that it has."""

    counts = gym.StatusResponse()  # of all connections
    lock = threading.Lock()  # one request at a time, of whichever connection
    started = time.monotonic()

    def __init__(self, stream):
        self.stream, self.batches, self.handles, self.is_greeted = stream, {}, 0, False
        self.most = LIMITS.max_frame_bytes

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.stream.recv(count - len(data))
            if not piece:
                require(not data and count == 8, gym.MALFORMED_FRAME, "the stream ended inside a frame")
                raise EOFError
            data += piece
        self.counts.bytes_received += count
        return data

    def send(self, response):
        body = response.SerializeToString()
        if len(body) > self.most:
            error = gym.Error(code=gym.RESPONSE_TOO_LARGE, message=f"{len(body)} bytes; at most {self.most} can go")
            body = gym.Response(id=response.id, handle=response.handle, error=error).SerializeToString()
        self.stream.sendall(struct.pack("<IBBH", len(body), 2, 0, 0) + body)
        self.counts.bytes_sent += 8 + len(body)

    def serve(self):
        with self.lock:
            self.counts.connections += 1
            self.counts.connections_total += 1
            self.session, has_room = self.counts.connections_total, self.counts.connections <= LIMITS.max_connections
        try:
            while True:
                request, response = gym.Request(), gym.Response()
                try:
                    require(has_room, gym.TOO_MANY_CONNECTIONS, f"at most {LIMITS.max_connections} connections")
                    self.read(request)
                    response.id, response.handle = request.id, request.handle
                    with self.lock:
                        self.answer(request, response)
                except Refusal as refusal:
                    self.counts.errors += 1
                    response.error.CopyFrom(gym.Error(code=refusal.code, message=str(refusal),
                                                      fatal=refusal.code < 16, details=refusal.details))
                self.send(response)
                if response.error.fatal:
                    break
        except (EOFError, OSError):
            pass
        finally:
            with self.lock:
                self.counts.connections -= 1
                self.counts.environments -= sum(len(batch.rows) for batch in self.batches.values())
            self.stream.close()

    def read(self, request):
        length, kind, flags, reserved = struct.unpack("<IBBH", self.exactly(8))
        require((kind, flags, reserved) == (1, 0, 0), gym.MALFORMED_FRAME, "not the header of a request")
        require(length <= LIMITS.max_frame_bytes, gym.FRAME_TOO_LARGE, f"at most {LIMITS.max_frame_bytes} bytes")
        body = self.exactly(length) if length else b""
        try:
            request.ParseFromString(body)
            assert depth(request) <= 64  # F8; decoders of protobuf take more
        except Exception:
            request.Clear()
            require(self.is_greeted, gym.HELLO_EXPECTED, "the first message is a hello")
            raise Refusal(gym.MALFORMED_MESSAGE, "the body is not a gym.v1.Request") from None

    def answer(self, request, response):
        kind = request.WhichOneof("message")
        require(self.is_greeted or kind == "hello", gym.HELLO_EXPECTED, "the first message is a hello")
        require(kind, gym.UNKNOWN_MESSAGE, "an empty request, or one of a later version")
        if kind in ("hello", "ping", "status", "list", "make", "shutdown"):
            reply = getattr(self, kind)(getattr(request, kind))
        else:
            require(request.handle in self.batches, gym.UNKNOWN_HANDLE, f"there is no handle {request.handle}")
            batch = self.batches[request.handle]
            if kind == "close":
                self.counts.environments -= len(self.batches.pop(request.handle).rows)
                reply = gym.CloseResponse()
            elif kind in ("reset", "step"):
                reply = getattr(batch, kind)(getattr(request, kind))
                self.counts.steps += len(batch.rows) if kind == "step" else 0
            else:
                raise Refusal(gym.UNSUPPORTED_CAPABILITY, f"{kind} needs a capability that is not in force")
        getattr(response, kind).CopyFrom(reply)
        getattr(response, kind).SetInParent()

    def hello(self, hello):
        require(not self.is_greeted, gym.INVALID_ARGUMENT, "hello was said already")
        require(hello.major == 1, gym.UNSUPPORTED_VERSION,
                f"this is version 1.0, the client's {hello.major}.{hello.minor}",
                gym.ErrorDetail(field="major", expected="1", got=str(hello.major)))
        self.is_greeted = True
        if hello.max_frame_bytes:
            self.most = min(self.most, max(4096, hello.max_frame_bytes))
        return gym.HelloResponse(major=1, minor=0, server_name="tutorial", server_version="1", limits=LIMITS,
                                 session_id=self.session)

    def ping(self, _):
        return gym.PingResponse()

    def status(self, _):
        self.counts.uptime_seconds = time.monotonic() - self.started
        return self.counts

    def list(self, _):
        return gym.ListResponse(environments=[spec()])

    def make(self, make):
        wanted = sum(len(batch.rows) for batch in self.batches.values()) + max(1, make.num_envs)
        # Before anything is made: nobody may have the server make four billion environments.
        require(wanted <= LIMITS.max_environments and len(self.batches) < LIMITS.max_handles, gym.LIMIT_EXCEEDED,
                f"at most {LIMITS.max_environments} environments and {LIMITS.max_handles} handles")
        batch = Batch(make)
        reply = batch.describe(self.handles + 1)
        # What cannot be answered was not made (H6).
        require(reply.ByteSize() + 32 <= self.most, gym.RESPONSE_TOO_LARGE, f"the answer has {reply.ByteSize()} bytes")
        self.handles += 1
        self.batches[self.handles] = batch
        self.counts.environments += len(batch.rows)
        return reply

    def shutdown(self, _):
        raise Refusal(gym.NOT_ALLOWED, "this server is ended by whoever started it")


def main(path):
    os.umask(0o177)  # the socket is its owner's alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print(f"listening on unix:{path}", flush=True)
        try:
            while True:
                threading.Thread(target=Connection(listener.accept()[0]).serve, daemon=True).start()
        finally:
            os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1])
