"""SyncNet's shapes and arithmetic; its weights are not free to ship."""

import numpy as np
import pytest
import torch

from vlogger.errors import UserError
from vlogger.evaluation import syncnet
from vlogger.types import Audio


def test_mfcc_as_python_speech_features_counts_them():
    """A second of a tone: 99 columns of 13; the first is the log of the energy, and a louder tone moves it alone."""
    tone = 0.1 * torch.sin(torch.arange(16000) * 0.3)
    quiet, loud = syncnet.mfcc(tone), syncnet.mfcc(2 * tone)
    assert quiet.shape == (99, 13)
    assert loud[5:-5, 0] - quiet[5:-5, 0] == pytest.approx(np.log(4), abs=1e-6)
    assert loud[5:-5, 1:] == pytest.approx(quiet[5:-5, 1:], abs=1e-6)


def test_filters_are_triangles_between_their_corners():
    bank = syncnet.filters()
    assert bank.shape == (26, 257) and bank.max() <= 1 and (bank.sum(1) > 0).all() and bank[:, 0].sum() == 0


def test_offsets_find_the_shift_of_what_is_said():
    seen = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    means = syncnet.offset_distances(seen, seen.roll(4, 0))
    assert int(means.argmin()) - syncnet.SHIFT == 4 and means.median() - means.min() > 2


def test_the_state_dict_of_syncnet_is_read_and_gives_two_numbers(film, tmp_path):
    torch.manual_seed(0)
    torch.save(syncnet.SyncNet().state_dict(), tmp_path / "s.model")
    network = syncnet.load_syncnet(tmp_path / "s.model")
    sound = Audio(0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(0)), 16000)
    found = syncnet.lse(network, film.frames, film.points, sound)
    assert found["lse_d"] > 0 and found["lse_c"] >= 0
    assert np.isnan(syncnet.lse(network, film.frames[:4], film.points, sound)["lse_d"])
    torch.save({"a": torch.zeros(1)}, tmp_path / "t.model")
    for name in ("t.model", "u.model"):
        with pytest.raises(UserError, match=name):
            syncnet.load_syncnet(tmp_path / name)
