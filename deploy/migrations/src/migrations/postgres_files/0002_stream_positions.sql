-- What stream-etl needs to know where a query stands, and to count pins whose category nobody knows.

-- A pin without a category belongs to its window too: null stands for unknown, once a window.
ALTER TABLE pin_windows
    DROP CONSTRAINT pin_windows_pkey,
    ALTER COLUMN category DROP NOT NULL,
    ADD CONSTRAINT pin_windows_key UNIQUE NULLS NOT DISTINCT (window_start, category);

-- A topic that was made anew starts its offsets again: only with its time is a record one record.
ALTER TABLE rejected_pins
    DROP CONSTRAINT rejected_pins_pkey,
    ADD PRIMARY KEY (source_partition, source_offset, event_time);

-- The same two reasons: the category may be unknown, and offsets start again.
ALTER TABLE late_pins
    DROP CONSTRAINT late_pins_pkey,
    ALTER COLUMN category DROP NOT NULL,
    ADD PRIMARY KEY (source_partition, source_offset, event_time);

-- The greatest event time of the batch's records, null for a batch without any: how fresh the windows are.
ALTER TABLE stream_batches ADD COLUMN max_event_time timestamptz;

-- The last record of each partition that a query has written. When the query starts again it is compared with
-- the log: another record at that offset means that the topic is not the one the checkpoint speaks of.
CREATE TABLE stream_positions (
    query_id uuid NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    event_time timestamptz NOT NULL,
    PRIMARY KEY (query_id, source_partition)
);
