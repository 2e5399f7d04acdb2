"""Ids that exist, in about half of the calls: else all would be 404."""

import json
import os
import zlib
from pathlib import Path

import schemathesis

IDS = json.loads(Path(os.environ["WRT_API_IDS"]).read_text())


def known(values):
    # by chance, but the same for the same values, as shrinking wants it
    if not values or zlib.crc32(repr(values).encode()) % 5 < 2:
        return values
    return {k: IDS.get(k, v) for k, v in values.items()}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return known(path_parameters)
