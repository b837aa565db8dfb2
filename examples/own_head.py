"""A head of your own: each feature is let through as far as a gate made of itself allows.

emo train-head --manifest manifest.jsonl --head own_head:GatedSum --set width=32

Run it in this folder, or put the folder on PYTHONPATH.
"""

from torch import nn


class GatedSum(nn.Module):
    """Per feature tanh(V x) * sigmoid(U x), summed over the features that are there."""

    def __init__(self, dims, classes, *, width=64, dropout=0.3):
        super().__init__()
        size = int(width)
        self.values = nn.ModuleDict({name: nn.Linear(dim, size) for name, dim in dims.items()})
        self.gates = nn.ModuleDict({name: nn.Linear(dim, size) for name, dim in dims.items()})
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))

    def forward(self, batch):
        """Logits (B, classes); `batch.present` has zeros where a clip lacks the feature, the mask says so."""
        fused = 0
        for name in self.values:
            feature, there = batch.present(name), batch.masks[name].unsqueeze(1)
            fused = fused + there * self.values[name](feature).tanh() * self.gates[name](feature).sigmoid()
        return self.classifier(fused)
