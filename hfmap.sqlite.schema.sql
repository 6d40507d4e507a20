-- hfmap: the database. One file holds all that a run learns; every view below is a promise to people
-- who write SQL against it. Times are ISO-8601 UTC text, booleans 0/1, lists JSON, vectors little-endian
-- float32. A new version of this file comes with a migration in engine/store/migrations.py.

PRAGMA application_id = 1751543152; -- the bytes "hfmp"
PRAGMA user_version = 3;

-- One row per command that wrote to the database.
CREATE TABLE run (
    run_id      INTEGER PRIMARY KEY,
    command     TEXT NOT NULL,
    source      TEXT,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    outcome     TEXT NOT NULL DEFAULT 'running'
                CHECK (outcome IN ('running', 'done', 'partial', 'failed', 'budget', 'interrupted')),
    exit_code   INTEGER,
    settings    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
    counts      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(counts)),
    seconds     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(seconds)),
    host        TEXT,
    pid         INTEGER
) STRICT;

-- One row per dataset ever seen. `rank` is its place in the newest listing, NULL once it is not in it.
CREATE TABLE dataset (
    dataset_id         INTEGER PRIMARY KEY,
    repo_id            TEXT NOT NULL UNIQUE,
    author             TEXT,
    name               TEXT NOT NULL,
    pretty_name        TEXT,
    url                TEXT,
    rank               INTEGER CHECK (rank >= 1),
    on_map             INTEGER NOT NULL DEFAULT 0 CHECK (on_map IN (0, 1)),
    likes              INTEGER,
    downloads          INTEGER,
    downloads_all_time INTEGER,
    trending_score     REAL,
    created_at         TEXT,
    last_modified      TEXT,
    sha                TEXT,
    gated              TEXT,
    private            INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)),
    disabled           INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    tags               TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
    license            TEXT,
    metadata           TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
    license_family     TEXT NOT NULL DEFAULT 'Other',
    size_category      TEXT NOT NULL DEFAULT 'Unknown',
    language           TEXT NOT NULL DEFAULT 'Unknown',
    task_category      TEXT NOT NULL DEFAULT 'Other',
    modality           TEXT NOT NULL DEFAULT 'Other',
    -- The card as it was last asked for: at which commit of the repository, with which answer.
    card_status        TEXT NOT NULL DEFAULT 'pending' CHECK (card_status IN (
        'pending', 'ok', 'short', 'missing', 'gated', 'private', 'disabled', 'deleted')),
    card_reason        TEXT,
    card_sha           TEXT,
    card_etag          TEXT,
    card_checked_at    TEXT,
    first_seen_run     INTEGER REFERENCES run (run_id),
    last_seen_run      INTEGER REFERENCES run (run_id),
    admitted_run       INTEGER REFERENCES run (run_id)
) STRICT;
CREATE INDEX dataset_rank ON dataset (rank);
CREATE INDEX dataset_on_map ON dataset (on_map) WHERE on_map = 1;

CREATE INDEX dataset_sha ON dataset (sha);

-- Names that a dataset had before it was renamed.
CREATE TABLE alias (
    repo_id    TEXT PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    run_id     INTEGER NOT NULL REFERENCES run (run_id)
) STRICT;

-- What a run found different from the run before it.
CREATE TABLE change (
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN (
        'entered', 'left', 'card', 'renamed', 'deleted', 'rank', 'field', 'summary')),
    field      TEXT NOT NULL DEFAULT '',
    before     TEXT,
    after      TEXT,
    PRIMARY KEY (run_id, kind, dataset_id, field)
) STRICT, WITHOUT ROWID;

-- The whole card, once per dataset. repo_id, pretty_name and summary are copies, kept by triggers, so
-- that full-text search can index them together.
CREATE TABLE card (
    dataset_id   INTEGER PRIMARY KEY REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    repo_id      TEXT NOT NULL,
    pretty_name  TEXT,
    summary      TEXT,
    text         TEXT NOT NULL,
    body_chars   INTEGER NOT NULL,
    front_matter TEXT NOT NULL CHECK (front_matter IN ('ok', 'none', 'invalid')),
    declared     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(declared)), -- what the front matter says, tidied
    problems     TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(problems)),
    input_hash   TEXT NOT NULL,
    stored_at    TEXT NOT NULL,
    stored_run   INTEGER REFERENCES run (run_id)
) STRICT;
CREATE INDEX card_input_hash ON card (input_hash);

