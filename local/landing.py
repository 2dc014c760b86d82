"""A landing folder into which a partner drops CSV files, each complete at the moment it gets its name."""

from __future__ import annotations

import csv
import random
from datetime import datetime
from pathlib import Path

_ARTICLES = ("lamp", "chair", "table", "shelf", "carpet")


def drop(folder: Path, now: datetime, chance: random.Random) -> Path:
    """Writes one file below `folder`/partner, named by `now`; answers its path."""
    path = folder / "partner" / f"{now:%Y-%m-%d}" / f"sales-{now:%H%M%S}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".csv.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sold_at", "article", "pieces", "price"])
        for _ in range(chance.randint(5, 50)):
            price = round(chance.uniform(10, 400), 2)
            writer.writerow([now.isoformat(), chance.choice(_ARTICLES), chance.randint(1, 9), price])
    return part.rename(path)
