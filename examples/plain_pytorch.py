"""Cached features in a training loop of your own: plain PyTorch, nothing of emo but the reading.

python plain_pytorch.py features.zarr clips.csv hubert
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import emo


def tensors(space, clips, labels):
    """Features (N, D) and label numbers (N,) of the clips that have a feature and a label."""
    chosen = [clip for clip in clips if clip.label and clip.clip_id in space]
    features = torch.from_numpy(space.stack([clip.clip_id for clip in chosen], "utterance")).float()
    return features, torch.tensor([labels.index(clip.label) for clip in chosen])


def train(cache, manifest, encoder="hubert", epochs=20):
    """Train a small classifier on the train split; returns it and its share of right answers on test."""
    torch.manual_seed(0)
    space = emo.open(cache)[encoder]
    clips = emo.read_manifest(manifest)
    labels = sorted({clip.label for clip in clips if clip.label})
    split = {name: [clip for clip in clips if clip.split == name] for name in ("train", "test")}
    features, targets = tensors(space, split["train"], labels)
    mean, spread = features.mean(0), features.std(0) + 1e-6
    model = nn.Sequential(nn.Linear(features.shape[1], 32), nn.ReLU(), nn.Linear(32, len(labels)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset((features - mean) / spread, targets), batch_size=16, shuffle=True)
    for _ in range(epochs):
        for batch, wanted in loader:
            loss = nn.functional.cross_entropy(model(batch), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    unseen, truth = tensors(space, split["test"], labels)
    with torch.no_grad():
        right = model((unseen - mean) / spread).argmax(1) == truth
    return model, right.float().mean().item()


if __name__ == "__main__":
    _, right = train(*sys.argv[1:])
    print(f"{right:.0%} of the test clips right")