-- What a result depends on besides the card: provider, model, prompt, taxonomy, truncation, dimensions.
CREATE TABLE spec (
    spec_id    INTEGER PRIMARY KEY,
    stage      TEXT NOT NULL CHECK (stage IN ('embed', 'extract', 'summarize')),
    spec_hash  TEXT NOT NULL,
    provider   TEXT NOT NULL,
    model      TEXT NOT NULL,
    parameters TEXT NOT NULL CHECK (json_valid(parameters)),
    created_at TEXT NOT NULL,
    UNIQUE (stage, spec_hash)
) STRICT;

-- The specification in force for each stage.
CREATE TABLE current_spec (
    stage   TEXT PRIMARY KEY CHECK (stage IN ('embed', 'extract', 'summarize')),
    spec_id INTEGER NOT NULL REFERENCES spec (spec_id)
) STRICT;

-- The ledger: one row per call to a service.
CREATE TABLE call (
    call_id            INTEGER PRIMARY KEY,
    run_id             INTEGER NOT NULL REFERENCES run (run_id),
    stage              TEXT NOT NULL,
    provider           TEXT NOT NULL,
    model              TEXT NOT NULL,
    items              INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens  INTEGER NOT NULL DEFAULT 0,
    usd                REAL NOT NULL DEFAULT 0,
    seconds            REAL NOT NULL,
    retries            INTEGER NOT NULL DEFAULT 0,
    outcome            TEXT NOT NULL,
    finished_at        TEXT NOT NULL
) STRICT;
CREATE INDEX call_run ON call (run_id, stage);

-- Questions sent to a service that answers them later. A batch is 'intended' before it is sent and 'submitted' once the
-- service has it under provider_batch_id; 'ended' when all its answers are taken, 'lost' where the service has none.
CREATE TABLE batch (
    batch_id          TEXT PRIMARY KEY,
    run_id            INTEGER NOT NULL REFERENCES run (run_id),
    stage             TEXT NOT NULL,
    spec_id           INTEGER NOT NULL REFERENCES spec (spec_id),
    provider_batch_id TEXT UNIQUE,
    state             TEXT NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'submitted', 'ended', 'lost')),
    requests          INTEGER NOT NULL,
    created_at        TEXT NOT NULL,
    submitted_at      TEXT,
    ended_at          TEXT
) STRICT;

-- One question of a batch. call_id: once its answer is in the ledger; outcome: once it needs no more attention
-- ('obsolete': the card has changed since; 'expired', 'errored', 'canceled', 'lost': asked again by itself).
CREATE TABLE batch_request (
    batch_id   TEXT NOT NULL REFERENCES batch (batch_id) ON DELETE CASCADE,
    custom_id  TEXT NOT NULL,
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    input_hash TEXT NOT NULL,
    call_id    INTEGER REFERENCES call (call_id) DEFERRABLE INITIALLY DEFERRED,
    outcome    TEXT CHECK (outcome IN (
        'stored', 'failed', 'obsolete', 'expired', 'errored', 'canceled', 'lost')),
    PRIMARY KEY (batch_id, custom_id)
) STRICT, WITHOUT ROWID;

-- A finished piece of enrichment. Keyed by what it was made from, not by whose it is: the same card text
-- under the same specification is never enriched twice, whatever the repository is called.
CREATE TABLE result (
    result_id  INTEGER PRIMARY KEY,
    spec_id    INTEGER NOT NULL REFERENCES spec (spec_id),
    input_hash TEXT NOT NULL,
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    call_id    INTEGER REFERENCES call (call_id) DEFERRABLE INITIALLY DEFERRED,
    created_at TEXT NOT NULL,
    UNIQUE (spec_id, input_hash)
) STRICT;
CREATE INDEX result_input_hash ON result (input_hash);

