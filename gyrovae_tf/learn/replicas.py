"""Copies of a network that train together (tf.distribute): what each computes of what one alone would compute.

A global batch is divided in order of the replicas, in equal parts. Draws are made for the whole batch, so that the draw
of a sample is that of its place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gyrovae_tf.learn.engine import tf


def count() -> int:
    """How many replicas train together: 1 where nothing is distributed."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def own_part(draw: Callable[[Any], Any], rows: Any) -> Any:
    """What draws a value for each of so many rows, and the number of this replica's rows, in; its rows' values out."""
    first = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, rows.dtype) * rows
    return draw(rows * count())[first : first + rows]


def averaged(values: Any) -> Any:
    """A replica's mean over its rows in; the mean over all in value, with the gradient of its own, out.

    A function of the whole batch's mean that is not linear is so computed alike by all, and the gradients, each a share
    of the whole, add up to it.
    """
    replicas = count()
    if replicas == 1:
        return values
    whole = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values) / replicas
    return values + tf.stop_gradient(whole - values)


def share(loss: Any) -> Any:
    """The mean loss of a replica's rows in, its share of the batch's out: optimizers add up the replicas' gradients."""
    replicas = count()
    return loss if replicas == 1 else loss / replicas
