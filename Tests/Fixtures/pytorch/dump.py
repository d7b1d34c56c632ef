"""Numbers from PyTorch that NeuralNetwork's tests compare with. Needs torch (2.13.0 made the committed file).

Usage: python3 Tests/Fixtures/pytorch/dump.py > Tests/Fixtures/pytorch/network.json
"""
import json
import torch

torch.manual_seed(1)
torch.set_default_dtype(torch.float32)


def flat(tensor):
    return [float(f"{float(x):.9g}") for x in tensor.detach().reshape(-1)]


def network(activation, sizes, rows, layer_norm=False):
    layers = []
    for i in range(len(sizes) - 1):
        layers.append(torch.nn.Linear(sizes[i], sizes[i + 1]))
        if i < len(sizes) - 2:
            if layer_norm:
                layers.append(torch.nn.LayerNorm(sizes[i + 1]))
            layers.append(activation())
    model = torch.nn.Sequential(*layers)
    linear = [m for m in model if isinstance(m, torch.nn.Linear)]
    norms = [m for m in model if isinstance(m, torch.nn.LayerNorm)]
    for m in norms:
        torch.nn.init.normal_(m.weight, 1.0, 0.3)
        torch.nn.init.normal_(m.bias, 0.0, 0.3)
    x = torch.randn(rows, sizes[0], requires_grad=True)
    output_gradient = torch.randn(rows, sizes[-1])
    case = {
        "activation": activation.__name__.lower(), "sizes": sizes, "rows": rows, "input": flat(x),
        "output_gradient": flat(output_gradient),
        # Ours are (inputs, outputs), PyTorch's (outputs, inputs).
        "parameters": [[flat(m.weight.T), flat(m.bias)] for m in linear],
        "norms": [[flat(m.weight), flat(m.bias)] for m in norms],
    }
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-5)
    for step in range(3):
        optimiser.zero_grad()
        x.grad = None
        y = model(x)
        y.backward(output_gradient)
        if step == 0:
            case["output"] = flat(y)
            case["input_gradient"] = flat(x.grad)
            case["gradient"] = [[flat(m.weight.grad.T), flat(m.bias.grad)] for m in linear]
            case["norms_gradient"] = [[flat(m.weight.grad), flat(m.bias.grad)] for m in norms]
            case["gradient_norm"] = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5))
        else:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
    case["after_three_steps"] = [[flat(m.weight.T), flat(m.bias)] for m in linear]
    case["norms_after_three_steps"] = [[flat(m.weight), flat(m.bias)] for m in norms]
    return case


def categorical(choices, rows):
    logits = (2 * torch.randn(rows, choices)).requires_grad_()
    actions = torch.randint(choices, (rows,))
    distribution = torch.distributions.Categorical(logits=logits)
    log_probability, entropy = distribution.log_prob(actions), distribution.entropy()
    (1.5 * log_probability - 0.25 * entropy).sum().backward()
    return {
        "choices": choices, "logits": flat(logits), "actions": [int(a) for a in actions],
        "log_probability": flat(log_probability), "entropy": flat(entropy), "gradient": flat(logits.grad),
    }


def gaussian(count, rows):
    mean = torch.randn(rows, count, requires_grad=True)
    log_deviation = (0.5 * torch.randn(count)).requires_grad_()
    actions = torch.randn(rows, count)
    distribution = torch.distributions.Normal(mean, log_deviation.exp())
    log_probability, entropy = distribution.log_prob(actions).sum(1), distribution.entropy().sum(1)
    (1.5 * log_probability).sum().backward()
    return {
        "count": count, "mean": flat(mean), "log_deviation": flat(log_deviation), "actions": flat(actions),
        "log_probability": flat(log_probability), "entropy": flat(entropy), "mean_gradient": flat(mean.grad),
        "log_deviation_gradient": flat(log_deviation.grad),
    }


cases = {
    "torch": torch.__version__,
    "networks": [
        network(torch.nn.Tanh, [3, 17, 5, 2], 7),
        network(torch.nn.ReLU, [4, 19, 18], 5),
    ],
    "categorical": categorical(4, 6),
    "gaussian": gaussian(3, 5),
}
# Drawn last: the numbers before stay what they were.
cases["networks"] += [
    network(torch.nn.Tanh, [3, 17, 5, 2], 7, layer_norm=True),
    network(torch.nn.ReLU, [4, 40, 18, 1], 9, layer_norm=True),
]
print(json.dumps(cases, separators=(",", ":")))