CREATE TABLE embedding (
    result_id  INTEGER PRIMARY KEY REFERENCES result (result_id) ON DELETE CASCADE,
    dimensions INTEGER NOT NULL,
    vector     BLOB NOT NULL,
    CHECK (length(vector) = 4 * dimensions)
) STRICT;

-- One field of one card. `value` is JSON; NULL where the answer held nothing valid (`problem` says why).
CREATE TABLE field_value (
    result_id   INTEGER NOT NULL REFERENCES result (result_id) ON DELETE CASCADE,
    field       TEXT NOT NULL,
    value       TEXT CHECK (value IS NULL OR json_valid(value)), -- json_valid(NULL) is 0 in older SQLite
    quote       TEXT,
    verified    INTEGER NOT NULL DEFAULT 0 CHECK (verified IN (0, 1)),
    quote_start INTEGER, -- where a verified quote stands in card.text, in characters
    quote_end   INTEGER,
    confidence  REAL CHECK (confidence BETWEEN 0 AND 1),
    problem     TEXT,
    PRIMARY KEY (result_id, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE summary (
    result_id INTEGER PRIMARY KEY REFERENCES result (result_id) ON DELETE CASCADE,
    text      TEXT NOT NULL,
    problem   TEXT
) STRICT;

-- What people corrected; it survives every re-run and renaming. `value` is JSON; the field 'summary' holds a string.
CREATE TABLE override (
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    field      TEXT NOT NULL,
    value      TEXT NOT NULL CHECK (json_valid(value)),
    note       TEXT,
    author     TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (dataset_id, field)
) STRICT, WITHOUT ROWID;

-- The corrections that win over what was read from the card: all there are. Every view that shows a value, and search,
-- look here first; so what would bound a correction's force is said here and nowhere else.
CREATE VIEW correction AS
SELECT dataset_id, field, value, note, author, created_at FROM override;

-- The usual spelling of a model's name, where it is not the card's own. Filled anew after each sync.
CREATE TABLE model_name (
    raw       TEXT PRIMARY KEY,
    canonical TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The taxonomies that were used, as the text of their files; the fields of the view `datasets` are those of the
-- one in force.
CREATE TABLE taxonomy (
    digest        TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    content       TEXT NOT NULL CHECK (json_valid(content)),
    in_force      INTEGER NOT NULL CHECK (in_force IN (0, 1)),
    first_used_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX taxonomy_in_force ON taxonomy (in_force) WHERE in_force = 1;

-- What could not be done, and whether trying again may help.
CREATE TABLE failure (
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    stage      TEXT NOT NULL CHECK (stage IN ('card', 'embed', 'extract', 'summarize')),
    spec_id    INTEGER REFERENCES spec (spec_id),
    input_hash TEXT,
    kind       TEXT NOT NULL CHECK (kind IN ('transient', 'permanent')),
    reason     TEXT NOT NULL,
    attempts   INTEGER NOT NULL, -- in the last run
    runs       INTEGER NOT NULL DEFAULT 1, -- in a row
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    failed_at  TEXT NOT NULL,
    PRIMARY KEY (dataset_id, stage)
) STRICT, WITHOUT ROWID;

-- What is not tried again before its card or specification changes: what failed for good, and what failed in so many
-- runs in a row as `after_runs` says (until --retry-failed). A card that could not be had is asked for in every run.
CREATE VIEW given_up AS
SELECT dataset_id, stage, spec_id, input_hash, kind, 3 AS after_runs
FROM failure WHERE stage <> 'card' AND (kind = 'permanent' OR runs >= after_runs);

-- A layout is a version: the same inputs and parameters give the same layout and are not computed again.
-- made_by: 'fit' from nothing, 'refit' from the coordinates before, 'placed' where only new and changed
-- datasets were set beside their neighbours. `changed` counts the datasets that came, changed or went since
-- the last full fit; `quality` is JSON (trustworthiness, knn_preservation, subject_purity).
CREATE TABLE layout (
    layout_id  INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    input_hash TEXT NOT NULL,
    parameters TEXT NOT NULL CHECK (json_valid(parameters)),
    points     INTEGER NOT NULL,
    made_by    TEXT NOT NULL DEFAULT 'fit' CHECK (made_by IN ('fit', 'refit', 'placed')),
    parent_id  INTEGER REFERENCES layout (layout_id) ON DELETE SET NULL,
    changed    INTEGER NOT NULL DEFAULT 0,
    quality    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(quality)),
    created_at TEXT NOT NULL
) STRICT;

-- input_hash: the card text whose vector was laid out; placed: by its neighbours, since the last full fit.
CREATE TABLE position (
    layout_id  INTEGER NOT NULL REFERENCES layout (layout_id) ON DELETE CASCADE,
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    x          REAL NOT NULL,
    y          REAL NOT NULL,
    input_hash TEXT NOT NULL DEFAULT '',
    placed     INTEGER NOT NULL DEFAULT 0 CHECK (placed IN (0, 1)),
    PRIMARY KEY (layout_id, dataset_id)
) STRICT, WITHOUT ROWID;

-- The nearest datasets by cosine distance of their vectors, nearest (place 1) first; of the newest layout only.
CREATE TABLE neighbor (
    dataset_id  INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    place       INTEGER NOT NULL CHECK (place >= 1),
    neighbor_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    distance    REAL NOT NULL,
    layout_id   INTEGER NOT NULL REFERENCES layout (layout_id) ON DELETE CASCADE,
    PRIMARY KEY (dataset_id, place)
) STRICT, WITHOUT ROWID;

-- A topic tree belongs to a layout. Layer 0 is the coarsest. made_by: 'clustered' anew, or 'carried' over from
-- the tree before, new datasets joining the topics they lie in; `changed` counts the datasets that came, changed
-- or went since the topics were last clustered.
CREATE TABLE topic_tree (
    tree_id    INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    layout_id  INTEGER NOT NULL REFERENCES layout (layout_id) ON DELETE CASCADE,
    input_hash TEXT NOT NULL,
    parameters TEXT NOT NULL CHECK (json_valid(parameters)),
    layers     INTEGER NOT NULL,
    made_by    TEXT NOT NULL DEFAULT 'clustered' CHECK (made_by IN ('clustered', 'carried')),
    changed    INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL
) STRICT;

-- lasting_id is the topic_id under which a topic first appeared: it lives on while the topic does, from tree to
-- tree. named_by: a model's name, 'key-phrases' or 'person'. exemplars: the dataset_ids most typical of it.
CREATE TABLE topic (
    topic_id    INTEGER PRIMARY KEY,
    tree_id     INTEGER NOT NULL REFERENCES topic_tree (tree_id) ON DELETE CASCADE,
    layer       INTEGER NOT NULL CHECK (layer >= 0),
    name        TEXT NOT NULL,
    named_by    TEXT NOT NULL,
    key_phrases TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(key_phrases)),
    exemplars   TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(exemplars)),
    parent_id   INTEGER REFERENCES topic (topic_id),
    lasting_id  INTEGER,
    size        INTEGER NOT NULL
) STRICT;
CREATE INDEX topic_of_tree ON topic (tree_id, layer);

CREATE TABLE topic_member (
    tree_id    INTEGER NOT NULL REFERENCES topic_tree (tree_id) ON DELETE CASCADE,
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    layer      INTEGER NOT NULL,
    topic_id   INTEGER NOT NULL REFERENCES topic (topic_id) ON DELETE CASCADE,
    PRIMARY KEY (tree_id, dataset_id, layer)
) STRICT, WITHOUT ROWID;

-- What was written outside the database, and from which inputs: an unchanged page is not drawn again.
CREATE TABLE artifact (
    path       TEXT PRIMARY KEY,
    input_hash TEXT NOT NULL,
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    created_at TEXT NOT NULL
) STRICT;

-- Full-text search. The quotation marks round "card" let sqlite-utils and Datasette recognize it.
CREATE VIRTUAL TABLE card_fts USING fts5 (
    repo_id, pretty_name, summary, text,
    content="card", content_rowid="dataset_id", tokenize="unicode61 remove_diacritics 2"
);
CREATE TRIGGER card_fts_insert AFTER INSERT ON card BEGIN
    INSERT INTO card_fts (rowid, repo_id, pretty_name, summary, text)
    VALUES (new.dataset_id, new.repo_id, new.pretty_name, new.summary, new.text);
END;
CREATE TRIGGER card_fts_delete AFTER DELETE ON card BEGIN
    INSERT INTO card_fts (card_fts, rowid, repo_id, pretty_name, summary, text)
    VALUES ('delete', old.dataset_id, old.repo_id, old.pretty_name, old.summary, old.text);
END;
CREATE TRIGGER card_fts_update AFTER UPDATE OF repo_id, pretty_name, summary, text ON card BEGIN
    INSERT INTO card_fts (card_fts, rowid, repo_id, pretty_name, summary, text)
    VALUES ('delete', old.dataset_id, old.repo_id, old.pretty_name, old.summary, old.text);
    INSERT INTO card_fts (rowid, repo_id, pretty_name, summary, text)
    VALUES (new.dataset_id, new.repo_id, new.pretty_name, new.summary, new.text);
END;
CREATE TRIGGER dataset_renamed AFTER UPDATE OF repo_id, pretty_name ON dataset
WHEN old.repo_id IS NOT new.repo_id OR old.pretty_name IS NOT new.pretty_name BEGIN
    UPDATE card SET repo_id = new.repo_id, pretty_name = new.pretty_name WHERE dataset_id = new.dataset_id;
END;

-- Which result speaks for a card at each stage: the one under the specification in force, else the newest
-- one made from the same card text. Embeddings of two specifications do not compare, so only the one in force.
CREATE VIEW in_force AS
SELECT c.dataset_id, s.stage, r.result_id, r.spec_id, r.input_hash, s.provider, s.model, s.spec_hash, r.created_at
FROM card c
JOIN (SELECT 'embed' AS stage UNION ALL SELECT 'extract' UNION ALL SELECT 'summarize') w
JOIN result r ON r.result_id = (
    SELECT r2.result_id FROM result r2
    JOIN spec s2 ON s2.spec_id = r2.spec_id AND s2.stage = w.stage
    LEFT JOIN current_spec cs ON cs.spec_id = r2.spec_id
    WHERE r2.input_hash = c.input_hash AND (w.stage <> 'embed' OR cs.spec_id IS NOT NULL)
    ORDER BY cs.spec_id IS NULL, r2.result_id DESC LIMIT 1)
JOIN spec s ON s.spec_id = r.spec_id;

-- Search finds the summary that the view `datasets` shows.
CREATE TRIGGER summary_inserted AFTER INSERT ON summary BEGIN
    UPDATE card SET summary = (SELECT v.summary FROM datasets v WHERE v.repo_id = card.repo_id)
    WHERE input_hash = (SELECT input_hash FROM result WHERE result_id = new.result_id);
END;
CREATE TRIGGER override_inserted AFTER INSERT ON override WHEN new.field = 'summary' BEGIN
    UPDATE card SET summary = (SELECT v.summary FROM datasets v WHERE v.repo_id = card.repo_id)
    WHERE dataset_id = new.dataset_id;
END;
CREATE TRIGGER override_updated AFTER UPDATE OF value ON override WHEN new.field = 'summary' BEGIN
    UPDATE card SET summary = (SELECT v.summary FROM datasets v WHERE v.repo_id = card.repo_id)
    WHERE dataset_id = new.dataset_id;
END;
CREATE TRIGGER override_deleted AFTER DELETE ON override WHEN old.field = 'summary' BEGIN
    UPDATE card SET summary = (SELECT v.summary FROM datasets v WHERE v.repo_id = card.repo_id)
    WHERE dataset_id = old.dataset_id;
END;

-- Where a renamed repository was listed anew, as another row, its corrections go with it.
CREATE TRIGGER alias_inserted AFTER INSERT ON alias BEGIN
    INSERT INTO override (dataset_id, field, value, note, author, created_at)
    SELECT new.dataset_id, o.field, o.value, o.note, o.author, o.created_at
    FROM dataset d JOIN override o ON o.dataset_id = d.dataset_id
    WHERE d.repo_id = new.repo_id AND d.dataset_id <> new.dataset_id
      AND NOT EXISTS (SELECT 1 FROM override n WHERE n.dataset_id = new.dataset_id AND n.field = o.field);
    DELETE FROM override WHERE dataset_id IN (
        SELECT d.dataset_id FROM dataset d WHERE d.repo_id = new.repo_id AND d.dataset_id <> new.dataset_id);
END;

-- The to-do list of every stage: cards on the map with no result for the present (card text, specification), but
-- for those that are given up.
CREATE VIEW todo AS
SELECT cs.stage, d.dataset_id, d.repo_id, d.rank, c.input_hash, cs.spec_id
FROM dataset d
JOIN card c ON c.dataset_id = d.dataset_id
CROSS JOIN current_spec cs
WHERE d.on_map = 1
  AND NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = cs.spec_id AND r.input_hash = c.input_hash)
  AND NOT EXISTS (SELECT 1 FROM given_up g
                  WHERE g.dataset_id = d.dataset_id AND g.stage = cs.stage
                    AND g.spec_id = cs.spec_id AND g.input_hash = c.input_hash);

