-- hfmap: the database. One file holds all that a run learns; every view below is a promise to people
-- who write SQL against it. Times are ISO-8601 UTC text, booleans 0/1, lists JSON, vectors little-endian
-- float32. A new version of this file comes with a migration in engine/store/migrations.py.

PRAGMA application_id = 1751543152; -- the bytes "hfmp"
PRAGMA user_version = 1;

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
        'pending', 'ok', 'short', 'missing', 'gated', 'private', 'disabled', 'failed')),
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
    value       TEXT CHECK (json_valid(value)),
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

-- What could not be done, and whether trying again may help.
CREATE TABLE failure (
    dataset_id INTEGER NOT NULL REFERENCES dataset (dataset_id) ON DELETE CASCADE,
    stage      TEXT NOT NULL CHECK (stage IN ('card', 'embed', 'extract', 'summarize')),
    spec_id    INTEGER REFERENCES spec (spec_id),
    input_hash TEXT,
    kind       TEXT NOT NULL CHECK (kind IN ('transient', 'permanent')),
    reason     TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    run_id     INTEGER NOT NULL REFERENCES run (run_id),
    failed_at  TEXT NOT NULL,
    PRIMARY KEY (dataset_id, stage)
) STRICT, WITHOUT ROWID;

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

CREATE TRIGGER summary_inserted AFTER INSERT ON summary BEGIN
    UPDATE card SET summary = new.text
    WHERE input_hash = (SELECT input_hash FROM result WHERE result_id = new.result_id)
      AND EXISTS (SELECT 1 FROM result r JOIN current_spec cs ON cs.spec_id = r.spec_id
                  WHERE r.result_id = new.result_id AND cs.stage = 'summarize');
END;

-- The to-do list of every stage: cards on the map with no result for the present (card text, specification),
-- but for those that failed for good and have not changed since.
CREATE VIEW todo AS
SELECT cs.stage, d.dataset_id, d.repo_id, d.rank, c.input_hash, cs.spec_id
FROM dataset d
JOIN card c ON c.dataset_id = d.dataset_id
CROSS JOIN current_spec cs
WHERE d.on_map = 1
  AND NOT EXISTS (SELECT 1 FROM result r WHERE r.spec_id = cs.spec_id AND r.input_hash = c.input_hash)
  AND NOT EXISTS (SELECT 1 FROM failure f
                  WHERE f.dataset_id = d.dataset_id AND f.stage = cs.stage AND f.kind = 'permanent'
                    AND f.spec_id = cs.spec_id AND f.input_hash = c.input_hash);

-- One row per dataset ever seen, flat. topic_0 is the coarsest topic layer.
CREATE VIEW datasets AS
WITH tree AS (SELECT max(tree_id) AS tree_id FROM topic_tree),
     newest AS (SELECT max(layout_id) AS layout_id FROM layout),
     flat AS (
         SELECT d.*, c.body_chars,
             (SELECT s.text FROM in_force i JOIN summary s ON s.result_id = i.result_id
              WHERE i.dataset_id = d.dataset_id AND i.stage = 'summarize') AS summary,
             (SELECT i.result_id FROM in_force i
              WHERE i.dataset_id = d.dataset_id AND i.stage = 'extract') AS extraction
         FROM dataset d LEFT JOIN card c ON c.dataset_id = d.dataset_id
     ),
     fielded AS (
         SELECT f.*,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'subject_domain') AS subject_domain,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'provenance_method') AS provenance_method,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'training_stage') AS training_stage,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'format_convention') AS format_convention,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'special_characteristics') AS special_characteristics,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'geo_scope') AS geo_scope,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'upstream_models') AS upstream_models,
             (SELECT v.value ->> '$' FROM field_value v WHERE v.result_id = f.extraction AND v.field = 'is_benchmark') AS is_benchmark
         FROM flat f
     )
SELECT
    repo_id, author, name, pretty_name, url, rank, on_map, likes, downloads, created_at, last_modified, sha,
    gated, license, license_family, size_category, language, task_category, modality, tags,
    body_chars AS card_chars, card_status, summary,
    subject_domain, provenance_method, training_stage,
    CASE
        WHEN training_stage LIKE '%"preference"%' THEN 'preference'
        WHEN training_stage LIKE '%"sft"%' THEN 'sft'
        WHEN training_stage LIKE '%"eval"%' THEN 'eval'
        WHEN training_stage LIKE '%"domain-finetune"%' THEN 'domain-finetune'
        WHEN training_stage LIKE '%"pretraining"%' THEN 'pretraining'
        WHEN training_stage LIKE '%"raw-corpus"%' THEN 'raw-corpus'
        WHEN training_stage LIKE '%"other"%' THEN 'other'
        WHEN training_stage LIKE '%"not_applicable"%' THEN 'not_applicable'
        WHEN training_stage IS NOT NULL THEN 'not_stated'
    END AS primary_stage,
    format_convention, special_characteristics, geo_scope, upstream_models, is_benchmark,
    CASE is_benchmark WHEN 1 THEN 'Benchmark' WHEN 0 THEN 'Training data' ELSE 'Unknown' END AS role,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 0) AS topic_0,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 1) AS topic_1,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 2) AS topic_2,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 3) AS topic_3,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 4) AS topic_4,
    (SELECT t.name FROM topic_member m JOIN topic t ON t.topic_id = m.topic_id
     WHERE m.tree_id = (SELECT tree_id FROM tree) AND m.dataset_id = fielded.dataset_id AND m.layer = 5) AS topic_5,
    (SELECT p.x FROM position p WHERE p.layout_id = (SELECT layout_id FROM newest) AND p.dataset_id = fielded.dataset_id) AS x,
    (SELECT p.y FROM position p WHERE p.layout_id = (SELECT layout_id FROM newest) AND p.dataset_id = fielded.dataset_id) AS y
FROM fielded;

-- One row per field and dataset: what is claimed, and the sentence of the card that is to prove it.
CREATE VIEW quotes AS
SELECT d.repo_id, v.field, v.value ->> '$' AS value, v.quote, v.verified
FROM dataset d
JOIN in_force i ON i.dataset_id = d.dataset_id AND i.stage = 'extract'
JOIN field_value v ON v.result_id = i.result_id;

-- What was spent, by run, stage and model.
CREATE VIEW spending AS
SELECT run_id AS run, stage, model, count(*) AS calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_write_tokens) AS cache_write_tokens, sum(cache_read_tokens) AS cache_read_tokens,
    sum(usd) AS usd
FROM call GROUP BY run_id, stage, model;
