"""Table `model_name`: which spelling of a model's name the view `datasets` shows."""

from __future__ import annotations

import sqlite3

from engine.store.connection import transaction
from engine.store.views import MODELS
from taxonomy.model import ABSTENTIONS
from taxonomy.model_names import usual_spellings

_NAMES = """
SELECT j.value, count(*) FROM dataset d
JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'extract'
JOIN field_value v ON v.result_id = i.result_id AND v.field = ?
JOIN json_each(v.value) j
WHERE j.type = 'text' GROUP BY 1
"""
_PEOPLE = """
SELECT j.value, count(*) FROM override o JOIN json_each(o.value) j
WHERE o.field = ? AND j.type = 'text' GROUP BY 1
"""


def canonicalize(conn: sqlite3.Connection) -> int:
    """Choose the spelling of every model's name anew, over all cards; a spelling that a person used wins.

    What was read from the cards stays as it is in `field_value`. `conn` must be in autocommit mode; nothing is
    written where nothing differs.

    Returns:
        How many names are shown in another spelling than their own.
    """
    with transaction(conn):
        counts = {name: n for name, n in conn.execute(_NAMES, (MODELS,)) if name not in ABSTENTIONS}
        people = {name: n for name, n in conn.execute(_PEOPLE, (MODELS,)) if name not in ABSTENTIONS}
        usual = usual_spellings(counts, preferred=people)
        if usual != dict(conn.execute("SELECT raw, canonical FROM model_name")):
            conn.execute("DELETE FROM model_name")
            conn.executemany("INSERT INTO model_name (raw, canonical) VALUES (?, ?)", sorted(usual.items()))
    return len(usual)
