"""What the latent space carries: a VAE whose code says nothing calls every window the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.engine import tf
from gyrovae_tf.learn.vae import BRANCHES, VAE, to_float, unit_divergence

_LEAST_NATS = 0.2
_LEAST_GAIN = 0.01
ALIKE = (
    "normal windows look alike but for noise, so a code has nothing to tell of them. The score does not need it: it "
    "measures how far a window is from them. If the machine also runs at other speeds or loads, record these, too."
)
"""What people are told of a run whose metrics say "alike"."""
_MUCH_TO_TELL = 0.1  # by a linear code; where there is less, no code tells anything of use


def latent_use(vae: VAE, images: NDArray[Any]) -> dict[str, dict[str, Any]]:
    """A trained VAE and held-back images (int8 pixels, or float32 as the VAE takes them) in; what its codes carry out.

    For each branch `kl`: divergence of each unit in nats; `error`: squared error a pixel; `shuffled_error`: the same
    when each window is decoded from another window's code (half the set away).
    """
    mean, log_variance, error, shuffled = [], [], [], []
    codes: list[Any] = []
    parts = [images[start : start + 256] for start in range(0, len(images), 256)]
    batches = [to_float(part) if part.dtype == np.int8 else part for part in parts]
    for batch in batches:
        part_mean, part_log_variance = vae.encode(batch)
        mean.append(part_mean)
        log_variance.append(part_log_variance)
    codes = tf.concat(mean, axis=0)
    other = tf.roll(codes, max(len(images) // 2, 1), axis=0)
    for index, batch in enumerate(batches):
        rows = slice(index * 256, index * 256 + len(batch))
        error.append(np.square(batch - vae.decode(codes[rows])).mean(axis=(2, 3, 4)))
        shuffled.append(np.square(batch - vae.decode(other[rows])).mean(axis=(2, 3, 4)))
    units = tf.reduce_mean(unit_divergence(codes, tf.concat(log_variance, axis=0)), axis=0).numpy()
    own, others = np.concatenate(error).mean(axis=0), np.concatenate(shuffled).mean(axis=0)
    return {
        branch: {
            "kl": [float(f"{unit:.6g}") for unit in units[index]],
            "error": float(f"{own[index]:.6g}"),
            "shuffled_error": float(f"{others[index]:.6g}"),
        }
        for index, branch in enumerate(BRANCHES)
    }


def carries(use: dict[str, Any]) -> bool:
    """Whether a branch's code says anything: some divergence, and a worse reconstruction from another's code."""
    return bool(sum(use["kl"]) >= _LEAST_NATS and use["shuffled_error"] >= (1 + _LEAST_GAIN) * use["error"])


def linear_gain(known: NDArray[Any], held_back: NDArray[Any], units: int) -> float:
    """One branch's images [k, 32, 32, 3] of training and of held-back windows in; what there is to tell of them out.

    It is by how much the squared error of held-back windows grows when they are rebuilt from another window's code (as
    in `latent_use`) by the best linear code of so many units, the training windows' principal components; 0.5 is half
    as much again. Noise without structure has next to nothing.
    """
    seen, new = (images.reshape(len(images), -1).astype(np.float64) for images in (known, held_back))
    mean = seen.mean(axis=0)
    components = np.linalg.svd(seen - mean, full_matrices=False)[2][:units]
    off = new - mean
    codes = off @ components.T
    others = np.roll(codes, max(len(new) // 2, 1), axis=0)
    own, other = (float(np.square(off - code @ components).mean()) for code in (codes, others))
    return other / own - 1 if own > 0 else math.inf if other > 0 else 0.0


def check_latent(latent: dict[str, dict[str, Any]], to_tell: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Refuse a model whose codes carry nothing where there is something to tell: it would call everything the same.

    `to_tell` gives each branch's `linear_gain`, and is called only when neither code carries anything. Nothing out
    where one does. Where all normal windows look alike but for noise (less than 0.1 to tell; a machine at one steady
    speed, a device that lies still) no code can carry anything, and none is needed: these gains out.
    """
    if any(carries(use) for use in latent.values()):
        return {}
    gains = to_tell()
    if max(gains.values()) < _MUCH_TO_TELL:
        return gains
    found = "; ".join(
        f"{branch} {sum(use['kl']):.2f} nats and {100 * (use['shuffled_error'] / use['error'] - 1):.1f} % (a linear "
        f"code: {100 * gains[branch]:.0f} %)"
        for branch, use in latent.items()
    )
    if any(sum(use["kl"]) >= _LEAST_NATS for use in latent.values()):
        raise GyrovaeError(
            "the model's code says nothing about held-back windows: it knows those it was trained on, if any",
            expected=f"an error {100 * _LEAST_GAIN:g} % larger from another window's code",
            received=found,
            remedy="Record longer, more of everything that is normal; or start again (--overwrite) with more --epochs.",
        )
    raise GyrovaeError(
        "the model's latent space carries nothing (posterior collapse)",
        expected=f"{_LEAST_NATS} nats or more and an error {100 * _LEAST_GAIN:g} % larger from another window's code",
        received=found,
        remedy="Start again (--overwrite) with more --epochs, a smaller --beta, or motion that varies more.",
    )
