"""The gallery: every operator, in one picture that is light enough for a page."""

import pytest
from PIL import Image

from roipool.descriptions import OPERATORS

pytest.importorskip("skimage")

from examples import gallery


def test_the_gallery_shows_every_operator(tmp_path):
    assert {shown.name for shown in gallery.SHOWN} == set(OPERATORS)
    gallery.main(tmp_path / "made" / "gallery.png")
    with Image.open(tmp_path / "made" / "gallery.png") as image:
        assert min(image.size) > 1500
    assert (tmp_path / "made" / "gallery.png").stat().st_size < 700_000
