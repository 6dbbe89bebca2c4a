-- The control tables, version 3. `backfillctl init TARGET --print` shows this text with the worker's role filled in;
-- in psql: \set worker backfill
-- Safe to run again. What every column means: docs/control-tables.md.
BEGIN;
CREATE SCHEMA IF NOT EXISTS backfill;
CREATE TABLE IF NOT EXISTS backfill.meta (
    name  text PRIMARY KEY,
    value text NOT NULL
);
CREATE TABLE IF NOT EXISTS backfill.job (
    id             text PRIMARY KEY,
    target         text NOT NULL,
    table_name     text NOT NULL,
    kind           text NOT NULL,
    definition     text NOT NULL,
    sha256         text NOT NULL,
    shape          jsonb NOT NULL,
    settings       jsonb NOT NULL DEFAULT '{}',
    state          text NOT NULL CHECK (state IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled', 'rolled_back')),
    phase          text NOT NULL CHECK (phase IN ('canary', 'full', 'follow', 'sweep', 'verify', 'rollback')),
    reason         text,
    epoch          bigint NOT NULL DEFAULT 0,
    owner          text,
    owner_seen_at  timestamptz,
    backend_pid    integer,
    backend_start  timestamptz,
    round          integer NOT NULL DEFAULT 0,
    freeze_marker  text,
    freeze_writers text,
    frozen_at      timestamptz,
    estimated_rows bigint,
    failed_batches bigint NOT NULL DEFAULT 0,
    retried_batches bigint NOT NULL DEFAULT 0,
    split_batches  bigint NOT NULL DEFAULT 0,
    running_ms     bigint NOT NULL DEFAULT 0,
    held_ms        bigint NOT NULL DEFAULT 0,
    paused_ms      bigint NOT NULL DEFAULT 0,
    submitted_by   text NOT NULL,
    submitted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at     timestamptz,
    paused_at      timestamptz,
    finished_at    timestamptz
);
CREATE TABLE IF NOT EXISTS backfill.segment (
    job_id          text NOT NULL REFERENCES backfill.job ON DELETE CASCADE,
    number          integer NOT NULL,
    leaf            integer NOT NULL,
    round           integer NOT NULL DEFAULT 1,
    after_key       text,
    through_key     text NOT NULL,
    position_key    text,
    epoch           bigint NOT NULL,
    batch_id        bigint NOT NULL DEFAULT 0,
    stopped         boolean NOT NULL DEFAULT false,
    done            boolean NOT NULL DEFAULT false,
    rows_scanned    bigint NOT NULL DEFAULT 0,
    rows_changed    bigint NOT NULL DEFAULT 0,
    rows_conflicted bigint NOT NULL DEFAULT 0,
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Values are texts, arrays are flat: one column behind the other.
CREATE TABLE IF NOT EXISTS backfill.kept (
    job_id     text NOT NULL,
    segment    integer NOT NULL,
    batch_id   bigint NOT NULL,
    rows       bigint NOT NULL,
    existing   bigint NOT NULL,
    keys       text[],
    old_values text[],
    new_values text[],
    PRIMARY KEY (job_id, segment, batch_id)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS backfill.event (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    event  text NOT NULL,
    job_id text,
    target text,
    actor  text NOT NULL,
    reason text,
    data   jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS event_job_id_seq ON backfill.event (job_id, seq);
CREATE TABLE IF NOT EXISTS backfill.heartbeat (
    daemon     text NOT NULL,
    slot       integer NOT NULL,
    instance   text NOT NULL,
    seq        bigint NOT NULL,
    mono_us    bigint NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (daemon, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- From version 2.
ALTER TABLE backfill.job ADD COLUMN IF NOT EXISTS round integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS freeze_writers text, DROP CONSTRAINT IF EXISTS job_phase_check,
    ADD CONSTRAINT job_phase_check CHECK (phase IN ('canary', 'full', 'follow', 'sweep', 'verify', 'rollback'));
ALTER TABLE backfill.segment ADD COLUMN IF NOT EXISTS round integer NOT NULL DEFAULT 1;
UPDATE backfill.job SET round = 1 WHERE round = 0 AND frozen_at IS NOT NULL;
INSERT INTO backfill.meta VALUES ('schema_version', '3') ON CONFLICT (name) DO UPDATE SET value = excluded.value
    WHERE meta.value IN ('1', '2');
INSERT INTO backfill.meta
    SELECT 'identity', system_identifier || '/' || current_database() FROM pg_control_system() ON CONFLICT (name) DO NOTHING;
GRANT USAGE ON SCHEMA backfill TO :"worker";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA backfill TO :"worker";
COMMIT;
