"""Batch normalisation of a frozen tower stays what it was."""

import torch
from torch import nn

from bye_core.train.adapter import keep_batch_statistics


def test_training_neither_uses_nor_changes_the_statistics_of_a_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    pixels = 5 + torch.randn(2, 3, 8, 8)
    before, stored = model(pixels), model[1].running_mean.clone()
    keep_batch_statistics(model)
    model.train()
    torch.testing.assert_close(model(pixels), before)
    torch.testing.assert_close(model[1].running_mean, stored)
    assert model[0].training
