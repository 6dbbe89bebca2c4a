-- The control tables, version 3. `backfillctl init TARGET --print` shows this text with the worker's account filled in for :"worker".
-- Safe to run again, and behind a run that broke off: every statement commits by itself here, and the version is written last.
-- What every column means: docs/control-tables.md.
CREATE DATABASE IF NOT EXISTS backfill DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS backfill.meta (
    name  VARCHAR(512) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS backfill.job (
    id             VARCHAR(64) NOT NULL PRIMARY KEY,
    target         VARCHAR(255) NOT NULL,
    table_name     VARCHAR(255) NOT NULL,
    kind           VARCHAR(16) NOT NULL,
    definition     MEDIUMTEXT NOT NULL,
    sha256         VARCHAR(64) NOT NULL,
    shape          JSON NOT NULL,
    settings       JSON NOT NULL DEFAULT ('{}'),
    state          VARCHAR(16) NOT NULL CHECK (state IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled', 'rolled_back')),
    phase          VARCHAR(16) NOT NULL CHECK (phase IN ('canary', 'full', 'follow', 'sweep', 'verify', 'rollback')),
    reason         TEXT,
    epoch          BIGINT NOT NULL DEFAULT 0,
    owner          VARCHAR(512),
    owner_seen_at  DATETIME(6),
    backend_pid    BIGINT UNSIGNED,
    backend_start  DATETIME(6),
    round          INT NOT NULL DEFAULT 0,
    freeze_marker  VARCHAR(64),
    freeze_writers MEDIUMTEXT,
    frozen_at      DATETIME(6),
    estimated_rows BIGINT,
    failed_batches BIGINT NOT NULL DEFAULT 0,
    retried_batches BIGINT NOT NULL DEFAULT 0,
    split_batches  BIGINT NOT NULL DEFAULT 0,
    running_ms     BIGINT NOT NULL DEFAULT 0,
    held_ms        BIGINT NOT NULL DEFAULT 0,
    paused_ms      BIGINT NOT NULL DEFAULT 0,
    submitted_by   VARCHAR(255) NOT NULL,
    submitted_at   DATETIME(6) NOT NULL,
    started_at     DATETIME(6),
    paused_at      DATETIME(6),
    finished_at    DATETIME(6)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS backfill.segment (
    job_id          VARCHAR(64) NOT NULL,
    number          INT NOT NULL,
    leaf            INT NOT NULL,
    round           INT NOT NULL DEFAULT 1,
    after_key       MEDIUMTEXT,
    through_key     MEDIUMTEXT NOT NULL,
    position_key    MEDIUMTEXT,
    epoch           BIGINT NOT NULL,
    batch_id        BIGINT NOT NULL DEFAULT 0,
    stopped         BOOLEAN NOT NULL DEFAULT false,
    done            BOOLEAN NOT NULL DEFAULT false,
    rows_scanned    BIGINT NOT NULL DEFAULT 0,
    rows_changed    BIGINT NOT NULL DEFAULT 0,
    rows_conflicted BIGINT NOT NULL DEFAULT 0,
    updated_at      DATETIME(6) NOT NULL,
    PRIMARY KEY (job_id, number),
    FOREIGN KEY (job_id) REFERENCES backfill.job (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
-- Arrays of rows: [["1","eu"],["2","eu"]].
CREATE TABLE IF NOT EXISTS backfill.kept (
    job_id     VARCHAR(64) NOT NULL,
    segment    INT NOT NULL,
    batch_id   BIGINT NOT NULL,
    `rows`     BIGINT NOT NULL,
    existing   BIGINT NOT NULL,
    `keys`     JSON,
    old_values JSON,
    new_values JSON,
    PRIMARY KEY (job_id, segment, batch_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS backfill.event (
    seq    BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at     DATETIME(6) NOT NULL,
    event  VARCHAR(64) NOT NULL,
    job_id VARCHAR(64),
    target VARCHAR(255),
    actor  VARCHAR(255) NOT NULL,
    reason TEXT,
    data   JSON NOT NULL,
    KEY event_job_id_seq (job_id, seq)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
CREATE TABLE IF NOT EXISTS backfill.heartbeat (
    daemon     VARCHAR(512) NOT NULL,
    slot       INT NOT NULL,
    instance   VARCHAR(64) NOT NULL,
    seq        BIGINT NOT NULL,
    mono_us    BIGINT NOT NULL,
    written_at DATETIME(6) NOT NULL,
    PRIMARY KEY (daemon, slot)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
GRANT SELECT, INSERT, UPDATE, DELETE ON backfill.* TO :"worker";
INSERT INTO backfill.meta (name, value)
VALUES ('identity', /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */)
ON DUPLICATE KEY UPDATE name = name;
INSERT INTO backfill.meta (name, value) VALUES ('schema_version', '3') ON DUPLICATE KEY UPDATE name = name;