-- One row per dataset ever seen, flat, corrections included. topic_0 is the coarsest topic layer. This is
-- the view for the packaged taxonomy, as engine/store/views.py makes it; another taxonomy has other columns.
CREATE VIEW datasets AS
SELECT
    d.repo_id,
    d.author,
    d.name,
    d.pretty_name,
    d.url,
    d.rank,
    d.on_map,
    d.likes,
    d.downloads,
    d.created_at,
    d.last_modified,
    d.sha,
    d.gated,
    d.license,
    d.license_family,
    d.size_category,
    d.language,
    d.task_category,
    d.modality,
    d.tags,
    c.body_chars AS card_chars,
    d.card_status,
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'summary'),
        s.text) AS summary,
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'subject_domain'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'subject_domain')) AS "subject_domain",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'provenance_method'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'provenance_method')) AS "provenance_method",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'training_stage'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'training_stage')) AS "training_stage",
    (SELECT coalesce((SELECT j.value FROM json_each(w.value) j ORDER BY nullif(instr(
            ' preference sft eval domain-finetune pretraining raw-corpus other not_applicable not_stated ',
            ' ' || j.value || ' '), 0) NULLS LAST LIMIT 1), 'not_stated')
        FROM (SELECT coalesce(
        (SELECT w.value FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'training_stage'),
        (SELECT w.value FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'training_stage')) AS value) w
        WHERE w.value IS NOT NULL) AS "primary_stage",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'format_convention'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'format_convention')) AS "format_convention",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'special_characteristics'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'special_characteristics')) AS "special_characteristics",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'geo_scope'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'geo_scope')) AS "geo_scope",
    coalesce(
        (SELECT (SELECT json_group_array(name) FROM (SELECT coalesce(m.canonical, j.value) AS name
            FROM json_each(w.value) j LEFT JOIN model_name m ON m.raw = j.value
            GROUP BY 1 ORDER BY min(j.key)))
         FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'upstream_models' AND w.value IS NOT NULL),
        (SELECT (SELECT json_group_array(name) FROM (SELECT coalesce(m.canonical, j.value) AS name
            FROM json_each(w.value) j LEFT JOIN model_name m ON m.raw = j.value
            GROUP BY 1 ORDER BY min(j.key)))
         FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'upstream_models' AND w.value IS NOT NULL)) AS "upstream_models",
    coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'is_benchmark'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'is_benchmark')) AS "is_benchmark",
    CASE coalesce(
        (SELECT w.value ->> '$' FROM correction w
         WHERE w.dataset_id = d.dataset_id AND w.field = 'is_benchmark'),
        (SELECT w.value ->> '$' FROM field_value w
         WHERE w.result_id = e.result_id AND w.field = 'is_benchmark'))
        WHEN 1 THEN 'Benchmark' WHEN 0 THEN 'Training data' ELSE 'Unknown' END AS "role",
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 0) AS topic_0,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 1) AS topic_1,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 2) AS topic_2,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 3) AS topic_3,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 4) AS topic_4,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT max(tree_id) FROM topic_tree) AND m.dataset_id = d.dataset_id
       AND m.layer = 5) AS topic_5,
    p.x,
    p.y
