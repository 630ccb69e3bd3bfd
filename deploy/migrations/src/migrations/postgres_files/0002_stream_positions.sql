-- What stream-etl needs to know where a query stands, and to count pins of any category and none.

-- A pin without a category belongs to its window too: null stands for unknown, once a window. A text of a pin
-- may be 16 KiB long, a key of a B-tree 2.7: one such category would hold up the whole stream.
ALTER TABLE pin_windows
    DROP CONSTRAINT pin_windows_pkey,
    ALTER COLUMN category DROP NOT NULL;
CREATE UNIQUE INDEX pin_windows_key ON pin_windows (window_start, md5(category)) NULLS NOT DISTINCT;

ALTER TABLE poster_sessions DROP CONSTRAINT poster_sessions_pkey;
CREATE UNIQUE INDEX poster_sessions_key ON poster_sessions (md5(poster_name), session_start);
CREATE INDEX poster_sessions_poster_name ON poster_sessions USING hash (poster_name);

-- A topic that was made anew starts its offsets again: only with its time is a record one record.
ALTER TABLE rejected_pins
    DROP CONSTRAINT rejected_pins_pkey,
    ADD PRIMARY KEY (source_partition, source_offset, event_time);

-- The same two reasons: the category may be unknown, and offsets start again.
ALTER TABLE late_pins
    DROP CONSTRAINT late_pins_pkey,
    ALTER COLUMN category DROP NOT NULL,
    ADD PRIMARY KEY (source_partition, source_offset, event_time);

-- The greatest event time of all records up to and with the batch, null while there were none: what the
-- watermark of later batches is made of, and so which of their pins are late.
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
