"""Updates of DQN, TD3 and SAC in PyTorch, by automatic differentiation, that the tests of Agents compare with.

The minibatches and the noise come from NumPy's generators, seeded as the project's streams are: both sides draw the
same. Needs torch and numpy (2.13.0 and 2.4.6 made the committed file).

Usage: python3 Tests/Fixtures/pytorch/dump_off_policy.py > Tests/Fixtures/pytorch/off-policy.json
"""
import json
import numpy as np
import torch
import torch.nn.functional as F

OBSERVATION, ACTION, HIDDEN, COUNT, BATCH, SEED, UPDATES, GAMMA, TAU, RATE = 3, 2, [6, 5], 11, 7, 5, 4, 0.9, 0.05, 0.01
torch.manual_seed(3)


def flat(tensor):
    return [float(f"{float(x):.9g}") for x in tensor.detach().reshape(-1)]


def stream(*key):
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(SEED, spawn_key=key)))


class Networks:
    """Networks by name, with their start for the record."""

    def __init__(self):
        self.modules = {}

    def add(self, name, sizes):
        layers = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
        self.modules[name] = layers
        return lambda x: self.forward(layers, x)

    @staticmethod
    def forward(layers, x):
        for layer in layers[:-1]:
            x = F.relu(layer(x))
        return layers[-1](x)

    def parameters(self, *names):
        return [p for name in names for layer in self.modules[name] for p in layer.parameters()]

    def follow(self, target, source):
        with torch.no_grad():
            for t, s in zip(self.parameters(target), self.parameters(source)):
                t += TAU * (s - t)

    def record(self):
        # Ours are (inputs, outputs), PyTorch's (outputs, inputs).
        return {
            f"{name}.{i}.{kind}": flat(layer.weight.T if kind == "weight" else layer.bias)
            for name, layers in self.modules.items() for i, layer in enumerate(layers) for kind in ("weight", "bias")
        }


def transitions(actions):
    return {
        "observations": torch.randn(COUNT, OBSERVATION), "next_observations": torch.randn(COUNT, OBSERVATION),
        "actions": actions, "rewards": torch.randn(COUNT), "terminated": (torch.rand(COUNT) < 0.3).float(),
    }


def minibatches(data):
    generator = stream(2)
    for _ in range(UPDATES):
        rows = [int(generator.integers(0, COUNT)) for _ in range(BATCH)]
        yield [data[k][rows] for k in ("observations", "actions", "rewards", "next_observations", "terminated")]


