"""Prints `digests.rs`: what each method makes of generated models, by numpy, from the definitions in docs/merge.md alone.

    python reference.py > digests.rs        (numpy, blake3)
"""

import math
import sys

import numpy as np
from blake3 import blake3

SHAPE = (6, 50001)
NAME = b"model.layers.1.mlp.weight"
WEIGHTS = [0.5, 0.3, 0.4]
EPSILON = 0.2
np.seterr(all="ignore")


def symmetric(seed, n):
    """SplitMix64, its upper 24 bits as f32 from -1 to 1."""
    z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def odd(x):
    """The f32 towards zero, with its last bit set if it is not the number."""
    y = x.astype(np.float32)
    e, u = y.astype(np.float64), y.view(np.uint32).copy()
    u[np.abs(e) > np.abs(x)] -= np.uint32(1)
    u[e != x] |= np.uint32(1)
    return u


def to_bf16(x):
    u = odd(x).astype(np.uint64)
    return ((u + np.uint64(0x7FFF) + ((u >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)


def to_f16(x):
    return odd(x).view(np.float32).astype(np.float16)


TYPES = {
    "F32": (lambda a: a, lambda a: a.astype(np.float64), lambda x: x.astype(np.float32)),
    "Bf16": (
        lambda a: (a.view(np.uint32) >> np.uint32(16)).astype(np.uint16),
        lambda a: (a.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64),
        to_bf16,
    ),
    "F16": (lambda a: a.astype(np.float16), lambda a: a.astype(np.float64), to_f16),
}


def total(v):
    """Plainly in blocks of 4096, then in pairs."""
    v = np.asarray(v).ravel()
    p = np.zeros(-(-v.size // 4096) * 4096)
    p[: v.size] = v
    s = np.add.accumulate(p.reshape(-1, 4096), axis=1)[:, -1]
    while s.size > 1:
        s = np.append(s, 0.0) if s.size & 1 else s
        s = s[0::2] + s[1::2]
    return float(s[0])


def weighted(x, w, divisor=None):
    acc = w[0] * x[0]
    for k, a in zip(w[1:], x[1:]):
        acc = acc + k * a
    return acc if divisor is None else acc / divisor


def plain(w):
    s = w[0]
    for k in w[1:]:
        s = s + k
    return s


def arc(t, cosine):
    th = math.acos(cosine)
    return [math.sin((1 - t) * th), math.sin(t * th)], math.sin(th)


def nuslerp_weights(t, a, c):
    length = lambda v: max(math.sqrt(total(v * v)), 1e-7)
    cosine = min(max(total(a * c) / (length(a) * length(c)), -1.0), 1.0)
    w, s = arc(t, cosine)
    return (w, s) if abs(s) >= 1e-8 else ([1 - t, t], None)


def key(d):
    return np.abs(d).astype(np.float32)


def top(d, density):
    n = d.size
    k = min(max(int(density * n), 1), n)
    m = np.zeros(n, bool)
    m[np.argsort(-key(d.ravel()), kind="stable")[:k]] = True
    return m.reshape(d.shape)


def drawn(method, model, n, seed=7):
    h = blake3(method.encode() + b"\0" + NAME + b"\0" + model.to_bytes(8, "little")).digest()
    key = np.array([seed, int.from_bytes(h[:8], "little")], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(n)


def probability(d, density):
    a = np.abs(d)
    rank = np.argsort(np.argsort(a, axis=1, kind="stable"), axis=1)
    return density - EPSILON + 2.0 * EPSILON * rank / (a.shape[1] - 1)


def task(b, x, w, masks=None, rescale=None, density=1.0, signs=False, normalize=False, lam=1.0):
    v = []
    for i, a in enumerate(x):
        d = a - b
        if masks is not None:
            full, d = d, d * masks[i]
            if rescale == "l1":
                s0, s1 = total(np.abs(full)), total(np.where(masks[i], np.abs(full), 0.0))
                d = d * (s0 / s1)
            if rescale == "inverse":
                d = d / density
        v.append(d * w[i])
    s = weighted(v, [1.0] * len(v))
    if not signs:
        return b + lam * (s / plain(w) if normalize else s)
    positive = s >= 0
    num, den = np.zeros_like(b), np.zeros_like(b)
    for a, k in zip(v, w):
        agrees = np.where(positive, a > 0, a < 0)
        num = np.where(agrees, num + a, num)
        den = np.where(agrees, den + k, den)
    return b + lam * (np.where(den != 0, num / den, num) if normalize else num)


def stock_t(x, b):
    d = [a - b for a in x]
    n = len(x)
    norms = [math.sqrt(total(a * a)) for a in d]
    cs = [
        min(max(total(d[i] * d[j]) / (norms[i] * norms[j]), -1.0), 1.0)
        for i in range(n)
        for j in range(i + 1, n)
    ]
    c = plain([0.0] + cs) / len(cs)
    return n * c / (1 + (n - 1) * c)


def stock(b, x, t):
    return t * weighted(x, [1.0] * len(x)) / len(x) + (1 - t) * b


def ema(x, decay):
    m = x[0]
    for a in x[1:]:
        m = m + (1 - decay) * (a - m)
    return m


def results(b, x):
    n = b.size
    w = WEIGHTS
    slerp_cos = total(x[0] * x[1]) / (math.sqrt(total(x[0] * x[0])) * math.sqrt(total(x[1] * x[1])))
    assert abs(slerp_cos) < 0.9995, slerp_cos
    yield "linear", weighted(x, w, plain(w))
    yield "sum", weighted(x, w)
    sw, sine = arc(0.3, slerp_cos)
    yield "slerp", weighted(x[:2], sw, sine)
    t = w[1] / (w[0] + w[1])
    nw, sine = nuslerp_weights(t, x[0], x[1])
    yield "nuslerp", weighted(x[:2], nw, sine)
    nw, sine = nuslerp_weights(t, x[0] - b, x[1] - b)
    yield "nuslerp on base", weighted([x[0] - b, x[1] - b], nw, sine) + b
    rows = []
    for p, q in zip(x[0], x[1]):
        nw, sine = nuslerp_weights(t, p, q)
        rows.append(weighted([p, q], nw, sine))
    yield "nuslerp by rows", np.array(rows)
    yield "model-stock", stock(b, x, stock_t(x, b))
    yield "model-stock by rows", np.array(
        [stock(b[r], [a[r] for a in x], stock_t([a[r] for a in x], b[r])) for r in range(b.shape[0])]
    )
    yield "ema", ema(x, 0.9)
    yield "task-arithmetic", task(b, x, w, lam=0.7)
    yield "ties", task(b, x, w, [top(a - b, 0.3) for a in x], signs=True, normalize=True)
    bern = lambda method, p: [(drawn(method, i, n) < p).reshape(b.shape) for i in range(len(x))]
    yield "dare-linear", task(b, x, w, bern("dare-linear", 0.4), "l1")
    yield "dare-linear inverse", task(b, x, w, bern("dare-linear", 0.4), "inverse", 0.4)
    yield "dare-ties", task(b, x, w, bern("dare-ties", 0.4), "l1", signs=True)
    ranked = lambda method: [
        drawn(method, i, n).reshape(b.shape) < probability(a - b, 0.5) for i, a in enumerate(x)
    ]
    yield "della", task(b, x, w, ranked("della"), "l1", signs=True, normalize=True)
    yield "della-linear", task(b, x, w, ranked("della-linear"), "l1")


def main():
    n = SHAPE[0] * SHAPE[1]
    print("//! What `reference.py` says that each method makes of generated models: BLAKE3 of the bytes, the first eight.\n")
    print("use crate::tensor::Dtype;\n")
    print("pub(super) const DIGESTS: &[(Dtype, &str, &str)] = &[")
    for dtype, (made, wide, narrow) in TYPES.items():
        base = symmetric(1, n) * np.float32(0.1)
        models = [base + symmetric(seed, n) * np.float32(0.02) for seed in (2, 3, 4)]
        b = wide(made(base)).reshape(SHAPE)
        x = [wide(made(m)).reshape(SHAPE) for m in models]
        for name, result in results(b, x):
            digest = blake3(np.ascontiguousarray(narrow(result)).tobytes()).hexdigest()[:16]
            print(f'    (Dtype::{dtype}, "{name}", "{digest}"),')
    print("];")


main()
