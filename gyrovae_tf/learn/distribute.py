"""Devices and hosts in, what spreads one training over them out (tf.distribute): strategy, data, and what went wrong.

Every replica gets its part of the global batch that one process would have had, so that the result is the same but for
the order in which sums are made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import cluster as workers
from gyrovae_tf.learn.engine import tf, versions

MIRRORED, MULTIWORKER = "mirrored", "multiworker"
KINDS = (MIRRORED, MULTIWORKER)


@dataclass(frozen=True)
class Team:
    """Over what a training is spread."""

    kind: str | None = None
    """A name of `KINDS`; None: it is not."""
    strategy: Any = None
    """Of tf.distribute; None with one replica, which trains as if nothing were said."""
    replicas: int = 1
    """Copies of the network that share each batch."""
    me: str = ""
    """What messages call this process; empty where there is one."""
    writes: bool = True
    """Whether this process writes run, state and log."""

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where variables are made."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def batches(self, whole: Any, batch: int) -> Any:
        """Batches of images for one process (tf.data) in; each replica's part of each of them out."""
        if self.strategy is None:
            return whole
        rows = batch // self.replicas

        def mine(first: int, count: int) -> Any:
            def divided(images: Any) -> Any:
                parts = tf.reshape(images, (self.replicas, rows, *images.shape[1:]))
                return tf.data.Dataset.from_tensor_slices(parts[first : first + count])

            return whole.flat_map(divided).prefetch(2)

        return self._distributed(mine)

    def held_back(self, whole: Any) -> dict[str, Any]:
        """Batches to validate on in, as `fit` takes them out: each replica goes through all of them.

        So the loss of each is that of one process, whose last batch is a smaller one that cannot be divided.
        """
        if self.strategy is None:
            return {"validation_data": whole}
        steps = int(whole.cardinality())

        def mine(_first: int, count: int) -> Any:
            return whole.flat_map(lambda images: tf.data.Dataset.from_tensors(images).repeat(count)).prefetch(2)

        return {"validation_data": self._distributed(mine), "validation_steps": steps}

    def _distributed(self, mine: Callable[[int, int], Any]) -> Any:
        def own(context: Any) -> Any:
            count = self.replicas // context.num_input_pipelines
            return mine(context.input_pipeline_id * count, count)

        return self.strategy.distribute_datasets_from_function(own)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What TensorFlow says when another worker has ended becomes a `GyrovaeError`."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.kind != MULTIWORKER:
                raise
            reason = " ".join(re.sub(r"\{\{.*?\}\}", "", str(error.message)).split())[:150]
            raise GyrovaeError(
                f"{self.me}: another worker has ended or cannot be reached: {reason}",
                remedy="What was trained is kept by the first worker: the same commands go on with --resume.",
            ) from None


ALONE = Team()
"""One process that trains on one device."""


def check_kind(kind: str | None) -> None:
    """Refuse what is no name of `KINDS`."""
    if kind is not None and kind not in KINDS:
        raise GyrovaeError("unknown way to distribute", expected=" or ".join(KINDS), received=kind)


def cluster_of(kind: str | None) -> workers.Cluster | None:
    """A name of `KINDS` in; where it is multiworker, the cluster that TF_CONFIG describes out."""
    return workers.from_environment() if kind == MULTIWORKER else None


def meet(
    cluster: workers.Cluster | None,
    given: Mapping[str, Any],
    record: Mapping[str, Any],
    state: bytes,
) -> tuple[dict[str, Any], bytes]:
    """What this worker was given, and, of the first, run's record and state, in; those that all begin with out.

    `given` has None for what was left to the first worker.
    """
    if cluster is None:
        return dict(record), state
    mine = {**given, "versions": versions(), "devices": len(_devices(physical=True))}
    return workers.meet(cluster, mine, (record, state))


def team_of(kind: str | None, cluster: workers.Cluster | None, batch: int) -> Team:
    """A name of `KINDS`, the cluster that has met, and windows a step in; who trains together out.

    `GyrovaeError` when the batch cannot be divided, and when TensorFlow was used in this process before several workers
    could be told to it.
    """
    if kind is None:
        return ALONE
    if cluster is not None and len(cluster.addresses) > 1:
        strategy = _several_hosts()
        me, writes = cluster.me, cluster.is_first
    else:
        devices = [device.name for device in _devices()]
        if len(devices) == 1:
            return Team(kind)
        # Collective sums would take those of an earlier training in this process for their own.
        sums = tf.distribute.ReductionToOneDevice()
        strategy, me, writes = tf.distribute.MirroredStrategy(devices, cross_device_ops=sums), "", True
    replicas = int(strategy.num_replicas_in_sync)
    if batch % replicas:
        raise GyrovaeError(
            f"a batch of {batch} windows cannot be divided among {replicas} replicas",
            expected=f"a multiple of {replicas}",
            received=batch,
            remedy=f"Choose --batch {max(batch // replicas, 1) * replicas}.",
        )
    return Team(kind, strategy, replicas, me, writes)


def _devices(*, physical: bool = False) -> list[Any]:
    """The GPUs, or else the processors, that TensorFlow sees."""
    find = tf.config.list_physical_devices if physical else tf.config.list_logical_devices
    return list(find("GPU") or find("CPU"))


def _several_hosts() -> Any:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise GyrovaeError(
            f"TensorFlow cannot be told of other workers: {' '.join(str(error).split())[:200]}",
            remedy="It was used in this process before: train first, in a process of its own.",
        ) from None
    except tf.errors.OpError as error:
        raise GyrovaeError(
            f"the workers cannot reach each other: {' '.join(str(error.message).split())[:200]}",
            remedy="Are all addresses in TF_CONFIG right, and their ports open?",
        ) from None