class Noise:
    """Each half of a minibatch has a generator of its own."""

    def __init__(self):
        self.generators = [stream(5, half) for half in range(2)]
        self.rows = [(BATCH + 1) // 2, BATCH // 2]

    def draw(self, scale=1.0):
        return torch.tensor(np.array(
            [[g.standard_normal() * scale for _ in range(ACTION)] for g, n in zip(self.generators, self.rows)
             for _ in range(n)], dtype=np.float32))

    def draw_pair(self):
        """For each half first what belongs to its observations, then what belongs to the next ones."""
        now, following = [], []
        for g, n in zip(self.generators, self.rows):
            for part in (now, following):
                part += [[g.standard_normal() for _ in range(ACTION)] for _ in range(n)]
        return (torch.tensor(np.array(part, dtype=np.float32)) for part in (now, following))


def case(data, networks, body):
    start = networks.record()
    losses = body()
    return {**{k: flat(v) for k, v in data.items()}, "start": start, "end": networks.record(), **losses}


class Priorities:
    """Transitions drawn in proportion to p^alpha, one from each of as many equal stretches of their sum."""

    ALPHA, BETA, EPSILON = 0.6, 0.7, 1e-6

    def __init__(self):
        self.generator = stream(2)
        self.values = np.ones(COUNT)

    def draw(self):
        total = self.values.sum()
        points = [total / BATCH * (i + self.generator.random()) for i in range(BATCH)]
        self.rows = np.searchsorted(np.cumsum(self.values), points, side="right")
        weights = (COUNT * self.values[self.rows] / total) ** -self.BETA
        return torch.tensor(weights / weights.max(), dtype=torch.float32)

    def update(self, errors):
        for row, error in zip(self.rows, errors):
            self.values[row] = (abs(float(error)) + self.EPSILON) ** self.ALPHA


def prioritised_minibatches(data, priorities):
    for _ in range(UPDATES):
        weights = priorities.draw()
        yield [
            *(data[k][priorities.rows] for k in ("observations", "actions", "rewards", "next_observations", "terminated")),
            weights]


def dqn(double, dueling, prioritised=False):
    choices = 3
    data = transitions(torch.randint(choices, (COUNT,)).float())
    networks = Networks()
    width = choices + (1 if dueling else 0)
    raw, raw_target = (networks.add(n, [OBSERVATION] + HIDDEN + [width]) for n in ("q_net", "q_net_target"))

    def head(x):
        return x[:, :1] + x[:, 1:] - x[:, 1:].mean(1, keepdim=True) if dueling else x

    def body():
        optimiser = torch.optim.Adam(networks.parameters("q_net"), lr=RATE)
        losses = []
        priorities = Priorities()
        drawn = (
            prioritised_minibatches(data, priorities) if prioritised
            else ([*m, torch.ones(BATCH)] for m in minibatches(data)))
        for s, a, r, s2, done, weights in drawn:
            with torch.no_grad():
                following = head(raw_target(s2))
                chosen = (head(raw(s2)) if double else following).argmax(1, keepdim=True)
                y = r + (1 - done) * GAMMA * following.gather(1, chosen)[:, 0]
            q = head(raw(s)).gather(1, a.long()[:, None])[:, 0]
            loss = (weights * F.smooth_l1_loss(q, y, reduction="none")).mean()
            if prioritised:
                priorities.update((q - y).detach())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(networks.parameters("q_net"), 0.5)
            optimiser.step()
            losses.append(float(loss))
        networks.follow("q_net_target", "q_net")
        return {"loss": sum(losses) / UPDATES}

    return {"double": double, "dueling": dueling, "prioritised": prioritised, **case(data, networks, body)}


def td3():
    data = transitions(2 * torch.rand(COUNT, ACTION) - 1)
    networks = Networks()
    actor, actor_target = (networks.add(n, [OBSERVATION] + HIDDEN + [ACTION]) for n in ("actor", "actor_target"))
    q = [networks.add(f"qf{i}", [OBSERVATION + ACTION] + HIDDEN + [1]) for i in range(2)]
    q_target = [networks.add(f"qf{i}_target", [OBSERVATION + ACTION] + HIDDEN + [1]) for i in range(2)]

    def body():
        actor_optimiser = torch.optim.Adam(networks.parameters("actor"), lr=RATE)
        critic_optimiser = torch.optim.Adam(networks.parameters("qf0", "qf1"), lr=RATE)
        noise = Noise()
        actor_losses, critic_losses = [], []
        for update, (s, a, r, s2, done) in enumerate(minibatches(data)):
            with torch.no_grad():
                a2 = (torch.tanh(actor_target(s2)) + noise.draw(0.6).clamp(-0.5, 0.5)).clamp(-1, 1)
                x2 = torch.cat([s2, a2], 1)
                y = r[:, None] + (1 - done[:, None]) * GAMMA * torch.min(q_target[0](x2), q_target[1](x2))
            x = torch.cat([s, a], 1)
            loss = sum(F.mse_loss(f(x), y) for f in q)
            critic_optimiser.zero_grad()
            loss.backward()
            critic_optimiser.step()
            critic_losses.append(float(loss))
            if (update + 1) % 2 == 0:
                loss = -q[0](torch.cat([s, torch.tanh(actor(s))], 1)).mean()
                actor_optimiser.zero_grad()
                loss.backward()
                actor_optimiser.step()
                actor_losses.append(float(loss))
                for name in ("actor", "qf0", "qf1"):
                    networks.follow(name + "_target", name)
        return {
            "critic_loss": sum(critic_losses) / UPDATES, "actor_loss": sum(actor_losses) / len(actor_losses)}

    return case(data, networks, body)


def sac(value_network):
    data = transitions(2 * torch.rand(COUNT, ACTION) - 1)
    networks = Networks()
    actor = networks.add("actor", [OBSERVATION] + HIDDEN + [2 * ACTION])
    q = [networks.add(f"qf{i}", [OBSERVATION + ACTION] + HIDDEN + [1]) for i in range(2)]
    if value_network:
        v, v_target = (networks.add(n, [OBSERVATION] + HIDDEN + [1]) for n in ("vf0", "vf0_target"))
    else:
        q_target = [networks.add(f"qf{i}_target", [OBSERVATION + ACTION] + HIDDEN + [1]) for i in range(2)]

    def act(s, noise):
        mean, log_deviation = actor(s).chunk(2, 1)
        log_deviation = log_deviation.clamp(-20, 2)
        u = mean + log_deviation.exp() * noise
        log_probability = torch.distributions.Normal(mean, log_deviation.exp()).log_prob(u)
        log_probability = log_probability - 2 * (np.log(2) - u - F.softplus(-2 * u))
        return torch.tanh(u), log_probability.sum(1, keepdim=True)

    def body():
        log_temperature = torch.tensor(np.log(0.5), dtype=torch.float32, requires_grad=True)
        optimisers = [
            torch.optim.Adam(p, lr=RATE) for p in (
                [log_temperature], networks.parameters("qf0", "qf1"), networks.parameters("actor"),
                networks.parameters("vf0") if value_network else [torch.zeros(1, requires_grad=True)])
        ]
        noise = Noise()
        losses = {"critic_loss": [], "actor_loss": [], "value_loss": [], "ent_coef_loss": []}

        def apply(index, loss, name):
            optimisers[index].zero_grad()
            loss.backward()
            optimisers[index].step()
            losses[name].append(float(loss.detach()))

        for s, a, r, s2, done in minibatches(data):
            if value_network:
                noise_now = noise.draw()
            else:
                noise_now, noise_next = noise.draw_pair()
            a_now, log_now = act(s, noise_now)
            temperature = log_temperature.exp().detach()
            apply(0, -(log_temperature * (log_now - ACTION).detach()).mean(), "ent_coef_loss")
            with torch.no_grad():
                if value_network:
                    following = v_target(s2)
                else:
                    a2, log2 = act(s2, noise_next)
                    x2 = torch.cat([s2, a2], 1)
                    following = torch.min(q_target[0](x2), q_target[1](x2)) - temperature * log2
                y = r[:, None] + (1 - done[:, None]) * GAMMA * following
            x = torch.cat([s, a], 1)
            apply(1, 0.5 * sum(F.mse_loss(f(x), y) for f in q), "critic_loss")
            x_now = torch.cat([s, a_now], 1)
            least = torch.min(q[0](x_now), q[1](x_now))
            y_value = (least - temperature * log_now).detach()
            apply(2, (temperature * log_now - least).mean(), "actor_loss")
            if value_network:
                apply(3, 0.5 * F.mse_loss(v(s), y_value), "value_loss")
                networks.follow("vf0_target", "vf0")
            else:
                for name in ("qf0", "qf1"):
                    networks.follow(name + "_target", name)
        means = {name: sum(values) / len(values) for name, values in losses.items() if values}
        return {"ent_coef": float(log_temperature.exp().detach()), **means}

    return {"value_network": value_network, **case(data, networks, body)}


plain = {"dqn": [dqn(False, False), dqn(True, True)], "td3": td3(), "sac": [sac(False), sac(True)]}
plain["dqn"].append(dqn(False, False, prioritised=True))

print(json.dumps({
    "torch": torch.__version__,
    "shape": {
        "observation": OBSERVATION, "action": ACTION, "hidden": HIDDEN, "count": COUNT, "batch": BATCH, "seed": SEED,
        "updates": UPDATES, "gamma": GAMMA, "tau": TAU, "rate": RATE,
    },
    **plain,
}, separators=(",", ":")))
