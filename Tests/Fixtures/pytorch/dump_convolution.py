"""Numbers from PyTorch that NeuralNetwork's tests of convolutions compare with. Needs torch (2.13.0 made the committed
file) and NumPy. Parameters, pictures and gradients come from a hash of their place, so that the file need not hold them.

Usage: python3 Tests/Fixtures/pytorch/dump_convolution.py > Tests/Fixtures/pytorch/convolution.json
"""
import json

import numpy
import torch

torch.set_num_threads(1)


def noise(count, seed):
    """Whole numbers from 0 to 2^32 - 1: a hash (Ellis 2018) of place and seed."""
    x = numpy.arange(count, dtype=numpy.uint32) + numpy.uint32(seed * 0x9E3779B9 % 2**32)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> numpy.uint32(15)
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> numpy.uint32(16)
    return x


def reals(count, seed, scale):
    return torch.from_numpy(((noise(count, seed) / 2.0**32 - 0.5) * (2 * scale)).astype(numpy.float32))


def flat(tensor):
    return [float(f"{float(x):.9g}") for x in tensor.detach().reshape(-1)]


def summary(tensor):
    """A gradient's norm, its sum, and every so many-th element."""
    values = tensor.detach().contiguous().reshape(-1)
    stride = max(1, len(values) // 50)
    return {
        "norm": float(values.double().norm()), "sum": float(values.double().sum()), "stride": stride,
        "elements": flat(values[::stride]),
    }


def case(name, rows, planes, height, width, channels, signed, convolutions, sizes):
    shape = (rows, planes, height, width, channels)
    bytes_ = noise(int(numpy.prod(shape)), 1)
    if signed:  # Mostly zeros, as the difference of two pictures.
        pixels = numpy.where(bytes_ % 20 == 0, 1, 0) - numpy.where(bytes_ % 20 == 1, 1, 0)
        scale = 1.0
    else:
        pixels, scale = bytes_ % 256, 1 / 255
    # PyTorch has one axis for planes and channels.
    x = torch.from_numpy((pixels.reshape(shape) * scale).astype(numpy.float32))
    x = x.permute(0, 1, 4, 2, 3).reshape(rows, planes * channels, height, width)
    seed, layers, ours = 10, [], []
    c, h, w = planes * channels, height, width
    for index, (filters, kernel, stride) in enumerate(convolutions):
        p, cin = (planes, channels) if index == 0 else (1, c)
        k = p * cin * kernel * kernel
        weight = reals(k * filters, seed, k**-0.5).reshape(p, kernel, kernel, cin, filters)
        layer = torch.nn.Conv2d(c, filters, kernel, stride)
        layer.weight.data = weight.permute(4, 0, 3, 1, 2).reshape(filters, c, kernel, kernel).contiguous()
        layer.bias.data = reals(filters, seed + 1, 0.1)
        ours.append((layer, lambda t, p=p, cin=cin, kernel=kernel, filters=filters:
                     t.reshape(filters, p, cin, kernel, kernel).permute(1, 3, 4, 2, 0)))
        layers += [layer, torch.nn.ReLU()]
        seed += 2
        c, h, w = filters, (h - kernel) // stride + 1, (w - kernel) // stride + 1
    layers.append(torch.nn.Flatten())
    inputs = c * h * w
    for index, outputs in enumerate(sizes):
        weight = reals(inputs * outputs, seed, inputs**-0.5).reshape(inputs, outputs)
        if index == 0:  # Ours takes (height, width, channels), PyTorch's (channels, height, width).
            def to_torch(t, c=c, h=h, w=w, outputs=outputs):
                return t.reshape(h, w, c, outputs).permute(3, 2, 0, 1).reshape(outputs, -1)

            def to_ours(t, c=c, h=h, w=w, outputs=outputs):
                return t.reshape(outputs, c, h, w).permute(2, 3, 1, 0)
        else:
            def to_torch(t):
                return t.T

            def to_ours(t):
                return t.T
        layer = torch.nn.Linear(inputs, outputs)
        layer.weight.data = to_torch(weight).contiguous()
        layer.bias.data = reals(outputs, seed + 1, 0.1)
        ours.append((layer, to_ours))
        layers += [layer] + ([torch.nn.ReLU()] if index < len(sizes) - 1 else [])
        seed += 2
        inputs = outputs
    model = torch.nn.Sequential(*layers)
    y = model(x)
    y.backward(reals(rows * sizes[-1], 2, 1).reshape(rows, -1))
    return {
        "name": name, "rows": rows, "planes": planes, "height": height, "width": width, "channels": channels,
        "is_signed": signed, "convolutions": convolutions, "sizes": sizes, "output": flat(y),
        "gradients": [g for layer, order in ours
                      for g in (summary(order(layer.weight.grad)), summary(layer.bias.grad))],
    }


print(json.dumps({
    "torch": torch.__version__,
    "cases": [
        case("channels last", 3, 1, 12, 11, 3, False, [[5, 4, 2], [7, 3, 1]], [9, 2]),
        case("two frames of differences", 4, 2, 10, 13, 1, True, [[6, 3, 2], [4, 2, 1]], [8, 3]),
        case("three frames of two channels", 2, 3, 9, 9, 2, False, [[17, 3, 3]], [5]),
        case("the DQN network", 2, 1, 84, 84, 4, False, [[32, 8, 4], [64, 4, 2], [64, 3, 1]], [512, 6]),
    ],
}, separators=(",", ":")))