FROM dataset d
LEFT JOIN card c ON c.dataset_id = d.dataset_id
LEFT JOIN result e ON e.result_id = coalesce(
    (SELECT r.result_id FROM current_spec cs
     JOIN result r ON r.spec_id = cs.spec_id AND r.input_hash = c.input_hash
     WHERE cs.stage = 'extract'),
    (SELECT max(r.result_id) FROM result r JOIN spec sp ON sp.spec_id = r.spec_id
     WHERE r.input_hash = c.input_hash AND sp.stage = 'extract'))
LEFT JOIN summary s ON s.result_id = coalesce(
    (SELECT r.result_id FROM current_spec cs
     JOIN result r ON r.spec_id = cs.spec_id AND r.input_hash = c.input_hash
     WHERE cs.stage = 'summarize'),
    (SELECT max(r.result_id) FROM result r JOIN spec sp ON sp.spec_id = r.spec_id
     WHERE r.input_hash = c.input_hash AND sp.stage = 'summarize'))
LEFT JOIN position p ON p.layout_id = (SELECT max(layout_id) FROM layout) AND p.dataset_id = d.dataset_id;

-- What is claimed of each dataset, field by field, corrections included; what proved or marred another value than
-- a person's is left out. `value` is JSON; origin: the provider, or 'person', whose name, if told, is in `model`.
CREATE VIEW claim AS
SELECT i.dataset_id, v.field, coalesce(o.value, v.value) AS value,
    CASE WHEN o.value IS NULL OR json(o.value) = json(v.value) THEN v.quote END AS quote,
    CASE WHEN o.value IS NULL OR json(o.value) = json(v.value) THEN v.verified ELSE 0 END AS verified,
    CASE WHEN o.value IS NULL OR json(o.value) = json(v.value) THEN v.quote_start END AS quote_start,
    CASE WHEN o.value IS NULL OR json(o.value) = json(v.value) THEN v.quote_end END AS quote_end,
    CASE WHEN o.value IS NULL THEN v.confidence END AS confidence,
    CASE WHEN o.value IS NULL THEN v.problem END AS problem,
    CASE WHEN o.value IS NULL THEN i.provider ELSE 'person' END AS origin,
    CASE WHEN o.value IS NULL THEN i.model ELSE o.author END AS model,
    o.note, coalesce(o.created_at, i.created_at) AS created_at
FROM in_force i
JOIN field_value v ON v.result_id = i.result_id
LEFT JOIN correction o ON o.dataset_id = i.dataset_id AND o.field = v.field
WHERE i.stage = 'extract'
UNION ALL
SELECT o.dataset_id, o.field, o.value, NULL, 0, NULL, NULL, NULL, NULL, 'person', o.author, o.note, o.created_at
FROM correction o
WHERE o.field <> 'summary' AND NOT EXISTS (
    SELECT 1 FROM in_force i JOIN field_value v ON v.result_id = i.result_id
    WHERE i.dataset_id = o.dataset_id AND i.stage = 'extract' AND v.field = o.field);

-- One row per field and dataset: what is claimed, and the sentence of the card that is to prove it.
CREATE VIEW quotes AS
SELECT d.repo_id, c.field, c.value ->> '$' AS value, c.quote, c.verified, c.origin
FROM claim c JOIN dataset d ON d.dataset_id = c.dataset_id;

-- What was spent, by run, stage and model.
CREATE VIEW spending AS
SELECT run_id AS run, stage, model, count(*) AS calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(cache_read_tokens) AS cache_read_tokens,
    sum(usd) AS usd
FROM call GROUP BY run_id, stage, model;
