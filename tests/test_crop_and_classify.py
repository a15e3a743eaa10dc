"""The JAX example, at a size that tests can wait for."""

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import jax.numpy as jnp
from typer.testing import CliRunner

from examples import crop_and_classify as example


def test_a_batch_is_padded_and_told_apart():
    (images, rois, labels), (other, *_) = example.batches("train", 0, 2)
    assert images.shape == (8, 3, 160, 160)
    assert rois.shape == (56, 5)
    assert labels.shape == (56,)
    known = rois[:, 0] >= 0
    assert 8 <= known.sum() < 56
    assert (rois[known, 3] > rois[known, 1]).all()
    assert not np.array_equal(images, other)
    assert not np.array_equal(images, next(example.batches("test", 0, 1))[0])


def test_padding_changes_nothing():
    batch = images, rois, labels = next(example.batches("train", 0, 1))
    params = example.init(jax.random.key(0))
    known = rois[:, 0] >= 0
    alone = example.loss(params, (images, rois[known], labels[known]))
    assert jnp.allclose(example.loss(params, batch), alone, rtol=1e-5)


def test_the_gradient_passes_the_crop():
    params = example.init(jax.random.key(0))
    batch = next(example.batches("train", 0, 1))
    gradient = jax.jit(jax.grad(example.loss))(params, batch)
    assert all(jnp.any(value != 0) for value in gradient.values())


def test_the_command(tmp_path):
    arguments = ["--steps", "12", "--test-scenes", "8", "--output", str(tmp_path)]
    done = CliRunner().invoke(example.app, arguments)
    assert done.exit_code == 1
    assert "that is below 85%: train for more steps" in done.output
    assert (tmp_path / "losses.png").stat().st_size > 5000
